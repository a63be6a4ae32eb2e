"""What a packet's payload looks like: chunks, one after the other.

A message is not a packet. Many small messages fit in one packet, a large one needs many, and besides there are small
things that two peers tell each other about the messages. So a payload is a sequence of *chunks*, each of which says
what it is, for which channel, and how long. Whoever reads it must believe nothing: a payload is read as a whole
before any of it has effect.

Rules:

1. A chunk's first byte has its kind in the upper four bits, and its channel (0..15) or a detail in the lower four.
2. All numbers are little-endian. A *varint* has seven bits per byte, the lowest first; the top bit says that more
   follow. Only the shortest form is right, of at most six bytes.
3. Messages have ids of 24 bits, which wrap. An id must not be mistaken for one of 2**24 messages ago, and it is not:
   a packet has at most 65,535 bytes and a message takes one at least, so the 256 packets that an endpoint remembers
   hold fewer than 2**24. What is older, the endpoint refuses (its own rule 2).
4. A message alone costs five bytes; a *run* of messages with ids in a row costs six bytes, and one more for each
   (messages of 128 bytes and more: two). Most messages travel in runs.
5. What is larger than `LARGEST_WHOLE` is cut. Cuts are made at multiples of `UNIT` bytes, so that nobody can make us
   remember odd little pieces without bound; only the end may lie between.
6. Each chunk has one right form. What is not in it, or has no kind, or ends too early, is a `ProtocolError`, and
   nothing else.

| kind | what | after the first byte |
|---|---|---|
| 0 | control: 0 padding | zeros to the end of the payload |
| 0 | control: 1 ping | nothing |
| 0 | control: 2 close | code varint, size varint, reason in UTF-8 |
| 0 | control: 3 to 6 | stand before all these: see `sleepy.udp.connections.preface` |
| 1 | one message | id 3, size varint, bytes |
| 2 | run of messages | first id 3, count 1 (2..255), then for each size varint, bytes |
| 3 | slice of a message | id 3, total size varint, offset in units varint, size varint, bytes |
| 4 | message given up | id 3, size varint |
| 5 | credit | id 3, position 4: see `sleepy.udp.delivery.channels.reliable_sender` |
| 8 | block: 0 open | block varint, size + 1 varint (0: not known), size varint, label |
| 8 | block: 1 data | block varint, offset in units varint, size varint, bytes |
| 8 | block: 2 end | block varint, total size varint |
| 8 | block: 3 cancel | block varint, code varint, size varint, reason in UTF-8 |
| 8 | block: 4 stop | the same, from the receiver; code 0: all was taken |
| 8 | block: 5 credit | block varint, limit in units varint |

Source: the frames of QUIC (RFC 9000, section 12.4) and yojimbo's message packets, with other details.
"""

from typing import Final, NamedTuple, TypeAlias, final

from sleepy.errors import SleepyError

CHANNELS: Final = 16
ID_MASK: Final = 0xFFFFFF
HALF_IDS: Final = 0x800000
UNIT: Final = 32  # bytes
LARGEST_WHOLE: Final = 1024  # bytes; with its header it fits into any packet
MIN_ROOM: Final = LARGEST_WHOLE + 64  # bytes that a packet must offer
MAX_VARINT: Final = (1 << 42) - 1
MAX_TEXT: Final = 255  # bytes of a reason or label
MAX_RUN: Final = 255

CONTROL: Final = 0x00
ONE: Final = 0x10
RUN: Final = 0x20
SLICE: Final = 0x30
SKIP: Final = 0x40
CREDIT: Final = 0x50
BLOCK: Final = 0x80

PAD: Final = CONTROL | 0
PING: Final = CONTROL | 1
CLOSE: Final = CONTROL | 2
BLOCK_OPEN: Final = BLOCK | 0
BLOCK_DATA: Final = BLOCK | 1
BLOCK_END: Final = BLOCK | 2
BLOCK_CANCEL: Final = BLOCK | 3
BLOCK_STOP: Final = BLOCK | 4
BLOCK_CREDIT: Final = BLOCK | 5


class ProtocolError(SleepyError):
    """The peer sent what no peer that follows the rules can send; the connection should be closed."""


# --8<-- [start:varint]
def write_varint(number: int) -> bytes:
    """A number, 0..`MAX_VARINT`, in its shortest form (rule 2)."""
    if number < 0x80:
        return SHORT[number]
    if number > MAX_VARINT:
        raise ValueError(f"{number} does not fit in a varint; the largest is {MAX_VARINT}")
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


# --8<-- [end:varint]

SHORT: Final = tuple(bytes([number]) for number in range(0x80))


@final
class Run:  # noqa: PLW1641  # it holds a list, and has no hash
    """Messages with ids in a row; also a single one.

    Nearly every packet has one. So it is a class with slots, which mypyc makes a quarter as dear as a named tuple.

    Attributes:
        channel: Which channel.
        first: The first id; on the wire the low 24 bits.
        messages: The messages.
    """

    __slots__ = ("channel", "first", "messages")

    def __init__(self, channel: int, first: int, messages: list[bytes]) -> None:
        self.channel = channel
        self.first = first
        self.messages = messages

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Run):
            return NotImplemented
        return self.channel == other.channel and self.first == other.first and self.messages == other.messages

    def __repr__(self) -> str:
        return f"Run({self.channel}, {self.first}, {self.messages!r})"

    def encode(self) -> bytes:
        """The chunk's bytes."""
        parts = [run_header(self.channel, self.first, len(self.messages))]
        for message in self.messages:
            parts += (write_varint(len(message)), message)
        return b"".join(parts)


