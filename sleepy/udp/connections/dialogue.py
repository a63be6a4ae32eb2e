"""What a program does with a connection: it sends, reads, and hears what is new.

Nothing here waits. Who may not send now is told so, and told again when it may (an event); who reads and finds nothing looks
again at the next event. Whoever can wait (`sleepy.udp.nodes.node`) makes waiting of that.
"""

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from sleepy.udp.connections.connection_errors import ClosedLocally, ConnectionClosed
from sleepy.udp.connections.connection_events import Closed, Event
from sleepy.udp.connections.ending import Ending, State
from sleepy.udp.connections.news import News
from sleepy.udp.delivery.block_memory import DEFAULT_MEMORY
from sleepy.udp.delivery.blocks import OutgoingBlock, TooManyBlocks
from sleepy.udp.delivery.channels.config import ChannelConfig, QueueFull
from sleepy.udp.delivery.messages import BLOCK_PRIORITY, Messages

Message: TypeAlias = bytes | bytearray | memoryview

_OPEN: Final = State.OPEN  # an enum's member takes a while to find, and is asked for with each message


class Dialogue:
    """The side of a connection that the program sees.

    Args:
        channels: The options of channel 0, 1, ...
        block_memory: How many bytes blocks may take, in each direction.
    """

    __slots__ = ("_channels", "_ending", "_messages", "_news", "_told")

    def __init__(self, channels: Sequence[ChannelConfig], block_memory: int = DEFAULT_MEMORY) -> None:
        self._messages = Messages(channels, block_memory)
        self._channels = len(channels)
        self._news = News(self._messages)
        self._ending = Ending()
        self._told = False  # that it is closed

    def take_events(self) -> list[Event]:
        """What is new since the last call."""
        events = self._news.take()
        if self._ending.error is not None and not self._told:
            self._told = True
            events.append(Closed(self._ending.error))
        return events

    @property
    def state(self) -> State:
        """How far it has come."""
        return self._ending.state

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent."""
        return self._ending.state is State.OPEN

    @property
    def finished(self) -> bool:
        """Whether it may be forgotten."""
        return self._ending.state is State.FINISHED

    def _closed(self) -> ConnectionClosed:
        """Why nothing may be sent."""
        return self._ending.error or ClosedLocally("we are closing the connection")

    def send(self, message: Message, channel: int = 0, expires: float | None = None) -> None:
        """Queue a message; after ``expires`` (a time, in seconds) it is given up.

        Raises:
            QueueFull: The channel has no room; the event `RoomAgain` tells when it has.
            MessageTooLarge: It exceeds the channel's ``max_message_size``.
            ConnectionClosed: The connection is no more, or is being closed.
            TypeError: The message is not bytes.
            ValueError: There is no such channel.
        """
        if not self.offer(message, channel, expires):
            raise QueueFull(
                f"channel {channel} has no room for {len(message)} bytes more now; a peer's send() waits for it"
            )

    def offer(self, message: Message, channel: int = 0, expires: float | None = None) -> bool:
        """Queue a message, as by `send`, if its channel has room; whether it had."""
        if self._ending.state is not _OPEN:
            raise self._closed()
        if not isinstance(message, bytes):
            message = _copied(message)
        sender = self._messages.senders[channel] if 0 <= channel < self._channels else None
        if sender is None:
            sender = self._messages.sender(channel)
        try:
            sender.send(message, expires)
        except QueueFull:
            self._news.want_room(channel, len(message))
            return False
        return True

    def can_send(self, size: int, channel: int = 0) -> bool:
        """Whether a channel has room for a message of ``size`` bytes; if not, the event `RoomAgain` tells when it has.

        Raises:
            ValueError: There is no such channel.
        """
        if self._messages.sender(channel).can_send(size):
            return self._ending.state is State.OPEN
        self._news.want_room(channel, size)
        return False

    def read(self, channel: int = 0) -> bytes | None:
        """The next message of a channel, if one has arrived. Also after the end.

        Raises:
            ValueError: There is no such channel.
        """
        receiver = self._messages.receivers[channel] if 0 <= channel < self._channels else None
        if receiver is None:
            receiver = self._messages.receiver(channel)
        return receiver.read()

    def unread(self, channel: int = 0) -> int:
        """How many messages wait to be read."""
        return self._messages.receiver(channel).unread_messages

    def flush_wanted(self, now: float) -> bool:
        """Whether a flush would have something to send: after a read, credit perhaps."""
        return self._ending.is_open and self._messages.has_data(now)

    def open_block(
        self,
        label: bytes = b"",
        size: int | None = None,
        source: Iterator[bytes] | None = None,
        priority: int = BLOCK_PRIORITY,
    ) -> OutgoingBlock:
        """Begin a block, to be written to or fed from ``source``; see `sleepy.udp.delivery.blocks`.

        Raises:
            TooManyBlocks: So many are open; the event `BlockRoomAgain` tells when one may be opened.
            ConnectionClosed: The connection is no more, or is being closed.
            ValueError: The label is too long.
        """
        if self._ending.state is not State.OPEN:
            raise self._closed()
        try:
            block = self._messages.open_block(label, size, source, priority)
        except TooManyBlocks:
            self._news.want_block()
            raise
        self._news.watch(block)
        return block


def _copied(message: bytearray | memoryview) -> bytes:
    """A message that may still change: as it is now. What is no bytes is told at once, not when packets are filled."""
    try:
        return memoryview(message).tobytes()
    except TypeError:
        raise TypeError(f"a message is bytes, not {type(message).__name__}; encode text: text.encode()") from None
