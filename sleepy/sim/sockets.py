"""What UDP and TCP share: addresses, the ports of a host, and what a program may ask of a socket."""

import errno
import os
import socket
import sys
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Generic, Never, TypeVar

if TYPE_CHECKING:
    from sleepy.sim.host import Host

Address = tuple[str, int]
T = TypeVar("T")

ANY: Final = "0.0.0.0"  # noqa: S104  # a word of the simulation; nothing is bound
LOCALHOST: Final = "127.0.0.1"
_NODELAY: Final = socket.IPPROTO_TCP, socket.TCP_NODELAY
# By platform: the option, and the values with which IP must not take datagrams apart. Python has no names for them.
_DONT_FRAGMENT: Final = {
    "linux": ((socket.IPPROTO_IP, 10), {2, 3}),  # IP_MTU_DISCOVER: IP_PMTUDISC_DO, IP_PMTUDISC_PROBE
    "darwin": ((socket.IPPROTO_IP, 28), {1}),  # IP_DONTFRAG
    "win32": ((socket.IPPROTO_IP, 14), {1}),  # IP_DONTFRAGMENT
}
_PORTS: Final = range(65536)
EPHEMERAL: Final = range(49152, 65536)  # RFC 6335, section 6: for whoever asks for port 0


def check_port(port: int) -> None:
    """Refuse what is no port; as Python's own sockets do.

    Raises:
        OverflowError: It is none.
    """
    if port not in _PORTS:
        raise OverflowError(f"port must be 0-65535, not {port}")


class Ports(Generic[T]):
    """Who listens on which port of a host."""

    def __init__(self, host: "Host") -> None:
        self._host = host
        self._owners: dict[Address, T] = {}
        self._next = 0

    def choose(self, local: Address) -> Address:
        """Check an address to be bound, and replace port 0 by a free one.

        Raises:
            OSError: It is taken, not this host's, or no port is free.
        """
        address, port = local
        if address not in (ANY, LOCALHOST, self._host.address):
            raise OSError(errno.EADDRNOTAVAIL, f"{os.strerror(errno.EADDRNOTAVAIL)}: {address} is not {self._host!r}")
        if port and self._taken(address, port):
            raise OSError(errno.EADDRINUSE, f"{os.strerror(errno.EADDRINUSE)}: {address}:{port} on {self._host!r}")
        return (address, port or self.ephemeral(address))

    def ephemeral(self, address: str = ANY) -> int:
        """A port that nobody uses; the next one after the last given out.

        Raises:
            OSError: There is none.
        """
        for port in chain(EPHEMERAL[self._next :], EPHEMERAL[: self._next]):
            if not self._taken(address, port):
                self._next = (EPHEMERAL.index(port) + 1) % len(EPHEMERAL)
                return port
        raise OSError(errno.EADDRINUSE, f"all {len(EPHEMERAL)} ports for clients are in use on {self._host!r}")

    def bind(self, local: Address, owner: T) -> None:
        """Give a port to its owner."""
        self._owners[local] = owner

    def free(self, local: Address) -> None:
        """Take it back."""
        self._owners.pop(local, None)

    def find(self, address: str, port: int) -> T | None:
        """Who gets what is sent there."""
        return self._owners.get((address, port)) or self._owners.get((ANY, port))

    def _taken(self, address: str, port: int) -> bool:
        addresses = (ANY, LOCALHOST, self._host.address) if address == ANY else (ANY, address)
        return any((other, port) in self._owners for other in addresses)


class SocketInfo:
    """Stands in where a program asks a transport or a server for its socket.

    It answers the questions that do not touch the operating system. ``TCP_NODELAY`` is set, as asyncio sets it, and heeded
    if a program clears it; on UDP the option that forbids IP to take datagrams apart is heeded. Other options are taken
    without heeding them. All else needs a real socket, and says so.

    Args:
        kind: ``udp`` or ``tcp``.
        local: Where it is bound.
        remote: Whom it is connected to.
        set_nodelay: Called when ``TCP_NODELAY`` is set or cleared.
    """

    def __init__(
        self,
        kind: str,
        local: Address,
        remote: Address | None,
        set_nodelay: Callable[[bool], object] | None = None,
    ) -> None:
        self.family = socket.AF_INET
        self.type = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
        self.proto = 0
        self._local = local
        self._remote = remote
        self._set_nodelay = set_nodelay
        self._options: dict[tuple[int, int], Any] = {_NODELAY: 1}

    def __repr__(self) -> str:
        return f"<SocketInfo {self.type.name} {self._local} {self._remote or ''}>"

    def __getattr__(self, name: str) -> Never:
        raise AttributeError(f"a simulated socket has no {name!r}; talk to its transport")

    def getsockname(self) -> Address:
        """Where it is bound."""
        return self._local

    def getpeername(self) -> Address:
        """Whom it is connected to.

        Raises:
            OSError: Nobody (``ENOTCONN``).
        """
        if self._remote is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return self._remote

    def setsockopt(self, level: int, option: int, value: Any, *_length: int) -> None:
        """Remember an option."""
        self._options[level, option] = value
        if (level, option) == _NODELAY and self._set_nodelay is not None:
            self._set_nodelay(any(value) if isinstance(value, bytes) else bool(value))

    def getsockopt(self, level: int, option: int, length: int = 0) -> Any:
        """An option as it was set; if it was not, 0, or as many zero bytes as were asked for."""
        return self._options.get((level, option), bytes(length) if length else 0)

    @property
    def dont_fragment(self) -> bool:
        """Whether IP must not take apart what is sent; the option is the one of the platform that we run on."""
        option, values = _DONT_FRAGMENT.get(sys.platform, (None, ()))
        return option is not None and self._options.get(option) in values

    def gettimeout(self) -> float:
        """It never blocks."""
        return 0.0

    def fileno(self) -> Never:
        """There is no file behind it."""
        raise NotImplementedError("a simulated socket has no file descriptor; talk to its transport")
