"""Which packets are lost, and what to do when nobody answers.

The network never says that it lost something. A sender infers it: from later packets that arrived, or from silence. Every
inference may be wrong, as the packet or its ack may only be late; wrong ones cost a needless resend, slow ones cost time.

What is lost is a packet; what is resent is what was *in* it, in a new packet with a new number. So each ack is for exactly
one sending, and round trips are never ambiguous. The content is the caller's business: each packet carries a *token*, and
comes back once, acked or lost.

Rules:

1. A packet is lost if one was acked that was sent later, by 3 packets or more (the *packet threshold*), or by enough time:
   9/8 of a round trip since it was sent (the *time threshold*). Without a later ack there is no inference: see rule 5.
2. An ack names 32 packets, no more. What is 32 behind the newest acked can never be acked: lost, whatever else we believe.
   This is rule 1 with the largest threshold that makes sense.
3. If the ack of a lost packet comes after all, the loss was *spurious*: the path reorders more than we thought. The packet
   threshold is raised to what was seen, to 32 at most; if the time threshold was too short too, by 1/8, to 2 at most. After
   16 losses in different round trips without a spurious one both are as at first (as in RACK, RFC 8985, section 6.2).
4. Packets that only carry acks are not acked for their own sake; they are neither under way nor ever lost, and only their
   numbers are counted.
5. The last packets have none after them. When something is under way, and neither an ack nor a loss comes, then after the
   *probe timeout* one packet may be sent above the window: its ack tells about all before. Nothing is lost by the timeout
   itself, it may be the ack that is missing. Each further timeout is twice as long, up to 10 seconds (so that a cable that
   is plugged in again is noticed); an ack makes it short again.
6. *Persistent congestion*: everything in a time of three probe timeouts was lost, with nothing acked in between.
7. While something is under way a timer runs, and what is sent is sooner or later acked or lost, whatever the peer says.
8. A lost packet that was sent to find out how large packets may be says nothing about congestion (RFC 8899, section 3).
9. An ack is a measure of the round trip if it is of the newest packet (an older one may have been acked before, in a header
   that was lost), and that did not overtake the one before it (it may have come another, shorter way). And no path is
   longer than 10 seconds: then the peer was away, suspended or stopped by a debugger, and its ack says nothing of the path.

Numbers are 16 bits on the wire and not wrapped here; an ack means the latest packet with its sequence.

Each packet costs the same however many are under way: packets are kept in the order of sending, thresholds judge the oldest
first, and the first that is not lost ends the search. Memory: what is under way, which the window bounds, and the numbers of
at most `REMEMBERED` lost packets.

Source: RFC 9002, sections 5 and 6, appendix A (there with many packet number spaces, and without rule 2).
"""

from collections import OrderedDict
from collections.abc import Iterable
from math import inf
from typing import Final, Generic, NamedTuple, TypeVar, final

from sleepy.udp.numbered import Numbered
from sleepy.udp.path.congestion.control import Ack, Controller, Loss
from sleepy.udp.path.congestion.delivery_rate import DeliveryRate, Mark
from sleepy.udp.path.round_trip import GRANULARITY, RoundTrip

PACKET_THRESHOLD: Final = 3
ACK_BITS: Final = 32  # rule 2
TIME_THRESHOLD: Final = 9 / 8  # round trips
TIME_THRESHOLD_STEP: Final = 1 / 8
MOST_TIME_THRESHOLD: Final = 2.0
CALM_EPISODES: Final = 16  # rule 3
PERSISTENT: Final = 3  # probe timeouts
MOST_PROBE_TIMEOUT: Final = 10.0  # seconds
LONGEST_ROUND_TRIP: Final = 10.0  # seconds; rule 9
REMEMBERED: Final = 256  # packets

Token = TypeVar("Token")


class Outcome(NamedTuple, Generic[Token]):
    """What became of packets.

    Attributes:
        acked: The tokens of those that arrived.
        lost: Of those that did not; the content that still matters is to be sent again.
        late: Of those that were said to be lost, and have arrived after all; not sent again yet, they need not be.
    """

    acked: list[Token]
    lost: list[Token]
    late: list[Token]


@final
class _Sent(Generic[Token]):
    """A packet under way."""

    __slots__ = ("mark", "mtu_probe", "order", "size", "time", "token")

    def __init__(self, order: int, size: int, time: float, token: Token, mark: Mark, mtu_probe: bool) -> None:
        self.order = order  # among those that want an ack: neighbours have neighbouring orders
        self.size = size
        self.time = time
        self.token = token
        self.mark = mark
        self.mtu_probe = mtu_probe


