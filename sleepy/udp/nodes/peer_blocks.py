"""Large things to a peer, one way: a file, a picture, whatever has an end.

A message is held in memory as a whole, and a stream is a dialogue. What is left is the most common case: here are many
bytes, and I want to know that they have arrived. That is a block (`sleepy.udp.delivery.blocks`); this module is where
programs wait for it. Several go at once, and what is lost of one delays that one only.

Rules:

1. Sending is over when the peer's program has taken everything, not when it was sent.
2. Back-pressure: the source is asked for more when the block has room, which it has when the reader has read. So on
   both sides no more than the block's window is in memory, and what the source gave last.
3. Both sides may give a block up. The sender does so if its task is cancelled or its source fails, the receiver with
   `BlockReader.stop`; the other one gets `BlockGivenUp`.
4. If the block is over (given up, or the connection has ended) nobody waits for the source any more.
5. What arrived before the connection's end can be read after it; then reading raises the error that says why it ended.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from math import inf
from types import NoneType
from typing import Final, Protocol, TypeAlias, runtime_checkable

from sleepy.errors import SleepyError
from sleepy.udp.connections.connection_errors import ConnectionClosed
from sleepy.udp.delivery.blocks import BlockState, OutgoingBlock
from sleepy.udp.delivery.chunks import MAX_VARINT
from sleepy.udp.delivery.incoming_blocks import IncomingBlock
from sleepy.udp.kinds import check_callable, check_kind
from sleepy.udp.nodes.block_desk import GIVEN_UP, Block, BlockDesk
from sleepy.udp.nodes.turnstile import Turnstile

CHUNK: Final = 1 << 16  # bytes that a file is read by
LAST_PRIORITY: Final = 255
MAX_CODE: Final = 0xFFFF
RESERVED: Final = b"\0"  # what labels of the library's own begin with


@runtime_checkable
class Readable(Protocol):
    """A binary file, or whatever reads like one; also where reading has to be awaited."""

    def read(self, size: int, /) -> bytes | Awaitable[bytes]:
        """The next bytes, at most ``size``; none at the end."""
        ...


Source: TypeAlias = bytes | bytearray | memoryview | Readable | Iterable[bytes] | AsyncIterable[bytes]
Progress: TypeAlias = Callable[[int, int | None], object]


class BlockGivenUp(SleepyError):
    """The other side has given a block up.

    Attributes:
        code: Why: what its program said.
        reason: The same, for people.
    """

    def __init__(self, message: str, block: Block) -> None:
        super().__init__(f"{message}, with code {block.code}: {block.reason or 'no reason was given'}")
        self.code = block.code
        self.reason = block.reason


# --8<-- [start:send]
async def send_block(
    desk: BlockDesk, source: Source, label: bytes, size: int | None, priority: int, progress: Progress | None
) -> None:
    """Send all that a source gives; see `sleepy.udp.nodes.peer.Peer.send_block`."""
    check_kind("label", label, bytes)
    check_kind("size", size, int, NoneType)
    check_kind("priority", priority, int)
    check_callable("progress", progress, optional=True)
    if not 0 <= priority <= LAST_PRIORITY:
        raise ValueError(f"priority is {priority}; it must be 0 (first) to {LAST_PRIORITY}")
    if size is not None and not 0 <= size < MAX_VARINT:
        raise ValueError(f"size is {size}; it must be 0 to {MAX_VARINT - 1}")
    if label.startswith(RESERVED):
        raise ValueError(f"the label {label!r} begins with a zero byte; such are the library's own")
    if size is None and isinstance(source, bytes | bytearray | memoryview):
        size = memoryview(source).nbytes
    block = await desk.open(label, size, priority)
    sending = desk.holders[block] = _Sending(block, desk, progress)
    try:
        await sending.feed(source)
        await sending.finish()
    except BaseException:
        block.cancel(GIVEN_UP, "its sender has given it up")  # rule 3; nothing, if it is over already
        raise
    finally:
        desk.forget(sending)
        desk.touch()


class _Sending:
    """A block on its way out."""

    def __init__(self, block: OutgoingBlock, desk: BlockDesk, progress: Progress | None) -> None:
        self._block = block
        self._desk = desk
        self._progress = progress
        self._told = 0  # bytes
        self._changed = asyncio.Event()
        self._feeding = asyncio.timeout(None)
        self._is_fed = False

    async def feed(self, source: Source) -> None:
        """Hand the block what the source gives, as there is room for it (rule 2), unless the block is over (rule 4)."""
        try:
            async with self._feeding, aclosing(pieces(source)) as parts:
                async for part in parts:
                    await self._write(_view(part))
        except TimeoutError:
            if not self._feeding.expired():  # the source's own
                raise
        self._is_fed = True

    async def _write(self, rest: memoryview) -> None:
        while rest and not self._is_over:
            fits = min(self._block.room, len(rest))
            if fits:
                self._block.write(bytes(rest[:fits]))
                rest = rest[fits:]
                self._desk.touch()
            else:
                await self._change()

    async def finish(self) -> None:
        """Wait until the peer has taken everything (rule 1).

        Raises:
            BlockGivenUp: It does not want it.
            ConnectionClosed: It has gone.
        """
        block = self._block
        if not self._is_over:
            block.end()
            self._desk.touch()
        while not self._is_over:
            await self._change()
        if block.state is BlockState.STOPPED:
            raise BlockGivenUp(f"the peer takes no more of this block, of which it has {block.acked} bytes", block)
        if block.state is BlockState.OPEN and self._desk.error is not None:
            raise self._desk.error

    @property
    def _is_over(self) -> bool:
        return self._block.state is not BlockState.OPEN or self._desk.error is not None

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
        if self._progress is not None and self._block.acked > self._told:
            self._told = self._block.acked
            self._progress(self._told, self._block.size)

    def on_change(self) -> None:
        """The block has come further, or to its end."""
        self._changed.set()
        if self._is_over:
            self._stop_feeding()

    def on_connection_closed(self, _error: ConnectionClosed) -> None:
        """No more will go."""
        self._changed.set()
        self._stop_feeding()

    def _stop_feeding(self) -> None:
        """Rule 4: as if its time was over."""
        if not self._is_fed:
            self._is_fed = True
            self._feeding.reschedule(-inf)


# --8<-- [end:send]


async def pieces(source: Source) -> AsyncGenerator[bytes | bytearray | memoryview, None]:
    """What a source gives, whatever it is, part by part."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield memoryview(source)
    elif isinstance(source, Readable):
        while view := await _result(source.read(CHUNK)):
            yield view
    elif isinstance(source, AsyncIterable):
        async for part in source:
            yield part
    else:
        for part in source:
            yield part


