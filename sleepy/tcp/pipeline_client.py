"""PipelineClient: many requests at once on few connections to one peer.

Requests go out without waiting for answers, as many as come in one turn of the event loop in one write; this makes them
cheap. Answers come in order; this makes them hostages: use it for peers whose answers are quick and equally quick, and read
the lesson on head-of-line blocking first. `sleepy.tcp.pipeline` decides which connection takes which request. This is
fasthttp's PipelineClient.

When a connection is lost, rules 4 and 5 of the pipeline say who survives, and then:

1. The first in line there may have been the cause: that is one of its ``max_attempts`` (but for the first time that it meets
   a stale connection), and then it goes alone. Those behind it only lost their place. (A peer that closes after every ten
   answers, without a word, fails nobody.) So a request may be sent more often than ``max_attempts``, yet not without end: as
   the first ``max_attempts`` times, and once more if the connection was stale; behind each of those before it twice at most.
2. A dial that fails is an attempt of everybody who waits, if no other connection is left to wait for. So is a connection on
   which nothing was ever answered, and whose loss was the end of a request. (A peer that takes connections and drops them
   fails everybody soon; one request that the peer cannot bear fails alone.)
3. A request whose caller gives up after it was written still gets its answer, which is read and thrown away.
4. If it was given up because of ``read_timeout`` or ``write_timeout``, and was the first, the peer is silent: the connection
   is closed, and those behind it move.

A body that follows its request piece by piece, or is read piece by piece, would hold up everybody behind it for as long as
its caller likes. So there are none here; `HostClient` has them.
"""

import math
from typing import TYPE_CHECKING, Unpack

from sleepy._mypyc import mypyc_attr
from sleepy.tcp.backoff import Backoff
from sleepy.tcp.client_connection import ClientConnection
from sleepy.tcp.codec import A, Codec, Q
from sleepy.tcp.errors import BodyTooLarge, ConnectionClosed, LocalProtocolError
from sleepy.tcp.exchange import Exchange
from sleepy.tcp.options import PeerOptions
from sleepy.tcp.peer_client import PeerClient
from sleepy.tcp.pipeline import Lane, Pipeline
from sleepy.tcp.traced_connection import TracedConnection

if TYPE_CHECKING:
    import asyncio


