"""Fragments back into packets.

A packet too large for the path is cut into fragments, and is worth nothing until the last of them is there. They
arrive in any order, twice, or never; and whoever likes may send fragments of packets that do not exist, to fill our
memory.

Rules:

1. All fragments but the last carry exactly ``fragment_size`` bytes. So each knows its place, and the total is known
   before anything is stored: what would exceed the largest packet is refused at its first fragment.
2. The packet header travels in fragment 0 only. It must be in its canonical form (see `sleepy.udp.header`).
3. The first fragment to arrive says how many there are; whoever disagrees later is invalid.
4. A fragment that is there already is dropped. A packet that is complete is remembered by its sequence like any other,
   so replaying its fragments begins nothing.
5. A partial packet is given up when a packet newer by ``limit`` sequences arrives, and, if wished, some time after its
   first fragment. So there are at most ``limit`` of them, and each keeps only what has arrived of it.

Source: reliable 1.4.0; the early refusal of rule 1 and the time limit of rule 5 are ours.
"""

from typing import final

from sleepy._mypyc import mypyc_attr
from sleepy.udp.header import (
    FRAGMENT_HEADER,
    MAX_PACKET_HEADER,
    NO_HEADER,
    Header,
    read_fragment_header,
    read_header,
    write_header,
)
from sleepy.udp.sequence import newer


@mypyc_attr(acyclic=True, free_list_len=1)  # one is made for each fragment, and not kept
@final
class Fragment:
    """A fragment of a packet.

    Attributes:
        sequence: The packet's.
        fragment_id: Which of its fragments.
        fragments: How many there are.
        header: The packet header in fragment 0, as `read_header` gives it; `NO_HEADER` in others.
        data: Its part of the payload.
    """

    __slots__ = ("data", "fragment_id", "fragments", "header", "sequence")

    def __init__(self, sequence: int, fragment_id: int, fragments: int, header: Header, data: bytes) -> None:
        self.sequence = sequence
        self.fragment_id = fragment_id
        self.fragments = fragments
        self.header = header
        self.data = data

    def least_size(self, fragment_size: int) -> int:
        """The least the packet's payload can have; with the last fragment at hand, what it has (rule 1)."""
        last = self.fragment_id == self.fragments - 1
        return (self.fragments - 1) * fragment_size + (len(self.data) if last else 0)


# --8<-- [start:read]
def read_fragment(datagram: bytes, fragment_size: int, max_fragments: int) -> Fragment | None:
    """Read a fragment, or None if anything is wrong with it (rules 1 and 2)."""
    sequence, fragment_id, fragments = read_fragment_header(datagram)
    if not 0 < fragments <= max_fragments:
        return None
    header = NO_HEADER
    start = FRAGMENT_HEADER
    if fragment_id == 0:
        found = datagram[start : start + MAX_PACKET_HEADER]
        header = read_header(found)
        if header[3] == 0 or header[0] != sequence:
            return None
        if not found.startswith(write_header(sequence, header[1], header[2])):
            return None
        start += header[3]
    size = len(datagram) - start
    if size > fragment_size or (size < fragment_size and fragment_id < fragments - 1):
        return None
    return Fragment(sequence, fragment_id, fragments, header, datagram[start:])


# --8<-- [end:read]


@final
class Partial:
    """A packet of which fragments are missing.

    Attributes:
        started: When its first fragment arrived.
        parts: The data of its fragments; empty where it is missing.
        missing: Bit ``n``: fragment ``n`` has not arrived.
        header: From its fragment 0.
    """

    __slots__ = ("header", "missing", "parts", "started")

    def __init__(self, fragments: int, now: float) -> None:
        self.started = now
        self.parts: list[bytes] = [b""] * fragments
        self.missing = (1 << fragments) - 1
        self.header = NO_HEADER

    def store(self, fragment: Fragment) -> None:
        """Keep a fragment that was missing."""
        self.parts[fragment.fragment_id] = fragment.data
        self.missing ^= 1 << fragment.fragment_id
        if fragment.fragment_id == 0:
            self.header = fragment.header

    def payload(self) -> bytes:
        """The parts that are there, joined."""
        return b"".join(self.parts)


class Reassembly:
    """The partial packets of an endpoint, by sequence.

    Args:
        limit: Rule 5, in sequences.
        timeout: Rule 5, in seconds; None: never.
    """

    __slots__ = ("_count", "_limit", "_timeout", "partials")

    def __init__(self, limit: int, timeout: float | None) -> None:
        self._limit = limit
        self._timeout = timeout
        self._count = 0
        self.partials: dict[int, Partial] = {}  # in the order in which they were started

    def is_stale(self, sequence: int) -> bool:
        """Whether a packet so old would be given up at once.

        Near half a circle ahead a sequence is newer than all known, and yet older than our oldest; here it counts as
        newer.
        """
        ahead = newer((sequence + 1) & 0xFFFF, self._count & 0xFFFF)
        return not ahead and newer((self._count - self._limit) & 0xFFFF, sequence)

    # --8<-- [start:give-up]
    def advance(self, count: int) -> None:
        """The number after the newest that is known is this one: give up what is now too old."""
        if count - self._count >= self._limit:
            self.partials.clear()
        elif self.partials:  # or there is nothing to look for
            for number in range(self._count, count):
                self.partials.pop((number - self._limit) & 0xFFFF, None)
        self._count = count

    def expire(self, now: float) -> None:
        """Give up what was started too long before ``now``."""
        while self._timeout is not None and self.partials:
            oldest = next(iter(self.partials))
            if now - self.partials[oldest].started < self._timeout:
                return
            del self.partials[oldest]

    # --8<-- [end:give-up]
