"""Server: listens, and lets a `Session` answer what comes on each connection (with `Multiplex`: a `MultiplexSession`).

What is here concerns all connections together: how many there may be, how many requests may be at work, and how it ends.

A server that is full says so and closes (HTTP: status 503), rather than to let newcomers wait unseen in the kernel: who is
refused can ask elsewhere at once, and a load balancer notices. Those in a queue inside are a different matter. A request
that has been read has a place, and waits for its turn in the order of arrival; its peer may give up meanwhile.

A handler that raises is answered with status 500 and logged. What is no request is answered with the status that names the
fault, and the connection is closed.

One process serves on one core. For more, start as many and let each listen on the same port with ``reuse_port``: the kernel
spreads the connections over them (see ``examples/tcp_workers.py``).
"""

import asyncio
import itertools
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, cast

from sleepy.tcp.codec import A, Codec, Q
from sleepy.tcp.errors import RemoteProtocolError
from sleepy.tcp.http.http1 import Http1
from sleepy.tcp.multiplex import Multiplex
from sleepy.tcp.serving.multiplex_session import MultiplexSession
from sleepy.tcp.serving.patience import Limits
from sleepy.tcp.serving.session import Session, SessionOptions

_LINGER = 10.0  # seconds that a peer has to hear our last word
_MAX_REFUSALS = 64  # connections at a time that hear why they are refused; others are just closed
_BACKLOG = 1024  # connections that wait in the kernel to be accepted


