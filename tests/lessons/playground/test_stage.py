"""The contract of scenarios, held against every lesson's: deterministic, bounded, plain data, words for what is shown."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import pairwise

import pytest

from lessons.playground import Button, Cells, Lanes, Lives, Slider, Switch, Table
from lessons.playground.__main__ import drawn
from lessons.playground.stage import LESSONS, LINES, STEPS, Stage, load

LIST = sorted(path.parent.relative_to(LESSONS).as_posix() for path in LESSONS.glob("*/*/playground.py"))
ACKS = "udp/01-acks-by-the-dozen"


@pytest.fixture
def staged() -> Iterator[Callable[[str], Stage]]:
    """Makes stages, and closes them in the end."""
    with ExitStack() as made:
        yield lambda lesson: made.enter_context(closing(Stage(load(lesson))))


@pytest.fixture
def stage(staged) -> Stage:
    return staged(ACKS)


def orders(stage: Stage) -> list[dict[str, object]]:
    """A reader who steps, turns everything to both ends, presses all there is to press, and begins anew."""
    given: list[dict[str, object]] = []
    for control in stage.controls:
        given += [{"do": "step"}] * 12
        match control:
            case Slider(name=name, low=low, high=high, value=value):
                given += [{"do": "change", "name": name, "value": end} for end in (low, high, value)]
            case Switch(name=name):
                given += [{"do": "change", "name": name, "value": 1}, {"do": "step"}]
                given += [{"do": "change", "name": name, "value": 0}]
            case Button(name=name):
                given += [{"do": "act", "name": name, "value": ""}]
    return [*given, {"do": "step"}, {"do": "reset"}, *[{"do": "step"}] * 30]


@pytest.mark.parametrize("lesson", LIST)
def test_the_same_orders_are_shown_the_same(staged, lesson) -> None:
    one, other = staged(lesson), staged(lesson)
    for order in orders(one):
        assert one.obey(json.dumps(order)) == other.obey(json.dumps(order))


@pytest.mark.parametrize("lesson", LIST)
def test_looking_changes_nothing(staged, lesson) -> None:
    stage = staged(lesson)
    stage.view(20)
    assert stage.shown() == stage.shown()


@pytest.mark.parametrize("lesson", LIST)
def test_a_new_beginning_is_as_the_first(staged, lesson) -> None:
    stage = staged(lesson)
    first = [stage.obey('{"do": "step"}') for _ in range(30)]
    stage.reset()
    assert [stage.obey('{"do": "step"}') for _ in range(30)] == first


@pytest.mark.parametrize("lesson", LIST)
def test_views_are_plain_and_hold_together(staged, lesson) -> None:
    stage = staged(lesson)
    before = -1.0
    for _ in range(60):
        view = stage.view(1)
        assert view.now >= before, "time went back"
        before = view.now
        for part in view.parts:
            assert part.title
            if isinstance(part, Lanes):
                keys = [packet.key for packet in part.packets]
                assert len(keys) == len(set(keys))
                for packet in part.packets:
                    assert {packet.source, packet.target} <= set(part.hosts)
                    assert packet.sent <= packet.ends <= packet.due
                    assert packet.detail
                    assert (packet.fate == "flying") == (packet.ends > view.now) or packet.ends == view.now
            elif isinstance(part, Lives):
                for life in part.lives:
                    assert all(one.start <= one.end <= view.now for one in life.stretches)
                    assert all(one.end <= other.start for one, other in pairwise(life.stretches))
                    assert all(one.what for one in life.stretches), "the table says it in words"
            elif isinstance(part, Cells):
                assert all(cell.text for row in part.rows for cell in row.cells), "a tone alone says nothing"
            else:
                assert isinstance(part, Table)
                assert all(len(row) == len(part.head) for row in part.rows)


@pytest.mark.parametrize("lesson", LIST)
def test_it_ends(staged, lesson) -> None:
    """However long it is played, what is shown does not grow without end, and one day it is enough."""
    stage = staged(lesson)
    stage.view(STEPS // 2)
    half = len(json.dumps(stage.shown()))
    for _ in range(STEPS):
        stage.step()
    shown = stage.shown()
    assert shown["done"]
    assert shown["steps"] <= STEPS
    assert len(shown["log"]) <= LINES
    assert len(json.dumps(shown)) < 2 * half


@pytest.mark.parametrize("lesson", LIST)
def test_the_seed_makes_a_difference(staged, lesson) -> None:
    def course(seed: int) -> str:
        stage = staged(lesson)
        stage.change("seed", seed)
        return str([stage.view(1) for _ in range(150)])

    assert course(2) == course(2)
    assert len({course(seed) for seed in range(1, 6)}) > 1


@pytest.mark.parametrize(("path", "text"), drawn().items(), ids=LIST)
def test_the_still_picture_is_up_to_date(path, text) -> None:
    assert path.read_text(encoding="utf-8") == text, "draw it again: python -m lessons.playground draw"
    assert "<button" not in text  # nobody is there to hear it
    assert path.name in (path.parent / "index.md").read_text(encoding="utf-8"), (
        "the lesson does not include its picture"
    )
    assert not re.search(r"\n\s*\n", text)  # a blank line ends HTML in Markdown


# --- what the stage refuses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"do": "dance"}, "no such order"),
        ({"do": "change", "name": "rtt", "value": 9000}, "out of its range, 20 to 300"),
        ({"do": "change", "name": "rtt", "value": "much"}, "no such order"),
        ({"do": "change", "name": "colour", "value": 1}, "nothing to turn is called 'colour'"),
        ({"do": "act", "name": "sing", "value": ""}, "no action 'sing'"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(stage, order, reason) -> None:
    with pytest.raises(ValueError, match=reason):
        stage.obey(json.dumps(order))


def test_a_lesson_without_a_scenario_is_named() -> None:
    with pytest.raises(ValueError, match="no scenario"):
        load("udp/99-nothing")


# --- acks by the dozen -----------------------------------------------------------------------------------------------------


def knows(stage: Stage) -> dict[int, str]:
    """What the picture says of a's packets."""
    known = stage.view(0).parts[-2]
    assert isinstance(known, Cells)
    return {int(cell.label): cell.text for row in known.rows for cell in row.cells if cell.label}


