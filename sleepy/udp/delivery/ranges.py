"""A set of numbers that mostly come in rows, as its rows.

A block has tens of thousands of units. Which of them have arrived, and which are to be sent again? One bit for each would
do, but then each question costs as much as the block's window is long, for every packet. What arrives arrives mostly in
order, and what is lost are single packets. So the set is kept as what one would say to a human: "7 to 51, and 96 to 140".

Rules:

1. Ranges are half-open, ``first`` up to but not including ``end``; they are in order, and do not overlap or touch.
2. A question costs a binary search; a change, besides, as much as there are ranges behind it. There are as many as the set
   has gaps: few, on any path that is worth using.

Source: the ack ranges of QUIC (RFC 9000, section 19.3.1) and TCP's SACK scoreboard (RFC 6675).
"""

from bisect import bisect_left, bisect_right
from typing import final


@final
class Ranges:
    """A set of whole numbers."""

    __slots__ = ("_ends", "_firsts")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._ends: list[int] = []

    def __len__(self) -> int:
        """Number of ranges."""
        return len(self._firsts)

    @property
    def lowest(self) -> tuple[int, int]:
        """The first range; there must be one."""
        return self._firsts[0], self._ends[0]

    # --8<-- [start:change]
    def add(self, first: int, end: int) -> None:
        """Put in a range that is not empty; what it overlaps or touches becomes one with it."""
        firsts, ends = self._firsts, self._ends
        low = bisect_left(ends, first)
        high = bisect_right(firsts, end)
        if low < high:
            first = min(first, firsts[low])
            end = max(end, ends[high - 1])
        firsts[low:high] = [first]
        ends[low:high] = [end]

    def discard(self, first: int, end: int) -> None:
        """Take out a range, as far as it is in."""
        firsts, ends = self._firsts, self._ends
        low = bisect_right(ends, first)
        high = bisect_left(firsts, end)
        if low < high:
            before, after = firsts[low], ends[high - 1]
            firsts[low:high] = [before] * (before < first) + [end] * (end < after)
            ends[low:high] = [first] * (before < first) + [after] * (end < after)

    def pop_up_to(self, number: int) -> int:
        """Take out what is below ``number``, and the range that begins there; where that ends, or else ``number``."""
        firsts, ends = self._firsts, self._ends
        while firsts and firsts[0] <= number:
            number = max(number, ends[0])
            del firsts[0], ends[0]
        return number

    # --8<-- [end:change]

    def missing(self, first: int, end: int) -> list[tuple[int, int]]:
        """The ranges between ``first`` and ``end`` that are not in the set."""
        gaps: list[tuple[int, int]] = []
        firsts, ends = self._firsts, self._ends
        at = bisect_right(ends, first)
        while at < len(firsts) and firsts[at] < end:
            if first < firsts[at]:
                gaps.append((first, firsts[at]))
            first = ends[at]
            at += 1
        if first < end:
            gaps.append((first, end))
        return gaps
