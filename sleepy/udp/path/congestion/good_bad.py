"""Good or bad: the congestion control of a game that sends 30 small packets a second.

Who never has much to send needs no window, just the decency to send less when the path suffers. A path that suffers shows
it before it loses anything: its queue grows, and with it the round trip.

Rules:

1. There are two modes: good, with 30 packets a second, and bad, with 10.
2. A round trip above 250 ms (averaged) switches to bad, at once.
3. Back to good it goes after the round trip was below for the whole *penalty time*, 4 seconds at first.
4. Going bad within 10 seconds of becoming good doubles the penalty time, up to 60 seconds; every 10 seconds in good mode
   halve it, down to 1 second. So it does not flip between the modes on a path that carries 10 packets but not 30.

Losses say nothing here; a queue that is too short to delay anything makes this control blind. It is for the lesson, and
for small steady traffic; it cannot fill a path. The window is two seconds' worth of packets, no more than a bound.

Source: G. Fiedler, "Reliability and Congestion Avoidance over UDP" (gafferongames.com, 2008).
"""

from typing import Final

from sleepy.udp.path.congestion.control import Ack, Loss

GOOD_RATE: Final = 30  # packets per second
BAD_RATE: Final = 10
RTT_LIMIT: Final = 0.250  # seconds, as all that follow
PENALTY: Final = 4.0
LEAST_PENALTY: Final = 1.0
MOST_PENALTY: Final = 60.0
TRIAL: Final = 10.0


class GoodBad:
    """Two rates, and a memory of how often the better one went wrong.

    Args:
        packet_size: Bytes of a full packet.

    Attributes:
        good: The mode.
        penalty: How long the round trip must be short before the mode is good again, in seconds.
    """

    __slots__ = ("_good_for", "_since", "_started", "good", "packet_size", "penalty")

    def __init__(self, packet_size: int = 1200) -> None:
        self.packet_size = packet_size
        self.good = True
        self.penalty = PENALTY
        self._started = False
        self._since = 0.0  # in good mode: when it began; in bad mode: since when the round trip is short
        self._good_for = 0.0  # since the penalty was last halved

    @property
    def window(self) -> int:
        """Bytes that may be under way."""
        return 2 * GOOD_RATE * self.packet_size

    @property
    def pacing_rate(self) -> float:
        """Bytes per second."""
        return float((GOOD_RATE if self.good else BAD_RATE) * self.packet_size)

    # --8<-- [start:modes]
    def on_acked(self, ack: Ack) -> None:
        """Judge the round trip."""
        now, late = ack.now, ack.smoothed_rtt > RTT_LIMIT
        if not self._started:
            self._started = True
            self._since = self._good_for = now
        if self.good and late:  # rule 2
            if now - self._since < TRIAL:  # rule 4
                self.penalty = min(self.penalty * 2, MOST_PENALTY)
            self.good = False
            self._since = now
        elif late:
            self._since = now
        elif not self.good and now - self._since >= self.penalty:  # rule 3
            self.good = True
            self._since = self._good_for = now
        elif self.good and now - self._good_for >= TRIAL:  # rule 4
            self.penalty = max(self.penalty / 2, LEAST_PENALTY)
            self._good_for = now

    # --8<-- [end:modes]

    def on_lost(self, loss: Loss) -> None:
        """Is not looked at."""

    def on_persistent_congestion(self, now: float) -> None:
        """The path was dead: begin in bad mode."""
        self.good = False
        self._since = now
