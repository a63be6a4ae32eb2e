"""Runs of the lab that never happened: what two captures and a client would have recorded, had all gone by the model."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from labs.hol.model import simulate
from labs.hol.schedule import Plan, contenders, target, waits
from labs.results import Request
from labs.scenario import Scenario
from sleepy.sim import Link
from sleepy.trace import Event
from tests.labs.wire import Flow, Wire

START = 1_700_000_000.0
EXPERIMENTS = {
    "slow-response": ({"requests": 150, "interval": 0.030, "slow_one_in": 20, "slow_time": 0.5}, []),
    "lost-segment": ({"requests": 400, "interval": 0.005}, [60, 140, 220, 300, 380]),
}
LATE = 0.0004  # seconds between an answer's arrival and the program's notice of it


@dataclass
class IdealRun:
    """One run, and what may be changed about it before it is written.

    Attributes:
        scenario: What is recorded.
        seed: What its choices are drawn from.
        answer: Which request's answer a request gets, by its index.
        noise: By how much requests leave too early and answers are noticed too late, at most, in seconds.
        behave: As which contender a contender behaves in truth.
        merge: Whether a lost segment also carries the start of the answer behind it.
    """

    scenario: Scenario
    seed: int = 7
    answer: Callable[[int], int] = lambda index: index
    noise: float = 0.0
    behave: Callable[[Plan], Plan] = lambda plan: plan
    merge: bool = False
    wire: Wire = field(default_factory=Wire)
    events: list[Event] = field(default_factory=list)

    def record(self) -> "IdealRun":
        """Let every contender have its turn."""
        self.wire.delay = self.scenario.to_client.delay
        start = START
        for plan in contenders(self.scenario):
            requests = simulate(self.behave(plan), self.scenario, self.seed)
            self._record(plan, requests, start)
            start += max(request.done or 0.0 for request in requests) + 1
        return self

    def write(self, folder: Path) -> Path:
        """Leave it where the judge looks."""
        self.wire.write(folder)
        self.events.sort(key=lambda event: event.time)
        (folder / "events.jsonl").write_text("".join(event.to_json() + "\n" for event in self.events))
        return folder

    def _record(self, plan: Plan, requests: list[Request], start: float) -> None:
        drawn, flows = waits(self.scenario, self.seed), dict[int, Flow]()
        rng, last = random.Random(1), 0.0
        for request in sorted(requests, key=lambda request: request.sent or 0.0):
            sent = last = max(last, start + required(request.sent) - rng.uniform(0, self.noise))
            if request.connection not in flows:
                opened = sent - self.wire.delay * 2 - 0.001
                flows[request.connection] = self.wire.connect(opened, plan.port * 4 + request.connection, plan.port)
            path = target(plan.name, request.index, drawn[request.index])
            flows[request.connection].to_server(sent, f"GET {path} HTTP/1.1\r\nhost: server\r\n\r\n".encode())
            done = start + required(request.done) + LATE + rng.uniform(0, self.noise)
            self._tell(min(start + required(request.queued), sent) - 0.0002, "queued", request, target=path)
            self._tell(sent - 0.0001, "sent", request, connection=request.connection)
            self._tell(done, "done", request, status=200)
        ordered, borrowed = sorted(requests, key=lambda request: (request.connection, request.sent)), 0
        for request, behind in zip(ordered, [*ordered[1:], None], strict=True):
            lost = not request.innocent and drawn[request.index] == 0
            data = self._response(request)[borrowed:]
            borrowed = 20 if self.merge and lost and behind and behind.connection == request.connection else 0
            if behind and borrowed:
                data += self._response(behind)[:borrowed]
            flows[request.connection].to_client(
                start + required(request.answered),
                data,
                lost_until=start + required(request.arrived) - self.wire.delay if lost else None,
            )

    def _response(self, request: Request) -> bytes:
        return b"HTTP/1.1 200 OK\r\nx-request: %d\r\ncontent-length: 10\r\n\r\n0123456789" % self.answer(request.index)

    def _tell(self, time: float, verb: str, request: Request, **fields: str | int) -> None:
        self.events.append(Event(time, "client", f"request.{verb}", {"id": request.index, **fields}))


def required(time: float | None) -> float:
    assert time is not None
    return time


def scenario(name: str, *, delay: float = 0.025, drop: Iterable[int] | None = None, **figures: float) -> Scenario:
    """An experiment like one of the lab's, with figures that the tests can count on, and some of them changed."""
    usual, dropped = EXPERIMENTS[name]
    to_client = Link(delay=delay, drop=list(dropped if drop is None else drop))
    return Scenario("hol", name, name, Link(delay=delay), to_client, {**usual, **figures})


def unimpaired(name: str) -> Scenario:
    """What the lab plays with the impairment off: a perfect link, and no slow answers."""
    found = scenario(name).without_impairment()
    figures = {key: value for key, value in found.figures.items() if not key.startswith("slow_")}
    return replace(found, figures=figures)
