"""Build a model of the path instead of waiting for losses.

A path has two figures. Its *bandwidth*: no more comes out, whatever goes in. Its *round trip* without a queue: no ack comes
sooner. Their product is what the path holds (the *bandwidth-delay product*, BDP); whoever has exactly that under way uses
the path fully, and nothing waits. More only lengthens the queue; less leaves a gap.

The trouble is that the two cannot be seen at once. The bandwidth shows when the queue is not empty, the round trip when it
is. So this control remembers the best it saw of each, and looks for both in turn. Losses it does not take for an answer: a
radio that drops 2 % of all packets is not full. Reno and CUBIC cannot know that, and starve.

Rules:

1. The bandwidth is the greatest delivery rate of the last 10 round trips (rounds); the round trip the least of the last 10
   seconds. Samples of an application-limited sender count only if they raise the bandwidth.
2. *Startup*: pace at 2.77 times the bandwidth, so that the rate doubles each round. The path is full when three rounds in a
   row did not raise it by a quarter, or when one lost more than 15 %: then a queue overflows. Until then the rate
   never falls below that of the first window: a low sample (few packets, or the first after an outage) proves nothing.
3. *Drain*: pace at the inverse, until no more than a BDP is under way: the queue that startup made is gone.
4. *Probe bandwidth*, nearly all the time, in cycles: a phase of gain 1.25 (is there more?), until its excess is under way;
   one of 0.75, until no more than a BDP is under way (what the first queued is gone); then six round trips of gain 1. That
   last part is longer by up to four, at random: senders that probe all at the same moment learn nothing.
5. *Probe the round trip*: if no sample came near the least for 10 seconds, the own queue may be hiding it. For 200 ms and a
   round only four packets are under way. Who shares the path sees the least at the same moment, and so does the same soon.
   A sample of an application-limited sender, as after a pause, is simply believed: there is no own queue that could hide it.
6. The window is one and a half BDP, since acks come in clumps and late, and at least four packets. (BBR has two; but what
   several senders have under way beyond their BDP is a standing queue, and while it stands shares cannot change.)
7. When probing (rule 4) everybody adds the same on top, 14 packets per round trip, and has as much more window. To multiply
   alone would leave shares as they are: whoever has little gets little. To add the same, and let too much wear off in
   proportion, makes shares equal, as in Reno (D.-M. Chiu and R. Jain, 1989).

That is the first version of BBR, but for rules 6 and 7, the random length, and the phase of 0.75 that takes as long as it
must. What it costs: it does not answer to losses. So several of them lose a quarter of their packets at a bottleneck whose
queue is much shorter than a BDP, and others who share that, and do answer, get little. The later versions answer to losses
above 2 %, and so give up what this one is for.

Source: N. Cardwell and others, "BBR: Congestion-Based Congestion Control" (ACM Queue, 2016);
draft-ietf-ccwg-bbr-05 (the gain of startup).
"""

from collections.abc import Callable
from enum import Enum
from math import inf
from random import random
from typing import Final

from sleepy._mypyc import mypyc_attr
from sleepy.udp.path.congestion.control import INITIAL_PACKETS, Ack, Loss

STARTUP_GAIN: Final = 2.77  # 4 ln 2: the least with which the rate doubles per round
BANDWIDTH_ROUNDS: Final = 10
FULL_GROWTH: Final = 1.25
FULL_ROUNDS: Final = 3
WINDOW_GAIN: Final = 1.5
PROBE_GAIN: Final = 1.25
DRAIN_GAIN: Final = 0.75
CRUISE_GAIN: Final = 1.0
CRUISE: Final = 6  # round trips
RANDOM_CRUISE: Final = 4
RTT_LIFETIME: Final = 10.0  # seconds
RTT_PROBE: Final = 0.2  # seconds
LOSS_TOLERANCE: Final = 0.15
EXTRA: Final = 14  # packets; rule 7
LOSS_PACKETS: Final = 6  # fewer lost packets are chance
LEAST_PACKETS: Final = 4
LEAST_RATE: Final = (
    2  # packets per second: an outage can make the samples absurd, and who sends nothing finds nothing out
)
INITIAL_RTT: Final = 0.1  # seconds; before the first sample only
LEAST_RTT: Final = 1e-6  # seconds; a loopback's clock may show none


