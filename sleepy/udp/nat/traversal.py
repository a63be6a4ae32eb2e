"""Reaching a peer behind a NAT, by its public key alone.

Who asks and who is asked are both registered with a rendezvous server (`sleepy.udp.nat.registration`). It passes messages
on, and adds the sender's address to each::

    asker                        server                        asked
      | -- WANT ------------------> | -- WANT, asker's address --> |   may he be introduced? (``accept``)
      | <-- AGREE, asked's address- | <------------------- AGREE --|
      | <=========== both knock at each other's address ==========>|   `sleepy.udp.nat.punching`
      | ------------- and where that fails, after a while -------- |
      | -- LEND --> relay -- LENT, a token for each --> |          |   `sleepy.udp.nat.relay`
      | -- VIA, a token ----------> | -- VIA, a token -----------> |
      | <============= both knock by way of the relay ============>|

The first way by which a knock is answered is the one. From then on the asker calls an ordinary address, and the two prove
their keys to each other in the handshake, as if they had met without help (`sleepy.udp.security.handshake`).

Rules:

1. Every question is repeated until it is answered, and every answer is given as often as the question comes. So lost and
   repeated messages need no thought, and the server no memory.
2. An attempt to meet has a name, the *conversation*, which the asker draws at random. What bears another name, or comes from
   another peer, does not belong to it.
3. Whoever wants to reach us is accepted or refused before our address is told. Of those accepted, so many per second are
   attended to: each costs a curve operation, and a few dozen knocks.
4. Inside addresses are tried only if the server sees both peers under one host, and only private ones (RFC 1918, RFC 4193).
   So nobody can make us knock at arbitrary places but the server, whose word on outside addresses we have to take, and
   those who name us a relay, having been accepted.
5. A relay is asked if there is no way after ``relay_after`` seconds, one after the other until one lends; who was silent is
   asked again when it is its turn, who refused is not. Knocking goes on meanwhile: the direct way may still open. Who is
   asked takes part only if ``relayed`` is set.
6. Everything ends: an attempt after ``timeout`` seconds, the way through a relay when it was not used for 60 s.

A hostile rendezvous server can keep us from meeting, learns who wants to meet whom, and where they are; it can have us knock
at a place of its choice, within the limits of rule 3. It cannot make us believe in a way by which the peer does not answer:
knocks are sealed between the two peers. A hostile relay can count and drop, a hostile peer is known by its key.

The module decides and does nothing: no clock, no socket. The node whose socket it shares brings what arrives and the time,
sends what `Traversal.take_datagrams` gives, and looks at `Traversal.take_events`.
"""

from ipaddress import ip_address, ip_network
from math import inf
from typing import Final

from sleepy.udp.address import Address
from sleepy.udp.nat.conversation import Conversation
from sleepy.udp.nat.rate_limit import RateLimit
from sleepy.udp.nat.registration import Registration
from sleepy.udp.nat.relay import FRAME
from sleepy.udp.nat.relay_leg import Leg
from sleepy.udp.nat.traversal_config import (
    Event,
    Found,
    NotFound,
    Relayed,
    TraversalConfig,
    TraversalError,
    TraversalTimeout,
)
from sleepy.udp.nat.traversal_wire import (
    ADDRESS,
    CONVERSATION,
    TOKEN,
    Absent,
    Code,
    Kind,
    Message,
    Told,
    after_kind,
    unpack_address,
)
from sleepy.udp.security.identity import print_key

MAX_CONVERSATIONS: Final = 64
ATTENDED_PER_SECOND: Final = 2.0
ATTENDED_AT_ONCE: Final = 8.0
LEG_UNUSED: Final = 60.0  # seconds
LEG_UNBOUND: Final = 10.0  # seconds
PRIVATE: Final = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
)  # RFC 1918, RFC 4193


