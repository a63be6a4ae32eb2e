"""Has this packet been here before?

A recorded packet is a perfect forgery: it is the original. No key tells the copy from it; only a memory of what has
arrived does. That memory must be small, and packets come out of order, so "newer than the last" is too strict. The window
remembers the last numbers one by one; of what is older it remembers nothing, so it lets nothing older in.

Rules:

1. A number is fresh once: if it is newer than all before, or within the window and not marked yet.
2. What is ``WINDOW`` or more behind the newest is too old. A packet that is later than that is lost, to be safe.
3. Only packets that are authentic are marked. Otherwise a forged number would lock out the true packet that has it, or
   push the window ahead and lock out all of them.

Bit ``n`` of the map stands for the number ``highest - n``, so that moving ahead is a shift.

Source: RFC 4303, section 3.4.3 (IPsec's window). In C a large window is a ring of words (RFC 6479); a Python integer of
1024 bits is as quick.
"""

from typing import Final

WINDOW: Final = 1024  # packets: of 1200 bytes, 10 ms of a gigabit
_MASK: Final = (1 << WINDOW) - 1


# --8<-- [start:window]
class ReplayWindow:
    """Remembers which of the last packets have arrived.

    Attributes:
        highest: The newest number marked; -1 before the first.
    """

    __slots__ = ("_map", "highest")

    def __init__(self) -> None:
        self.highest = -1
        self._map = 0

    def too_old(self, number: int) -> bool:
        """Whether the number is behind the window (rule 2)."""
        return self.highest - number >= WINDOW

    def seen(self, number: int) -> bool:
        """Whether the number, not too old, is marked (rule 1)."""
        behind = self.highest - number
        return behind >= 0 and self._map >> behind & 1 == 1

    def mark(self, number: int) -> None:
        """Remember a number that is neither too old nor seen, now that its packet proved to be authentic (rule 3)."""
        ahead = number - self.highest
        if ahead <= 0:
            self._map |= 1 << -ahead
            return
        self._map = (self._map << ahead | 1) & _MASK if ahead < WINDOW else 1
        self.highest = number


# --8<-- [end:window]
