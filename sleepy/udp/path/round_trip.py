"""How long is the way there and back, and how much does that vary?

A sender that hears nothing must decide when silence means loss. Too early, and it sends twice what had arrived; too late,
and everybody waits. The answer comes from the path itself: each ack tells how long one packet took, and from these
samples follow an average, how far samples stray from it, and the least ever seen (the path without a queue).

Rules:

1. The first sample is taken as it is, with half of it as variation.
2. Each later one moves the average by 1/8 of the way, and the variation by 1/4 towards its distance from the average.
3. The peer may hold an ack back, so a sample is too long by that. What it says it held back is subtracted, but no more
   than it promised as the most, and never so much that the sample falls below the least: a peer cannot make itself look
   nearer than it is.
4. The least is the least of the raw samples.
5. Four times the variation above the average, hardly a sample comes: that is where patience ends, plus what the peer may
   hold back. Never less than a millisecond above: timers are no finer (RFC 9002, section 6.1.2).

All times are in seconds.

Source: RFC 9002, sections 5 and 6.2.1; V. Jacobson, "Congestion avoidance and control" (1988), appendix A.
"""

from math import inf
from typing import Final

GRANULARITY: Final = 0.001  # seconds; what timers can be trusted with


class RoundTrip:
    """The round trip as the acks show it.

    Args:
        initial: What to believe before the first sample, in seconds.
        max_ack_delay: The longest that the peer promised to hold an ack back, in seconds.

    Attributes:
        sampled: Whether there was a sample.
        latest: The last sample, without correction.
        smoothed: The average.
        variation: How far samples stray from it.
        least: The least sample; infinite before the first.
        max_ack_delay: As given.
    """

    __slots__ = ("latest", "least", "max_ack_delay", "sampled", "smoothed", "variation")

    def __init__(self, initial: float, max_ack_delay: float) -> None:
        self.max_ack_delay = max_ack_delay
        self.sampled = False
        self.latest = self.smoothed = initial
        self.variation = initial / 2
        self.least = inf

    # --8<-- [start:sample]
    def add(self, sample: float, ack_delay: float = 0.0) -> None:
        """An ack came ``sample`` seconds after its packet was sent; the peer says it held it for ``ack_delay``."""
        self.latest = sample
        self.least = min(self.least, sample)  # rule 4
        if not self.sampled:  # rule 1
            self.sampled = True
            self.smoothed = sample
            self.variation = sample / 2
            return
        adjusted = max(sample - min(ack_delay, self.max_ack_delay), self.least)  # rule 3
        self.variation += (abs(self.smoothed - adjusted) - self.variation) / 4  # rule 2
        self.smoothed += (adjusted - self.smoothed) / 8

    # --8<-- [end:sample]

    @property
    def patience(self) -> float:
        """How long an ack may take before its absence means something (rule 5)."""
        return self.smoothed + max(4 * self.variation, GRANULARITY) + self.max_ack_delay
