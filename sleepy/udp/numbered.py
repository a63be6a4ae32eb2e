"""Things with numbers in a row, of which mostly the oldest go first.

Packets under way are numbered as they are sent, and so are messages; what arrived is forgotten, and mostly what was sent
first arrives first. A dictionary would do. But it is asked for each thing by itself, and one that has lost its first entries
is slow to tell which is the first now.

Rules:

1. Things lie in a list, from the number `Numbered.base` on: to find one is to subtract.
2. What is forgotten leaves a gap, and so does a number that has no thing.
3. Gaps at the front are cut off as soon as they are more than half of the list. So each thing is moved at most once, on
   average, and the list is no longer than twice the numbers from the oldest thing to the newest.

The numbers never wrap.
"""

from typing import Generic, TypeVar, final

T = TypeVar("T")


@final
class Numbered(Generic[T]):
    """Things by their numbers.

    Attributes:
        base: The number of the first place of the list.
        count: How many things there are.
        things: The list; None is a gap. To be looked at only: who goes through many saves a call for each.
    """

    __slots__ = ("_gaps", "base", "count", "things")

    def __init__(self) -> None:
        self.base = 0
        self.count = 0
        self.things: list[T | None] = []
        self._gaps = 0  # at the front

    def __len__(self) -> int:
        """How many things there are."""
        return self.count

    @property
    def first(self) -> int:
        """The number of the oldest thing; there must be one."""
        return self.base + self._gaps

    def oldest(self) -> T | None:
        """The oldest thing."""
        return self.things[self._gaps] if self.count else None

    def append(self, thing: T) -> None:
        """Add a thing with the number that comes next."""
        self.things.append(thing)
        self.count += 1

    def add(self, number: int, thing: T) -> None:
        """Add a thing with a number higher than all before."""
        if not self.things:
            self.base = number
        while self.base + len(self.things) < number:  # rule 2
            self.things.append(None)
        self.append(thing)

    def get(self, number: int) -> T | None:
        """The thing with this number."""
        at = number - self.base
        return self.things[at] if 0 <= at < len(self.things) else None

    def replace(self, number: int, thing: T) -> None:
        """Put a thing in the place of the one that has this number."""
        self.things[number - self.base] = thing

    # --8<-- [start:pop]
    def pop(self, number: int) -> T | None:
        """Forget the thing with this number; the thing."""
        thing = self.get(number)
        if thing is not None:
            self.things[number - self.base] = None
            self.count -= 1
            if number == self.base + self._gaps:
                self._cut()
        return thing

    def pop_run(self, first: int, count: int) -> list[T | None]:
        """Forget the things with so many numbers in a row; what was there, which may be gaps."""
        things = self.things
        start, end = max(first - self.base, 0), min(max(first + count - self.base, 0), len(things))
        popped = things[start:end]
        things[start:end] = [None] * (end - start)
        left = self.count
        for thing in popped:
            if thing is not None:
                left -= 1
        self.count = left
        if start <= self._gaps:
            self._gaps = end
            self._cut()
        return popped

    def _cut(self) -> None:
        """Rule 3."""
        things, gaps = self.things, self._gaps
        while gaps < len(things) and things[gaps] is None:
            gaps += 1
        if 2 * gaps > len(things):
            del things[:gaps]
            self.base += gaps
            gaps = 0
        self._gaps = gaps

    # --8<-- [end:pop]
