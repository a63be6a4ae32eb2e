"""A TCP connection: how it begins and ends.

Both sides have to agree that a connection exists, and from which number each counts; and, later, that both have said
all. Each of these agreements takes a segment and its ack, in each direction, and any of them may be lost. Hence the
states of RFC 9293, section 3.3.2:

    connect        SYN_SENT ──────────────> ESTABLISHED
    accept         SYN_RECEIVED ──────────> ESTABLISHED
    we end first   ESTABLISHED ─> FIN_WAIT_1 ─> FIN_WAIT_2 ─> TIME_WAIT ─> CLOSED   (CLOSING if both end at once)
    they end first ESTABLISHED ─> CLOSE_WAIT ─> LAST_ACK ─> CLOSED

Rules:

1. A SYN, and the answer to one, is repeated after 1, 2, 4, ... seconds; six times by who connects, five by who accepts.
   Then nobody is there (Linux's counts, RFC 6298's time-out).
2. A reset ends a connection at once. In answer to a SYN it means: nobody listens.
3. Ending is for each direction apart: after our FIN we may still receive, after theirs we may still send (*half-close*).
4. Once the program has gone, what still comes is answered by a reset: nobody will ever read it (RFC 9293, section 3.6.1).
5. Who ends first waits a minute in TIME_WAIT, in case its last ack was lost and the peer repeats its FIN. A minute is
   also what a peer is given to end after us once our program has gone (Linux's ``tcp_fin_timeout``).

The module decides and does nothing: segments and ``now`` in seconds come in; segments to be sent, and events for the
program, pile up until they are taken; `wake` says when `tick` is to be called.
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sleepy.sim.packet import Segment
from sleepy.sim.tcp.receiver import BUFFER, Receiver
from sleepy.sim.tcp.round_trip import RoundTrip
from sleepy.sim.tcp.sender import Sender

SYN_REPEATS: Final = 6
SYN_ACK_REPEATS: Final = 5
TIME_WAIT: Final = 60.0  # seconds, Linux's


class State(Enum):
    """Where a connection stands (RFC 9293, section 3.3.2)."""

    SYN_SENT = "connecting"
    SYN_RECEIVED = "being accepted"
    ESTABLISHED = "open"
    FIN_WAIT_1 = "we have ended, and wait for the ack"
    FIN_WAIT_2 = "we have ended, they have not"
    CLOSING = "both have ended, and wait for the ack of our end"
    TIME_WAIT = "over; lingering for a lost ack"
    CLOSE_WAIT = "they have ended, we have not"
    LAST_ACK = "both have ended; they know all but our end"
    CLOSED = "over"


_HANDSHAKE: Final = {State.SYN_SENT, State.SYN_RECEIVED}
_CAN_SEND: Final = {State.ESTABLISHED, State.CLOSE_WAIT}


class Failure(Enum):
    """Why a connection ended before its time."""

    REFUSED = "refused"
    RESET = "reset by the peer"
    TIMED_OUT = "timed out"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Opened:
    """Both sides know of each other."""


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes have arrived, in order. Say `Connection.read` when they have been taken."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The peer has said all."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Some of what we wrote has arrived, so that there is room to write more."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over; ``failure`` says why, if it should not be."""

    failure: Failure | None


Event = Opened | Received | Ended | Acknowledged | Closed


