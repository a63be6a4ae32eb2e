"""What a packet says about the connection itself, before its messages.

Few packets say any of this, and what is said here concerns the packets' own level: how long an ack was held back, whether
somebody is really there. So it stands before the chunks of `sleepy.udp.delivery.chunks`, in the same manner, and is taken
off before these are read.

Rules:

1. Each part begins with a byte that no chunk of messages begins with. So a packet without any costs nothing.
2. What stands here wants no ack (but `HELLO`), and is not told again when it was lost. Who waits for an answer asks again.
3. Whatever bytes come: what is cut short is a `ProtocolError`.

| first byte | what | then |
|---|---|---|
| 0x03 | ack delay: how long the newest packet acked here had been waiting | u16, in units of 1/65,536 s |
| 0x04 | challenge: send this back | 8 bytes |
| 0x05 | response: here it is | 8 bytes |
| 0x06 | hello (plain mode only): the parameters of who begins here | nonce 8, size u16, parameters |

Source: RFC 9000, sections 19.3 (ACK Delay), 19.17 and 19.18.
"""

from typing import Final, NamedTuple

from sleepy.udp.delivery.chunks import ProtocolError

ACK_DELAY: Final = 0x03
CHALLENGE: Final = 0x04
RESPONSE: Final = 0x05
HELLO: Final = 0x06
NONCE: Final = 8  # bytes
_UNIT: Final = 65536  # of a second
_LONGEST: Final = 0xFFFF


class Hello(NamedTuple):
    """Who begins here: a number drawn at random, and what it says of itself."""

    nonce: bytes
    parameters: bytes


class Preface(NamedTuple):
    """What a packet says about the connection.

    Attributes:
        size: Its bytes; the messages begin there.
        ack_delay: In seconds; 0 if it says nothing.
        challenge: What to send back.
        response: What came back.
        hello: Who begins.
    """

    size: int = 0
    ack_delay: float = 0.0
    challenge: bytes | None = None
    response: bytes | None = None
    hello: Hello | None = None


NO_PREFACE: Final = Preface()


def write_ack_delay(seconds: float) -> bytes:
    """An ack was held back for so long; more than a second counts as a second."""
    return bytes([ACK_DELAY]) + min(int(seconds * _UNIT), _LONGEST).to_bytes(2, "little")


def write_challenge(nonce: bytes) -> bytes:
    """Send this back."""
    return bytes([CHALLENGE]) + nonce


def write_response(nonce: bytes) -> bytes:
    """Here it is."""
    return bytes([RESPONSE]) + nonce


def write_hello(hello: Hello) -> bytes:
    """Who begins here."""
    return bytes([HELLO]) + hello.nonce + len(hello.parameters).to_bytes(2, "little") + hello.parameters


# --8<-- [start:read]
def read_preface(payload: bytes) -> Preface:
    """Read what stands before the messages.

    Raises:
        ProtocolError: It is cut short (rule 3).
    """
    head = payload[0] if payload else 0
    if not ACK_DELAY <= head <= HELLO:  # rule 1: nearly always
        return NO_PREFACE
    at, delay = 0, 0.0
    parts: dict[int, bytes] = {}
    hello: Hello | None = None
    while at < len(payload) and ACK_DELAY <= (head := payload[at]) <= HELLO:
        if head == ACK_DELAY:
            delay = int.from_bytes(_take(payload, at + 1, 2), "little") / _UNIT
            at += 3
            continue
        nonce = _take(payload, at + 1, NONCE)
        at += 1 + NONCE
        if head == HELLO:
            size = int.from_bytes(_take(payload, at, 2), "little")
            hello = Hello(nonce, _take(payload, at + 2, size))
            at += 2 + size
        else:
            parts[head] = nonce
    return Preface(at, delay, parts.get(CHALLENGE), parts.get(RESPONSE), hello)


def _take(payload: bytes, at: int, size: int) -> bytes:
    if at + size > len(payload):
        raise ProtocolError(f"byte {at} of a payload of {len(payload)}: {size} more should follow")
    return payload[at : at + size]


# --8<-- [end:read]
