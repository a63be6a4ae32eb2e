"""The sim world: the hol lab in virtual time, from its command to its verdict."""

import subprocess
import sys
from pathlib import Path

import pytest

from labs import run, scenario
from labs.results import Verdict
from labs.worlds import find, names

ELSEWHERE = """
import shutil  # while it still sees what system this is
import sys
import sleepy.sim

class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name in {"fcntl", "grp", "pwd", "resource", "termios", "pyroute2"}:
            raise ImportError(f"{name} is not to be had on this system")

sys.meta_path.insert(0, Nowhere())
here, sys.platform = sys.platform, "win32"
import labs.meeting
sys.platform = here
from labs.__main__ import main

sys.exit(main(["run", "hol", "--world", "sim", "--out", sys.argv[1]]))
"""


@pytest.mark.parametrize("name", ["slow-response", "lost-segment"])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_lab_passes_for_every_seed(name: str, seed: int, tmp_path: Path) -> None:
    summary = run.play(scenario.find("hol", name), seed, "sim", "link", lambda _: None, tmp_path)
    assert (summary.verdict, summary.reasons) == (Verdict.PASS, [])


@pytest.mark.filterwarnings("ignore:Data has no positive values")  # all answers came in no time: the plot's axis minds
def test_without_impairment_there_is_nothing_to_see(tmp_path: Path) -> None:
    summary = run.play(scenario.find("hol", "slow-response"), 1, "sim", "off", lambda _: None, tmp_path)
    assert summary.verdict is not Verdict.PASS


def test_the_same_seed_leaves_the_same_bytes(tmp_path: Path) -> None:
    left = []
    for attempt in ("one", "other"):
        told: list[object] = []
        run.play(scenario.find("hol", "lost-segment"), 5, "sim", "link", told.append, tmp_path / attempt)
        assert told[-1] == {"done": 1200, "of": 1200, "phase": "HostClient, up to 16 connections"}
        folder = tmp_path / attempt / "hol" / "lost-segment-5"
        left.append([(folder / part).read_bytes() for part in ("left.pcap", "right.pcap", "events.jsonl")])
    assert left[0] == left[1]


def test_it_can_always_be_had_and_comes_last() -> None:
    one = scenario.find("hol", "lost-segment")
    assert find("sim").probe(one).impairment == "link"
    assert find("sim").probe(one, "off").impairment == "off"
    assert not find("sim").probe(one, "netem").ok
    assert names()[-1] == "sim"


def test_it_needs_nothing_that_only_some_systems_have(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path)]
    done = subprocess.run(command, cwd=pytestconfig.rootpath, capture_output=True, text=True, check=False, timeout=100)
    assert "PASS in all: slow-response PASS, lost-segment PASS" in done.stdout, done.stdout + done.stderr
