"""A peer, as a program sees it: messages, blocks, streams, and the end of it all.

Below is a `sleepy.udp.connections.connection.Connection`, which never waits. A program does: for a message, for room, for
the end. This is the place where it waits, and all that this module adds.

Rules:

1. `Peer.send` waits while the channel has no room, `Peer.send_nowait` says no. That is the back-pressure: a peer that
   does not read, and a network that carries less than we want to send, slow the program down instead of filling its
   memory.
2. Tasks that wait for the same thing are served in the order in which they came.
3. Nothing is lost when a task is cancelled: a message that was read is returned, one that was not stays where it is.
4. What arrived before the end can be read after it; then reading raises the error that says why it ended.

mypyc compiles this module, as each message passes through it. `Peer.send` and `Peer.receive` are functions that return a
coroutine, and not ``async def`` themselves: a compiled method that is one is bound anew for each call, which costs half as
much as all that it does.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from sleepy.udp.address import Address, in_words
from sleepy.udp.connections import connection_events as events
from sleepy.udp.connections.connection_errors import ConnectionClosed
from sleepy.udp.connections.connection_statistics import ConnectionStatistics
from sleepy.udp.connections.dialogue import Message
from sleepy.udp.delivery.messages import BLOCK_PRIORITY
from sleepy.udp.nodes.block_desk import BlockDesk
from sleepy.udp.nodes.partings import until_parted
from sleepy.udp.nodes.peer_blocks import BlockReader, Inbox, Progress, Source, send_block
from sleepy.udp.nodes.streams import StreamEnds, Streams
from sleepy.udp.nodes.switchboard import Line
from sleepy.udp.nodes.turnstile import Turnstile

DRAIN: Final = 5.0  # seconds

T = TypeVar("T")


class Owner(Protocol):
    """What a peer asks of its node."""

    def now(self) -> float:
        """The time, in seconds."""
        ...

    def touch(self, line: Line) -> None:
        """The connection may have something to send."""
        ...


class Peer:
    """A peer that we are connected to; a `sleepy.udp.nodes.node.Node` makes these.

    Reads as an asynchronous iterator of channel 0's messages, and as a context manager, which closes it: if an error leaves
    it, without a drain, so what is queued is dropped.

    Attributes:
        error: Why the connection ended; None while it lives.
    """

    __slots__ = ("_ended", "_large", "_line", "_owner", "_receiving", "_sending", "error")

    def __init__(self, owner: Owner, line: Line) -> None:
        self._owner = owner
        self._line = line
        self._sending: dict[int, Turnstile] = {}  # the channels for which somebody waits
        self._receiving: dict[int, Turnstile] = {}
        self._large: _Large | None = None
        self._ended: asyncio.Event | None = None
        self.error: ConnectionClosed | None = None

    def __repr__(self) -> str:
        state = "connected" if self.error is None else f"ended: {self.error}"
        return f"<Peer {in_words(self.address)} {self.public_key.hex()[:8]} {state}>"

    @property
    def address(self) -> Address:
        """Where the peer is now, as (host, port)."""
        return self._line.address

    @property
    def public_key(self) -> bytes:
        """Who the peer is, 32 bytes; empty in plain mode, where nobody knows."""
        return self._line.public_key

    @property
    def is_closing(self) -> bool:
        """Whether the connection has ended, or is about to."""
        return self.error is not None or not self._line.connection.is_open

    @property
    def statistics(self) -> ConnectionStatistics:
        """How the connection is doing: round trip, loss, window, and the queues of each channel."""
        return self._line.connection.statistics()

    # ---- messages

    # --8<-- [start:send]
    def send(self, message: Message, channel: int = 0, *, lifetime: float | None = None) -> Coroutine[Any, Any, None]:
        """Send a message as soon as its channel has room (rule 1); it is then ours to deliver.

        Args:
            message: Up to the channel's ``max_message_size`` bytes; what can change is copied.
            channel: Which channel.
            lifetime: After how many seconds, counted from now, it need not arrive any more. If there is no room as long, the
                message is dropped.

        Raises:
            ConnectionClosed: The connection has ended; the subclass says why.
            MessageTooLarge: Send it as a block, or through a stream.
            TypeError: The message is not bytes.
            ValueError: There is no such channel.
        """
        return self._send_patiently(message, channel, lifetime)

    async def _send_patiently(self, message: Message, channel: int, lifetime: float | None) -> None:
        expires = None if lifetime is None else self._owner.now() + lifetime
        if (self._sending and channel in self._sending) or not self._send(message, channel, expires):  # rule 2
            await self._send_in_turn(message, channel, expires)

    def send_nowait(self, message: Message, channel: int = 0, *, lifetime: float | None = None) -> None:
        """Send a message at once, or not at all.

        Raises:
            QueueFull: The channel has no room.
            ConnectionClosed: The connection has ended; the subclass says why.
            MessageTooLarge: Send it as a block, or through a stream.
            TypeError: The message is not bytes.
            ValueError: There is no such channel.
        """
        expires = None if lifetime is None else self._owner.now() + lifetime
        line = self._line
        line.connection.send(message, channel, expires)
        if not line.due:
            self._owner.touch(line)

    # --8<-- [end:send]

    async def _send_in_turn(self, message: Message, channel: int, expires: float | None) -> None:
        waiting = _wait(self._sending, channel, lambda: self._send(message, channel, expires) or None)
        if expires is None:
            await waiting
            return
        patience = asyncio.timeout(expires - self._owner.now())
        try:
            async with patience:
                await waiting
        except TimeoutError:  # which may also be the connection's end
            if not patience.expired():
                raise

    def _send(self, message: Message, channel: int, expires: float | None) -> bool:
        line = self._line
        if not line.connection.offer(message, channel, expires):
            return False
        if not line.due:
            self._owner.touch(line)
        return True

    def receive(self, channel: int = 0) -> Coroutine[Any, Any, bytes]:
        """The next message of a channel; waits until there is one.

        Raises:
            ConnectionClosed: None is left, and no more will come; the subclass says why.
            ValueError: There is no such channel.
        """
        return self._receive_patiently(channel)

    async def _receive_patiently(self, channel: int) -> bytes:
        message = self._take(channel)
        return message if message is not None else await self._receive_in_turn(channel)

    def _take(self, channel: int) -> bytes | None:
        """The next message, if there is one that nobody waits for (rule 2)."""
        return None if self._receiving and channel in self._receiving else self.receive_nowait(channel)

    async def _receive_in_turn(self, channel: int) -> bytes:
        return await _wait(self._receiving, channel, lambda: self.receive_nowait(channel))

    def receive_nowait(self, channel: int = 0) -> bytes | None:
        """The next message of a channel, or None if there is none now.

        Raises:
            ConnectionClosed: None is left, and no more will come; the subclass says why.
            ValueError: There is no such channel.
        """
        line = self._line
        message = line.connection.read(channel)
        if message is None:
            if self.error is not None:  # rule 4
                raise self.error
        elif not line.due and line.connection.flush_wanted(self._owner.now()):  # the peer may send more
            self._owner.touch(line)
        return message

    def messages(self, channel: int = 0) -> AsyncIterator[bytes]:
        """The messages of a channel, until one of the two sides leaves; `error` says which, and why.

        Raises:
            ConnectionClosed: Nobody left, but it ended: by silence, or by a breach of the protocol.
        """
        return until_parted(partial(self._take, channel), partial(self._receive_in_turn, channel))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.messages()

    # ---- blocks and streams

    # --8<-- [start:send_block]
    async def send_block(
        self,
        source: Source,
        *,
        label: bytes = b"",
        size: int | None = None,
        priority: int = BLOCK_PRIORITY,
        progress: Progress | None = None,
    ) -> None:
        """Send something large, and wait until the peer's program has taken all of it; it gets it from `accept_block`.

        Several go at once, each in a task of its own. Cancelling the task gives the block up. While as many are open as
        may be (see `sleepy.udp.delivery.blocks`; streams count, too) it waits before it begins.

        Args:
            source: Bytes; or a binary file, or something else with ``read``, awaited or not; or an iterable of
                bytes, asynchronous or not. It is asked for more as there is room.
            label: For the peer's program: what it is. Up to 255 bytes, the first of which is not zero.
            size: How many bytes it will be, if it is known: the peer is told. Of bytes it is.
            priority: As of channels, whose default is 1: the less, the more urgent.
            progress: Is called with the number of bytes that have arrived, and the size or None, when it has grown.

        Raises:
            BlockGivenUp: The peer does not want it.
            ConnectionClosed: The connection has ended; the subclass says why.
            TypeError: Something is of another kind, such as a source of text.
            ValueError: The source gives more or less than ``size``, or the label or the priority cannot be one.
            Exception: Whatever the source raises, or ``progress``; the block is given up.
        """
        await send_block(self._large_things().desk, source, label, size, priority, progress)

    # --8<-- [end:send_block]

    async def accept_block(self) -> BlockReader:
        """The next block that the peer began to send; waits until there is one.

        Raises:
            ConnectionClosed: None is left, and no more will come; the subclass says why.
        """
        return await self._large_things().inbox.accept()

    def blocks(self) -> AsyncIterator[BlockReader]:
        """The blocks that the peer sends, until one of the two sides leaves; `error` says which, and why.

        Raises:
            ConnectionClosed: Nobody left, but it ended: by silence, or by a breach of the protocol.
        """
        return until_parted(lambda: None, self.accept_block)

    async def open_stream(self) -> StreamEnds:
        """A stream of bytes in each direction, as asyncio's; the peer gets its end from `accept_stream`.

        Waits while as many streams are open as may be (see `sleepy.udp.delivery.blocks`).

        Raises:
            ConnectionClosed: The connection has ended; the subclass says why.
        """
        return await self._large_things().streams.open()

    async def accept_stream(self) -> StreamEnds:
        """The next stream that the peer opened; waits until there is one.

        Raises:
            ConnectionClosed: The connection has ended; the subclass says why.
        """
        return await self._large_things().streams.accept()

    def _large_things(self) -> "_Large":
        if self._large is None:
            line, owner = self._line, self._owner
            self._large = _Large(BlockDesk(line.connection, lambda: owner.touch(line)), self)
            if self.error is not None:
                self._large.desk.end(self.error)
        return self._large

    # ---- the end

    async def close(self, reason: str = "", *, code: int = 0, drain: float = DRAIN) -> None:
        """Close the connection, and wait until the peer knows, or cannot be reached.

        Args:
            reason: For people on the other side; cut to 255 bytes.
            code: For the program on the other side, 0 to 65,535.
            drain: How many seconds what was sent may take to arrive before. With 0 what is queued is dropped.

        Raises:
            TypeError: The code is no int, or the reason no str.
            ValueError: The code is out of its range.
        """
        if self.error is None:
            self._line.connection.close(self._owner.now(), code, reason, linger=drain)
            self._owner.touch(self._line)
            await self.wait_closed()

    def abandon(self) -> None:
        """Close the connection without waiting for anything; what is queued is dropped."""
        if self.error is None:
            self._line.connection.close(self._owner.now())
            self._owner.touch(self._line)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended; `error` says why."""
        if self.error is None:
            if self._ended is None:
                self._ended = asyncio.Event()
            await self._ended.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close(drain=DRAIN if error is None else 0.0)

    # ---- for the node

    def on_events(self, happened: Sequence[events.Event]) -> None:
        """The connection has news: wake who waits for it."""
        for event in happened:
            if isinstance(event, events.MessagesArrived):
                _wake(self._receiving.get(event.channel))
            elif isinstance(event, events.RoomAgain):
                _wake(self._sending.get(event.channel))
            elif isinstance(event, events.BlockArrived | events.BlockChanged | events.BlockRoomAgain):
                self._large_things().desk.on_event(event)
            elif isinstance(event, events.Closed):
                self._on_closed(event.error)

    def _on_closed(self, error: ConnectionClosed) -> None:
        self.error = error
        for turnstile in (*self._sending.values(), *self._receiving.values()):
            turnstile.wake()
        if self._large is not None:
            self._large.desk.end(error)
        if self._ended is not None:
            self._ended.set()


class _Large:
    """What a peer needs for blocks and streams, and does without until then."""

    __slots__ = ("desk", "inbox", "streams")

    def __init__(self, desk: BlockDesk, peer: Peer) -> None:
        self.desk = desk
        self.streams = Streams(desk, peer)
        self.inbox = Inbox(desk)  # after the streams: it takes the labels that they do not


async def _wait(turnstiles: dict[int, Turnstile], channel: int, attempt: Callable[[], T | None]) -> T:
    """Wait for one's turn at a channel's turnstile, which is there as long as somebody waits (rule 2)."""
    turnstile = turnstiles.setdefault(channel, Turnstile())
    try:
        return await turnstile.until(attempt)
    finally:
        if not turnstile.waiting:
            del turnstiles[channel]


def _wake(turnstile: Turnstile | None) -> None:
    if turnstile is not None:
        turnstile.wake()
