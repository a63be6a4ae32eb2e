"""Server: answers requests, on each connection in the order in which they came (with `Multiplex`: as they are ready).

A pipelining client sends more requests before the first is answered. They queue here and are handled one after another, so
that answers leave in order (RFC 9112, section 9.3.2) and one connection never occupies more than one handler. A connection
whose queue is full is not read from until there is room, and one whose peer does not read is not written to: both push back
through TCP, and memory stays bounded.

A handler that raises is answered with status 500 and logged. What is no request is answered with the status that names the
fault, and the connection is closed: where the next request begins is anybody's guess.

After its last answer a connection is not closed at once, but when the peer has closed it too (see `Connection.finish`), or
has done nothing for as long as an idle peer may.
"""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Generic, NamedTuple, Self, cast

from sleepy.tcp.codec import A, Codec, Q, RequestReader
from sleepy.tcp.connection import Connection
from sleepy.tcp.errors import RemoteProtocolError
from sleepy.tcp.http1 import Http1
from sleepy.tcp.multiplex import Multiplex
from sleepy.tcp.multiplex_session import MultiplexSession

_log = logging.getLogger("sleepy.tcp")


class Server(Generic[Q, A]):
    """A server for the peers of these clients; an async context manager that serves while it is entered.

    Args:
        handler: Is awaited with each request and returns the response.
        host: The address to listen on.
        port: The port to listen on; 0 lets the system choose (see `address`).
        codec: How requests and responses look as bytes; `Http1` if None. With `Multiplex` one connection's requests are
            handled at the same time.
        max_request_body_size: The longest body accepted, in bytes (fasthttp: MaxRequestBodySize); None for any.
        max_queued_requests: How many requests of one connection may wait for those before them.
        idle_timeout: A connection on which no request becomes whole, and whose peer takes nothing of what it is sent, for so
            long is closed, in seconds (IdleTimeout, ReadTimeout, WriteTimeout); None for never. Handlers may take longer.
        drain_timeout: How long `close` lets running requests end, and peers take their answers, in seconds.

    Raises:
        ValueError: An option that makes no sense; the message says which.
    """

    def __init__(
        self,
        handler: Callable[[Q], Awaitable[A]],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        codec: Codec[Q, A] | None = None,
        max_request_body_size: int | None = 4 * 1024 * 1024,
        max_queued_requests: int = 64,
        idle_timeout: float | None = 60.0,
        drain_timeout: float = 5.0,
    ) -> None:
        if max_queued_requests < 1:
            raise ValueError(f"max_queued_requests of {max_queued_requests} would let nothing through; the least is 1")
        if idle_timeout is not None and idle_timeout <= 0:
            raise ValueError(f"idle_timeout of {idle_timeout} s would close every connection; None means no limit")
        self._handler = handler
        self._host = host
        self._port = port
        self._codec = cast("Codec[Q, A]", Http1()) if codec is None else codec  # Q and A are HTTP's then
        self._max_request_body_size = max_request_body_size
        self._max_queued_requests = max_queued_requests
        self._idle_timeout = idle_timeout
        self._drain_timeout = drain_timeout
        self._numbers = itertools.count()
        self._sessions: set[_Session[Q, A] | MultiplexSession] = set()
        self._server: asyncio.Server | None = None
        self._closed = False

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: host and port.

        Raises:
            RuntimeError: It does not listen.
        """
        if self._server is None:
            raise RuntimeError("the server is not listening: use it as `async with Server(...) as server`")
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._closed = False
        self._server = await loop.create_server(self._accept, self._host, self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop listening, let running requests end for a while, then close every connection."""
        if self._server is None:
            return
        server, self._server = self._server, None
        self._closed = True
        server.close()
        ends: list[asyncio.Task[None]] = []
        for session in list(self._sessions):
            session.drain()
            ends.append(asyncio.create_task(session.wait_closed()))
        try:
            if ends:
                await asyncio.wait(ends, timeout=self._drain_timeout)
        finally:
            for session in list(self._sessions):
                session.connection.abort()
        await asyncio.gather(*ends)
        await server.wait_closed()

    def _accept(self) -> Connection[Q]:
        codec: object = self._codec
        if isinstance(codec, Multiplex):
            return cast("Connection[Q]", self._accept_calls(codec))  # Q and A are bytes then
        session = _Session[Q, A](
            self._handler,
            self._codec,
            self._codec.request_reader(self._max_request_body_size),
            self._enter,
            self._sessions.discard,
            self._max_queued_requests,
            self._idle_timeout,
        )
        session.connection = Connection(session, session.requests, next(self._numbers))
        return session.connection

    def _accept_calls(self, codec: Multiplex) -> Connection[bytes]:
        session = MultiplexSession(
            cast("Callable[[bytes], Awaitable[bytes]]", self._handler),
            codec,
            codec.request_reader(self._max_request_body_size),
            self._enter,
            self._sessions.discard,
            self._max_queued_requests,
            self._idle_timeout,
        )
        session.connection = Connection(session, session.requests, next(self._numbers))
        return session.connection

    def _enter(self, session: "_Session[Q, A] | MultiplexSession") -> None:
        self._sessions.add(session)
        if self._closed:  # between the accepting and the making
            session.connection.abort()


class _Reply(NamedTuple):
    data: bytes
    body: AsyncGenerator[bytes, None] | None  # what follows
    keep_alive: bool  # whether another may follow


