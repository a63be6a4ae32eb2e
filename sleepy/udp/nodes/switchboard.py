"""Who gets what arrives at a socket, and who is to speak next.

One socket serves many peers, so somebody must look at each datagram and know whom it concerns; and when nothing
arrives, who has something to send or to time out. That is all that happens here; what the datagrams mean is for
`sleepy.udp.connections.connection` to know. How strangers become peers differs: `sleepy.udp.nodes.secure_switchboard` has
handshakes, `sleepy.udp.nodes.plain_switchboard` has none.

Rules:

1. What a peer costs does not depend on how many there are: finding it is a look into a dictionary, its timer is one of
   a heap (`sleepy.udp.nodes.wakeups`), and only those to whom something happened are asked what they have to say.
2. A peer that is *due* is asked once per turn, however much has happened to it, so that what it has to say shares
   packets, and packets share system calls. Those who are due take turns. What they said is told before: so the program's
   answers, and the acks with them, are among what it has to say.
3. What strangers are answered is kept for the turn only, and not more than `MAX_REPLIES` answers: they ask again.
4. A connection that has finished is forgotten, with all that led to it.

The module decides and does nothing: whoever has the socket brings datagrams and ``now`` (seconds on a monotonic
clock), and takes what `Switchboard.flush` yields, as fast as the socket does.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from math import inf
from typing import Final, NamedTuple, TypeAlias

from sleepy.errors import SleepyError
from sleepy.udp.address import Address
from sleepy.udp.connections.connection import Connection
from sleepy.udp.connections.connection_events import AddressChanged, Closed
from sleepy.udp.connections.connection_events import Event as ConnectionEvent
from sleepy.udp.nodes.wakeups import Sleeper, Wakeups

MAX_REPLIES: Final = 1024


class Line(Sleeper):
    """A connection, and what the switchboard knows of it.

    Attributes:
        connection: The connection.
        public_key: Who the peer is; empty in plain mode, where nobody knows.
        dialled: Whether it came about by a call of ours.
        since: When it began, in seconds.
        address: Where the peer is, as far as is proved.
    """

    __slots__ = ("address", "connection", "dialled", "due", "public_key", "since")

    def __init__(
        self, connection: Connection, address: Address, *, public_key: bytes, dialled: bool, since: float
    ) -> None:
        super().__init__()
        self.connection = connection
        self.address = address
        self.public_key = public_key
        self.dialled = dialled
        self.since = since
        self.due = False


class Dial(Sleeper):
    """A call to a peer that has not answered yet.

    Attributes:
        address: Where it is.
        expect: Its public key, if we know whom we call.
    """

    __slots__ = ("address", "expect")

    def __init__(self, address: Address, expect: bytes | None) -> None:
        super().__init__()
        self.address = address
        self.expect = expect


class Connected(NamedTuple):
    """A peer is there; if ``dial`` is not None, that was its aim."""

    line: Line
    dial: Dial | None


class DialFailed(NamedTuple):
    """A dial is over, in vain."""

    dial: Dial
    error: SleepyError


class Happened(NamedTuple):
    """A connection has news."""

    line: Line
    events: Sequence[ConnectionEvent]


Event: TypeAlias = Connected | DialFailed | Happened


class Switchboard(ABC):
    """The lines of one socket."""

    def __init__(self) -> None:
        self._due: deque[Line] = deque()
        self._wakeups: Wakeups[Line] = Wakeups()
        self._replies: deque[tuple[Address, bytes]] = deque()
        self._events: list[Event] = []
        self._by_address: dict[Address, Line] = {}

    # ---- for the program above

    @abstractmethod
    def __len__(self) -> int:
        """Number of lines."""

    @abstractmethod
    def dial(self, address: Address, now: float, *, timeout: float, expect: bytes | None = None) -> Dial:
        """Call a peer; `Connected` or `DialFailed` will tell what came of it within ``timeout`` seconds."""

    @abstractmethod
    def hang_up(self, dial: Dial) -> None:
        """Nobody waits for this dial any more."""

    @abstractmethod
    def lines(self) -> list[Line]:
        """All lines."""

    def line_to(self, address: Address) -> Line | None:
        """The line to the peer at an address, if there is one that is not at its end."""
        return self._by_address.get(address)

    def touch(self, line: Line) -> None:
        """Something happened to a connection, so it is due (rule 2)."""
        if not line.due:
            line.due = True
            self._due.append(line)

    def take_events(self) -> list[Event]:
        """What happened since this was last asked, in this order."""
        events, self._events = self._events, []
        return events

    # ---- for the socket below

    # --8<-- [start:receive]
    def receive(self, datagrams: Sequence[bytes], address: Address, now: float) -> None:
        """Take what arrived from an address; never raises, whatever the bytes."""
        last: Line | None = None  # whose datagrams, which mostly come together, are being taken
        for datagram in datagrams:
            line = self._find(datagram, address)
            if line is None:
                self._receive_stranger(datagram, address, now)
                continue
            if line is not last:
                if last is not None:
                    self._gather_events(last)
                last = line
                self.touch(line)
            line.connection.receive(datagram, address, now)
        if last is not None:
            self._gather_events(last)

    def _gather_events(self, line: Line) -> None:
        events = line.connection.take_events()
        if events:
            self._on_events(line, events)

    # --8<-- [end:receive]

    # --8<-- [start:flush]
    def flush(self, now: float) -> Iterator[tuple[Address, Sequence[bytes]]]:
        """What is to be sent now, by address. It may be left off anywhere, and goes on there when called again."""
        self._on_time(now)
        while (waking := self._wakeups.pop(now)) is not None:
            self.touch(waking)
        while self._replies:
            address, datagram = self._replies.popleft()
            yield address, (datagram,)
        while self._due:
            line = self._due.popleft()
            line.due = False
            yield from self._ask(line, now)

    def _ask(self, line: Line, now: float) -> Sequence[tuple[Address, Sequence[bytes]]]:
        """What one line has to say, and what happened to it."""
        connection = line.connection
        outgoing = connection.flush(now)
        self._gather_events(line)
        if connection.finished:
            line.due = True  # for good: who still holds it may touch it, and it is not asked again
            self._wakeups.set(line, inf)
            self._forget(line)  # rule 4
        else:
            self._wakeups.set(line, connection.next_wakeup)
        return outgoing

    # --8<-- [end:flush]

    @property
    def next_wakeup(self) -> float:
        """When to `flush` at the latest, in seconds; infinity if nothing is to be waited for."""
        return min(self._wakeups.next_time, self._next_timeout()) if not self._due else -inf

    # ---- for those who know how strangers become peers

    @abstractmethod
    def _find(self, datagram: bytes, address: Address) -> Line | None:
        """Whose datagram this is, if it is a line's."""

    @abstractmethod
    def _receive_stranger(self, datagram: bytes, address: Address, now: float) -> None:
        """Take a datagram that belongs to no line."""

    @abstractmethod
    def _on_time(self, now: float) -> None:
        """Go on with dials and handshakes whose time has come."""

    @abstractmethod
    def _next_timeout(self) -> float:
        """When to do so again."""

    def _reply(self, address: Address, datagram: bytes | None) -> None:
        if datagram is not None and len(self._replies) < MAX_REPLIES:  # rule 3
            self._replies.append((address, datagram))

    def _connected(self, line: Line, dial: Dial | None) -> None:
        self._by_address[line.address] = line
        self._events.append(Connected(line, dial))
        self.touch(line)

    def _failed(self, dial: Dial, error: SleepyError) -> None:
        self._events.append(DialFailed(dial, error))

    def _on_events(self, line: Line, events: Sequence[ConnectionEvent]) -> None:
        for event in events:
            if isinstance(event, AddressChanged):
                self._leave_address(line)
                line.address = event.address
                self._by_address[event.address] = line
            elif isinstance(event, Closed):
                self._leave_address(line)
        self._events.append(Happened(line, events))

    def _forget(self, line: Line) -> None:
        """Rule 4."""
        self._leave_address(line)

    def _leave_address(self, line: Line) -> None:
        if self._by_address.get(line.address) is line:
            del self._by_address[line.address]
