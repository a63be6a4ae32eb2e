"""The command line, over worlds that need no network: one that plays as the model says, one that cannot, one that breaks."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from labs import __main__ as cli
from labs import run, scenario, worlds
from labs.results import Summary, Verdict
from labs.scenario import Scenario
from labs.worlds import Probe, Progress, Run, WorldError
from sleepy.sim import Link
from tests.labs.hol.ideal import IdealRun


def test_a_python_without_the_requirements_says_which_has_them() -> None:
    root = Path(cli.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-S", "-m", "labs", "list"], cwd=root, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("this Python lacks what the labs need: use .venv/bin/python")


class Ideal:
    """A world in which everything goes as predicted; with the impairment off, as without it."""

    NOTES = ("nothing of this ever happened",)

    def probe(self, scenario: Scenario, impairment: str | None = None) -> Probe:
        return Probe(ok=True, impairment=impairment or "netem", reason="the model's own")

    def run(self, run: Run, progress: Progress) -> None:
        progress({"done": 1, "of": 2, "phase": "half-way"})
        off = run.impairment == "off"
        IdealRun(run.scenario.without_impairment() if off else run.scenario, run.seed).record().write(run.folder)


class Absent:
    NOTES = ()

    def probe(self, scenario: Scenario, impairment: str | None = None) -> Probe:
        return Probe(ok=False, impairment="", reason="it is not there.", remedy="Install it.")

    def run(self, run: Run, progress: Progress) -> None:
        raise AssertionError("a world that cannot play was asked to")


class Breaking(Ideal):
    def run(self, run: Run, progress: Progress) -> None:
        raise WorldError("the server did not come up: port 8001 is taken", "Free the port.")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The worlds that are found, by name, in place of the real ones."""
    there: dict[str, object] = {"absent": Absent(), "ideal": Ideal()}
    monkeypatch.setattr(worlds, "names", lambda: tuple(there))
    monkeypatch.setattr(worlds, "find", lambda name: there[name])
    return there


def lab(*arguments: str, out: Path) -> int:
    return cli.main(["run", "hol", "--out", str(out), *arguments])


