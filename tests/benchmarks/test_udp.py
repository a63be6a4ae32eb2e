"""`benchmarks.udp` runs: with the smallest load, to see that it measures what it says, not how fast anything is."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.udp import crowd, goodput
from benchmarks.udp.rounds import Pair

ROOT = Path(__file__).parents[2]


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks.udp", "--quick", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


def test_every_contender_has_a_figure_or_is_named_as_left_out(tmp_path: Path) -> None:
    result = bench("echo", "bulk", "--only", "sleepy", "ENet", "--json", str(tmp_path / "figures.json"))
    assert result.returncode == 0, result.stderr
    figures: dict[str, Any] = json.loads((tmp_path / "figures.json").read_text())
    assert {"sleepy", "sleepy plain"} <= figures["echo"].keys() & figures["bulk"].keys()
    assert "ENet" in figures["echo"] or "ENet is left out: enet" in result.stderr
    for part in figures.values():
        for name, row in part.items():
            assert f"| {name} " in result.stdout
            assert {side: len(turns) for side, turns in row.items()} == {"client": 2, "both": 2}
            assert all(0 < mine < all_ for mine, all_ in zip(row["client"], row["both"], strict=True))


def test_an_unknown_part_is_named() -> None:
    result = bench("ecko")
    assert result.returncode == 2
    assert "no part 'ecko'; there are: echo, bulk, crowd, goodput" in result.stderr


def test_a_contender_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match=r"nobody has failed:(?s:.*)invalid choice: 'nobody'"):
        Pair("nobody", Path(sys.executable), ROOT)


def test_the_source_is_not_measured_as_compiled() -> None:
    with pytest.raises(RuntimeError, match=r"sleepy compiled is to be measured, and this is something else: .*\.py"):
        Pair("sleepy compiled", Path(sys.executable), ROOT)


def test_each_message_of_the_crowd_is_answered() -> None:
    few = crowd.gather(3)
    assert crowd.turn(few, few.ends) > 0
    assert [line.connection.statistics().packets_received for _, line in few.ends] == [2, 2, 2]
    cells = crowd.costs(12, 4)
    assert {name: len(cell.turns) for name, cell in cells.items()} == dict.fromkeys(
        ("10 peers", "12 peers, the same speak", "12 peers, others speak"), 4
    )
    assert 1000 < crowd.memory(10, spoke=False) < crowd.memory(10, spoke=True)


def test_a_clean_path_is_nearly_filled_and_shared() -> None:
    (one,) = goodput.simulated("Bbr", 0.0, 3.0)
    assert 0.2 < one < 1
    two = goodput.simulated("Bbr", 0.0, 6.0, flows=2)
    assert 0.7 < sum(two) <= 1
    assert goodput.jain([1.0, 1.0]) == 1.0
    assert goodput.jain([1.0, 0.0]) == 0.5
