"""CUBIC: remember where it went wrong, hurry back there, and linger.

On a long fast path NewReno needs minutes for what a loss took. CUBIC makes the growth a matter of time rather than of
round trips, and shapes it by a cubic curve around ``w_max``, the window at the last loss: steep at first, flat near
``w_max`` where the danger is, and steep again beyond, where nobody knows.

::

    w_cubic(t) = C * (t - k)**3 + w_max          k = cbrt((w_max - w_start) / C)

Rules, with windows in packets and times in seconds:

1. A loss multiplies the window by 0.7, and the curve begins there: after ``k`` seconds it is back at ``w_max``.
2. With each ack the window moves towards where the curve will be in one round trip, by its share of a window; the target
   is never below the window, nor above 1.5 windows.
3. On short or slow paths the curve would be slower than NewReno. So an estimate of NewReno's window is kept along
   (growing 3 * 0.3 / 1.7 packets per window, to be as aggressive as one that halves; 1 once it passed the old window),
   and the larger of both counts.
4. *Fast convergence*: a loss below the last ``w_max`` means that somebody new wants a share. Then ``w_max`` is set lower
   than the window was, so that we linger below, and leave the room to him.
5. Time in which the sender had too little to send does not count on the curve.
6. Before the first loss, and after persistent congestion: slow start, as NewReno. The curve after persistent congestion
   begins at its own ``w_max``.

Source: RFC 9438, sections 4.2 to 4.8 and 5.8. Left out: the undoing of answers to spurious losses (4.9).
"""

from math import cbrt, inf
from typing import Final

from sleepy.udp.path.congestion.control import INITIAL_PACKETS, MINIMUM_PACKETS, Ack, Loss, WindowPacing

C: Final = 0.4  # packets per second cubed
BETA: Final = 0.7
ALPHA: Final = 3 * (1 - BETA) / (1 + BETA)  # rule 3


class Curve:
    """One stretch between losses.

    Args:
        start: The window at its beginning, in packets.
        w_max: The window at the last loss, in packets.
        now: Its beginning, in seconds.

    Attributes:
        k: Seconds until the curve is back at ``w_max``.
        w_max: Where it is flat.
        w_est: The window that NewReno would have (rule 3).
        begin: When it began; moved ahead by time that does not count (rule 5).
    """

    __slots__ = ("begin", "k", "w_est", "w_max")

    def __init__(self, start: float, w_max: float, now: float) -> None:
        self.w_max = max(w_max, start)
        self.k = cbrt((self.w_max - start) / C)
        self.w_est = start
        self.begin = now

    def at(self, now: float) -> float:
        """Where the curve is, in packets."""
        offset = now - self.begin - self.k
        return C * offset * offset * offset + self.w_max


class Cubic:
    """Growth along a cubic curve.

    Args:
        packet_size: Bytes of a full packet.
    """

    __slots__ = (
        "_curve",
        "_limited_since",
        "_pacing",
        "_prior",
        "_recovery_start",
        "_threshold",
        "_w_max",
        "_window",
        "packet_size",
    )

    def __init__(self, packet_size: int = 1200) -> None:
        self.packet_size = packet_size
        self._window = float(INITIAL_PACKETS)  # in packets
        self._threshold = inf
        self._w_max = 0.0
        self._prior = 0.0  # the window before the last loss
        self._curve: Curve | None = None
        self._limited_since: float | None = None
        self._pacing = WindowPacing()
        self._recovery_start = -inf

    @property
    def window(self) -> int:
        """Bytes that may be under way."""
        return int(self._window * self.packet_size)

    @property
    def pacing_rate(self) -> float:
        """Bytes per second."""
        return self._pacing.rate(self.window, slow_start=self._window < self._threshold)

    # --8<-- [start:cubic]
    def on_acked(self, ack: Ack) -> None:
        """Move along the curve."""
        self._pacing.rtt = ack.smoothed_rtt
        if ack.app_limited:
            self._limited_since = ack.now if self._limited_since is None else self._limited_since
            return
        if ack.sent_time <= self._recovery_start:
            return
        acked = ack.size / self.packet_size
        if self._window < self._threshold:  # rule 6
            self._window += acked
            return
        curve = self._curve
        if curve is None:
            curve = self._curve = Curve(self._window, self._w_max, ack.now)
        elif self._limited_since is not None:  # rule 5
            curve.begin += ack.now - max(self._limited_since, curve.begin)
        self._limited_since = None
        target = min(max(curve.at(ack.now + ack.smoothed_rtt), self._window), 1.5 * self._window)  # rule 2
        curve.w_est += (ALPHA if curve.w_est < self._prior else 1.0) * acked / self._window  # rule 3
        self._window = max(self._window + (target - self._window) * min(acked / self._window, 1.0), curve.w_est)

    def on_lost(self, loss: Loss) -> None:
        """Remember where it went wrong, and step back (rules 1 and 4), once per round trip."""
        if loss.sent_time <= self._recovery_start:
            return
        self._recovery_start = loss.now
        self._prior = window = self._window
        self._w_max = window * (1 + BETA) / 2 if window < self._w_max else window
        self._window = self._threshold = max(window * BETA, MINIMUM_PACKETS)
        self._curve = Curve(self._window, self._w_max, loss.now)

    def on_persistent_congestion(self, now: float) -> None:  # noqa: ARG002  the time makes no difference here
        """Begin anew (rule 6)."""
        self._window = float(MINIMUM_PACKETS)
        self._w_max = 0.0
        self._curve = None
        self._recovery_start = -inf

    # --8<-- [end:cubic]
