"""What is new for the program above a connection?

Things change with every packet, and the program looks once per turn. So nothing is noted when it changes, but for a few rare
events; all else is compared when somebody looks: is there something to read, is there room where there was none?
"""

from sleepy.udp.connections.connection_events import (
    BlockArrived,
    BlockChanged,
    BlockRoomAgain,
    Event,
    MessagesArrived,
    RoomAgain,
)
from sleepy.udp.delivery.blocks import BlockState, OutgoingBlock
from sleepy.udp.delivery.incoming_blocks import IncomingBlock
from sleepy.udp.delivery.messages import Messages

Block = IncomingBlock | OutgoingBlock


class News:
    """Collects events.

    Args:
        messages: Where to look.

    Attributes:
        stale: Whether something may have changed since the last look.
    """

    __slots__ = ("_blocks", "_events", "_messages", "_waiting", "_wants_block", "_wants_room", "stale")

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._events: tuple[Event, ...] = ()
        self._wants_room: dict[int, int] = {}  # channels that had no room, and for how many bytes
        self._wants_block = False
        self._blocks: dict[Block, tuple[int, BlockState]] = {}  # how far each was at the last look
        self._waiting = False  # whether there may be anything in those three
        self.stale = False

    def add(self, event: Event) -> None:
        """Something happened."""
        self._events += (event,)
        self.stale = True

    def want_room(self, channel: int, size: int) -> None:
        """Somebody waits until a channel has room for so many bytes."""
        self._waiting = True
        self._wants_room[channel] = min(size, self._wants_room.get(channel, size))

    def want_block(self) -> None:
        """Somebody waits until another block may be opened."""
        self._waiting = True
        self._wants_block = True

    def watch(self, block: Block) -> None:
        """Tell of this block, until it is over."""
        self._waiting = True
        self._blocks[block] = _progress(block)

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for room, which time alone may bring."""
        return self._waiting and bool(self._wants_room)

    # --8<-- [start:take]
    def take(self) -> list[Event]:
        """Look; what is new since the last look."""
        if not self.stale:
            return []
        self.stale = False
        events, self._events = list(self._events), ()
        events += map(MessagesArrived, self._messages.readable())
        for incoming in self._messages.take_blocks():
            self.watch(incoming)
            events.append(BlockArrived(incoming))
        if self._waiting:
            self._look_for_what_is_awaited(events)
        return events

    def _look_for_what_is_awaited(self, events: list[Event]) -> None:
        messages = self._messages
        for block, seen in list(self._blocks.items()):
            progress = self._blocks[block] = _progress(block)
            if progress != seen:
                events.append(BlockChanged(block))
            if block.state is not BlockState.OPEN:
                del self._blocks[block]
        for channel, size in list(self._wants_room.items()):
            if messages.sender(channel).can_send(size):
                del self._wants_room[channel]
                events.append(RoomAgain(channel))
        if self._wants_block and messages.can_open_block:
            self._wants_block = False
            events.append(BlockRoomAgain())
        self._waiting = bool(self._blocks or self._wants_room or self._wants_block)

    # --8<-- [end:take]


def _progress(block: Block) -> tuple[int, BlockState]:
    return (block.acked if isinstance(block, OutgoingBlock) else block.arrived), block.state
