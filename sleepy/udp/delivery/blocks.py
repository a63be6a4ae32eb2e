"""Things too large for a message: sent in parts, several at once, streamed in and out.

A message is held in memory as a whole, on both sides. A *block* is not: only a *window* of it is, which slides along
as the receiver takes what has come. So a block may have any size, and its sender need not know how much there will
be.

Rules:

1. A block has a number, in the order of opening, never used again; a label, for the application; and a size, if it is
   known.
2. The sender keeps what is not acked, and takes no more than it has memory for. It sends only what lies before the
   receiver's limit: at first `FIRST_WINDOW` bytes, then what the reader took plus what the receiver has memory for. How
   blocks share memory is in `sleepy.udp.delivery.block_memory`.
3. The receiver keeps what the reader has not taken. A reader who can store anywhere takes each part as it comes, in
   any order (a *sink*); another takes the bytes in order.
4. *Open*, *end*, *cancel*, *stop* and credit are sent until they are acked, or do not matter any more.
5. Both sides may give a block up, with a code and a reason. *Cancel* comes with the label, as nothing else of the block
   may ever arrive. *Stop* with code 0 says that all was taken: then only is a block finished for its sender.
6. At most `MAX_BLOCKS` blocks are open in each direction; one is open until it is finished or given up, and the other
   side knows. What comes for a block that is not open any more is ignored.
7. Parts are counted in units of a few bytes. A unit is new, under way, to be sent again, or acked. Lost means to be sent
   again, and goes first; acked is for ever, also if it comes late. How much goes into one packet depends on the room that
   it has, so a part may be sent again in other pieces.
8. A source or a sink is the program's, and may fail. Then its block is given up, with code `FAILED`; the error is kept for
   the program, the peer is not told what it was, and nothing else suffers.

Memory for one peer: in each direction the budget of `sleepy.udp.delivery.block_memory`, and what sources gave last. Of what
a hostile peer sends in the smallest parts, out of order, Python's objects take about four times that. What was read is only
counted.

Source: QUIC's streams (RFC 9000, sections 2 to 4), with yojimbo's name; there a block is 256 KiB at most, and one at
a time.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Final

from sleepy.errors import SleepyError
from sleepy.udp.delivery.block_memory import (
    DEFAULT_MEMORY,
    FIRST_WINDOW,
    LEAST_MEMORY,
    MAX_BLOCKS,
    MOST_MEMORY,
    BlockMemory,
    Share,
)
from sleepy.udp.delivery.chunks import (
    BLOCK_CANCEL,
    BLOCK_DATA,
    BLOCK_END,
    BLOCK_OPEN,
    MAX_TEXT,
    UNIT,
    BlockCancel,
    BlockCredit,
    BlockEnd,
    BlockOpen,
    BlockStop,
    ProtocolError,
    write_varint,
)
from sleepy.udp.delivery.payload import PacketBuilder
from sleepy.udp.delivery.ranges import Ranges
from sleepy.udp.delivery.send_buffer import SendBuffer
from sleepy.udp.delivery.slices import LEAST_PIECE, units

__all__ = ["FAILED", "MAX_BLOCKS", "WINDOW", "BlockState", "OutgoingBlock", "OutgoingBlocks", "TooManyBlocks"]

WINDOW: Final = FIRST_WINDOW + (DEFAULT_MEMORY - LEAST_MEMORY) // 2  # bytes for a block that is alone, by default
FAILED: Final = 2  # the code of a block whose source or sink failed (rule 8)
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
    """A block that we send; `OutgoingBlocks.open` makes these.

    Attributes:
        number: Its number.
        label: As given.
        size: In bytes; None while it is not known.
        state: How far it is.
        code: Why it was given up: what the application said.
        reason: The same, for people.
        error: What its source raised, if that is why it was given up (rule 8).
        acked: How many bytes, from the first on, have arrived: the progress.
        settled: Whether nothing about it is to be sent or acked any more.
    """

    __slots__ = (
        "_again",
        "_announced",
        "_arrived",
        "_base",
        "_buffer",
        "_due",
        "_ended",
        "_head",
        "_left",
        "_limit",
        "_next",
        "_over",
        "_ready",
        "_share",
        "_source",
        "acked",
        "code",
        "error",
        "label",
        "number",
        "reason",
        "settled",
        "size",
        "state",
    )

    def __init__(
        self,
        number: int,
        label: bytes,
        size: int | None,
        source: Iterator[bytes] | None,
        memory: BlockMemory,
        over: list["OutgoingBlock"],
    ) -> None:
        self.number = number
        self.label = label
        self.size = size
        self.state = BlockState.OPEN
        self.code = 0
        self.reason = ""
        self.error: Exception | None = None
        self.acked = 0
        self.settled = False
        self._over = over  # where to note that it is settled
        self._announced = size
        self._source = source
        self._left = memoryview(b"")  # of the source's last item
        self._share = Share(memory)
        self._head = bytes([BLOCK_DATA]) + write_varint(number)
        self._buffer = SendBuffer()  # from _base on
        self._base = 0  # the first unit that is not acked
        self._arrived = Ranges()  # units behind it that are
        self._again = Ranges()  # units that were lost
        self._next = 0  # the first unit that was never sent
        self._ready = 0  # the first unit that is not there yet; the last one, if it is not full, is when the block ends
        self._limit = FIRST_WINDOW // UNIT
        self._ended = False
        self._due: set[int] = {BLOCK_OPEN}

    @property
    def room(self) -> int:
        """How many bytes `write` takes now."""
        if self._ended or self.state is not BlockState.OPEN:
            return 0
        return max(0, self._share.most - len(self._buffer))

    # --8<-- [start:write]
    def write(self, data: bytes | memoryview) -> None:
        """Add bytes.

        Raises:
            ValueError: They are more than there is `room` for, or than the size that was announced.
        """
        if len(data) > self.room:
            raise ValueError(f"{len(data)} bytes for block {self.number}, which has room for {self.room}")
        if self._announced is not None and self._buffer.end + len(data) > self._announced:
            raise ValueError(f"block {self.number} was announced with {self._announced} bytes; these are more")
        self._buffer.write(data)
        self._share.hold(len(self._buffer))
        self._ready = self._buffer.end // UNIT

    def end(self) -> None:
        """Say that no more comes.

        Raises:
            ValueError: Fewer bytes were written than were announced.
        """
        written = self._buffer.end
        if self._announced is not None and self._announced != written:
            raise ValueError(f"block {self.number} was announced with {self._announced} bytes; it has {written}")
        if not self._ended:
            self._ended = True
            self.size = written
            self._ready = units(written)
            self._due.add(BLOCK_END)

    # --8<-- [end:write]

    def cancel(self, code: int = 1, reason: str = "") -> None:
        """Give it up, and tell the receiver (rule 5)."""
        if self.state is BlockState.OPEN:
            self._leave(BlockState.CANCELLED, code, reason)
            self._due = {BLOCK_CANCEL}

    def _leave(self, state: BlockState, code: int, reason: str) -> None:
        self.state, self.code, self.reason = state, code, reason
        self._again = Ranges()
        self._next = self._ready = self._base
        self._buffer.drop(self._buffer.end)
        self._share.hold(0)
        self._due.clear()
        self._source, self._left = None, memoryview(b"")

    def _pull(self, source: Iterator[bytes]) -> None:
        """Take from the source what there is room for, when it is worth it."""
        try:
            while self._source is not None and (room := self.room) >= self._share.most // 8:
                if not self._left:
                    item = next(source, None)
                    if item is None:
                        self._source = None
                        self.end()
                        return
                    self._left = memoryview(item).cast("B")
                self.write(self._left[:room])
                self._left = self._left[room:]
        except Exception as error:  # noqa: BLE001  # it may raise anything, and give anything (rule 8)
            self.cancel(FAILED, "its source failed")
            self.error = error

    def has_data(self) -> bool:
        """Whether there is something to be sent."""
        if self._source is not None:
            self._pull(self._source)
        return len(self._again) > 0 or self._next < min(self._ready, self._limit) or len(self._due) > 0

    # --8<-- [start:fill]
    def fill(self, packet: PacketBuilder, budget: int) -> None:
        """Put parts into a packet, until ``budget`` bytes are used (the last may use more) or nothing else fits."""
        enough = packet.room - budget
        if self._due:
            for what in sorted(self._due):
                if packet.add(self._control(what), (self, what, 0, 0)):
                    self._due.discard(what)
        least = max(enough, DATA_HEADER + UNIT)
        while packet.room > least and self._fill_part(packet):
            pass

    def _fill_part(self, packet: PacketBuilder) -> bool:
        """Put in the part that is to be sent next; whether there was one, and room that is worth it (rule 7)."""
        again = len(self._again) > 0
        first, end = self._again.lowest if again else (self._next, min(self._ready, self._limit))
        room = packet.room - DATA_HEADER
        start = first * UNIT
        if min(end * UNIT, self._buffer.end) - start > room:
            if room < LEAST_PIECE:
                return False
            end = first + room // UNIT
        if first >= end:
            return False
        size = min(end * UNIT, self._buffer.end) - start
        header = self._head + write_varint(first) + write_varint(size)
        packet.add(header + self._buffer.part(start, size), (self, BLOCK_DATA, first, end - first))
        if again:
            self._again.discard(first, end)
        else:
            self._next = end
        return True

    # --8<-- [end:fill]

    def _control(self, what: int) -> bytes:
        if what == BLOCK_END:
            return BlockEnd(self.number, self._buffer.end).encode()
        opened = BlockOpen(self.number, self._announced, self.label).encode()
        if what == BLOCK_OPEN:
            return opened
        return opened + BlockCancel(self.number, self.code, self.reason).encode()  # or nobody knows what was given up

    # --8<-- [start:acked]
    def on_acked(self, what: int, first: int, count: int, /) -> None:
        """A part arrived."""
        if what == BLOCK_CANCEL:
            self._settle()
        if what != BLOCK_DATA or self.state is not BlockState.OPEN:
            self._due.discard(what)
            return
        end = first + count
        if self._again:
            self._again.discard(first, end)
        if first > self._base:
            self._arrived.add(first, end)
        elif end > self._base:
            end = self._arrived.pop_up_to(end) if self._arrived else end
            self.acked = min(end * UNIT, self._buffer.end)
            self._buffer.drop(self.acked)
            self._share.hold(len(self._buffer))
            self._base = end

    def on_lost(self, what: int, first: int, count: int, /) -> None:
        """A part did not arrive: send it again, if it still matters (rules 4 and 7)."""
        if what != BLOCK_DATA:
            if (what == BLOCK_CANCEL) == (self.state is BlockState.CANCELLED) and self.state in _SPEAKING:
                self._due.add(what)
            return
        end = first + count
        if self.state is BlockState.OPEN and end > self._base:
            for gap in self._arrived.missing(max(first, self._base), end):
                self._again.add(*gap)

    # --8<-- [end:acked]

    def on_credit(self, limit: int) -> None:
        """The receiver has taken something.

        Raises:
            ProtocolError: It claims to have taken more than was sent.
        """
        written = self._buffer.end
        if limit > units(written) + MOST_MEMORY // UNIT:
            raise ProtocolError(f"credit up to unit {limit} of block {self.number}, of which {written} bytes were sent")
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
                self.acked = self._buffer.end
        self._settle()

    def _settle(self) -> None:
        if not self.settled:
            self.settled = True
            self._over.append(self)


_SPEAKING: Final = {BlockState.OPEN, BlockState.CANCELLED}


class OutgoingBlocks:
    """All blocks that we send to one peer.

    Args:
        memory: How many bytes they may take together; see `sleepy.udp.delivery.block_memory`.
    """

    def __init__(self, memory: int = DEFAULT_MEMORY) -> None:
        self.blocks: dict[int, OutgoingBlock] = {}
        self._memory = BlockMemory(memory)
        self._over: list[OutgoingBlock] = []
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
        block = self.blocks[self._next] = OutgoingBlock(self._next, label, size, source, self._memory, self._over)
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
        settled = self._over.copy()
        self._over.clear()
        for block in settled:
            del self.blocks[block.number]
        return settled
