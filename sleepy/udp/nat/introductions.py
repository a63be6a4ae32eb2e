"""The rendezvous server: it knows where peers are, and tells them of each other.

A peer behind a NAT does not know the address under which others see it, and cannot be called. So it keeps in touch with a
server that everybody can reach: the server sees the address, and what it sends there passes the NAT. It has but two duties:

1. *Registering*: it notes under a peer's public key where that peer was last seen.
2. *Telling*: a registered peer has it pass a short message on to another, with the sender's address attached.

All the rest, who wants to meet whom and by which way, the peers settle by these messages (`sleepy.udp.nat.traversal`). The
server does not follow what they say, and needs no memory for it.

What can a stranger do to us?

1. *Invent addresses.* Before anything else an address is proved by a cookie (`sleepy.udp.security.cookie`): until then a
   REQUEST costs a hash and one shorter datagram, and no memory.
2. *Use us as an amplifier.* One REQUEST leads to one datagram at most, which is shorter, whether it goes back or to the
   peer that is told something. And that peer asked for it: only registered addresses are told anything.
3. *Register as somebody else.* Requests are sealed (`sleepy.udp.security.sealing`): only who has the private key can make
   them. Copies of them work from the same address only, while their cookie is good, and do what was done before.
4. *Make us compute.* A new key costs one curve operation; a host may cause ``proofs_per_second`` of them, all together 100
   times as many.
5. *Fill us up.* A host, or an IPv6 network of 2**64, registers at most ``max_per_host`` keys, and all together at most
   ``max_registrations``. Those who are registered are not driven out by those who come: newcomers are told that we are full.
   Who does not renew a registration is forgotten after ``lease`` seconds.
6. *Pester others.* Each peer may have ``tells_per_second`` messages passed on.
7. *Find out where people are.* A peer's address goes only with the messages that it sends itself. So whoever asks for a key
   learns whether it is registered, and no more, until its owner agrees. Inside addresses go to those alone who are seen
   under the same outside address: they are of use to nobody else.

What can *we* do to those who trust us? We see who asks for whom. We can be silent, lie about addresses, and have peers knock
in vain at places of our choice, few times and rate-limited on their side. We cannot read what they say to each other or
pretend to be one of them: their handshake proves the keys.

The module decides and does nothing: no clock, no socket. `sleepy.udp.rendezvous` runs it.
"""

from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from os import urandom
from typing import Final

from sleepy.udp.address import Address
from sleepy.udp.nat.rate_limit import RateLimit
from sleepy.udp.nat.relay import Relay
from sleepy.udp.nat.traversal_wire import (
    Absent,
    Code,
    Full,
    Kind,
    Message,
    Register,
    Registered,
    Tell,
    Told,
    decode_request,
    encode_cookie,
    encode_notice,
    request_parts,
)
from sleepy.udp.security.cookie import CookieJar
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.noise import RandomBytes
from sleepy.udp.security.sealing import Sealer

COOKIE_PERIOD: Final = 60.0  # seconds: a client that renews its registration in time never needs another cookie


@dataclass(slots=True)
class IntroducerCounters:
    """What arrived.

    Attributes:
        malformed: No REQUEST, RELAYED or BIND.
        unproved: REQUESTs without a cookie that is good here and now: answered by COOKIE.
        busy: REQUESTs beyond what a host, a peer or all may cause: dropped.
        forged: REQUESTs that were not sealed by the key they name.
        registered: Registrations, new and renewed.
        full: Registrations that found no room.
        told: Messages passed on.
        absent: Messages for nobody registered, or from nobody registered.
    """

    malformed: int = 0
    unproved: int = 0
    busy: int = 0
    forged: int = 0
    registered: int = 0
    full: int = 0
    told: int = 0
    absent: int = 0


@dataclass(slots=True)
class _Registration:
    address: Address
    inside: tuple[Address, ...]
    sealer: Sealer
    limit: RateLimit
    expires: float


