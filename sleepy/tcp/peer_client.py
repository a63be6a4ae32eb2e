"""What clients to one peer have in common: a request, the future of its answer, and everything that may cut it short.

A caller's request becomes an `Exchange`, and from then on everything happens by events: connections come and go, answers
arrive, deadlines pass. How requests find connections is all that differs between one client and the next, so that is all a
client adds (`_submit`, `_abandon`). Three promises hold for each of them:

1. One deadline bounds the whole exchange, from the call to the last byte. Zero or less is past already: nothing is sent.
2. However the exchange ends (an answer, an error, the deadline, the cancellation of the calling task), it is given up in
   the same way, by `_abandon`, and whatever it held is free again at once.
3. `close` lets pending requests end for a while, then ends them, and returns when every connection and every task of the
   client is gone.
"""

import asyncio
import itertools
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sleepy.tcp.connection import Connection
from sleepy.tcp.dialer import Dialer
from sleepy.tcp.errors import BodyTooLarge, ConnectionClosed, RemoteProtocolError, RequestTimeout
from sleepy.tcp.http1 import Http1, ResponseReader
from sleepy.tcp.messages import HeaderLines, Headers, Request, Response
from sleepy.trace import Trace, Value


@dataclass(slots=True, eq=False)
class Exchange:
    """A request on its way to its answer.

    Attributes:
        id: Its number with its client, for traces.
        request: What is asked.
        data: The same as bytes.
        answer: What the caller awaits.
        connection: Where it was sent, once it was.
        failures: How often it failed in a way that counts against ``max_attempts``.
        was_stale: Whether it met a connection that the peer had closed while it was idle.
    """

    id: int
    request: Request
    data: bytes
    answer: asyncio.Future[Response]
    connection: Connection[Response] | None = None
    failures: int = 0
    was_stale: bool = False

    @property
    def idempotent(self) -> bool:
        """Whether it may be sent twice."""
        return self.request.idempotent

    def succeed(self, response: Response) -> None:
        """Give the caller his answer, unless he has given up."""
        if not self.answer.done():
            self.answer.set_result(response)

    def fail(self, error: Exception) -> None:
        """Give the caller an error, unless he has given up."""
        if not self.answer.done():
            self.answer.set_exception(error)