class Traversal:
    """Finds peers, and is found; everything for one node.

    After every call, `take_datagrams` says what to send and `take_events` what has happened.

    Args:
        config: Who we are and whom we trust.
        now: The time, in seconds on any monotonic clock.

    Attributes:
        ignored: Datagrams that were not for us, or not authentic, or of a peer beyond what we attend to.
    """

    __slots__ = (
        "_attended",
        "_config",
        "_conversations",
        "_datagrams",
        "_events",
        "_legs",
        "_registration",
        "ignored",
    )

    def __init__(self, config: TraversalConfig, *, now: float) -> None:
        self._config = config
        self._registration = Registration(
            config.identity,
            config.server_key,
            config.inside,
            now=now,
            keep_alive=config.keep_alive,
            random_bytes=config.random_bytes,
        )
        self._attended = RateLimit(ATTENDED_PER_SECOND, ATTENDED_AT_ONCE, now)
        self._conversations: dict[bytes, Conversation] = {}  # by name
        self._legs: dict[bytes, Leg] = {}  # by our token
        self._datagrams: list[tuple[bytes, Address]] = []
        self._events: list[Event] = []
        self.ignored = 0

    @property
    def outside(self) -> Address | None:
        """Where the server sees us; None while we are not registered."""
        return self._registration.outside

    @property
    def next_timeout(self) -> float:
        """When to call `on_time` again, in seconds."""
        conversations = min((each.next_timeout for each in self._conversations.values()), default=inf)
        legs = min((min(leg.next_timeout, _end(leg)) for leg in self._legs.values()), default=inf)
        return min(self._registration.next_timeout, conversations, legs)

    def take_datagrams(self) -> list[tuple[bytes, Address]]:
        """What is to be sent from the node's socket, and where to."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    def take_events(self) -> list[Event]:
        """What has happened since this was last asked."""
        events, self._events = self._events, []
        return events

    def ask(self, public_key: bytes, now: float) -> None:
        """Look for a peer; `Found` or `NotFound` will tell. A search that is under way goes on.

        Raises:
            TraversalError: Too many attempts are under way.
            ValueError: This is no public key, or our own.
        """
        if public_key == self._config.identity.public_key:
            raise ValueError(f"{print_key(public_key)} is our own key")
        if any(each.asked and each.peer == public_key and not each.outcome for each in self._conversations.values()):
            return
        if len(self._conversations) >= MAX_CONVERSATIONS:
            raise TraversalError(f"{MAX_CONVERSATIONS} attempts to meet peers are under way; wait for some to end")
        name = self._config.random_bytes(CONVERSATION)
        conversation = Conversation(self._config, public_key, name=name, asked=True, now=now)
        self._conversations[name] = conversation
        self.on_time(now)

    def wrap(self, datagram: bytes, address: Address) -> tuple[bytes, Address] | None:
        """What to send, and where to, so that the relay passes a datagram on to the peer that has this address here.

        Returns:
            None if the way by that relay is closed.
        """
        leg = next((leg for leg in self._legs.values() if leg.address == address), None)
        return None if leg is None else (leg.wrap(datagram), leg.relay)

    # --8<-- [start:time]
    def on_time(self, now: float) -> None:
        """Do what is due."""
        self._to_server(self._registration.on_time(now))
        for conversation in list(self._conversations.values()):
            conversation.on_time(now)
            self._after(conversation)
            if now >= conversation.ends:
                self._conversations.pop(conversation.name, None)
        for leg in list(self._legs.values()):
            if now >= _end(leg):
                del self._legs[leg.token]
                continue
            bind = leg.on_time(now)
            if bind is not None:
                self._datagrams.append((bind, leg.relay))

    # --8<-- [end:time]

    # --8<-- [start:receive]
    def receive(self, datagram: bytes, address: Address, now: float) -> None:
        """Take a datagram whose kind is one of `sleepy.udp.nat.traversal_wire`. Never raises, whatever the bytes."""
        kind = datagram[0] if datagram else 0
        config, handled = self._config, False
        if kind == Kind.PROBE:
            handled = self._on_probe(datagram, address)
        elif kind == Kind.NOTICE and address == config.server:
            handled = self._on_notice(datagram, now)
        elif kind in (Kind.COOKIE, Kind.BOUND):
            handled = self._on_answer(datagram, address, now)
        elif kind in (Kind.RELAYED, Kind.BIND):
            handled = self._on_relayed(datagram, address, now)
        if not handled:
            self.ignored += 1

    # --8<-- [end:receive]

    def _on_probe(self, datagram: bytes, address: Address) -> bool:
        conversation = self._conversations.get(after_kind(datagram))
        if conversation is None:
            return False
        conversation.on_probe(datagram, address)
        self._after(conversation)
        return True

    def _on_answer(self, datagram: bytes, address: Address, now: float) -> bool:
        """COOKIE or BOUND, for us or for one of our ways to relays."""
        if address == self._config.server and datagram[0] == Kind.COOKIE:
            question = self._registration.on_cookie(datagram)
            if question is not None:
                self._to_server(question)
                return True
        for leg in self._legs.values():
            bind = leg.receive(datagram, address, now)
            if bind is not None:
                self._datagrams.append((bind, address))
                return True
        return datagram[0] == Kind.BOUND and after_kind(datagram) in self._legs

    def _on_relayed(self, datagram: bytes, address: Address, now: float) -> bool:
        """What a relay passed on to us; or what we are to pass on, being one."""
        leg = self._legs.get(after_kind(datagram))
        if leg is not None and datagram[0] == Kind.RELAYED and leg.relay == address:
            leg.used = now
            inner = datagram[FRAME:]
            if inner[:1] == bytes([Kind.PROBE]):
                return self._on_probe(inner, leg.address)
            self._events.append(Relayed(inner, leg.address))
            return True
        passed_on = None if self._config.relay is None else self._config.relay.receive(datagram, address, now)
        if passed_on is not None:
            self._datagrams.append(passed_on)
        return passed_on is not None

    # --8<-- [start:notice]
    def _on_notice(self, datagram: bytes, now: float) -> bool:
        """What the server says, or has to tell from others."""
        registered = self.outside is not None
        notice = self._registration.on_notice(datagram, now)
        if not registered and self.outside is not None:
            for each in self._conversations.values():
                each.hurry(now)
        if isinstance(notice, Absent):
            conversation = self._conversations.get(notice.conversation)
            if conversation is not None:
                conversation.on_absent(notice.to, now)
        elif notice is not None and notice.message.code is Code.LEND:
            self._lend(notice, now)
        elif notice is not None:
            conversation = self._conversations.get(notice.message.conversation)
            if conversation is None and notice.message.code is Code.WANT:
                conversation = self._attend(notice, now)
            if conversation is not None:
                self._on_told(conversation, notice, now)
        self.on_time(now)
        return True

    def _attend(self, told: Told, now: float) -> Conversation | None:
        """A peer wants to meet us: rule 3."""
        accept, name = self._config.accept, told.message.conversation
        if accept is not None and not accept(told.sender):
            self._tell(told.sender, Message(Code.REFUSE, name))
            return None
        for other in [each for each in self._conversations.values() if each.peer == told.sender and not each.asked]:
            del self._conversations[other.name]  # the peer has begun anew
        if len(self._conversations) >= MAX_CONVERSATIONS or not self._attended.take(1, now):
            return None
        try:
            conversation = Conversation(self._config, told.sender, name=name, asked=False, now=now)
        except ValueError:  # the server made that key up
            return None
        self._conversations[name] = conversation
        return conversation

    def _on_told(self, conversation: Conversation, told: Told, now: float) -> None:
        sender, message = told.sender, told.message
        where = self._config.server if sender == self._config.server_key else told.outside
        match message.code, len(message.body):
            case Code.WANT, _ if sender == conversation.peer and not conversation.asked:
                conversation.on_want(self._candidates(told), now)
            case Code.AGREE, _ if sender == conversation.peer:
                conversation.on_agree(self._candidates(told), now)
            case Code.REFUSE, _:
                conversation.on_refuse(sender, now)
            case Code.LENT, size if size == 2 * TOKEN and where is not None and self._is_plausible(where):
                tokens = message.body[:TOKEN], message.body[TOKEN:]
                self._take(conversation.on_lent(sender, where, tokens, now))
            case Code.VIA, size if size == ADDRESS + TOKEN and self._is_plausible(
                relay := unpack_address(message.body)
            ):
                self._take(conversation.on_via(sender, relay, message.body[ADDRESS:], now))
            case _:
                self.ignored += 1

    # --8<-- [end:notice]

    def _candidates(self, told: Told) -> list[Address]:
        """Where to knock: rule 4."""
        outside = told.outside
        if self.outside is None or outside is None or not self._is_plausible(outside):
            return []
        neighbours = outside[0] == self.outside[0]
        inside = [each for each in told.inside if neighbours and _is_private(each[0])]
        return [*filter(self._is_plausible, inside), outside]

    def _is_plausible(self, address: Address) -> bool:
        """Whether a peer or relay can be there: it is no group, and our own host only if the server is on it too."""
        host = ip_address(address[0])
        if host.is_loopback:
            return bool(address[1]) and ip_address(self._config.server[0]).is_loopback
        return bool(address[1]) and not (host.is_multicast or host.is_unspecified or host.is_reserved)

    def _take(self, leg: Leg | None) -> None:
        """A way to a relay."""
        if leg is not None:
            self._legs[leg.token] = leg

    def _lend(self, told: Told, now: float) -> None:
        """A peer wants us to relay."""
        message, relay = told.message, self._config.relay
        tokens = None if relay is None else relay.lend(message.conversation, told.sender, message.body, now)
        if tokens is None:
            self._tell(told.sender, Message(Code.REFUSE, message.conversation))
        else:
            self._tell(told.sender, Message(Code.LENT, message.conversation, b"".join(tokens)))

    def _after(self, conversation: Conversation) -> None:
        """Pass on what a conversation brought forth, and how it ended."""
        for to, message in conversation.tells:
            self._tell(to, message)
        for datagram, address in conversation.datagrams:
            by_relay = None if address[1] else self.wrap(datagram, address)
            self._datagrams.append(by_relay or (datagram, address))
        conversation.tells.clear()
        conversation.datagrams.clear()
        outcome = conversation.outcome
        if outcome is None or conversation.reported:
            return
        conversation.reported = True
        if not isinstance(outcome, TraversalError):
            self._events.append(Found(conversation.peer, outcome, conversation.asked))
            return
        del self._conversations[conversation.name]
        if conversation.asked:
            self._events.append(NotFound(conversation.peer, self._explain(outcome)))

    def _explain(self, error: TraversalError) -> TraversalError:
        if self.outside is not None or not isinstance(error, TraversalTimeout):
            return error
        host, port = self._config.server
        problem = (
            "has no room for us" if self._registration.full else "does not answer: is this its address, and its key?"
        )
        return TraversalTimeout(f"the rendezvous server at {host}:{port} {problem}")

    def _tell(self, to: bytes, message: Message) -> None:
        if self.outside is not None:
            self._to_server(self._registration.tell(to, message))

    def _to_server(self, datagram: bytes | None) -> None:
        if datagram is not None:
            self._datagrams.append((datagram, self._config.server))


def _is_private(host: str) -> bool:
    address = ip_address(host)
    return any(address in network for network in PRIVATE)


def _end(leg: Leg) -> float:
    """When a way through a relay is over, unless it is used before: rule 6."""
    return leg.used + (LEG_UNUSED if leg.bound else LEG_UNBOUND)
