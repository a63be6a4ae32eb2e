"""`labs.hol.judge` on runs that went by the model, and on runs in which one thing went wrong.

The numbers are those of its three questions.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labs.hol.judge import judge
from labs.hol.model import predict
from labs.hol.schedule import Kind, Plan
from labs.results import Summary, Verdict
from labs.scenario import Scenario
from tests.labs.hol.ideal import IdealRun, scenario, unimpaired
from tests.labs.wire import CLIENT

SCENARIOS = ("slow-response", "lost-segment")


def grade(folder: Path, asked: Scenario, *, seed: int = 7, impairment: str = "nfqueue") -> Summary:
    return judge(folder, asked, seed, world="netns", impairment=impairment, command="make lab-hol", environment={})


def failed(summary: Summary) -> list[str]:
    return [check.name for check in summary.checks if not check.passed]


@pytest.mark.parametrize("noise", [0.0, 0.004])
@pytest.mark.parametrize("seed", [1, 7])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_that_went_as_predicted_passes(tmp_path: Path, name: str, seed: int, noise: float) -> None:
    asked = scenario(name)
    summary = grade(IdealRun(asked, seed, noise=noise).record().write(tmp_path), asked, seed=seed)
    assert (summary.verdict, summary.reasons, failed(summary)) == (Verdict.PASS, [], [])
    assert all(contender.captured.culprits == contender.predicted.culprits > 0 for contender in summary.contenders)


def test_figures_without_noise_are_those_of_the_model(tmp_path: Path) -> None:
    asked = scenario("lost-segment")
    summary = grade(IdealRun(asked).record().write(tmp_path), asked)
    assert [contender.predicted for contender in summary.contenders] == [
        one.figures for one in predict(asked, 7).values()
    ]
    for contender in summary.contenders:
        for figures, late in ((contender.captured, 0.0), (contender.program, 0.0005)):
            assert (figures.culprits, figures.held) == (contender.predicted.culprits, contender.predicted.held)
            assert figures.p50 == pytest.approx(contender.predicted.p50 + late, abs=1e-5)
            assert figures.p99 == pytest.approx(contender.predicted.p99 + late, abs=1e-5)
            assert figures.total == pytest.approx(contender.predicted.total + late, abs=1e-5)
    assert summary.to_client.lost == summary.to_client.asked_lost == 15
    assert (summary.to_server.lost, summary.to_server.asked_lost) == (0, 0)
    assert summary.to_client.measured_delay == pytest.approx(0.025, abs=1e-6)


def test_a_lost_segment_counts_once_though_it_carried_parts_of_two_answers(tmp_path: Path) -> None:
    asked = scenario("lost-segment")
    single = grade(IdealRun(asked, merge=True).record().write(tmp_path), asked).contenders[0]
    assert sum(not request.innocent for request in single.requests) == 10
    assert (single.captured.culprits, single.program.culprits) == (5, 5)
    assert single.captured.held_per_culprit == pytest.approx(single.predicted.held_per_culprit - 1)


def test_times_count_from_the_runs_first_event_and_the_summary_reads_back(tmp_path: Path) -> None:
    asked = scenario("slow-response")
    summary = grade(IdealRun(asked).record().write(tmp_path), asked)
    first = summary.contenders[0].requests[0]
    assert first.queued is not None
    assert first.done is not None
    assert 0 <= first.queued < first.done < 1
    summary.write(tmp_path / "summary.json")
    assert Summary.read(tmp_path / "summary.json") == summary


# Question 1: is it evidence?


@pytest.mark.parametrize(
    ("got", "verdict"), [(0.0272, Verdict.PASS), (0.0280, Verdict.NO_VERDICT), (0.0220, Verdict.NO_VERDICT)]
)
def test_a_link_that_is_off_by_more_than_a_tenth_is_no_evidence(tmp_path: Path, got: float, verdict: Verdict) -> None:
    run = IdealRun(scenario("slow-response", delay=got)).record()
    summary = grade(run.write(tmp_path), scenario("slow-response"))
    assert summary.verdict is verdict
    if verdict is Verdict.NO_VERDICT:
        assert failed(summary)[:2] == ["link to the server: delay one way", "link to the client: delay one way"]
        assert "expected 25.0 ms" in summary.reasons[0]
        assert f"found {got * 1e3:.1f} ms" in summary.reasons[0]


@pytest.mark.parametrize(("share", "verdict"), [(0.08, Verdict.PASS), (0.15, Verdict.NO_VERDICT)])
def test_a_link_that_is_often_late_is_no_evidence(tmp_path: Path, share: float, verdict: Verdict) -> None:
    asked = scenario("slow-response")
    run = IdealRun(asked).record()
    for place in range(0, len(run.wire.right), round(1 / share)):
        segment = run.wire.right[place]
        late = 0.014 if segment.source[0] == CLIENT else -0.014
        run.wire.right[place] = segment._replace(time=segment.time + late)
    run.wire.right.sort()
    summary = grade(run.write(tmp_path), asked)
    assert summary.verdict is verdict
    assert ("link to the server: steady" in failed(summary)) == (verdict is Verdict.NO_VERDICT)
    assert ("link to the client: steady" in failed(summary)) == (verdict is Verdict.NO_VERDICT)


@pytest.mark.parametrize(
    "got", [[60, 140, 220, 300], [60, 100, 140, 220, 300, 380], [61, 140, 220, 300, 380], []],
)  # fmt: skip
def test_losses_other_than_the_listed_are_no_evidence(tmp_path: Path, got: list[int]) -> None:
    summary = grade(IdealRun(scenario("lost-segment", drop=got)).record().write(tmp_path), scenario("lost-segment"))
    assert summary.verdict is Verdict.NO_VERDICT
    assert "pipeline-1: segments lost, by place" in failed(summary)
    assert ("link to the client: segments lost" in failed(summary)) == (len(got) != 5)


def test_a_loss_on_the_way_to_the_server_is_no_evidence(tmp_path: Path) -> None:
    asked = scenario("slow-response")
    run = IdealRun(asked).record()
    run.wire.right.remove(next(segment for segment in run.wire.right if segment.source[0] == CLIENT))
    summary = grade(run.write(tmp_path), asked)
    assert summary.verdict is Verdict.NO_VERDICT
    assert "link to the server: segments lost" in failed(summary)


def nothing(segments: list[object]) -> None:
    segments.clear()


def without_a_contender(segments: list[object]) -> None:
    segments[:] = [one for one in segments if 8002 not in {one.source[1], one.destination[1]}]


def without_the_last_answer(segments: list[object]) -> None:
    segments.pop()


@pytest.mark.parametrize("spoil", [nothing, without_a_contender, without_the_last_answer])
def test_a_capture_in_which_something_is_missing_is_no_evidence(
    tmp_path: Path, spoil: Callable[[list[object]], None]
) -> None:
    asked = scenario("slow-response")
    run = IdealRun(asked).record()
    spoil(run.wire.left)
    spoil(run.wire.right)
    summary = grade(run.write(tmp_path), asked)
    assert summary.verdict is Verdict.NO_VERDICT
    assert any("each request answered" in name for name in failed(summary))


def test_an_empty_capture_an_unreadable_one_and_a_missing_trace_are_named(tmp_path: Path) -> None:
    run = IdealRun(scenario("slow-response")).record()
    run.wire.left.clear()
    run.write(tmp_path)
    (tmp_path / "right.pcap").write_text("something else")
    (tmp_path / "events.jsonl").unlink()
    summary = grade(tmp_path, scenario("slow-response"))
    assert summary.verdict is Verdict.NO_VERDICT
    for name, reason in zip(("left.pcap holds no TCP", "right.pcap", "events.jsonl"), summary.reasons, strict=False):
        assert name in reason


def test_an_answer_to_somebody_else_is_no_evidence(tmp_path: Path) -> None:
    asked = scenario("slow-response")
    run = IdealRun(asked, answer=lambda index: index + (index == 12)).record()
    summary = grade(run.write(tmp_path), asked)
    assert summary.verdict is Verdict.NO_VERDICT
    assert "another's answer came for the requests 12" in summary.reasons[0]


def test_with_nothing_asked_of_the_link_nothing_captured_is_still_no_evidence(tmp_path: Path) -> None:
    summary = grade(tmp_path, unimpaired("slow-response"), impairment="off")
    assert summary.verdict is Verdict.NO_VERDICT
    assert failed(summary)[:2] == ["link to the server: delay one way", "link to the client: delay one way"]


# Question 2: is the effect there, as predicted?


@pytest.mark.parametrize("name", SCENARIOS)
def test_without_impairment_there_is_no_effect_to_see(tmp_path: Path, name: str) -> None:
    asked = unimpaired(name)
    summary = grade(IdealRun(asked).record().write(tmp_path), asked, impairment="off")
    assert summary.verdict is Verdict.FAIL
    assert "no effect to see" in summary.reasons[0]


def test_with_the_impairment_off_a_run_cannot_pass_whatever_it_shows(tmp_path: Path) -> None:
    asked = scenario("slow-response")
    summary = grade(IdealRun(asked).record().write(tmp_path), asked, impairment="off")
    assert summary.verdict is Verdict.FAIL
    assert "no effect to see" in summary.reasons[0]


def parallel(plan: Plan) -> Plan:
    return replace(plan, kind=Kind.HOST, connections=16)


def single(plan: Plan) -> Plan:
    return replace(plan, kind=Kind.PIPELINE, connections=1)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize(
    ("behave", "wrong"),
    [
        (parallel, ["pipeline-1: held up per culprit", "which contender holds up more"]),
        (
            single,
            [
                "pipeline-4: held up per culprit",
                "hostclient-16: held up per culprit",
                "which contender holds up more",
            ],
        ),
    ],
)
def test_contenders_that_behave_otherwise_than_predicted_fail(
    tmp_path: Path, name: str, behave: Callable[[Plan], Plan], wrong: list[str]
) -> None:
    asked = scenario(name)
    summary = grade(IdealRun(asked, behave=behave).record().write(tmp_path), asked)
    assert summary.verdict is Verdict.FAIL
    assert failed(summary) == wrong
    assert len(summary.reasons) == len(wrong) + (behave is parallel)


def test_one_stall_much_longer_than_predicted_changes_nothing_but_three_do(tmp_path: Path) -> None:
    """Medians over the culprits decide."""
    asked = scenario("lost-segment")
    for stalls, verdict in ((1, Verdict.PASS), (3, Verdict.FAIL)):
        run = IdealRun(asked).record()
        answers = [segment for segment in run.wire.right if segment.source[1] == 8001 and segment.payload]
        places = [segment.sequence for segment in answers]
        again = [segment for place, segment in enumerate(answers) if segment.sequence in places[:place]]
        numbers = {segment.identification for segment in again[:stalls]}
        for side in (run.wire.left, run.wire.right):
            side[:] = [one._replace(time=one.time + 0.15 * (one.identification in numbers)) for one in side]
            side.sort()
        summary = grade(run.write(tmp_path), asked)
        assert summary.contenders[0].captured.held_per_culprit > 1.35 * summary.contenders[0].predicted.held_per_culprit
        assert summary.verdict is verdict
        assert ("pipeline-1: held up per culprit" in failed(summary)) == (verdict is Verdict.FAIL)


# Question 3: does the program tell the same story?


def test_a_program_that_tells_of_other_connections_fails(tmp_path: Path) -> None:
    asked = scenario("slow-response")
    run = IdealRun(asked).record()
    run.events = [
        event._replace(fields={**event.fields, "connection": event.time}) if "connection" in event.fields else event
        for event in run.events
    ]
    summary = grade(run.write(tmp_path), asked)
    assert summary.verdict is Verdict.FAIL
    assert failed(summary) == ["pipeline-1: program agrees, who"]


def test_a_program_whose_clock_says_otherwise_is_no_evidence(tmp_path: Path) -> None:
    asked = scenario("slow-response")
    run = IdealRun(asked).record()
    run.events = [
        event._replace(time=event.time + 0.015) if event.name == "request.done" else event for event in run.events
    ]
    summary = grade(run.write(tmp_path), asked)
    assert summary.verdict is Verdict.NO_VERDICT
    assert [name for name in failed(summary) if "how long" in name] == failed(summary)
    assert len(failed(summary)) == 3


def test_a_program_that_tells_nothing_of_a_contender_is_no_evidence(tmp_path: Path) -> None:
    asked = scenario("lost-segment")
    run = IdealRun(asked).record()
    run.events = [event for event in run.events if "pipeline-4" not in str(event.fields.get("target"))]
    summary = grade(run.write(tmp_path), asked)
    assert summary.verdict is Verdict.NO_VERDICT
    assert "pipeline-4: program agrees, who" in failed(summary)
