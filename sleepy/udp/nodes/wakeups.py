"""One timer for many sleepers.

Each of ten thousand peers wants to be woken at some time, and changes its mind with nearly every packet; mostly to later:
whoever was heard of need not be asked for another while. A timer of the loop's for each of them would be made and
cancelled thousands of times for each time that it rings.

So the times are kept here, in a heap, and the loop has one timer, for the earliest. What comes later than the heap has it
is only noted: when the entry comes up too early it is put back at its right time. That costs an entry per ring, not per
packet.

Rules:

1. Each sleeper has one time, the last that was said; infinity is none.
2. A sleeper is handed out no earlier than its time, once for each time that was said, the earliest first.
3. There are at most twice as many entries as sleepers, and a few: when most are out of date, the heap is made anew.

Source: the "lazy deletion" of heaps; QUIC stacks do the same with timing wheels.
"""

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_SLACK: Final = 64


class Wakeups(Generic[K]):
    """Who is to be woken when."""

    __slots__ = ("_count", "_entries", "_heap", "_times")

    def __init__(self) -> None:
        self._times: dict[K, float] = {}  # rule 1
        self._entries: dict[K, int] = {}  # which of a sleeper's entries counts
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0  # entries made so far: those of equal times keep their order

    def __len__(self) -> int:
        """Number of sleepers."""
        return len(self._times)

    # --8<-- [start:set]
    def set(self, sleeper: K, when: float) -> None:
        """Wake ``sleeper`` at ``when`` (seconds), and not at the time said before (rule 1)."""
        if when == inf:
            self.discard(sleeper)
            return
        before = self._times.get(sleeper, inf)
        self._times[sleeper] = when
        if when < before:  # else its entry comes up in time, and is put back
            self._push(sleeper, when)

    def pop(self, now: float) -> K | None:
        """The next sleeper whose time has come, which then has none; None if there is nobody."""
        heap, times, entries = self._heap, self._times, self._entries
        while heap and heap[0][0] <= now:
            _, number, sleeper = heappop(heap)
            if entries.get(sleeper) != number:
                continue  # another entry counts, or none
            when = times[sleeper]
            if when <= now:
                del times[sleeper], entries[sleeper]
                return sleeper
            self._push(sleeper, when)
        return None

    # --8<-- [end:set]

    def discard(self, sleeper: K) -> None:
        """Wake it no more."""
        if self._times.pop(sleeper, None) is not None:
            del self._entries[sleeper]

    @property
    def next_time(self) -> float:
        """No sleeper's time is before this; infinity if there is none."""
        heap = self._heap
        while heap and self._entries.get(heap[0][2]) != heap[0][1]:
            heappop(heap)
        return heap[0][0] if heap else inf

    def _push(self, sleeper: K, when: float) -> None:
        self._count += 1
        self._entries[sleeper] = self._count
        heappush(self._heap, (when, self._count, sleeper))
        if len(self._heap) > 2 * len(self._times) + _SLACK:  # rule 3
            self._heap = [entry for entry in self._heap if self._entries.get(entry[2]) == entry[1]]
            heapify(self._heap)
