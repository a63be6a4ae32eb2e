"""netem, the path most users take, is tried on every machine: where the kernel has none, in a virtual machine."""

from xml.etree import ElementTree as ET

import pytest

from labs.results import Summary, Verdict
from tests.labs.worlds import netem_visit

PATIENCE = 3600.0  # seconds; some 300 on an idle machine, and it must not matter if it is busy

pytestmark = [pytest.mark.vm, pytest.mark.timeout(PATIENCE + 100)]


@pytest.fixture(scope="module")
def visit() -> netem_visit.Visit:
    visit = netem_visit.begin()
    if isinstance(visit, str):
        pytest.skip(visit)
    visit.wait(PATIENCE)
    return visit


def test_the_captures_show_what_netem_was_asked_for(visit: netem_visit.Visit) -> None:
    """The netem half of the tests of the netns world, none skipped."""
    (suite,) = ET.parse(visit.out / "tests.xml").getroot()
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", "0")
    assert int(suite.get("tests", 0)) >= 5


@pytest.mark.parametrize("name", netem_visit.SCENARIOS)
def test_the_lab_passes_with_netem(visit: netem_visit.Visit, name: str) -> None:
    summary = Summary.read(visit.out / f"hol/{name}-1/summary.json")
    assert (summary.world, summary.impairment) == ("netns", "netem")
    if summary.verdict is Verdict.NO_VERDICT:  # the lab itself says so, having tried three times
        pytest.skip(f"this machine emulates another too slowly for a verdict: {'; '.join(summary.reasons)}")
    assert summary.verdict is Verdict.PASS
    assert visit.status(name) == 0