class PeerClient:
    """A client to one peer; see `HostClient` and `PipelineClient`.

    Args:
        addr: ``host:port``, or several with commas between.
        max_attempts: How often an idempotent request is tried in all.
        dial_timeout: The longest a dial may take, in seconds.
        max_response_body_size: The longest body accepted, in bytes; None for any.
        tls: Speak TLS, with this context; None for plain TCP.
        codec: How requests and responses look as bytes.
        trace: Is told what happens; None for nobody.
    """

    def __init__(
        self,
        addr: str,
        *,
        max_attempts: int,
        dial_timeout: float,
        max_response_body_size: int | None,
        tls: ssl.SSLContext | None,
        codec: Http1 | None,
        trace: Trace | None,
    ) -> None:
        for name, value, least in (
            ("max_attempts", max_attempts, 1),
            ("dial_timeout", dial_timeout, 0.001),
            ("max_response_body_size", max_response_body_size, 0),
        ):
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}; the least is {least}")
        self._dialer = Dialer(addr, tls=tls, timeout=dial_timeout)
        self._authority = addr.partition(",")[0].strip()
        self._max_response_body_size = max_response_body_size
        self._max_attempts = max_attempts
        self._codec = Http1() if codec is None else codec
        self._trace = trace
        self._closed = False
        self._ids = itertools.count()
        self._numbers = itertools.count()
        self._exchanges: set[Exchange] = set()
        self._connections: dict[Connection[Response], ResponseReader] = {}
        self._dials: set[asyncio.Task[None]] = set()

    @property
    def pending_requests(self) -> int:
        """Requests that have been asked and not been answered (fasthttp: PendingRequests)."""
        return len(self._exchanges)

    async def get(self, url: str, *, headers: Headers | HeaderLines = (), timeout: float | None = None) -> Response:
        """Ask with GET; see `do`."""
        return await self.do(Request("GET", url, headers), timeout=timeout)

    async def post(
        self, url: str, body: bytes = b"", *, headers: Headers | HeaderLines = (), timeout: float | None = None
    ) -> Response:
        """Ask with POST; see `do`."""
        return await self.do(Request("POST", url, headers, body), timeout=timeout)

    # --8<-- [start:do]
    async def do(self, request: Request, *, timeout: float | None = None) -> Response:
        """Send a request and wait for its answer.

        Args:
            request: What is asked. The peer is the client's, whatever host the URL names.
            timeout: The longest all of it may take, in seconds; None for as long as it takes.

        Returns:
            The answer, whatever its status.

        Raises:
            RequestTimeout: The time ran out; the error says in which phase.
            ConnectionClosed: The connection ended before the answer did.
            RemoteProtocolError: What came is no answer; `BodyTooLarge` is one of these.
            LocalProtocolError: The request cannot be sent as it is.
            OSError: No connection could be made.
            RuntimeError: The client is closed.
        """
        if self._closed:
            raise RuntimeError("this client is closed")
        if timeout is not None and timeout <= 0:
            raise RequestTimeout("queue", timeout)
        loop = asyncio.get_running_loop()
        data = self._codec.encode_request(request, self._authority)
        exchange = Exchange(next(self._ids), request, data, loop.create_future())
        timer = None if timeout is None else loop.call_later(timeout, self._time_out, exchange, timeout)
        self._exchanges.add(exchange)
        try:
            self._note("request.queued", exchange, target=request.target)
            self._submit(exchange)
            response = await exchange.answer
        except BaseException as error:
            self._abandon(exchange)
            self._note("request.failed", exchange, error=repr(error))
            raise
        finally:
            self._exchanges.discard(exchange)
            if timer is not None:
                timer.cancel()
        self._note("request.done", exchange, status=response.status)
        return response

    # --8<-- [end:do]

    async def close(self, timeout: float = 5.0) -> None:
        """Close the client. No more requests are taken; those pending may still end, for ``timeout`` seconds."""
        self._closed = True
        if self._exchanges:
            await asyncio.wait([exchange.answer for exchange in self._exchanges], timeout=timeout)
        for exchange in list(self._exchanges):
            exchange.fail(ConnectionClosed("this client was closed before the answer came"))
        for dial in self._dials:
            dial.cancel()
        await asyncio.gather(*self._dials, return_exceptions=True)
        connections = list(self._connections)
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close(timeout=5.0 if kind is None else 0.0)

    # What a client adds:

    def _submit(self, exchange: Exchange) -> None:
        """Find a connection for ``exchange``, now or later."""
        raise NotImplementedError

    def _abandon(self, exchange: Exchange) -> None:
        """Free whatever ``exchange`` holds: nobody waits for its answer any more. May be called again."""
        raise NotImplementedError

    def _is_dialing_for(self, exchange: Exchange) -> bool:
        """Whether ``exchange`` waits for a dial that is under way."""
        raise NotImplementedError

    def _lost(self, connection: Connection[Response], error: Exception) -> None:
        """``connection`` is no more; ``error`` is what its exchanges would fail with."""
        raise NotImplementedError

    def received(self, connection: Connection[Response], message: Response) -> None:
        """See `sleepy.tcp.connection.Owner`."""
        raise NotImplementedError

    # What it builds on:

    def _dial(self, opened: Callable[[Connection[Response]], None], failed: Callable[[Exception], None]) -> None:
        """Dial in a task of its own, which outlives the exchange that it was started for."""
        task = asyncio.get_running_loop().create_task(self._dial_now(opened, failed))
        self._dials.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._dials.discard(task)
            if task.cancelled():
                failed(ConnectionClosed("this client was closed before a connection was made"))

        task.add_done_callback(ended)

    async def _dial_now(
        self, opened: Callable[[Connection[Response]], None], failed: Callable[[Exception], None]
    ) -> None:
        reader = self._codec.response_reader(self._max_response_body_size)
        number = next(self._numbers)
        try:
            connection = await self._dialer.dial(lambda: Connection(self, reader, number))
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be one
            failed(error)
            return
        if connection.closing:
            failed(ConnectionClosed(f"{self._authority} closed the connection as soon as it was made"))
            return
        self._connections[connection] = reader
        if self._trace is not None:
            address = connection.transport.get_extra_info("peername") or ("unknown", 0)  # if it was reset meanwhile
            self._trace("connection.dialed", connection=number, address=f"{address[0]}:{address[1]}")
        opened(connection)

    def _send(self, exchange: Exchange, connection: Connection[Response]) -> None:
        self._connections[connection].expect(exchange.request)
        exchange.connection = connection
        connection.write(exchange.data)
        self._note("request.sent", exchange, connection=connection.number)

    def _count_failure(self, exchange: Exchange, error: Exception) -> None:
        """An attempt has failed. The first that met a stale connection is not held against the request."""
        if isinstance(error, ConnectionClosed) and error.stale and not exchange.was_stale:
            exchange.was_stale = True
        else:
            exchange.failures += 1

    def _may_repeat(self, exchange: Exchange, error: Exception) -> bool:
        """Whether an attempt is left, and a point in it: an answer that was too large would be too large again."""
        return exchange.failures < self._max_attempts and not isinstance(error, BodyTooLarge)

    def _time_out(self, exchange: Exchange, timeout: float) -> None:
        error = RequestTimeout(self._phase(exchange), timeout)
        self._abandon(exchange)  # now, not when the caller's task runs: nothing may be sent for it any more
        exchange.fail(error)

    def _phase(self, exchange: Exchange) -> str:
        if exchange.connection is not None:
            return "read"
        return "dial" if self._is_dialing_for(exchange) else "queue"

    def _note(self, name: str, exchange: Exchange, **fields: Value) -> None:
        if self._trace is not None:
            self._trace(name, id=exchange.id, **fields)

    # What a connection tells its owner:

    def made(self, connection: Connection[Response]) -> None:
        """See `sleepy.tcp.connection.Owner`; it is ours once the dial is over."""

    def confused(self, connection: Connection[Response], error: RemoteProtocolError) -> None:
        """See `sleepy.tcp.connection.Owner`."""
        connection.abort(error)

    def ended(self, connection: Connection[Response]) -> bool:  # noqa: ARG002 -- the protocol's signature
        """See `sleepy.tcp.connection.Owner`."""
        return False

    def lost(self, connection: Connection[Response], error: Exception | None) -> None:
        """See `sleepy.tcp.connection.Owner`."""
        reader = self._connections.pop(connection, None)
        if reader is None:
            return  # it was lost before it was ours
        if self._trace is not None:
            self._trace("connection.closed", connection=connection.number, reason=str(error or "closed in order"))
        if not isinstance(error, RemoteProtocolError):
            stale = connection.messages > 0 and reader.between_messages
            error = ConnectionClosed(
                f"{self._authority} closed the connection before it answered ({error or 'in order'})", stale=stale
            )
        self._lost(connection, error)
