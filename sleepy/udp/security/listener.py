"""The responder's side of all handshakes at once, and what it costs to be asked.

Everybody may knock. What a stranger can make us spend must be little, and bounded:

Rules:

1. Until its address is proved a HELLO costs a hash or three and one shorter datagram in answer: no memory, no curve
   arithmetic (see `sleepy.udp.security.cookie`).
2. After that it costs three curve operations and a place among ``max_handshakes``. When all are taken the oldest goes: an
   honest peer needs its place for one round trip only, and who wants to drive it out must prove that many addresses
   within that time. (If the newest were turned away, a few liars who never finish could hold all places.)
3. One host, whatever its ports, has at most ``max_per_host`` unfinished handshakes. Proving one address must not be enough
   to drive out all others, or to keep us computing: who never finishes gets so many per ``lifetime``.
4. A place is kept for ``lifetime`` seconds, finished or not: a finished one answers copies of its HELLO and FINISH, for
   the initiator whose VERDICT was lost.
5. Everything that arrives raises one counter.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

from sleepy.udp.address import Address
from sleepy.udp.security.cookie import CookieJar
from sleepy.udp.security.handshake import Responder
from sleepy.udp.security.handshake_wire import CONNECTION_ID, HEADER, Hello, Kind, encode_retry, encode_terms
from sleepy.udp.security.noise import InvalidMessage
from sleepy.udp.security.session import HandshakeConfig, Session

_ID: Final = slice(1, 1 + CONNECTION_ID)


@dataclass(slots=True)
class ListenerCounters:
    """What arrived (rule 5).

    Attributes:
        malformed: No HELLO or FINISH, or too short.
        terms: A HELLO in a version, or with a pre-shared key, that we do not have: answered by TERMS.
        retries: A HELLO without a cookie that is good here and now: answered by RETRY.
        crowded: A HELLO from a host that has too many unfinished ones: dropped (rule 3).
        yielded: A HELLO from a peer that we dial ourselves, and that will answer us.
        replies: A HELLO, new or repeated: answered by REPLY.
        late: A HELLO whose handshake is done.
        unknown: A FINISH for no handshake of ours, or from another address than its HELLO.
        forged: A HELLO or FINISH that is not authentic.
        deferred: A FINISH of a peer whom our own dial is about to reach.
        verdicts: A FINISH: answered by VERDICT.
        evicted: Handshakes that had to go before their time (rule 2); no datagrams, and in addition to the above.
    """

    malformed: int = 0
    terms: int = 0
    retries: int = 0
    crowded: int = 0
    yielded: int = 0
    replies: int = 0
    late: int = 0
    unknown: int = 0
    forged: int = 0
    deferred: int = 0
    verdicts: int = 0
    evicted: int = 0


class _Place(NamedTuple):
    responder: Responder
    address: Address
    digest: bytes
    expires: float


class Listener:
    """Answers HELLO and FINISH, from whatever address.

    Args:
        config: What we bring.
        now: The time, in seconds on any monotonic clock.
        accept: Is asked who may enter, with the public key and the address of a peer that has proved both. None: all may.
        yields: Is asked about each new HELLO, with its proved address and its ephemeral key, whether to answer it; for a
            peer that we are dialling ourselves this is `Initiator.yield_to`. None: answer all.
        defers: Is asked about each peer that has proved its key and its address, whether to leave it without an answer for
            now; it asks again. None: never.
        max_handshakes: Number of handshakes kept at a time (rule 2).
        max_per_host: Number of unfinished ones from one host (rule 3); many peers behind one NAT are one host.
        lifetime: How long each is kept, in seconds (rule 4); not less than a dial's timeout, or it fails in vain.

    Attributes:
        counters: What arrived.
    """

    __slots__ = (
        "_accept",
        "_by_hello",
        "_config",
        "_cookies",
        "_defers",
        "_lifetime",
        "_max_handshakes",
        "_max_per_host",
        "_open",
        "_places",
        "_sessions",
        "_yields",
        "counters",
    )

    def __init__(
        self,
        config: HandshakeConfig,
        *,
        now: float,
        accept: Callable[[bytes, Address], bool] | None = None,
        yields: Callable[[Address, bytes], bool] | None = None,
        defers: Callable[[bytes, Address], bool] | None = None,
        max_handshakes: int = 1024,
        max_per_host: int = 256,
        lifetime: float = 5.0,
    ) -> None:
        self._config = config
        self._accept = accept
        self._yields = yields
        self._defers = defers
        self._max_handshakes = max_handshakes
        self._max_per_host = max_per_host
        self._open: Counter[str] = Counter()  # unfinished handshakes by host
        self._lifetime = lifetime
        self._cookies = CookieJar(now=now, random_bytes=config.random_bytes)
        self._places: dict[bytes, _Place] = {}  # by our connection id, the oldest first
        self._by_hello: dict[tuple[Address, bytes], _Place] = {}
        self._sessions: list[tuple[Session, Address]] = []
        self.counters = ListenerCounters()

    def __len__(self) -> int:
        """Number of handshakes kept."""
        return len(self._places)

    @property
    def next_timeout(self) -> float:
        """When to call `on_time` again, in seconds; infinity if nothing is kept."""
        return next((place.expires for place in self._places.values()), inf)

    def on_time(self, now: float) -> None:
        """Forget what is over."""
        while self.next_timeout <= now:
            self._forget_oldest()

    def take_sessions(self) -> list[tuple[Session, Address]]:
        """The sessions that came about since this was last asked, and where each peer is."""
        sessions, self._sessions = self._sessions, []
        return sessions

    # --8<-- [start:receive]
    def receive(self, datagram: bytes, address: Address, now: float) -> bytes | None:
        """Take a datagram that begins with HELLO or FINISH; returns what to send to ``address``, if anything.

        Never raises of its own account, whatever the bytes; what ``accept`` raises comes out.
        """
        self.on_time(now)
        if len(datagram) > HEADER.size and datagram[0] == Kind.FINISH:
            return self._on_finish(datagram, address)
        hello = Hello.decode(datagram)
        if hello is None:
            self.counters.malformed += 1
            return None
        return self._on_hello(hello, address, now)

    def _on_hello(self, hello: Hello, address: Address, now: float) -> bytes | None:
        config, counters = self._config, self.counters
        group = config.psk is not None
        if hello.group is not group or hello.version != config.best_version(hello.versions):
            counters.terms += 1
            return encode_terms(hello, group, config.versions)
        digest = hello.digest
        if not self._cookies.check(hello.cookie, address, digest, now):
            counters.retries += 1
            return encode_retry(hello, self._cookies.bake(address, digest, now))
        place = self._by_hello.get((address, digest))
        if place is None:
            if self._open[address[0]] >= self._max_per_host:
                counters.crowded += 1
                return None
            if self._yields is not None and not self._yields(address, hello.ephemeral):
                counters.yielded += 1
                return None
            try:
                responder = Responder(config, hello, self._new_id())
            except InvalidMessage:
                counters.forged += 1
                return None
            place = self._keep(_Place(responder, address, digest, now + self._lifetime))
        if place.responder.outcome is not None:
            counters.late += 1
            return None
        counters.replies += 1
        return place.responder.reply

    # --8<-- [end:receive]

    def _on_finish(self, datagram: bytes, address: Address) -> bytes | None:
        place = self._places.get(datagram[_ID])
        if place is None or place.address != address:
            self.counters.unknown += 1
            return None
        responder = place.responder
        was_open, deferred = responder.outcome is None, False

        def may_enter(public_key: bytes) -> bool | None:
            nonlocal deferred
            deferred = self._defers is not None and self._defers(public_key, address)
            return None if deferred else self._accept is None or self._accept(public_key, address)

        verdict = responder.receive(datagram, may_enter)
        if verdict is None:
            self.counters.deferred += deferred
            self.counters.forged += not deferred
            return None
        if was_open and responder.outcome is not None:
            self._finished(address)
            if isinstance(responder.outcome, Session):
                self._sessions.append((responder.outcome, address))
        self.counters.verdicts += 1
        return verdict

    def _keep(self, place: _Place) -> _Place:
        if len(self._places) >= self._max_handshakes:
            self._forget_oldest()
            self.counters.evicted += 1
        self._places[place.responder.connection_id] = place
        self._by_hello[place.address, place.digest] = place
        self._open[place.address[0]] += 1
        return place

    def _finished(self, address: Address) -> None:
        host = address[0]
        self._open[host] -= 1
        if not self._open[host]:
            del self._open[host]  # or it would remember every host that ever came

    def _forget_oldest(self) -> None:
        place = self._places.pop(next(iter(self._places)))
        del self._by_hello[place.address, place.digest]
        if place.responder.outcome is None:
            self._finished(place.address)

    def _new_id(self) -> bytes:
        return self._config.random_bytes(CONNECTION_ID)
