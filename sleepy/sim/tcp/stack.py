"""The TCP of a host: finds whom a segment is for, and gives `Connection` a clock and a network.

A `Socket` is what the operating system keeps behind a program's back: it lives on after the program has closed it, until
the connection has ended in order.
"""

import asyncio
import errno
import math
import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sleepy.sim.packet import IP_HEADER, TCP_HEADER, Packet, Segment
from sleepy.sim.sockets import ANY, EPHEMERAL, Address, Ports
from sleepy.sim.tcp.connection import Closed, Connection, Event, Failure, Opened, State

if TYPE_CHECKING:
    from sleepy.sim.host import Host

_ERRORS: Final = {
    Failure.REFUSED: (errno.ECONNREFUSED, "nobody listens at"),
    Failure.RESET: (errno.ECONNRESET, "by"),
    Failure.TIMED_OUT: (errno.ETIMEDOUT, "no answer from"),
    Failure.UNREACHABLE: (errno.ENETUNREACH, "no way to"),
}


class Socket:
    """One end of a connection, with its clock and its way to the network.

    Args:
        host: Where it is.
        local: Its own address and port.
        remote: The peer's.
        seq: The number of its SYN.

    Attributes:
        connection: What decides.
        user: Is told of every event, in order; what happens before there is one is kept for it.
    """

    def __init__(self, host: "Host", local: Address, remote: Address, seq: int) -> None:
        self.host = host
        self.local = local
        self.remote = remote
        mss = host.network.path_mtu(host, remote[0]) - IP_HEADER - TCP_HEADER
        self.connection = Connection(local[1], remote[1], seq, mss)
        self.user: Callable[[Event], object] | None = None
        self._events: deque[Event] = deque()
        self._telling = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def now(self) -> float:
        """The virtual time, in seconds."""
        return self.host.network.loop.now

    def attach(self, user: Callable[[Event], object]) -> None:
        """Have somebody told of events, those that were kept first."""
        self.user = user
        self._tell()

    # --8<-- [start:pump]
    def pump(self) -> None:
        """After anything was done to the connection: send what it wants sent, tell what happened, set the timer."""
        connection = self.connection
        segments, connection.segments = connection.segments, []
        for segment in segments:
            try:
                self.host.send(self.local[0], self.remote[0], segment)
            except OSError:
                connection.unreachable()
        self._events.extend(connection.events)
        connection.events.clear()
        self._set_timer()
        if connection.state is State.CLOSED:
            self.host.tcp.forget(self)
        self._tell()

    # --8<-- [end:pump]

    def error(self, failure: Failure) -> OSError:
        """What a program is to catch; Python picks the subclass by the number."""
        number, relation = _ERRORS[failure]
        return OSError(number, f"{os.strerror(number)}: {relation} {self.remote[0]}:{self.remote[1]}")

    def _tell(self) -> None:
        """One event at a time: what a program does about one must not bring it the next before it is done."""
        if self._telling:
            return
        self._telling = True
        try:
            while self._events and self.user is not None:
                self.user(self._events.popleft())
        finally:
            self._telling = False

    def _set_timer(self) -> None:
        """Have `_tick` called in time. A timer that is early is left alone: it will see that nothing is due."""
        wake = self.connection.wake
        if self._timer is not None:
            if self._timer.when() <= wake < math.inf:
                return
            self._timer.cancel()
            self._timer = None
        if wake < math.inf:
            self._timer = self.host.network.loop.call_at(wake, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self.connection.wake <= self.now:
            self.connection.tick(self.now)
        self.pump()


class TcpStack:
    """The TCP sockets of a host."""

    def __init__(self, host: "Host") -> None:
        self.ports: Ports[Callable[[Socket], None]] = Ports(host)  # listeners: they get each connection that opens
        self._host = host
        self._sockets: dict[tuple[Address, Address], Socket] = {}

    async def connect(self, local: Address, remote: Address) -> Socket:
        """Open a connection; cancelling the call gives it up.

        Raises:
            OSError: Nobody listens there, nobody answers, there is no way, or the local port is taken.
        """
        socket = self._new_socket(self._choose_local(local, remote), remote)
        opened: asyncio.Future[None] = self._host.network.loop.create_future()

        def hear(event: Event) -> None:
            socket.user = None  # what comes next is for the transport
            if opened.done():
                return
            if isinstance(event, Closed) and event.failure is not None:
                opened.set_exception(socket.error(event.failure))
            else:
                opened.set_result(None)

        socket.attach(hear)
        socket.connection.connect(socket.now)
        socket.pump()
        try:
            await opened
        except asyncio.CancelledError:
            socket.connection.abort()
            socket.pump()
            raise
        return socket

    # --8<-- [start:receive]
    def receive(self, packet: Packet, segment: Segment) -> None:
        """A segment has arrived."""
        local, remote = (packet.destination, segment.destination_port), (packet.source, segment.source_port)
        socket = self._sockets.get((local, remote))
        calls = segment.syn and segment.ack is None
        if socket is not None and not (calls and socket.connection.state is State.TIME_WAIT):
            socket.connection.receive(segment, socket.now)
            socket.pump()
        elif calls and (listener := self.ports.find(*local)) is not None:
            self._accept(listener, local, remote, segment)
        elif not segment.rst:
            self._reset(local, remote, segment)

    # --8<-- [end:receive]

    def unreachable(self, segment: Segment, about: Packet) -> None:
        """A segment of ours could not be delivered."""
        key = (about.source, segment.source_port), (about.destination, segment.destination_port)
        socket = self._sockets.get(key)
        if socket is not None:
            socket.connection.unreachable()
            socket.pump()

    def forget(self, socket: Socket) -> None:
        """The connection is over."""
        if self._sockets.get((socket.local, socket.remote)) is socket:
            del self._sockets[socket.local, socket.remote]

    def _accept(self, listener: Callable[[Socket], None], local: Address, remote: Address, syn: Segment) -> None:
        socket = self._new_socket(local, remote)

        def hear(event: Event) -> None:
            socket.user = None
            if isinstance(event, Opened):
                listener(socket)

        socket.attach(hear)
        socket.connection.accept(syn, socket.now)
        socket.pump()

    def _reset(self, local: Address, remote: Address, segment: Segment) -> None:
        """Say that there is no such connection (RFC 9293, section 3.5.2, group 1)."""
        seq, ack = (segment.ack, None) if segment.ack is not None else (0, segment.end)
        self._host.send(local[0], remote[0], Segment(local[1], remote[1], seq, ack, rst=True))

    def _new_socket(self, local: Address, remote: Address) -> Socket:
        socket = Socket(self._host, local, remote, self._host.random.getrandbits(32))
        self._sockets[local, remote] = socket
        return socket

    def _choose_local(self, local: Address, remote: Address) -> Address:
        address = self._host.source_for(remote[0]) if local[0] == ANY else local[0]
        if local[1]:
            if ((address, local[1]), remote) in self._sockets:
                raise OSError(errno.EADDRINUSE, f"{os.strerror(errno.EADDRINUSE)}: {address}:{local[1]} to {remote}")
            return address, local[1]
        for _ in EPHEMERAL:
            chosen = address, self.ports.ephemeral(address)
            if (chosen, remote) not in self._sockets:
                return chosen
        raise OSError(errno.EADDRNOTAVAIL, f"all {len(EPHEMERAL)} ports for clients are connected to {remote}")
