"""How much may be under way: the congestion window.

The sender cannot see the network's queues; it sees acks and losses. So it sends a little more with every ack, and backs
off when something was lost, for loss is what a full queue looks like from outside.

Rules (RFC 5681, with what has been agreed since):

1. The window begins at ten segments (RFC 6928).
2. Slow start, below the threshold: it grows by what is acknowledged, at most two segments per ack (RFC 3465). That
   doubles it every round trip.
3. Congestion avoidance, above: it grows by one segment per window acknowledged, that is, per round trip.
4. It grows only if it was the limit. A window never filled says nothing about the network (RFC 7661). In slow start it
   may grow to twice what was under way, so that a burst does not find it small.
5. A loss halves it, to two segments at least. All losses of one window are one event, and halve it once (RFC 6582).
6. A time-out says that nothing comes back at all: the threshold is half the window, and the window is one segment.

This is *NewReno*, counted in segments and halved from the window, as Linux does it (the RFC counts bytes, and halves what
is under way). Linux's usual default is CUBIC, which differs in how fast it comes back to large windows.
"""

import math
from typing import Final

INITIAL_SEGMENTS: Final = 10


class NewReno:
    """Keeps the congestion window.

    Attributes:
        window: How many segments may be under way.
        threshold: Where slow start ends, in segments.
    """

    __slots__ = ("_credit", "threshold", "window")

    def __init__(self) -> None:
        self.window = INITIAL_SEGMENTS  # rule 1
        self.threshold = math.inf
        self._credit = 0  # segments acknowledged that have not yet made a window in rule 3

    # --8<-- [start:acknowledged]
    def acknowledged(self, count: int, flight: int) -> None:
        """Something new was acknowledged, and no loss is being repaired.

        Args:
            count: How many segments.
            flight: How many segments were under way before.
        """
        if self.window < self.threshold:  # rule 2
            if self.window < 2 * flight:  # rule 4
                self.window += min(count, 2)
        elif flight >= self.window:  # rule 4
            self._credit += count  # rule 3
            if self._credit >= self.window:
                self._credit -= self.window
                self.window += 1

    # --8<-- [end:acknowledged]

    def lost(self) -> None:
        """A first loss was noticed (rule 5)."""
        self.window = max(self.window // 2, 2)
        self.threshold = self.window
        self._credit = 0

    def timed_out(self) -> None:
        """The retransmission timer has expired (rule 6)."""
        self.lost()
        self.window = 1
