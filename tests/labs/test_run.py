from pathlib import Path

import pytest

from labs import __main__ as cli
from labs import run, scenario, worlds
from labs.worlds import Probe


def test_a_runs_command_runs_it_again() -> None:
    """What the report tells people to type is a command line that the parser takes, with every choice in it."""
    one = scenario.find("hol", "lost-segment")
    command = run.command_of(one, 11, "compose", "netem")
    options = cli._parser().parse_args(command.split(" ")[3:])
    assert (options.lab, options.scenario, options.seed) == ("hol", "lost-segment", 11)
    assert (options.world, options.impairment) == ("compose", "netem")


def test_worlds_behind_the_first_that_can_are_not_even_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking costs time: a container engine may build an image for an answer."""
    asked: list[str] = []

    class World:
        def __init__(self, name: str) -> None:
            self.name = name

        def probe(self, *_: object) -> Probe:
            asked.append(self.name)
            return Probe(ok=self.name == "second", impairment="", reason="")

    monkeypatch.setattr(worlds, "names", lambda: ("first", "second", "third"))
    monkeypatch.setattr(worlds, "find", World)
    choices = list(run.choose(scenario.find("hol", "slow-response"), None, None))
    assert [choice.probe.ok for choice in choices] == [False, True]
    assert asked == ["first", "second"]


def test_results_are_kept_by_lab_scenario_and_seed(tmp_path: Path) -> None:
    one = scenario.find("hol", "slow-response")
    assert run.folder_of(one, 5, tmp_path) == tmp_path / "hol" / "slow-response-5"
