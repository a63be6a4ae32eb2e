"""Bytes that must not wait, in blocks that are cut at every 32nd byte.

A block sends whole units of 32 bytes (rule 5 of `sleepy.udp.delivery.chunks`); what is left over waits for more, or for the
block's end. For a file that is right. In a dialogue the last bytes are the question, and nobody adds to it before it
is answered. So a stream's bytes travel in *frames*, each of which fills whole units:

    size u16, little-endian | bytes | zeros up to a multiple of 32

Rules:

1. A frame has at most `MAX_FRAME` bytes. In bulk frames are large, and the size costs next to nothing.
2. Who reads need not wait for the whole frame: bytes are handed on as they come, and zeros are skipped.
"""

from typing import Final

from sleepy.udp.delivery.chunks import UNIT

SIZE: Final = 2  # bytes that tell a frame's size
MAX_FRAME: Final = 512 * UNIT - SIZE  # bytes


def write_frame(data: bytes | bytearray | memoryview) -> bytes:
    """A frame with ``data``, which has at most `MAX_FRAME` bytes."""
    size = len(data)
    return b"".join((size.to_bytes(SIZE, "little"), data, bytes(-(SIZE + size) % UNIT)))


def largest_frame(room: int) -> int:
    """How many bytes the largest frame may have that fits in ``room`` bytes; 0 or less: none does."""
    return min(room // UNIT * UNIT - SIZE, MAX_FRAME)


class FrameReader:
    """Takes frames apart (rule 2). What comes in comes in whole units, as blocks bring it."""

    __slots__ = ("_left", "_skip")

    def __init__(self) -> None:
        self._left = 0  # bytes of the frame that have not come yet
        self._skip = 0  # zeros that follow them

    def read(self, data: bytes) -> bytes:
        """The bytes in the next part of the block."""
        parts: list[bytes] = []
        at, end = 0, len(data)
        while at < end:
            if not self._left and not self._skip:
                self._left = int.from_bytes(data[at : at + SIZE], "little")
                self._skip = -(SIZE + self._left) % UNIT
                at += SIZE
            part = data[at : at + self._left]
            parts.append(part)
            self._left -= len(part)
            at += len(part)
            if not self._left:
                skipped = min(self._skip, end - at)
                self._skip -= skipped
                at += skipped
        return b"".join(parts)