class State(Enum):
    """What the control is about to find out."""

    STARTUP = "startup"
    DRAIN = "drain"
    PROBE_BANDWIDTH = "probe bandwidth"
    PROBE_RTT = "probe rtt"


@mypyc_attr(allow_interpreted_subclasses=True)  # whoever wants another one may begin with this
class Bbr:
    """A model of bandwidth and round trip.

    Args:
        packet_size: Bytes of a full packet.
        random: Draws from 0 to 1 (rule 4).

    Attributes:
        packet_size: As given; may be changed.
        state: What it is about.
        bandwidth: In bytes per second; 0 before the first sample.
        rtt: The least round trip of late, in seconds; infinite before the first sample.
    """

    __slots__ = (
        "_cruise",
        "_full_bandwidth",
        "_full_rounds",
        "_gain",
        "_lost",
        "_phase_start",
        "_probe_end",
        "_random",
        "_rates",
        "_round",
        "_round_end",
        "_round_start_delivered",
        "_rtt_time",
        "bandwidth",
        "packet_size",
        "rtt",
        "state",
    )

    def __init__(self, packet_size: int = 1200, random: Callable[[], float] = random) -> None:
        self.packet_size = packet_size
        self._random = random
        self._forget(0.0)

    def _forget(self, now: float) -> None:
        """Know nothing of the path."""
        self.state = State.STARTUP
        self.rtt = inf
        self._gain = STARTUP_GAIN
        self._rates: list[tuple[int, float]] = []  # (round, rate), each less than those before it
        self.bandwidth = 0.0  # the first of them
        self._round = 0
        self._round_end = 0  # the round is over when a packet is acked that was sent after so much was delivered
        self._round_start_delivered = 0
        self._lost = 0  # bytes, in this round
        self._full_bandwidth = 0.0
        self._full_rounds = 0
        self._phase_start = 0.0
        self._cruise = 0.0  # how many round trips the phase of gain 1 lasts
        self._rtt_time = now  # when the least round trip was seen
        self._probe_end: float | None = None  # of rule 5; None until little enough is under way

    def _bdp(self, gain: float = 1.0) -> float:
        """What the path holds, in bytes."""
        if not self.bandwidth or self.rtt == inf:
            return float(INITIAL_PACKETS * self.packet_size)
        return gain * self.bandwidth * self.rtt

    @property
    def window(self) -> int:
        """Bytes that may be under way (rules 5 to 7)."""
        least = LEAST_PACKETS * self.packet_size
        if self.state is State.PROBE_RTT:
            return least
        if self.state is State.STARTUP:
            return int(max(self._bdp(STARTUP_GAIN), INITIAL_PACKETS * self.packet_size))
        return int(max(self._bdp(WINDOW_GAIN) + self._extra, least))

    @property
    def pacing_rate(self) -> float:
        """Bytes per second."""
        bandwidth = self.bandwidth
        if self.state is State.STARTUP or not bandwidth:
            bandwidth = max(bandwidth, INITIAL_PACKETS * self.packet_size / min(self.rtt, INITIAL_RTT))
        rate = self._gain * bandwidth
        if self._gain == PROBE_GAIN:  # rule 7
            rate += self._extra / self.rtt
        return max(rate, LEAST_RATE * self.packet_size)

    @property
    def _extra(self) -> int:
        """What everybody adds alike when probing, in bytes (rule 7)."""
        return EXTRA * self.packet_size

    # --8<-- [start:acked]
    def on_acked(self, ack: Ack) -> None:
        """Bring the model up to date, and go on to the next thing to find out."""
        round_over = ack.delivered_before >= self._round_end
        if round_over:
            self._round += 1
            self._round_end = ack.delivered
        self._see_rate(ack)
        if round_over:
            self._judge_losses(ack)
        if self.state is State.STARTUP and round_over and not ack.app_limited:
            self._look_for_full_path()
        if self.state is State.DRAIN and ack.in_flight <= self._bdp():  # rule 3
            self._enter_probe_bandwidth(ack.now)
        if self.state is State.PROBE_BANDWIDTH:
            self._go_through_cycle(ack)
        self._see_rtt(ack, round_over=round_over)

    def _see_rate(self, ack: Ack) -> None:
        """Keep the greatest of the last rounds (rule 1)."""
        rate, rates = ack.delivery_rate, self._rates
        if rate and (rate >= self.bandwidth or not ack.app_limited):
            while rates and rates[-1][1] <= rate:
                rates.pop()
            rates.append((self._round, rate))
            self.bandwidth = rates[0][1]
        while len(rates) > 1 and rates[0][0] <= self._round - BANDWIDTH_ROUNDS:
            del rates[0]
            self.bandwidth = rates[0][1]

    def _look_for_full_path(self) -> None:
        """Whether startup has found the bandwidth (rule 2)."""
        if self.bandwidth >= FULL_GROWTH * self._full_bandwidth:
            self._full_bandwidth = self.bandwidth
            self._full_rounds = 0
            return
        self._full_rounds += 1
        if self._full_rounds >= FULL_ROUNDS:
            self._enter_drain()

    def _enter_drain(self) -> None:
        self._full_rounds = FULL_ROUNDS
        self.state = State.DRAIN
        self._gain = 1 / STARTUP_GAIN

    def _enter_probe_bandwidth(self, now: float) -> None:
        """Begin with the phase of gain 1: something was just drained."""
        self.state = State.PROBE_BANDWIDTH
        self._enter_phase(CRUISE_GAIN, now)

    def _enter_phase(self, gain: float, now: float) -> None:
        self._gain = gain
        self._phase_start = now
        self._cruise = CRUISE + self._random() * RANDOM_CRUISE

    def _go_through_cycle(self, ack: Ack) -> None:
        """On to the next phase, if this one has done its work (rule 4)."""
        round_trips = (ack.now - self._phase_start) / self.rtt
        if self._gain == PROBE_GAIN:
            target = self._bdp(PROBE_GAIN) + self._extra
            if round_trips >= 2 or (round_trips >= 1 and ack.in_flight >= target):
                self._enter_phase(DRAIN_GAIN, ack.now)
        elif self._gain == DRAIN_GAIN:
            if ack.in_flight <= self._bdp():
                self._enter_phase(CRUISE_GAIN, ack.now)
        elif round_trips >= self._cruise:
            self._enter_phase(PROBE_GAIN, ack.now)

    def _see_rtt(self, ack: Ack, *, round_over: bool) -> None:
        """Keep the least round trip, and look for it when it has grown old (rules 1 and 5)."""
        expired = ack.now > self._rtt_time + RTT_LIFETIME
        if ack.rtt is not None and (ack.rtt <= self.rtt or expired):
            self.rtt, self._rtt_time = max(ack.rtt, LEAST_RTT), ack.now
        if expired and not ack.app_limited and self.state is not State.PROBE_RTT and self._round > 1:
            self.state = State.PROBE_RTT
            self._gain = 1.0
            self._probe_end = None
        if self.state is not State.PROBE_RTT:
            return
        if self._probe_end is None:
            if ack.in_flight <= self.window:
                self._probe_end = ack.now + max(RTT_PROBE, self.rtt)
        elif ack.now >= self._probe_end and round_over:
            self._rtt_time = ack.now
            if self._full_rounds >= FULL_ROUNDS:
                self._enter_probe_bandwidth(ack.now)
            else:
                self.state = State.STARTUP
                self._gain = STARTUP_GAIN

    # --8<-- [end:acked]

    # --8<-- [start:lost]
    def on_lost(self, loss: Loss) -> None:
        """Count; a round's losses are judged at its end."""
        self._lost += loss.size

    def _judge_losses(self, ack: Ack) -> None:
        """A round is over: did a queue overflow (rule 2)?"""
        delivered = ack.delivered - self._round_start_delivered
        if self.state is State.STARTUP and self._lost > max(
            LOSS_TOLERANCE * (delivered + self._lost), LOSS_PACKETS * self.packet_size
        ):
            self._enter_drain()
        self._round_start_delivered = ack.delivered
        self._lost = 0

    # --8<-- [end:lost]

    def on_persistent_congestion(self, now: float) -> None:
        """The path was dead; what comes back may be another one: forget the model."""
        self._forget(now)
