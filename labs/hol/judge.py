"""The verdict on a run, from its captures.

Three questions in this order, each made of checks that go into the summary; a later one means nothing unless the earlier
are settled:

1. **Is it evidence?** The link delayed by what the scenario asked, within a tenth, and did so steadily; it lost what the
   drop list says and nothing else; every request was asked once, as scheduled, and answered once, by its own answer; and
   what an innocent request took is the same by the program's clock. If not: NO VERDICT. On a machine with too much else to
   do the router is late, or the program, and neither proves anything.
2. **Is the effect there, as predicted?** Where nobody had to wait there was no effect to see. The innocent held up by a
   culprit must be as many as the model said, give or take a third or two requests: a busy machine moves a few requests
   across the edge of a stall, but does not make four of twelve. The first contender must hold up more than the second,
   and that no less than the third; and of a host client's requests none may wait: one request at a time on a connection
   leaves nobody behind it. If not: FAIL.
3. **Does the program tell the same story?** A program on a busy machine notices things late, by some milliseconds; what
   came that close to the end of a stall it cannot tell. All others it must call held up or not as the capture does, but
   for two behind each culprit. If not: FAIL, for one of the two is wrong.

Medians over the culprits and over the requests decide, for it happens that the whole machine stands still, once.

PASS is what remains when every check held; an empty capture fails at the first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from labs.analysis.percentiles import percentile
from labs.analysis.streams import connections
from labs.analysis.transit import Crossing, delays, lost
from labs.capture import CaptureError, Segment, read
from labs.hol.holding import figures, held_by_each, summarize
from labs.hol.model import Prediction, predict
from labs.hol.observe import Observed, Told, by_capture, by_program, held_by_program
from labs.hol.schedule import Kind, Plan, contenders, waits
from labs.results import Check, Contender, Direction, Figures, Request, Summary, Verdict
from labs.scenario import Scenario
from sleepy import trace
from sleepy.sim import Link

OFF = 0.10  # how far a delay may be off, as a share of the asked one
LEAST_OFF = 0.001  # but no less than this, in seconds: a router takes time even where no delay is asked
UNSTEADY = 0.50  # how much longer than asked one segment in ten may take, as a share of the asked delay
LEAST_UNSTEADY = 0.010  # but no less than this, in seconds
SPREAD = 0.35  # how far from the prediction the capture may be, as a share of it
LEAST_SPREAD = 2.0  # but no less than this, in requests per culprit
LATE = 0.010  # how late the program may notice things, in seconds
OTHERWISE = 2  # requests behind a culprit that it may tell otherwise than the capture even so, in the median


@dataclass(slots=True)
class _Findings:
    """The checks so far, and how those that failed bear on the verdict."""

    checks: list[Check]
    evidence: list[str]
    effect: list[str]

    def add(self, check: Check, reasons: list[str]) -> None:
        self.checks.append(check)
        if not check.passed:
            reasons.append(f"{check.name}: expected {check.expected}, found {check.measured}")

    @property
    def verdict(self) -> Verdict:
        return Verdict.NO_VERDICT if self.evidence else Verdict.FAIL if self.effect else Verdict.PASS


def judge(
    folder: Path,
    scenario: Scenario,
    seed: int,
    *,
    world: str,
    impairment: str,
    command: str,
    environment: Mapping[str, str],
    notes: Sequence[str] = (),
) -> Summary:
    """Grade the run in a folder by its ``left.pcap``, ``right.pcap`` and ``events.jsonl``.

    Args:
        folder: The run's folder.
        scenario: What was asked; without impairment and without slow answers if the run was to show that no effect is seen.
        seed: What its choices were drawn from.
        world: Where it ran.
        impairment: What bent the link; ``off`` can never pass.
        command: What to type to run it again.
        environment: What it ran on.
        notes: What this world cannot show, and the like.
    """
    findings = _Findings([], [], [])
    left, right = (_read(folder / name, findings.evidence) for name in ("left.pcap", "right.pcap"))
    began, stories = _stories(folder / "events.jsonl", findings.evidence)
    start = min([*began, *(segment.time for segment in left[:1] + right[:1])], default=0.0)
    found, predicted = connections(left, right), predict(scenario, seed)

    plans, schedule = contenders(scenario), waits(scenario, seed)
    there = [crossing for connection in found for crossing in connection.to_server.crossings]
    back = [crossing for connection in found for crossing in connection.to_client.crossings]
    to_server = _direction(scenario.to_server, there, len(plans))
    to_client = _direction(scenario.to_client, back, len(plans))
    for name, direction, crossed in (("server", to_server, there), ("client", to_client, back)):
        findings.add(_delay_check(name, direction), findings.evidence)
        findings.add(_steadiness_check(name, direction, crossed), findings.evidence)
        if direction.asked_lost is not None:
            findings.add(_loss_check(name, direction), findings.evidence)
    judged: list[Contender] = []
    for plan in plans:
        observed = by_capture(plan, found, schedule)
        story = stories.get(plan.name, {})
        findings.add(_answers_check(plan, observed, len(schedule)), findings.evidence)
        if scenario.to_client.drop:
            findings.add(_places_check(plan, observed, scenario.to_client), findings.evidence)
        contender = _contender(plan, predicted[plan.name].figures, observed, story)
        findings.add(_held_check(plan, predicted[plan.name], observed), findings.effect)
        findings.add(_same_story_check(contender, story), findings.effect)
        findings.add(_same_times_check(contender, story), findings.evidence)
        _since(start, contender.requests)
        judged.append(contender)
    findings.add(_order_check(judged), findings.effect)
    if impairment == "off" or not any(contender.captured.held for contender in judged):
        findings.effect.insert(0, "no effect to see: no innocent request waited for a slow or lost answer")
    reasons = findings.evidence or findings.effect
    return Summary(
        scenario.lab, scenario.name, seed, world, impairment, command, findings.verdict, reasons, dict(environment),
        to_server, to_client, judged, findings.checks, list(notes),
    )  # fmt: skip


def _read(path: Path, reasons: list[str]) -> list[Segment]:
    try:
        segments = read(path)
    except CaptureError as error:
        reasons.append(str(error))
        return []
    if not segments:
        reasons.append(f"{path} holds no TCP segment: nothing was captured")
    return segments


def _stories(path: Path, reasons: list[str]) -> tuple[list[float], dict[str, dict[int, Told]]]:
    """When the client's events began, and what they tell."""
    try:
        with path.open(encoding="utf-8") as lines:
            events = list(trace.read(lines))
        return [event.time for event in events[:1]], by_program(events)
    except (OSError, ValueError) as error:
        reasons.append(f"{path} cannot be read as the run's trace: {error}")
        return [], {}


