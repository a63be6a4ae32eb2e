"""HostClient: many connections to one peer, one request on each at a time.

A request takes a free connection, or a new one, or its turn; `sleepy.tcp.pool` decides which. Since a connection never
carries two requests at once, a slow answer delays nobody but its own caller. This is fasthttp's HostClient.

When a connection is lost, its request may go to another, under these rules:

1. Only if it is idempotent (or its caller says so): the peer may have executed it.
2. At most ``max_attempts`` times in all, and never after a timeout, nor after an answer that was too large: these would
   only come again.
3. A connection that has served before, and ends without one byte of answer, was most likely closed by the peer while it
   stood idle. The first such loss does not count as an attempt, and all idle connections are closed with it: they are as
   suspect, and the next attempt takes a fresh one.
"""

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Unpack

from sleepy._mypyc import mypyc_attr
from sleepy.tcp.client_connection import ClientConnection
from sleepy.tcp.codec import A, Codec, Q
from sleepy.tcp.errors import ConnectionClosed, NoFreeConnections
from sleepy.tcp.exchange import Exchange
from sleepy.tcp.http.messages import Request, Response
from sleepy.tcp.http.redirects import Redirects
from sleepy.tcp.options import PeerOptions
from sleepy.tcp.peer_client import PeerClient
from sleepy.tcp.pool import ConnectionPool, PoolStrategy

if TYPE_CHECKING:
    import asyncio