def test_a_dropped_packet_of_a_is_never_acked(stage) -> None:
    stage.change("loss", 0)
    stage.step()
    stage.act("drop", "a1")
    assert "0 is lost: you dropped it" in stage.shown()["log"][-1]
    stage.view(40)
    known = knows(stage)
    assert known[0] == "×"
    assert known[1] == "✓"


def test_the_loss_of_an_answer_loses_no_ack(stage) -> None:
    """The lesson's point: the next answer says it all again."""
    stage.change("loss", 0)
    stage.change("every", 12)
    while not any("b sends 1;" in line for line in stage.shown()["log"]):
        stage.step()
    [flying] = [packet for packet in stage.view(0).parts[0].packets if packet.source == "b" and packet.fate == "flying"]
    stage.act("drop", flying.key)
    while not any("a receives b’s 2" in line for line in stage.shown()["log"]):
        stage.step()
    line = stage.shown()["log"][-1]
    assert [int(number) for number in re.findall(r"\d+", line.split("acks")[1])] == [*range(22, -1, -1)]


def test_who_answers_too_seldom_leaves_some_unacked(stage) -> None:
    """Of each forty, a header's 32 bits leave out eight."""
    stage.change("loss", 0)
    stage.change("every", 40)
    acked: list[int] = []
    while len(acked) < 32 * 3:
        stage.step()
        line = stage.shown()["log"][-1]
        if "which acks" in line and "nothing" not in line:
            acked += map(int, re.findall(r"\d+", line.split("acks")[1]))
    settled = range(min(acked), max(acked) + 1)
    assert len(settled) - len(set(acked)) == 2 * 8


def test_a_silent_listener_acks_nothing(stage) -> None:
    stage.change("silent", 1)
    stage.view(100)
    assert "✓" not in knows(stage).values()