def _direction(link: Link, crossed: Sequence[Crossing], contenders: int) -> Direction:
    took = delays(crossed)
    measured = median(took) if took else 0.0
    by_chance = link.loss or link.burst is not None or link.queue is not None or link.mtu is not None
    asked_lost = None if by_chance else contenders * len(link.drop)
    return Direction(link.delay, measured, len(crossed), len(lost(crossed)), asked_lost)


def _contender(plan: Plan, predicted: Figures, observed: Observed, story: Mapping[int, Told]) -> Contender:
    """Put the three parties' figures side by side, and the program's times into the requests."""
    culprits = len(observed.culprits)
    guilty = {request.index for request in observed.requests if not request.innocent}
    for request in observed.requests:
        told = story.get(request.index)
        request.queued, request.done = (told.queued, told.done) if told else (None, None)
    spans = [(told.index not in guilty, told.sent, told.done) for told in story.values()]
    program = summarize(culprits, len(held_by_program(story, guilty)), spans)
    captured = figures(observed.requests, culprits)
    return Contender(plan.name, plan.label, plan.port, predicted, captured, program, observed.requests)


def _since(start: float, requests: Iterable[Request]) -> None:
    """Count all times from the run's first event."""
    for request in requests:
        for name in ("queued", "sent", "at_server", "answered", "arrived", "delivered", "done"):
            time = getattr(request, name)
            if time is not None:
                setattr(request, name, time - start)


# Question 1: is it evidence?


def _delay_check(name: str, direction: Direction) -> Check:
    margin = max(OFF * direction.asked_delay, LEAST_OFF)
    passed = direction.packets > 0 and abs(direction.measured_delay - direction.asked_delay) <= margin
    expected = f"{direction.asked_delay * 1e3:.1f} ms, give or take {margin * 1e3:.1f} ms"
    measured = f"{direction.measured_delay * 1e3:.1f} ms over {direction.packets} segments"
    return Check(f"link to the {name}: delay one way", expected, measured, passed)


