"""Two peers, the network between them, and a clock: what the tests of the handshake have in common."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from sleepy.udp.security.handshake import Initiator
from sleepy.udp.security.handshake_wire import Hello
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.listener import Listener
from sleepy.udp.security.session import HandshakeConfig, HandshakeError, Session

ALICE, BOB, EVE = ("10.0.0.1", 1111), ("10.0.0.2", 2222), ("10.6.6.6", 666)
GROUP = b"group".ljust(32, b".")


def config(seed: int, **options: object) -> HandshakeConfig:
    """A peer whose every key follows from the seed."""
    random_bytes = random.Random(seed).randbytes
    return HandshakeConfig(identity=Identity.generate(random_bytes), random_bytes=random_bytes, **options)  # type: ignore[arg-type]


@dataclass
class Network:
    """Carries datagrams between an initiator (Alice) and a listener (Bob), each after 10 ms.

    ``tamper`` gets each datagram and its number, and returns what arrives of it: any number of (seconds later, datagram).
    """

    alice: Initiator
    bob: Listener
    tamper: Callable[[bytes, int], list[tuple[float, bytes]]] = lambda datagram, _: [(0.0, datagram)]
    now: float = 0.0
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    _waiting: list[tuple[float, int, str, bytes]] = field(default_factory=list)

    def _send(self, sender: str, datagram: bytes | None) -> None:
        if datagram is None:
            return
        self.sent.append((sender, datagram))
        for delay, copy in self.tamper(datagram, len(self.sent) - 1):
            self._waiting.append((self.now + 0.010 + delay, len(self.sent), sender, copy))
        self._waiting.sort()

    def step(self) -> None:
        """Go on to the next thing that happens."""
        arrival = self._waiting[0][0] if self._waiting else inf
        self.now = max(self.now, min(arrival, self.alice.next_timeout))
        if arrival <= self.now:
            _, _, sender, datagram = self._waiting.pop(0)
            if sender == "alice":
                self._send("bob", self.bob.receive(datagram, ALICE, self.now))
            else:
                self._send("alice", self.alice.receive(datagram, self.now))
        else:
            self._send("alice", self.alice.on_time(self.now))
        self.sessions += [session for session, _ in self.bob.take_sessions()]

    def run(self) -> Session | HandshakeError:
        """Go on until the initiator knows."""
        for _ in range(1000):
            if self.alice.outcome is not None:
                return self.alice.outcome
            self.step()
        raise AssertionError("the handshake does not end")


def agree(network: Network) -> Session:
    """Both sides must have the same session."""
    ours = network.run()
    assert isinstance(ours, Session), ours
    assert len(network.sessions) == 1
    theirs = network.sessions[0]
    assert ours.transcript == theirs.transcript
    assert (ours.send_key, ours.receive_key) == (theirs.receive_key, theirs.send_key)
    assert (ours.local_id, ours.remote_id) == (theirs.remote_id, theirs.local_id)
    assert (ours.version, ours.features) == (theirs.version, theirs.features)
    assert ours.initiator
    assert not theirs.initiator
    return ours


def proved_hello(alice: Initiator, bob: Listener, now: float = 0.0) -> bytes:
    """Alice's HELLO with a cookie for her address."""
    hello = alice.on_time(now)
    assert hello is not None
    retry = bob.receive(hello, ALICE, now)
    assert retry is not None
    hello = alice.receive(retry, now)
    assert hello is not None
    return hello


def ephemeral(hello: bytes) -> bytes:
    """The ephemeral key in a HELLO."""
    decoded = Hello.decode(hello)
    assert decoded is not None
    return decoded.ephemeral
