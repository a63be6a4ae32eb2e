"""Runs that never happened, for tests of what is drawn from a run: requests laid out by a few lines of arithmetic."""

import random
from collections.abc import Callable
from statistics import median

from labs.results import Check, Contender, Direction, Figures, Request, Summary, Verdict

DELAY = 0.025  # one way, in seconds
LABELS = {
    "pipeline-1": "PipelineClient, 1 connection",
    "pipeline-4": "PipelineClient, 4 connections",
    "hostclient-16": "HostClient, up to 16 connections",
}


def slow_response(requests: int = 150, interval: float = 0.030) -> Summary:
    """One response in twenty takes half a second to make."""
    rng = random.Random(7)
    slow = {start + rng.randrange(20) for start in range(0, requests, 20)}
    waits = [0.5 if index in slow else 0.0 for index in range(requests)]

    def live(request: Request, behind: list[Request]) -> None:
        wait = waits[request.index]
        request.innocent = wait == 0
        assert request.sent is not None
        request.at_server = request.sent + DELAY
        free = max((before.answered or 0.0 for before in behind), default=0.0)
        request.answered = max(request.at_server, free) + wait + rng.uniform(0.0002, 0.0006)
        request.arrived = request.delivered = request.answered + DELAY
        if request.innocent and free > request.at_server + 0.002:
            request.held_by, request.why = (
                next(b.index if not b.innocent else b.held_by for b in reversed(behind)),
                "slow",
            )

    return _summary("slow-response", [_contender(name, requests, interval, live, rng) for name in LABELS])


def lost_segment(requests: int = 400, interval: float = 0.005) -> Summary:
    """Five chosen segments are lost once; a lonely one is missed only when its timer fires."""
    rng = random.Random(7)
    lost = {60, 140, 220, 300, 380}

    def live(request: Request, behind: list[Request]) -> None:
        assert request.sent is not None
        request.innocent = request.index not in lost
        request.at_server = request.sent + DELAY
        request.answered = request.at_server + rng.uniform(0.0002, 0.0006)
        repair = 0.0 if request.innocent else 2 * DELAY + 3 * interval if behind else 0.26
        request.arrived = request.answered + DELAY + repair
        free = max((before.delivered or 0.0 for before in behind), default=0.0)
        request.delivered = max(request.arrived, free)
        if request.innocent and free > request.arrived:
            request.held_by, request.why = (
                next(b.index if not b.innocent else b.held_by for b in reversed(behind)),
                "lost",
            )

    return _summary("lost-segment", [_contender(name, requests, interval, live, rng) for name in LABELS])


def no_effect() -> Summary:
    """A perfect link and a prompt server: nothing to see."""
    summary = slow_response()
    for contender in summary.contenders:
        contender.requests = [Request(i, 0, innocent=True, queued=i * 0.03, done=i * 0.03 + 0.002) for i in range(150)]
        nothing = _figures(contender.requests)
        contender.predicted = contender.captured = contender.program = nothing
    summary.verdict, summary.reasons = (
        Verdict.FAIL,
        ["there was no effect to see: nothing was slow and nothing was lost"],
    )
    summary.impairment, summary.checks = "off", []
    return summary


def _contender(
    name: str, requests: int, interval: float, live: Callable[[Request, list[Request]], None], rng: random.Random
) -> Contender:
    kind, _, connections = name.partition("-")
    lines: list[list[Request]] = [[] for _ in range(int(connections))]
    began = 1.0 + 7.0 * list(LABELS).index(name)
    for index in range(requests):
        asked = began + index * interval + rng.uniform(0, 0.0005)
        free = [line[-1].done or 0.0 if line else 0.0 for line in lines]
        idle = next((place for place, since in enumerate(free) if 0 < since < asked), free.index(min(free)))
        connection = index % len(lines) if kind == "pipeline" else idle
        line = lines[connection]
        dial = 2 * DELAY if kind == "hostclient" and not line else 0.0
        ready = asked + dial if kind == "pipeline" else max(asked + dial, free[connection])
        request = Request(index, connection, innocent=True, queued=asked, sent=ready + 0.0003)
        live(request, line if kind == "pipeline" else [])
        assert request.delivered is not None
        request.done = request.delivered + rng.uniform(0.0002, 0.0008)
        line.append(request)
    everyone = sorted((request for line in lines for request in line), key=lambda request: request.index)
    found = _figures(everyone)
    return Contender(name, LABELS[name], 8001 + list(LABELS).index(name), found, found, found, everyone)


def _figures(requests: list[Request]) -> Figures:
    innocent = sorted((r.done or 0.0) - (r.queued or 0.0) for r in requests if r.innocent)
    return Figures(
        culprits=sum(not request.innocent for request in requests),
        held=sum(request.innocent and request.held_by is not None for request in requests),
        p50=median(innocent),
        p99=innocent[round(0.99 * (len(innocent) - 1))],
        total=max(r.done or 0.0 for r in requests) - min(r.queued or 0.0 for r in requests),
    )


def _summary(scenario: str, contenders: list[Contender]) -> Summary:
    losses = 5 * len(contenders) if scenario == "lost-segment" else 0
    return Summary(
        lab="hol",
        scenario=scenario,
        seed=7,
        world="netns",
        impairment="nfqueue",
        command=f"python -m labs run hol --world netns --scenario {scenario} --seed 7",
        verdict=Verdict.PASS,
        reasons=[],
        environment={
            "kernel": "Linux 6.1.0-28-amd64",
            "python": "CPython 3.11.2",
            "processor": "AMD EPYC 7B13, 2 cores",
            "congestion control": "cubic",
            "offloads": "tso, gso and gro off",
        },
        to_server=Direction(DELAY, 0.02521, 1403, 0, 0),
        to_client=Direction(DELAY, 0.02518, 1398, losses, losses),
        contenders=contenders,
        checks=[
            Check("pipeline-1: held up per culprit", "16.0 give or take 25 %", "16.4", passed=True),
            Check("hostclient-16: held up per culprit", "0", "0", passed=True),
            Check("capture and program agree", "within 10 %", "off by 0.4 %", passed=True),
            Check("delay to the server", "25.0 ms give or take 10 %", "25.2 ms", passed=True),
        ],
        notes=["The link was bent in user space (NFQUEUE): delays are as good as the scheduler, here within 0.3 ms."],
    )
