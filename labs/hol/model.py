"""The prediction: what each contender must meet, worked out before the run.

A small simulation of the experiment in which nothing is random and nothing but the link and the slow answers takes time.
It is told what the scenario says and the seed draws, never what happened. Rules:

1. **Clients.** A pipeline gives a request to a connection with nothing pending, else opens one more if it may, else takes
   the one with the least pending; a request counts as pending until it is answered. A host client gives it to the
   connection that came free last, else opens one more if it may, else lets it wait in line; who waits takes the first
   connection that is there. To open a connection takes a round trip.
2. **Server.** It answers each connection's requests in order, one after the other. An answer is one segment.
3. **Drop list.** The k-th segment with data to the client is lost if k is on the list; one sent again counts again.
4. **Found by what follows** (RACK, RFC 8985). Each segment that arrives behind a missing one is reported at once (SACK,
   RFC 2018), and the report is with the sender a round trip after that segment was sent. A segment is held lost when three
   behind it are reported, or one is and it was sent longer ago than a round trip and the reordering window, a quarter of
   the least round trip. Then it is sent again. So the answer comes late by a round trip, and by what the reports needed:
   three segments, or one segment and at most the quarter.
5. **Found by silence.** With nothing behind it there is no report, and a timer must do. On Linux that is a round trip and
   200 ms, be it the probe of RFC 8985, section 7.2 (two round trips, and 200 ms for an ack that may be delayed, but no
   later than the timeout) or the timeout itself (RFC 6298, where Linux sets the variance's term to 200 ms at least).

For example, an answer every 5 ms on one connection and a round trip of 50 ms: found lost after 62.5 ms, which is earlier
than the third report (65 ms), so the answer is 62.5 ms late, and the 12 that came in that time are held up.

Left out: jitter, rates, random loss, losses to the server, what congestion control does (the load is far below what the
window allows), and the ticks of the kernel's clock (Linux lets the window's timer run two longer, 2 to 8 ms). Those who
were held up are found by the same rules as in a capture, `labs.hol.holding`.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import NamedTuple

from labs.hol.holding import blame, figures, held_by_each
from labs.hol.schedule import Kind, Plan, contenders, waits
from labs.results import Figures, Request
from labs.scenario import Scenario

_REPORTS = 3  # rule 4: RFC 8985's DupThresh
_WINDOW = 1 / 4  # rule 4: of the least round trip
_PATIENCE = 0.200  # rule 5: Linux's TCP_RTO_MIN, in seconds


class Prediction(NamedTuple):
    """What a contender will meet.

    Attributes:
        figures: In sum.
        held: How many innocent requests each culprit holds up.
    """

    figures: Figures
    held: list[int]


def predict(scenario: Scenario, seed: int) -> dict[str, Prediction]:
    """What each contender will meet, by its name."""
    predicted: dict[str, Prediction] = {}
    for plan in contenders(scenario):
        requests = simulate(plan, scenario, seed)
        held = held_by_each(requests, [{request.index} for request in requests if not request.innocent])
        predicted[plan.name] = Prediction(figures(requests, len(held)), held)
    return predicted


def simulate(plan: Plan, scenario: Scenario, seed: int) -> list[Request]:
    """Each request's life, times in seconds since the first was asked."""
    drawn = waits(scenario, seed)
    run = _Run(plan, scenario, drawn)
    for index in range(len(drawn)):
        run.at(index * float(scenario.figures["interval"]), partial(run.ask, index))
    run.finish()
    slow = {index for index, wait in enumerate(drawn) if wait > 0}
    for connection in run.connections:
        blame(connection.requests, slow, run.lost)
    return run.requests


@dataclass(slots=True, eq=False)
class _Missing:
    """A segment that was lost and not yet sent again."""

    request: Request
    since: float
    reports: int = 0


@dataclass(slots=True, eq=False)
class _Connection:
    """One connection, on both of its ends."""

    number: int
    opens: float
    pending: int = 0
    free: float = 0.0  # when the server will have answered all it has
    requests: list[Request] = field(default_factory=list[Request])
    missing: list[_Missing] = field(default_factory=list[_Missing])
    delivered: int = 0


