"""Messages that arrive once or not at all: any of them, or only the latest.

Where a player is now matters; where it was a moment ago does not, once the new position is there. To send the old one
again would only delay the new one.

Rules:

1. Nothing is sent twice, and nothing waits for what was lost. A large message whose parts have not all come is
   dropped.
2. There is no flow control: a reader who does not read loses the oldest messages, which are counted.
3. *Sequenced*: of what waits to be sent, and of what waits to be read, only the newest stays; what is older than a
   message that arrived is dropped. What has begun to be sent is finished, or large messages in quick succession would
   never arrive.
4. A message that ``expires`` before all of it is sent is dropped, the rest of it too.
5. Ids are given when sending begins. A message whose id is half the circle behind the newest counts as newer: so much
   was lost in between that this is the better guess.

Source: rmnp's latest-only mode; ENet's sequenced unreliable packets.
"""

from collections import deque
from math import inf

from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery, MessageTooLarge, QueueFull
from sleepy.udp.delivery.chunks import (
    HALF_IDS,
    ID_MASK,
    LARGEST_WHOLE,
    UNIT,
    ProtocolError,
    Run,
    Slice,
    run_header,
    write_varint,
)
from sleepy.udp.delivery.payload import PacketBuilder
from sleepy.udp.delivery.slices import Assembly, Outstanding, units

SLICE_HEADER = 16  # bytes at most


class UnreliableSender:
    """The sending half of an unreliable channel.

    Attributes:
        queued_messages: Messages to be sent.
        queued_bytes: Of these.
        given_up: Messages that expired, or were overtaken (rule 3).
    """

    __slots__ = ("_channel", "_config", "_id", "_now", "_parts", "_queue", "_sequenced", "given_up", "queued_bytes")

    def __init__(self, channel: int, config: ChannelConfig) -> None:
        self._channel = channel
        self._config = config
        self._sequenced = config.delivery is Delivery.UNRELIABLE_SEQUENCED
        self._queue: deque[tuple[float, bytes]] = deque()  # when it expires, and the message
        self._id = 0  # of the first in the queue
        self._parts: Outstanding | None = None  # of the first in the queue, if it is large and has begun
        self._now = -inf  # when `expire` was last asked
        self.queued_bytes = self.given_up = 0

    @property
    def queued_messages(self) -> int:
        """How many messages are to be sent."""
        return len(self._queue)

    def can_send(self, size: int) -> bool:
        """Whether a message of ``size`` bytes would be taken now."""
        config = self._config
        if self._sequenced:
            return size <= config.max_message_size
        return len(self._queue) < config.queue_messages and self.queued_bytes + size <= config.queue_bytes

    # --8<-- [start:send]
    def send(self, message: bytes, expires: float | None = None) -> None:
        """Queue a message; after ``expires`` (a time, in seconds) it is given up.

        Raises:
            MessageTooLarge: It exceeds ``max_message_size``.
            QueueFull: The queue has no room for it; never on a sequenced channel, whose older message makes room (rule 3).
        """
        size = len(message)
        if size > self._config.max_message_size:
            most = self._config.max_message_size
            raise MessageTooLarge(f"a message of {size} bytes on channel {self._channel}, which takes up to {most}")
        if not self.can_send(size):
            raise QueueFull(
                f"channel {self._channel} has {len(self._queue)} messages, {self.queued_bytes} bytes to send"
            )
        if self._sequenced and len(self._queue) > (self._parts is not None):
            self.queued_bytes -= len(self._queue.pop()[1])
            self.given_up += 1
        self._queue.append((inf if expires is None else expires, message))
        self.queued_bytes += size

    # --8<-- [end:send]

    def next_expiry(self) -> float:
        """Infinity: `expire` looks at what comes next only, whenever it is asked."""
        return inf

    def expire(self, now: float) -> None:
        """Drop what has expired, as far as it is next (rule 4); what is behind it, when it is next."""
        self._now = now
        while self._queue and self._queue[0][0] <= now:
            self._drop_first()
            self.given_up += 1

    def _drop_first(self) -> None:
        self.queued_bytes -= len(self._queue.popleft()[1])
        self._id += 1
        self._parts = None

    def has_data(self) -> bool:
        """Whether there is something to be sent."""
        return bool(self._queue)

    def fill(self, packet: PacketBuilder, budget: int) -> None:
        """Put messages into a packet, until ``budget`` bytes are used (the last may use more) or nothing else fits."""
        enough = packet.room - budget
        while self._queue and packet.room > enough:
            message = self._queue[0][1]
            if len(message) > LARGEST_WHOLE:
                if not self._fill_slice(packet, message):
                    return
            else:
                size = write_varint(len(message))
                if not packet.add(run_header(self._channel, self._id, 1) + size + message):
                    return
                self._drop_first()
            self.expire(self._now)

    def _fill_slice(self, packet: PacketBuilder, message: bytes) -> bool:
        size = len(message)
        parts = self._parts or Outstanding(units(size))
        first, count = parts.take(packet.room - SLICE_HEADER, size)
        if not count:
            return False
        self._parts = parts
        data = message[first * UNIT : (first + count) * UNIT]
        packet.add(Slice(self._channel, self._id, size, first, data).encode())
        if not parts.todo:
            self._drop_first()
        return True


