"""What was written, until it is acked.

Bytes come in at the end and go out at the front. One growing array for that, cut at its front, has to be moved again and
again: a megabyte copied, and fetched anew from the system, for some ten kilobytes that come. So the bytes are kept in pages.

Rules:

1. A page is `PAGE` bytes from a multiple of `PAGE` on. It grows as bytes come: who keeps little takes little.
2. It is dropped as a whole, when all of it may be. So besides what is kept less than a page is.
"""

from typing import Final, final

PAGE: Final = 1 << 14  # bytes; more than any packet has


@final
class SendBuffer:
    """Bytes by their offset.

    Attributes:
        start: The offset of the first byte that is kept.
        end: The offset that the next byte written will have.
    """

    __slots__ = ("_dropped", "_pages", "end", "start")

    def __init__(self) -> None:
        self.start = 0
        self.end = 0
        self._pages: list[bytearray] = []
        self._dropped = 0  # pages

    def __len__(self) -> int:
        """Number of bytes kept."""
        return self.end - self.start

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes at the end."""
        at, size = 0, len(data)
        while at < size:
            used = self.end % PAGE
            if not used:
                self._pages.append(bytearray())
            piece = data[at : at + PAGE - used]
            self._pages[-1] += piece
            self.end += len(piece)
            at += len(piece)

    def part(self, start: int, size: int) -> bytearray:
        """At most a page of what is kept, from an offset on."""
        page, first = start // PAGE - self._dropped, start % PAGE
        part = self._pages[page][first : first + size]
        if first + size > PAGE:
            part += self._pages[page + 1][: first + size - PAGE]
        return part

    def drop(self, end: int) -> None:
        """Keep no longer what is before an offset (rule 2)."""
        self.start = end
        whole = end // PAGE - self._dropped
        if whole > 0:
            del self._pages[:whole]
            self._dropped += whole
