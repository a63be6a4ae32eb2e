"""Which connection serves whom? Decisions only: no socket, no clock, nothing awaited.

One connection carries one request at a time, so nobody ever waits behind somebody else's slow answer; whoever finds no
connection free gets a new one, as long as there are fewer than ``max_conns``, and after that waits in line. These are the
ideas of fasthttp's HostClient. What its users suffered from is settled by five rules:

1. **A slot is a connection that is open or being dialed.** No slot is added beyond ``max_conns``; when that is lowered, what
   is too many is closed as soon as it serves nobody. The count is never wrong, because it is not a counter: it is the size
   of what is there.
2. **Nobody owns a dial.** A caller who must wait stands in line, and takes the first connection that comes free, dialed or
   released. If he gives up the dial goes on, for the next in line or for the pool: slow dials are never paid for twice.
3. **There are as many dials under way as callers in line, if slots allow.** Whatever ends (a dial, a connection, a
   caller's patience) is followed by `settle`, which starts what this rule asks for: no wake-up is ever lost.
4. **First come, first served.** A connection that comes free goes to the head of the line before anybody new may take it.
5. **A connection is judged when it is taken**, not only by a cleaner: one that is closing, or has been idle or alive too
   long, is never handed out. (A peer that closes is noticed at once; the judging closes the gap of one turn of the event
   loop between the notice and the end.)

Idle connections are kept in the order of their release. *LIFO* takes the one used last: it is the likeliest to be alive,
and the others grow old and are closed, so that the pool shrinks to what the load needs. *FIFO* takes the one idle longest,
which spreads the load and keeps every connection of a burst alive.
"""

import math
from collections import OrderedDict
from itertools import chain, islice, takewhile
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar


class Pooled(Protocol):
    """What the pool must know of a connection."""

    @property
    def closing(self) -> bool:
        """Whether it is closed or about to be."""
        ...


C = TypeVar("C", bound=Pooled)  # a connection
W = TypeVar("W")  # a caller in line

PoolStrategy = Literal["lifo", "fifo"]


class Orders(NamedTuple, Generic[C, W]):
    """What the pool wants done now.

    Attributes:
        serve: Who gets which connection.
        dials: How many connections to dial.
        close: Connections to close; the pool has forgotten them.
    """

    serve: list[tuple[W, C]]
    dials: int
    close: list[C]


