"""What asyncio's programs hold of a TCP connection.

Rules, as asyncio's own transports keep them:

1. What is written beyond the send buffer waits in the transport. Above the high-water mark the protocol is told to pause,
   below the low one to go on: that is how a slow reader, far away, slows a writer.
2. A protocol that pauses reading leaves bytes in the receive buffer; the window shuts, and the peer has to wait.
3. `close` sends what was written, then ends; the protocol hears ``connection_lost(None)`` as soon as all is in the send
   buffer. What the peer says after that is answered by a reset, and so is what came before and was not read.
4. `abort` resets. An error ends the connection, and the protocol hears of it in ``connection_lost``.
5. At the peer's end the protocol's ``eof_received`` decides whether we may still send; if not, the transport closes.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Final, cast

from sleepy.sim.sockets import SocketInfo
from sleepy.sim.tcp.connection import Acknowledged, Closed, Ended, Event, Received
from sleepy.sim.tcp.stack import Socket

SEND_BUFFER: Final = 1 << 20  # bytes; Linux's would grow to about this in a fast transfer
HIGH_WATER: Final = 64 * 1024  # bytes; asyncio's


class TcpTransport(asyncio.Transport):
    """A connection, for its protocol.

    Args:
        socket: The connection.
        protocol: Whom it serves.
        context: In which the protocol's callbacks run.
        closed: Called when the connection is lost.
    """

    def __init__(
        self,
        socket: Socket,
        protocol: asyncio.BaseProtocol,
        context: Context,
        closed: Callable[["TcpTransport"], object],
    ) -> None:
        info = SocketInfo("tcp", socket.local, socket.remote, self._set_nodelay)
        super().__init__({"sockname": socket.local, "peername": socket.remote, "socket": info})
        self._socket = socket
        self._connection = socket.connection
        self._loop = socket.host.network.loop
        self._context = context
        self._closed = closed
        self._closing = False
        self._lost = False
        self._reading = True
        self._writing_paused = False
        self._ended = False  # by us
        self._unread = bytearray()
        self._end_unread = False  # the peer has ended, and the protocol does not know
        self.set_write_buffer_limits()
        self.set_protocol(protocol)
        self._call(protocol.connection_made, self)
        socket.attach(self._hear)

    def __repr__(self) -> str:
        return f"<TcpTransport {self._socket.local} {self._socket.remote} {self._connection.state.value}>"

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Serve another."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whom it serves."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether it is closing or closed; the end of a run closes all."""
        return self._closing or self._loop.is_closed()

    # ------------------------------------------------------------------ what has happened

    def _hear(self, event: Event) -> None:
        if self._lost:
            return
        match event:
            case Received(data):
                self._unread += data
                self._deliver()
            case Ended():
                self._end_unread = True
                self._deliver()
            case Acknowledged():
                self._note_room()
            case Closed(failure) if failure is not None:
                self._lose(self._socket.error(failure))
            case _:
                pass

    # ------------------------------------------------------------------ reading

    def _deliver(self) -> None:
        """Hand over what has arrived, for as long as the protocol wants to read (rule 2)."""
        while self._unread and self._reading and not self._closing:
            data = bytes(self._unread)
            try:
                taken = self._context.run(self._feed, data)
            except Exception as error:  # noqa: BLE001  # programs' callbacks may raise anything
                self._fail(error)
                return
            del self._unread[:taken]
            self._connection.read(taken, self._socket.now)
            self._socket.pump()
        if self._end_unread and not self._unread and self._reading and not self._closing:
            self._end_unread = False
            self._deliver_end()

    def _feed(self, data: bytes) -> int:
        if not isinstance(self._protocol, asyncio.BufferedProtocol):
            cast("asyncio.Protocol", self._protocol).data_received(data)
            return len(data)
        buffer = memoryview(self._protocol.get_buffer(len(data)))
        taken = min(len(buffer), len(data))
        if not taken:
            raise RuntimeError("get_buffer() returned an empty buffer")
        buffer[:taken] = data[:taken]
        self._protocol.buffer_updated(taken)
        return taken

    def _deliver_end(self) -> None:
        """Rule 5."""
        protocol = cast("asyncio.Protocol | asyncio.BufferedProtocol", self._protocol)
        try:
            keep_open = self._context.run(protocol.eof_received)
        except Exception as error:  # noqa: BLE001  # programs' callbacks may raise anything
            self._fail(error)
            return
        if not keep_open:
            self.close()

    def pause_reading(self) -> None:
        """Leave what arrives in the receive buffer (rule 2)."""
        self._reading = False

    def resume_reading(self) -> None:
        """Take it again."""
        if not self._reading and not self._closing:
            self._reading = True
            self._loop.call_soon(self._deliver, context=self._context.copy())

    def is_reading(self) -> bool:
        """Whether what arrives is handed over."""
        return self._reading and not self._closing

    # ------------------------------------------------------------------ writing

    def _set_nodelay(self, nodelay: bool) -> None:
        """A program has set ``TCP_NODELAY`` on the socket."""
        self._connection.set_nodelay(nodelay, self._socket.now)
        self._socket.pump()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, some time.

        Raises:
            TypeError: Not bytes.
            RuntimeError: After `write_eof`.
        """
        if not isinstance(data, bytes | bytearray | memoryview):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if self._ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        self._connection.write(bytes(data), self._socket.now)
        self._socket.pump()
        if self.get_write_buffer_size() > self._high and not self._writing_paused:  # rule 1
            self._writing_paused = True
            self._protocol.pause_writing()

    def _note_room(self) -> None:
        if self._writing_paused and self.get_write_buffer_size() <= self._low:
            self._writing_paused = False
            self._call(self._protocol.resume_writing)
        if self._closing and not self.get_write_buffer_size():
            self._leave()

    def write_eof(self) -> None:
        """Have no more to say; the peer may."""
        if not self._ended and not self._closing:
            self._ended = True
            self._connection.finish(self._socket.now)
            self._socket.pump()

    def can_write_eof(self) -> bool:
        """TCP can."""
        return True

    def get_write_buffer_size(self) -> int:
        """How many bytes wait for room in the send buffer."""
        return max(0, self._connection.sender.buffered - SEND_BUFFER)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks of rule 1.

        Raises:
            ValueError: Not 0 <= low <= high.
        """
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not 0 <= low <= high:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high, self._low = high, low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The marks of rule 1: low, high."""
        return self._low, self._high

    # ------------------------------------------------------------------ ending (rules 3 and 4)

    def close(self) -> None:
        """Send what was written, then end."""
        if self.is_closing():
            return
        self._closing = True
        if self._unread:
            self.abort()
        elif not self.get_write_buffer_size():
            self._leave()

    def abort(self) -> None:
        """End at once, by a reset."""
        self._connection.abort()
        self._socket.pump()
        self._lose(None)

    def _leave(self) -> None:
        """All is in the send buffer; the rest is the stack's."""
        self._connection.desert(self._socket.now)
        self._socket.pump()
        self._lose(None)

    def _fail(self, error: Exception) -> None:
        """The protocol has raised: asyncio ends its connection."""
        context = {"message": "Fatal error: protocol call failed", "exception": error}
        self._loop.call_exception_handler({**context, "transport": self, "protocol": self._protocol})
        self._connection.abort()
        self._socket.pump()
        self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        self._closing = True
        if not self._lost:
            self._lost = True
            self._loop.call_soon(self._tell_lost, error, context=self._context.copy())

    def _tell_lost(self, error: Exception | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._closed(self)

    def _call(self, callback: Callable[..., object], *args: object) -> None:
        self._loop.call_out(self._context.copy(), callback, *args)
