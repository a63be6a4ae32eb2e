"""What travels: IP packets with a datagram, a segment or an error report inside.

In the simulation a packet is an object, not bytes: nobody has to write a header only for the other side to read it. What
counts is what the headers say and how long they are, for a link's rate and MTU are about bytes. `sleepy.sim.encoding` writes
the very bytes when a capture asks for them.

Rules:

1. A packet's size is that of its bytes on the wire: IP header, transport header with its options, data.
2. A packet that carries data *counts* for a link's drop list: every datagram, and every segment with a payload, resent
   ones too. Handshakes, bare acks and error reports do not.
3. A packet larger than a link's MTU is taken apart in multiples of 8 bytes by whoever is to send it, and put together by
   its destination only, when all parts are there. One part lost is the whole lost. If it says that it must not be taken
   apart it goes no further, and its sender is told (RFC 1191).
4. Sequence numbers are integers without end; the wire shows them modulo 2**32. So the stacks need no wrap-around
   arithmetic, and captures wrap as they should.

Sources: RFC 791 (fragmentation), RFC 768, RFC 792, RFC 9293, RFC 2018 (selective acks), RFC 7323 (window scale).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

IP_HEADER: Final = 20
UDP_HEADER: Final = 8
TCP_HEADER: Final = 20
ICMP_ERROR: Final = 8 + IP_HEADER + 8  # RFC 792: its own header, then the header and 8 bytes of what it is about
TIME_TO_LIVE: Final = 64
ICMP, TCP, UDP = 1, 6, 17  # IP's protocol numbers
WINDOW_SCALE: Final = 7  # RFC 7323: window fields count in units of 128 bytes


@dataclass(slots=True)
class Datagram:
    """A UDP datagram."""

    source_port: int
    destination_port: int
    data: bytes

    @property
    def length(self) -> int:
        """Its bytes on the wire, without the IP header."""
        return UDP_HEADER + len(self.data)

    @property
    def counted(self) -> bool:
        """Whether it counts for drop lists (rule 2)."""
        return True


@dataclass(slots=True)
class Segment:
    """A TCP segment.

    Attributes:
        source_port: Who sent it.
        destination_port: Who is to get it.
        seq: The number of its first byte (rule 4); a SYN and a FIN count as a byte each.
        ack: The number of the byte its sender expects next; `None` if it acknowledges nothing.
        window: How many bytes from ``ack`` its sender has room for.
        data: Its payload.
        syn: It opens the connection.
        fin: Its sender has no more to say.
        rst: The connection is over, or never was.
        mss: On a SYN: the largest payload its sender takes.
        sacks: Ranges beyond ``ack`` that have arrived: first byte, and the one after the last.
    """

    source_port: int
    destination_port: int
    seq: int
    ack: int | None = None
    window: int = 0
    data: bytes = b""
    syn: bool = False
    fin: bool = False
    rst: bool = False
    mss: int | None = None
    sacks: tuple[tuple[int, int], ...] = ()

    @property
    def end(self) -> int:
        """The number after its last."""
        return self.seq + len(self.data) + self.syn + self.fin

    @property
    def length(self) -> int:
        """Its bytes on the wire, without the IP header."""
        options = 12 * (self.mss is not None)  # MSS 4, window scale 3, selective acks permitted 2, and 3 to fill up
        if self.sacks:
            options += 4 + 8 * len(self.sacks)
        return TCP_HEADER + options + len(self.data)

    @property
    def counted(self) -> bool:
        """Whether it counts for drop lists (rule 2)."""
        return bool(self.data)


@dataclass(slots=True)
class Unreachable:
    """An error report (ICMP): nobody listens on the port, there is no way to the host, or none for so large a packet.

    Attributes:
        code: 1: no way to the host; 3: nobody on the port; 4: too large, and must not be taken apart.
        about: The packet that could not be delivered.
        mtu: With code 4: what the link would have taken, in bytes.
    """

    code: int
    about: "Packet"
    mtu: int = 0
    length: int = ICMP_ERROR
    counted: bool = False


@dataclass(slots=True)
class Fragment:
    """A part of a packet that was too large for a link (rule 3).

    Attributes:
        whole: The packet it is a part of.
        start: Where in the packet's payload it begins, in bytes.
        length: How many bytes it carries.
        last: Whether it is the packet's end.
    """

    whole: "Packet"
    start: int
    length: int
    last: bool

    @property
    def counted(self) -> bool:
        """Whether it counts for drop lists (rule 2)."""
        return self.whole.payload.counted


@dataclass(slots=True, eq=False)
class Packet:
    """An IP packet.

    Attributes:
        source: The address it comes from.
        destination: The address it goes to.
        payload: What it carries.
        identification: Its sender's count of packets; the parts of a packet share it.
        time_to_live: How many more hosts may pass it on.
        damaged: Whether a bit was flipped on its way. The destination's checksum will tell.
        dont_fragment: Whether it must not be taken apart (rule 3).
        size: Its bytes on the wire.
    """

    source: str
    destination: str
    payload: Datagram | Segment | Unreachable | Fragment
    identification: int = 0
    time_to_live: int = TIME_TO_LIVE
    damaged: bool = False
    dont_fragment: bool = False
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = IP_HEADER + self.payload.length

    def split(self, mtu: int) -> Iterator["Packet"]:
        """Take the packet apart for a link of that MTU (rule 3)."""
        payload = self.payload
        whole, offset, last = self, 0, True
        if isinstance(payload, Fragment):  # a part may be taken apart again
            whole, offset, last = payload.whole, payload.start, payload.last
        room = (mtu - IP_HEADER) // 8 * 8
        for start in range(0, payload.length, room):
            length = min(room, payload.length - start)
            ends = start + length == payload.length
            part = Fragment(whole, offset + start, length, last and ends)
            yield replace(self, payload=part)


class Reassembly:
    """Puts a packet together again (rule 3)."""

    __slots__ = ("_lengths",)

    def __init__(self) -> None:
        self._lengths: dict[int, int] = {}  # by where the part starts; a copy of a part changes nothing

    def add(self, part: Fragment) -> bool:
        """Take a part; say whether all are there."""
        self._lengths[part.start] = part.length
        return sum(self._lengths.values()) == part.whole.payload.length
