"""A bundle that does not work is found out; one that does is made and tried whole by ``make bundle``, a step of the gate."""

import shutil
from pathlib import Path

import pytest

from lessons import bundle, offline


@pytest.fixture
def folder(tmp_path) -> Path:
    """The parts that take no minutes: a small site, and its server."""
    top = tmp_path / bundle.TOP
    for name in ("site/index.html", "site/curriculum/index.html", "site/assets/play-worker.mjs"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("x")
    shutil.copy(offline.__file__, top / "serve.py")
    return top


def test_pages_that_answer_are_enough(folder) -> None:
    bundle._ask_for_pages(folder)


@pytest.mark.parametrize("name", ["site/index.html", "site/curriculum/index.html", "site/assets/play-worker.mjs"])
@pytest.mark.parametrize("breaks", [Path.unlink, lambda path: path.write_text("")])
def test_a_page_that_is_missing_or_empty_is_found(folder, name, breaks) -> None:
    breaks(folder / name)
    with pytest.raises(bundle.BundleError):
        bundle._ask_for_pages(folder)


def test_a_server_that_dies_is_found(folder) -> None:
    (folder / "serve.py").write_text("raise SystemExit('no')")
    with pytest.raises(bundle.BundleError, match="told no address"):
        bundle._ask_for_pages(folder)


def test_a_zip_keeps_what_is_in_it(folder, tmp_path, monkeypatch) -> None:
    (folder / "source/.ci").mkdir(parents=True)
    (folder / "source/.ci/run").write_text("#!/bin/sh\n")
    tried: list[Path] = []
    monkeypatch.setattr(bundle, "_ask_for_pages", tried.append)
    monkeypatch.setattr(bundle, "_do_an_exercise", tried.append)
    bundle.pack(folder, tmp_path / "a.zip")
    bundle.attempt(tmp_path / "a.zip", tmp_path / "there")
    assert tried == [tmp_path / "there" / bundle.TOP] * 2
    assert (tmp_path / "there" / bundle.TOP / "source/.ci/run").read_text() == "#!/bin/sh\n"


def test_what_does_not_work_is_not_left_behind(tmp_path, monkeypatch, capsys) -> None:
    def broken(_: Path) -> None:
        raise bundle.BundleError("no wheels")

    monkeypatch.setattr(bundle, "fill", broken)
    assert bundle.main(["--out", str(tmp_path / "a.zip")]) == 1
    assert "no wheels" in capsys.readouterr().err
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["no-such-program"], "there is no program no-such-program"),
        (["false"], "false said"),
        (["sleep", "9"], "after"),
    ],
)
def test_a_step_that_fails_says_which(command, says) -> None:
    with pytest.raises(bundle.BundleError, match=says):
        bundle._run("it", command, seconds=0.2 if command[0] == "sleep" else 30)


def test_the_solution_is_tried_with_the_wheels_alone(folder, monkeypatch) -> None:
    """Without wheels there is nothing to install from, whatever index this machine knows."""
    (folder / "wheels").mkdir()
    (folder / "source").mkdir()
    (folder / "source/pyproject.toml").write_text('[build-system]\nrequires = ["setuptools>=77"]\n')
    with pytest.raises(bundle.BundleError, match="installing from the wheels"):
        bundle._do_an_exercise(folder)


def test_a_place_that_cannot_be_is_told_before_minutes_of_work(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(bundle, "fill", lambda _: pytest.fail("it has begun to build"))
    (tmp_path / "file").touch()
    assert bundle.main(["--out", str(tmp_path / "file" / "a.zip")]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_it_may_be_interrupted(tmp_path, monkeypatch, capsys) -> None:
    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle, "fill", interrupted)
    assert bundle.main(["--out", str(tmp_path / "a.zip")]) == 130
    assert capsys.readouterr().err == "no bundle: interrupted\n"
