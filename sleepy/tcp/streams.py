"""A body on its way in, read piece by piece.

The connection brings pieces as they come, the program takes them as it likes. Three rules keep the two together:

1. What has come and was not taken is bounded: beyond ``HIGH_WATER`` bytes the connection is not read from until half of it
   is taken, and TCP passes the pressure back to the sender.
2. A connection is used again only when the whole body has been read. Who loses interest calls `close` (or leaves the ``async
   with``): if what is left is short it is read and thrown away, else the connection is closed.
3. However it ends, everybody hears of it: the program by the end of the iteration or by an error, the connection's owner by
   ``on_end``, once.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from sleepy.tcp.codec import A, Q
    from sleepy.tcp.exchange import Exchange

HIGH_WATER = 262144  # bytes
DRAIN = 65536  # bytes of an unwanted body that are read and thrown away to save the connection
DRAIN_TIME = 1.0  # seconds this may take


class Source(Protocol):
    """Where the bytes come from."""

    def pause_reading(self) -> None:
        """Bring no more for now."""
        ...

    def resume_reading(self) -> None:
        """Bring more."""
        ...

    def abort(self, error: Exception | None = None) -> None:
        """Close at once."""
        ...


class IncomingBody:
    """The pieces of a body: an asynchronous iterator of bytes, and a `sleepy.tcp.codec.Sink` for the reader.

    Args:
        source: The connection it comes by.
        on_end: Is told once that no more will come, and whether all of it came.
    """

    def __init__(self, source: Source, on_end: Callable[[bool], None]) -> None:
        self._source = source
        self._on_end = on_end
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._ended = False
        self._error: Exception | None = None
        self._unwanted: int | None = None  # bytes that may still be thrown away; None while they are wanted
        self._drain_timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None

    # For the reader:

    def feed(self, piece: bytes) -> None:
        """More of it has come."""
        if self._unwanted is not None:
            self._unwanted -= len(piece)
            if self._unwanted < 0:
                self._source.abort()  # rule 2; what `lost` brings ends it
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > HIGH_WATER and not self._paused:  # rule 1
            self._paused = True
            self._source.pause_reading()
        self._wake()

    def finish(self) -> None:
        """All of it has come."""
        self._end(None)

    def fail(self, error: Exception) -> None:
        """No more will come, and it is not whole."""
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        if not self._ended:
            self._ended = True
            self._error = error
            if self._drain_timer is not None:
                self._drain_timer.cancel()
            self._wake()
            self._on_end(error is None)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # For the program:

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        piece = self._pieces.popleft()
        self._size -= len(piece)
        if self._paused and self._size <= HIGH_WATER // 2:
            self._paused = False
            self._source.resume_reading()
        return piece

    async def read(self) -> bytes:
        """All that is left of it."""
        return b"".join([piece async for piece in self])

    def close(self) -> None:
        """Take no more of it (rule 2)."""
        self._pieces.clear()
        self._size = 0
        if not self._ended and self._unwanted is None:
            self._unwanted = DRAIN
            self._drain_timer = asyncio.get_running_loop().call_later(DRAIN_TIME, self._source.abort)
            self._source.resume_reading()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@asynccontextmanager
async def entered_with(choose: "Callable[[], AbstractAsyncContextManager[A]]") -> "AsyncGenerator[A, None]":
    """Enter with what is chosen when it is entered, not before."""
    async with choose() as entered:
        yield entered


@asynccontextmanager
async def streamed(begin: "Callable[[], Awaitable[Exchange[Q, A]]]") -> "AsyncGenerator[A, None]":
    """Enter with the answer of an exchange; on leaving, what was not read of its body is thrown away."""
    exchange = await begin()
    try:
        yield exchange.answer.result()
    finally:
        if exchange.body is not None:
            exchange.body.close()