class Server(Generic[Q, A]):
    """A server for the peers of these clients; an async context manager that serves while it is entered.

    Times are in seconds. For those that a peer may take, see `sleepy.tcp.serving.patience`.

    Args:
        handler: Is awaited with each request and returns the response.
        host: The address to listen on.
        port: The port to listen on; 0 lets the system choose (see `address`).
        path: Listen on a Unix socket at this path instead; it is removed at the end.
        sock: Listen on this socket instead, which is bound already. It is closed at the end.
        reuse_port: Share the port with other processes that do so.
        tls: Speak TLS, with this context.
        codec: How requests and responses look as bytes; `Http1` if None. With `Multiplex` one connection's requests are
            handled at the same time.
        stream_request_body: Give a request to the handler as soon as its head is there (StreamRequestBody). If it has a
            body, ``request.stream`` brings it, an asynchronous iterator of bytes; ``request.trailers`` are there at its end.
        max_connections: How many connections there may be (fasthttp: Concurrency). Who comes beyond is answered with status
            503, if the protocol has that, and closed. None for as many as the system allows.
        max_requests_in_flight: How many requests, of all connections, may be in the handler's hands at once; the others wait
            in the order in which they came. None for no limit but one for each connection.
        max_requests_per_connection: After so many the connection is closed (MaxRequestsPerConn); None for any number.
        max_request_body_size: The longest body accepted, in bytes (MaxRequestBodySize); None for any. A longer one is
            refused as soon as its length is known.
        max_queued_requests: How many requests of one connection may wait for those before them.
        idle_timeout: How long a connection may be without a request (IdleTimeout); None for ever.
        read_header_timeout: How long a request's head may take from its first byte, and a TLS handshake; None for ever.
        read_timeout: The period in which a request's body must move (ReadTimeout); None for any.
        write_timeout: The period in which an answer must be taken or at least move (WriteTimeout); None for any.
        min_rate: What must move in those two periods, in bytes per second; with 0 any byte will do.
        drain_timeout: How long `close` lets running requests end, and peers take their answers.
        clock: Tells the time of day, in seconds since 1970, for the answers' ``Date`` (not NoDefaultDate); None for none.
            Simulated runs that are to be the same to the byte need the loop's time, or none.

    Raises:
        ValueError: An option that makes no sense; the message says which.
    """

    def __init__(
        self,
        handler: Callable[[Q], Awaitable[A]],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        path: str | None = None,
        sock: socket.socket | None = None,
        reuse_port: bool = False,
        tls: ssl.SSLContext | None = None,
        codec: Codec[Q, A] | None = None,
        stream_request_body: bool = False,
        max_connections: int | None = None,
        max_requests_in_flight: int | None = None,
        max_requests_per_connection: int | None = None,
        max_request_body_size: int | None = 4 * 1024 * 1024,
        max_queued_requests: int = 64,
        idle_timeout: float | None = 60.0,
        read_header_timeout: float | None = 10.0,
        read_timeout: float | None = 30.0,
        write_timeout: float | None = 30.0,
        min_rate: float = 240.0,
        drain_timeout: float = 5.0,
        clock: Callable[[], float] | None = time.time,
    ) -> None:
        counts = {
            "max_connections": max_connections,
            "max_requests_in_flight": max_requests_in_flight,
            "max_requests_per_connection": max_requests_per_connection,
            "max_queued_requests": max_queued_requests,
        }
        for name, count in counts.items():
            if count is not None and count < 1:
                raise ValueError(f"{name} of {count} would let nothing through; the least is 1")
        times = {
            "idle_timeout": idle_timeout,
            "read_header_timeout": read_header_timeout,
            "read_timeout": read_timeout,
            "write_timeout": write_timeout,
        }
        for name, seconds in times.items():
            if seconds is not None and seconds <= 0:
                raise ValueError(f"{name} of {seconds} s would close every connection; None means no limit")
        if path is not None and sock is not None:
            raise ValueError("path and sock are two places to listen; give one of them")
        self._handler = handler
        self._host = host
        self._port = port
        self._path = path
        self._sock = sock
        self._reuse_port = reuse_port
        self._tls = tls
        self._codec = cast("Codec[Q, A]", Http1()) if codec is None else codec  # Q and A are HTTP's then
        self._max_connections = max_connections
        self._max_in_flight = max_requests_in_flight
        self._handshake_timeout = read_header_timeout
        self._drain_timeout = drain_timeout
        self._turns: asyncio.Semaphore | None = None
        self._options = SessionOptions(
            Limits(read_header_timeout, read_timeout, write_timeout, idle_timeout, _LINGER, min_rate),
            max_request_body_size,
            max_queued_requests,
            max_requests_per_connection,
            stream_request_body,
            clock,
        )
        self._numbers = itertools.count()
        self._sessions: dict[Session[Q, A] | MultiplexSession, None] = {}  # in order: a simulated run repeats itself
        self._refused: set[Session[Q, A] | MultiplexSession] = set()
        self._server: asyncio.Server | None = None
        self._closed = False

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: host and port.

        Raises:
            RuntimeError: It does not listen, or on a Unix socket.
        """
        if self._server is None:
            raise RuntimeError("the server is not listening: use it as `async with Server(...) as server`")
        name = self._server.sockets[0].getsockname()
        if isinstance(name, str):
            raise RuntimeError(f"the server listens on the Unix socket {name!r}, which has neither host nor port")
        host, port = name[:2]
        return host, port

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._closed = False
        self._turns = None if self._max_in_flight is None else asyncio.Semaphore(self._max_in_flight)
        options: dict[str, Any] = {}
        if self._tls is not None:
            options = {"ssl": self._tls, "ssl_handshake_timeout": self._handshake_timeout}
        if self._reuse_port:
            options["reuse_port"] = True
        if self._path is not None:
            self._server = await loop.create_unix_server(self._accept, self._path, backlog=_BACKLOG, **options)
        elif self._sock is not None:
            if self._sock.family != getattr(socket, "AF_UNIX", None):
                # Connections inherit it. asyncio sets it only if the socket was made with TCP's number.
                self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._server = await loop.create_server(self._accept, sock=self._sock, backlog=_BACKLOG, **options)
        else:
            self._server = await loop.create_server(self._accept, self._host, self._port, backlog=_BACKLOG, **options)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, timeout: float | None = None) -> None:
        """Stop listening, close what is idle, let running requests end for a while, then close every connection.

        Args:
            timeout: How long they may take, in seconds; ``drain_timeout`` if None.
        """
        if self._server is None:
            return
        server, self._server = self._server, None
        self._closed = True
        server.close()
        if self._path is not None:
            with suppress(FileNotFoundError):  # since Python 3.13 asyncio has removed it
                Path(self._path).unlink()  # noqa: ASYNC240 -- nothing to wait for
        ends: list[asyncio.Task[None]] = []
        for session in list(self._sessions):
            session.drain()
            ends.append(asyncio.create_task(session.wait_closed()))
        try:
            if ends:
                await asyncio.wait(ends, timeout=self._drain_timeout if timeout is None else timeout)
        finally:
            for session in list(self._sessions):
                session.connection.abort()
        await asyncio.gather(*ends)
        await server.wait_closed()

    def _accept(self) -> asyncio.Protocol:
        codec: object = self._codec
        handler = self._handler if self._turns is None else self._handle_in_turn
        session: Session[Q, A] | MultiplexSession
        if isinstance(codec, Multiplex):  # Q and A are bytes then
            session = MultiplexSession(
                cast("Callable[[bytes], Awaitable[bytes]]", handler),
                codec,
                codec.request_reader(self._options.max_request_body_size),
                self._enter,
                self._leave,
                next(self._numbers),
                self._options.max_queued_requests,
                self._options.limits,
            )
        else:
            session = Session(handler, self._codec, self._options, self._enter, self._leave, next(self._numbers))
        return session.connection.protocol

    async def _handle_in_turn(self, request: Q) -> A:
        assert self._turns is not None  # noqa: S101 -- it is there as long as this is called
        async with self._turns:
            return await self._handler(request)

    def _enter(self, session: "Session[Q, A] | MultiplexSession") -> None:
        full = self._max_connections is not None and len(self._sessions) - len(self._refused) >= self._max_connections
        self._sessions[session] = None
        if self._closed or (full and len(self._refused) >= _MAX_REFUSALS):  # between the accepting and the making
            session.connection.abort()
        elif full:
            self._refused.add(session)
            session.refuse(RemoteProtocolError("the server has as many connections as it can serve", status=503))

    def _leave(self, session: "Session[Q, A] | MultiplexSession") -> None:
        self._sessions.pop(session, None)
        self._refused.discard(session)