@mypyc_attr(allow_interpreted_subclasses=True)
class PipelineClient(PeerClient[Q, A]):
    """Pipelined connections to one peer.

    Args:
        addr: ``host:port``, or several with commas between, to be used in turn (fasthttp: Addr).
        max_conns: How many connections there may be (MaxConns).
        max_pending_requests: How many requests may be pending on each, and how many may wait for one
            (MaxPendingRequests).
        max_batch_delay: How long a request may wait for others to be written with it, in seconds (MaxBatchDelay).
        max_idle_conn_duration: How long a connection may have nothing pending, in seconds (MaxIdleConnDuration); None for
            ever.
        pipeline_non_idempotent: Send more behind requests that may not be sent twice, and these behind others. If the
            connection is lost, nobody knows which of them the peer has executed.
        stall_guard: Give nothing more to a connection whose answer is overdue.
        codec: How requests and answers look as bytes; `Http1` if None.
        options: What every client to one peer can be told; see `sleepy.tcp.options.PeerOptions`.

    Raises:
        ValueError: An option that makes no sense; the message says which.
    """

    def __init__(
        self,
        addr: str,
        *,
        max_conns: int = 1,
        max_pending_requests: int = 1024,
        max_batch_delay: int | float = 0.0,  # noqa: PYI041 -- mypyc fails at a float's default before **options
        max_idle_conn_duration: float | None = 10.0,
        pipeline_non_idempotent: bool = False,
        stall_guard: bool = True,
        codec: Codec[Q, A] | None = None,
        **options: Unpack[PeerOptions],
    ) -> None:
        super().__init__(addr, codec, **options)
        if max_batch_delay < 0:
            raise ValueError(f"max_batch_delay is {max_batch_delay} s; 0 is not to wait")
        self._pipeline = Pipeline[Exchange[Q, A], ClientConnection[Q, A]](
            max_conns,
            max_pending_requests,
            Backoff(),
            max_idle_duration=max_idle_conn_duration,
            stall_guard=stall_guard,
            pipeline_non_idempotent=pipeline_non_idempotent,
        )
        self._max_batch_delay = max_batch_delay
        self._lane_of: dict[ClientConnection[Q, A], Lane[Exchange[Q, A], ClientConnection[Q, A]]] = {}
        # The lanes that will be written when they are dialed, or a little later, and what will do it then.
        self._gathering: dict[Lane[Exchange[Q, A], ClientConnection[Q, A]], asyncio.Handle | None] = {}
        self._redial: asyncio.TimerHandle | None = None
        self._cleaner: asyncio.TimerHandle | None = None

    async def close(self, timeout: float = 5.0) -> None:
        """See `PeerClient.close`."""
        await super().close(timeout)
        for timer in (self._redial, self._cleaner, *self._gathering.values()):
            if timer is not None:
                timer.cancel()

    # --8<-- [start:submit]
    def _submit(self, exchange: Exchange[Q, A], now: float) -> None:
        if exchange.streamed or exchange.follows:
            raise LocalProtocolError("a pipeline carries no bodies piece by piece: use HostClient for streams")
        lane = self._pipeline.add(exchange, now)
        if lane is None:
            self._close_dead(now)
            self._settle()
        elif lane not in self._gathering:
            self._serve(lane)

    def _serve(self, lane: Lane[Exchange[Q, A], ClientConnection[Q, A]]) -> None:
        """A lane has got something to write: write it at the end of this turn or a little later, or dial first."""
        if lane.connection is None:
            self._gathering[lane] = None
            self._dial(lambda connection: self._opened(lane, connection), lambda error: self._dial_failed(lane, error))
        elif self._max_batch_delay:
            self._gathering[lane] = self._get_loop().call_later(self._max_batch_delay, self._write, lane)
        else:
            self._gathering[lane] = self._get_loop().call_soon(self._write, lane)

    def _write(self, lane: Lane[Exchange[Q, A], ClientConnection[Q, A]]) -> None:
        self._gathering.pop(lane, None)
        connection = lane.connection
        if connection is None or connection.closing:
            return  # what is not written moves when it is lost
        now = self._get_loop().time()
        batch = lane.write(now)
        expect = connection.answers.expect
        for exchange in batch:
            exchange.connection = connection
            expect(exchange.request)
        connection.write_through(b"".join([exchange.data for exchange in batch]))
        self._note_sent(batch, now)

    # --8<-- [end:submit]

    def _note_sent(self, batch: list[Exchange[Q, A]], now: float) -> None:
        limit = self._read_timeout if self._write_timeout is None else self._write_timeout
        if limit is not None:
            for exchange in batch:
                exchange.sent_at = now
                self._limit(exchange, limit)
        if self._trace is not None:
            for exchange in batch:
                if isinstance(exchange.connection, TracedConnection):
                    exchange.connection.note_sent(exchange.id)

    def _settle(self) -> None:
        """Do what the pipeline decides about those in line."""
        now = self._get_loop().time()
        for lane in self._pipeline.settle(now):
            if lane not in self._gathering:
                self._serve(lane)
        next_dial = self._pipeline.next_dial(now)
        if next_dial < math.inf and self._redial is None:
            self._redial = self._get_loop().call_at(next_dial, self._pause_is_over)

    def _pause_is_over(self) -> None:
        self._redial = None
        self._settle()

    def _opened(self, lane: Lane[Exchange[Q, A], ClientConnection[Q, A]], connection: ClientConnection[Q, A]) -> None:
        lane.opened(connection, self._get_loop().time())
        self._lane_of[connection] = lane
        self._write(lane)
        self._settle()
        self._clean_later()

    def _dial_failed(self, lane: Lane[Exchange[Q, A], ClientConnection[Q, A]], error: Exception) -> None:
        self._gathering.pop(lane, None)
        self._pipeline.failed(self._get_loop().time())
        waiting, _ = self._pipeline.remove(lane, lambda _: False)  # nothing was written
        self._pipeline.add_first(waiting)
        self._count_failure_of_all(error)
        self._settle()

    def _count_failure_of_all(self, error: Exception) -> None:
        """Rule 2."""
        if self._pipeline.lanes:
            return
        for exchange in list(self._pipeline.waiting):
            exchange.count_failure(error)
            if exchange.failures >= self._max_attempts:
                self._pipeline.withdraw(exchange)
                exchange.fail(error)

    # --8<-- [start:received]
    def received(self, connection: ClientConnection[Q, A], message: A) -> None:
        """See `sleepy.tcp.connection.Owner`."""
        lane = self._lane_of[connection]
        now = self._now()
        exchange = self._pipeline.answered(lane, now)
        if exchange.answer.done():
            exchange.connection = None  # its caller gave up, and may not have been told yet
        else:
            self._succeed(exchange, message, now)
        if not connection.answers.keep_alive:
            connection.abort()  # what was written behind its last answer goes elsewhere, not here too
            survivors, _ = self._pipeline.remove(lane, lambda _: True)  # rule 5
            self._move(survivors, "the peer closes the connection")
            self._settle()
        elif self._pipeline.waiting:
            self._settle()

    # --8<-- [end:received]

    def _lost(self, connection: ClientConnection[Q, A], error: Exception) -> None:
        lane = self._lane_of.pop(connection)  # there is nothing on it if we closed it
        first = lane.written[0] if lane.written else None
        if first is not None:
            if not connection.messages and first not in lane.given_up:  # if it was given up, that took time enough
                self._pipeline.failed(self._get_loop().time())
            first.count_failure(error)  # rule 1
            first.suspect = first.failures > 0
        behind = error
        if not isinstance(error, ConnectionClosed):
            behind = ConnectionClosed(f"lost to the answer before: {error}")

        def its_error(exchange: Exchange[Q, A]) -> Exception:
            return error if exchange is first else behind

        survivors, lost = self._pipeline.remove(lane, lambda exchange: self._may_repeat(exchange, its_error(exchange)))
        for exchange in lost:
            exchange.fail(its_error(exchange))
        self._move(survivors, repr(error))
        if first in lost and not connection.messages and not isinstance(error, BodyTooLarge):
            self._count_failure_of_all(behind)
        self._settle()

    def _move(self, survivors: list[Exchange[Q, A]], why: str) -> None:
        for exchange in survivors:
            if exchange.connection is not None:  # it was written
                exchange.connection = None
                self._deadlines.set(exchange, exchange.deadline)  # limits on phases begin anew
                self._note_retry(exchange, why)
        self._pipeline.add_first(survivors)

    def _is_dialing_for(self, exchange: Exchange[Q, A]) -> bool:
        return any(exchange in lane.unwritten for lane in self._pipeline.lanes if lane.connection is None)

    def _abandon(self, exchange: Exchange[Q, A]) -> None:
        lane = None if exchange.connection is None else self._lane_of.get(exchange.connection)
        if exchange.connection is None:
            self._pipeline.withdraw(exchange)
            if self._pipeline.waiting:
                self._settle()  # it may have been in the way
        elif lane is not None and (not exchange.answer.done() or exchange.answer.cancelled()):
            self._pipeline.give_up(lane, exchange)
            self._close_dead(self._get_loop().time())

    def _time_out(self, exchange: Exchange[Q, A], now: float) -> None:
        lane = None if exchange.connection is None else self._lane_of.get(exchange.connection)
        first = lane is not None and bool(lane.written) and lane.written[0] is exchange
        super()._time_out(exchange, now)
        if first and exchange.answer.done() and now < exchange.deadline and exchange.connection is not None:  # rule 4
            exchange.connection.abort()

    def _close_dead(self, now: float) -> None:
        for lane in self._pipeline.dead(now):
            if lane.connection is not None:
                lane.connection.abort()  # and when it is lost those in line get another

    def _clean_later(self) -> None:
        now = self._get_loop().time()
        next_idle = self._pipeline.next_idle(now)
        if next_idle < math.inf and self._cleaner is None:
            self._cleaner = self._get_loop().call_at(next_idle, self._clean)

    def _clean(self) -> None:
        self._cleaner = None
        for lane in self._pipeline.idle(self._get_loop().time()):
            self._pipeline.remove(lane, lambda _: False)  # nothing is pending
            if lane.connection is not None:
                lane.connection.close()
        self._clean_later()
