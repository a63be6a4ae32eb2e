"""How long does an answer usually take, and when is one overdue?

Some answers take longer than others, and that is no reason for alarm. What is a reason depends on the peer: a millisecond
on this machine, a second across the world. So we measure, as TCP does for its round trips (RFC 6298): a smoothed mean, a
smoothed mean deviation, and overdue is what takes longer than the mean and four deviations. Three rules:

1. **The deviation counts for at least `SLACK`.** With answers that are all alike it would be nothing, and then the least
   hiccup of this process would look like the peer's.
2. **One sample counts for no more than what was overdue when it came.** The slow answer that we want to notice must not
   teach us that slowness is usual, or the next would go unnoticed. But if all answers become slow they are not overdue, they
   are the new usual: each moves the limit some way, and the next one further, until it has found them.
3. **Before the first sample** everything may take `FIRST` (RFC 6298, section 2.1).
"""

SLACK = 0.05  # seconds
FIRST = 1.0  # seconds
_MEAN_GAIN, _DEVIATION_GAIN, _DEVIATIONS = 1 / 8, 1 / 4, 4  # RFC 6298, section 2.3


class Latency:
    """The running latency of a peer.

    Attributes:
        limit: An answer that takes longer is overdue; in seconds.

    Source: RFC 6298, section 2, for the estimate; rule 2 is Huber's (a sample that lies too far out counts as if it lay on
    the edge).
    """

    __slots__ = ("_deviation", "_mean", "limit")

    def __init__(self) -> None:
        self._mean: float | None = None
        self._deviation = 0.0
        self.limit = FIRST  # rule 3

    def add(self, sample: float) -> None:
        """An answer took ``sample`` seconds."""
        if self._mean is None:
            self._mean, self._deviation = sample, sample / 2
        else:
            error = min(sample, self.limit) - self._mean  # rule 2
            self._mean += _MEAN_GAIN * error
            self._deviation += _DEVIATION_GAIN * (abs(error) - self._deviation)
        self.limit = self._mean + max(SLACK, _DEVIATIONS * self._deviation)  # rule 1
