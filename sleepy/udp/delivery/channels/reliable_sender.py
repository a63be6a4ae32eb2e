"""Messages that arrive, each once: in order, or each as soon as it can.

A packet that is lost takes messages with it; the sender puts them into later packets until it hears that one arrived.
The receiver may thus get a message twice, or the fifth before the third: it knows by the ids.

Rules:

1. Messages are numbered in the order of sending. What was lost goes first, then what was never sent; of each the
   oldest first.
2. A message is acked with any packet that it was in, also one that was said to be lost. Then it is forgotten here.
3. The receiver keeps nothing that it has no room for, and must not: the packet's ack would say that it has it. So the
   sender sends only what it has *credit* for: ids before a limit, and bytes of all messages up to a limit. The
   receiver's limits are what was read, plus its window. (It bounds yojimbo's rule too: no id beyond the oldest
   unacked plus the window.)
4. Of ids, "what was read" counts neither beyond the first message that is missing, nor beyond the number of those
   read: what is remembered, to know copies, is bounded by the window too.
5. New credit is told when half a window has become free, and again if it was lost. Since two of the largest messages
   fit in a window, a sender never waits for credit that is not told.
6. A message that ``expires`` before it was sent or acked is given up. Its id is, or might be, awaited: so a *skip* is
   sent in its place, as reliably, and says how many bytes the sender had counted. What was received before stays
   received.
7. Credit only grows; old news, come late, is ignored. What honest peers cannot send is a `ProtocolError`.

Source: yojimbo and "Reliable Ordered Messages" (gafferongames.com) for rules 1 and 2; RFC 9000, section 4, for the
credit.
"""

from heapq import heappop, heappush
from math import inf
from typing import Final

from sleepy.udp.delivery.channels.config import ChannelConfig, MessageTooLarge, QueueFull
from sleepy.udp.delivery.chunks import (
    HALF_IDS,
    ID_MASK,
    LARGEST_WHOLE,
    MAX_RUN,
    RUN,
    SHORT,
    SKIP,
    SLICE,
    UNIT,
    Credit,
    ProtocolError,
    Skip,
    Slice,
    run_header,
    write_varint,
)
from sleepy.udp.delivery.payload import PacketBuilder
from sleepy.udp.delivery.slices import Outstanding, units
from sleepy.udp.numbered import Numbered

HALF_POSITIONS: Final = 1 << 31
POSITION_MASK: Final = (1 << 32) - 1
RUN_HEADER: Final = 5  # bytes; one less before a single message
SLICE_HEADER: Final = 16  # bytes at most


class _Large:
    """A message that is cut."""

    __slots__ = ("data", "parts")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.parts = Outstanding(units(len(data)))


def _size(message: bytes | _Large | Skip | None) -> int:
    """How much a message that was never sent counts; one that was given up before that, nothing."""
    if isinstance(message, bytes):
        return len(message)
    if isinstance(message, _Large):
        return len(message.data)
    return message.size if message is not None else 0


