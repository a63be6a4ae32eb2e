"""Which of two packets is the newer one, and a buffer that remembers only the recent ones.

Packets are numbered so that the other side can name them: "I have 7, 8 and 10". A number costs bytes in every packet,
so it has 16 bits and begins again at 0 after 65,535. At sixty packets a second that takes 18 minutes, so it *will*
happen, and ``7 > 65530`` must not be asked naively: 7 is very probably the newer one.

Rules:

1. Of two sequences the newer is the one reached from the other by counting up less than half the circle. At exactly
   half, 32,768, either could be meant; then the larger number counts as newer, so that both sides decide alike.
2. A buffer of ``size`` slots remembers the last ``size`` sequences: those from ``next - size`` up to ``next - 1``,
   where ``next`` is one more than the newest it has seen. Sequence ``s`` lives in slot ``s % size``; so ``size`` must
   divide 65,536, or the slots would shift at the wrap.
3. What is older than the buffer reaches is *stale*, and refused: its slot belongs to somebody newer.
4. Moving ahead clears the slots in between, or a lost packet would seem to have arrived 65,536 packets ago.

Source: the sequence buffer of reliable (Glenn Fiedler, "Reliability and Congestion Avoidance over UDP"); rule 1 is the
serial number arithmetic of RFC 1982, with the undefined case of its section 3.2 decided.
"""

from typing import Final, Generic, TypeVar

HALF: Final = 32768

T = TypeVar("T")


# --8<-- [start:newer]
def newer(a: int, b: int) -> bool:
    """Whether sequence ``a`` is newer than sequence ``b`` (rule 1); both in 0..65535."""
    ahead = (a - b) & 0xFFFF
    return 0 < ahead < HALF or (ahead == HALF and a > b)


# --8<-- [end:newer]


def check_size(size: int, name: str, smallest: int = 1) -> None:
    """Check the number of slots of a sequence buffer.

    Raises:
        ValueError: It is no power of two from ``smallest`` to 16,384: a divisor of 65,536 (rule 2) that leaves rule 1
            room to tell ahead from behind.
    """
    if not smallest <= size <= HALF // 2 or size & (size - 1):
        raise ValueError(f"{name} is {size}; it must be a power of two from {smallest} to {HALF // 2}")


# --8<-- [start:buffer]
class SequenceBuffer(Generic[T]):
    """Remembers a value for each of the last ``size`` sequences.

    Args:
        size: Number of slots; a power of two up to 16,384.

    Attributes:
        next: One more than the newest sequence seen; 0 at first.

    Raises:
        ValueError: ``size`` is not such a number.
    """

    __slots__ = ("_sequences", "_values", "next", "size")

    def __init__(self, size: int) -> None:
        check_size(size, "size")
        self.size = size
        self.reset()

    def reset(self) -> None:
        """Forget everything, and begin at 0 again."""
        self.next = 0
        self._sequences: list[int | None] = [None] * self.size
        self._values: list[T | None] = [None] * self.size

    def is_stale(self, sequence: int) -> bool:
        """Whether ``sequence`` is older than the buffer reaches (rule 3)."""
        return newer((self.next - self.size) & 0xFFFF, sequence)

    def advance(self, sequence: int) -> None:
        """If ``sequence`` is newer than all others, make it the newest, without a value (rule 4)."""
        following = (sequence + 1) & 0xFFFF
        if newer(following, self.next):
            steps = (following - self.next) & 0xFFFF
            for passed in range(self.next, self.next + min(steps, self.size)):
                self._clear(passed % self.size)
            self.next = following

    def insert(self, sequence: int, value: T) -> bool:
        """Remember ``value`` under ``sequence``, in place of an earlier one; False if ``sequence`` is stale."""
        if self.is_stale(sequence):
            return False
        self.advance(sequence)
        self._sequences[sequence % self.size] = sequence
        self._values[sequence % self.size] = value
        return True

    def find(self, sequence: int) -> T | None:
        """The value under ``sequence``, or None."""
        return self._values[sequence % self.size] if sequence in self else None

    def remove(self, sequence: int) -> None:
        """Forget ``sequence``, if it is there."""
        if sequence in self:
            self._clear(sequence % self.size)

    def __contains__(self, sequence: int) -> bool:
        return self._sequences[sequence % self.size] == sequence

    def _clear(self, slot: int) -> None:
        self._sequences[slot] = None
        self._values[slot] = None


# --8<-- [end:buffer]