@mypyc_attr(allow_interpreted_subclasses=True)
class HostClient(PeerClient[Q, A]):
    """A pool of connections to one peer.

    Args:
        addr: ``host:port``, or several with commas between, to be used in turn (fasthttp: Addr).
        max_conns: How many connections may be open or being dialed at once (MaxConns).
        max_conn_wait_timeout: How long a request may wait for a connection when no more are allowed, in seconds
            (MaxConnWaitTimeout); None for as long as its own deadline allows. fasthttp does not wait by default.
        max_waiting_requests: How many requests may wait for a connection; those beyond fail at once.
        max_idle_conn_duration: How long a connection may stand idle, in seconds (MaxIdleConnDuration); None for ever.
        max_conn_duration: How old a connection may grow, in seconds (MaxConnDuration); None for any age.
        pool_strategy: ``lifo`` takes the connection used last, ``fifo`` the one idle longest (ConnPoolStrategy).
        codec: How requests and answers look as bytes; `Http1` if None.
        options: What every client to one peer can be told; see `sleepy.tcp.options.PeerOptions`.

    Raises:
        ValueError: An option that makes no sense; the message says which.
    """

    def __init__(
        self,
        addr: str,
        *,
        max_conns: int = 512,
        max_conn_wait_timeout: float | None = None,
        max_waiting_requests: int = 65536,
        max_idle_conn_duration: float | None = 10.0,
        max_conn_duration: float | None = None,
        pool_strategy: PoolStrategy = "lifo",
        codec: Codec[Q, A] | None = None,
        **options: Unpack[PeerOptions],
    ) -> None:
        super().__init__(addr, codec, **options)
        self._pool = ConnectionPool[ClientConnection[Q, A], Exchange[Q, A]](
            max_conns,
            max_idle_duration=max_idle_conn_duration,
            max_duration=max_conn_duration,
            strategy=pool_strategy,
        )
        if max_conn_wait_timeout is not None and max_conn_wait_timeout < 0:
            raise ValueError(f"max_conn_wait_timeout is {max_conn_wait_timeout} s; 0 is not to wait, None is no limit")
        if max_waiting_requests < 0:
            raise ValueError(f"max_waiting_requests is {max_waiting_requests}; the least is 0")
        self._scheme = "https" if options.get("tls") else "http"
        self._max_conn_wait_timeout = max_conn_wait_timeout
        self._max_waiting_requests = max_waiting_requests
        self._waits: dict[Exchange[Q, A], asyncio.TimerHandle] = {}  # whose patience in line is limited
        self._cleaner: asyncio.TimerHandle | None = None

    @property
    def conns_count(self) -> int:
        """Connections open or being dialed (fasthttp: ConnsCount)."""
        return self._pool.conns_count

    @property
    def idle_conns_count(self) -> int:
        """Connections that serve nobody (IdleConnsCount)."""
        return self._pool.idle_count

    @property
    def max_conns(self) -> int:
        """How many connections may be open or being dialed. Raising it serves callers in line (SetMaxConns)."""
        return self._pool.max_conns

    @max_conns.setter
    def max_conns(self, limit: int) -> None:
        self._pool.max_conns = limit
        self._settle()

    async def do_redirects(
        self: "HostClient[Request, Response]",
        request: Request,
        max_redirects: int = 16,
        *,
        timeout: float | None = None,
    ) -> Response:
        """Send a request, and follow redirects as long as they stay with this peer (DoRedirects); see `do`.

        Args:
            request: What is asked.
            max_redirects: How many redirects are followed.
            timeout: The longest all of it may take, redirects included, in seconds; None for as long as it takes.

        Raises:
            TooManyRedirects: The peer redirects once more.
            LocalProtocolError: It redirects to another scheme, host or port, or what would be repeated was a stream.
            RemoteProtocolError: It redirects to what cannot be asked for.
        """

        def ask_one(request: Request, timeout: float | None) -> Coroutine[None, None, Response]:
            return self.do(request, timeout=timeout)

        redirects = Redirects(max_redirects, peer=f"{self._scheme}://{self._authority}/")
        return await redirects.ask(request, ask_one, timeout, self._get_loop().time)

    def close_idle_connections(self) -> None:
        """Close the connections that serve nobody (CloseIdleConnections)."""
        for connection in self._pool.discard_idle():
            connection.close()

    async def close(self, timeout: float = 5.0) -> None:
        """See `PeerClient.close`."""
        await super().close(timeout)
        if self._cleaner is not None:
            self._cleaner.cancel()
            self._cleaner = None

    # --8<-- [start:submit]
    def _submit(self, exchange: Exchange[Q, A], now: float) -> None:
        connection = self._pool.acquire(now)
        if connection is not None:
            connection.exchange = exchange
            self._send(exchange, connection)
            return
        if self._pool.enter(exchange):
            self._settle()
        if self._pool.waiting_count - self._pool.dialing_count > self._max_waiting_requests:
            self._pool.leave(exchange)
            raise self._no_free_connections("no free connection, and no room in line")
        patience = self._max_conn_wait_timeout
        if patience is not None and exchange.connection is None and not self._pool.is_dialing_for(exchange):
            self._waits[exchange] = self._get_loop().call_later(patience, self._wait_is_over, exchange)

    def _settle(self) -> None:
        """Do what the pool decides."""
        now = self._get_loop().time()
        orders = self._pool.settle(now)
        for connection in orders.close:
            connection.close()
        for exchange, connection in orders.serve:
            self._stop_waiting(exchange)
            connection.exchange = exchange
            self._send(exchange, connection)
        for _ in range(orders.dials):
            self._dial(self._opened, self._dial_failed)
        expiry = self._pool.next_expiry(now) if self._cleaner is None else None
        if expiry is not None:
            self._cleaner = self._get_loop().call_at(expiry, self._clean)

    # --8<-- [end:submit]

    def _opened(self, connection: ClientConnection[Q, A]) -> None:
        self._pool.dialed(connection, self._get_loop().time())
        self._settle()

    def _dial_failed(self, error: Exception) -> None:
        exchange = self._pool.dial_failed()
        if exchange is not None:
            exchange.fail(error)
        self._settle()

    def received(self, connection: ClientConnection[Q, A], message: A) -> None:
        """See `sleepy.tcp.connection.Owner`."""
        exchange = connection.exchange
        if exchange is None:
            raise AssertionError("the reader gives no answer that nobody asked for")
        now = self._now()
        self._succeed(exchange, message, now)
        if exchange.body is None:
            self._finish(exchange, connection, now)

    def _body_ended(self, exchange: Exchange[Q, A], connection: ClientConnection[Q, A], whole: bool) -> None:
        self._done(exchange)
        if whole:
            self._finish(exchange, connection, self._get_loop().time())

    def _finish(self, exchange: Exchange[Q, A], connection: ClientConnection[Q, A], now: float) -> None:
        """The answer is whole: let the connection serve again, if it can."""
        connection.exchange = None
        cut_short = (connection.held_up or exchange.sender is not None) and self._stop_sending(exchange, connection)
        may_serve = not cut_short and connection.answers.keep_alive
        if may_serve and self._pool.line:
            following = self._pool.pass_on(connection, now)
            if following is not None:
                self._stop_waiting(following)
                connection.exchange = following
                self._send(following, connection)
                return
        if not (may_serve and self._pool.release(connection, now)):
            self._pool.discard(connection)
            connection.abort()
        if self._pool.line:
            self._settle()

    def _lost(self, connection: ClientConnection[Q, A], error: Exception) -> None:
        self._pool.discard(connection)
        exchange, connection.exchange = connection.exchange, None
        if exchange is not None:
            self._stop_sending(exchange, connection)
            self._retry_or_fail(exchange, error)
        self._settle()

    # --8<-- [start:retry]
    def _retry_or_fail(self, exchange: Exchange[Q, A], error: Exception) -> None:
        if isinstance(error, ConnectionClosed) and error.stale:  # rule 3
            self.close_idle_connections()
        exchange.count_failure(error)
        if exchange.answer.done() or not (self._may_repeat(exchange, error)):  # rules 1 and 2
            exchange.fail(error)
            return
        exchange.connection = None
        self._deadlines.set(exchange, exchange.deadline)  # the limits on its phases begin anew
        self._note_retry(exchange, repr(error))
        self._submit(exchange, self._get_loop().time())

    # --8<-- [end:retry]

    def _abandon(self, exchange: Exchange[Q, A]) -> None:
        connection = exchange.connection
        self._stop_waiting(exchange)
        if connection is None:
            self._pool.leave(exchange)
        elif connection.exchange is exchange:  # its answer may still come: nobody else must get it
            connection.exchange = None
            self._stop_sending(exchange, connection)
            self._pool.discard(connection)
            connection.abort()  # and when it is lost the next in line gets the slot

    def _is_dialing_for(self, exchange: Exchange[Q, A]) -> bool:
        return self._pool.is_dialing_for(exchange)

    def _stop_waiting(self, exchange: Exchange[Q, A]) -> None:
        timer = self._waits.pop(exchange, None)
        if timer is not None:
            timer.cancel()

    def _wait_is_over(self, exchange: Exchange[Q, A]) -> None:
        self._abandon(exchange)
        exchange.fail(self._no_free_connections(f"no free connection within {self._max_conn_wait_timeout:g} s"))

    def _no_free_connections(self, what: str) -> NoFreeConnections:
        return NoFreeConnections(
            f"{what}: {self._pool.conns_count} of {self._pool.max_conns} are open or being dialed, "
            f"{self._pool.idle_count} idle, {self._pool.waiting_count} more requests in line"
        )

    def _clean(self) -> None:
        self._cleaner = None
        for connection in self._pool.discard_expired(self._get_loop().time()):
            connection.close()
        self._settle()