class ReliableSender:
    """The sending half of a reliable channel.

    Attributes:
        queued_bytes: Of the messages to be sent or acked.
        given_up: Messages that expired.
    """

    __slots__ = (
        "_channel",
        "_config",
        "_due",
        "_expiries",
        "_fresh",
        "_limit",
        "_max_bytes",
        "_max_messages",
        "_max_size",
        "_messages",
        "_next",
        "_position",
        "_position_limit",
        "given_up",
        "queued_bytes",
    )

    def __init__(self, channel: int, config: ChannelConfig) -> None:
        self._channel = channel
        self._config = config
        self._max_size = config.max_message_size  # here, as they are looked at with each message
        self._max_messages, self._max_bytes = config.queue_messages, config.queue_bytes
        self._messages: Numbered[bytes | _Large | Skip] = Numbered()  # by id
        self._next = 0  # the next message's id; ids are not wrapped here
        self._fresh = 0  # the first id that never was in a packet
        self._due: list[int] = []  # a heap of older ids to be sent (again)
        self._expiries: list[tuple[float, int]] = []  # a heap
        self._limit = config.window_messages  # rule 3
        self._position = 0
        self._position_limit = config.window_bytes
        self.queued_bytes = self.given_up = 0

    @property
    def queued_messages(self) -> int:
        """Messages to be sent or acked."""
        return self._messages.count

    def can_send(self, size: int) -> bool:
        """Whether a message of ``size`` bytes would be taken now."""
        return self._messages.count < self._max_messages and self.queued_bytes + size <= self._max_bytes

    # --8<-- [start:send]
    def send(self, message: bytes, expires: float | None = None) -> None:
        """Queue a message; after ``expires`` (a time, in seconds) it is given up.

        Raises:
            MessageTooLarge: It exceeds ``max_message_size``.
            QueueFull: The queue has no room for it (see `can_send`).
        """
        size, queued = len(message), self._messages.count
        if size > self._max_size:
            most = self._max_size
            raise MessageTooLarge(f"a message of {size} bytes on channel {self._channel}, which takes up to {most}")
        if queued >= self._max_messages or self.queued_bytes + size > self._max_bytes:
            raise QueueFull(f"channel {self._channel} has {queued} messages, {self.queued_bytes} bytes to send")
        id_ = self._next
        self._next = id_ + 1
        self._messages.append(message if size <= LARGEST_WHOLE else _Large(message))
        self.queued_bytes += size
        if expires is not None:
            if len(self._expiries) > 2 * queued + 16:  # most are acked long ago
                self._expiries = sorted(
                    expiry for expiry in self._expiries if self._messages.get(expiry[1]) is not None
                )
            heappush(self._expiries, (expires, id_))

    # --8<-- [end:send]

    def next_expiry(self) -> float:
        """When `expire` has something to do; infinity if nothing expires."""
        expiries = self._expiries
        while expiries:
            message = self._messages.get(expiries[0][1])
            if message is not None and not isinstance(message, Skip):
                break
            heappop(expiries)
        return expiries[0][0] if expiries else inf

    def expire(self, now: float) -> None:
        """Give up what has expired (rule 6)."""
        while self.next_expiry() <= now:
            id_ = heappop(self._expiries)[1]
            size = _size(self._messages.get(id_))
            was_sent = id_ < self._fresh
            self._messages.replace(id_, Skip(self._channel, id_, size if was_sent else 0))
            if was_sent:
                heappush(self._due, id_)
            self.queued_bytes -= size
            self.given_up += 1

    def has_data(self) -> bool:
        """Whether there is something that may be sent now."""
        return self._first_due() is not None

    def _first_due(self) -> int | None:
        """The id to send next (rule 1), if there is one that may be sent (rule 3)."""
        due = self._due
        while due:
            id_ = due[0]
            message = self._messages.get(id_)
            if message is not None and not (isinstance(message, _Large) and not message.parts.todo):
                return id_
            heappop(due)
        fresh = self._fresh
        if fresh < self._next and self._may_begin(fresh):
            return fresh
        return None

    def _may_begin(self, id_: int) -> bool:
        """Whether there is credit for a message that was never sent."""
        return id_ < self._limit and self._position + _size(self._messages.get(id_)) <= self._position_limit

    # --8<-- [start:fill]
    def fill(self, packet: PacketBuilder, budget: int) -> None:
        """Put messages into a packet, until ``budget`` bytes are used (the last may use more) or nothing else fits."""
        enough = packet.room - budget
        while packet.room > enough:
            id_ = self._first_due()
            if id_ is None:
                return
            message, fits = self._messages.get(id_), False
            if isinstance(message, bytes):
                fits = self._fill_fresh(packet, enough) if id_ == self._fresh else self._fill_again(packet, id_, enough)
            elif isinstance(message, Skip):
                fits = packet.add(message.encode(), (self, SKIP, id_, 1))
                if fits:
                    self._begun(id_, 0)
            elif isinstance(message, _Large):
                fits = self._fill_slice(packet, id_, message)
            if not fits:
                return

    def _fill_fresh(self, packet: PacketBuilder, enough: int) -> bool:
        """A run of messages that never were in a packet; whether what comes next may fit, too."""
        first, messages = self._fresh, self._messages.things
        room, credit = packet.room - RUN_HEADER, self._position_limit - self._position
        parts: list[bytes] = []
        fits = True
        start = first - self._messages.base
        for at in range(start, start + min(MAX_RUN, min(self._next, self._limit) - first)):
            message = messages[at]
            if not isinstance(message, bytes) or room <= enough - RUN_HEADER:
                break
            size = len(message)
            left = room - size - (1 if size < 0x80 else 2)
            if left < 0 or size > credit:
                fits = left >= 0
                break
            room = left
            credit -= size
            parts.append(SHORT[size] if size < 0x80 else write_varint(size))
            parts.append(message)
        self._fresh += len(parts) // 2
        self._position = self._position_limit - credit
        self._add_run(packet, first, parts, room)
        return fits

    def _fill_again(self, packet: PacketBuilder, first: int, enough: int) -> bool:
        """A run of messages that are due again; whether there is one."""
        due = self._due
        room = packet.room - RUN_HEADER
        parts: list[bytes] = []
        id_ = first
        while id_ - first < MAX_RUN and due and due[0] == id_ and room > enough - RUN_HEADER:
            message = self._messages.get(id_)
            if not isinstance(message, bytes):
                break
            length = write_varint(len(message))
            left = room - len(length) - len(message)
            if left < 0:
                break
            while due and due[0] == id_:
                heappop(due)
            parts += (length, message)
            room = left
            id_ += 1
        self._add_run(packet, first, parts, room)
        return id_ > first

    def _add_run(self, packet: PacketBuilder, first: int, parts: list[bytes], room: int) -> None:
        """Put in a run of messages, each after its length, if there are any; ``room`` is left of the packet then."""
        count = len(parts) // 2
        if count:
            packet.parts.append(run_header(self._channel, first, count))
            packet.parts += parts
            packet.room = room if count > 1 else room + 1
            packet.tokens.append((self, RUN, first, count))

    # --8<-- [end:fill]

    def _fill_slice(self, packet: PacketBuilder, id_: int, message: _Large) -> bool:
        size = len(message.data)
        first, count = message.parts.take(packet.room - SLICE_HEADER, size)
        if not count:
            return False
        if id_ == self._fresh:
            self._begun(id_, size)
            heappush(self._due, id_)  # the rest
        data = message.data[first * UNIT : (first + count) * UNIT]
        packet.add(Slice(self._channel, id_, size, first, data).encode(), (_Part(self, id_), SLICE, first, count))
        return True

    def _begun(self, id_: int, size: int) -> None:
        """An id was sent: count it, if for the first time, and take it from what is due."""
        if id_ == self._fresh:
            self._fresh += 1
            self._position += size
        while self._due and self._due[0] == id_:
            heappop(self._due)

    # --8<-- [start:acked]
    def on_acked(self, _what: int, first: int, count: int, /) -> None:
        """The peer has messages (rule 2)."""
        for message in self._messages.pop_run(first, count):
            if isinstance(message, bytes):
                self.queued_bytes -= len(message)
            elif isinstance(message, _Large):
                self.queued_bytes -= len(message.data)

    def on_lost(self, _what: int, first: int, count: int, /) -> None:
        """The peer may not have them: send them again, unless it has them by another packet (rule 1)."""
        for id_ in range(first, first + count):
            if self._messages.get(id_) is not None:
                heappush(self._due, id_)

    # --8<-- [end:acked]

    def on_part_acked(self, id_: int, first: int, count: int) -> None:
        """The peer has a part of a large message."""
        message = self._messages.get(id_)
        if isinstance(message, _Large):
            message.parts.on_acked(first, count)
            if not message.parts.open:
                self.on_acked(SLICE, id_, 1)

    def on_part_lost(self, id_: int, first: int, count: int) -> None:
        """The peer may not have it."""
        message = self._messages.get(id_)
        if isinstance(message, _Large):
            message.parts.on_lost(first, count)
            heappush(self._due, id_)

    def on_credit(self, credit: Credit) -> None:
        """The peer has read something (rule 7).

        Raises:
            ProtocolError: It gives credit for more than any window has.
        """
        ahead = (credit.id - self._limit) & ID_MASK
        if ahead < HALF_IDS:
            if self._limit + ahead > self._fresh + self._config.window_messages:
                raise ProtocolError(
                    f"credit for {ahead} more messages on channel {self._channel} than were sent and fit"
                )
            self._limit += ahead
        ahead = (credit.position - self._position_limit) & POSITION_MASK
        if ahead < HALF_POSITIONS:
            if self._position_limit + ahead > self._position + self._config.window_bytes:
                raise ProtocolError(f"credit for {ahead} more bytes on channel {self._channel} than were sent and fit")
            self._position_limit += ahead


class _Part:
    """Stands for a sender in the token of a slice, which needs an id besides."""

    __slots__ = ("_id", "_sender")

    def __init__(self, sender: ReliableSender, id_: int) -> None:
        self._sender = sender
        self._id = id_

    def on_acked(self, _what: int, first: int, count: int, /) -> None:
        """It arrived."""
        self._sender.on_part_acked(self._id, first, count)

    def on_lost(self, _what: int, first: int, count: int, /) -> None:
        """It did not."""
        self._sender.on_part_lost(self._id, first, count)
