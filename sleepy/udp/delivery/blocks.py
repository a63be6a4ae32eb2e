"""Things too large for a message: sent in parts, several at once, streamed in and out.

A message is held in memory as a whole, on both sides. A *block* is not: only a *window* of it is, which slides along
as the receiver takes what has come. So a block may have any size, and its sender need not know how much there will
be.

Rules:

1. A block has a number, in the order of opening, never used again; a label, for the application; and a size, if it is
   known.
2. The sender keeps what is not acked, `WINDOW` bytes at most, and takes no more until the earliest of it is acked. It
   sends only what lies before the receiver's limit, which is what the reader took plus `WINDOW`.
3. The receiver keeps what the reader has not taken. A reader who can store anywhere takes each part as it comes, in
   any order (a *sink*); another takes the bytes in order.
4. *Open*, *end*, *cancel*, *stop* and credit are sent until they are acked, or do not matter any more.
5. Both sides may give a block up, with a code and a reason. *Cancel* comes with the label, as nothing else of the block
   may ever arrive. *Stop* with code 0 says that all was taken: then only is a block finished for its sender.
6. At most `MAX_BLOCKS` blocks are open in each direction; one is open until it is finished or given up, and the other
   side knows. What comes for a block that is not open any more is ignored.

Memory for one peer: in each direction `MAX_BLOCKS` windows at most. Of what a hostile peer sends in the smallest parts,
out of order, Python's objects take about four times that. What was read is only counted.

Source: QUIC's streams (RFC 9000, sections 2 to 4), with yojimbo's name; there a block is 256 KiB at most, and one at
a time.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Final

from sleepy.errors import SleepyError
from sleepy.udp.delivery.chunks import (
    BLOCK_CANCEL,
    BLOCK_DATA,
    BLOCK_END,
    BLOCK_OPEN,
    MAX_TEXT,
    UNIT,
    BlockCancel,
    BlockCredit,
    BlockData,
    BlockEnd,
    BlockOpen,
    BlockStop,
    ProtocolError,
)
from sleepy.udp.delivery.payload import PacketBuilder
from sleepy.udp.delivery.slices import LEAST_PIECE, first_run, span, units

WINDOW: Final = 1 << 20  # bytes; fills 20 Mbit/s at a round trip of 100 ms though 2 % are lost
WINDOW_UNITS: Final = WINDOW // UNIT
MAX_BLOCKS: Final = 16
DATA_HEADER: Final = 16  # bytes at most


class BlockState(Enum):
    """How far a block has come."""

    OPEN = "open"
    FINISHED = "finished"
    CANCELLED = "cancelled"  # by its sender
    STOPPED = "stopped"  # by its receiver


class TooManyBlocks(SleepyError):
    """As many blocks are open as may be; wait until one is finished."""


class OutgoingBlock:
    """A block that we send.

    Attributes:
        number: Its number.
        label: As given.
        size: In bytes; None while it is not known.
        state: How far it is.
        code: Why it was given up: what the application said.
        reason: The same, for people.
        acked: How many bytes, from the first on, have arrived: the progress.
    """

    def __init__(self, number: int, label: bytes, size: int | None, source: Iterator[bytes] | None) -> None:
        self.number = number
        self.label = label
        self.size = size
        self.state = BlockState.OPEN
        self.code = 0
        self.reason = ""
        self.acked = 0
        self._announced = size
        self._source = source
        self._left = b""  # of the source's last item
        self._buffer = bytearray()  # from _base on
        self._base = 0  # the first unit that is not acked
        self._todo = 0  # of units from _base on (rule 2)
        self._open = 0  # those not acked
        self._written = 0  # bytes
        self._limit = WINDOW_UNITS
        self._ended = False
        self._due: set[int] = {BLOCK_OPEN}
        self.settled = False  # nothing about it is to be sent or acked any more

    @property
    def room(self) -> int:
        """How many bytes `write` takes now."""
        if self._ended or self.state is not BlockState.OPEN:
            return 0
        return WINDOW - len(self._buffer)

    # --8<-- [start:write]
    def write(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            ValueError: They are more than there is `room` for, or than the size that was announced.
        """
        if len(data) > self.room:
            raise ValueError(f"{len(data)} bytes for block {self.number}, which has room for {self.room}")
        if self._announced is not None and self._written + len(data) > self._announced:
            raise ValueError(f"block {self.number} was announced with {self._announced} bytes; these are more")
        before = self._written // UNIT  # a last unit that is not full is not sent before it is, or the block ends
        self._buffer += data
        self._written += len(data)
        self._add_units(before, self._written // UNIT)

    def _add_units(self, before: int, after: int) -> None:
        new = span(before - self._base, after - before)
        self._todo |= new
        self._open |= new

    def end(self) -> None:
        """Say that no more comes.

        Raises:
            ValueError: Fewer bytes were written than were announced.
        """
        if self._announced not in {None, self._written}:
            raise ValueError(f"block {self.number} was announced with {self._announced} bytes; it has {self._written}")
        if not self._ended:
            self._ended = True
            self.size = self._written
            self._add_units(self._written // UNIT, units(self._written))
            self._due.add(BLOCK_END)

    # --8<-- [end:write]

    def cancel(self, code: int = 1, reason: str = "") -> None:
        """Give it up, and tell the receiver (rule 5)."""
        if self.state is BlockState.OPEN:
            self._leave(BlockState.CANCELLED, code, reason)
            self._due = {BLOCK_CANCEL}

    def _leave(self, state: BlockState, code: int, reason: str) -> None:
        self.state, self.code, self.reason = state, code, reason
        self._todo = self._open = 0
        self._buffer = bytearray()
        self._due.clear()
        self._source, self._left = None, b""

    def _pull(self) -> None:
        """Take from the source what there is room for, when it is worth it: what does not fit is copied each time."""
        while self._source is not None and (room := self.room) >= WINDOW // 8:
            if not self._left:
                item = next(self._source, None)
                if item is None:
                    self._source = None
                    self.end()
                    return
                self._left = item
            self.write(self._left[:room])
            self._left = self._left[room:]

    def _sendable(self, most: int) -> tuple[int, int]:
        """The first units to be sent that lie before the limit, at most so many: the first one, and how many."""
        if not self._todo:
            return 0, 0
        first, count = first_run(self._todo, most)
        return first, max(0, min(count, self._limit - self._base - first))

    def has_data(self) -> bool:
        """Whether there is something to be sent."""
        self._pull()
        return bool(self._due) or self._sendable(1)[1] > 0

    # --8<-- [start:fill]
    def fill(self, packet: PacketBuilder, budget: int) -> None:
        """Put parts into a packet, until ``budget`` bytes are used (the last may use more) or nothing else fits."""
        enough = packet.room - budget
        for what in sorted(self._due):
            if packet.add(self._control(what), (self, what, 0, 0)):
                self._due.discard(what)
        while packet.room > enough:
            room = max(0, packet.room - DATA_HEADER)
            first, count = self._sendable(room // UNIT + 1)
            if not count:
                return
            if min(count * UNIT, len(self._buffer) - first * UNIT) > room:
                count = room // UNIT
                if count * UNIT < LEAST_PIECE:
                    return
            data = bytes(self._buffer[first * UNIT : (first + count) * UNIT])
            unit = self._base + first
            packet.add(BlockData(self.number, unit, data).encode(), (self, BLOCK_DATA, unit, count))
            self._todo ^= span(first, count)

    # --8<-- [end:fill]

    def _control(self, what: int) -> bytes:
        if what == BLOCK_END:
            return BlockEnd(self.number, self._written).encode()
        opened = BlockOpen(self.number, self._announced, self.label).encode()
        if what == BLOCK_OPEN:
            return opened
        return opened + BlockCancel(self.number, self.code, self.reason).encode()  # or nobody knows what was given up

    def on_acked(self, what: int, first: int, count: int, /) -> None:
        """A part arrived."""
        if what == BLOCK_CANCEL:
            self.settled = True
        if what != BLOCK_DATA or self.state is not BlockState.OPEN:
            self._due.discard(what)
            return
        below = max(0, self._base - first)
        self._open &= ~span(first + below - self._base, max(0, count - below))
        self._todo &= self._open
        ready = self._written // UNIT if not self._ended else units(self._written)
        acked = first_run(self._open, 1)[0] if self._open else ready - self._base
        if acked:
            del self._buffer[: acked * UNIT]
            self._base += acked
            self._open >>= acked
            self._todo >>= acked
            self.acked = min(self._base * UNIT, self._written)

    def on_lost(self, what: int, first: int, count: int, /) -> None:
        """A part did not arrive: send it again, if it still matters (rule 4)."""
        if what != BLOCK_DATA:
            if (what == BLOCK_CANCEL) == (self.state is BlockState.CANCELLED) and self.state in _SPEAKING:
                self._due.add(what)
            return
        below = max(0, self._base - first)
        self._todo |= span(first + below - self._base, max(0, count - below)) & self._open

    def on_credit(self, limit: int) -> None:
        """The receiver has taken something.

        Raises:
            ProtocolError: It claims to have taken more than was sent.
        """
        if limit > units(self._written) + WINDOW_UNITS:
            raise ProtocolError(
                f"credit up to unit {limit} of block {self.number}, of which {self._written} bytes were sent"
            )
        self._limit = max(self._limit, limit)

    def on_stop(self, code: int, reason: str) -> None:
        """The receiver is done with it (rule 5).

        Raises:
            ProtocolError: It claims to have all, while there is more.
        """
        if code == 0 and self.state is BlockState.OPEN and not self._ended:
            raise ProtocolError(f"block {self.number} is said to be complete, and has not ended")
        if self.state is BlockState.OPEN:
            self._leave(BlockState.STOPPED if code else BlockState.FINISHED, code, reason)
            if not code:
                self.acked = self._written
        self.settled = True


_SPEAKING: Final = {BlockState.OPEN, BlockState.CANCELLED}


class OutgoingBlocks:
    """All blocks that we send to one peer."""

    def __init__(self) -> None:
        self.blocks: dict[int, OutgoingBlock] = {}
        self._next = 0

    @property
    def can_open(self) -> bool:
        """Whether `open` would take another block now (rule 6)."""
        return len(self.blocks) < MAX_BLOCKS

    def open(self, label: bytes = b"", size: int | None = None, source: Iterator[bytes] | None = None) -> OutgoingBlock:
        """Begin a block: to be written to, or fed from a source, whose items are pulled as there is room for them.

        Raises:
            TooManyBlocks: See `can_open`.
            ValueError: The label exceeds 255 bytes.
        """
        if len(label) > MAX_TEXT:
            raise ValueError(f"a label of {len(label)} bytes; at most {MAX_TEXT} fit")
        if not self.can_open:
            raise TooManyBlocks(f"{len(self.blocks)} blocks are being sent to this peer; at most {MAX_BLOCKS} may be")
        block = self.blocks[self._next] = OutgoingBlock(self._next, label, size, source)
        self._next += 1
        return block

    def receive(self, chunk: BlockStop | BlockCredit) -> None:
        """What a receiver says.

        Raises:
            ProtocolError: No honest one can say so.
        """
        if chunk.block >= self._next:
            raise ProtocolError(f"block {chunk.block} was never opened")
        block = self.blocks.get(chunk.block)
        if block is None:
            return
        if isinstance(chunk, BlockCredit):
            block.on_credit(chunk.limit)
        else:
            block.on_stop(chunk.code, chunk.reason)

    def take_settled(self) -> list[OutgoingBlock]:
        """The blocks that are over, once each."""
        settled = [block for block in self.blocks.values() if block.settled]
        for block in settled:
            del self.blocks[block.number]
        return settled