def _steadiness_check(name: str, direction: Direction, crossed: Sequence[Crossing]) -> Check:
    limit = direction.asked_delay + max(UNSTEADY * direction.asked_delay, LEAST_UNSTEADY)
    most = percentile(sorted(delays(crossed)), 0.90)
    return Check(
        f"link to the {name}: steady",
        f"nine in ten segments within {limit * 1e3:.1f} ms",
        f"nine in ten segments within {most * 1e3:.1f} ms",
        most <= limit,
    )


def _loss_check(name: str, direction: Direction) -> Check:
    passed = direction.lost == direction.asked_lost
    return Check(f"link to the {name}: segments lost", str(direction.asked_lost), str(direction.lost), passed)


def _answers_check(plan: Plan, observed: Observed, count: int) -> Check:
    answered = sum(request.delivered is not None for request in observed.requests)
    measured = "; ".join([f"{answered} answered", *observed.complaints])
    expected = f"{count} answered, each by its own answer"
    return Check(f"{plan.name}: each request answered", expected, measured, not observed.complaints)


def _places_check(plan: Plan, observed: Observed, link: Link) -> Check:
    places = [loss.place for loss in observed.losses]
    late = [loss.again - loss.lost for loss in observed.losses if loss.again is not None]
    passed = places == sorted(link.drop)
    measured = f"{', '.join(map(str, places)) or 'none'}"
    if late:
        measured += f"; {len(late)} sent again, {median(late) * 1e3:.0f} ms later in the median"
    return Check(
        f"{plan.name}: segments lost, by place",
        ", ".join(map(str, link.drop)),
        measured,
        passed,
    )


# Question 2: is the effect there, as predicted?


def _held_check(plan: Plan, predicted: Prediction, observed: Observed) -> Check:
    name = f"{plan.name}: held up per culprit"
    held = held_by_each(observed.requests, observed.culprits)
    found = median(held) if held else 0
    measured = f"{found:g} in the median ({sum(held)} by {len(held)})"
    if plan.kind is Kind.HOST:
        return Check(name, "0 by any", measured, not any(held))
    asked = median(predicted.held) if predicted.held else 0
    margin = max(SPREAD * asked, LEAST_SPREAD)
    return Check(name, f"{asked:g} in the median, give or take {margin:.1f}", measured, abs(found - asked) <= margin)


def _order_check(judged: Sequence[Contender]) -> Check:
    """The first holds up more than the second, and none more than the one before it."""
    values = [contender.captured.held_per_culprit for contender in judged]
    passed = values[0] > values[1] and all(one >= other for one, other in pairwise(values))
    names = [contender.name for contender in judged]
    expected = f"{names[0]} > {' >= '.join(names[1:])}"
    return Check(
        "which contender holds up more",
        expected,
        ", ".join(f"{value:.1f}" for value in values) + " per culprit",
        passed,
    )


# Question 3: does the program tell the same story?


def _same_story_check(contender: Contender, story: Mapping[int, Told]) -> Check:
    culprits = {request.index for request in contender.requests if not request.innocent}
    by_wire = {request.index for request in contender.requests if request.held_by is not None}
    surely, perhaps = (held_by_program(story, culprits, slack) for slack in (LATE, -LATE))
    behind = dict.fromkeys(culprits, 0)
    for index in (surely - by_wire) | (by_wire - perhaps):
        nearest = max((culprit for culprit in culprits if culprit < index), default=min(culprits))
        behind[nearest] += 1
    otherwise = median(behind.values()) if behind else 0
    measured = f"{otherwise:g} (capture {len(by_wire)}, program {contender.program.held} in all)"
    expected = f"at most {OTHERWISE} told otherwise behind a culprit, in the median"
    return Check(f"{contender.name}: program agrees, who", expected, measured, bool(story) and otherwise <= OTHERWISE)


def _same_times_check(contender: Contender, story: Mapping[int, Told]) -> Check:
    name = f"{contender.name}: program agrees, how long"
    apart = [
        abs((told.done - told.sent) - (request.delivered - request.sent))
        for request in contender.requests
        if (told := story.get(request.index)) and request.innocent
        and told.done is not None and told.sent is not None
        and request.delivered is not None and request.sent is not None
    ]  # fmt: skip
    measured = f"{median(apart) * 1e3:.1f} ms apart in the median" if apart else "nothing to compare"
    return Check(
        name, f"at most {LATE * 1e3:.0f} ms apart in the median", measured, bool(apart) and median(apart) <= LATE
    )