class Recovery(Generic[Token]):
    """Keeps account of the packets under way to one peer.

    Args:
        controller: Is told what arrives and what is lost; its window decides what `can_send`.
        max_ack_delay: The longest that the peer promised to hold an ack back, in seconds.
        initial_rtt: What to believe before the first sample, in seconds; the handshake knows better than the default.

    Attributes:
        controller: As given.
        round_trip: The round trip.
        in_flight: Bytes under way.
        probes: Packets to be sent now, whatever the window says, because a probe timeout passed (rule 5). If there is
            nothing to send, a packet with any content that wants an ack.
        lost: Packets declared lost so far.
        spurious: Those of them that were acked later.
        packet_threshold: Rule 1, as adapted by rule 3.
        time_threshold: The same, in round trips.
        timeouts: Probe timeouts since the last ack.
        delivery_rate: Bytes per second that arrived, as the last acks showed; 0 before the first.
    """

    __slots__ = (
        "_calm",
        "_episode_end",
        "_largest_acked",
        "_last_sent",
        "_lost",
        "_next",
        "_order",
        "_outstanding",
        "_rate",
        "_run_order",
        "_run_start",
        "controller",
        "delivery_rate",
        "in_flight",
        "lost",
        "packet_threshold",
        "probes",
        "round_trip",
        "spurious",
        "time_threshold",
        "timeouts",
    )

    def __init__(self, controller: Controller, *, max_ack_delay: float = 0.025, initial_rtt: float = 0.333) -> None:
        self.controller = controller
        self.round_trip = RoundTrip(initial_rtt, max_ack_delay)
        self.delivery_rate = 0.0
        self.in_flight = 0
        self.probes = 0
        self.lost = 0
        self.spurious = 0
        self.packet_threshold = PACKET_THRESHOLD
        self.time_threshold = TIME_THRESHOLD
        self._outstanding: Numbered[_Sent[Token]] = Numbered()
        self._lost: OrderedDict[int, tuple[float, Token]] = OrderedDict()  # the last ones (rule 3)
        self._rate = DeliveryRate()
        self._next = 0  # the number that comes next
        self._order = 0
        self._largest_acked = -1
        self._last_sent = 0.0
        self.timeouts = 0
        self._calm = 0
        self._episode_end = -1  # losses up to this number belong to one episode
        self._run_order = -1  # the last packet in a row of lost ones (rule 6)
        self._run_start: float | None = None  # when the first of them was sent

    @property
    def oldest(self) -> Token | None:
        """The token of the packet that is longest under way; its content is the best one for a probe."""
        packet = self._outstanding.oldest()
        return packet.token if packet is not None else None

    @property
    def span(self) -> int:
        """How many packets back the oldest is that is under way, of all kinds of packets."""
        return self._next - self._outstanding.first if self._outstanding.count else 0

    def under_way(self) -> list[Token]:
        """The tokens of all packets that are under way, oldest first."""
        return [packet.token for packet in self._outstanding.things if packet is not None]

    def can_send(self, size: int) -> bool:
        """Whether a packet of ``size`` bytes may be sent, as far as the window is concerned."""
        return self.probes > 0 or self.in_flight + size <= self.controller.window

    def on_app_limited(self) -> None:
        """There is room, and nothing to send. To be called whenever that is found."""
        self._rate.on_app_limited(self.in_flight)

    # --8<-- [start:sent]
    def on_sent(self, sequence: int, size: int, now: float, token: Token, *, mtu_probe: bool = False) -> None:
        """A packet that wants an ack was sent.

        Args:
            sequence: Its 16-bit number.
            size: Its bytes.
            now: The time, in seconds.
            token: What to give back when its fate is known.
            mtu_probe: Rule 8.
        """
        number = self.on_ack_only_sent(sequence)
        mark = self._rate.on_sent(self.in_flight, now)
        self._outstanding.add(number, _Sent(self._order, size, now, token, mark, mtu_probe))
        self._order += 1
        self._last_sent = now
        self.in_flight += size
        if self.probes:
            self.probes -= 1

    def on_ack_only_sent(self, sequence: int) -> int:
        """A packet that wants no ack was sent, with this 16-bit number (rule 4); the number without wrapping."""
        number = self._next + (sequence - self._next & 0xFFFF)
        self._next = number + 1
        return number

    # --8<-- [end:sent]

    # --8<-- [start:acked]
    def on_acked(self, sequences: Iterable[int], now: float, ack_delay: float = 0.0) -> Outcome[Token]:
        """The peer says that it has these packets.

        Args:
            sequences: Their 16-bit numbers, in any order; all that one packet of the peer's newly acks.
            now: The time, in seconds.
            ack_delay: How long the peer says it held the ack back, in seconds.
        """
        acked: list[Token] = []
        late: list[Token] = []
        size, newest = 0, -1
        newest_packet: _Sent[Token] | None = None
        for sequence in sequences:
            number = self._number(sequence)
            self._largest_acked = max(self._largest_acked, number)
            packet = self._outstanding.pop(number)
            if packet is None:
                self._on_late(number, now, late)
                continue
            acked.append(packet.token)
            self.in_flight -= packet.size
            size += packet.size
            if number > newest:
                newest, newest_packet = number, packet
        if newest_packet is None:
            return Outcome(acked, self.detect_lost(now), late)
        sample = None
        away = now - newest_packet.time > LONGEST_ROUND_TRIP  # rule 9
        if newest == self._largest_acked and self._outstanding.get(newest - 1) is None and not away:
            sample = now - newest_packet.time
            self.round_trip.add(sample, ack_delay)
        self.timeouts = self.probes = 0
        lost = self.detect_lost(now)
        rate = self._rate.on_acked(size, newest_packet.time, newest_packet.mark, now)
        rate = 0.0 if away else rate
        self.delivery_rate = rate or self.delivery_rate
        mark = newest_packet.mark
        self.controller.on_acked(
            Ack(now, size, newest_packet.time, sample, self.round_trip.smoothed, self.in_flight,
                mark.app_limited, rate, self._rate.delivered, mark.delivered)
        )  # fmt: skip
        return Outcome(acked, lost, late)

    # --8<-- [end:acked]

    def _number(self, sequence: int) -> int:
        """The latest number that has this sequence."""
        latest = self._next - 1
        return latest - (latest - sequence & 0xFFFF)

    def _on_late(self, number: int, now: float, late: list[Token]) -> None:
        """An ack for a packet that is not under way: of an ack-only packet, or of one that was declared lost (rule 3)."""
        remembered = self._lost.pop(number, None)
        if remembered is None:
            return
        time, token = remembered
        late.append(token)
        self.spurious += 1
        self._calm = 0
        self._run_start = None
        self.packet_threshold = max(self.packet_threshold, min(self._largest_acked - number + 1, ACK_BITS))
        if now - time > self._time_until_lost():
            self.time_threshold = min(self.time_threshold + TIME_THRESHOLD_STEP, MOST_TIME_THRESHOLD)

    def _time_until_lost(self) -> float:
        """The time threshold, in seconds."""
        return max(self.time_threshold * max(self.round_trip.smoothed, self.round_trip.latest), GRANULARITY)

    # --8<-- [start:lost]
    def detect_lost(self, now: float) -> list[Token]:
        """Find what is lost by now; its tokens, oldest first."""
        lost: list[Token] = []
        size, sent_time, persistent = 0, -inf, False
        patience = self._time_until_lost()
        while (packet := self._outstanding.oldest()) is not None:
            number = self._outstanding.first
            behind = self._largest_acked - number
            if behind <= 0 or (behind < self.packet_threshold and now < packet.time + patience):  # rules 1 and 2
                break
            self._outstanding.pop(number)
            lost.append(packet.token)
            self.in_flight -= packet.size
            persistent |= self._extends_run(packet)
            self._remember(number, packet)
            if not packet.mtu_probe:  # rule 8
                size += packet.size
                sent_time = packet.time
        if size:
            self.controller.on_lost(Loss(now, size, sent_time, self.in_flight))
        if persistent:
            self.controller.on_persistent_congestion(now)
        return lost

    # --8<-- [end:lost]

    def _extends_run(self, packet: _Sent[Token]) -> bool:
        """A packet is lost; whether that makes the congestion persistent (rule 6)."""
        neighbour = packet.order == self._run_order + 1
        self._run_order = packet.order
        if not neighbour or self._run_start is None:
            self._run_start = packet.time
        return packet.time - self._run_start > PERSISTENT * self.round_trip.patience

    def _remember(self, number: int, packet: _Sent[Token]) -> None:
        """Keep a lost packet's number for a while, and count calm round trips (rule 3)."""
        self.lost += 1
        self._lost[number] = (packet.time, packet.token)
        if len(self._lost) > REMEMBERED:
            self._lost.popitem(last=False)
        if number > self._episode_end:
            self._episode_end = self._next - 1
            self._calm += 1
            if self._calm > CALM_EPISODES:
                self.packet_threshold, self.time_threshold = PACKET_THRESHOLD, TIME_THRESHOLD

    # --8<-- [start:timer]
    def next_timeout(self) -> float:
        """When to call `on_timeout`; infinite while nothing is under way (rule 7)."""
        packet = self._outstanding.oldest()
        if packet is None:
            return inf
        if self._outstanding.first < self._largest_acked:
            return packet.time + self._time_until_lost()
        return self._last_sent + self._probe_timeout()

    def _probe_timeout(self) -> float:
        patience = self.round_trip.patience
        return min(patience * (1 << self.timeouts), MOST_PROBE_TIMEOUT)

    def on_timeout(self, now: float) -> list[Token]:
        """The time of `next_timeout` has come (if it has not, nothing happens).

        Returns:
            The tokens of packets that are lost. If none are, `probes` says that a probe is to be sent.
        """
        if now < self.next_timeout():
            return []
        lost = self.detect_lost(now)
        if not lost:  # rule 5
            self.probes = 1
            self.timeouts += 1
            self._last_sent = now  # a probe that cannot be sent is due again, and later
        return lost

    # --8<-- [end:timer]
