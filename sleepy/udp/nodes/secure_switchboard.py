"""The switchboard whose peers have shown who they are.

Packets are found by their connection id, which we chose ourselves; handshakes, by theirs. All that a stranger can make
us spend is bounded by `sleepy.udp.security.listener`; what a peer may cost begins when it has proved its address and its
key, and was accepted.

Two peers may dial each other at the same time, and a peer may be started anew while we still think it is there. Both
times there are two sessions with one key, and one of them must go, the same on both sides:

Rules:

1. Two dials between the same two addresses become one handshake (rule 6 of `sleepy.udp.security.handshake`): the dial that
   yields takes the session that the other brings about.
2. Behind some routers a peer calls from another address than it is called at. So a dial also takes the session of a peer
   that calls us and has the key which the dial expects; and when it learns the key of the peer that it has reached, it
   takes the line that this peer has opened meanwhile, or not long before (twice `CROSSING`, to be safe from rule 3).
3. If both peers have sent their FINISH neither can know which session the other will take. So the one with the higher
   key goes on with its own dial, and does not answer the other's FINISH as long as that lasts: the other takes this
   session before it can have told anybody of its own. If the first has come to its end by then, what the second still
   brings about is dropped, for `CROSSING` seconds.
4. Else the newer session counts: who has proved a key again was started anew, or has lost its way to us. The older
   connection ends with `WentAway`.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from sleepy.udp.address import Address
from sleepy.udp.connections.connection import Connection
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.connection_errors import ConnectionClosed, WentAway
from sleepy.udp.nodes.switchboard import Dial, Line, Switchboard
from sleepy.udp.nodes.wakeups import Wakeups
from sleepy.udp.security.handshake import Initiator
from sleepy.udp.security.handshake_wire import CONNECTION_ID, Kind
from sleepy.udp.security.listener import Listener, ListenerCounters
from sleepy.udp.security.protection import PROTECTED, Protection
from sleepy.udp.security.session import HandshakeConfig, Session

LONGEST_DIAL: Final = 10.0  # seconds for which a handshake is kept; a dial that takes longer may fail in vain
CROSSING: Final = 5.0  # seconds (rule 3)

_ID_END: Final = 1 + CONNECTION_ID  # of the id, which stands after the first byte
_TO_LISTENER: Final = frozenset({Kind.HELLO, Kind.FINISH})


class SecureDial(Dial):
    """A dial with a handshake.

    Attributes:
        initiator: The handshake.
        began: When it began, in seconds.
        rtt: The shortest round trip of it, in seconds; None as long as none is certain.
    """

    __slots__ = ("_asked", "_last", "began", "initiator", "rtt")

    def __init__(self, address: Address, initiator: Initiator, now: float) -> None:
        super().__init__(address, initiator.expect)
        self.initiator = initiator
        self.began = now
        self.rtt: float | None = None
        self._last = b""
        self._asked: float | None = None

    def on_sent(self, datagram: bytes, now: float) -> None:
        """A datagram of the handshake leaves."""
        again = datagram == self._last  # then its answer might be to the first copy, and tells nothing (Karn's rule)
        self._asked = None if again else now
        self._last = datagram

    def on_answer(self, now: float) -> None:
        """What we sent was answered."""
        if self._asked is not None:
            self.rtt = min(now - self._asked, self.rtt if self.rtt is not None else inf)


class SecureSwitchboard(Switchboard):
    """Lines that begin with a handshake.

    Args:
        handshake: What we bring to handshakes.
        config: The options of connections.
        now: The time, in seconds.
        accept: Is asked who may call us, with the public key and the address of a peer that has proved both.
    """

    def __init__(
        self,
        handshake: HandshakeConfig,
        config: ConnectionConfig,
        *,
        now: float,
        accept: Callable[[bytes, Address], bool] | None = None,
    ) -> None:
        super().__init__()
        self._handshake = handshake
        self._config = config
        self._listener = Listener(
            handshake, now=now, accept=accept, yields=self._yields, defers=self._defers, lifetime=LONGEST_DIAL
        )
        self._lines: dict[bytes, Line] = {}  # by our connection id
        self._ids: dict[Line, bytes] = {}
        self._by_key: dict[bytes, Line] = {}
        self._dials: dict[bytes, SecureDial] = {}  # by our connection id
        self._dials_to: dict[Address, SecureDial] = {}
        self._dials_for: dict[bytes, SecureDial] = {}  # by the key that is expected, or was found
        self._dial_times: Wakeups[SecureDial] = Wakeups()

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def counters(self) -> ListenerCounters:
        """What strangers sent."""
        return self._listener.counters

    def lines(self) -> list[Line]:
        """All lines."""
        return list(self._lines.values())

    # ---- dials

    def dial(self, address: Address, now: float, *, timeout: float, expect: bytes | None = None) -> SecureDial:
        """Call a peer; there must be no other dial to its address, nor a line.

        Raises:
            ValueError: ``expect`` is no public key.
        """
        dial = SecureDial(address, Initiator(self._handshake, now=now, timeout=timeout, expect=expect), now)
        self._dials[dial.initiator.connection_id] = self._dials_to[address] = dial
        if expect is not None:
            self._dials_for[expect] = dial
        self._dial_times.set(dial, now)
        return dial

    def hang_up(self, dial: Dial) -> None:
        """Nobody waits for this dial any more; nothing of it is left."""
        if isinstance(dial, SecureDial) and self._dials.pop(dial.initiator.connection_id, None) is not None:
            del self._dials_to[dial.address]
            public_key = dial.expect or dial.initiator.public_key
            if public_key is not None and self._dials_for.get(public_key) is dial:
                del self._dials_for[public_key]
            self._dial_times.set(dial, inf)

    def _on_time(self, now: float) -> None:
        self._listener.on_time(now)
        while (dial := self._dial_times.pop(now)) is not None:
            self._go_on(dial, dial.initiator.on_time(now), dial.address, now)

    def _next_timeout(self) -> float:
        return min(self._dial_times.next_time, self._listener.next_timeout)

    def _go_on(self, dial: SecureDial, datagram: bytes | None, address: Address, now: float) -> None:
        """Send what a dial has to say; if it is at its end, the peer is at ``address``, or there is none."""
        if datagram is not None:
            dial.on_sent(datagram, now)
            self._reply(dial.address, datagram)
        outcome = dial.initiator.outcome
        if outcome is None:
            self._dial_times.set(dial, dial.initiator.next_timeout)
            return
        self.hang_up(dial)
        if isinstance(outcome, Session):
            self._begin(outcome, address, dial, now)
        else:
            self._failed(dial, outcome)

    # ---- what arrives

    def _find(self, datagram: bytes, address: Address) -> Line | None:  # noqa: ARG002  # ids say it; addresses change
        return self._lines.get(datagram[1:_ID_END]) if datagram and datagram[0] >= PROTECTED else None

    def _receive_stranger(self, datagram: bytes, address: Address, now: float) -> None:
        if not datagram:
            return
        if datagram[0] in _TO_LISTENER:
            self._reply(address, self._listener.receive(datagram, address, now))
            for session, where in self._listener.take_sessions():
                self._answered(session, where, now)
        elif (dial := self._dials.get(datagram[1:_ID_END])) is not None:
            ignored = dial.initiator.ignored
            answer = dial.initiator.receive(datagram, now)
            if dial.initiator.ignored == ignored:
                dial.on_answer(now)
            public_key = dial.initiator.public_key
            if public_key is not None and self._found(dial, public_key):
                return
            self._go_on(dial, answer, dial.address, now)

    def _found(self, dial: SecureDial, public_key: bytes) -> bool:
        """A dial knows whom it has reached. If that peer has reached us meanwhile there is no need to go on (rule 2)."""
        line = self._by_key.get(public_key)
        if line is None or line.since < dial.began - 2 * CROSSING or not line.connection.is_open:
            self._dials_for[public_key] = dial
            return False
        self.hang_up(dial)
        self._connected(line, dial)
        return True

    def _yields(self, address: Address, ephemeral: bytes) -> bool:
        """Rule 1."""
        dial = self._dials_to.get(address)
        return dial is None or dial.initiator.yield_to(ephemeral)

    def _defers(self, public_key: bytes, address: Address) -> bool:
        """Rule 3."""
        dial = self._dials_for.get(public_key)
        if dial is None or dial.address == address or dial.initiator.public_key is None:
            return False
        return self._handshake.identity.public_key > public_key

    def _answered(self, session: Session, address: Address, now: float) -> None:
        """A peer that called us has proved who it is, and was accepted."""
        dial = self._dials_to.get(address) or self._dials_for.get(session.public_key)
        if dial is not None:
            dial.initiator.adopt(session)
            self._go_on(dial, None, address, now)
            return
        old = self._by_key.get(session.public_key)
        ours = self._handshake.identity.public_key > session.public_key
        if old is not None and old.dialled and old.address != address and now - old.since < CROSSING and ours:  # rule 3
            return
        self._begin(session, address, None, now)

    # ---- lines

    def _begin(self, session: Session, address: Address, dial: SecureDial | None, now: float) -> None:
        try:
            connection = Connection(
                Protection(session, now=now),
                address,
                self._config,
                now=now,
                peer_parameters=session.parameters,
                rtt=dial.rtt if dial is not None else None,
            )
        except ConnectionClosed as error:
            if dial is not None:
                self._failed(dial, error)
            return
        old = self._by_key.get(session.public_key)
        if old is not None:  # rule 4
            old.connection.abort(WentAway("the peer connected anew: it was restarted, or had lost us"))
            self.touch(old)
        line = Line(connection, address, public_key=session.public_key, dialled=session.initiator, since=now)
        self._lines[session.local_id] = self._by_key[session.public_key] = line
        self._ids[line] = session.local_id
        self._connected(line, dial)

    def _forget(self, line: Line) -> None:
        super()._forget(line)
        del self._lines[self._ids.pop(line)]
        if self._by_key.get(line.public_key) is line:
            del self._by_key[line.public_key]
