"""A pool that grows and waits: callers come, the production pool decides who gets which connection, dials and closes.

Nobody is at the other end: a dial takes as long as the slider says, a request about as long. All decisions are those of
`sleepy.tcp.pool.ConnectionPool`; here they are only carried out.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random

from lessons.playground import Button, Cell, Cells, Row, Scenario, Slider, Table, View
from sleepy.tcp.pool import ConnectionPool, Orders

BURST = 5  # callers at once
REMEMBERED = 6  # callers in the table of those served last


@dataclass(eq=False, slots=True)
class Connection:
    """What the pool knows of a connection, and whom it serves."""

    name: str
    caller: str = ""
    served: int = 0
    closing: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """A caller who got his connection; times in seconds."""

    name: str
    came: float
    waited: float
    connection: str


class Playground(Scenario):
    """The production pool under step control."""

    title = "A connection pool, and the callers in line"
    controls = (
        Slider(name="max_conns", label="max_conns", low=1, high=8, step=1, value=4),
        Slider(name="every", label="A caller every", low=20, high=300, step=10, value=60, unit="ms"),
        Slider(name="work", label="A request takes about", low=20, high=500, step=10, value=200, unit="ms"),
        Slider(name="dial", label="A dial takes", low=10, high=300, step=10, value=100, unit="ms"),
        Slider(name="idle", label="Idle at most", low=100, high=2000, step=100, value=500, unit="ms", restarts=True),
        Button(name="burst", label=f"{BURST} callers at once"),
        Button(name="leave", label="The last in line gives up"),
    )
    still = 30

    def __init__(self, settings: Mapping[str, float]) -> None:
        super().__init__(settings)
        self.now = 0.0
        self.chance = Random(f"{settings['seed']:g} work")  # a text, so that no version of Python sees another number
        self.pool = ConnectionPool[Connection, str](
            int(settings["max_conns"]), max_idle_duration=settings["idle"] / 1000
        )
        self.open: list[Connection] = []  # in the order of their dials
        self.line: dict[str, float] = {}  # who waits, and since when
        self.recent: deque[Served] = deque(maxlen=REMEMBERED)
        self.served = 0
        self.longest = 0.0  # wait, in seconds
        self.callers, self.connections, self.order = count(1), count(1), count()
        self.agenda: list[tuple[float, int, Callable[[], str]]] = []
        self._at(0.0, self._arrive)

    def changed(self) -> None:
        """A new limit holds at once: the pool dials or closes."""
        self.pool.max_conns = int(self.settings["max_conns"])
        self._carry_out(self.pool.settle(self.now))

    def step(self) -> str:
        """The next caller, dial or end of a request; before it, if its time comes, the end of what was idle too long."""
        expiry = self.pool.next_expiry(self.now)
        if expiry is not None and expiry < self.agenda[0][0]:
            self.now = max(self.now, expiry)
            expired = self.pool.discard_expired(self.now)
            if expired:
                return self._told(f"{self._close(expired)}: idle for too long.")
        time, _, happen = heappop(self.agenda)
        self.now = time
        return self._told(happen())

    def act(self, name: str, value: str) -> str:
        """More callers, or one less."""
        if name == "burst":
            return self._told(" ".join(self._call() for _ in range(BURST)))
        if name != "leave":
            return super().act(name, value)
        if not self.line:
            return self._told("Nobody stands in line.")
        caller = list(self.line)[-1]
        self.pool.leave(caller)
        del self.line[caller]
        return self._told(f"caller {caller} gives up; a dial that is under way goes on, for whoever comes next.")

    # --- what happens --------------------------------------------------------------------------------------------------

    def _at(self, time: float, happen: Callable[[], str]) -> None:
        heappush(self.agenda, (time, next(self.order), happen))

    def _told(self, what: str) -> str:
        return f"{self.now * 1000:.1f} ms: {what}"

    def _arrive(self) -> str:
        self._at(self.now + self.settings["every"] / 1000, self._arrive)
        return self._call()

    def _call(self) -> str:
        caller = str(next(self.callers))
        connection = self.pool.acquire(self.now)
        if connection is not None:
            return f"caller {caller} comes. {self._serve(caller, self.now, connection)}"
        self.line[caller] = self.now
        self.pool.enter(caller)
        done = self._carry_out(self.pool.settle(self.now))
        full = self.pool.conns_count >= self.pool.max_conns
        reason = "Every slot is in use." if full else "A dial is under way already."
        return f"caller {caller} comes, and stands in line. {done or reason}"

    def _carry_out(self, orders: Orders[Connection, str]) -> str:
        said = [self._serve(caller, self.line.pop(caller), connection) for caller, connection in orders.serve]
        for _ in range(orders.dials):
            self._at(self.now + self.settings["dial"] / 1000, self._dialed)
        if orders.dials:
            said.append("The pool dials." if orders.dials == 1 else f"The pool dials {orders.dials} times.")
        if orders.close:
            said.append(f"{self._close(orders.close)}.")
        return " ".join(said)

    def _serve(self, caller: str, came: float, connection: Connection) -> str:
        connection.caller = caller
        connection.served += 1
        self.served += 1
        self.longest = max(self.longest, self.now - came)
        self.recent.append(Served(caller, came, self.now - came, connection.name))
        work = self.settings["work"] / 1000 * self.chance.uniform(0.5, 1.5)
        self._at(self.now + work, partial(self._finish, connection))
        return f"{connection.name} serves {caller}."

    def _dialed(self) -> str:
        connection = Connection(f"c{next(self.connections)}")
        self.open.append(connection)
        self.pool.dialed(connection, self.now)
        done = self._carry_out(self.pool.settle(self.now))
        return f"{connection.name} is open. {done or 'Nobody needs it any more: it waits.'}"

    def _finish(self, connection: Connection) -> str:
        told = f"{connection.name} is done with {connection.caller}."
        connection.caller = ""
        following = self.pool.pass_on(connection, self.now)
        if following is not None:
            return f"{told} {self._serve(following, self.line.pop(following), connection)}"
        self.pool.release(connection, self.now)
        return f"{told} {self._carry_out(self.pool.settle(self.now))}".strip()

    def _close(self, connections: list[Connection]) -> str:
        for connection in connections:
            self.open.remove(connection)
        return f"The pool closes {', '.join(connection.name for connection in connections)}"

    # --- what there is to see ------------------------------------------------------------------------------------------

    def view(self) -> View:
        """The slots, the line, those served last, and the pool's own figures."""
        pool = self.pool
        slots = [
            Cell(one.name, f"serves {one.caller}" if one.caller else "idle", "yes" if one.caller else "plain")
            for one in self.open
        ]
        slots += [Cell("…", "dialing", "open")] * pool.dialing_count
        slots += [Cell("–", "free", "absent")] * (pool.max_conns - pool.conns_count)
        waits = [Cell(caller, f"{(self.now - came) * 1000:.0f} ms") for caller, came in self.line.items()]
        shown = 16
        rest = f"and {len(waits) - shown} more" if len(waits) > shown else ""
        line = [Row("", waits[at : at + 8]) for at in range(0, min(len(waits), shown), 8)]
        line += [Row("", [Cell("…", rest)])] if rest else []
        recent = [
            (one.name, f"{one.came * 1000:.0f} ms", f"{one.waited * 1000:.0f} ms", one.connection)
            for one in self.recent
        ]
        return View(
            self.now,
            [
                Cells(
                    f"The slots: {pool.conns_count} of {pool.max_conns} in use",
                    [Row("", slots[at : at + 4]) for at in range(0, len(slots), 4)],
                ),
                Cells("The line: who waits, and how long", line or [Row("", [Cell("–", "nobody waits", "absent")])]),
                Table("Served last", ("caller", "came", "waited", "by"), recent),
                Table(
                    "What the pool says of itself",
                    ("", ""),
                    [
                        ("conns_count", str(pool.conns_count)),
                        ("idle_count", str(pool.idle_count)),
                        ("dialing_count", str(pool.dialing_count)),
                        ("waiting_count", str(pool.waiting_count)),
                        ("served so far", str(self.served)),
                        ("longest wait", f"{self.longest * 1000:.0f} ms"),
                    ],
                ),
            ],
        )
