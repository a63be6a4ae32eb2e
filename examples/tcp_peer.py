"""Three peers, each a server and a client at once: every one asks the others for their words, and puts them in order.

python examples/tcp_peer.py
"""

import asyncio
from contextlib import AsyncExitStack

from sleepy import tcp

WORDS = {"ann": b"a peer", "bob": b"is", "cid": b"both"}


class Peer:
    """Answers with its word, and has a client for each of the others."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.server = tcp.Server(self.answer, codec=tcp.Multiplex())
        self.others: dict[str, tcp.MultiplexClient] = {}

    async def answer(self, request: bytes) -> bytes:
        if request != b"your word?":
            raise ValueError(f"{self.name} does not know {request!r}")  # which the caller gets as RemoteError
        await asyncio.sleep(0.01 * len(WORDS[self.name]))  # no other call waits for this
        return WORDS[self.name]

    async def sentence(self) -> str:
        answers = await asyncio.gather(*(other.do(b"your word?", timeout=5.0) for other in self.others.values()))
        words = dict(zip(self.others, answers, strict=True)) | {self.name: WORDS[self.name]}
        return b" ".join(words[name] for name in sorted(words)).decode()


async def main() -> None:
    async with AsyncExitStack() as stack:  # closes the clients first, then the servers
        peers = [Peer(name) for name in WORDS]
        for peer in peers:
            await stack.enter_async_context(peer.server)
        for peer, other in ((peer, other) for peer in peers for other in peers if peer is not other):
            host, port = other.server.address
            peer.others[other.name] = await stack.enter_async_context(tcp.MultiplexClient(f"{host}:{port}"))
        for peer, sentence in zip(peers, await asyncio.gather(*(peer.sentence() for peer in peers)), strict=True):
            print(f"{peer.name}: {sentence}")


if __name__ == "__main__":
    asyncio.run(main())
