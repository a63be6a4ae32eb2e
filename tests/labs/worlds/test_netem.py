"""netem, the path most users take, is tried on every machine: where the kernel has none, in a virtual machine."""

import shlex
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from labs.results import Summary, Verdict
from labs.worlds import netns
from tests import vm
from tests.labs.worlds import play

# The other one asks 200 times a second, which is much for an emulated processor; its drop list is tried by the netns tests.
SCENARIOS = ["slow-response"]
PATIENCE = 3600.0  # seconds; some 300 on an idle machine, and it must not matter if it is busy

pytestmark = [pytest.mark.vm, pytest.mark.timeout(PATIENCE + 100)]


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One visit to the virtual machine, and what came back from it: the exit status of each command, and the runs."""
    if netns.probe(play.scenario(), "netem").ok:
        pytest.skip("this kernel has netem; the netns tests use it")
    if packages := vm.missing():
        pytest.skip(f"a virtual machine needs: apt-get install {' '.join(packages)}")
    out = tmp_path_factory.mktemp("vm")
    options = ["-q", "-p", "no:cacheprovider", f"--junitxml={out}/tests.xml", "-k", "netem"]
    tests = [sys.executable, "-m", "pytest", *options, "tests/labs/worlds/test_netns.py"]
    commands = {"tests": tests}
    for name in SCENARIOS:
        where = ["--world", "netns", "--impairment", "netem", "--out", str(out)]
        commands[name] = [sys.executable, "-m", "labs", "run", "hol", "--scenario", name, "--seed", "1", *where]
    script = "\n".join(f"{shlex.join(command)}; echo $? > {out}/{name}.status" for name, command in commands.items())
    vm.run(["sh", "-c", script], out, PATIENCE)
    return out


def status(visit: Path, name: str) -> int:
    return int((visit / f"{name}.status").read_text())


def test_the_captures_show_what_netem_was_asked_for(visit: Path) -> None:
    """The netem half of the tests of the netns world, none skipped."""
    (suite,) = ET.parse(visit / "tests.xml").getroot()
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", "0")
    assert int(suite.get("tests", 0)) >= 5


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_lab_passes_with_netem(visit: Path, name: str) -> None:
    summary = Summary.read(visit / f"hol/{name}-1/summary.json")
    assert (summary.world, summary.impairment) == ("netns", "netem")
    if summary.verdict is Verdict.NO_VERDICT:  # the lab itself says so, having tried three times
        pytest.skip(f"this machine emulates another too slowly for a verdict: {'; '.join(summary.reasons)}")
    assert summary.verdict is Verdict.PASS
    assert status(visit, name) == 0
