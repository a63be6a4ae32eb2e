"""One direction made reliable, the sending half: what is under way, what is lost, what goes next.

Every byte stays in the buffer until it is acknowledged, and everything sent is remembered segment by segment, with the
time at which it was last sent. Acks say two things: *all up to here has arrived* (``ack``), and *these ranges beyond have
arrived too* (``sacks``, RFC 2018). What lies between is a hole, and the question is always the same: lost, or only late?

Rules:

1. A segment is lost if one sent after it has arrived and it had its chance. It has had it when three segments beyond the
   hole have arrived, which is what three duplicate acks tell (*fast retransmit*, RFC 5681, 3.2), or when losses are being
   repaired anyway, or else a quarter of the shortest round trip later. (RFC 8985. *Sent after* goes by time, not by
   number, so a resent segment that is lost again is noticed like any other.)
2. The first loss begins a *recovery*, which ends when all that was sent before it is acknowledged. The window is halved
   once for it (RFC 6582). The first hole is resent at once; for the rest, what is under way has to leave room.
3. Under way is what was sent and is neither acknowledged nor lost (the *pipe* of RFC 6675).
4. Holes are filled before anything new is sent, the lowest first.
5. If nothing new is acknowledged for the retransmission time-out, all that is under way counts as lost, and sending
   begins anew with one segment (RFC 6298, section 5).
6. The end of what was said may be lost without anything after it to tell. So two round trips after the last segment the
   last one is sent again, once, as a *probe*: its ack uncovers the holes before the slow timer of rule 5 does (RFC 8985,
   section 7). With one segment under way the probe also waits as long as the peer may delay its ack.
7. The peer's window is respected. If it is shut and nothing is under way, an empty segment asks from time to time whether
   it has opened, since the ack that opened it may have been lost (RFC 9293, section 3.8.6.1).
8. After 15 expiries in a row the peer is given up (Linux's ``tcp_retries2``; about a quarter of an hour).
9. With *Nagle's algorithm* (RFC 896) less than a full segment waits while another such is under way, so that what a
   program writes byte by byte shares a header. (Minshall's form of it, which is Linux's: a full segment holds up nobody.)
   asyncio switches it off, and so it is off here unless a program asks for it.

Segments keep their boundaries when they are sent again, so an ack never falls inside of one.
"""

import math
from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final, NamedTuple

from sleepy.sim.tcp.congestion import NewReno
from sleepy.sim.tcp.round_trip import LONGEST, RoundTrip

DUPLICATE_ACKS: Final = 3
MOST_EXPIRIES: Final = 15
LONGEST_ACK_DELAY: Final = 0.2  # seconds a peer may keep an ack back (RFC 8985, section 7.2)


class Outgoing(NamedTuple):
    """A segment to be sent."""

    seq: int
    data: bytes
    fin: bool


@dataclass(slots=True, eq=False)
class Sent:
    """A segment that was sent and is not acknowledged."""

    seq: int
    end: int
    fin: bool
    time: float  # of its last sending
    resent: bool = False
    arrived: bool = False  # a sack says so
    lost: bool = False  # and not yet sent again


