"""`sleepy.udp`, as its users get it: one task, which awaits each send and each message."""

import asyncio
from collections.abc import Callable

from benchmarks.udp.load import HOST, MESSAGE, PIECE, WINDOW, loop_factory
from sleepy import udp


def _open(plain: bool) -> udp.Node:
    return udp.open_plain_node((HOST, 0)) if plain else udp.open_node((HOST, 0))


class NodeClient:
    """A node that dials one peer."""

    def __init__(self, port: int, *, plain: bool, uvloop: bool) -> None:
        self.runner = asyncio.Runner(loop_factory=loop_factory(uvloop))
        self.node = _open(plain)
        self.peer = self.runner.run(self._connect(port))

    async def _connect(self, port: int) -> udp.Peer:
        await self.node.start()
        return await self.node.connect((HOST, port))

    def echo(self, count: int) -> None:
        self.runner.run(self._echo(count))

    async def _echo(self, count: int) -> None:
        peer = self.peer
        for _ in range(WINDOW):
            await peer.send(MESSAGE)
        for number in range(count):
            await peer.receive()
            if number < count - WINDOW:
                await peer.send(MESSAGE)

    def bulk(self, pieces: int) -> None:
        self.runner.run(self._bulk(pieces))

    async def _bulk(self, pieces: int) -> None:
        reader, writer = await self.peer.open_stream()
        for _ in range(pieces):
            writer.write(PIECE)
            await writer.drain()
        writer.write_eof()
        await reader.read()
        writer.close()


async def _answer(peer: udp.Peer) -> None:
    async for message in peer:
        await peer.send(message)


async def _swallow(peer: udp.Peer) -> None:
    while True:
        reader, writer = await peer.accept_stream()
        while await reader.read(1 << 18):
            pass
        writer.close()


def serve(announce: Callable[[int], None], *, plain: bool, uvloop: bool) -> None:
    async def main() -> None:
        async with _open(plain) as node:
            announce(node.address[1])
            peer = await node.accept()
            await asyncio.gather(_answer(peer), _swallow(peer))

    with asyncio.Runner(loop_factory=loop_factory(uvloop)) as runner:
        runner.run(main())
