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
3. A sleeper has an entry that is not later than its time. An entry that was there before is kept: who has spoken wants to
   be woken soon, in case nobody answers; is answered; and then as late as before. That costs one entry, not two.
4. There are at most twice as many entries as sleepers, and a few: when one more is made the heap is made anew.
5. What is known of a sleeper is kept in it. Whoever has just heard of it has it at hand; the places of ten thousand in a
   dictionary would come from memory, one by one, and that takes longer than all else here.

Source: the "lazy deletion" of heaps; QUIC stacks do the same with timing wheels.
"""

from heapq import heapify, heappop, heappush
from math import inf
from typing import Final, Generic, TypeVar

_SLACK: Final = 64


class Sleeper:
    """Somebody to be woken, by one `Wakeups`.

    Attributes:
        wake_time: When, in seconds; infinity: never.
        entry: The time of its first entry in the heap; infinity if there is none.
        next_entry: That of its second, likewise.
    """

    __slots__ = ("entry", "next_entry", "wake_time")

    def __init__(self) -> None:
        self.wake_time = self.entry = self.next_entry = inf


S = TypeVar("S", bound=Sleeper)


class Wakeups(Generic[S]):
    """Who is to be woken when."""

    __slots__ = ("_entered", "_heap", "_sleepers")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, S]] = []
        self._entered = 0  # entries made so far: those of equal times keep their order
        self._sleepers = 0

    def __len__(self) -> int:
        """Number of sleepers."""
        return self._sleepers

    # --8<-- [start:set]
    def set(self, sleeper: S, when: float) -> None:
        """Wake ``sleeper`` at ``when`` (seconds; infinity: never), and not at the time said before (rule 1)."""
        self._sleepers += (when < inf) - (sleeper.wake_time < inf)
        sleeper.wake_time = when
        self._enter(sleeper)

    def pop(self, now: float) -> S | None:
        """The next sleeper whose time has come, which then has none; None if there is nobody."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            time, _, sleeper = heappop(heap)
            if time != sleeper.entry:
                continue  # it has earlier ones since
            sleeper.entry, sleeper.next_entry = sleeper.next_entry, inf
            if sleeper.wake_time <= now:
                self.set(sleeper, inf)
                return sleeper
            self._enter(sleeper)
        return None

    def _enter(self, sleeper: S) -> None:
        """Make an entry, if those that are there would come up too late (rule 3)."""
        when = sleeper.wake_time
        if when < sleeper.entry:
            sleeper.entry, sleeper.next_entry = when, sleeper.entry
            self._entered += 1
            heappush(self._heap, (when, self._entered, sleeper))
            if len(self._heap) > 2 * self._sleepers + _SLACK:
                self._tidy()

    # --8<-- [end:set]

    def _tidy(self) -> None:
        """Keep an entry for each sleeper, and none for others (rule 4)."""
        entries, self._heap = self._heap, []
        for entry in entries:
            sleeper = entry[2]
            sleeper.next_entry = inf
            if sleeper.wake_time == inf:
                sleeper.entry = inf
            elif entry[0] == sleeper.entry:
                self._heap.append(entry)
        heapify(self._heap)

    @property
    def next_time(self) -> float:
        """No sleeper's time is before this; infinity if there is none."""
        return self._heap[0][0] if self._sleepers else inf
