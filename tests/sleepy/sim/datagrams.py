"""A client and a server that speak in datagrams: what the tests of sockets have in common."""

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from sleepy import sim

PORT = 9000


DELAY = 0.1


class Inbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.got: list[tuple[bytes, tuple[str, int]]] = []
        self.errors: list[Exception] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("made")
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.append((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(f"lost {exc}")


class Echo(Inbox):
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data, addr)


async def bind(protocol: Inbox, local: tuple[str, int] | None = None, remote: tuple[str, int] | None = None) -> Any:
    transport, made = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: protocol, local_addr=local, remote_addr=remote
    )
    assert made is protocol
    return transport


def dont_fragment(transport: Any) -> None:
    """Say to a socket that IP must not take its datagrams apart, as the platform wants to be told."""
    option, value = {"linux": (10, 3), "darwin": (28, 1), "win32": (14, 1)}[sys.platform]
    transport.get_extra_info("socket").setsockopt(socket.IPPROTO_IP, option, value)


def simulate(
    client: Callable[[], Coroutine[Any, Any, Any]],
    server: Inbox | None = None,
    address: str = "0.0.0.0",
    link: sim.Link | None = None,
) -> Any:
    network = sim.Network()
    network.link("client", "server", link or sim.Link(delay=DELAY))

    async def main() -> Any:
        if server is not None:
            await network.host("server").run(bind(server, (address, PORT)))
        return await network.host("client").run(client())

    return sim.run(main(), network)
