"""Who has what: the packets that reached us, and how we say so; the packets we sent, and what we hear about them.

Both sides remember the last ``size`` sequences, sequence ``s`` in slot ``s % size`` of flat lists (the rules are those
of `sleepy.udp.sequence.SequenceBuffer`; this is its fast form). Packets are counted without wrapping: number ``count``
comes next, and travels as ``count % 65536``. A 16-bit ack can mean only one of the last 65,536 numbers.

**Ack bits are kept, not computed.** The obvious way to write a header is to ask 32 times "did this one arrive?", and
the obvious way to read one is to ask 32 times "was this one still open?". But hardly anything changes from packet to
packet:

1. When a packet arrives that is newer by ``n``, the ack bits move up by ``n``, and bit 0 is set. A late packet sets
   the one bit that is its own. Writing a header asks nothing then.
2. The packets we sent that are not acked, the *open* ones, are bits of an integer as well: bit ``n`` is the packet sent
   ``n`` before the newest. The ack bits of a header, moved to the same place, and-ed with the open bits, are what is
   new. On a good link that is one bit per packet.

**Statistics look at the older half** of the memory only: a packet sent a moment ago is not lost because its ack is not
here yet. To walk over that half at every update would cost more than all else, so:

3. What is asked for is kept running. A `Window` slides over the older half, and at an update looks only at what entered
   it since the last. Of packets sent, those that are open are watched one by one, for an ack may come late.

Source: the semantics are those of reliable 1.4.0; rules 1 to 3 are ours.
"""

from sleepy.udp.header import ALL_ACKED
from sleepy.udp.sequence import newer
from sleepy.udp.statistics import RoundTrips, Window


class ReceivedPackets:
    """The packets that arrived lately, and the ack bits that tell the peer.

    Args:
        size: How many to remember; a power of two from 2.

    Attributes:
        count: The number after the newest that is known; modulo 65,536 the sequence that is expected next.
        ack_bits: Bit ``n``: number ``count - 1 - n`` has arrived.
    """

    __slots__ = ("_ack_mask", "_bytes", "_half", "_mask", "_size", "_times", "_window", "ack_bits", "count")

    def __init__(self, size: int) -> None:
        self._size = size
        self._mask = size - 1
        self._half = size // 2
        self._ack_mask = ALL_ACKED if size >= 32 else (1 << size) - 1  # what is forgotten cannot be acked
        self.restart_at(0)

    def restart_at(self, sequence: int) -> None:
        """Forget everything, and expect this sequence."""
        self.count = sequence
        self.ack_bits = 0
        self._bytes: list[int] = [0] * self._size  # 0: did not arrive
        self._times: list[float] = [0.0] * self._size
        self._window = Window(self._half)

    def __contains__(self, sequence: int) -> bool:
        return (self.count - 1 - sequence) & 0xFFFF < self._size and self._bytes[sequence & self._mask] > 0

    def is_stale(self, sequence: int) -> bool:
        """Whether this sequence is older than we remember."""
        return newer((self.count - self._size) & 0xFFFF, sequence)

    # --8<-- [start:insert]
    def insert(self, sequence: int, size: int, now: float) -> None:
        """A packet of ``size`` bytes has arrived, which is neither stale nor a duplicate."""
        slot = sequence & self._mask
        count = self.count
        if sequence == count & 0xFFFF:  # what `advance` would do, for the usual case
            self.count = count + 1
            ack_bits = self.ack_bits
            if ack_bits != self._ack_mask:  # all set stays all set
                self.ack_bits = (ack_bits << 1 | 1) & self._ack_mask
        else:
            self.advance(sequence)
            age = (self.count - 1 - sequence) & 0xFFFF
            if age < 32:
                self.ack_bits |= 1 << age
            if age >= self._half:
                self._window.restart()
        self._bytes[slot] = size
        self._times[slot] = now

    def advance(self, sequence: int) -> None:
        """If this sequence is newer than all that are known, make it the newest, though it has not arrived."""
        if not newer((sequence + 1) & 0xFFFF, self.count & 0xFFFF):
            return
        steps = (sequence + 1 - self.count) & 0xFFFF
        for number in range(self.count, self.count + min(steps, self._size)):
            self._bytes[number & self._mask] = 0
        self.ack_bits = (self.ack_bits << steps) & self._ack_mask if steps < 32 else 0
        self.count += steps

    # --8<-- [end:insert]

    def older_half(self) -> Window:
        """The packets of the older half; costs as much as came since the last call."""
        window = self._window
        for number in window.slide(self.count - self._half):
            slot = number & self._mask
            if self._bytes[slot]:
                window.enter(number, self._bytes[slot], self._times[slot])
        return window


