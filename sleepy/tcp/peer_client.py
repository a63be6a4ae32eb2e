"""What clients to one peer have in common: a request, the future of its answer, and everything that may cut it short.

A caller's request becomes an `Exchange`, and from then on everything happens by events: connections come and go, answers
arrive, deadlines pass. How requests find connections is all that differs between one client and the next, so that is all a
client adds (`_submit`, `_abandon`). Four promises hold for each of them:

1. One deadline bounds the whole exchange, from the call to the last byte. Zero or less is past already: nothing is sent.
2. However the exchange ends (an answer, an error, the deadline, the cancellation of the calling task), it is given up in
   the same way, by `_abandon`, and whatever it held is free again at once.
3. An answer that comes before the request was sent whole ends the sending (RFC 9110, section 10.1.1, and RFC 9112, section
   9.5): the peer has seen enough. The connection is in the middle of a request, and is not used again.
4. `close` lets pending requests end for a while, then ends them, and returns when every connection and every task of the
   client is gone.
"""

import asyncio
import itertools
import math
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Generic, Self, Unpack, cast

from sleepy._mypyc import mypyc_attr
from sleepy.tcp.client_connection import ClientConnection
from sleepy.tcp.codec import A, Codec, Q
from sleepy.tcp.deadlines import Deadlines
from sleepy.tcp.dialing.dials import Dials
from sleepy.tcp.errors import BodyTooLarge, ConnectionClosed, LocalProtocolError, RemoteProtocolError, RequestTimeout
from sleepy.tcp.exchange import Exchange, refused, time_and_answers
from sleepy.tcp.http.http1 import Http1
from sleepy.tcp.http.messages import HeaderLines, Headers, Request, Response, plain_get
from sleepy.tcp.metrics import Metrics
from sleepy.tcp.options import PeerOptions, check, dialer_for
from sleepy.tcp.streams import IncomingBody, streamed
from sleepy.tcp.traced_connection import TracedConnection, connection_for

_GO_AHEAD = 1.0  # seconds to wait for a 100 (Continue) that may never come (RFC 9110, section 10.1.1)