class UnreliableReceiver:
    """The receiving half of an unreliable channel.

    Attributes:
        held_bytes: Bytes of all that is kept: to be read, or incomplete; at most the channel's ``window_bytes``.
        dropped: Messages that were complete and not read (rules 2 and 3).
    """

    __slots__ = ("_assemblies", "_channel", "_config", "_newest", "_ready", "_sequenced", "dropped", "held_bytes")

    def __init__(self, channel: int, config: ChannelConfig) -> None:
        self._channel = channel
        self._config = config
        self._sequenced = config.delivery is Delivery.UNRELIABLE_SEQUENCED
        self._newest = -1  # of a sequenced channel: the id of the newest message that is complete
        self._assemblies: dict[int, Assembly] = {}
        self._ready: deque[bytes] = deque()
        self.held_bytes = self.dropped = 0

    @property
    def unread_messages(self) -> int:
        """How many messages `read` has ready."""
        return len(self._ready)

    def _overtaken(self, id_: int) -> bool:
        """Whether a newer message, or this one, was delivered already (rules 3 and 5)."""
        return self._sequenced and self._newest >= 0 and (id_ - self._newest - 1) & ID_MASK >= HALF_IDS

    def on_run(self, run: Run) -> None:
        """Messages came.

        Raises:
            ProtocolError: One is too large.
        """
        id_ = run.first
        for message in run.messages:
            self._check_size(len(message))
            self._arrived(id_, message)
            id_ = (id_ + 1) & ID_MASK

    def _arrived(self, id_: int, message: bytes) -> None:
        """A message is complete."""
        if self._overtaken(id_):
            self.dropped += 1
            return
        if self._sequenced:
            self._newest = id_
            while self._ready:
                self._drop_oldest()
            for older in [other for other in self._assemblies if self._overtaken(other)]:
                self.held_bytes -= self._assemblies.pop(older).size
        while self._ready and len(self._ready) >= self._config.window_messages:
            self._drop_oldest()
        self._make_room(len(message))
        self._ready.append(message)
        self.held_bytes += len(message)

    def _drop_oldest(self) -> None:
        self.held_bytes -= len(self._ready.popleft())
        self.dropped += 1

    def _make_room(self, size: int) -> None:
        """Drop what is oldest, first of the incomplete, then of the complete messages (rules 1 and 2)."""
        most = self._config.window_bytes - size
        while self.held_bytes > most and self._assemblies:
            self.held_bytes -= self._assemblies.pop(next(iter(self._assemblies))).size
        while self.held_bytes > most:
            self._drop_oldest()

    def _check_size(self, size: int) -> None:
        most = self._config.max_message_size
        if size > most:
            raise ProtocolError(f"a message of {size} bytes on channel {self._channel}, which takes up to {most}")

    def on_slice(self, part: Slice) -> None:
        """A part of a large message came.

        Raises:
            ProtocolError: It is too large, or has another size than an earlier part said.
        """
        self._check_size(part.total)
        if self._overtaken(part.id):
            return
        assembly = self._assemblies.get(part.id)
        if assembly is None:
            self._make_room(part.total)
            assembly = self._assemblies[part.id] = Assembly(part.total)
            self.held_bytes += part.total
        elif assembly.size != part.total:
            raise ProtocolError(
                f"message {part.id} on channel {self._channel} has {assembly.size} bytes, or {part.total}?"
            )
        message = assembly.add(part.unit, part.data)
        if message is not None:
            del self._assemblies[part.id]
            self.held_bytes -= part.total
            self._arrived(part.id, message)

    def read(self) -> bytes | None:
        """The next message, if there is one."""
        if not self._ready:
            return None
        message = self._ready.popleft()
        self.held_bytes -= len(message)
        return message
