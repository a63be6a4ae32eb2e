"""A listening server, for programs that hold what ``asyncio.start_server`` returns.

Rules, as asyncio keeps them since Python 3.12:

1. After `close` nobody new is accepted; the connections there are live on.
2. `wait_closed` waits for the last of them.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING

from sleepy.sim.sockets import Address, SocketInfo
from sleepy.sim.tcp.stack import Socket
from sleepy.sim.tcp.transport import TcpTransport

if TYPE_CHECKING:
    from sleepy.sim.host import Host


class SimulatedServer(asyncio.AbstractServer):
    """Accepts connections on ports of a host.

    Args:
        host: Where.
        addresses: On which of its addresses and ports.
        protocol_factory: Makes a protocol for each connection.

    Raises:
        OSError: A port is taken, or an address is not the host's.
    """

    def __init__(
        self, host: "Host", addresses: Sequence[Address], protocol_factory: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        self._host = host
        self._protocol_factory = protocol_factory
        self._context = copy_context()
        self._transports: dict[TcpTransport, None] = {}  # in the order of their coming
        self._waiters: list[asyncio.Future[None]] = []
        self._forever: asyncio.Future[None] | None = None
        self._serving = False
        self._closed = False
        self._addresses: list[Address] = []
        try:
            for address in addresses:
                chosen = host.tcp.ports.choose(address)
                host.tcp.ports.bind(chosen, self._refuse)
                self._addresses.append(chosen)
        except OSError:
            self.close()  # all or none
            raise

    @property
    def sockets(self) -> tuple[SocketInfo, ...]:
        """What stands for the listening sockets."""
        return () if self._closed else tuple(SocketInfo("tcp", address, None) for address in self._addresses)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it runs on."""
        return self._host.network.loop

    def is_serving(self) -> bool:
        """Whether it accepts connections."""
        return self._serving

    async def start_serving(self) -> None:
        """Accept connections from now on."""
        self.begin()

    def begin(self) -> None:
        """The same for those who cannot wait."""
        if self._closed:
            raise RuntimeError(f"server {self!r} is closed")
        self._serving = True
        for address in self._addresses:
            self._host.tcp.ports.bind(address, self._accept)

    async def serve_forever(self) -> None:
        """Accept connections until cancelled; then close."""
        if self._forever is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        self.begin()
        self._forever = self.get_loop().create_future()
        try:
            await self._forever
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise
        finally:
            self._forever = None

    def close(self) -> None:
        """Accept no more (rule 1)."""
        if self._closed:
            return
        self._closed, self._serving = True, False
        for address in self._addresses:
            self._host.tcp.ports.free(address)
        if self._forever is not None and not self._forever.done():
            self._forever.cancel()
        self._wake()

    def close_clients(self) -> None:
        """Close all connections."""
        for transport in list(self._transports):
            transport.close()

    def abort_clients(self) -> None:
        """Reset all connections."""
        for transport in list(self._transports):
            transport.abort()

    async def wait_closed(self) -> None:
        """Wait until it is closed and the last connection is lost (rule 2)."""
        if not self._closed or self._transports:
            waiter: asyncio.Future[None] = self.get_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    # --8<-- [start:accept]
    def _accept(self, socket: Socket) -> None:
        """A connection has opened."""
        self._host.network.loop.call_out(self._context.copy(), self._serve, socket)

    def _serve(self, socket: Socket) -> None:
        context = copy_context()
        try:
            protocol = self._protocol_factory()
        except Exception:
            self._refuse(socket)  # else the peer would wait for somebody who will never be there
            raise
        transport = TcpTransport(socket, protocol, context, self._lose)
        if not transport.is_closing():
            self._transports[transport] = None

    # --8<-- [end:accept]

    def _refuse(self, socket: Socket) -> None:
        """A connection has opened, but nobody serves it."""
        socket.connection.abort()
        socket.pump()

    def _lose(self, transport: TcpTransport) -> None:
        self._transports.pop(transport, None)
        self._wake()

    def _wake(self) -> None:
        if self._closed and not self._transports:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()
