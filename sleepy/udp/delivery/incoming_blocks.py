"""The receiving half of `sleepy.udp.delivery.blocks`, whose rules are cited here."""

from collections.abc import Callable
from math import inf
from typing import Final, TypeAlias

from sleepy.udp.delivery.block_memory import DEFAULT_MEMORY, FIRST_WINDOW, MAX_BLOCKS, BlockMemory, Share
from sleepy.udp.delivery.blocks import FAILED, BlockState
from sleepy.udp.delivery.chunks import (
    BLOCK_CREDIT,
    BLOCK_STOP,
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
from sleepy.udp.delivery.ranges import Ranges
from sleepy.udp.delivery.slices import units

MAX_SETTLING: Final = 1024  # blocks whose sender does not say that it knows that they are over

Sink: TypeAlias = Callable[[int, bytes], object]


class IncomingBlock:
    """A block that we receive; `IncomingBlocks` makes these.

    Attributes:
        number: Its number.
        label: What its sender calls it; None until known.
        size: In bytes; None while it is not known.
        state: How far it is. Finished means that all was taken.
        code: Why it was given up: what the application said.
        reason: The same, for people.
        error: What the sink raised, if that is why it was given up (rule 8).
        settled: Whether the sender knows that it is over.
        arrived: How many bytes, from the first on, have arrived without a gap: the progress.
    """

    __slots__ = (
        "_base",
        "_beyond",
        "_due",
        "_ended",
        "_furthest",
        "_given",
        "_news",
        "_parts",
        "_share",
        "_sink",
        "_taken",
        "_touched",
        "code",
        "error",
        "label",
        "number",
        "reason",
        "settled",
        "size",
        "state",
    )

    def __init__(self, number: int, memory: BlockMemory, news: dict["IncomingBlock", None]) -> None:
        self.number = number
        self._news = news  # the blocks that have something to tell, or that are over
        self.label: bytes | None = None
        self.size: int | None = None
        self.state = BlockState.OPEN
        self.code = 0
        self.reason = ""
        self.error: Exception | None = None
        self.settled = False
        self._share = Share(memory)
        self._sink: Sink | None = None
        self._touched = False  # whether the application asked for it: an empty block too is finished only then
        self._ended = False
        self._base = 0  # the first unit that is missing
        self._beyond = Ranges()  # units behind it that came
        self._furthest = 0  # bytes
        self._parts: dict[int, bytes] = {}  # by unit: what was not taken
        self._taken = 0  # the first unit that was not taken
        self._given = FIRST_WINDOW // UNIT  # the first unit that may not be sent
        self._due: set[int] = set()

    @property
    def arrived(self) -> int:
        """Bytes that have arrived, without a gap."""
        return min(self._base * UNIT, self._furthest)

    def on_open(self, chunk: BlockOpen) -> None:
        """It begins."""
        if self.size is not None and chunk.size not in {None, self.size}:
            raise ProtocolError(f"block {self.number} has {self.size} bytes, and is announced with {chunk.size}")
        self.label = chunk.label
        if self.size is None:
            self.size = chunk.size

    def on_end(self, chunk: BlockEnd) -> None:
        """Its size is known, or as announced."""
        if self.size not in {None, chunk.size} or self._furthest > chunk.size:
            raise ProtocolError(f"block {self.number} ends at {chunk.size} bytes, against what was said or sent before")
        self.size, self._ended = chunk.size, True
        self._check_finished()

    # --8<-- [start:data]
    def on_data(self, chunk: BlockData) -> None:
        """A part came; what of it is new is kept, or given to the sink (rule 3)."""
        unit, data = chunk.unit, chunk.data
        end = unit * UNIT + len(data)
        count = units(len(data))
        if unit + count > self._given:
            raise ProtocolError(
                f"block {self.number} has data up to unit {unit + count}, beyond the limit {self._given}"
            )
        if self.size is not None and end > self.size:
            raise ProtocolError(f"block {self.number} has data up to {end}, and ends at {self.size}")
        if len(data) % UNIT and self.size is None:
            self.size = end  # only the end may lie between two cuts
        if (len(data) % UNIT and end != self.size) or self._furthest > (self.size or self._furthest):
            raise ProtocolError(f"block {self.number} is cut at {end}, which is neither a cut nor the end")
        self._furthest = max(self._furthest, end)
        if unit == self._base and not self._beyond:  # the usual case, and the whole of it is new
            self._base = unit + count
            self._keep(unit, data)
        else:
            for first, stop in self._beyond.missing(max(unit, self._base), unit + count):
                self._keep(first, data[(first - unit) * UNIT : (stop - unit) * UNIT])
            if unit > self._base:
                self._beyond.add(unit, unit + count)
            else:
                self._base = self._beyond.pop_up_to(max(self._base, unit + count))
        if self._sink is not None:
            self._take_up_to(self._base)
        if self._ended:
            self._check_finished()

    # --8<-- [end:data]

    def _keep(self, unit: int, part: bytes) -> None:
        """Give a part to the sink, or keep it for the reader."""
        if self._sink is None:
            if self.state is BlockState.OPEN:
                self._parts[unit] = part
            return
        try:
            self._sink(unit * UNIT, part)
        except Exception as error:  # noqa: BLE001  # it may raise anything (rule 8)
            self.stop(FAILED, "its sink failed")
            self.error = error

    def into(self, sink: Sink) -> None:
        """Hand each part on as it comes, in any order: the offset in bytes, and the part. It may raise (rule 8)."""
        self._sink, self._touched = sink, True
        parts, self._parts = self._parts, {}
        for unit, part in parts.items():
            self._keep(unit, part)
        self._take_up_to(self._base)
        self._check_finished()

    def read(self, limit: float = inf) -> bytes:
        """The next bytes in order, at most ``limit`` and the rest of a packet; none if the next have not come."""
        self._touched = True
        parts: list[bytes] = []
        taken = self._taken
        while (taken - self._taken) * UNIT < limit and (part := self._parts.pop(taken, None)) is not None:
            parts.append(part)
            taken += units(len(part))
        self._take_up_to(taken)
        self._check_finished()
        return b"".join(parts)

    def _take_up_to(self, unit: int) -> None:
        """Credit is due when half of what the block may have is free (rule 2)."""
        self._taken = unit
        if self.state is BlockState.OPEN and 2 * (self._given - unit) * UNIT <= self._share.most:
            self._tell(BLOCK_CREDIT)

    def _tell(self, what: int) -> None:
        """The sender is to be told."""
        self._due.add(what)
        self._news[self] = None

    def _check_finished(self) -> None:
        if self._ended and self._touched and self.label is not None and self._taken == units(self.size or 0):
            self._leave(BlockState.FINISHED, 0, "")

    def stop(self, code: int = 1, reason: str = "") -> None:
        """Give it up, and tell the sender (rule 5).

        Raises:
            ValueError: The code is 0, which says that all was taken.
        """
        if code == 0:
            raise ValueError("code 0 says that all was taken; give a block up with another")
        self._leave(BlockState.STOPPED, code, reason)

    def on_cancel(self, chunk: BlockCancel) -> None:
        """The sender gave it up."""
        self._leave(BlockState.CANCELLED, chunk.code, chunk.reason)
        self._due.clear()

    def _leave(self, state: BlockState, code: int, reason: str) -> None:
        if self.state is BlockState.OPEN:
            self.state, self.code, self.reason = state, code, reason
            if state is not BlockState.FINISHED:
                self._parts.clear()
            self._sink = None
            self._share.hold(0)
            self._due.clear()
            self._tell(BLOCK_STOP)

    def has_data(self) -> bool:
        """Whether there is something to be told."""
        return bool(self._due)

    def fill(self, packet: PacketBuilder) -> None:
        """Tell what is due."""
        for what in sorted(self._due):
            if what == BLOCK_STOP:
                if packet.add(BlockStop(self.number, self.code, self.reason).encode(), (self, what, 0, 0)):
                    self._due.discard(what)
                continue
            limit = max(self._given, self._taken + self._share.most // UNIT)
            if packet.add(BlockCredit(self.number, limit).encode(), (self, what, 0, 0)):
                self._due.discard(what)
                self._given = limit
                self._share.hold((limit - self._taken) * UNIT)

    def on_acked(self, what: int, _first: int, _count: int, /) -> None:
        """The sender heard it."""
        if what == BLOCK_STOP:
            self.settled = True
            self._news[self] = None

    def on_lost(self, what: int, _first: int, _count: int, /) -> None:
        """It may not have."""
        if not self.settled and (what == BLOCK_STOP or self.state is BlockState.OPEN):
            self._tell(what)


class IncomingBlocks:
    """All blocks that we receive from one peer.

    Args:
        memory: How many bytes they may take together; see `sleepy.udp.delivery.block_memory`.

    Attributes:
        blocks: Those that are open.
    """

    def __init__(self, memory: int = DEFAULT_MEMORY) -> None:
        self._memory = BlockMemory(memory)
        self.blocks: dict[int, IncomingBlock] = {}
        self._unseen: set[int] = set()  # earlier than the newest, and nothing of them came yet
        self._next = 0
        self._settling: dict[int, IncomingBlock] = {}
        self._announced: list[IncomingBlock] = []
        self._news: dict[IncomingBlock, None] = {}  # those that have something to tell, or are over

    def receive(self, chunk: BlockOpen | BlockData | BlockEnd | BlockCancel) -> None:
        """What a sender says.

        Raises:
            ProtocolError: No honest one can say so.
        """
        self._sweep()
        block = self.blocks.get(chunk.block) or self._begin(chunk.block)
        if block is None:
            return
        if isinstance(chunk, BlockData):
            block.on_data(chunk)
        elif isinstance(chunk, BlockOpen):
            if block.label is None:
                self._announced.append(block)
            block.on_open(chunk)
        elif isinstance(chunk, BlockEnd):
            block.on_end(chunk)
        else:
            block.on_cancel(chunk)
            if block in self._announced and len(self._announced) > MAX_BLOCKS:  # an honest sender waits for our acks
                self._announced.remove(block)

    def _begin(self, number: int) -> IncomingBlock | None:
        """A block that was not seen before; None if it was, and is over (rule 6)."""
        if number >= self._next:
            if number - self._next >= MAX_BLOCKS:
                raise ProtocolError(f"block {number} begins, where the next would be {self._next}")
            self._unseen.update(range(self._next, number + 1))
            self._next = number + 1
        if number not in self._unseen:
            return None
        self._unseen.discard(number)
        if len(self.blocks) + len(self._unseen) >= MAX_BLOCKS or len(self._settling) > MAX_SETTLING:
            raise ProtocolError(f"more than {MAX_BLOCKS} blocks open at once, or {MAX_SETTLING} whose end is not acked")
        block = self.blocks[number] = IncomingBlock(number, self._memory, self._news)
        return block

    def _sweep(self) -> None:
        """Close what is over (rule 6)."""
        if not self._news:
            return
        for block in list(self._news):
            if block.state is not BlockState.OPEN and self.blocks.pop(block.number, None) is not None:
                self._settling[block.number] = block
            if block.settled or block.state is BlockState.CANCELLED:
                self._settling.pop(block.number, None)
            if not block.has_data():
                del self._news[block]

    def take_announced(self) -> list[IncomingBlock]:
        """The blocks that began, once each; one may have been cancelled since."""
        announced, self._announced = self._announced, []
        return announced

    @property
    def unsettled(self) -> bool:
        """Whether a sender may not know yet that its block is over."""
        self._sweep()
        return bool(self._settling)

    def has_data(self) -> bool:
        """Whether there is something to be told."""
        self._sweep()
        return len(self._news) > 0

    def fill(self, packet: PacketBuilder) -> None:
        """Tell what is due."""
        for block in self._news:
            block.fill(packet)
