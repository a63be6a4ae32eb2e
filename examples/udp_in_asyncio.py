"""An endpoint in asyncio: the recipe of the guide "An endpoint in any event loop", running.

python examples/udp_in_asyncio.py
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from sleepy import udp

TICK = 0.05  # seconds between updates, and the longest a peer waits for its acks
ANSWER_AFTER = 24  # packets; each of ours acks the last 32, so a few may be lost
ACKS_ONLY = b"\x00"  # an endpoint sends no empty packets; how a program marks those without content is its own affair


# --8<-- [start:protocol]
class Peer(asyncio.DatagramProtocol):
    """One conversation over one socket. `message` is called with what arrives, `acked` with the packets the peer has."""

    def __init__(self, message: Callable[[bytes], None], acked: Callable[[int], None]) -> None:
        self.message = message
        self.loop = asyncio.get_running_loop()
        self.endpoint = udp.Endpoint(now=self.loop.time(), on_ack=acked)
        self.unanswered = 0  # packets that came since we last sent one

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.DatagramTransport = transport
        self.timer = self.loop.call_later(TICK, self.tick)

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ARG002  the socket is connected
        packet = self.endpoint.receive(data)  # 1. what arrives goes in
        if (
            packet is None or packet.payload == ACKS_ONLY
        ):  # which needs no answer, or two idle peers would chat for ever
            return
        self.unanswered += 1
        self.message(packet.payload)
        if self.unanswered >= ANSWER_AFTER:  # 4. acks travel in packets only
            self.send(ACKS_ONLY)

    def send(self, payload: bytes) -> int:
        """Send once; the sequence under which it may be acked."""
        sequence = self.endpoint.next_sequence
        for datagram in self.endpoint.send(payload):  # 2. what comes out is sent
            self.transport.sendto(datagram)
        self.unanswered = 0
        return sequence

    def tick(self) -> None:
        self.endpoint.update(self.loop.time())  # 3. time passes
        if self.unanswered:
            self.send(ACKS_ONLY)
        if self.endpoint.stale_run > 256:  # 5. the way back after a very long silence
            self.endpoint.resync()
        self.timer = self.loop.call_later(TICK, self.tick)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.timer.cancel()


# --8<-- [end:protocol]


async def main() -> None:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for here in sockets:
        here.bind(("127.0.0.1", 0))
    messages: list[bytes] = []
    waiting: set[int] = set()
    done = asyncio.Event()

    def acked(sequence: int) -> None:
        waiting.discard(sequence)
        if not waiting:
            done.set()

    peers: list[Peer] = []
    for here, there in (sockets, sockets[::-1]):
        here.connect(there.getsockname())
        _, peer = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Peer(messages.append, acked), sock=here
        )
        peers.append(peer)
    waiting |= {peers[0].send(f"message {number}".encode()) for number in range(100)}
    async with asyncio.timeout(10):
        await done.wait()
    print(f"{len(messages)} messages arrived, and all are known to have")
    for peer in peers:
        peer.transport.close()


if __name__ == "__main__":
    asyncio.run(main())
