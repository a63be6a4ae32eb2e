"""Who in a program waits for which block?

A connection opens blocks, tells of those that the peer has begun, and of each that it has come further. Behind that there
are tasks: one waits until another block may be opened, one for the next that arrives, one for more of a certain block.
Streams (`sleepy.udp.nodes.streams`) and blocks as such (`sleepy.udp.nodes.peer_blocks`) share this desk.

Rules:

1. A label says whose a block is: those that begin with a zero byte are the library's own, all others the program's.
2. What nobody waits for is given up at once, so that its sender learns it. What somebody may still ask for waits; it costs
   no more than the block's window, and is forgotten when its sender gives it up.
3. After the connection's end nothing is opened. What had arrived may still be taken.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from sleepy.udp.connections import connection_events as events
from sleepy.udp.connections.connection import Connection
from sleepy.udp.connections.connection_errors import ConnectionClosed
from sleepy.udp.delivery.blocks import BlockState, OutgoingBlock, TooManyBlocks
from sleepy.udp.delivery.incoming_blocks import IncomingBlock
from sleepy.udp.delivery.messages import BLOCK_PRIORITY
from sleepy.udp.nodes.turnstile import Turnstile

GIVEN_UP: Final = 1  # the code of a block that is given up

Block: TypeAlias = OutgoingBlock | IncomingBlock
BlockEvent: TypeAlias = events.BlockArrived | events.BlockChanged | events.BlockRoomAgain


class Holder(Protocol):
    """Who is told how a block is."""

    def on_change(self) -> None:
        """It has come further, or to its end."""
        ...

    def on_connection_closed(self, error: ConnectionClosed, /) -> None:
        """No more will come or go."""
        ...


class Arrivals:
    """Blocks that the peer has begun, and that wait for somebody who asks for the next."""

    def __init__(self) -> None:
        self.blocks: deque[IncomingBlock] = deque()
        self.turnstile = Turnstile()

    def add(self, block: IncomingBlock) -> None:
        """A block has come, unless it was given up already."""
        if block.state is not BlockState.CANCELLED:
            self.blocks.append(block)
            self.turnstile.wake()

    def discard(self, block: IncomingBlock) -> None:
        """It was given up (rule 2)."""
        self.blocks = deque(other for other in self.blocks if other is not block)


class BlockDesk:
    """All blocks between a peer and us.

    Args:
        connection: The connection.
        touch: Is called when the connection may have something to send.

    Attributes:
        touch: The same.
        error: Why the connection ended; None while it lives.
        holders: Who is told how a block is.
    """

    def __init__(self, connection: Connection, touch: Callable[[], object]) -> None:
        self.touch = touch
        self.error: ConnectionClosed | None = None
        self.holders: dict[Block, Holder] = {}
        self._connection = connection
        self._opening = Turnstile()
        self._queues: list[Arrivals] = []
        self._takers: dict[bytes, Callable[[IncomingBlock], object]] = {}

    def take(self, prefix: bytes, taker: Callable[[IncomingBlock], object]) -> None:
        """Have blocks whose label begins so handed to ``taker`` (rule 1); the first that was named goes first."""
        self._takers[prefix] = taker

    def queue(self, prefix: bytes) -> Arrivals:
        """The same, with a queue to take them."""
        arrivals = Arrivals()
        self._queues.append(arrivals)
        self.take(prefix, arrivals.add)
        return arrivals

    async def open(self, label: bytes, size: int | None = None, priority: int = BLOCK_PRIORITY) -> OutgoingBlock:
        """Begin a block; waits while as many are open as may be.

        Raises:
            ConnectionClosed: The connection has ended.
            ValueError: The label is too long.
        """
        return await self._opening.until(lambda: self.try_open(label, size, priority))

    def try_open(self, label: bytes, size: int | None = None, priority: int = BLOCK_PRIORITY) -> OutgoingBlock | None:
        """Begin a block, if another may be opened now; what it raises: see `open`."""
        try:
            return self._connection.open_block(label, size, priority=priority)
        except TooManyBlocks:
            return None

    def forget(self, holder: Holder) -> None:
        """Tell it nothing any more."""
        self.holders = {block: other for block, other in self.holders.items() if other is not holder}

    def refuse(self, block: IncomingBlock) -> None:
        """Give a block up that nobody waits for (rule 2)."""
        block.stop(GIVEN_UP, "nobody waits for this block")
        self.touch()

    # ---- for the peer

    def on_event(self, event: BlockEvent) -> None:
        """A block has news."""
        if isinstance(event, events.BlockRoomAgain):
            self._wake()
        elif isinstance(event, events.BlockArrived):
            label = event.block.label or b""
            taker = next((taker for prefix, taker in self._takers.items() if label.startswith(prefix)), self.refuse)
            taker(event.block)
        elif (holder := self.holders.get(event.block)) is not None:
            holder.on_change()
        elif isinstance(event.block, IncomingBlock) and event.block.state is BlockState.CANCELLED:
            for arrivals in self._queues:
                arrivals.discard(event.block)

    def end(self, error: ConnectionClosed) -> None:
        """The connection has ended."""
        self.error = error
        self._wake()
        for holder in dict.fromkeys(self.holders.values()):  # a stream holds two
            holder.on_connection_closed(error)

    def _wake(self) -> None:
        """Have everybody try again who waits for a block: some answer with one of their own."""
        self._opening.wake()
        for arrivals in self._queues:
            arrivals.turnstile.wake()