@mypyc_attr(allow_interpreted_subclasses=True)
class PeerClient(Generic[Q, A]):
    """A client to one peer; see `HostClient` and `PipelineClient`.

    Args:
        addr: ``host:port``, or several with commas between, to be used in turn (fasthttp: Addr); see `dialing.address`.
        codec: How requests and answers look as bytes; `Http1` if None.
        options: See `PeerOptions`.

    Attributes:
        metrics: What it has done so far.
        last_use_time: When it was asked last, in seconds on the loop's clock (LastUseTime); None if never.

    Raises:
        ValueError: An option that makes no sense; the message says which.
    """

    _in_order = True  # whether a connection's answers come in the order of its requests
    _batches = False  # whether one connection gets several requests in one turn of the event loop

    def __init__(self, addr: str, codec: Codec[Q, A] | None = None, **options: Unpack[PeerOptions]) -> None:
        self._max_attempts = options.get("max_attempts", 5)
        self._retry_if = options.get("retry_if")
        self._read_timeout = options.get("read_timeout")
        self._write_timeout = options.get("write_timeout")
        self._max_response_body_size = options.get("max_response_body_size")
        self._trace = options.get("trace")
        check(options)
        dialer = dialer_for(addr, options)
        self._authority = dialer.addresses[0].authority
        self._codec = cast("Codec[Q, A]", Http1()) if codec is None else codec  # Q and A are HTTP's then
        self._closed = False
        self._drained = asyncio.Event()  # closed, and nothing is pending
        self._ids = itertools.count()
        self._numbers = itertools.count()
        self._loop: asyncio.AbstractEventLoop | None = None  # known from the first request on
        self._now: Callable[[], float] = time.monotonic  # the loop's clock, then
        self._new_answer: Callable[[], asyncio.Future[A]] = asyncio.Future  # of that loop, then
        self._deadlines = Deadlines[Exchange[Q, A]]()
        self._timer: asyncio.TimerHandle | None = None
        self._connections: dict[ClientConnection[Q, A], None] = {}  # in the order in which they were made
        self._dials = Dials(dialer, self._trace)
        self.metrics = Metrics()
        self.last_use_time: float | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._authority}>"

    @property
    def pending_requests(self) -> int:
        """Requests that have been asked and not been answered (fasthttp: PendingRequests)."""
        return len(self._deadlines.pending)

    def get(
        self: "PeerClient[Request, Response]",
        url: str,
        *,
        headers: Headers | HeaderLines = (),
        timeout: float | None = None,
    ) -> Coroutine[None, None, Response]:
        """Ask with GET; see `do`."""
        try:
            return self.do(Request("GET", url, headers) if headers else plain_get(url), timeout=timeout)
        except LocalProtocolError as error:
            return refused(error)

    def post(
        self: "PeerClient[Request, Response]",
        url: str,
        body: bytes = b"",
        *,
        headers: Headers | HeaderLines = (),
        timeout: float | None = None,
    ) -> Coroutine[None, None, Response]:
        """Ask with POST; see `do`."""
        try:
            return self.do(Request("POST", url, headers, body), timeout=timeout)
        except LocalProtocolError as error:
            return refused(error)

    # --8<-- [start:do]
    async def do(self, request: Q, *, timeout: float | None = None) -> A:
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
        exchange = self._begin(request, timeout)
        try:
            self._submit(exchange, exchange.asked_at)
            answer = await exchange.answer
        except BaseException as error:
            self._give_up(exchange, error)
            raise
        if self._trace is not None:
            self._trace("request.done", id=exchange.id, **self._codec.facts(answer))
        return answer

    # --8<-- [end:do]

    def stream(
        self: "PeerClient[Request, Response]", request: Request, *, timeout: float | None = None
    ) -> AbstractAsyncContextManager[Response]:
        """Send a request; enter with its answer as soon as its head is there, and its body as ``response.stream``.

        The deadline holds until the last byte of the body. On leaving, what was not read of it is thrown away.

        Raises:
            Exception: What `do` raises; in the middle of the body, by way of ``response.stream``.
        """
        return streamed(partial(self._open, request, timeout))

    async def _open(self, request: Q, timeout: float | None) -> Exchange[Q, A]:
        """Send a request and wait for the head of its answer."""
        exchange = self._begin(request, timeout, streamed=True)
        try:
            self._submit(exchange, exchange.asked_at)
            answer = await exchange.answer
        except BaseException as error:
            self._give_up(exchange, error)
            raise
        if self._trace is not None:
            self._trace("request.done", id=exchange.id, **self._codec.facts(answer))
        return exchange

    async def close(self, timeout: float = 5.0) -> None:
        """Close the client. No more requests are taken; those pending may still end, for ``timeout`` seconds."""
        self._closed = True
        try:
            if self._deadlines.pending:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._drained.wait(), timeout)
        finally:  # who cancels the draining is in a hurry: what is to be done is done, and not waited for
            for exchange in list(self._deadlines.pending):
                self._abandon(exchange)
                exchange.fail(ConnectionClosed("this client was closed before the answer came"))
            if self._timer is not None:
                self._timer.cancel()
            self._dials.cancel()
            for connection in self._connections:
                connection.abort()
        await self._dials.close()
        for connection in list(self._connections):
            await connection.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.close(timeout=5.0 if kind is None else 0.0)

    # What a client adds:

    def _submit(self, exchange: Exchange[Q, A], now: float) -> None:
        """Find a connection for ``exchange``, now (seconds) or later."""
        raise NotImplementedError

    def _abandon(self, exchange: Exchange[Q, A]) -> None:
        """Free whatever ``exchange`` holds: nobody waits for its answer any more. May be called again."""
        raise NotImplementedError

    def _is_dialing_for(self, exchange: Exchange[Q, A]) -> bool:
        """Whether ``exchange`` waits for a dial that is under way."""
        raise NotImplementedError

    def _lost(self, connection: ClientConnection[Q, A], error: Exception) -> None:
        """``connection`` is no more; ``error`` is what its exchanges would fail with."""
        raise NotImplementedError

    def _body_ended(self, exchange: Exchange[Q, A], connection: ClientConnection[Q, A], whole: bool) -> None:
        """The streamed answer of ``exchange`` has ended."""
        raise NotImplementedError

    def received(self, connection: ClientConnection[Q, A], message: A) -> None:
        """See `sleepy.tcp.connection.Owner`."""
        raise NotImplementedError

    # What it builds on:

    def _begin(self, request: Q, timeout: float | None, *, streamed: bool = False) -> Exchange[Q, A]:
        if self._closed:
            raise RuntimeError("this client is closed")
        if timeout is not None and timeout <= 0:
            raise RequestTimeout("queue", timeout)
        self._loop = self._loop or self._get_loop()
        encoded = self._codec.encode_request(request, self._authority)
        # Without type arguments, which would be looked up in each call.
        exchange: Exchange[Q, A] = Exchange(request, encoded, self._new_answer(), self._now())
        exchange.streamed = streamed
        if timeout is not None:
            exchange.timeout = timeout
            exchange.deadline = exchange.asked_at + timeout
        if self._deadlines.set(exchange, exchange.deadline):
            self._set_timer()
        self.metrics.requests += 1
        self.last_use_time = exchange.asked_at
        if self._trace is not None:
            exchange.id = next(self._ids)
            self._trace("request.queued", id=exchange.id, target=self._codec.describe(request))
        return exchange

    def _get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the first request, which is that of all: asking for it again and again would cost too much."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._now, self._new_answer = time_and_answers(self._loop)
        return self._loop

    def _give_up(self, exchange: Exchange[Q, A], error: BaseException) -> None:
        self._abandon(exchange)
        self._done(exchange)
        self.metrics.count_failure(error, error.phase if isinstance(error, RequestTimeout) else None)
        if self._trace is not None:
            self._trace("request.failed", id=exchange.id, error=repr(error))

    def _succeed(self, exchange: Exchange[Q, A], answer: A, now: float) -> None:
        """Give the caller his answer, unless he has given up."""
        try:
            exchange.answer.set_result(answer)
        except asyncio.InvalidStateError:
            return
        self.metrics.latency.add(now - exchange.asked_at)
        if exchange.body is None:
            self._done(exchange)

    def _done(self, exchange: Exchange[Q, A]) -> None:
        """Nothing of ``exchange`` is pending any more."""
        pending = self._deadlines.pending
        if exchange in pending:
            del pending[exchange]
        if self._closed and not pending:
            self._drained.set()

    def _dial(self, opened: Callable[[ClientConnection[Q, A]], None], failed: Callable[[Exception], None]) -> None:
        """Have a connection made; it is not bound to the exchange that it was started for."""
        answers = self._codec.answer_reader(self._max_response_body_size)
        number = next(self._numbers)

        def made(connection: ClientConnection[Q, A]) -> None:
            self._connections[connection] = None
            self.metrics.dials += 1
            opened(connection)

        def missed(error: Exception) -> None:
            self.metrics.failed_dials += 1
            failed(error)

        factory = partial(connection_for, self, answers, number, self._trace, in_order=self._in_order)
        self._dials.start(number, factory, made, missed)

    def _send(self, exchange: Exchange[Q, A], connection: ClientConnection[Q, A]) -> None:
        """Send a request, and begin to send what follows it."""
        exchange.connection = connection
        body = self._codec.body_of(exchange.request) if exchange.follows else None
        if body is not None:
            self._send_body(exchange, connection, body)
        if exchange.streamed:
            exchange.body = IncomingBody(connection, partial(self._body_ended, exchange, connection))
        connection.answers.expect(exchange.request, exchange.body, exchange.interim if body else None)
        if self._batches:
            connection.write(exchange.data)
        else:
            connection.write_through(exchange.data)
        if self._read_timeout is not None or self._write_timeout is not None:
            exchange.sent_at = self._get_loop().time()
            self._limit(exchange, self._read_timeout if self._write_timeout is None else self._write_timeout)
        if self._trace is not None and isinstance(connection, TracedConnection):
            connection.note_sent(exchange.id)

    def _send_body(
        self, exchange: Exchange[Q, A], connection: ClientConnection[Q, A], body: AsyncGenerator[bytes, None]
    ) -> None:
        if self._codec.awaits_go_ahead(exchange.request):
            exchange.go_ahead = self._get_loop().create_future()

        async def send() -> None:
            try:
                if exchange.go_ahead is not None:
                    await asyncio.wait([exchange.go_ahead], timeout=_GO_AHEAD)
                await connection.write_all(body)
            except Exception as error:  # noqa: BLE001 -- whatever the caller's own stream raises is the caller's
                self._abandon(exchange)
                exchange.fail(error)

        exchange.sender = self._get_loop().create_task(send())

    def _stop_sending(self, exchange: Exchange[Q, A], connection: ClientConnection[Q, A]) -> bool:
        """The answer is there, or nobody wants it. True if the request has not been sent whole (promise 3)."""
        if exchange.sender is None or exchange.sender.done():
            return connection.held_up
        return exchange.sender.cancel()

    def _may_repeat(self, exchange: Exchange[Q, A], error: Exception) -> bool:
        """Whether an attempt is left, allowed, and has a point: an answer that was too large would be too large again."""
        if exchange.sender is not None and not exchange.idempotent:
            return False  # what followed the request has been read from its stream, and is gone
        allowed = exchange.idempotent if self._retry_if is None else self._retry_if(exchange.request, error)
        return allowed and exchange.failures < self._max_attempts and not isinstance(error, BodyTooLarge)

    def _note_retry(self, exchange: Exchange[Q, A], why: str) -> None:
        self.metrics.retries += 1
        if self._trace is not None:
            self._trace("request.retried", id=exchange.id, error=why)

    # Deadlines:

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._get_loop().call_at(self._deadlines.next_check, self._check_deadlines)

    def _check_deadlines(self) -> None:
        self._timer = None
        now = self._get_loop().time()
        for exchange in self._deadlines.expired(now):
            self._time_out(exchange, now)
        if self._deadlines.next_check < math.inf:
            self._set_timer()

    def _limit(self, exchange: Exchange[Q, A], timeout: float | None) -> None:
        """From the sending on, the next phase of ``exchange`` may take ``timeout`` seconds."""
        limit = math.inf if timeout is None else exchange.sent_at + timeout
        if self._deadlines.set(exchange, min(exchange.deadline, limit)):
            self._set_timer()

    def _time_out(self, exchange: Exchange[Q, A], now: float) -> None:
        phase, timeout = self._phase(exchange), exchange.timeout
        if now < exchange.deadline:  # then it is a limit on the phase
            writing = phase == "write" and self._write_timeout is not None
            timeout = (self._write_timeout if writing else self._read_timeout) or math.inf
            if now < exchange.sent_at + timeout:
                self._limit(exchange, timeout)  # the next phase has its own
                return
        self._abandon(exchange)  # now, not when the caller's task runs: nothing may be sent for it any more
        exchange.fail(RequestTimeout(phase, timeout, exchange.failure))

    def _phase(self, exchange: Exchange[Q, A]) -> str:
        connection = exchange.connection
        if connection is not None:
            sending = exchange.sender is not None and not exchange.sender.done()
            return "write" if sending or connection.unsent else "read"
        return self._dials.phase if self._is_dialing_for(exchange) else "queue"

    # What a connection tells its owner:

    def made(self, connection: ClientConnection[Q, A]) -> None:
        """See `sleepy.tcp.connection.Owner`; it is ours once the dial is over."""
        transport = connection.transport
        encrypted = transport.get_extra_info("ssl_object") is not None  # then "high" is what is too much already
        transport.set_write_buffer_limits(high=int(encrypted))  # it is held up as soon as anything is unsent

    def confused(self, connection: ClientConnection[Q, A], error: RemoteProtocolError) -> None:
        """See `sleepy.tcp.connection.Owner`."""
        connection.abort(error)

    def ended(self, connection: ClientConnection[Q, A]) -> bool:  # noqa: ARG002 -- the protocol's signature
        """See `sleepy.tcp.connection.Owner`."""
        return False

    def lost(self, connection: ClientConnection[Q, A], error: Exception | None) -> None:
        """See `sleepy.tcp.connection.Owner`."""
        if connection not in self._connections:
            return  # it was lost before it was ours
        del self._connections[connection]
        if self._trace is not None:
            self._trace("connection.closed", connection=connection.number, reason=str(error or "closed in order"))
        self._lost(connection, connection.loss(error))
