"""What a client has done so far: counts, and how long answers took.

An average hides what matters: of a hundred answers, ninety-nine in 2 ms and one in 2 s make 22 ms, which none of them took.
So latencies go into a histogram, whose buckets grow with what they count (as in Gil Tene's HdrHistogram): eight to each
doubling, so that any quantile read from it is wrong by less than a tenth, from a microsecond to days, in a list of a few
hundred integers. The logarithm of a time tells its bucket; nothing is kept of the single answer.
"""

import math
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

_PER_DOUBLING: Final = 8
_DOUBLINGS: Final = 40  # from the shortest to the longest that is told apart, twelve days
_SHORTEST: Final = 2.0**-20  # seconds: a microsecond, and all that is shorter
_SCALE: Final = _PER_DOUBLING / math.log(2.0)
_SHIFT: Final = 1.0 - _SCALE * math.log(_SHORTEST)  # bucket 0 is the shortest's, and 1 of what is a little longer
_LAST: Final = _PER_DOUBLING * _DOUBLINGS  # the bucket of all that is longer


class Histogram:
    """How often a time was how long."""

    __slots__ = ("_buckets", "longest", "total")

    def __init__(self) -> None:
        self._buckets = [0] * (_LAST + 1)
        self.total = 0.0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one more."""
        self.total += seconds
        if seconds > self.longest:  # noqa: PLR1730 -- max() takes three times as long
            self.longest = seconds
        bucket = int(math.log(seconds) * _SCALE + _SHIFT) if seconds > _SHORTEST else 0
        self._buckets[min(_LAST, bucket)] += 1

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self._buckets)

    @property
    def mean(self) -> float:
        """The average, in seconds; 0 if there was none."""
        return self.total / max(self.count, 1)

    def quantile(self, share: float) -> float:
        """The time that ``share`` of all did not exceed, in seconds, up to a tenth too long; 0 if there was none.

        Args:
            share: From 0 to 1: 0.99 for the 99th percentile.

        Raises:
            ValueError: It is not from 0 to 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"a share is from 0 to 1, not {share}")
        wanted = max(1, math.ceil(share * self.count))
        bucket = next((bucket for bucket, seen in enumerate(accumulate(self._buckets)) if seen >= wanted), _LAST)
        return self.longest if bucket == _LAST else min(_SHORTEST * 2.0 ** (bucket / _PER_DOUBLING), self.longest)


@dataclass
class Metrics:
    """What one client has done since it was made.

    Attributes:
        requests: Requests asked.
        failures: Requests that ended in an error, by the error's class.
        timeouts: Of these, those whose time ran out, by phase.
        retries: Requests sent once more, on another connection.
        dials: Connections made.
        failed_dials: Connections that could not be made.
        latency: Of the answers given, from the asking to the whole answer; to its head, if its body was streamed.
    """

    requests: int = 0
    failures: dict[str, int] = field(default_factory=dict[str, int])
    timeouts: dict[str, int] = field(default_factory=dict[str, int])
    retries: int = 0
    dials: int = 0
    failed_dials: int = 0
    latency: Histogram = field(default_factory=Histogram)

    def count_failure(self, error: BaseException, phase: str | None) -> None:
        """A request ended in ``error``; in ``phase``, if its time ran out."""
        name = type(error).__name__
        self.failures[name] = self.failures.get(name, 0) + 1
        if phase is not None:
            self.timeouts[phase] = self.timeouts.get(phase, 0) + 1
