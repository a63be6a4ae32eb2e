"""Hosts in a line, and datagrams between them: what the tests of networks have in common."""

import asyncio
import itertools
from typing import Any

from sleepy import sim

PORT = 9000


class Inbox(asyncio.DatagramProtocol):
    """Remembers what arrives, and when."""

    def __init__(self) -> None:
        self.got: list[tuple[float, bytes]] = []
        self.errors: list[Exception] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.append((round(asyncio.get_running_loop().time(), 9), data))

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)


async def listen(inbox: Inbox, address: str = "0.0.0.0") -> None:
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: inbox, (address, PORT))


async def speak(to: str, times: list[float], inbox: Inbox | None = None) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: inbox or Inbox(), remote_addr=(to, PORT))
    for number, time in enumerate(times):
        await asyncio.sleep(time - loop.time())
        transport.sendto(b"%d" % number)


def arrivals(network: sim.Network, times: list[float], sender: str = "client", to: str = "server") -> list[Any]:
    """Send a datagram at each time; say when which arrived."""
    inbox = Inbox()

    async def main() -> None:
        await network.host("server").run(listen(inbox))
        await network.host(sender).run(speak(to, times))
        await asyncio.sleep(10)

    sim.run(main(), network)
    return inbox.got


def line(*names: str, delay: float = 0.01, **options: Any) -> sim.Network:
    network = sim.Network(**options)
    for one, other in itertools.pairwise(names):
        network.link(one, other, sim.Link(delay=delay))
    return network
