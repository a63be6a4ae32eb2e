"""Who has what, and nothing else: the memory of an endpoint that measures nothing.

`sleepy.udp.acks` keeps the size and the time of every packet, for the statistics of the link. Above an endpoint there may be
somebody who measures better, and remembers all that itself (`sleepy.udp.path.recovery`). Then the endpoint needs no more
than to know which packets arrived, and which of its own are not acked: a bit for each. 4096 packets take 512 bytes instead
of 64 KiB and more, which matters to whoever has 10,000 peers.

The rules are those of `sleepy.udp.acks`.
"""

from functools import cache

from sleepy.udp.acks import ReceivedPackets, SentPackets
from sleepy.udp.sequence import newer
from sleepy.udp.statistics import RoundTrips


@cache
def ones(count: int) -> int:
    """So many bits that are set; one number for all endpoints, as it may be large."""
    return (1 << count) - 1


class BareReceivedPackets(ReceivedPackets):
    """The packets that arrived lately, as bits."""

    __slots__ = ("_all", "_arrived")

    def __init__(self, size: int) -> None:
        self._all = ones(size)
        super().__init__(size)

    def restart_at(self, sequence: int) -> None:
        """Forget everything, and expect this sequence."""
        self.count = sequence
        self.ack_bits = 0
        self._arrived = 0  # bit n: number count - 1 - n has arrived

    def __contains__(self, sequence: int) -> bool:
        age = (self.count - 1 - sequence) & 0xFFFF
        return age < self._size and self._arrived >> age & 1 == 1

    # --8<-- [start:insert]
    def insert(self, sequence: int, size: int, now: float) -> None:  # noqa: ARG002 - what is not measured
        """A packet has arrived, which is neither stale nor a duplicate."""
        if sequence == self.count & 0xFFFF:
            self.count += 1
            if self._arrived == self._all:  # all set stays all set
                return
            self._arrived = (self._arrived << 1 | 1) & self._all
        else:
            self.advance(sequence)
            self._arrived |= 1 << ((self.count - 1 - sequence) & 0xFFFF)
        self.ack_bits = self._arrived & self._ack_mask

    def advance(self, sequence: int) -> None:
        """If this sequence is newer than all that are known, make it the newest, though it has not arrived."""
        if newer((sequence + 1) & 0xFFFF, self.count & 0xFFFF):
            steps = (sequence + 1 - self.count) & 0xFFFF
            self._arrived = self._arrived << steps & self._all if steps < self._size else 0
            self.ack_bits = self._arrived & self._ack_mask
            self.count += steps

    # --8<-- [end:insert]


class BareSentPackets(SentPackets):
    """The packets we sent lately, and which of them the peer has, as bits."""

    __slots__ = ()

    def __init__(self, size: int, ack_limit: int, round_trips: RoundTrips) -> None:
        super().__init__(size, ack_limit, round_trips)
        self._open_mask = ones(size)

    def reset(self) -> None:
        """Forget everything, and begin at sequence 0."""
        self.count = 0
        self.acks = []
        self._open: int = 0

    # --8<-- [start:sent]
    def record(self, size: int, now: float) -> int:  # noqa: ARG002 - what is not measured
        """A packet is being sent; its sequence."""
        count = self.count
        self.count = count + 1
        self._open = (self._open << 1 | 1) & self._open_mask
        return count & 0xFFFF

    def acknowledge(self, ack: int, ack_bits: int, now: float) -> int:  # noqa: ARG002 - what is not measured
        """The peer says what it has; how many packets we did not know that of."""
        count, acks = self.count, self.acks
        before = len(acks)
        behind = (count - 1 - ack) & 0xFFFF
        news = self._open & ack_bits << behind if behind < self._size else self._ahead(0x10000 - behind, ack_bits)
        while news and len(acks) < self._ack_limit:
            bit = news & -news  # the lowest, which is the newest packet
            news ^= bit
            self._open ^= bit
            acks.append((count - bit.bit_length()) & 0xFFFF)
        return len(acks) - before

    # --8<-- [end:sent]