class _Run:
    """One contender's run: a queue of things to happen, and what each of them brings about."""

    def __init__(self, plan: Plan, scenario: Scenario, drawn: list[float]) -> None:
        self.connections: list[_Connection] = []
        self.requests = [Request(index, -1, innocent=True) for index in range(len(drawn))]
        self.lost: set[int] = set()
        self._plan, self._waits = plan, drawn
        self._there, self._back = scenario.to_server.delay, scenario.to_client.delay
        self._drop = frozenset(scenario.to_client.drop)
        self._counted = 0
        self._line: deque[Request] = deque()
        self._idle: list[_Connection] = []
        self._now = 0.0
        self._order = count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []

    @property
    def _round_trip(self) -> float:
        return self._there + self._back

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Let something happen; things of the same nanosecond happen in the order of their announcement."""
        heapq.heappush(self._queue, (round(time, 9), next(self._order), action))

    def finish(self) -> None:
        """Let everything happen."""
        while self._queue:
            self._now, _, action = heapq.heappop(self._queue)
            action()

    # The client (rule 1)

    def ask(self, index: int) -> None:
        """A caller asks."""
        request = self.requests[index]
        request.queued = self._now
        if self._plan.kind is Kind.HOST:
            self._line.append(request)
            self._settle()
            return
        least = min(self.connections, key=lambda connection: connection.pending, default=None)
        if least is None or (least.pending and len(self.connections) < self._plan.connections):
            least = self._open()
        self._send(request, least)

    def _open(self) -> _Connection:
        connection = _Connection(len(self.connections), self._now + self._round_trip)
        self.connections.append(connection)
        return connection

    def _settle(self) -> None:
        while self._line and self._idle:
            self._send(self._line.popleft(), self._idle.pop())
        opening = sum(connection.opens > self._now for connection in self.connections)
        if len(self._line) > opening and len(self.connections) < self._plan.connections:
            connection = self._open()
            self.at(connection.opens, partial(self._come_free, connection))

    def _come_free(self, connection: _Connection) -> None:
        self._idle.append(connection)
        self._settle()

    def _send(self, request: Request, connection: _Connection) -> None:
        request.connection = connection.number
        request.sent = max(self._now, connection.opens)
        connection.pending += 1
        connection.requests.append(request)
        self.at(request.sent + self._there, partial(self._serve, request, connection))

    # The server (rule 2)

    def _serve(self, request: Request, connection: _Connection) -> None:
        request.at_server = self._now
        connection.free = max(self._now, connection.free) + self._waits[request.index]
        request.answered = connection.free
        self.at(connection.free, partial(self._transmit, request, connection))

    # The way to the client

    def _transmit(self, request: Request, connection: _Connection) -> None:
        self._counted += 1
        if self._counted in self._drop:  # rule 3
            self.lost.add(request.index)
            missing = _Missing(request, self._now)
            connection.missing.append(missing)
            self.at(self._now + self._round_trip + _PATIENCE, partial(self._again, missing, connection))  # rule 5
        else:
            sent = self._now
            self.at(sent + self._back, partial(self._arrive, request, connection))
            self.at(sent + self._round_trip, partial(self._report, sent, connection))

    def _report(self, sent: float, connection: _Connection) -> None:
        """The sender hears that a segment sent at ``sent`` has arrived (rule 4)."""
        for missing in [missing for missing in connection.missing if missing.since < sent]:
            missing.reports += 1
            deadline = missing.since + self._round_trip * (1 + _WINDOW)
            if missing.reports >= _REPORTS or self._now >= deadline:
                self._again(missing, connection)
            else:
                self.at(deadline, partial(self._again, missing, connection))

    def _again(self, missing: _Missing, connection: _Connection) -> None:
        if missing in connection.missing:
            connection.missing.remove(missing)
            self._transmit(missing.request, connection)

    def _arrive(self, request: Request, connection: _Connection) -> None:
        request.arrived = self._now
        while connection.delivered < len(connection.requests):
            head = connection.requests[connection.delivered]
            if head.arrived is None:
                break
            head.delivered = head.done = self._now
            connection.delivered += 1
            connection.pending -= 1
            if self._plan.kind is Kind.HOST:
                self._come_free(connection)
