"""How much memory a peer's blocks may take, and which of them how much.

A long fast path needs a window of a megabyte, or its sender waits for credit. Sixteen blocks may be open; sixteen megabytes
for each peer, in each direction, would be a gift to whoever has many peers. But hardly ever are all of them busy. So they
share one budget:

Rules:

1. Each block that may be open has `FIRST_WINDOW` for itself, always, whatever the others have. So none can stop another,
   and a block that is idle, or that nobody reads, never has more.
2. The rest is shared. A block that could use more may have half of what no other block has (of the shared part): one that
   is alone has half of all, two have a third each, ``n`` an ``n + 1``-th. Something is always left for the next.
3. What was granted is not taken back: the peer may be using it. Whoever has more than rule 2 allows, because others have
   come, gets no more until what it has fell below that. As every window is used up and granted anew, shares soon are even.

The same holds on both sides. For the sender, what a block *has* are the bytes that it keeps: sent and not acked, or to be
sent. For the receiver it is what the last credit allowed, whether it came, was taken since, or neither: if it counted as
free once it was taken, then of several that were read together the one that is asked first would always get half.

Source: A. K. Choudhury and E. L. Hahne, "Dynamic queue length thresholds for shared-memory packet switches" (1998).
"""

from typing import Final, final

MAX_BLOCKS: Final = 16
FIRST_WINDOW: Final = 1 << 16  # bytes
LEAST_MEMORY: Final = MAX_BLOCKS * FIRST_WINDOW
MOST_MEMORY: Final = 1 << 30
# With this a block that is alone fills 20 Mbit/s at a round trip of 100 ms and 2 % of loss.
DEFAULT_MEMORY: Final = LEAST_MEMORY + (2 << 20)


@final
class BlockMemory:
    """What all blocks of one direction may take together.

    Args:
        total: Bytes, at least `LEAST_MEMORY`.

    Attributes:
        spare: Bytes of the shared part that no block has.
    """

    __slots__ = ("spare",)

    def __init__(self, total: int = DEFAULT_MEMORY) -> None:
        self.spare = total - LEAST_MEMORY


@final
class Share:
    """What one block has, and may have."""

    __slots__ = ("_memory", "_more")

    def __init__(self, memory: BlockMemory) -> None:
        self._memory = memory
        self._more = 0  # bytes of the shared part

    # --8<-- [start:share]
    @property
    def most(self) -> int:
        """How many bytes the block may have now (rules 1 and 2); it may have more (rule 3)."""
        return FIRST_WINDOW + (self._more + self._memory.spare) // 2

    def hold(self, size: int) -> None:
        """The block has so many bytes; not more than before, or than `most`."""
        more = max(0, size - FIRST_WINDOW)
        self._memory.spare += self._more - more
        self._more = more

    # --8<-- [end:share]
