"""PipelineClient: many requests at once on few connections to one peer.

Requests go out without waiting for answers, as many as come in one turn of the event loop in one write; this makes them
cheap. Answers come in order; this makes them hostages: use it for peers whose answers are quick and equally quick, and read
the lesson on head-of-line blocking first. `sleepy.tcp.pipeline` decides which connection takes which request. This is
fasthttp's PipelineClient.

When a connection is lost, requests that were not written move to another, and so do idempotent ones that were (at most
``max_attempts`` times); the rest fail. A request whose caller gives up after it was written still gets its answer, which
is read and thrown away: those behind it need theirs.
"""

import ssl

from sleepy.tcp.codec import A, Codec, Q
from sleepy.tcp.connection import Connection
from sleepy.tcp.errors import ConnectionClosed
from sleepy.tcp.exchange import Exchange
from sleepy.tcp.peer_client import PeerClient
from sleepy.tcp.pipeline import Lane, Pipeline
from sleepy.trace import Trace


class PipelineClient(PeerClient[Q, A]):
    """Pipelined connections to one peer.

    Args:
        addr: ``host:port``, or several with commas between, to be used in turn (fasthttp: Addr).
        max_conns: How many connections there may be (MaxConns).
        max_pending_requests: How many requests may be pending on each (MaxPendingRequests).
        max_batch_delay: How long a request may wait for others to be written with it, in seconds (MaxBatchDelay).
        max_attempts: How often an idempotent request is tried in all.
        dial_timeout: The longest a dial may take, in seconds (DialTimeout).
        read_timeout: How long an answer may take, from the sending of the request to its last byte, in seconds
            (ReadTimeout).
        write_timeout: How long the sending of a request may take, in seconds (WriteTimeout).
        max_response_body_size: The longest body accepted, in bytes; None for any.
        tls: Speak TLS, with this context (TLSConfig); None for plain TCP.
        codec: How requests and responses look as bytes; `Http1` if None.
        trace: Is told what happens; None for nobody.

    Raises:
        ValueError: An option that makes no sense; the message says which.
    """

    _batches = True

    def __init__(
        self,
        addr: str,
        *,
        max_conns: int = 1,
        max_pending_requests: int = 1024,
        max_batch_delay: float = 0.0,
        max_attempts: int = 5,
        dial_timeout: float = 3.0,
        read_timeout: float | None = None,
        write_timeout: float | None = None,
        max_response_body_size: int | None = None,
        tls: ssl.SSLContext | None = None,
        codec: Codec[Q, A] | None = None,
        trace: Trace | None = None,
    ) -> None:
        super().__init__(
            addr,
            max_attempts=max_attempts,
            dial_timeout=dial_timeout,
            read_timeout=read_timeout,
            write_timeout=write_timeout,
            max_response_body_size=max_response_body_size,
            tls=tls,
            codec=codec,
            trace=trace,
        )
        if max_batch_delay < 0:
            raise ValueError(f"max_batch_delay is {max_batch_delay} s; 0 is not to wait")
        self._pipeline = Pipeline[Exchange[Q, A]](max_conns, max_pending_requests)
        self._max_batch_delay = max_batch_delay
        self._connection_of: dict[Lane[Exchange[Q, A]], Connection[A]] = {}
        self._lane_of: dict[Connection[A], Lane[Exchange[Q, A]]] = {}
        self._dialing: set[Lane[Exchange[Q, A]]] = set()
        self._batching: set[Lane[Exchange[Q, A]]] = set()

    # --8<-- [start:submit]
    def _submit(self, exchange: Exchange[Q, A], now: float) -> None:  # noqa: ARG002 -- it does not matter here
        self._serve(self._pipeline.add(exchange))

    def _serve(self, lane: Lane[Exchange[Q, A]]) -> None:
        """A lane has got something to write: write it now or a little later, or dial if nobody has yet."""
        if lane in self._connection_of:
            if not self._max_batch_delay:
                self._write(lane)
            elif lane not in self._batching:
                self._batching.add(lane)
                self._get_loop().call_later(self._max_batch_delay, self._write, lane)
        elif lane not in self._dialing:
            self._dialing.add(lane)
            self._dial(lambda connection: self._opened(lane, connection), lambda error: self._dial_failed(lane, error))

    def _write(self, lane: Lane[Exchange[Q, A]]) -> None:
        self._batching.discard(lane)
        connection = self._connection_of.get(lane)
        if connection is not None and not connection.closing:  # if it is, what is not written moves when it is lost
            for exchange in lane.write():
                self._send(exchange, connection)

    # --8<-- [end:submit]

    def _opened(self, lane: Lane[Exchange[Q, A]], connection: Connection[A]) -> None:
        self._dialing.discard(lane)
        self._connection_of[lane] = connection
        self._lane_of[connection] = lane
        self._write(lane)

    def _dial_failed(self, lane: Lane[Exchange[Q, A]], error: Exception) -> None:
        self._dialing.discard(lane)
        waiting, _ = self._pipeline.remove(lane)
        for exchange in waiting:
            exchange.fail(error)

    # --8<-- [start:received]
    def received(self, connection: Connection[A], message: A) -> None:
        """See `sleepy.tcp.connection.Owner`."""
        lane = self._lane_of[connection]
        lane.answered().succeed(message)
        if not self._connections[connection].keep_alive:
            self._unlink(connection, lane)
            connection.abort()  # what was written behind its last answer goes elsewhere, not here too
            survivors, _ = self._pipeline.remove(lane, last_answer=True)
            self._move(survivors, "the peer closes the connection")

    # --8<-- [end:received]

    def _lost(self, connection: Connection[A], error: Exception) -> None:
        lane = self._lane_of.get(connection)
        if lane is None:
            return  # its last answer has come
        self._unlink(connection, lane)
        # A fault lies in the first answer; those behind only lose theirs.
        behind = (
            error if isinstance(error, ConnectionClosed) else ConnectionClosed(f"lost to the answer before: {error}")
        )
        written = list(lane.written)
        survivors, _ = self._pipeline.remove(lane)
        for number, exchange in enumerate(written):
            its_error = behind if number else error
            self._count_failure(exchange, its_error)
            if not (exchange.idempotent and self._may_repeat(exchange, its_error)):
                exchange.fail(its_error)
        self._move(survivors, repr(error))

    def _move(self, survivors: list[Exchange[Q, A]], why: str) -> None:
        survivors = [exchange for exchange in survivors if not exchange.answer.done()]
        for exchange in survivors:
            exchange.connection = None
            if self._trace is not None:
                self._trace("request.retried", id=exchange.id, error=why)
        lane = self._pipeline.add_first(survivors)
        if lane is not None:
            self._serve(lane)

    def _unlink(self, connection: Connection[A], lane: Lane[Exchange[Q, A]]) -> None:
        del self._connection_of[lane], self._lane_of[connection]

    def _is_dialing_for(self, exchange: Exchange[Q, A]) -> bool:
        return any(exchange in lane.unwritten for lane in self._dialing)

    def _abandon(self, exchange: Exchange[Q, A]) -> None:
        self._pipeline.withdraw(exchange)
