"""What stands before the payload: the packet header and the fragment header.

Every packet carries its own sequence and, for the other direction, an acknowledgement: the newest sequence known, and
32 bits for it and the 31 before. So each packet that arrives is acked by up to 32 packets of ours, and all of them
would have to get lost for its ack to get lost. That would cost 9 bytes per packet. But on a good link the header says
the same thing again and again: "everything arrived, just now". So what is usual is left out:

Packet header, 4 to 9 bytes, little-endian:

====== =============================================================================================================
bytes  meaning
====== =============================================================================================================
1      prefix: bit 0 is 0; bits 1 to 4: byte 0 to 3 of the ack bits is present; bit 5: the ack is short; bits 6, 7: 0
2      sequence
1, 2   the ack: if short, ``sequence - ack`` modulo 65,536, which is at most 255; else the ack itself
0 to 4 those bytes of the ack bits that are not 0xFF, low byte first
====== =============================================================================================================

Bit ``n`` of the ack bits stands for sequence ``ack - n``: bit 0 is the ack itself. It is 0 when the newest sequence is
known but has not arrived as a whole (a fragmented packet), and in the very first header, whose ack is 65,535.

Fragment header, 5 bytes: ``01``, sequence (2), fragment id (1), number of fragments - 1 (1). In fragment 0 the packet
header follows, then in each its part of the payload.

A header has one canonical form, which is the one we write. Three deviations are understood by every reader and say the
same: reserved bits 6 and 7 set, an ack bits byte present though it is 0xFF, and a long ack though a short one would
do. In fragment 0 none of them is accepted, since C peers encode that header anew when they put the packet together.

Source: reliable 1.4.0, whose bytes these are.
"""

from typing import Final, NamedTuple, Self

from sleepy.errors import SleepyError

FRAGMENT: Final = 0x01
SHORT_ACK: Final = 0x20
ALL_ACKED: Final = 0xFFFFFFFF

MAX_PACKET_HEADER: Final = 9
FRAGMENT_HEADER: Final = 5

Header = tuple[int, int, int, int]
"""Sequence, ack, ack bits, and the size of the header in bytes; the size is 0 if there is no header."""

NO_HEADER: Final[Header] = (0, 0, 0, 0)

# Ready-made bytes: of these and a payload a packet is made at once, without a number and a header on the way.
BYTE: Final = [bytes([value]) for value in range(256)]
USUAL: Final = [bytes([SHORT_ACK, value]) for value in range(256)]  # so begin the headers of a good link


class InvalidHeader(SleepyError, ValueError):
    """These bytes do not begin with the header that was asked for; the message says why."""


# --8<-- [start:write]
def write_header(sequence: int, ack: int, ack_bits: int, payload: bytes = b"") -> bytes:
    """The canonical packet header and the payload. Nothing is checked; see `PacketHeader.encode` for that."""
    difference = (sequence - ack) & 0xFFFF
    if ack_bits == ALL_ACKED and difference <= 255:  # a good link: four bytes
        return b"%b%b%b%b" % (USUAL[sequence & 0xFF], BYTE[sequence >> 8], BYTE[difference], payload)
    if difference <= 255:
        header = difference << 24 | sequence << 8 | SHORT_ACK
        size = 4
    else:
        header = ack << 24 | sequence << 8
        size = 5
    for index in range(4):
        byte = ack_bits >> 8 * index & 0xFF
        if byte != 0xFF:
            header |= 0x02 << index | byte << 8 * size
            size += 1
    return header.to_bytes(size, "little") + payload


# --8<-- [end:write]


