from pathlib import Path

import pytest

from labs import scenario
from sleepy.sim import Link


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a lab's scenario.toml in a folder of labs of its own."""
    monkeypatch.setattr(scenario, "LABS", tmp_path)
    (tmp_path / "demo").mkdir()

    def into(text: str) -> None:
        (tmp_path / "demo" / "scenario.toml").write_text(f'title = "T"\nclaim = "C"\n{text}')

    return into


def test_a_link_is_for_both_directions_and_each_may_differ(write) -> None:
    write('[one]\nsummary = "S"\nlink = {delay = 0.1}\nto_client = {drop = [3]}\nto_server = {delay = 0.2}')
    one = scenario.find("demo", "one")
    assert one.to_client == Link(delay=0.1, drop=[3])
    assert one.to_server == Link(delay=0.2)


def test_the_rest_belongs_to_the_lab(write) -> None:
    write('[one]\nsummary = "S"\nrequests = 5\nslow_time = 0.5')
    one = scenario.find("demo", "one")
    assert dict(one.figures) == {"requests": 5, "slow_time": 0.5}
    assert one.summary == "S"


def test_without_impairment_link_and_server_are_perfect(write) -> None:
    write('[one]\nsummary = "S"\nrequests = 5\nslow_time = 0.5\nlink = {delay = 0.1}')
    harmless = scenario.find("demo", "one").without_impairment()
    assert harmless.to_server == harmless.to_client == Link()
    assert dict(harmless.figures) == {"requests": 5}


@pytest.mark.parametrize("figure", ["delay = -1", "delya = 0.1", "loss = 2"])
def test_an_impossible_figure_is_told_with_its_place(write, figure: str) -> None:
    write(f'[one]\nsummary = "S"\nlink = {{{figure}}}')
    with pytest.raises(ValueError, match=r"labs/demo/scenario\.toml, \[one\]"):
        scenario.load("demo")


def test_what_is_not_there_is_answered_with_what_is(write) -> None:
    write('[one]\nsummary = "S"\n[two]\nsummary = "S"')
    with pytest.raises(scenario.UnknownNameError, match="one, two"):
        scenario.find("demo", "three")
    with pytest.raises(scenario.UnknownNameError, match="demo"):
        scenario.load("hol")


def test_every_scenario_of_every_lab_can_be_read() -> None:
    assert "hol" in scenario.names()
    for lab in scenario.names():
        assert scenario.load(lab).scenarios