class Slice(NamedTuple):
    """A part of a large message."""

    channel: int
    id: int
    total: int
    unit: int
    data: bytes

    def encode(self) -> bytes:
        """The chunk's bytes."""
        head = bytes([SLICE | self.channel]) + (self.id & ID_MASK).to_bytes(3, "little") + write_varint(self.total)
        return head + write_varint(self.unit) + write_varint(len(self.data)) + self.data


class Skip(NamedTuple):
    """A message that will not come; its sender had counted ``size`` bytes of it against the receiver's credit."""

    channel: int
    id: int
    size: int

    def encode(self) -> bytes:
        """The chunk's bytes."""
        return bytes([SKIP | self.channel]) + (self.id & ID_MASK).to_bytes(3, "little") + write_varint(self.size)


class Credit(NamedTuple):
    """Messages with ids before ``id`` may be sent, up to ``position`` bytes of them all, modulo 2**24 and 2**32."""

    channel: int
    id: int
    position: int

    def encode(self) -> bytes:
        """The chunk's bytes."""
        numbers = (self.id & ID_MASK) | (self.position & 0xFFFFFFFF) << 24
        return bytes([CREDIT | self.channel]) + numbers.to_bytes(7, "little")


class Pad(NamedTuple):
    """Zeros to the end of the payload."""

    size: int

    def encode(self) -> bytes:
        """The chunk's bytes."""
        return bytes(self.size)


class Ping(NamedTuple):
    """Nothing, but it wants an ack."""

    def encode(self) -> bytes:
        """The chunk's bytes."""
        return bytes([PING])


class Close(NamedTuple):
    """The peer leaves."""

    code: int
    reason: str

    def encode(self) -> bytes:
        """The chunk's bytes."""
        return bytes([CLOSE]) + write_varint(self.code) + write_text(self.reason)


class BlockOpen(NamedTuple):
    """A block begins; ``size`` is None if its sender does not know it yet."""

    block: int
    size: int | None
    label: bytes

    def encode(self) -> bytes:
        """The chunk's bytes."""
        size = 0 if self.size is None else self.size + 1
        head = bytes([BLOCK_OPEN]) + write_varint(self.block) + write_varint(size)
        return head + write_varint(len(self.label)) + self.label


class BlockData(NamedTuple):
    """A part of a block."""

    block: int
    unit: int
    data: bytes

    def encode(self) -> bytes:
        """The chunk's bytes."""
        head = bytes([BLOCK_DATA]) + write_varint(self.block) + write_varint(self.unit)
        return head + write_varint(len(self.data)) + self.data


class BlockEnd(NamedTuple):
    """How many bytes a block has."""

    block: int
    size: int

    def encode(self) -> bytes:
        """The chunk's bytes."""
        return bytes([BLOCK_END]) + write_varint(self.block) + write_varint(self.size)


class BlockCancel(NamedTuple):
    """The sender gives the block up."""

    block: int
    code: int
    reason: str

    def encode(self) -> bytes:
        """The chunk's bytes."""
        return bytes([BLOCK_CANCEL]) + write_varint(self.block) + write_varint(self.code) + write_text(self.reason)


class BlockStop(NamedTuple):
    """The receiver wants no more of the block: code 0, because it has all; another, because it gave it up."""

    block: int
    code: int
    reason: str

    def encode(self) -> bytes:
        """The chunk's bytes."""
        return bytes([BLOCK_STOP]) + write_varint(self.block) + write_varint(self.code) + write_text(self.reason)


class BlockCredit(NamedTuple):
    """Units before ``limit`` may be sent."""

    block: int
    limit: int

    def encode(self) -> bytes:
        """The chunk's bytes."""
        return bytes([BLOCK_CREDIT]) + write_varint(self.block) + write_varint(self.limit)


BlockChunk: TypeAlias = BlockOpen | BlockData | BlockEnd | BlockCancel | BlockStop | BlockCredit
ChannelChunk: TypeAlias = Run | Slice | Skip | Credit
Chunk: TypeAlias = ChannelChunk | BlockChunk | Pad | Ping | Close


def run_header(channel: int, first: int, count: int) -> bytes:
    """What comes before the messages of a run, or before a single one (rule 4)."""
    if count == 1:
        return (ONE | channel | (first & ID_MASK) << 8).to_bytes(4, "little")
    return (RUN | channel | (first & ID_MASK) << 8 | count << 32).to_bytes(5, "little")


def write_text(text: str) -> bytes:
    """A reason, cut to `MAX_TEXT` bytes of UTF-8."""
    encoded = text.encode(errors="replace")[:MAX_TEXT].decode(errors="ignore").encode()
    return write_varint(len(encoded)) + encoded
