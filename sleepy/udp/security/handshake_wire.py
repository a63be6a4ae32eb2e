"""The datagrams of the handshake.

::

    initiator                                      responder
        | -- HELLO  e, versions, features, padding --> |    remembers nothing
        | <---------------- RETRY  cookie ------------ |    (or TERMS: what it speaks, if that is not what we asked for)
        | -- HELLO  the same, and the cookie --------> |    the address is proved: state begins
        | <---------------- REPLY  e, ee, s, es ------ |
        | -- FINISH  s, se --------------------------> |    now the responder knows who we are, and decides
        | <---------------- VERDICT ------------------ |

Every datagram begins alike, little-endian, so that a node can tell whose it is before it knows more::

    kind u8 | connection id 8 B | version u16 | ...

The connection id is the receiver's, chosen by him (at random, so that only who saw it can use it). Only HELLO has the
sender's, which the answers will carry. After the common 11 bytes:

======= =======================================================================================================
HELLO   group u8 (1: there is a pre-shared key) | features u32 | count u8 | versions u16 each | Noise message 1 |
        cookie 16 B (zeros: none yet) | zeros up to 1200 B
RETRY   cookie 16 B | binding 16 B
TERMS   group u8 | count u8 | versions u16 each | binding 16 B
REPLY   Noise message 2, its payload: responder's connection id 8 B | features u32 | parameters
FINISH  Noise message 3, its payload: parameters
VERDICT code u8 | tag 16 B: a MAC over this datagram and the hash of the FINISH it judges
======= =======================================================================================================

Rules:

1. A HELLO has at least 1200 bytes and every answer is shorter than its question, so nobody is hit by more bytes on our
   account than were sent (RFC 9000, sections 8.1 and 14.1). It also shows that the path carries 1200 bytes.
2. The part of HELLO before Noise message 1 is the prologue, common to all versions: who edits the list of versions, the
   features or the id makes message 2 unreadable. The cookie is not in it: the second HELLO is the first, plus a cookie.
3. RETRY and TERMS come from somebody without keys or memory, so they cannot be authenticated. Their *binding*, a hash
   over them and the HELLO they answer, keeps out what was damaged on the way and whoever did not see that HELLO (RFC
   9001, section 5.8, has it for the same reason).
"""

import struct
from collections.abc import Sequence
from enum import IntEnum
from hashlib import blake2s
from hmac import compare_digest
from typing import Final, NamedTuple

from sleepy.udp.security.cookie import COOKIE
from sleepy.udp.security.noise import KEY, TAG

MIN_HELLO: Final = 1200
CONNECTION_ID: Final = 8
MAX_VERSIONS: Final = 32
NO_COOKIE: Final = bytes(COOKIE)

HEADER: Final = struct.Struct("<B8sH")
_HELLO: Final = struct.Struct("<B8sHBIB")
_TERMS: Final = struct.Struct("<B8sHBB")
REPLY_PAYLOAD: Final = struct.Struct("<8sI")


class Kind(IntEnum):
    """The first byte of a handshake datagram."""

    HELLO = 1
    RETRY = 2
    TERMS = 3
    REPLY = 4
    FINISH = 5
    VERDICT = 6


class Code(IntEnum):
    """What a VERDICT says."""

    WELCOME = 0
    REFUSED = 1
    WRONG_PRE_SHARED_KEY = 2


