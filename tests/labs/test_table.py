"""`labs.table`: what must be readable on a terminal."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from labs.hol.judge import judge
from labs.results import Direction, Summary, Verdict
from labs.table import link_line, show
from tests.labs.hol.ideal import IdealRun, scenario


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    asked = scenario("lost-segment")
    IdealRun(asked).record().write(tmp_path)
    return judge(
        tmp_path, asked, 7, world="netns", impairment="nfqueue", command="x", environment={}, notes=["[a] note"]
    )


def shown(summary: Summary, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    show(summary, console)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_each_figure_stands_under_the_party_that_says_it(summary: Summary) -> None:
    lines = shown(summary)
    assert next(line for line in lines if "predicted" in line).split() == ["predicted", "captured", "program"]
    summary.contenders[0].predicted.held = 61
    summary.contenders[0].captured.held = 62
    summary.contenders[0].program.held = 63
    rows = [line.split() for line in shown(summary)]
    assert ["innocent", "requests", "held", "up", "61", "62", "63"] in rows
    assert ["held", "up", "per", "lost", "segment", "12.2", "12.4", "12.6"] in rows


def test_every_contender_has_its_name_and_its_callers_whole_wait(summary: Summary) -> None:
    lines = shown(summary)
    for contender in summary.contenders:
        assert any(contender.label in line for line in lines)
    waits = [line.split("wait")[1].split() for line in lines if "p50 / p99 of the whole wait" in line]
    assert waits[-1] == ["51", "/", "101", "ms"]  # the host client's first requests also waited for their connections


def test_the_link_is_said_to_have_done_what_it_did() -> None:
    asked = Direction(asked_delay=0.025, measured_delay=0.02518, packets=412, lost=5, asked_lost=5)
    assert link_line("client", asked) == "to the client: asked 25.0 ms one way, measured 25.2 ms; asked 5 lost, lost 5"
    assert "asked by chance lost" not in link_line("client", replace(asked, asked_lost=None))
    assert link_line("client", replace(asked, asked_lost=None)).endswith("loss left to chance, lost 5")


def test_the_verdict_is_the_last_line_and_its_reasons_stand_above_it(summary: Summary) -> None:
    assert shown(summary)[-1] == "PASS"
    summary.checks[0].passed = False
    summary.verdict, summary.reasons = Verdict.NO_VERDICT, ["the link [to nowhere] was off"]
    lines = shown(summary)
    assert lines[-2:] == ["because the link [to nowhere] was off", "NO VERDICT"]


def test_a_check_that_fails_says_what_was_expected(summary: Summary) -> None:
    assert not any("FAILS" in line for line in shown(summary))
    summary.checks[0].passed = False
    (line,) = [line for line in shown(summary, width=160) if line.startswith("FAILS")]
    assert "link to the server: delay one way" in line
    assert "25.0 ms over" in line
    assert "expected 25.0 ms, give or take 2.5 ms" in line


def test_what_the_innocent_waited_for_is_named(summary: Summary) -> None:
    assert any("held up per lost segment" in line for line in shown(summary))
    for contender in summary.contenders:
        for request in contender.requests:
            request.why = request.why and "slow"
    assert any("held up per slow response" in line for line in shown(summary))
    for contender in summary.contenders:
        contender.requests = []
    assert any("held up per culprit" in line for line in shown(summary))


def test_notes_are_shown_as_they_are(summary: Summary) -> None:
    assert "note: [a] note" in shown(summary)


def test_it_fits_the_usual_terminal(summary: Summary) -> None:
    """Figures and link stand in lines of their own; only what was found by a check may be folded."""
    narrow, wide = (
        [line.split() for line in shown(summary, width) if re.match(r"   \S|to the", line)] for width in (80, 160)
    )
    assert narrow == wide
    assert len(narrow) == 2 + 3 * 6


def test_a_run_of_which_nothing_was_captured_can_be_shown(tmp_path: Path) -> None:
    summary = judge(
        tmp_path, scenario("slow-response"), 7, world="netns", impairment="off", command="x", environment={}
    )
    assert shown(summary)[-1] == "NO VERDICT"
