"""What `sleepy.udp.nat.traversal` is given, and what it says: options, events, errors."""

from collections.abc import Callable
from dataclasses import dataclass, field
from os import urandom

from sleepy.errors import SleepyError
from sleepy.udp.address import Address
from sleepy.udp.nat.relay import Relay
from sleepy.udp.nat.traversal_wire import MAX_INSIDE, pack_address
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.noise import KEY, RandomBytes


class TraversalError(SleepyError):
    """There is no way to a peer; the subclass says why."""


class PeerAbsent(TraversalError):
    """The peer is not registered with the rendezvous server."""


class PeerRefused(TraversalError, ConnectionRefusedError):
    """The peer does not want to be introduced to us: its ``accept`` said no."""


class TraversalTimeout(TraversalError, TimeoutError):
    """No way was found in time; the message says how far we came."""


@dataclass(frozen=True, slots=True)
class Found:
    """A way to a peer.

    Attributes:
        public_key: The peer.
        address: By which it is reached; call it there, expecting that key.
        asked: Whether it was we who asked: then it is for us to call.
    """

    public_key: bytes
    address: Address
    asked: bool


@dataclass(frozen=True, slots=True)
class NotFound:
    """There is no way to a peer that we asked for.

    Attributes:
        public_key: The peer.
        error: Why.
    """

    public_key: bytes
    error: TraversalError


@dataclass(frozen=True, slots=True)
class Relayed:
    """A datagram came by way of a relay: treat it as if it had come from this address.

    Attributes:
        datagram: It.
        address: What the peer is called here.
    """

    datagram: bytes
    address: Address


Event = Found | NotFound | Relayed


@dataclass(frozen=True, slots=True, kw_only=True)
class TraversalConfig:
    """How to be found, and how to find others.

    Attributes:
        identity: Who we are.
        server: Where the rendezvous server is: host, as an IP address, and port.
        server_key: Its public key, 32 bytes.
        inside: Where our neighbours behind the same NAT can reach the socket; at most four addresses.
        accept: Is asked whether the peer with this public key may be introduced to us, and learn our address. None: all may.
        relays: Public keys of those whom we ask to relay: registered peers, or the server. None: the server.
        relayed: Whether others may reach us by way of a relay.
        relay: What we lend to others; they must be able to reach us without help: at a public address, or behind a full
            cone.
        timeout: How long an attempt lasts, in seconds.
        relay_after: After how many seconds a relay is asked.
        keep_alive: Seconds between two registrations.
        random_bytes: Where all that is random comes from.

    Raises:
        ValueError: Something of this is out of range.
    """

    identity: Identity
    server: Address
    server_key: bytes
    inside: tuple[Address, ...] = ()
    accept: Callable[[bytes], bool] | None = None
    relays: tuple[bytes, ...] | None = None
    relayed: bool = True
    relay: Relay | None = None
    timeout: float = 10.0
    relay_after: float = 2.0
    keep_alive: float = 15.0
    random_bytes: RandomBytes = field(default=urandom, repr=False)

    def __post_init__(self) -> None:
        for key in (self.server_key, *(self.relays or ())):
            if len(key) != KEY:
                raise ValueError(f"a public key has {KEY} bytes, not {len(key)}")
        if len(self.inside) > MAX_INSIDE:
            raise ValueError(f"there are {len(self.inside)} inside addresses; at most {MAX_INSIDE} are told to others")
        for address in (self.server, *self.inside):
            pack_address(address)
