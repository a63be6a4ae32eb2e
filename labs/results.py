"""What a run found: the shape of ``summary.json``, and so of the table and the report drawn from it.

Times are in seconds since the run's first event, so that they can be laid beside each other; ``None`` where a thing never
happened. Three parties speak of every figure: the model before the run (*predicted*), the capture on the router's two
sides (*captured*), and the client's own clock (*program*). The verdict is the capture's; the program's must agree with it.
"""

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self


class Verdict(StrEnum):
    """How a run ended. The process exits with 0, 1, or 2."""

    PASS = "PASS"
    FAIL = "FAIL"
    NO_VERDICT = "NO VERDICT"

    @property
    def exit_code(self) -> int:
        """0 for PASS, 1 for FAIL, 2 when there is nothing to judge by."""
        return {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.NO_VERDICT: 2}[self]


@dataclass(slots=True)
class Request:
    """One request's life, as the capture tells it; ``queued`` and ``done`` are the program's own.

    Attributes:
        index: Its place among the contender's requests, from 0.
        connection: The number of its connection, from 0 in order of first use.
        innocent: Whether neither its own response is slow nor a segment of it was lost.
        queued: When the caller asked (program).
        sent: When its last byte left the client (left side of the router).
        at_server: When its last byte reached the server (right side).
        answered: When its response first left the server whole (right side).
        arrived: When the response's own bytes had all reached the client (left side).
        delivered: When TCP could hand it over: all bytes before it had arrived too.
        done: When the caller had the answer (program).
        held_by: The index of the request whose slow or lost response it waited for.
        why: ``slow`` or ``lost``, when it was held up.
    """

    index: int
    connection: int
    innocent: bool
    queued: float | None = None
    sent: float | None = None
    at_server: float | None = None
    answered: float | None = None
    arrived: float | None = None
    delivered: float | None = None
    done: float | None = None
    held_by: int | None = None
    why: str | None = None


@dataclass(slots=True)
class Figures:
    """What is said about a contender, whoever says it.

    Attributes:
        culprits: Slow responses, or lost segments.
        held: Innocent requests that waited for one of them.
        p50: Median time from sent to answered over the innocent, in seconds.
        p99: 99th percentile of the same.
        total: From the first request asked to the last answered, in seconds.
    """

    culprits: int
    held: int
    p50: float
    p99: float
    total: float

    @property
    def held_per_culprit(self) -> float:
        """The headline: innocent requests held up per slow response or lost segment."""
        return self.held / self.culprits if self.culprits else 0.0


@dataclass(slots=True)
class Contender:
    """One client's part of the run.

    Attributes:
        name: Such as ``pipeline-1``; the first part of its requests' paths.
        label: For people, such as ``PipelineClient, 1 connection``.
        port: The server's port it talked to.
        predicted: What the model said before the run.
        captured: What the capture shows.
        program: What the client's own clock says.
        requests: Each request's life.
    """

    name: str
    label: str
    port: int
    predicted: Figures
    captured: Figures
    program: Figures
    requests: list[Request]


@dataclass(slots=True)
class Direction:
    """What one direction of the link was asked to do, and did.

    Attributes:
        asked_delay: One way, in seconds.
        measured_delay: The median over all packets of the time between the router's two sides, in seconds.
        packets: How many entered.
        lost: How many never left.
        asked_lost: How many were to be lost by the drop list; ``None`` if loss was left to chance.
    """

    asked_delay: float
    measured_delay: float
    packets: int
    lost: int
    asked_lost: int | None


@dataclass(slots=True)
class Check:
    """One sentence that holds or does not.

    Attributes:
        name: What is held to be true, such as ``pipeline-1: held up per slow response``.
        expected: What was expected, for people.
        measured: What was found, for people.
        passed: Whether it holds.
    """

    name: str
    expected: str
    measured: str
    passed: bool


@dataclass(slots=True)
class Summary:
    """Everything a run found: ``summary.json``.

    Attributes:
        lab: The lab's name.
        scenario: The scenario's name.
        seed: What the run's choices were drawn from.
        world: Where it ran: ``netns``, ``compose``, ``loopback``.
        impairment: What bent the link: ``netem``, ``nfqueue``, ``relay``, ``off``.
        command: What to type to run it again.
        verdict: PASS, FAIL or NO VERDICT.
        reasons: Why, a sentence each; empty on a plain PASS.
        environment: What it ran on: kernel, Python, processor, congestion control, ...
        to_server: The link from client to server.
        to_client: The link from server to client.
        contenders: The clients that were compared.
        checks: What the verdict rests on.
        notes: What this world cannot show, and the like.
    """

    lab: str
    scenario: str
    seed: int
    world: str
    impairment: str
    command: str
    verdict: Verdict
    reasons: list[str]
    environment: dict[str, str]
    to_server: Direction
    to_client: Direction
    contenders: list[Contender]
    checks: list[Check]
    notes: list[str] = field(default_factory=list[str])

    def write(self, path: Path) -> None:
        """Leave it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read it back."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        raw["verdict"] = Verdict(raw["verdict"])
        raw["to_server"], raw["to_client"] = Direction(**raw["to_server"]), Direction(**raw["to_client"])
        raw["checks"] = [Check(**check) for check in raw["checks"]]
        raw["contenders"] = [_contender(contender) for contender in raw["contenders"]]
        return cls(**raw)


def _contender(raw: dict[str, Any]) -> Contender:
    for party in ("predicted", "captured", "program"):
        raw[party] = Figures(**raw[party])
    raw["requests"] = [Request(**request) for request in raw["requests"]]
    return Contender(**raw)
