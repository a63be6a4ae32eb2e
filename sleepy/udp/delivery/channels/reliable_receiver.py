"""The receiving half of a reliable channel; see `sleepy.udp.delivery.channels.reliable_sender` for the rules cited here.

Messages come in runs, and are read one by one. So they wait in two lists: one to which runs are added, and one from whose
end they are read. When that is empty, the first is turned round and takes its place. (A queue made of two stacks: Okasaki,
"Purely Functional Data Structures", 1998, section 5.2.)
"""

from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery
from sleepy.udp.delivery.chunks import CREDIT, HALF_IDS, ID_MASK, Credit, ProtocolError, Run, Skip, Slice
from sleepy.udp.delivery.payload import PacketBuilder, Token
from sleepy.udp.delivery.slices import Assembly


class ReliableReceiver:
    """The receiving half of a reliable channel."""

    __slots__ = (
        "_assemblies",
        "_base",
        "_channel",
        "_config",
        "_credit_lost",
        "_given",
        "_max_bytes",
        "_max_size",
        "_ordered",
        "_passed",
        "_position",
        "_position_mark",
        "_read_mark",
        "_read_position",
        "_reading",
        "_ready",
        "_waiting",
    )

    def __init__(self, channel: int, config: ChannelConfig) -> None:
        self._channel = channel
        self._config = config
        self._max_size, self._max_bytes = config.max_message_size, config.window_bytes  # looked at with each packet
        self._ordered = config.delivery is Delivery.RELIABLE_ORDERED
        self._base: int = 0  # the first id that is missing
        self._waiting: dict[int, bytes | None] = {}  # later ids that came, and what is yet to be delivered of them
        self._assemblies: dict[int, Assembly] | None = None  # of large messages, as soon as there was one
        self._ready: list[bytes] = []  # to be read, the oldest first
        self._reading: list[bytes] = []  # to be read before those, the oldest last
        self._passed = 0  # messages that were ready to be read, or given up, so far
        self._position = 0  # bytes of all that was taken in, so far
        self._read_position = 0  # of these, what needs no room any more
        self._give(config.window_messages, config.window_bytes)

    def _give(self, given: int, position: int) -> None:
        """Credit is given up to here; note when half of the window will be free again (rule 5)."""
        config = self._config
        self._given = given
        self._read_mark = given - config.window_messages + config.window_messages // 2
        self._position_mark = position - config.window_bytes + config.window_bytes // 2
        self._credit_lost = False

    @property
    def unread_messages(self) -> int:
        """How many messages `read` has ready."""
        return len(self._ready) + len(self._reading)

    @property
    def held_bytes(self) -> int:
        """Bytes of all that is kept: to be read, waiting for an earlier one, or incomplete."""
        return self._position - self._read_position

    @property
    def _read(self) -> int:
        """How many messages need no room any more (rule 4)."""
        return self._passed - len(self._ready) - len(self._reading)

    def _unwrap(self, id_: int, last: int) -> int:
        """The whole id, of which 24 bits are known.

        Raises:
            ProtocolError: It, or one up to ``last`` after it, is more than there is credit for (rule 3).
        """
        whole = self._base + ((id_ - self._base + HALF_IDS) & ID_MASK) - HALF_IDS
        if whole + last >= self._given:
            raise ProtocolError(
                f"message {whole + last} on channel {self._channel} is beyond the window, {self._given}"
            )
        return whole

    # --8<-- [start:receive]
    def on_run(self, run: Run) -> None:
        """Messages came.

        Raises:
            ProtocolError: There was no credit for them, or one is too large.
        """
        messages = run.messages
        id_ = self._unwrap(run.first, len(messages) - 1)
        if id_ == self._base and not self._waiting and not self._assemblies:  # mostly so: all at once
            size = 0
            for message in messages:
                size += len(message)
            fit = size <= self._max_size  # all together, and so each
            self._hold(size if fit else max(map(len, messages)), size)
            self._ready += messages
            self._passed += len(messages)
            self._base = id_ + len(messages)
            return
        for message in messages:
            if id_ >= self._base and id_ not in self._waiting:
                self._hold(len(message), len(message))
                self._arrived(id_, message)
            id_ += 1

    def _arrived(self, id_: int, message: bytes | None) -> None:
        """A message that is new, or None in place of one that was given up."""
        if message is not None and (id_ == self._base or not self._ordered):
            self._ready.append(message)
            self._passed += 1
            message = None
        if id_ != self._base:
            self._waiting[id_] = message
            return
        base, waiting = id_ + 1, self._waiting
        while waiting and base in waiting:
            later = waiting.pop(base)
            if later is not None:
                self._ready.append(later)
                self._passed += 1
            base += 1
        self._base = base

    # --8<-- [end:receive]

    def _hold(self, largest: int, size: int) -> None:
        """Account for bytes that are kept, of messages the largest of which has so many."""
        if largest > self._max_size:
            most = self._max_size
            raise ProtocolError(f"a message of {largest} bytes on channel {self._channel}, which takes up to {most}")
        self._position += size
        if self.held_bytes > self._max_bytes:
            raise ProtocolError(f"more unread bytes on channel {self._channel} than its window of {self._max_bytes}")

    def on_slice(self, part: Slice) -> None:
        """A part of a large message came.

        Raises:
            ProtocolError: There was no credit for it, it is too large, or has another size than an earlier part said.
        """
        id_ = self._unwrap(part.id, 0)
        if id_ < self._base or id_ in self._waiting:
            return
        assemblies = self._assemblies
        if assemblies is None:
            assemblies = self._assemblies = {}
        assembly = assemblies.get(id_)
        if assembly is None:
            self._hold(part.total, part.total)
            assembly = assemblies[id_] = Assembly(part.total)
        elif assembly.size != part.total:
            raise ProtocolError(f"message {id_} on channel {self._channel} has {assembly.size} bytes, or {part.total}?")
        message = assembly.add(part.unit, part.data)
        if message is not None:
            del assemblies[id_]
            self._arrived(id_, message)

    def on_skip(self, skip: Skip) -> None:
        """A message will not come (rule 6).

        Raises:
            ProtocolError: There was no credit for it, or it was too large.
        """
        id_ = self._unwrap(skip.id, 0)
        if skip.size > self._max_size:
            raise ProtocolError(f"{skip.size} bytes given up on channel {self._channel}, more than a message may have")
        if id_ < self._base or id_ in self._waiting:
            return
        assembly = self._assemblies.pop(id_, None) if self._assemblies else None
        if assembly is not None:
            self._position -= assembly.size
        self._arrived(id_, None)
        self._passed += 1
        self._position += skip.size
        self._read_position += skip.size

    # --8<-- [start:read]
    def read(self) -> bytes | None:
        """The next message, if there is one; makes room for others."""
        reading = self._reading
        if not reading:
            if not self._ready:
                return None
            reading, self._ready = self._ready, reading
            reading.reverse()
            self._reading = reading
        message = reading.pop()
        self._read_position += len(message)  # what follows from it is worked out once per packet
        return message

    # --8<-- [end:read]

    def has_data(self) -> bool:
        """Whether there is credit to be told: much has become free, or what was told was lost (rule 5)."""
        if self._credit_lost or self._read_position >= self._position_mark:
            return True
        mark = self._read_mark
        return self._base >= mark and self._read >= mark  # rule 4

    def fill(self, packet: PacketBuilder) -> None:
        """Tell the credit, if it is due and fits."""
        if self.has_data():
            given = min(self._read, self._base) + self._config.window_messages
            position = self._read_position + self._config.window_bytes
            token: Token = (self, CREDIT, 0, 1)
            if packet.add(Credit(self._channel, given, position).encode(), token):
                self._give(given, position)

    def on_acked(self, _what: int, _first: int, _count: int, /) -> None:
        """The peer knows of its credit."""

    def on_lost(self, _what: int, _first: int, _count: int, /) -> None:
        """It may not."""
        self._credit_lost = True
