"""MultiplexClient: many calls at once on few connections to one peer, and no answer waits for another.

Each request goes out at once with an id of its own, and its answer comes when the peer has it. `sleepy.tcp.multiplex` has
the wire format and decides which connection takes which request; the other end is ``Server(handler, codec=Multiplex())``.

Beyond what every client to one peer promises (`sleepy.tcp.peer_client`):

1. A caller that gives up, by cancellation or deadline, is free at once, and the peer is told, so that it can stop working.
2. What the peer's handler raised comes as `RemoteError`, to its own caller only; the connection goes on.
3. When a connection is lost, requests that were not sent move to another, and so do idempotent ones that were (at most
   ``max_attempts`` times); the rest fail with `ConnectionClosed`.
4. When no connection can be made, those who waited for it hear so; who comes next waits until the next dial may begin. So
   it is when a connection is lost before anything came on it: a peer may take connections, and drop them.
"""

from typing import TYPE_CHECKING, Unpack

from sleepy.tcp.backoff import Backoff
from sleepy.tcp.client_connection import ClientConnection
from sleepy.tcp.codec import Encoded
from sleepy.tcp.errors import ConnectionClosed, RemoteError, RemoteProtocolError
from sleepy.tcp.exchange import Exchange
from sleepy.tcp.frames import FrameReader, Frames
from sleepy.tcp.multiplex import HEAD, Kind, Lane, Lanes, decode, encode, renumber
from sleepy.tcp.options import PeerOptions
from sleepy.tcp.peer_client import PeerClient

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sleepy.tcp.codec import AnswerReader, Sink
    from sleepy.tcp.http.messages import Headers

_Call = Exchange[bytes, bytes]