class Introducer:
    """The rendezvous server's decisions.

    Args:
        identity: Who we are: clients know our public key.
        now: The time, in seconds on any monotonic clock.
        relay: What we lend to those who cannot reach each other; None: nothing.
        lease: How long a registration lives, in seconds; clients renew it in a quarter of that.
        max_registrations: Number of registrations.
        max_per_host: Number of those from one host.
        tells_per_second: How many messages each peer may have passed on, in the long run; four times as many at once.
        proofs_per_second: How many new keys one host may make us check.
        random_bytes: Where secrets and nonces come from.

    Attributes:
        relay: See above.
        counters: What arrived.
    """

    __slots__ = (
        "_cookies",
        "_hosts",
        "_identity",
        "_lease",
        "_max_per_host",
        "_max_registrations",
        "_proofs",
        "_proofs_per_second",
        "_random_bytes",
        "_registrations",
        "_second",
        "_tells_per_second",
        "counters",
        "relay",
    )

    def __init__(
        self,
        identity: Identity,
        *,
        now: float,
        relay: Relay | None = None,
        lease: int = 60,
        max_registrations: int = 10_000,
        max_per_host: int = 64,
        tells_per_second: float = 5.0,
        proofs_per_second: int = 10,
        random_bytes: RandomBytes = urandom,
    ) -> None:
        self._identity = identity
        self._lease = lease
        self._max_registrations = max_registrations
        self._max_per_host = max_per_host
        self._tells_per_second = tells_per_second
        self._proofs_per_second = proofs_per_second
        self._random_bytes = random_bytes
        self._cookies = CookieJar(now=now, period=COOKIE_PERIOD, random_bytes=random_bytes)
        self._registrations: dict[bytes, _Registration] = {}  # by public key, the one renewed longest ago first
        self._hosts: Counter[str] = Counter()  # registrations by host
        self._proofs: Counter[str] = Counter()  # of this second, by host; "" counts all
        self._second = now
        self.relay = relay
        self.counters = IntroducerCounters()

    def __len__(self) -> int:
        """Number of registrations, among them some whose time may be over."""
        return len(self._registrations)

    # --8<-- [start:receive]
    def receive(self, datagram: bytes, address: Address, now: float) -> tuple[bytes, Address] | None:
        """Take a datagram; returns the one to send, if any, and where to. Never raises, whatever the bytes."""
        if datagram[:1] in (bytes([Kind.RELAYED]), bytes([Kind.BIND])) and self.relay is not None:
            return self.relay.receive(datagram, address, now)
        parts = request_parts(datagram) if datagram[:1] == bytes([Kind.REQUEST]) else None
        if parts is None:
            self.counters.malformed += 1
            return None
        key, cookie = parts
        if not self._cookies.check(cookie, address, key, now):  # threat 1
            self.counters.unproved += 1
            return encode_cookie(datagram, self._cookies.bake(address, key, now)), address
        self._expire(now)
        sealer = self._sealer(key, address, now)
        if sealer is None:
            return None
        request = decode_request(sealer, datagram)
        if request is None:
            self.counters.forged += 1
            return None
        if isinstance(request, Register):
            return self._register(key, sealer, request, address, now)
        return self._tell(key, request, address, now)

    # --8<-- [end:receive]

    def _sealer(self, key: bytes, address: Address, now: float) -> Sealer | None:
        """For a key: the one we have, or a new one (threat 4)."""
        known = self._registrations.get(key)
        if known is not None:
            return known.sealer
        if now - self._second >= 1.0:
            self._second = now
            self._proofs.clear()
        host = host_of(address)
        if self._proofs[host] >= self._proofs_per_second or self._proofs[""] >= 100 * self._proofs_per_second:
            self.counters.busy += 1
            return None
        self._proofs[host] += 1
        self._proofs[""] += 1
        try:
            return Sealer(self._identity, key, self._random_bytes)
        except ValueError:
            self.counters.forged += 1
            return None

    # --8<-- [start:register]
    def _register(
        self, key: bytes, sealer: Sealer, request: Register, address: Address, now: float
    ) -> tuple[bytes, Address]:
        old = self._registrations.get(key)
        host = host_of(address)
        moved = old is None or host_of(old.address) != host
        if (old is None and len(self) >= self._max_registrations) or (
            moved and self._hosts[host] >= self._max_per_host
        ):
            self.counters.full += 1
            return encode_notice(sealer, Full(request.number)), address  # threat 5
        self._forget(key)
        limit = RateLimit(self._tells_per_second, 4 * self._tells_per_second, now) if old is None else old.limit
        self._registrations[key] = _Registration(address, request.inside, sealer, limit, now + self._lease)
        self._hosts[host] += 1
        self.counters.registered += 1
        cookie = self._cookies.bake(address, key, now)
        return encode_notice(sealer, Registered(request.number, self._lease, address, cookie)), address

    # --8<-- [end:register]

    # --8<-- [start:tell]
    def _tell(self, key: bytes, request: Tell, address: Address, now: float) -> tuple[bytes, Address] | None:
        sender = self._registrations.get(key)
        if sender is None or sender.address != address:
            self.counters.absent += 1
            return None
        if not sender.limit.take(1, now):  # threat 6
            self.counters.busy += 1
            return None
        message = request.message
        if request.to == self._identity.public_key:
            answer = Told(request.to, None, (), self._lend(key, message, now))
            return encode_notice(sender.sealer, answer), address
        to = self._registrations.get(request.to)
        if to is None:
            self.counters.absent += 1
            return encode_notice(sender.sealer, Absent(request.to, message.conversation)), address
        self.counters.told += 1
        shown = message.code is not Code.REFUSE  # threat 7
        neighbours = shown and address[0] == to.address[0]
        told = Told(key, address if shown else None, sender.inside if neighbours else (), message)
        return encode_notice(to.sealer, told), to.address

    # --8<-- [end:tell]

    def _lend(self, key: bytes, message: Message, now: float) -> Message:
        """Our own answer, to who wants us to relay."""
        tokens = None
        if message.code is Code.LEND and self.relay is not None:
            tokens = self.relay.lend(message.conversation, key, message.body, now)
        if tokens is None:
            return Message(Code.REFUSE, message.conversation)
        return Message(Code.LENT, message.conversation, b"".join(tokens))

    def _expire(self, now: float) -> None:
        while self._registrations:
            key, registration = next(iter(self._registrations.items()))
            if now < registration.expires:
                break
            self._forget(key)

    def _forget(self, key: bytes) -> None:
        registration = self._registrations.pop(key, None)
        if registration is not None:
            host = host_of(registration.address)
            self._hosts[host] -= 1
            if not self._hosts[host]:
                del self._hosts[host]  # or it would remember every host that ever came


def host_of(address: Address) -> str:
    """Who answers for an address: the IPv4 host, or the IPv6 network of 2**64, in which one host may take any address."""
    try:
        host = ip_address(address[0])
    except ValueError:
        return address[0]
    if isinstance(host, IPv6Address) and host.ipv4_mapped is None:
        return str(IPv6Address(int(host) >> 64 << 64))
    return address[0]
