"""The diagram of the lesson on head-of-line blocking shows what its pages say; its runs can be repeated."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict

import pytest

from lessons import catalogue
from lessons.playground import Cells, Lanes, Lives, Packet, Table
from lessons.playground.stage import Stage, load

LESSON = catalogue.find("tcp/02")
PAGE = " ".join(LESSON.text.split())
INSTRUCTORS = (LESSON.folder / "instructors.md").read_text(encoding="utf-8")
QUIET = 60  # steps until nobody waits for a dial any more


@pytest.fixture
def stage() -> Iterator[Stage]:
    with closing(Stage(load(LESSON.name))) as stage:
        yield stage


def settle(stage: Stage, **settings: float) -> None:
    """Begin with these settings, nothing slow unless asked for, and let all dials be done."""
    for name, value in {"one_in": 0, **settings}.items():
        stage.change(name, value)
    stage.reset()
    stage.view(QUIET)


def part(stage: Stage, kind: type, title: str = ""):
    [found] = [one for one in stage.view(0).parts if isinstance(one, kind) and title in one.title]
    return found


def figures(stage: Stage) -> dict[str, tuple[str, ...]]:
    """What the table says, of the pipeline and of the pool."""
    return {name: tuple(values) for name, *values in part(stage, Table).rows}


def notes(stage: Stage, client: str) -> dict[str, str]:
    """What is said of each request."""
    return {life.label: life.note for life in part(stage, Lives, client).lives}


def response(stage: Stage, to: str) -> Packet:
    """The response in the air that left the server last."""
    return [one for one in part(stage, Lanes).packets if one.fate == "flying" and one.target == to][-1]


def told(stage: Stage, words: str) -> str:
    """Step until a line has these words."""
    for _ in range(300):
        stage.step()
        line = stage.shown()["log"][-1]
        if words in line:
            return line
    raise AssertionError(f"nothing was said of {words!r}; the last was {line}")


def slow_one(stage: Stage) -> str:
    """Have one, and wait until it is over; its number."""
    stage.act("slow", "")
    number = re.search(r"Request (\d+) comes, a slow one", told(stage, "a slow one"))[1]
    told(stage, f"{number} is done")
    stage.view(60)
    return number


def test_one_slow_response_holds_up_the_pipeline_and_not_the_pool(stage) -> None:
    settle(stage)
    slow_one(stage)
    assert figures(stage)["held up by a slow one"] == ("9", "0")
    assert "**Nine** on the left, as many as come in 300 ms. On the right **none**." in PAGE
    assert figures(stage)["held up by a lost one"] == ("0", "0")


def test_who_waits_is_drawn_hatched_and_says_for_whom(stage) -> None:
    settle(stage)
    stage.act("slow", "")
    number = re.search(r"Request (\d+) comes, a slow one", told(stage, "a slow one"))[1]
    told(stage, f"{number} is done")
    for client, hatched in (("pipeline", True), ("pool", False)):
        lives = part(stage, Lives, client).lives
        waits = [one for life in lives for one in life.stretches if one.what == f"lies at the server behind {number}"]
        assert bool(waits) is hatched
        assert {one.tone for one in waits} <= {"open"}


def test_one_lost_response(stage) -> None:
    """The pipeline's neighbours pay for it; the pool's only itself, but longer."""
    settle(stage)
    for client in ("pipeline", "pool"):
        stage.act("drop", response(stage, client).key)
        assert "you dropped it" in stage.shown()["log"][-1]
    number, other = re.findall(r"response (\d+) is lost", " ".join(stage.shown()["log"]))
    assert number == other, "they were to be the same"
    kept = told(stage, "TCP keeps it")
    assert f"for {number} is missing (pipeline)" in kept
    told(stage, f"response {number} again (pipeline)")
    told(stage, f"{number} is done")
    took = {"pipeline": notes(stage, "pipeline")[number]}
    line = told(stage, f"{number} is done")
    stage.view(30)
    assert figures(stage)["held up by a lost one"] == ("4", "0")
    assert "four of them, at a round trip of 100 ms" in PAGE
    assert took["pipeline"] == "250 ms, lost"
    assert "after 409 ms (pool)" in line
    assert "250 ms there, 409 ms here" in PAGE
    assert "250 ms in the pipeline, 409 ms in the pool" in INSTRUCTORS


def test_a_lost_request_holds_up_those_behind_it(stage) -> None:
    """TCP keeps requests in order as well; the lost one is at the server when its second copy is."""
    settle(stage)
    packet = [one for one in part(stage, Lanes).packets if one.source == "pipeline" and one.fate == "flying"][-1]
    stage.act("drop", packet.key)
    told(stage, f"Request {packet.label} is at the server (pipeline)")
    [lost] = [life for life in part(stage, Lives, "pipeline").lives if life.label == packet.label]
    assert lost.stretches[0].what == "is on its way to the server"
    assert lost.stretches[0].end - lost.stretches[0].start > 0.150  # at a round trip of 100 ms
    stage.view(90)
    held, pool = figures(stage)["held up by a lost one"]
    assert int(held) >= 4
    assert pool == "0"


def test_of_two_slow_ones_the_nearer_is_to_blame(stage) -> None:
    settle(stage)
    numbers: list[str] = []
    for _ in range(2):
        stage.act("slow", "")
        numbers += re.findall(r"Request (\d+) comes, a slow one", told(stage, "a slow one"))
    told(stage, f"{int(numbers[1]) + 1} is done")
    told(stage, f"{int(numbers[1]) + 1} is done")  # through the pipeline, which is later
    whats = {
        one.what
        for life in part(stage, Lives, "pipeline").lives
        if int(life.label) > int(numbers[1])
        for one in life.stretches
    }
    assert f"lies at the server behind {numbers[1]}" in whats
    assert f"lies at the server behind {numbers[0]}" not in whats


def test_more_connections_hold_up_fewer(stage) -> None:
    settle(stage, pipeline=4)
    slow_one(stage)
    held, _ = figures(stage)["held up by a slow one"]
    assert int(held) < 9


def test_the_guard_keeps_newcomers_in_line(stage) -> None:
    """With one connection they wait on the near side instead: what is pending there does not grow."""
    settle(stage, guard=1, work=1000)
    stage.act("slow", "")
    told(stage, "a slow one")
    stage.view(60)
    cells: Cells = part(stage, Cells)
    lane, line = cells.rows
    assert lane.note == "stalled"
    assert len(line.cells) > 3


def test_what_is_told_has_no_loose_ends(stage) -> None:
    """Browsers would not show them, and then what they show would differ."""
    stage.view(5)
    stage.act("burst", "")
    stage.view(20)
    assert [line for line in stage.shown()["log"] if line != " ".join(line.split())] == []


# --- the runs --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded():
    return json.loads((LESSON.folder / "run/guard/record.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("load", "guard"), [("trickle", "without"), ("trickle", "with"), ("bursts", "with")])
def test_a_run_gives_what_was_recorded(runs, recorded, load, guard) -> None:
    seed = runs.SEEDS[0]
    assert runs.held(runs.LOADS[load], seed, stall_guard=guard == "with") == recorded[load][guard][0]


def test_the_setting_is_the_one_the_program_has(runs, recorded) -> None:
    assert {name: asdict(load) for name, load in runs.LOADS.items()} == {
        name: one["load"] for name, one in recorded.items()
    }


def test_what_is_drawn_is_what_was_recorded(runs) -> None:
    for path, text in runs.drawn().items():
        assert path.read_text(encoding="utf-8") == text, f"draw it again: {runs.__doc__}"


def test_the_page_says_what_was_recorded(recorded) -> None:
    trickle, bursts = recorded["trickle"], recorded["bursts"]
    assert sum(trickle["without"]) == sum(trickle["with"]), "None to speak of."
    assert max(bursts["with"]) < min(bursts["without"]) / 2
    assert "Of eleven that are held up on four connections" in PAGE
    assert sum(trickle["without"]) / 3 == 11