class MultiplexClient(PeerClient[bytes, bytes]):
    """Connections to one peer that carry many requests at once.

    Args:
        addr: ``host:port``, or several with commas between, to be used in turn.
        max_conns: How many connections there may be. One is enough, unless a lost segment must not stall everybody.
        max_pending_requests: How many requests may be pending on each. A server that works on as many as it may, and has its
            queue full (with ours after 128), reads nothing, so no cancel either. If its handlers can hang, stay below that.
        max_frame_size: The longest message, in bytes, sent or read.
        idempotent: Whether every request may be sent again when it is not known whether the peer has executed it.
        max_idle_conn_duration: How long a connection may stand idle, in seconds; None for ever.
        options: See `PeerOptions`.

    Raises:
        ValueError: An option that makes no sense; the message says which.
    """

    def __init__(
        self,
        addr: str,
        *,
        max_conns: int = 1,
        max_pending_requests: int = 1024,
        max_frame_size: int = 4 * 1024 * 1024,
        idempotent: bool = False,
        max_idle_conn_duration: float | None = 10.0,
        **options: Unpack[PeerOptions],
    ) -> None:
        super().__init__(addr, _Calls(max_frame_size=max_frame_size, idempotent=idempotent), **options)
        self._batches = True
        self._in_order = False
        if max_idle_conn_duration is not None and max_idle_conn_duration <= 0:
            raise ValueError(f"max_idle_conn_duration is {max_idle_conn_duration} s; None is no limit")
        self._lanes = Lanes[_Call](max_conns, max_pending_requests)
        self._max_idle = max_idle_conn_duration
        self._backoff = Backoff()
        self._lane_for: dict[_Call, Lane[_Call]] = {}
        self._lane_of: dict[ClientConnection[bytes, bytes], Lane[_Call]] = {}
        self._connection_of: dict[Lane[_Call], ClientConnection[bytes, bytes]] = {}
        self._dialing: set[Lane[_Call]] = set()
        self._holding: dict[Lane[_Call], asyncio.TimerHandle] = {}  # until the next dial may begin
        self._cleaner: asyncio.TimerHandle | None = None

    @property
    def conns_count(self) -> int:
        """Connections that are open."""
        return len(self._connection_of)

    async def close(self, timeout: float = 5.0) -> None:
        """See `PeerClient.close`."""
        await super().close(timeout)
        for timer in self._holding.values():
            timer.cancel()
        if self._cleaner is not None:
            self._cleaner.cancel()
            self._cleaner = None

    # --8<-- [start:submit]
    def _submit(self, exchange: _Call, now: float, *, survivor: bool = False) -> None:
        lane = self._lanes.add(exchange, survivor=survivor)
        self._lane_for[exchange] = lane
        connection = self._connection_of.get(lane)
        if connection is not None:
            self._send_waiting(lane, connection)
        elif lane not in self._dialing and lane not in self._holding:
            if now < self._backoff.next_try:  # promise 4
                self._holding[lane] = self._get_loop().call_at(self._backoff.next_try, self._dial_for, lane)
            else:
                self._dial_for(lane)

    def _send_waiting(self, lane: Lane[_Call], connection: ClientConnection[bytes, bytes]) -> None:
        if not connection.closing:  # if it is, what was not sent moves when it is lost
            for number, exchange in lane.send():
                exchange.data = renumber(exchange.data, number)
                self._send(exchange, connection)

    # --8<-- [end:submit]

    def _dial_for(self, lane: Lane[_Call]) -> None:
        self._holding.pop(lane, None)
        if not lane.pending:  # all have given up meanwhile
            self._lanes.remove(lane)
            return
        self._dialing.add(lane)
        self._dial(lambda connection: self._opened(lane, connection), lambda error: self._dial_failed(lane, error))

    def _opened(self, lane: Lane[_Call], connection: ClientConnection[bytes, bytes]) -> None:
        self._dialing.discard(lane)
        self._connection_of[lane] = connection
        self._lane_of[connection] = lane
        self._send_waiting(lane, connection)
        self._watch_idle(lane)

    def _dial_failed(self, lane: Lane[_Call], error: Exception) -> None:
        self._backoff.failed(self._get_loop().time())
        self._dialing.discard(lane)
        self._lanes.remove(lane)
        _, waiting = lane.empty()
        for exchange in waiting:
            exchange.fail(error)

    # --8<-- [start:received]
    def received(self, connection: ClientConnection[bytes, bytes], message: bytes) -> None:
        """See `sleepy.tcp.connection.Owner`.

        Raises:
            RemoteProtocolError: It is no last word that somebody is due; the connection lets us know that we are confused.
        """
        kind, _, payload = word = decode(message)
        lane = self._lane_of.get(connection)
        if lane is None:
            raise RemoteProtocolError("the peer spoke before it was asked")
        self._backoff.succeeded()
        now = self._get_loop().time()
        exchange = lane.last_word(word, now)
        if exchange is None:
            return  # its caller gave up
        del self._lane_for[exchange]
        if kind is Kind.ANSWER:
            self._succeed(exchange, payload, now)
        else:
            text = "the peer cancelled the call" if kind is Kind.CANCEL else payload.decode(errors="replace")
            exchange.fail(RemoteError(text))
        self._watch_idle(lane)

    # --8<-- [end:received]

    def _lost(self, connection: ClientConnection[bytes, bytes], error: Exception) -> None:
        lane = self._lane_of.get(connection)
        if lane is not None:  # else we closed it: it was idle, or its peer did not heed
            self._forget(lane, connection)
            if not connection.messages:
                self._backoff.failed(self._get_loop().time())
            self._scatter(lane, error)

    def _scatter(self, lane: Lane[_Call], error: Exception) -> None:
        """A lane is gone: move those who may go elsewhere, and let the others know (promise 3)."""
        sent, moving = lane.empty()
        for exchange in sent:
            exchange.count_failure(error)
            exchange.connection = None
            if exchange.answer.done() or not self._may_repeat(exchange, error):
                exchange.fail(error)
            else:
                self._note_retry(exchange, repr(error))
                moving.append(exchange)
        for exchange in moving:
            self._submit(exchange, self._get_loop().time(), survivor=True)

    # --8<-- [start:abandon]
    def _abandon(self, exchange: _Call) -> None:
        lane = self._lane_for.pop(exchange, None)
        if lane is None:
            return  # it has its last word, or was given up before
        number = lane.withdraw(exchange, self._get_loop().time())
        connection = self._connection_of.get(lane)
        if connection is None:
            return
        if number is not None:
            connection.write(encode(Kind.CANCEL, number))
        if self._lanes.must_leave(lane):
            self._forget(lane, connection)
            connection.abort()
            self._scatter(lane, ConnectionClosed(f"{self._authority} did not heed that calls were cancelled"))
        else:
            self._watch_idle(lane)

    # --8<-- [end:abandon]

    def _forget(self, lane: Lane[_Call], connection: ClientConnection[bytes, bytes]) -> None:
        """Expect nothing more of a connection, and give it nothing more."""
        del self._connection_of[lane], self._lane_of[connection]
        self._lanes.remove(lane)

    def _is_dialing_for(self, exchange: _Call) -> bool:
        return self._lane_for.get(exchange) in self._dialing

    # Idle connections:

    def _watch_idle(self, lane: Lane[_Call]) -> None:
        if self._max_idle is not None and self._cleaner is None and not lane.pending:
            self._cleaner = self._get_loop().call_at(lane.idle_since + self._max_idle, self._clean, self._max_idle)

    def _clean(self, max_idle: float) -> None:
        self._cleaner = None
        now = self._get_loop().time()
        # The longest idle first: whichever is left first sets the next timer.
        for lane, connection in sorted(self._connection_of.items(), key=lambda item: item[0].idle_since):
            if not lane.pending and lane.idle_since + max_idle <= now:
                self._forget(lane, connection)
                connection.close()
            else:
                self._watch_idle(lane)


class _Calls(Frames):
    """Requests as frames that have no id yet; what answers them is read here, and understood by the client."""

    __slots__ = ()

    def encode_request(self, request: bytes, authority: str) -> Encoded:  # noqa: ARG002 -- frames name no host
        return Encoded(encode(Kind.REQUEST, 0, request, max_size=self._max_frame_size), self._idempotent)

    def answer_reader(self, max_body_size: int | None = None) -> "AnswerReader[bytes, bytes]":
        return _WordReader(self._limit(max_body_size), HEAD.size)


class _WordReader(FrameReader):
    """Cuts what a client receives into last words: whose they are, their ids tell."""

    __slots__ = ()

    def expect(
        self,
        request: bytes,
        sink: "Sink | None" = None,
        interim: "Callable[[int, Headers], None] | None" = None,
    ) -> None:
        """Nothing needs to be remembered."""