class Sender:
    """Sends a stream of bytes.

    Args:
        seq: The number of its first byte.
        mss: The largest payload of a segment, in bytes.
        round_trip: Shared with the handshake, which may have taken a sample.

    Attributes:
        acked: All before this number is acknowledged.
        next: The number of the next new byte.
        edge: The peer has room up to here.
        flight: How many segments are under way (rule 3).
        congestion: Its congestion window.
        gave_up: Whether the peer has been silent for too long (rule 8).
        nodelay: Whether Nagle's algorithm is off (rule 9).
    """

    def __init__(self, seq: int, mss: int, round_trip: RoundTrip) -> None:
        self.mss = mss
        self.acked = self.next = self.edge = seq
        self.flight = 0
        self.round_trip = round_trip
        self.congestion = NewReno()
        self.gave_up = False
        self.nodelay = True
        self._small = seq  # the end of the last segment that was not full
        self._buffer = bytearray()  # from `acked` on
        self._finish = False
        self._fin_sent = False
        self._sent: deque[Sent] = deque()
        self._holes: list[tuple[int, Sent]] = []  # the lost ones, a heap by number
        self._arrived = 0  # how many of `_sent` have arrived
        self._newest = (-math.inf, 0)  # time and end of the arrived segment that was sent last
        self._recovery: int | None = None  # until this is acknowledged (rule 2)
        self._slow_start_again = False  # the recovery began with an expiry
        self._at_once = 0  # how many segments may go whatever the window says
        self._probe_due = False
        self._probed = False
        self._retransmit_at = self._probe_at = self._judge_at = self._ask_at = math.inf
        self._ask = False
        self._asked = 0

    # ------------------------------------------------------------------ the program's side

    @property
    def buffered(self) -> int:
        """How many bytes are written and not acknowledged."""
        return len(self._buffer)

    @property
    def finished(self) -> bool:
        """Whether all, and the FIN, is acknowledged."""
        return self._fin_sent and self.acked == self.next

    def write(self, data: bytes) -> None:
        """Have more to send."""
        self._buffer += data

    def finish(self) -> None:
        """Have no more to send: a FIN ends it."""
        self._finish = True

    # ------------------------------------------------------------------ what comes in

    # --8<-- [start:acknowledge]
    def acknowledge(self, ack: int, sacks: tuple[tuple[int, int], ...], window: int, now: float) -> int:
        """An ack has come.

        Returns:
            How many numbers it newly acknowledges.
        """
        if ack > self.next:
            return 0  # of what was never sent
        if ack + window > self.edge:
            self.edge = ack + window
            self._ask_at, self._asked = math.inf, 0
        before, size = self.flight, max(0, ack - self.acked)
        count = self._note_cumulative(ack, now)
        for start, end in sacks:
            self._note_range(start, end, now)
        if self._recovery is not None and ack >= self._recovery:  # rule 2
            self._recovery, self._slow_start_again = None, False
        if self._arrived:
            self._probe_at = math.inf  # acks do come back
            self._judge(now)
        if size:
            self.round_trip.expiries = 0
            self._probed = False
            if self._recovery is None or self._slow_start_again:
                self.congestion.acknowledged(count, before)
            self._start_timers(now)
        return size

    # --8<-- [end:acknowledge]

    def _note_cumulative(self, ack: int, now: float) -> int:
        """Forget what is acknowledged, and count it; the oldest of it that was sent once gives a sample."""
        sample, before = None, len(self._sent)
        while self._sent and self._sent[0].end <= ack:
            segment = self._sent.popleft()
            if segment.arrived:
                self._arrived -= 1
                continue
            self._note_arrival(segment, now)
            if sample is None and not segment.resent:
                sample = now - segment.time
        if sample is not None:
            self.round_trip.sample(sample)
        if ack > self.acked:
            del self._buffer[: ack - self.acked]
            self.acked = ack
        return before - len(self._sent)

    def _note_range(self, start: int, end: int, now: float) -> None:
        """Mark what has arrived beyond a hole."""
        for segment in self._sent:
            if segment.seq >= end:
                break
            if segment.seq >= start and segment.end <= end and not segment.arrived:
                self._note_arrival(segment, now)
                self._arrived += 1
                segment.arrived = True

    def _note_arrival(self, segment: Sent, now: float) -> None:
        if not segment.lost:
            self.flight -= 1
        segment.lost = False
        if segment.resent and now - segment.time < self.round_trip.smallest:
            return  # too soon for the second copy: it was the first (RFC 8985, section 6.2, step 2)
        self._newest = max(self._newest, (segment.time, segment.end))

    # --8<-- [start:judge]
    def _judge(self, now: float) -> None:
        """Lost, or only late? (rule 1)."""
        sure = self._arrived >= DUPLICATE_ACKS or self._recovery is not None
        patience = 0.0 if sure else self.round_trip.smallest / 4
        self._judge_at, loss = math.inf, False
        for segment in self._sent:
            if segment.arrived or segment.lost or (segment.time, segment.end) > self._newest:
                continue
            chance = segment.time + self.round_trip.latest + patience
            if sure or chance <= now:
                self._lose(segment)
                loss = True
            else:
                self._judge_at = min(self._judge_at, chance)
        if loss and self._recovery is None:  # rule 2
            self._recovery = self.next
            self.congestion.lost()
            self._at_once = 1

    # --8<-- [end:judge]

    def _lose(self, segment: Sent) -> None:
        segment.lost = True
        self.flight -= 1
        heappush(self._holes, (segment.seq, segment))

    # ------------------------------------------------------------------ what goes out

    # --8<-- [start:segment]
    def segment(self, now: float) -> Outgoing | None:
        """The next segment that may be sent now; it counts as sent."""
        if self._probe_due:  # rule 6
            self._probe_due = False
            return self._new(now) or self._send_again(self._sent[-1], now)
        while self._holes and not self._holes[0][1].lost:
            heappop(self._holes)  # it has arrived after all
        if self._holes:  # rule 4
            return self._send_again(heappop(self._holes)[1], now) if self._may_send() else None
        if self._ask:  # rule 7
            self._ask = False
            return Outgoing(self.acked - 1, b"", fin=False)
        return self._new(now) if self._may_send() else None

    # --8<-- [end:segment]

    @property
    def _unsent(self) -> int:
        return len(self._buffer) - (self.next - self.acked) + self._fin_sent

    def _may_send(self) -> bool:
        if self._at_once:
            self._at_once -= 1
            return True
        return self.flight < self.congestion.window

    def _new(self, now: float) -> Outgoing | None:
        if self._fin_sent:
            return None
        unsent = self._unsent
        size = min(self.mss, unsent, self.edge - self.next)
        if size < min(self.mss, unsent) and self._sent:
            return None  # the window cuts it short: wait for an ack to open it (RFC 9293, section 3.8.6.2.1)
        if not self.nodelay and size < self.mss and self._small > self.acked and not self._finish:
            return None  # rule 9
        size = max(size, 0)
        fin = self._finish and size == unsent
        if not size and not fin:
            if unsent and self._ask_at == math.inf:
                self._plan_asking(now)
            return None
        segment = Sent(self.next, self.next + size + fin, fin, now)
        self.next = segment.end
        self._fin_sent = fin
        if size < self.mss:
            self._small = segment.end
        self._sent.append(segment)
        self.flight += 1
        if self._retransmit_at == math.inf:
            self._start_timers(now)
        else:
            self._start_probe_timer(now)
        return self._outgoing(segment)

    def _send_again(self, segment: Sent, now: float) -> Outgoing:
        if segment.lost:
            segment.lost = False
            self.flight += 1
        segment.resent, segment.time = True, now
        if self._retransmit_at == math.inf:
            self._start_timers(now)
        return self._outgoing(segment)

    def _outgoing(self, segment: Sent) -> Outgoing:
        start = segment.seq - self.acked
        return Outgoing(
            segment.seq, bytes(self._buffer[start : start + segment.end - segment.seq - segment.fin]), segment.fin
        )

    # ------------------------------------------------------------------ time

    @property
    def wake(self) -> float:
        """When `tick` is to be called, in seconds; infinity for never."""
        return min(self._retransmit_at, self._probe_at, self._judge_at, self._ask_at)

    def tick(self, now: float) -> None:
        """Do what is due."""
        if now >= self._judge_at:
            self._judge(now)
        if now >= self._ask_at:
            self._ask = True
            self._plan_asking(now)
        if now >= self._retransmit_at:
            self._time_out(now)
        elif now >= self._probe_at:  # rule 6
            self._probe_at = math.inf
            self._probed = self._probe_due = True

    def _time_out(self, now: float) -> None:
        """Rule 5."""
        if not self.round_trip.expiries:
            self.congestion.timed_out()
        for segment in self._sent:
            if not segment.arrived and not segment.lost:
                self._lose(segment)
        self._recovery, self._slow_start_again = self.next, True
        self._at_once = 1
        self.round_trip.expiries += 1
        self.gave_up = self.round_trip.expiries > MOST_EXPIRIES  # rule 8
        self._start_timers(now)

    def _plan_asking(self, now: float) -> None:
        """Rule 7: twice as long as the last time. It never gives up; a program that does not read is alive."""
        self._ask_at = now + min(self.round_trip.timeout * 2**self._asked, LONGEST)
        self._asked += 1

    def _start_timers(self, now: float) -> None:
        """RFC 6298, section 5, rules 5.1 to 5.3; and the probe's."""
        self._retransmit_at = now + self.round_trip.timeout if self._sent else math.inf
        self._start_probe_timer(now)

    def _start_probe_timer(self, now: float) -> None:
        self._probe_at = math.inf
        calm = self._recovery is None and not self._arrived and not self._probed
        if self._sent and calm and self.round_trip.mean:
            alone = LONGEST_ACK_DELAY if len(self._sent) == 1 else 0.0
            self._probe_at = now + 2 * self.round_trip.mean + alone
