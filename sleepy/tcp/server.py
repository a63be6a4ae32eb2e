"""Server: answers requests, on each connection in the order in which they came.

A pipelining client sends more requests before the first is answered. They queue here and are handled one after another, so
that answers leave in order (RFC 9112, section 9.3.2) and one connection never occupies more than one handler. A connection
whose queue is full is not read from until there is room, and one whose peer does not read is not written to: both push back
through TCP, and memory stays bounded.

A handler that raises is answered with status 500 and logged. What is no request is answered with the status that names the
fault, and the connection is closed: where the next request begins is anybody's guess.
"""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from sleepy.tcp.connection import Connection
from sleepy.tcp.errors import RemoteProtocolError
from sleepy.tcp.http1 import Http1
from sleepy.tcp.messages import Request, Response

Handler = Callable[[Request], Awaitable[Response]]

_log = logging.getLogger("sleepy.tcp")


class Server:
    """An HTTP/1.1 server; an async context manager that serves while it is entered.

    Args:
        handler: Is awaited with each request and returns the response.
        host: The address to listen on.
        port: The port to listen on; 0 lets the system choose (see `address`).
        codec: How requests and responses look as bytes; `Http1` if None.
        max_request_body_size: The longest body accepted, in bytes (fasthttp: MaxRequestBodySize).
        max_queued_requests: How many requests of one connection may wait for those before them.
        idle_timeout: A connection on which no request becomes whole for so long is closed, in seconds (IdleTimeout,
            ReadTimeout); None for never.
        drain_timeout: How long `close` lets running requests end, in seconds.
    """

    def __init__(
        self,
        handler: Handler,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        codec: Http1 | None = None,
        max_request_body_size: int | None = 4 * 1024 * 1024,
        max_queued_requests: int = 64,
        idle_timeout: float | None = 60.0,
        drain_timeout: float = 5.0,
    ) -> None:
        self._handler = handler
        self._host = host
        self._port = port
        self._codec = Http1() if codec is None else codec
        self._max_request_body_size = max_request_body_size
        self._max_queued_requests = max_queued_requests
        self._idle_timeout = idle_timeout
        self._drain_timeout = drain_timeout
        self._numbers = itertools.count()
        self._sessions: set[_Session] = set()
        self._server: asyncio.Server | None = None

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
        self._server.close()
        self._server = None
        sessions = list(self._sessions)
        running = [task for session in sessions if (task := session.drain()) is not None]
        if running:
            await asyncio.wait(running, timeout=self._drain_timeout)
        for session in sessions:
            await session.stop()

    def _accept(self) -> Connection[Request]:
        session = _Session(self._handler, self._codec, self._sessions, self._max_queued_requests, self._idle_timeout)
        reader = self._codec.request_reader(self._max_request_body_size)
        session.connection = Connection(session, reader, next(self._numbers))
        self._sessions.add(session)
        return session.connection


class _Session:
    """One connection's requests and the task that answers them."""

    connection: Connection[Request]

    def __init__(
        self,
        handler: Handler,
        codec: Http1,
        sessions: "set[_Session]",
        max_queued: int,
        idle_timeout: float | None,
    ) -> None:
        self._handler = handler
        self._codec = codec
        self._sessions = sessions
        self._max_queued = max_queued
        self._idle_timeout = idle_timeout
        self._queue: deque[Request | RemoteProtocolError] = deque()
        self._reading = True
        self._no_more = False  # the connection is to be closed when the queue is empty
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._active_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._watch()

    # --8<-- [start:serve]
    async def _serve(self) -> None:
        """Answer what is queued, in order."""
        while self._queue:
            request = self._queue.popleft()
            self._read_if_room()
            if isinstance(request, RemoteProtocolError):
                self._say_last(request)
                return
            data, keep_alive = await self._answer(request)
            self._active_at = self._loop.time()
            self.connection.write(data)
            if not keep_alive:
                self.connection.close()
                return
            await self.connection.drain()
        if self._no_more:
            self.connection.close()

    async def _answer(self, request: Request) -> tuple[bytes, bool]:
        """Ask the handler; give the bytes of its answer, and whether another may follow."""
        try:
            response = await self._handler(request)
            keep_alive = response.keep_alive and request.keep_alive and not (self._no_more and not self._queue)
            return self._codec.encode_response(response, request, keep_alive=keep_alive), keep_alive
        except Exception:  # noqa: BLE001 -- whatever a handler raises is answered
            _log.exception("the handler failed on %s %s", request.method, request.url)
            return self._codec.encode_response(
                Response(500), request, keep_alive=request.keep_alive
            ), request.keep_alive

    # --8<-- [end:serve]

    def _say_last(self, error: RemoteProtocolError) -> None:
        response = Response(error.status, f"{error}\n".encode("ascii", "replace"))
        self.connection.write(self._codec.encode_response(response, Request("GET", "/"), keep_alive=False))
        self.connection.close()

    def _enqueue(self, request: Request | RemoteProtocolError) -> None:
        self._active_at = self._loop.time()
        self._queue.append(request)
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
        busy = self._task is not None and not self._task.done()
        idle = 0.0 if busy else self._loop.time() - self._active_at
        if idle >= self._idle_timeout:
            self.connection.close()
        else:
            self._timer = self._loop.call_later(self._idle_timeout - idle, self._watch)

    def drain(self) -> asyncio.Task[None] | None:
        """Take no more requests. Gives the task that still answers; None if the connection could be closed at once."""
        self._no_more = True
        if self._task is None or self._task.done():
            self.connection.close()
            return None
        self._read_if_room()
        return self._task

    async def stop(self) -> None:
        """Close the connection, and return when it is closed and its task has ended."""
        if not self.connection.closing:
            self.connection.abort()
        await self.connection.wait_closed()
        if self._task is not None:
            await asyncio.wait([self._task])

    # What the connection tells its owner:

    def received(self, connection: Connection[Request], message: Request) -> None:  # noqa: ARG002 -- it has only one
        """See `sleepy.tcp.connection.Owner`."""
        self._enqueue(message)

    def confused(self, connection: Connection[Request], error: RemoteProtocolError) -> None:  # noqa: ARG002
        """See `sleepy.tcp.connection.Owner`: the fault is answered when its turn comes."""
        self._enqueue(error)
        self._no_more = True
        self._read_if_room()

    def ended(self, connection: Connection[Request]) -> bool:  # noqa: ARG002
        """See `sleepy.tcp.connection.Owner`: what was asked before the end is still answered."""
        self._no_more = True
        return self._task is not None and not self._task.done()

    def lost(self, connection: Connection[Request], error: Exception | None) -> None:  # noqa: ARG002
        """See `sleepy.tcp.connection.Owner`."""
        self._sessions.discard(self)
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
