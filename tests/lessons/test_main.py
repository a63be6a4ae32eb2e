"""The commands from end to end, in folders of their own: learn, grade, check, new."""

import json
import shutil
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

from lessons import catalogue, grade, learn, new
from lessons.__main__ import main
from lessons.progress import Progress
from tests.lessons.conftest import ROOT

LESSON = catalogue.find("udp/01")
SOLUTION, WRONG = LESSON.exercise / "solution.py", LESSON.exercise / "wrong/larger_is_newer.py"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "mine"


def ran(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_learn_lists(folder, capsys) -> None:
    assert ran("learn", "--folder", folder) == 0
    said = capsys.readouterr().out
    assert "udp/01  Acks by the dozen" in said
    assert "make learn ARGS=udp/01" in said
    assert not folder.exists()


def test_learn_from_the_stub_to_the_solution(folder, capsys) -> None:
    assert ran("learn", "udp/01", "--folder", folder, "--once") == 1
    said = capsys.readouterr().out
    assert "NotImplementedError" in said
    assert "--hint" in said
    file = folder / "udp-01-acks-by-the-dozen.py"
    shutil.copy(SOLUTION, file)
    assert ran("learn", "udp/01", "--folder", folder, "--once") == 0
    assert "All tests pass" in capsys.readouterr().out
    assert json.loads((folder / "progress.json").read_text()) == {LESSON.name: {"tries": 2, "hints": 0, "solved": True}}
    assert ran("learn", "--folder", folder, "--json") == 0
    [state] = [one for one in json.loads(capsys.readouterr().out) if one["lesson"] == LESSON.name]
    assert state["solved"]


def test_tries_are_counted(folder, capsys) -> None:
    for said in ("begun, 1 try ", "begun, 2 tries"):
        ran("learn", "udp/01", "--folder", folder, "--once")
        ran("learn", "--folder", folder)
        assert said in capsys.readouterr().out


def test_a_python_without_the_requirements_says_which_has_them() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "lessons", "learn"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("this Python lacks what the exercises need: use .venv/bin/python")


def test_learn_never_writes_over_a_students_file(folder) -> None:
    folder.mkdir()
    file = folder / "udp-01-acks-by-the-dozen.py"
    file.write_text("mine = True\n")
    ran("learn", "udp/01", "--folder", folder, "--once")
    assert file.read_text() == "mine = True\n"


def test_learn_for_programs(folder, capsys) -> None:
    folder.mkdir()
    shutil.copy(WRONG, folder / "udp-01-acks-by-the-dozen.py")
    assert ran("learn", "udp/01", "--folder", folder, "--once", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    failed = [one for one in report["outcomes"] if one["status"] == "failed"]
    assert failed[0]["call"]
    assert failed[0]["got"]
    assert failed[0]["expected"]


def test_hints_come_one_after_the_other(folder, capsys) -> None:
    for level in (1, 2, 3, 3):
        assert ran("learn", "udp/01", "--folder", folder, "--hint") == 0
        assert f"Hint {level} of 3" in capsys.readouterr().out
    assert Progress.read(folder).step(LESSON).hints == 3
    assert ran("learn", "udp/01", "--folder", folder, "--hint", 1) == 0
    assert "Hint 1 of 3" in capsys.readouterr().out
    assert ran("learn", "udp/01", "--folder", folder, "--hint", 4) == 2


def test_watching_tests_at_every_change_until_all_pass(folder) -> None:
    progress = Progress(folder)
    file = progress.file(LESSON)
    told: list[bool] = []
    saves = iter([None, file.unlink, lambda: shutil.copy(WRONG, file), None, lambda: shutil.copy(SOLUTION, file)])

    def wait() -> None:
        if save := next(saves):
            save()

    report = learn.watch(LESSON, progress, file, lambda report: told.append(report.passed), wait)
    assert report.passed
    assert told == [False, False, True]  # the stub, the wrong one, the solution; not while it was away or unchanged
    assert list(saves) == []


def test_what_cannot_be_done_says_why(folder, capsys) -> None:
    assert ran("learn", "no-such", "--folder", folder) == 2
    assert LESSON.name in capsys.readouterr().err
    folder.mkdir()
    (folder / "progress.json").write_text("[1]")
    assert ran("learn", "--folder", folder) == 2
    assert "remove it to begin anew" in capsys.readouterr().err
    assert ran("grade", "udp/01", folder / "none.py") == 2


@pytest.mark.parametrize("command", ["", "learn", "check", "new", "grade", "quiz"])
def test_help_has_examples(command, capsys) -> None:
    with pytest.raises(SystemExit):
        ran(*filter(None, [command]), "--help")
    assert "exit codes:" in capsys.readouterr().out


def test_check_says_what_a_draft_lacks_and_judges_it_when_asked_for_it(tmp_path, monkeypatch, capsys) -> None:
    draft = new.make("udp", "odd-things", root=tmp_path / "lessons")
    monkeypatch.setattr(catalogue, "find", lambda _: draft)
    monkeypatch.setattr(catalogue, "lessons", lambda: [draft])
    assert ran("check") == 0, "a draft's faults are for information"
    assert ran("check", draft.name) == 1
    assert "plot:" in capsys.readouterr().out
    assert ran("check", draft.name, "--json") == 1
    assert json.loads(capsys.readouterr().out)[0]["draft"]


def test_grade_writes_for_gradescope_and_junit(tmp_path, capsys) -> None:
    seeds = tmp_path / "seeds"
    seeds.write_text("7001\n7002\n")
    results, xml = tmp_path / "results.json", tmp_path / "results.xml"
    wanted = ("--gradescope", results, "--junit", xml, "--hidden-seeds", seeds)
    assert ran("grade", "udp/01", WRONG, *wanted) == 1
    marks = json.loads(results.read_text())
    passed = [test for test in marks["tests"] if test["status"] == "passed"]
    assert 0 < len(passed) < len(marks["tests"])
    assert marks["score"] == pytest.approx(100 * len(passed) / len(marks["tests"]), abs=0.01)
    assert sum(test["max_score"] for test in marks["tests"]) == pytest.approx(100, abs=0.01)
    hidden = [test for test in marks["tests"] if test["visibility"] == "hidden"]
    assert len(hidden) == 4  # two tests that draw, two seeds
    assert "7001" not in results.read_text() + xml.read_text()
    assert all("got: " in test["output"] for test in marks["tests"] if test["status"] == "failed")
    suite = ET.fromstring(xml.read_text()).find("testsuite")
    assert suite is not None
    assert int(suite.get("tests")) == len(suite.findall("testcase")) == len(marks["tests"])
    assert int(suite.get("failures")) == len(suite.findall("testcase/failure")) == len(marks["tests"]) - len(passed)
    assert ran("grade", "udp/01", SOLUTION, *wanted, "--points", 40) == 0
    assert json.loads(results.read_text())["score"] == 40


def test_grade_of_a_file_that_does_not_load(tmp_path) -> None:
    file, results, xml = tmp_path / "a.py", tmp_path / "results.json", tmp_path / "results.xml"
    file.write_text("raise RuntimeError('\\x00 odd')\n")
    assert ran("grade", "udp/01", file, "--gradescope", results, "--junit", xml) == 1
    assert json.loads(results.read_text())["score"] == 0
    suite = ET.fromstring(xml.read_text()).find("testsuite")
    assert suite is not None
    assert suite.get("skipped") == suite.get("tests") != "0"


@pytest.mark.parametrize("text", ["", "one\n", "1.5\n"])
def test_hidden_seeds_must_be_numbers(tmp_path, text) -> None:
    path = tmp_path / "seeds"
    path.write_text(text)
    with pytest.raises(grade.SeedsError):
        grade.read_seeds(path)


@pytest.mark.parametrize("points", ["-1", "nan", "inf"])
def test_points_are_a_number_that_a_file_can_hold(points, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        ran("grade", "udp/01", SOLUTION, f"--points={points}")
    assert f"argument --points: {points} are no points: 0 or more" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--once"], ["--hint"]])
def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path, capsys, arguments) -> None:
    file = tmp_path / "file"
    file.touch()
    assert ran("learn", "udp/01", "--folder", file, *arguments) == 2
    told = capsys.readouterr().err
    assert f"{file} cannot be your folder: File exists" in told
    assert "--folder FOLDER" in told
