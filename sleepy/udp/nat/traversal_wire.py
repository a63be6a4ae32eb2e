"""The datagrams by which peers behind NATs find each other.

Like all datagrams of a node they begin with a kind. What a client asks of the rendezvous server, and what it is told, is
sealed (`sleepy.udp.security.sealing`) between their two keys; probes are sealed between the two peers, and the server
cannot read or make them::

    REQUEST  kind 7  | client's key 32 B | cookie 16 B (zeros: none yet) | sealed, 256 B in all     client -> server
    COOKIE   kind 8  | cookie 16 B | binding 16 B                                                   server -> client
    NOTICE   kind 9  | sealed                                                                       server -> client
    PROBE    kind 10 | conversation 8 B | sealed: answer u8, number u32                             peer <-> peer
    RELAYED  kind 11 | token 8 B | a datagram of any kind                                           peer <-> relay
    BIND     kind 12 | token 8 B | cookie 16 B (zeros: none yet) | zeros, 64 B in all               peer -> relay
    BOUND    kind 13 | token 8 B                                                                    relay -> peer

Numbers are little-endian. An address is 18 bytes: an IPv6 address, or an IPv4 address mapped into one (RFC 4291, section
2.5.5.2), and the port.

Rules:

1. REQUEST and BIND are padded, so every answer is shorter than its question, and so is what a REQUEST makes the server
   send to somebody else.
2. The cookie is readable, since it is looked at before anything else, and authenticated with what is sealed. A copy of a
   REQUEST therefore works nowhere but from the address that its cookie is for.
3. COOKIE comes from somebody without memory, so it cannot be sealed. Its *binding*, a hash over it and the question that
   it answers, keeps out whoever did not see the question (as RETRY's in `sleepy.udp.security.handshake_wire`).
4. Whatever cannot be read is None, never an error.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum
from hashlib import blake2s
from hmac import compare_digest
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

from sleepy.udp.address import Address
from sleepy.udp.security.cookie import COOKIE
from sleepy.udp.security.noise import KEY
from sleepy.udp.security.sealing import SEAL, Sealer

REQUEST_SIZE: Final = 256
BIND_SIZE: Final = 64
CONVERSATION: Final = 8
TOKEN: Final = 8
ADDRESS: Final = 18
MAX_INSIDE: Final = 4  # addresses
MAX_BODY: Final = 40  # bytes of a message: the largest is a key
NO_COOKIE: Final = bytes(COOKIE)
NO_ADDRESS: Final = bytes(ADDRESS)

_HEAD: Final = 1 + KEY + COOKIE  # bytes of a REQUEST before the seal
_TEXT: Final = REQUEST_SIZE - _HEAD - SEAL
_BINDING: Final = 16
_REGISTER: Final = struct.Struct("<BIB")
_REGISTERED: Final = struct.Struct("<BIH18s16s")
_TOLD: Final = struct.Struct("<B32s18sB")
_MESSAGE: Final = struct.Struct("<B8sB")
_ABSENT: Final = struct.Struct("<B32s8s")
_FULL: Final = struct.Struct("<BI")
_PROBE: Final = struct.Struct("<BI")


class Kind(IntEnum):
    """The first byte of a datagram."""

    REQUEST = 7
    COOKIE = 8
    NOTICE = 9
    PROBE = 10
    RELAYED = 11
    BIND = 12
    BOUND = 13


class Code(IntEnum):
    """What one peer has the server tell another.

    Attributes:
        WANT: I want to reach you.
        AGREE: Let us try.
        REFUSE: I do not want to be reached, or I do not relay for you.
        LEND: Will you relay between me and the peer whose key is the body?
        LENT: Yes; the body has a token for each of you.
        VIA: Let us also try by way of a relay; the body has its address and your token.
    """

    WANT = 1
    AGREE = 2
    REFUSE = 3
    LEND = 4
    LENT = 5
    VIA = 6


class Message(NamedTuple):
    """What is told.

    Attributes:
        code: What it is about.
        conversation: Which attempt of two peers to meet it belongs to: 8 bytes, drawn by who began.
        body: What belongs to the code; at most 40 bytes.
    """

    code: Code
    conversation: bytes
    body: bytes = b""


class Register(NamedTuple):
    """A client's request to be found.

    Attributes:
        number: Which will be in the answer, so that no copy of an old one is taken for it.
        inside: Where the client is seen by its neighbours behind the same NAT.
    """

    number: int
    inside: tuple[Address, ...]


class Tell(NamedTuple):
    """A client's request to tell another peer something.

    Attributes:
        to: The other peer's public key.
        message: What.
    """

    to: bytes
    message: Message


class Registered(NamedTuple):
    """The server's answer: the client can be found.

    Attributes:
        number: The request's.
        lease: For how long, in seconds.
        outside: Where the server sees the client.
        cookie: For the next request.
    """

    number: int
    lease: int
    outside: Address
    cookie: bytes


class Told(NamedTuple):
    """Another peer's message.

    Attributes:
        sender: Who said so, by public key.
        outside: Where the server sees him; None: he is the server, or does not want to be found.
        inside: Where his neighbours see him; empty for who is not one of them.
        message: What he said.
    """

    sender: bytes
    outside: Address | None
    inside: tuple[Address, ...]
    message: Message


class Absent(NamedTuple):
    """The server does not know the peer that a message was for.

    Attributes:
        to: That peer's public key.
        conversation: The message's.
    """

    to: bytes
    conversation: bytes


class Full(NamedTuple):
    """The server has no room for one more client.

    Attributes:
        number: The request's.
    """

    number: int


class Probe(NamedTuple):
    """A knock, or the answer to one.

    Attributes:
        answer: Whether it is an answer.
        number: The knock's.
    """

    answer: bool
    number: int


# ---------------------------------------------------------------------- parts


def pack_address(address: Address) -> bytes:
    """An address in 18 bytes.

    Raises:
        ValueError: The host is no IP address.
    """
    host, port = ip_address(address[0]), address[1]
    packed = host.packed if isinstance(host, IPv6Address) else b"\0" * 10 + b"\xff\xff" + host.packed
    return packed + struct.pack("<H", port)


def unpack_address(data: bytes) -> Address:
    """The address in 18 bytes."""
    host = IPv6Address(data[:16])
    return str(host.ipv4_mapped or host), struct.unpack_from("<H", data, 16)[0]


def _pack_all(addresses: Sequence[Address]) -> bytes:
    return b"".join(map(pack_address, addresses))


def _unpack_all(data: bytes, start: int, count: int) -> tuple[Address, ...]:
    return tuple(unpack_address(data[at : at + ADDRESS]) for at in range(start, start + count * ADDRESS, ADDRESS))


def _pack_message(message: Message) -> bytes:
    return _MESSAGE.pack(message.code, message.conversation, len(message.body)) + message.body


def _unpack_message(data: bytes, start: int) -> Message | None:
    if len(data) < start + _MESSAGE.size:
        return None
    code, conversation, size = _MESSAGE.unpack_from(data, start)
    body = data[start + _MESSAGE.size :][:size]
    if not min(Code) <= code <= max(Code) or len(body) != size or size > MAX_BODY:
        return None
    return Message(Code(code), conversation, body)


# ---------------------------------------------------------------------- client to server


def encode_request(key: bytes, sealer: Sealer, request: Register | Tell, cookie: bytes = NO_COOKIE) -> bytes:
    """A REQUEST."""
    if isinstance(request, Register):
        text = _REGISTER.pack(1, request.number, len(request.inside)) + _pack_all(request.inside)
    else:
        text = b"\2" + request.to + _pack_message(request.message)
    return sealer.seal(bytes([Kind.REQUEST]) + key + cookie, text.ljust(_TEXT, b"\0"))


def request_parts(datagram: bytes) -> tuple[bytes, bytes] | None:
    """The key and the cookie of a REQUEST; None if it has not the size of one."""
    if len(datagram) != REQUEST_SIZE:
        return None
    return datagram[1 : 1 + KEY], datagram[1 + KEY : _HEAD]


def decode_request(sealer: Sealer, datagram: bytes) -> Register | Tell | None:
    """What a REQUEST of the right size asks for."""
    text = sealer.open(datagram[:_HEAD], datagram[_HEAD:])
    if text is None:
        return None
    if text[0] == 1:
        _, number, count = _REGISTER.unpack_from(text)
        return Register(number, _unpack_all(text, _REGISTER.size, count)) if count <= MAX_INSIDE else None
    message = _unpack_message(text, 1 + KEY)
    return Tell(text[1 : 1 + KEY], message) if text[0] == 2 and message is not None else None


# ---------------------------------------------------------------------- cookies


def encode_cookie(question: bytes, cookie: bytes) -> bytes:
    """A COOKIE in answer to a REQUEST or BIND."""
    return bytes([Kind.COOKIE]) + cookie + _binding(question, cookie)


def decode_cookie(question: bytes, datagram: bytes) -> bytes | None:
    """The cookie, if the COOKIE answers this question (rule 3)."""
    cookie = datagram[1 : 1 + COOKIE]
    return cookie if compare_digest(datagram[1 + COOKIE :], _binding(question, cookie)) else None


def _binding(question: bytes, cookie: bytes) -> bytes:
    return blake2s(question + cookie, digest_size=_BINDING).digest()


# ---------------------------------------------------------------------- server to client

Notice = Registered | Told | Absent | Full


def encode_notice(sealer: Sealer, notice: Notice) -> bytes:
    """A NOTICE."""
    match notice:
        case Registered(number, lease, outside, cookie):
            text = _REGISTERED.pack(1, number, lease, pack_address(outside), cookie)
        case Told(sender, outside, inside, message):
            where = NO_ADDRESS if outside is None else pack_address(outside)
            text = _TOLD.pack(2, sender, where, len(inside)) + _pack_all(inside) + _pack_message(message)
        case Absent(to, conversation):
            text = _ABSENT.pack(3, to, conversation)
        case Full(number):
            text = _FULL.pack(4, number)
    return sealer.seal(bytes([Kind.NOTICE]), text)


def decode_notice(sealer: Sealer, datagram: bytes) -> Notice | None:
    """What a NOTICE says."""
    text = sealer.open(datagram[:1], datagram[1:])
    if not text:
        return None
    match text[0], len(text):
        case 1, _REGISTERED.size:
            _, number, lease, outside, cookie = _REGISTERED.unpack(text)
            return Registered(number, lease, unpack_address(outside), cookie)
        case 2, size if size >= _TOLD.size:
            return _decode_told(text)
        case 3, _ABSENT.size:
            return Absent(*_ABSENT.unpack(text)[1:])
        case 4, _FULL.size:
            return Full(*_FULL.unpack(text)[1:])
        case _:
            return None


def _decode_told(text: bytes) -> Told | None:
    _, sender, where, count = _TOLD.unpack_from(text)
    message = _unpack_message(text, _TOLD.size + count * ADDRESS)
    if message is None or count > MAX_INSIDE:
        return None
    outside = None if where == NO_ADDRESS else unpack_address(where)
    return Told(sender, outside, _unpack_all(text, _TOLD.size, count), message)


# ---------------------------------------------------------------------- probes and the relay


def encode_probe(conversation: bytes, sealer: Sealer, probe: Probe) -> bytes:
    """A PROBE; knock and answer are of one size."""
    return sealer.seal(bytes([Kind.PROBE]) + conversation, _PROBE.pack(*probe))


def decode_probe(sealer: Sealer, datagram: bytes) -> Probe | None:
    """What a PROBE of this conversation says."""
    head = datagram[: 1 + CONVERSATION]
    text = sealer.open(head, datagram[len(head) :])
    if text is None or len(text) != _PROBE.size:
        return None
    answer, number = _PROBE.unpack(text)
    return Probe(bool(answer), number)


def encode_bind(token: bytes, cookie: bytes = NO_COOKIE) -> bytes:
    """A BIND."""
    return (bytes([Kind.BIND]) + token + cookie).ljust(BIND_SIZE, b"\0")


def bind_cookie(datagram: bytes) -> bytes:
    """The cookie of a BIND."""
    return datagram[1 + TOKEN : 1 + TOKEN + COOKIE]


def encode_bound(token: bytes) -> bytes:
    """A BOUND."""
    return bytes([Kind.BOUND]) + token


def encode_relayed(token: bytes, datagram: bytes) -> bytes:
    """A datagram for the peer at the other end of a relay."""
    return bytes([Kind.RELAYED]) + token + datagram


def after_kind(datagram: bytes) -> bytes:
    """The token or conversation that follows the kind in PROBE, RELAYED, BIND and BOUND; shorter if the datagram is."""
    return datagram[1 : 1 + TOKEN]