async def _result(read: bytes | Awaitable[bytes]) -> memoryview:
    return _view(await read if isinstance(read, Awaitable) else read)


def _view(part: bytes | bytearray | memoryview) -> memoryview:
    """Its bytes, whatever its items are."""
    try:
        return memoryview(part).cast("B")
    except TypeError:
        raise TypeError(f"a block's source gave a {type(part).__name__}, not bytes; open files with 'rb'") from None


class BlockReader:
    """A block that the peer sends; reads as an asynchronous iterator of its parts, too.

    Args:
        block: What the connection has of it.
        desk: Where blocks are had.

    Attributes:
        label: What its sender calls it.
    """

    def __init__(self, block: IncomingBlock, desk: BlockDesk) -> None:
        self.label = block.label or b""
        self._block = block
        self._desk = desk
        self._rest = b""  # was taken with what was read last
        self._reading = Turnstile()
        desk.holders[block] = self

    def __repr__(self) -> str:
        return f"<BlockReader {self.label!r} {self.arrived} of {self.size} bytes {self._block.state.value}>"

    @property
    def size(self) -> int | None:
        """In bytes; None as long as it is not known."""
        return self._block.size

    @property
    def arrived(self) -> int:
        """How many bytes, from the first on, have arrived without a gap: the progress."""
        return self._block.arrived

    # --8<-- [start:read]
    async def read(self, limit: int = CHUNK) -> bytes:
        """The next bytes, as soon as there are some, and at most ``limit`` of them; none at the end.

        Raises:
            BlockGivenUp: The sender has given it up.
            ConnectionClosed: The connection has ended, and with it the block; the subclass says why.
            ValueError: The limit is below 1, or we have given the block up ourselves.
        """
        if limit < 1:
            raise ValueError(f"limit is {limit}; choose at least 1")
        return await self._reading.until(lambda: self._try_read(limit))

    def _try_read(self, limit: int) -> bytes | None:
        block = self._block
        data = self._rest or block.read(limit)
        if data:
            self._rest = data[limit:]
            self._desk.touch()  # the sender may send more
            return data[:limit]
        if block.state is BlockState.FINISHED:
            self._desk.forget(self)
            return b""
        if block.state is BlockState.CANCELLED:
            raise BlockGivenUp(f"the peer has given this block up, of which {self.arrived} bytes arrived", block)
        if block.state is BlockState.STOPPED:
            raise ValueError("we have given this block up ourselves")
        if self._desk.error is not None:
            raise self._desk.error  # rule 5
        return None

    # --8<-- [end:read]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while part := await self.read():
            yield part

    def stop(self, code: int = GIVEN_UP, reason: str = "") -> None:
        """Give it up, and tell the sender; nothing, if it is over already.

        Args:
            code: For the program on the other side, 1 to 65,535.
            reason: For people; cut to 255 bytes.

        Raises:
            TypeError: The code is no int, or the reason no str.
            ValueError: The code is out of its range.
        """
        check_kind("code", code, int)
        check_kind("reason", reason, str)
        if not 1 <= code <= MAX_CODE:
            raise ValueError(f"code is {code}; choose from 1 to {MAX_CODE}")
        self._block.stop(code, reason)
        if self._block.state is BlockState.STOPPED:
            self._rest = b""
        self._desk.forget(self)
        self._desk.touch()
        self._reading.wake()

    # ---- for the desk

    def on_change(self) -> None:
        """More has come, or the end."""
        if self._block.state is BlockState.CANCELLED:
            self._desk.forget(self)  # there may be nobody who reads once more
        self._reading.wake()

    def on_connection_closed(self, _error: ConnectionClosed) -> None:
        """No more will come."""
        self._reading.wake()


class Inbox:
    """The blocks that the peer sends to the program.

    Args:
        desk: Where blocks are had.
    """

    def __init__(self, desk: BlockDesk) -> None:
        self._desk = desk
        desk.take(RESERVED, desk.refuse)
        self._arrivals = desk.queue(b"")

    async def accept(self) -> BlockReader:
        """The next block that the peer began; waits until there is one.

        Raises:
            ConnectionClosed: None is left, and the connection has ended.
        """
        return BlockReader(await self._arrivals.turnstile.until(self._next), self._desk)

    def _next(self) -> IncomingBlock | None:
        if self._arrivals.blocks:
            return self._arrivals.blocks.popleft()
        if self._desk.error is not None:
            raise self._desk.error  # rule 5
        return None
