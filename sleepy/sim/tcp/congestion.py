"""How much may be under way: the congestion window.

The sender cannot see the network's queues; it sees acks and losses. So it sends a little more with every ack, and backs
off when something was lost, for loss is what a full queue looks like from outside.

Rules (RFC 5681, with what has been agreed since):

1. The window begins at ten segments (RFC 6928).
2. Slow start, below the threshold: it grows by what is acknowledged, at most two segments per ack (RFC 3465). That
   doubles it every round trip.
3. Congestion avoidance, above: it grows by one segment per window acknowledged, that is, per round trip.
4. It grows only if it was the limit. A window never filled says nothing about the network (RFC 7661).
5. A loss halves it: threshold = window = half of what was under way, at least two segments. All losses of one window are
   one event, and halve it once (RFC 6582).
6. A time-out says that nothing comes back at all: the threshold is halved as in rule 5, and the window is one segment.

This is *NewReno*. Linux's default is CUBIC, which differs in how fast it comes back to large windows.
"""

import math
from typing import Final

INITIAL_SEGMENTS: Final = 10


class NewReno:
    """Keeps the congestion window.

    Args:
        mss: The largest payload of a segment, in bytes.

    Attributes:
        window: How many bytes may be under way.
        threshold: Where slow start ends, in bytes.
    """

    __slots__ = ("_credit", "mss", "threshold", "window")

    def __init__(self, mss: int) -> None:
        self.mss = mss
        self.window = INITIAL_SEGMENTS * mss  # rule 1
        self.threshold = math.inf
        self._credit = 0  # bytes acknowledged that have not yet made a segment in rule 3

    # --8<-- [start:acknowledged]
    def acknowledged(self, size: int, flight: int) -> None:
        """Something new was acknowledged, and no loss is being repaired.

        Args:
            size: How many bytes.
            flight: How many bytes were under way before.
        """
        if flight + self.mss <= self.window:  # rule 4
            return
        if self.window < self.threshold:  # rule 2
            self.window += min(size, 2 * self.mss)
            return
        self._credit += size  # rule 3
        if self._credit >= self.window:
            self._credit -= self.window
            self.window += self.mss

    # --8<-- [end:acknowledged]

    def lost(self, flight: int) -> None:
        """A first loss was noticed while ``flight`` bytes were under way (rule 5)."""
        self.threshold = max(flight // 2, 2 * self.mss)
        self.window = int(self.threshold)
        self._credit = 0

    def timed_out(self, flight: int) -> None:
        """The retransmission timer has expired with ``flight`` bytes under way (rule 6)."""
        self.lost(flight)
        self.window = self.mss
