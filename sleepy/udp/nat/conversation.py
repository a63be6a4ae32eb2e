"""One attempt of two peers to meet: who says what, and when.

`sleepy.udp.nat.traversal` has the picture and the rules; this is its course from WANT to the way that works, on either
side. It brings forth messages for the rendezvous server to pass on (`Conversation.tells`) and datagrams for the socket
(`Conversation.datagrams`), which are to be taken after every call.
"""

from collections import deque
from collections.abc import Iterable
from math import inf
from typing import Final

from sleepy.udp.address import Address
from sleepy.udp.nat.punching import Punch
from sleepy.udp.nat.registration import FIRST_WAIT, LONGEST_WAIT
from sleepy.udp.nat.relay_leg import Leg
from sleepy.udp.nat.traversal_config import PeerAbsent, PeerRefused, TraversalConfig, TraversalError, TraversalTimeout
from sleepy.udp.nat.traversal_wire import Code, Message, pack_address
from sleepy.udp.security.identity import print_key
from sleepy.udp.security.sealing import Sealer

RELAY_PATIENCE: Final = 2.0  # seconds for a relay to answer


class Conversation:
    """Our side of an attempt.

    Args:
        config: Whose patience it has.
        peer: Whom to meet, by public key.
        name: What both call it, 8 bytes.
        asked: Whether it is we who ask.
        now: The time, in seconds on any monotonic clock.

    Attributes:
        name: See above.
        peer: See above.
        asked: See above.
        ends: When it is over, in seconds; until then the peer's knocks are answered.
        outcome: The way that works, or why there is none; None while it is open.
        reported: Whether that has been told to the program; for the caller to note.
        leg: Our way to the relay, if there is one.
        tells: Messages for the server to pass on: to whom, and what.
        datagrams: Datagrams to send, and where to.

    Raises:
        ValueError: ``peer`` is no proper public key.
    """

    __slots__ = (
        "_config",
        "_next",
        "_punch",
        "_relay",
        "_relay_at",
        "_relays",
        "_repeated",
        "_sealer",
        "_wait",
        "asked",
        "datagrams",
        "ends",
        "leg",
        "name",
        "outcome",
        "peer",
        "reported",
        "tells",
    )

    def __init__(self, config: TraversalConfig, peer: bytes, *, name: bytes, asked: bool, now: float) -> None:
        self._config = config
        self._sealer = Sealer(config.identity, peer, config.random_bytes)
        self._punch: Punch | None = None
        self._relays = deque((config.server_key,) if config.relays is None else config.relays)  # who may still lend
        self._relay = b""  # who was asked last
        self._relay_at = inf  # when to ask the next
        self._repeated: tuple[bytes, Message] | None = None
        self._next = inf  # when to repeat it
        self._wait = FIRST_WAIT
        self.name = name
        self.peer = peer
        self.asked = asked
        self.ends = now + config.timeout
        self.outcome: Address | TraversalError | None = None
        self.reported = False
        self.leg: Leg | None = None
        self.tells: list[tuple[bytes, Message]] = []
        self.datagrams: list[tuple[bytes, Address]] = []
        if asked:
            self._repeat(peer, Message(Code.WANT, name), now)

    @property
    def next_timeout(self) -> float:
        """When to call `on_time` again, in seconds."""
        if self.outcome is not None or self._punch is None:
            return min(self.ends, self._next)
        return min(self.ends, self._next, self._relay_at, self._punch.next_timeout)

    def on_time(self, now: float) -> None:
        """Do what is due: repeat, knock, ask a relay, give up."""
        if self.outcome is not None:
            return
        if now >= self.ends:
            self._finish(TraversalTimeout(self._how_far()))
            return
        if self._punch is not None:
            self.datagrams += self._punch.on_time(now)
        if now >= self._relay_at:  # its answer may be lost, so it is asked again, after the others
            if self._relay:
                self._relays.rotate(-1)
            self._ask_relay(now)
        if self._repeated is not None and now >= self._next:
            self.tells.append(self._repeated)
            self._next = now + self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)

    def hurry(self, now: float) -> None:
        """The server can be reached again: repeat at once what waits for an answer."""
        if self._repeated is not None:
            self._next, self._wait = now, FIRST_WAIT

    # --8<-- [start:told]
    def on_want(self, candidates: Iterable[Address], now: float) -> None:
        """The peer wants to meet us, and may: say so as often as it asks, and begin to knock."""
        self.tells.append((self.peer, Message(Code.AGREE, self.name)))
        self._start_punching(candidates, now)

    def on_agree(self, candidates: Iterable[Address], now: float) -> None:
        """The peer that we want to meet agrees: begin to knock."""
        if self.asked and self._punch is None and self.outcome is None:
            self._repeated, self._next = None, inf
            self._relay_at = now + self._config.relay_after
            self._start_punching(candidates, now)

    def on_refuse(self, sender: bytes, now: float) -> None:
        """The peer does not want to meet us, or a relay does not lend."""
        if self.asked and self.outcome is None:
            if sender == self.peer and self._punch is None:
                self._finish(PeerRefused(f"the peer {print_key(self.peer)} does not want to be introduced to us"))
            elif sender == self._relay:
                self._cross_off_relay(now)

    def on_absent(self, who: bytes, now: float) -> None:
        """The server does not know the peer, or a relay."""
        if self.asked and self.outcome is None:
            if who == self.peer and self._punch is None:
                self._finish(PeerAbsent(f"the peer {print_key(who)} is not registered with the rendezvous server"))
            elif who == self._relay:
                self._cross_off_relay(now)

    def on_lent(self, sender: bytes, relay: Address, tokens: tuple[bytes, bytes], now: float) -> Leg | None:
        """A relay lends: tell the peer its token, and knock by that way too. Returns our way to the relay, if it is new."""
        if not self.asked or sender != self._relay or self.leg is not None or self.outcome is not None:
            return None
        self._relay_at = inf
        ours, theirs = tokens
        self._repeat(self.peer, Message(Code.VIA, self.name, pack_address(relay) + theirs), now)
        return self._take_leg(relay, ours, now)

    def on_via(self, sender: bytes, relay: Address, token: bytes, now: float) -> Leg | None:
        """The peer has found a relay: knock by that way too. Returns our way to the relay, if it is new."""
        if self.asked or sender != self.peer or self.leg is not None or not self._config.relayed:
            return None
        return self._take_leg(relay, token, now)

    # --8<-- [end:told]

    def on_probe(self, datagram: bytes, address: Address) -> None:
        """The peer knocks, or answers."""
        if self._punch is not None:
            self.datagrams += self._punch.receive(datagram, address)
            if self._punch.path is not None and self.outcome is None:
                self._finish(self._punch.path)

    def _start_punching(self, candidates: Iterable[Address], now: float) -> None:
        if self._punch is None:
            random_bytes = self._config.random_bytes
            self._punch = Punch(self.name, self._sealer, candidates, now=now, random_bytes=random_bytes)
            self.datagrams += self._punch.on_time(now)

    def _take_leg(self, relay: Address, token: bytes, now: float) -> Leg:
        self.leg = Leg(relay, token, now=now)
        if self._punch is not None:
            self.datagrams += self._punch.add(self.leg.address)
        return self.leg

    def _cross_off_relay(self, now: float) -> None:
        """The relay that was asked last does not lend."""
        self._relays.popleft()
        self._ask_relay(now)

    def _ask_relay(self, now: float) -> None:
        self._relay = self._relays[0] if self._relays else b""
        if self._relay:
            self._relay_at = now + RELAY_PATIENCE
            self._repeat(self._relay, Message(Code.LEND, self.name, self.peer), now)
        else:
            self._relay_at = self._next = inf
            self._repeated = None

    def _repeat(self, to: bytes, message: Message, now: float) -> None:
        self._repeated = to, message
        self._next, self._wait = now, FIRST_WAIT

    def _finish(self, outcome: Address | TraversalError) -> None:
        self.outcome = outcome
        self._repeated, self._next = None, inf

    def _how_far(self) -> str:
        peer, seconds = print_key(self.peer), self._config.timeout
        if self._punch is None:
            return f"the peer {peer} did not agree to meet within {seconds} s; is it running?"
        relay = "and no relay lends" if self.leg is None else "by a relay too"
        return f"no datagram passes between us and the peer {peer}, tried for {seconds} s, {relay}"