# --8<-- [start:read]
def read_header(data: bytes) -> Header:
    """Read the packet header with which ``data`` begins; `NO_HEADER` if it is none, or not all of it."""
    size = len(data)
    if size < 4:
        return NO_HEADER
    prefix = data[0]
    sequence = data[1] | data[2] << 8
    if prefix == SHORT_ACK:  # a good link: four bytes
        return sequence, (sequence - data[3]) & 0xFFFF, ALL_ACKED, 4
    if prefix & FRAGMENT:
        return NO_HEADER
    if prefix & SHORT_ACK:
        ack = (sequence - data[3]) & 0xFFFF
        at = 4
    elif size > 4:
        ack = data[3] | data[4] << 8
        at = 5
    else:
        return NO_HEADER
    ack_bits = ALL_ACKED
    for index in range(4):
        if prefix & 0x02 << index:
            if at == size:
                return NO_HEADER
            ack_bits ^= (data[at] ^ 0xFF) << 8 * index
            at += 1
    return sequence, ack, ack_bits, at


# --8<-- [end:read]


def write_fragment_header(sequence: int, fragment_id: int, fragments: int) -> bytes:
    """The header of one of so many fragments. Nothing is checked; see `FragmentHeader.encode` for that."""
    return (fragments - 1 << 32 | fragment_id << 24 | sequence << 8 | FRAGMENT).to_bytes(FRAGMENT_HEADER, "little")


def read_fragment_header(data: bytes) -> tuple[int, int, int]:
    """Sequence, fragment id and number of fragments, which is 0 if this is no such header, or the id is none of them."""
    if len(data) < FRAGMENT_HEADER or data[0] != FRAGMENT or data[3] > data[4]:
        return 0, 0, 0
    return data[1] | data[2] << 8, data[3], data[4] + 1


class PacketHeader(NamedTuple):
    """A packet's header.

    Attributes:
        sequence: The packet's number, 0..65535.
        ack: The newest sequence known from the other side; 65,535 before the first.
        ack_bits: Bit ``n``: sequence ``ack - n`` has arrived.
    """

    sequence: int
    ack: int
    ack_bits: int

    def encode(self) -> bytes:
        """The canonical bytes, 4 to 9 of them.

        Raises:
            ValueError: A field is out of its range.
        """
        if not (0 <= self.sequence <= 0xFFFF and 0 <= self.ack <= 0xFFFF and 0 <= self.ack_bits <= ALL_ACKED):
            raise ValueError(f"{self} does not fit: sequence and ack have 16 bits, ack_bits has 32")
        return write_header(self.sequence, self.ack, self.ack_bits)

    @classmethod
    def decode(cls, data: bytes) -> tuple[Self, int]:
        """The header at the beginning of ``data``, and its size in bytes.

        Raises:
            InvalidHeader: These bytes begin with no packet header.
        """
        sequence, ack, ack_bits, size = read_header(data)
        if not size:
            raise InvalidHeader(f"no packet header: {data[:MAX_PACKET_HEADER].hex() or 'no bytes at all'}")
        return cls(sequence, ack, ack_bits), size


class FragmentHeader(NamedTuple):
    """A fragment's header.

    Attributes:
        sequence: The number of the packet, 0..65535.
        fragment_id: Which of its fragments this is, from 0.
        fragments: How many there are, 1..256.
    """

    sequence: int
    fragment_id: int
    fragments: int

    def encode(self) -> bytes:
        """The five bytes.

        Raises:
            ValueError: A field is out of its range.
        """
        if not (0 <= self.sequence <= 0xFFFF and 0 <= self.fragment_id < self.fragments <= 256):
            raise ValueError(f"{self} does not fit: sequence has 16 bits, fragment_id < fragments <= 256")
        return write_fragment_header(self.sequence, self.fragment_id, self.fragments)

    @classmethod
    def decode(cls, data: bytes) -> tuple[Self, int]:
        """The header at the beginning of ``data``, and its size in bytes.

        Raises:
            InvalidHeader: These bytes begin with no fragment header.
        """
        sequence, fragment_id, fragments = read_fragment_header(data)
        if not fragments:
            raise InvalidHeader(f"no fragment header: {data[:FRAGMENT_HEADER].hex() or 'no bytes at all'}")
        return cls(sequence, fragment_id, fragments), FRAGMENT_HEADER