class SentPackets:
    """The packets we sent lately, and which of them the peer has.

    Args:
        size: How many to remember; a power of two from 2.
        ack_limit: How many acks to hold until somebody takes them.
        round_trips: Is told of every packet acked.

    Attributes:
        count: Packets sent since the start or the last reset; modulo 65,536 the next sequence.
        acks: The sequences acked and not yet taken.
        older_open_bytes: Bytes of the packets in the older half that were not acked.
    """

    __slots__ = (
        "_ack_limit",
        "_bytes",
        "_half",
        "_mask",
        "_open",
        "_open_mask",
        "_round_trips",
        "_size",
        "_times",
        "_window",
        "acks",
        "count",
        "older_open_bytes",
    )

    def __init__(self, size: int, ack_limit: int, round_trips: RoundTrips) -> None:
        self._size = size
        self._mask = size - 1
        self._half = size // 2
        self._open_mask = (1 << size) - 1
        self._ack_limit = ack_limit
        self._round_trips = round_trips
        self.reset()

    def reset(self) -> None:
        """Forget everything, and begin at sequence 0."""
        self.count = 0
        self.acks: list[int] = []
        self.older_open_bytes = 0
        self._window = Window(self._half)
        self._open: int = 0
        self._bytes: list[int] = [0] * self._size
        self._times: list[float] = [0.0] * self._size

    # --8<-- [start:record]
    def record(self, size: int, now: float) -> int:
        """A packet of ``size`` bytes is being sent; its sequence."""
        count = self.count
        slot = count & self._mask
        self._open = opened = self._open << 1 | 1
        older = opened >> self._half
        if older:
            self._age_open(older, slot)
        self._bytes[slot] = size
        self._times[slot] = now
        self.count = count + 1
        return count & 0xFFFF

    def _age_open(self, older: int, slot: int) -> None:
        """Something in the older half is open: count in the bytes of what enters, and out of what leaves this slot."""
        if older & 1:
            self.older_open_bytes += self._bytes[slot ^ self._half]
        if older >> self._half:
            self.older_open_bytes -= self._bytes[slot]
            self._open &= self._open_mask

    # --8<-- [end:record]

    # --8<-- [start:acknowledge]
    def acknowledge(self, ack: int, ack_bits: int, now: float) -> int:
        """The peer says what it has; how many packets we did not know that of."""
        count, acks, acked = self.count, self.acks, 0
        behind = (count - 1 - ack) & 0xFFFF
        news = self._open & ack_bits << behind if behind < self._size else self._ahead(0x10000 - behind, ack_bits)
        while news and len(acks) < self._ack_limit:  # what finds no room stays open; a later header may say it again
            bit = news & -news  # the lowest, which is the newest packet
            news ^= bit
            self._open ^= bit
            age = bit.bit_length()
            sequence = (count - age) & 0xFFFF
            slot = sequence & self._mask
            if age > self._half:
                self.older_open_bytes -= self._bytes[slot]
            acks.append(sequence)
            acked += 1
            self._round_trips.add(sequence, (now - self._times[slot]) * 1000)
        return acked

    def _ahead(self, steps: int, ack_bits: int) -> int:
        """What is new if the ack names a packet not sent yet: of its 32, the last may stand for packets that were."""
        return self._open & ack_bits >> steps if steps < 32 else 0

    # --8<-- [end:acknowledge]

    @property
    def older(self) -> int:
        """Packets in the older half."""
        return min(max(self.count - self._half, 0), self._half)

    @property
    def older_open(self) -> int:
        """Those of them that were not acked: lost, as far as we know."""
        return (self._open >> self._half).bit_count()

    def older_half(self) -> Window:
        """The packets of the older half; costs as much as was sent since the last call."""
        window = self._window
        for number in window.slide(self.count - self._half):
            if number >= 0:
                window.enter(number, self._bytes[number & self._mask], self._times[number & self._mask])
        return window

    def older_acked_span(self) -> float:
        """Seconds between the first and the last packet of the older half that were acked."""
        acked = ~(self._open >> self._half) & (1 << self.older) - 1
        return self._seconds((acked & -acked).bit_length() - 1, acked.bit_length() - 1) if acked else 0.0

    def _seconds(self, newer_age: int, older_age: int) -> float:
        """Time between the sending of two packets, given by their ages within the older half."""
        newest = self.count - 1 - self._half
        return self._times[(newest - newer_age) & self._mask] - self._times[(newest - older_age) & self._mask]