class Hello(NamedTuple):
    """A HELLO.

    Attributes:
        connection_id: By which the initiator wants to be addressed.
        version: In which it is meant to go on.
        versions: All that the initiator speaks.
        group: Whether it has a pre-shared key.
        features: The bits it offers.
        message: Noise message 1.
        cookie: Which proves the address; zeros if there is none yet.
    """

    connection_id: bytes
    version: int
    versions: tuple[int, ...]
    group: bool
    features: int
    message: bytes
    cookie: bytes = NO_COOKIE

    @property
    def prologue(self) -> bytes:
        """What Noise authenticates of it (rule 2)."""
        count = len(self.versions)
        fields = (Kind.HELLO, self.connection_id, self.version, self.group, self.features, count)
        return _HELLO.pack(*fields) + struct.pack(f"<{count}H", *self.versions)

    @property
    def digest(self) -> bytes:
        """Names this HELLO, with or without a cookie: for the cookie and for the binding; 16 bytes."""
        return digest(self.prologue + self.message)

    @property
    def ephemeral(self) -> bytes:
        """The initiator's ephemeral public key, with which message 1 begins."""
        return self.message[:KEY]

    def encode(self) -> bytes:
        """The datagram."""
        return (self.prologue + self.message + self.cookie).ljust(MIN_HELLO, b"\0")

    @classmethod
    def decode(cls, datagram: bytes) -> "Hello | None":
        """Read a HELLO; None if it is none, or shorter than rule 1 demands."""
        if len(datagram) < MIN_HELLO:
            return None
        kind, connection_id, version, group, features, count = _HELLO.unpack_from(datagram)
        if kind != Kind.HELLO or group > 1 or not 0 < count <= MAX_VERSIONS:
            return None
        versions = struct.unpack_from(f"<{count}H", datagram, _HELLO.size)
        start = _HELLO.size + 2 * count
        end = start + message_1_size(bool(group))
        return cls(
            connection_id, version, versions, bool(group), features, datagram[start:end], datagram[end : end + COOKIE]
        )


def message_1_size(group: bool) -> int:
    """Bytes of Noise message 1 without payload: the ephemeral key, and with a pre-shared key a tag."""
    return KEY + TAG if group else KEY


def digest(data: bytes) -> bytes:
    """16 bytes that name ``data``: nobody finds other data with the same."""
    return blake2s(data, digest_size=16).digest()


def encode_retry(hello: Hello, cookie: bytes) -> bytes:
    """A RETRY in answer to ``hello``."""
    return _bind(hello, HEADER.pack(Kind.RETRY, hello.connection_id, hello.version) + cookie)


def decode_retry(hello: Hello, datagram: bytes) -> bytes | None:
    """The cookie in a RETRY; None if it does not answer ``hello``."""
    body = _bound(hello, datagram)
    return body[HEADER.size :] if body is not None and len(body) == HEADER.size + COOKIE else None


def encode_terms(hello: Hello, group: bool, versions: Sequence[int]) -> bytes:
    """A TERMS in answer to ``hello``: what the responder asks for."""
    count = len(versions)
    body = _TERMS.pack(Kind.TERMS, hello.connection_id, hello.version, group, count)
    return _bind(hello, body + struct.pack(f"<{count}H", *versions))


def decode_terms(hello: Hello, datagram: bytes) -> tuple[bool, tuple[int, ...]] | None:
    """Whether the responder has a pre-shared key, and its versions; None if the TERMS do not answer ``hello``."""
    body = _bound(hello, datagram)
    if body is None or len(body) < _TERMS.size:
        return None
    *_, group, count = _TERMS.unpack_from(body)
    if len(body) != _TERMS.size + 2 * count:
        return None
    return bool(group), struct.unpack_from(f"<{count}H", body, _TERMS.size)


def encode_verdict(connection_id: bytes, version: int, code: Code, key: bytes, finish: bytes) -> bytes:
    """A VERDICT on the datagram ``finish``, under a key that both sides have."""
    body = HEADER.pack(Kind.VERDICT, connection_id, version) + bytes([code])
    return body + blake2s(body + digest(finish), key=key, digest_size=TAG).digest()


def verdict_code(datagram: bytes) -> Code | None:
    """What a VERDICT claims to say; None if it is none."""
    if len(datagram) != HEADER.size + 1 + TAG or datagram[HEADER.size] > max(Code):
        return None
    return Code(datagram[HEADER.size])


def _bind(hello: Hello, body: bytes) -> bytes:
    return body + digest(hello.digest + body)


def _bound(hello: Hello, datagram: bytes) -> bytes | None:
    """The datagram without its binding, if that is right (rule 3)."""
    body, binding = datagram[:-16], datagram[-16:]
    return body if compare_digest(digest(hello.digest + body), binding) else None
