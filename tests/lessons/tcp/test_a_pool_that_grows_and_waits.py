"""What the lesson on the pool says is so: of the diagram, whose objects are the library's; of its runs, made again."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from inspect import signature

import pytest

from lessons import catalogue
from lessons.playground import Cells, Lanes, Lives, Packet
from lessons.playground.stage import STEPS, Stage, load
from sleepy.tcp import HostClient

LESSON = catalogue.find("tcp/01")
PAGE = " ".join(LESSON.text.split())


@pytest.fixture
def stage_with() -> Iterator[Callable[..., Stage]]:
    """Makes stages with these settings, and closes them in the end."""
    with ExitStack() as made:

        def stage_with(**settings: float) -> Stage:
            stage = made.enter_context(closing(Stage(load(LESSON.name))))
            for name, value in settings.items():
                stage.change(name, value)
            return stage

        yield stage_with


def until(stage: Stage, words: str) -> str:
    """Step until something is told; that line."""
    for _ in range(500):
        stage.step()
        line = stage.shown()["log"][-1]
        if words in line:
            return line
    raise AssertionError(f"{words!r} was never told")


def milliseconds(line: str) -> float:
    return float(line.partition(" ms")[0])


def part(stage: Stage, kind, title: str):
    [found] = [one for one in stage.view(0).parts if isinstance(one, kind) and title in one.title]
    return found


# --- the diagram -----------------------------------------------------------------------------------------------------------


IMPATIENT = {"every": 330, "rtt": 300, "end": 400}  # a server that ends connections while requests are on their way


@pytest.mark.parametrize(
    "settings",
    [{}, {"fifo": 1, "max_conns": 8}, {"max_conns": 2}, {"loss": 10, "wait": 400}, {"every": 400}, IMPATIENT],
)
def test_what_is_drawn_is_the_state_of_the_client(stage_with, settings) -> None:
    """The line, in its order; who is served by whom; who is idle: all at every step."""
    stage = stage_with(**settings)
    for number in range(150):
        stage.step()
        if number % 40 == 20:
            stage.act("burst", "")
        if number % 40 == 30:
            stage.act("leave", "")
        client = stage._scenario.client
        pool = client._pool
        line = [str(exchange.id + 1) for exchange in pool.line]
        cells = [cell.text for row in part(stage, Cells, "The line").rows for cell in row.cells]
        if line:
            assert [text for text in cells if text != "…"] == line[: len(cells) - ("…" in cells)]
        else:
            assert cells == ["–"]
        *connections, queue = part(stage, Lives, "The connections").lives
        assert queue.note == f"{len(line)} in line"
        served = [(one, one.exchange) for one in client._connections if one.exchange]
        serving = {f"c{one.number + 1}": f"serves {exchange.id + 1}" for one, exchange in served}
        notes = {life.label: life.note for life in connections if life.note != "closed"}
        assert {name: note for name, note in notes.items() if note.startswith("serves")} == serving
        idle = {f"c{one.number + 1}" for one in pool._idle}
        assert {name for name, note in notes.items() if note.startswith("idle")} == idle
        assert sum(note.startswith("dialing") for note in notes.values()) == pool.dialing_count
        assert len(notes) == pool.conns_count


def test_four_are_dialed_and_the_fifth_stands_in_line(stage_with) -> None:
    stage = stage_with()
    until(stage, "Caller 5 comes")
    log = " ".join(stage.shown()["log"])
    assert [f"dials c{number}" in log for number in range(1, 6)] == [True] * 4 + [False]
    assert re.search(r"c\d takes 5\. .*has the answer", until(stage, "takes 5"))
    assert "With the fifth that is over" in PAGE


def test_three_connections_send_one_in_seven_away(stage_with) -> None:
    stage = stage_with(max_conns=3)
    stage.view(STEPS)
    metrics = stage._scenario.client.metrics
    assert set(metrics.failures) == {"NoFreeConnections"}
    assert 0.11 < sum(metrics.failures.values()) / metrics.requests < 1 / 7
    assert "three and a half come: in the long run one in seven goes without" in PAGE


def test_who_loses_his_dial_takes_what_comes_free(stage_with) -> None:
    stage = stage_with()
    asked = milliseconds(until(stage, "The pool dials c4"))
    packets: list[Packet] = part(stage, Lanes, "Packets").packets
    [opening] = [one for one in packets if one.fate == "flying" and one.label == "S"]
    stage.act("drop", opening.key)
    served = until(stage, "takes 4")
    assert "c1 takes 4. 1 has the answer" in served or "1 has the answer. c1 takes 4" in served
    assert f"{milliseconds(served) - asked:.0f} ms. Caller 4 does not wait for *c4*" in PAGE
    assert f"Caller 1 has his answer after {milliseconds(served):.0f} ms" in PAGE
    opened = until(stage, "c4 is open")
    assert f"opens at {milliseconds(opened):,.0f} ms" in PAGE
    assert re.search(r"c4 takes \d+", opened)
    assert "c4 takes 4." not in opened


@pytest.mark.parametrize(("fifo", "left"), [(0, range(3, 4)), (1, range(6, 9))])
def test_after_a_burst_lifo_shrinks_and_fifo_does_not(stage_with, fifo, left) -> None:
    stage = stage_with(max_conns=8, every=100, fifo=fifo)
    for _ in range(30):
        stage.step()
    stage.act("burst", "")
    for _ in range(100):
        stage.step()
    assert stage._scenario.client.conns_count in left


def test_the_limit_is_raised_while_callers_wait(stage_with) -> None:
    stage = stage_with(max_conns=2)
    for _ in range(40):
        stage.step()
    client = stage._scenario.client
    assert client._pool.waiting_count > 2
    before = client._pool.dialing_count
    stage.change("max_conns", 4)
    assert client._pool.dialing_count == before + 2


def test_every_second_request_meets_a_farewell_and_no_caller_learns_of_it(stage_with) -> None:
    stage = stage_with(every=400, rtt=100, work=50, end=300)
    for _ in range(200):
        stage.step()
    metrics = stage._scenario.client.metrics
    assert metrics.requests // 2 - 1 <= metrics.retries <= metrics.requests // 2 + 1
    assert metrics.retries > 20
    assert metrics.failures == {}
    assert "The pool dials" in until(stage, "is to be sent once more"), "and not on another that was idle as long"
    assert "Every second request meets a farewell" in PAGE


# --- the runs --------------------------------------------------------------------------------------------------------------


def recorded(name: str):
    return json.loads((LESSON.folder / "run" / name / "record.json").read_text(encoding="utf-8"))


def test_a_run_gives_what_was_recorded(runs) -> None:
    """Of nine limits the one in the middle, or it would take too long."""
    [wanted] = [row for row in recorded("limits")["limits"] if row["max_conns"] == 10]
    assert runs.with_limit(10) == wanted


@pytest.mark.parametrize("strategy", ["lifo", "fifo"])
def test_a_burst_leaves_what_was_recorded(runs, strategy) -> None:
    assert runs.after_burst(strategy) == recorded("burst")[strategy]


def test_what_is_drawn_is_what_was_recorded(runs) -> None:
    for path, text in runs.drawn().items():
        assert path.read_text(encoding="utf-8") == text, f"draw it again: {runs.__doc__}"


def test_the_setting_is_the_one_the_program_has(runs) -> None:
    setting = recorded("limits")["setting"]
    now = {
        "rate": runs.RATE,
        "seconds": runs.SECONDS,
        "round_trip": runs.ROUND_TRIP,
        "work": runs.WORK,
        "seed": runs.SEED,
    }
    assert setting == now
    assert f"{runs.RATE} × {runs.ROUND_TRIP + runs.WORK:.2f} = {runs.RATE * (runs.ROUND_TRIP + runs.WORK):.0f}" in PAGE


def test_the_page_says_what_was_recorded() -> None:
    rows = {row["max_conns"]: row for row in recorded("limits")["limits"]}
    assert f"{rows[7]['p50']:.0f} ms with seven" in PAGE
    assert f"{rows[10]['p50']:.0f} ms with ten" in PAGE
    assert rows[24]["p50"] > 0.98 * rows[16]["p50"]
    assert 1 / 11 < rows[10]["refused"] < 1 / 10
    assert "nearly one caller in ten is sent away" in PAGE
    lifo, fifo = (recorded("burst")[strategy][-1] for strategy in ("lifo", "fifo"))
    assert (lifo, fifo) == (2, 10)
    assert "Two, and ten." in PAGE


def test_refusals_are_near_to_erlangs_formula() -> None:
    """A theory that is a hundred years older than the program: neither can be wrong by much."""
    for row in recorded("limits")["limits"]:
        assert 0 <= row["refused"] - row["erlang"] < 0.025


def test_erlangs_formula_is_that_of_his_tables(runs) -> None:
    assert runs.erlang(7, 10) == pytest.approx(0.0787, abs=1e-4)
    assert runs.erlang(1, 1) == 0.5
    assert runs.erlang(1, 2) == pytest.approx(0.2)


def test_the_defaults_are_those_of_the_table() -> None:
    defaults = {name: parameter.default for name, parameter in signature(HostClient).parameters.items()}
    assert defaults["max_conns"] == 512
    assert defaults["max_conn_wait_timeout"] is None
    assert defaults["max_idle_conn_duration"] == 10
    assert defaults["max_conn_duration"] is None
    assert defaults["pool_strategy"] == "lifo"