def test_the_best_world_that_can_is_taken_and_the_others_say_why_not(
    found: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab("--scenario", "slow-response", out=tmp_path) == 0
    said, told = capsys.readouterr()
    assert "not in absent: it is not there. Install it." in told
    assert "world ideal: the model's own" in told
    assert said.rstrip().endswith("PASS")


def test_all_scenarios_run_unless_one_is_named_and_leave_their_files(found: dict[str, object], tmp_path: Path) -> None:
    assert lab("--seed", "3", out=tmp_path) == 0
    for name in ("slow-response", "lost-segment"):
        assert {path.name for path in (tmp_path / "hol" / f"{name}-3").iterdir()} == set(run.ARTEFACTS)


def test_the_exit_code_is_the_verdict(found: dict[str, object], tmp_path: Path) -> None:
    """1 on FAIL: with the impairment off there is no effect to see."""
    assert lab("--impairment", "off", out=tmp_path) == 1
    summary = Summary.read(tmp_path / "hol" / "lost-segment-7" / "summary.json")
    assert summary.verdict is Verdict.FAIL
    assert "no effect to see" in summary.reasons[0]


def test_json_is_all_that_goes_to_standard_output(
    found: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab("--json", out=tmp_path) == 0
    runs = json.loads(capsys.readouterr().out)
    assert [one["scenario"] for one in runs] == ["slow-response", "lost-segment"]
    assert {one["verdict"] for one in runs} == {"PASS"}
    assert all(Path(one["folder"]).is_dir() for one in runs)
    assert runs[0]["notes"] == ["nothing of this ever happened"]


def test_no_world_at_all_is_exit_code_2(
    found: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del found["ideal"]
    assert lab(out=tmp_path) == 2
    assert "cannot be shown on this machine" in capsys.readouterr().err


def test_a_run_that_breaks_is_exit_code_2_and_leaves_no_old_verdict(
    found: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab("--scenario", "lost-segment", out=tmp_path) == 0
    found["ideal"] = Breaking()
    assert lab("--scenario", "lost-segment", out=tmp_path) == 2
    told = capsys.readouterr().err
    assert "port 8001 is taken" in told
    assert "Free the port." in told
    assert not list((tmp_path / "hol" / "lost-segment-7").iterdir())


class Busy(Ideal):
    """A world whose link is late at first."""

    def __init__(self, late: int) -> None:
        self.late = late

    def run(self, run: Run, progress: Progress) -> None:
        self.late -= 1
        slower = Link(delay=0.15) if self.late >= 0 else run.scenario.to_client
        IdealRun(replace(run.scenario, to_client=slower), run.seed).record().write(run.folder)


def test_a_run_without_a_verdict_is_tried_again_and_the_summary_says_so(
    found: dict[str, object], tmp_path: Path
) -> None:
    found["ideal"] = Busy(late=2)
    assert lab("--scenario", "slow-response", out=tmp_path) == 0
    notes = Summary.read(tmp_path / "hol" / "slow-response-7" / "summary.json").notes
    assert [note[:10] for note in notes[1:]] == ["Try 1 of 3", "Try 2 of 3"]


def test_after_the_last_try_there_is_no_verdict(found: dict[str, object], tmp_path: Path) -> None:
    found["ideal"] = Busy(late=2)
    assert lab("--scenario", "slow-response", "--tries", "2", out=tmp_path) == 2


def test_the_last_line_is_the_verdict_over_all_scenarios(
    found: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab(out=tmp_path) == 0
    assert capsys.readouterr().out.endswith("\nPASS in all: slow-response PASS, lost-segment PASS\n")
    assert lab("--impairment", "off", out=tmp_path) == 1
    assert capsys.readouterr().out.endswith("\nFAIL in all: slow-response FAIL, lost-segment FAIL\n")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["run", "lol"], "hol"),
        (["run", "hol", "--scenario", "sunny"], "slow-response, lost-segment"),
        (["run", "hol", "--world", "mars"], "netns, "),
    ],
)
def test_unknown_names_are_answered_with_those_there_are(
    arguments: list[str], names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert names in capsys.readouterr().err


def test_being_interrupted_says_so(found: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ideal, "run", interrupted)
    assert lab(out=tmp_path) == 130


def test_the_list_names_labs_scenarios_and_worlds(found: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "--json"]) == 0
    listing = json.loads(capsys.readouterr().out)
    assert list(listing["labs"][0]["scenarios"]) == list(scenario.load("hol").scenarios)
    assert {name: world["ok"] for name, world in listing["worlds"].items()} == {"absent": False, "ideal": True}
    assert cli.main(["list"]) == 0
    assert "Install it." in capsys.readouterr().out


def test_a_report_can_be_drawn_again(found: dict[str, object], tmp_path: Path) -> None:
    lab("--scenario", "slow-response", out=tmp_path)
    page = tmp_path / "hol" / "slow-response-7" / "report.html"
    page.unlink()
    assert cli.main(["report", str(page.parent)]) == 0
    assert page.exists()


def test_a_folder_without_a_run_cannot_be_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path / 'summary.json'}" in told
    assert "such as out/hol/lost-segment-7" in told


@pytest.mark.parametrize("text", ["", "{}", '{"verdict": "PASS", "to_server": 1}', "\0\uffff"])
def test_what_is_no_run_is_no_verdict_either(
    found: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """A traceback would end with 1, which means FAIL."""
    (tmp_path / "summary.json").write_text(text, encoding="utf-16")
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "no run that can be read" in capsys.readouterr().err
    (tmp_path / "summary.json").write_text(text, encoding="utf-8")
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "no run that can be read" in capsys.readouterr().err


def test_results_that_cannot_be_written_say_where_and_what_to_do(
    found: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    assert lab(out=file) == 2
    told = capsys.readouterr().err
    assert f"the results cannot be written to {file / 'hol' / 'slow-response-7'}: Not a directory" in told
    assert "--out FOLDER" in told


def test_at_least_one_try_must_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["run", "hol", "--tries", "0"])
    assert "argument --tries: 0 is less than 1" in capsys.readouterr().err