class _Session(Generic[Q, A]):
    """One connection's requests and the task that answers them."""

    connection: Connection[Q]

    def __init__(
        self,
        handler: Callable[[Q], Awaitable[A]],
        codec: Codec[Q, A],
        requests: RequestReader[Q],
        enter: "Callable[[_Session[Q, A]], None]",
        leave: "Callable[[_Session[Q, A]], None]",
        max_queued: int,
        idle_timeout: float | None,
    ) -> None:
        self._handler = handler
        self._codec = codec
        self.requests = requests
        self._enter = enter
        self._leave = leave
        self._max_queued = max_queued
        self._idle_timeout = idle_timeout
        self._queue: deque[tuple[Q | RemoteProtocolError, bool]] = deque()  # and whether another may follow
        self._reading = True
        self._handling = False
        self._no_more = False  # no request is taken any more; the connection is finished when the queue is empty
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._active_at = self._loop.time()
        self._unsent = 0  # bytes, at the last watch
        self._timer: asyncio.TimerHandle | None = None

    # --8<-- [start:serve]
    async def _serve(self) -> None:
        """Answer what is queued, in order."""
        try:
            while self._queue:
                request, keep_alive = self._queue.popleft()
                self._read_if_room()
                if isinstance(request, RemoteProtocolError):
                    reply = self._excuse(request, None, keep_alive=False)
                else:
                    reply = await self._answer(request, keep_alive=keep_alive)
                await self._send(reply)
                if not reply.keep_alive:
                    self._queue.clear()
                    self._no_more = True
        except BaseException:  # a handler was cancelled: those behind must not get their answers in its place
            self.connection.abort()
            raise
        if self._no_more:
            self.connection.finish()

    async def _answer(self, request: Q, *, keep_alive: bool) -> "_Reply":
        """Ask the handler; whatever it raises is answered, too."""
        self._handling = True
        try:
            return self._reply(await self._handler(request), request, keep_alive=keep_alive)
        except Exception as error:  # noqa: BLE001 -- see above
            _log.exception("the handler failed on %r", request)
            return self._excuse(error, request, keep_alive=keep_alive)
        finally:
            self._handling = False

    # --8<-- [end:serve]

    def _excuse(self, error: Exception, request: Q | None, *, keep_alive: bool) -> "_Reply":
        answer = self._codec.answer_to(error, request)
        if answer is None:
            return _Reply(b"", None, keep_alive=False)
        return self._reply(answer, request, keep_alive=keep_alive)

    def _reply(self, answer: A, request: Q | None, *, keep_alive: bool) -> "_Reply":
        last = self._no_more and not self._queue
        keep_alive = keep_alive and not last and self._codec.can_follow(answer, request)
        data = self._codec.encode_answer(answer, request, keep_alive=keep_alive)
        return _Reply(data, self._codec.body_of_answer(answer, request), keep_alive)

    async def _send(self, reply: "_Reply") -> None:
        self._active_at = self._loop.time()
        self.connection.write(reply.data)
        if reply.body is not None:
            async with aclosing(reply.body):
                async for piece in reply.body:
                    self.connection.write(piece)
                    await self.connection.drain()
        if reply.keep_alive:
            await self.connection.drain()

    def _enqueue(self, request: Q | RemoteProtocolError, *, keep_alive: bool) -> None:
        self._active_at = self._loop.time()
        self._queue.append((request, keep_alive))
        self._read_if_room()
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._serve())

    def _read_if_room(self) -> None:
        room = len(self._queue) < self._max_queued and not self._no_more
        if room != self._reading and not self.connection.closing:
            self._reading = room
            transport = self.connection.transport
            transport.resume_reading() if room else transport.pause_reading()

    def _watch(self) -> None:
        """Close the connection if it has been idle for too long, else look again when it might have been."""
        if self._idle_timeout is None:
            return
        unsent = self.connection.unsent
        if self._handling or unsent != self._unsent:
            self._active_at = self._loop.time()
        self._unsent = unsent
        idle = self._loop.time() - self._active_at
        if idle >= self._idle_timeout:
            self.connection.abort()
        else:
            self._timer = self._loop.call_later(self._idle_timeout - idle, self._watch)

    def drain(self) -> None:
        """Take no more requests, and close when those taken are answered; at once if there are none."""
        busy = self._task is not None and not self._task.done()
        if busy:
            self._no_more = True
            self._read_if_room()
        elif not self._no_more:
            self._no_more = True
            self.connection.close()

    async def wait_closed(self) -> None:
        """Return when the connection is closed and its task has ended."""
        await self.connection.wait_closed()
        if self._task is not None:
            await asyncio.wait([self._task])

    # What the connection tells its owner:

    def made(self, connection: Connection[Q]) -> None:  # noqa: ARG002 -- it has only one
        """See `sleepy.tcp.connection.Owner`."""
        self._enter(self)
        self._watch()

    def received(self, connection: Connection[Q], message: Q) -> None:  # noqa: ARG002
        """See `sleepy.tcp.connection.Owner`."""
        self._enqueue(message, keep_alive=self.requests.keep_alive)

    def confused(self, connection: Connection[Q], error: RemoteProtocolError) -> None:  # noqa: ARG002
        """See `sleepy.tcp.connection.Owner`: the fault is answered when its turn comes."""
        self._enqueue(error, keep_alive=False)
        self._no_more = True
        self._read_if_room()

    def ended(self, connection: Connection[Q]) -> bool:  # noqa: ARG002
        """See `sleepy.tcp.connection.Owner`: what was asked before the end is still answered."""
        self._no_more = True
        return self._task is not None and not self._task.done()

    def lost(self, connection: Connection[Q], error: Exception | None) -> None:  # noqa: ARG002
        """See `sleepy.tcp.connection.Owner`."""
        self._leave(self)
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