class Connection:
    """One end of a connection.

    Args:
        local_port: Our port.
        remote_port: The peer's.
        seq: The number of our SYN, from which we count.
        mss: The largest payload of a segment that we take, in bytes.

    Attributes:
        state: Where it stands.
        sender: Our direction.
        segments: Segments to be sent; whoever sends them clears the list.
        events: What the program is to know; whoever tells it clears the list.
    """

    def __init__(self, local_port: int, remote_port: int, seq: int, mss: int) -> None:
        self.state = State.CLOSED
        self.segments: list[Segment] = []
        self.events: list[Event] = []
        self._local_port = local_port
        self._remote_port = remote_port
        self._first = seq
        self._mss = mss
        self._round_trip = RoundTrip()
        self.sender = Sender(seq + 1, mss, self._round_trip)
        self._receiver = Receiver(0, mss)
        self._syn_at = 0.0
        self._repeat_at = math.inf
        self._forget_at = math.inf
        self._deserted = False

    # ------------------------------------------------------------------ what the program does

    def connect(self, now: float) -> None:
        """Begin as who calls."""
        self.state = State.SYN_SENT
        self._send_syn(now)

    def accept(self, syn: Segment, now: float) -> None:
        """Begin as who is called, by the caller's SYN."""
        self.state = State.SYN_RECEIVED
        self._meet(syn)
        self._send_syn(now)

    def write(self, data: bytes, now: float) -> None:
        """Have more to send."""
        self.sender.write(data)
        self._transmit(now)

    def finish(self, now: float) -> None:
        """Have no more to send (rule 3)."""
        if self.state in _CAN_SEND:
            self.state = State.FIN_WAIT_1 if self.state is State.ESTABLISHED else State.LAST_ACK
            self.sender.finish()
            self._transmit(now)

    def set_nodelay(self, nodelay: bool, now: float) -> None:
        """Switch Nagle's algorithm off, or on; what it held back goes at once."""
        self.sender.nodelay = nodelay
        self._transmit(now)

    def read(self, size: int, now: float) -> None:
        """The program has taken so many bytes."""
        self._receiver.read(size)
        self._transmit(now)

    def desert(self, now: float) -> None:
        """The program has gone: send what is left, end, and take nothing more (rule 4)."""
        self._deserted = True
        self.finish(now)
        if self.state is State.FIN_WAIT_2:
            self._forget_at = now + TIME_WAIT

    def abort(self) -> None:
        """End at once, by a reset."""
        if self.state not in (State.CLOSED, State.SYN_SENT):
            self._emit(self.sender.next, rst=True)
        self._close(None)

    # ------------------------------------------------------------------ what the network does

    # --8<-- [start:receive]
    def receive(self, segment: Segment, now: float) -> None:
        """A segment has come."""
        if segment.rst:
            self._take_reset(segment)
        elif self.state is State.SYN_SENT:
            self._take_answer(segment, now)
        elif segment.syn:  # our ack of it was lost, or our answer to it
            self._repeat_syn(now) if self.state is State.SYN_RECEIVED else self._acknowledge()
        elif segment.ack is not None and self.state is not State.CLOSED:
            if self.state is State.SYN_RECEIVED:
                self._open(now)
            self._take_ack(segment, segment.ack, now)
            self._take_data(segment, now)
        self._transmit(now)

    # --8<-- [end:receive]

    def unreachable(self) -> None:
        """The network says that there is no way to the peer. Once we are open that may pass (RFC 9293, 3.9.2.2)."""
        if self.state is State.SYN_SENT:
            self._close(Failure.UNREACHABLE)

    @property
    def wake(self) -> float:
        """When `tick` is to be called, in seconds; infinity for never."""
        if self.state is State.CLOSED:
            return math.inf
        return min(self._repeat_at, self._forget_at, self.sender.wake, self._receiver.ack_at)

    def tick(self, now: float) -> None:
        """Do what is due."""
        if now >= self._repeat_at:
            self._round_trip.expiries += 1
            repeats = SYN_REPEATS if self.state is State.SYN_SENT else SYN_ACK_REPEATS
            if self._round_trip.expiries > repeats:  # rule 1
                self._close(Failure.TIMED_OUT)
            else:
                self._repeat_syn(now)
        if now >= self._forget_at:  # rule 5
            self._close(None)
        if now >= self._receiver.ack_at:
            self._receiver.must_ack = True
        self.sender.tick(now)
        if self.sender.gave_up:
            self._close(Failure.TIMED_OUT)
        self._transmit(now)

    # ------------------------------------------------------------------ beginning

    def _meet(self, syn: Segment) -> None:
        """Learn from the peer's SYN from which number it counts, and what it takes."""
        self._mss = min(self._mss, syn.mss or self._mss)
        self.sender = Sender(self._first + 1, self._mss, self._round_trip)
        self.sender.edge = self._first + 1 + syn.window
        self._receiver = Receiver(syn.seq + 1, self._mss)

    def _send_syn(self, now: float) -> None:
        self._syn_at = now
        self._repeat_syn(now)

    def _repeat_syn(self, now: float) -> None:
        ack = self._receiver.next if self.state is State.SYN_RECEIVED else None
        self.segments.append(
            Segment(self._local_port, self._remote_port, self._first, ack, 0xFFFF, syn=True, mss=self._mss)
        )
        self._repeat_at = now + self._round_trip.timeout

    def _take_answer(self, segment: Segment, now: float) -> None:
        if not segment.syn or segment.ack != self._first + 1:
            return
        self._meet(segment)
        self._open(now)
        self._receiver.must_ack = True

    def _open(self, now: float) -> None:
        if not self._round_trip.expiries:  # else who knows which copy was answered
            self._round_trip.sample(now - self._syn_at)
        self._round_trip.expiries = 0
        self._repeat_at = math.inf
        self.state = State.ESTABLISHED
        self.events.append(Opened())

    # ------------------------------------------------------------------ being open

    def _take_ack(self, segment: Segment, ack: int, now: float) -> None:
        if self.sender.acknowledge(ack, segment.sacks, segment.window, now):
            self.events.append(Acknowledged())
        if not self.sender.finished:
            return
        if self.state is State.FIN_WAIT_1:
            self.state = State.FIN_WAIT_2
            self._forget_at = now + TIME_WAIT if self._deserted else math.inf
        elif self.state is State.CLOSING:
            self._linger(now)
        elif self.state is State.LAST_ACK:
            self._close(None)

    def _take_data(self, segment: Segment, now: float) -> None:
        receiver = self._receiver
        if segment.end == segment.seq:
            if segment.seq < receiver.next:  # the peer asks whether there is room (rule 7 of the sender)
                receiver.must_ack = True
            return
        if self._deserted and segment.data and segment.end > receiver.next:  # rule 4
            self.abort()
            return
        ended = receiver.fin
        ready = receiver.receive(segment.seq, segment.data, segment.fin, now)
        if ready:
            self.events.append(Received(ready))
        if receiver.fin and not ended:
            self._take_fin(now)
        elif self.state is State.TIME_WAIT:
            self._linger(now)  # rule 5: it was repeated

    def _take_fin(self, now: float) -> None:
        self.events.append(Ended())
        if self.state is State.ESTABLISHED:
            self.state = State.CLOSE_WAIT
        elif self.state is State.FIN_WAIT_1:
            self.state = State.CLOSING
        elif self.state is State.FIN_WAIT_2:
            self._linger(now)

    def _transmit(self, now: float) -> None:
        """Send what may be sent; an ack goes with it, or else on its own."""
        if self.state in _HANDSHAKE or self.state is State.CLOSED:
            return
        while (outgoing := self.sender.segment(now)) is not None:
            self._emit(outgoing.seq, outgoing.data, fin=outgoing.fin)
        if self._receiver.must_ack:
            self._acknowledge()

    def _acknowledge(self) -> None:
        self._emit(self.sender.next)

    def _emit(self, seq: int, data: bytes = b"", *, fin: bool = False, rst: bool = False) -> None:
        receiver = self._receiver
        self.segments.append(
            Segment(
                self._local_port,
                self._remote_port,
                seq,
                receiver.next,
                receiver.advertise(),
                data,
                fin=fin,
                rst=rst,
                sacks=receiver.ranges,
            )
        )
        receiver.acked()

    # ------------------------------------------------------------------ ending

    def _take_reset(self, segment: Segment) -> None:
        """Rule 2; a reset that is not about this connection is passed over."""
        if self.state is State.SYN_SENT:
            if segment.ack == self._first + 1:
                self._close(Failure.REFUSED)
        elif self._receiver.next <= segment.seq <= self._receiver.next + BUFFER:
            self._close(None if self.state is State.TIME_WAIT else Failure.RESET)

    def _linger(self, now: float) -> None:
        self.state = State.TIME_WAIT
        self._forget_at = now + TIME_WAIT

    def _close(self, failure: Failure | None) -> None:
        if self.state is not State.CLOSED:
            self.state = State.CLOSED
            self.events.append(Closed(failure))