class ConnectionPool(Generic[C, W]):
    """The connections to one peer, and the callers in line for them.

    Args:
        max_conns: How many may be open or being dialed at once (fasthttp: MaxConns).
        max_idle_duration: How long a connection may stand idle, in seconds (MaxIdleConnDuration); None for ever.
        max_duration: How old a connection may grow, in seconds (MaxConnDuration); None for ever.
        strategy: ``lifo`` or ``fifo`` (ConnPoolStrategy).

    Attributes:
        line: The callers in line, the first first (the keys); to be looked at, not to be changed.

    Raises:
        ValueError: A limit that leaves no room for anything, or an unknown strategy.
    """

    def __init__(
        self,
        max_conns: int,
        *,
        max_idle_duration: float | None = None,
        max_duration: float | None = None,
        strategy: PoolStrategy = "lifo",
    ) -> None:
        if strategy not in {"lifo", "fifo"}:
            raise ValueError(f"pool strategy {strategy!r}: there are 'lifo' and 'fifo'")
        for name, duration in (("max_idle_duration", max_idle_duration), ("max_duration", max_duration)):
            if duration is not None and duration <= 0:
                raise ValueError(f"{name} of {duration} s would close every connection at once; None means no limit")
        self._max_idle_duration = math.inf if max_idle_duration is None else max_idle_duration
        self._max_duration = math.inf if max_duration is None else max_duration
        self._lifo = strategy == "lifo"
        self._born: dict[C, float] = {}  # every open connection, and since when it is open
        # Those that serve nobody, and since when; in the order of release. A dictionary gives its last item as quickly as
        # one that is ordered; its first only after it has passed the places of all that have gone.
        self._idle: dict[C, float] = {} if self._lifo else OrderedDict()
        self._spent: list[C] = []  # forgotten, and not yet closed
        self.line: OrderedDict[W, None] = OrderedDict()  # whoever gives up leaves it at once, however long it is
        self._dialing = 0
        self.max_conns = max_conns

    @property
    def max_conns(self) -> int:
        """How many may be open or being dialed. Call `settle` after setting it."""
        return self._max_conns

    @max_conns.setter
    def max_conns(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"max_conns of {limit} would let nobody through; the least is 1")
        self._max_conns = limit

    @property
    def conns_count(self) -> int:
        """Slots in use: connections open or being dialed (rule 1)."""
        return len(self._born) + self._dialing

    @property
    def idle_count(self) -> int:
        """Connections that serve nobody."""
        return len(self._idle)

    @property
    def dialing_count(self) -> int:
        """Connections being dialed."""
        return self._dialing

    @property
    def waiting_count(self) -> int:
        """Callers in line."""
        return len(self.line)

    # --8<-- [start:acquire]
    def acquire(self, now: float) -> C | None:
        """Take an idle connection, if nobody stands in line for it; None if there is none: then `enter`.

        Args:
            now: The present, in seconds.
        """
        return None if self.line or not self._idle else self._take(now)  # rule 4; `settle` looks further

    def enter(self, caller: W) -> bool:
        """Stand in line for a connection. True if `settle` has something to decide: there is one, or a slot for one."""
        self.line[caller] = None
        return bool(self._idle or self._spent) or self.conns_count < self._max_conns

    def settle(self, now: float) -> Orders[C, W]:
        """Decide what happens next; to be called after every change.

        Args:
            now: The present, in seconds.
        """
        serve: list[tuple[W, C]] = []
        while self._idle and self.conns_count > self._max_conns:  # rule 1
            self._spend(self._oldest())
        while self.line and self._idle:  # rule 4
            connection = self._take(now)
            if connection is not None:
                serve.append((self.line.popitem(last=False)[0], connection))
        close, self._spent = self._spent, []
        dials = max(0, min(len(self.line) - self._dialing, self._max_conns - self.conns_count))  # rule 3
        self._dialing += dials
        return Orders(serve, dials, close)

    # --8<-- [end:acquire]

    def leave(self, caller: W) -> bool:
        """A caller gave up: take him out of the line. False if he has been served already."""
        if caller not in self.line:
            return False
        del self.line[caller]
        return True

    # --8<-- [start:dialed]
    def dialed(self, connection: C, now: float) -> None:
        """A dial succeeded: its connection joins the idle, from where `settle` gives it to the head of the line."""
        self._dialing -= 1
        self._born[connection] = now
        self._idle[connection] = now

    def dial_failed(self) -> W | None:
        """A dial failed: give the caller who is to hear of it, the head of the line. None if nobody waits any more."""
        self._dialing -= 1
        return self.line.popitem(last=False)[0] if self.line else None

    # --8<-- [end:dialed]

    def release(self, connection: C, now: float) -> bool:
        """A connection has done its work. True if it may serve again; False if it is too old, or unknown: close it."""
        born = self._born.get(connection)
        if born is None or now >= born + self._max_duration:
            self.discard(connection)
            return False
        self._idle[connection] = now
        return True

    def pass_on(self, connection: C, now: float) -> W | None:
        """A connection has done its work: give him who gets it next, the head of the line (rule 4).

        What `release` and `settle` would come to, in one step. None if they would not: nobody waits, or the connection may
        not serve again.
        """
        if not self.line or self.conns_count > self._max_conns or not self._is_young(connection, now):
            return None
        return self.line.popitem(last=False)[0]

    def discard(self, connection: C) -> bool:
        """Forget a connection, whether it was busy or idle: it is closed or about to be. False if it was unknown."""
        self._idle.pop(connection, None)
        return self._born.pop(connection, None) is not None

    def discard_idle(self) -> list[C]:
        """Forget all idle connections; they are to be closed."""
        idle = list(self._idle)
        for connection in idle:
            self.discard(connection)
        return idle

    def discard_expired(self, now: float) -> list[C]:
        """Forget the idle connections that outlived their time; they are to be closed."""
        idle_too_long = takewhile(lambda item: item[1] + self._max_idle_duration <= now, self._idle.items())
        too_old = takewhile(lambda item: item[1] + self._max_duration <= now, self._born.items())
        expired = dict.fromkeys(
            connection for connection, _ in chain(idle_too_long, too_old) if connection in self._idle
        )
        for connection in expired:
            self.discard(connection)
        return list(expired)

    def next_expiry(self, now: float) -> float | None:
        """When to call `discard_expired` again, in seconds; None if there is no need.

        Before then no connection outlives its time, not even one that becomes idle meanwhile. It takes no longer with many
        connections than with few: they stand in the order in which they expire.
        """
        if not self._born:
            return None
        idle_since = next(iter(self._idle.values()), now)
        births = (
            born
            for connection, born in self._born.items()
            if self._is_young(connection, now) or connection in self._idle
        )
        life_end = next(births, math.inf) + self._max_duration  # one that is busy and too old is closed on its release
        end = min(idle_since + self._max_idle_duration, life_end)
        return end if end < math.inf else None

    def is_dialing_for(self, caller: W) -> bool:
        """Whether a dial is under way for a caller in line (rule 3: the first in line have theirs)."""
        return caller in islice(self.line, self._dialing)

    def _is_young(self, connection: C, now: float) -> bool:
        born = self._born.get(connection)
        return born is not None and now < born + self._max_duration

    def _take(self, now: float) -> C | None:
        """Take the idle connection whose turn it is; None if it may not serve: then it is spent."""
        if self._lifo:
            connection, since = self._idle.popitem()
        else:
            connection = self._oldest()
            since = self._idle.pop(connection)
        outlived = since + self._max_idle_duration <= now or self._born[connection] + self._max_duration <= now
        if outlived or connection.closing:  # rule 5
            self._spend(connection)
            return None
        return connection

    def _oldest(self) -> C:
        """The connection idle longest."""
        return next(iter(self._idle))

    def _spend(self, connection: C) -> None:
        """Forget a connection; the next `settle` has it closed."""
        self.discard(connection)
        self._spent.append(connection)
