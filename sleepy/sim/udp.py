"""UDP on a simulated host: ports, and datagrams that arrive or do not.

Rules:

1. A datagram goes out at once and is gone: nothing waits, nothing is resent, nothing is reported unless rule 4 says so.
2. A socket takes what is sent to its port at its address; one bound to 0.0.0.0 at any address of the host. A connected
   socket takes only what its peer sent.
3. More than 65,507 bytes do not fit into an IP packet: the protocol's ``error_received`` gets ``EMSGSIZE``. So it does if
   the socket's option says that IP must not take datagrams apart, and the first link does not carry one as it is.
4. For a datagram to a port on which nobody listens the host reports back, and the protocol of a connected socket gets
   ``ConnectionRefusedError``, a round trip later. An unconnected one learns nothing. (RFC 1122, 4.1.3.3, as Linux does it.)
   It is the same with ``EMSGSIZE`` for what a later link does not carry, and must not take apart.
5. There is no send buffer to fill up: a link's queue overflows instead, so ``pause_writing`` is never called.
"""

import asyncio
import errno
import os
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from sleepy.sim.packet import IP_HEADER, UDP_HEADER, Datagram, Packet
from sleepy.sim.sockets import ANY, Address, Ports, SocketInfo, check_port

if TYPE_CHECKING:
    from sleepy.sim.host import Host

_BYTES: Final = (bytes, bytearray, memoryview)
LARGEST: Final = 65535 - IP_HEADER - UDP_HEADER
_NOBODY_ON_PORT: Final = 3


class UdpStack:
    """The UDP sockets of a host."""

    def __init__(self, host: "Host") -> None:
        self._host = host
        self.ports: Ports[UdpTransport] = Ports(host)

    def open(
        self, protocol: asyncio.DatagramProtocol, local: Address, remote: Address | None, waiter: asyncio.Future[None]
    ) -> "UdpTransport":
        """Bind a socket; the protocol hears of it on the loop's next turn.

        Raises:
            OSError: The port is taken, or the address is not this host's.
        """
        transport = UdpTransport(self._host, protocol, self.ports.choose(local), remote)
        self.ports.bind(transport.local, transport)
        transport.loop.call_soon(protocol.connection_made, transport)
        transport.loop.call_soon(waiter.set_result, None)
        return transport

    def receive(self, packet: Packet, datagram: Datagram) -> None:
        """A datagram has arrived (rules 2 and 4)."""
        transport = self.ports.find(packet.destination, datagram.destination_port)
        if transport is None:
            self._host.refuse(packet, _NOBODY_ON_PORT)
        else:
            transport.receive(datagram.data, (packet.source, datagram.source_port))

    def unreachable(self, datagram: Datagram, about: Packet, *, too_large: bool) -> None:
        """A datagram of ours could not be delivered (rule 4)."""
        transport = self.ports.find(about.source, datagram.source_port)
        if transport is not None and transport.remote is not None:
            transport.refused(errno.EMSGSIZE if too_large else errno.ECONNREFUSED)


class UdpTransport(asyncio.DatagramTransport):
    """What asyncio's programs hold of a UDP socket."""

    def __init__(
        self, host: "Host", protocol: asyncio.DatagramProtocol, local: Address, remote: Address | None
    ) -> None:
        self._info = SocketInfo("udp", local, remote)
        super().__init__({"sockname": local, "peername": remote, "socket": self._info})
        self.loop = host.network.loop
        self.local = local
        self.remote = remote
        self._host = host
        self._protocol = protocol
        self._context = copy_context()
        self._closing = False

    def __repr__(self) -> str:
        return f"<UdpTransport {self._host.name} {self.local}>"

    # --8<-- [start:sendto]
    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send a datagram (rules 1 and 3).

        Raises:
            TypeError: ``data`` is not bytes, or ``addr`` is not a pair of host and port.
            ValueError: The socket is connected to another address, or to none and ``addr`` is missing.
            OverflowError: The port is none.
        """
        if not isinstance(data, _BYTES):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if self._closing:
            return
        if self.remote is not None:
            if addr is not None and addr[:2] != self.remote:
                raise ValueError(f"this socket is connected to {self.remote}, so it cannot send to {addr}")
            name, port = self.remote
        elif addr is None:
            raise ValueError("this socket is not connected, so sendto() needs an address")
        else:
            name, port = _pair(addr)
        if len(data) > LARGEST:
            text = f"{os.strerror(errno.EMSGSIZE)}: {len(data)} bytes, but {LARGEST} at most"
            self._protocol.error_received(OSError(errno.EMSGSIZE, text))
            return
        try:
            host = self._host.network.resolve(name)
            source = self.local[0] if self.local[0] != ANY else self._host.source_for(host)
            datagram = Datagram(self.local[1], port, bytes(data))
            self._host.send(source, host, datagram, dont_fragment=self._info.dont_fragment)
        except OSError as error:
            self._protocol.error_received(error)

    # --8<-- [end:sendto]

    def receive(self, data: bytes, source: Address) -> None:
        """A datagram has arrived (rule 2)."""
        if not self._closing and (self.remote is None or self.remote == source):
            self.loop.call_out(self._context, self._protocol.datagram_received, data, source)

    def refused(self, number: int) -> None:
        """The peer's host says that nobody listens there, or a router that the way is too narrow (rule 4)."""
        error = OSError(number, f"{os.strerror(number)}: {self.remote}")
        self.loop.call_out(self._context, self._protocol.error_received, error)

    def close(self) -> None:
        """Free the port."""
        if not self.is_closing():
            self._closing = True
            self._host.udp.ports.free(self.local)
            self.loop.call_soon(self._protocol.connection_lost, None, context=self._context)

    abort = close

    def is_closing(self) -> bool:
        """Whether it was closed; the end of a run closes all."""
        return self._closing or self.loop.is_closed()

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whom it serves."""
        return self._protocol

    def get_write_buffer_size(self) -> int:
        """Nothing ever waits (rule 5)."""
        return 0


def _pair(address: Any) -> Address:
    try:
        name, port = address[0], address[1]
    except (TypeError, LookupError):
        name = port = None
    if not isinstance(name, str) or not isinstance(port, int):
        raise TypeError(f"an address is a pair such as ('server', 9000), not {address!r}")
    check_port(port)
    return name, port
