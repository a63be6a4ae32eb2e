"""What two peers bring to a handshake, and what it leaves them: a session, or the reason why there is none.

How they get from one to the other is in `sleepy.udp.security.handshake`.
"""

from dataclasses import dataclass, field
from os import urandom
from types import NoneType
from typing import Final

from sleepy.errors import SleepyError
from sleepy.udp.kinds import check_kind
from sleepy.udp.security.handshake_wire import MAX_VERSIONS
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.noise import KEY, HandshakeState, RandomBytes

VERSION: Final = 1
MAX_PARAMETERS: Final = 512  # bytes: REPLY must stay shorter than HELLO


class HandshakeError(SleepyError):
    """Two peers did not come together; the subclass says why."""


class Refused(HandshakeError, ConnectionRefusedError):
    """The peer knows who we are and does not want us: its ``accept`` said no."""


class WrongKey(HandshakeError):
    """Somebody else is at this address: not the peer whose key was expected."""


class WrongPreSharedKey(HandshakeError):
    """We and the peer are not in the same group: one has a pre-shared key and the other none, or another one."""


class VersionMismatch(HandshakeError):
    """We and the peer speak no common version of the protocol."""


class HandshakeTimeout(HandshakeError, TimeoutError):
    """The peer did not answer in time; the message says how far we came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeConfig:
    """What a peer brings to every handshake, in either role.

    Attributes:
        identity: Who we are.
        psk: The pre-shared key of a closed group, 32 bytes; None for an open one.
        versions: The versions of the protocol that we speak; higher is better.
        features: Bits of what we can do beyond the version; what both have is used.
        parameters: Up to 512 bytes for the peer: what the layer above must know to begin.
        random_bytes: Where keys and connection ids come from; a test's seed makes everything the same again.

    Raises:
        TypeError: The identity or the key is of another kind.
        ValueError: Something of this is out of range.
    """

    identity: Identity
    psk: bytes | None = field(default=None, repr=False)
    versions: tuple[int, ...] = (VERSION,)
    features: int = 0
    parameters: bytes = b""
    random_bytes: RandomBytes = field(default=urandom, repr=False)

    def __post_init__(self) -> None:
        check_kind("identity", self.identity, Identity)
        check_kind("psk", self.psk, bytes, NoneType)
        if self.psk is not None and len(self.psk) != KEY:
            raise ValueError(
                f"psk has {len(self.psk)} bytes; it must have {KEY} (derive it from a passphrase with scrypt)"
            )
        if not 0 < len(self.versions) <= MAX_VERSIONS or not all(0 <= version < 2**16 for version in self.versions):
            raise ValueError(f"versions are {self.versions}; they must be 1 to {MAX_VERSIONS} numbers from 0 to 65535")
        if not 0 <= self.features < 2**32:
            raise ValueError(f"features are {self.features:#x}; they must be 32 bits")
        if len(self.parameters) > MAX_PARAMETERS:
            raise ValueError(f"parameters have {len(self.parameters)} bytes; at most {MAX_PARAMETERS} fit")

    def best_version(self, versions: tuple[int, ...]) -> int | None:
        """The highest version that is in both lists."""
        return max(set(versions) & set(self.versions), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a handshake leaves: all that a connection needs to know of its peer.

    Attributes:
        initiator: Whether we began.
        local_id: The connection id by which the peer addresses us; 8 bytes.
        remote_id: That by which we address the peer.
        public_key: Who the peer is.
        version: In which version both speak.
        features: The bits that both have.
        parameters: The peer's.
        send_key: The key of what we send; 32 bytes.
        receive_key: The key of what we receive.
        transcript: The hash of the whole handshake: the same for both, and for no other two; to sign or to compare.
    """

    initiator: bool
    local_id: bytes
    remote_id: bytes
    public_key: bytes
    version: int
    features: int
    parameters: bytes
    send_key: bytes = field(repr=False)
    receive_key: bytes = field(repr=False)
    transcript: bytes = field(repr=False)


def make_session(
    noise: HandshakeState,
    *,
    initiator: bool,
    local_id: bytes,
    remote_id: bytes,
    version: int,
    features: int,
    parameters: bytes,
) -> Session:
    """The session that a finished handshake leaves."""
    sends, receives = noise.split()
    return Session(
        initiator=initiator,
        local_id=local_id,
        remote_id=remote_id,
        public_key=noise.remote_static or b"",
        version=version,
        features=features,
        parameters=parameters,
        send_key=sends.key or b"",
        receive_key=receives.key or b"",
        transcript=noise.transcript,
    )
