"""NewReno: probe for room, and take loss as "no".

The oldest answer that works. The window grows until something is lost; then it is halved, and grows again. Seen over time
it is a saw, and as everybody who shares a bottleneck adds the same and halves, shares become equal.

Rules:

1. *Slow start*: below the threshold (infinite at first) the window grows by what is acked, so it doubles per round trip.
2. *Congestion avoidance*: above it, by one packet per window acked, so by one per round trip.
3. A loss halves the window, and makes that the threshold; once per round trip (control, rule 2). Packets sent before the
   halving do not make the window grow either: acks of the old window's packets are no news about the new one.
4. Persistent congestion takes the window down to its minimum, and slow start leads back up to the threshold.

The trouble with it: after a loss it needs half a window of round trips to recover, so at 100 ms and 2 % of random loss it
cannot exceed some 9 packets per round trip, however fast the path (M. Mathis and others, 1997: 1.22 / sqrt(loss)).

Source: RFC 9002, section 7.3 and appendix B; RFC 6582.
"""

from math import inf

from sleepy.udp.path.congestion.control import INITIAL_PACKETS, MINIMUM_PACKETS, Ack, Loss, WindowPacing


class NewReno:
    """Additive increase, multiplicative decrease.

    Args:
        packet_size: Bytes of a full packet.

    Attributes:
        threshold: Where slow start ends, in bytes.
    """

    __slots__ = ("_acked", "_pacing", "_recovery_start", "packet_size", "threshold", "window")

    def __init__(self, packet_size: int = 1200) -> None:
        self.packet_size = packet_size
        self.window = INITIAL_PACKETS * packet_size
        self.threshold = inf
        self._acked = 0
        self._pacing = WindowPacing()
        self._recovery_start = -inf

    @property
    def pacing_rate(self) -> float:
        """Bytes per second."""
        return self._pacing.rate(self.window, slow_start=self.window < self.threshold)

    # --8<-- [start:reno]
    def on_acked(self, ack: Ack) -> None:
        """Grow."""
        self._pacing.rtt = ack.smoothed_rtt
        if ack.app_limited or ack.sent_time <= self._recovery_start:
            return
        if self.window < self.threshold:  # rule 1
            self.window += ack.size
            return
        self._acked += ack.size  # rule 2
        if self._acked >= self.window:
            self._acked -= self.window
            self.window += self.packet_size

    def on_lost(self, loss: Loss) -> None:
        """Halve, once per round trip (rule 3)."""
        if loss.sent_time <= self._recovery_start:
            return
        self._recovery_start = loss.now
        self._acked = 0
        self.window = max(self.window // 2, MINIMUM_PACKETS * self.packet_size)
        self.threshold = self.window

    def on_persistent_congestion(self, now: float) -> None:  # noqa: ARG002  the time makes no difference here
        """Begin anew (rule 4)."""
        self.window = MINIMUM_PACKETS * self.packet_size
        self._recovery_start = -inf

    # --8<-- [end:reno]
