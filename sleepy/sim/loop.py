"""asyncio's network calls, answered by the simulated host on which the calling task lives.

This is the whole surface that unmodified programs touch: ``asyncio.open_connection``, ``asyncio.start_server`` and all
else that asyncio offers come down to these few methods of the loop. They take what asyncio's take; what would need the
real world (a socket of one's own, TLS) is refused with a reason.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from typing import Any, Final, TypeVar, cast

from sleepy.sim.clock import VirtualLoop, refuse
from sleepy.sim.host import here
from sleepy.sim.sockets import ANY, LOCALHOST, Address, check_port
from sleepy.sim.tcp.server import SimulatedServer
from sleepy.sim.tcp.transport import TcpTransport

P = TypeVar("P", bound=asyncio.BaseProtocol)


class NetworkLoop(VirtualLoop):
    """A virtual-time loop for programs on simulated hosts."""

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002  # asyncio's own name
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """As `socket.getaddrinfo`, for names of the simulated network; takes no time.

        Raises:
            socket.gaierror: There is no such name, or not in that family.
        """
        address, number = _resolve(host, port, passive=bool(flags & socket.AI_PASSIVE))
        if family not in (0, socket.AF_INET):
            raise socket.gaierror(socket.EAI_FAMILY, "simulated hosts speak IPv4 only")
        kinds = [(socket.SOCK_STREAM, socket.IPPROTO_TCP), (socket.SOCK_DGRAM, socket.IPPROTO_UDP)]
        return [
            (socket.AF_INET, kind, protocol, "", (address, number))
            for kind, protocol in kinds
            if type in (0, kind) and proto in (0, protocol)
        ]

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], P],
        local_addr: tuple[str, int] | str | None = None,
        remote_addr: tuple[str, int] | str | None = None,
        **options: Any,
    ) -> tuple[asyncio.DatagramTransport, P]:
        """As in asyncio.

        Raises:
            OSError: The port is taken, or the address is not this host's; a name is unknown.
        """
        _check_options("create_datagram_endpoint", options)
        local = (ANY, 0) if local_addr is None else _resolve(*_pair(local_addr), passive=True)
        remote = None if remote_addr is None else _resolve(*_pair(remote_addr))
        if remote is not None and local[0] == ANY:
            local = (here().source_for(remote[0]), local[1])
        protocol = protocol_factory()
        waiter = self.create_future()
        transport = here().udp.open(cast("asyncio.DatagramProtocol", protocol), local, remote, waiter)
        await waiter
        return transport, protocol

    async def create_connection(
        self, protocol_factory: Callable[[], P], host: str | None = None, port: int | None = None, **options: Any
    ) -> tuple[asyncio.Transport, P]:
        """As in asyncio.

        Raises:
            OSError: Nobody listens there, nobody answers, or there is no way; a name is unknown.
        """
        local_addr = options.pop("local_addr", None)
        _check_options("create_connection", options)
        remote = _resolve(host, port)
        local = (ANY, 0) if local_addr is None else _resolve(*local_addr, passive=True)
        socket = await here().tcp.connect(local, remote)
        protocol = protocol_factory()
        return TcpTransport(socket, protocol, copy_context(), lambda _: None), protocol

    async def create_server(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | Sequence[str] | None = None,
        port: int | None = None,
        **options: Any,
    ) -> asyncio.Server:
        """As in asyncio.

        Raises:
            OSError: The port is taken, or an address is not this host's; a name is unknown.
        """
        start_serving = options.pop("start_serving", True)
        _check_options("create_server", options)
        hosts = [host] if isinstance(host, str) or host is None else host
        addresses = [_resolve(each, port, passive=True) for each in hosts]
        server = SimulatedServer(here(), addresses, protocol_factory)
        if start_serving:
            server.begin()
        return cast("asyncio.Server", server)


def _resolve(host: Any, port: Any, *, passive: bool = False) -> Address:
    if isinstance(host, bytes):
        host = host.decode("ascii")
    try:
        number = int(port or 0)
    except ValueError:
        raise socket.gaierror(socket.EAI_SERVICE, f"simulated ports have numbers, not names such as {port!r}") from None
    check_port(number)
    if not host:
        return (ANY if passive else LOCALHOST, number)
    return (here().network.resolve(host), number)


def _pair(address: tuple[str, int] | str) -> tuple[str, int]:
    if isinstance(address, str):
        refuse("create_datagram_endpoint() with a path", "a Unix socket belongs to the real world")
    return address[0], address[1]


_NO_TLS: Final = "TLS draws on real randomness and real clocks; leave it out of the simulation"
_REASONS: Final[Mapping[str, str]] = {
    "sock": "a real socket knows nothing of virtual time; give host and port",
    "reuse_port": "a simulated port has one owner",
    "allow_broadcast": "a simulated link joins two hosts, so there is nobody else to hear it",
    "ssl": _NO_TLS,
    "server_hostname": _NO_TLS,
    "ssl_handshake_timeout": _NO_TLS,
    "ssl_shutdown_timeout": _NO_TLS,
}
# Taken and not heeded: there is but one family and one address to a name, and nobody waits to be accepted.
_HEEDLESS: Final = frozenset(
    [
        "family",
        "proto",
        "flags",
        "backlog",
        "reuse_address",
        "keep_alive",
        "happy_eyeballs_delay",
        "interleave",
        "all_errors",
    ]
)


def _check_options(method: str, options: Mapping[str, object]) -> None:
    for option, value in options.items():
        if option in _REASONS and value:
            refuse(f"{method}({option}=...)", _REASONS[option])
        if option not in _REASONS and option not in _HEEDLESS:
            raise TypeError(f"{method}() got an unexpected keyword argument {option!r}")
