"""`labs.artist`: reports drawn by a process of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from labs import artist, run, scenario
from labs.artist import Artist
from labs.worlds import WorldError


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that has no report yet."""
    out = tmp_path_factory.mktemp("out")
    one = scenario.find("hol", "lost-segment")
    run.play(one, 1, "sim", "simulated", lambda _: None, out, draw=lambda _: None)
    return run.folder_of(one, 1, out)


def test_the_process_draws_if_it_was_made_ready(played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (played / "report.html").unlink(missing_ok=True)
    monkeypatch.setattr(artist, "draw", lambda _: pytest.fail("it was drawn here"))
    with Artist() as reports:
        reports.get_ready()
        reports.get_ready()  # once is enough
        reports.draw(played)
    assert "<html" in (played / "report.html").read_text(encoding="utf-8")


def test_else_reports_are_drawn_at_once(played: Path) -> None:
    (played / "report.html").unlink(missing_ok=True)
    with Artist() as reports:
        reports.draw(played)
        assert "<html" in (played / "report.html").read_text(encoding="utf-8")


def test_a_report_that_cannot_be_drawn_is_an_error_as_without_a_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    reports = Artist()
    reports.get_ready()
    reports.draw(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"summary\.json"):
        reports.finish()
    assert capfd.readouterr().err == ""


def test_what_a_dead_process_left_is_drawn_here(played: Path) -> None:
    (played / "report.html").unlink(missing_ok=True)
    with Artist() as reports:
        reports.get_ready()
        assert reports._process is not None
        reports._process.kill()
        reports._process.wait()
        reports.draw(played)  # the pipe is broken
    assert (played / "report.html").exists()


def test_a_scenario_that_breaks_takes_no_other_report_with_it(played: Path) -> None:
    (played / "report.html").unlink(missing_ok=True)

    def broken() -> None:
        with Artist() as reports:
            reports.get_ready()
            reports.draw(played)
            raise WorldError("the link is gone", "")

    with pytest.raises(WorldError):
        broken()
    assert (played / "report.html").exists()


def test_who_is_interrupted_while_waiting_leaves_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    reports = Artist()
    reports.get_ready()
    process = reports._process
    assert process is not None

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reports, "finish", interrupted)
    with pytest.raises(KeyboardInterrupt), reports:
        pass
    assert process.returncode is not None


def test_an_error_of_the_lab_is_not_kept_waiting() -> None:
    processes: list[subprocess.Popen[str] | None] = []

    def interrupted() -> None:
        with Artist() as reports:
            reports.get_ready()
            processes.append(reports._process)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert processes[0] is not None
    assert processes[0].returncode is not None


def test_without_processes_the_report_is_drawn_here(played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise OSError("no processes here")

    monkeypatch.setattr(subprocess, "Popen", none)
    (played / "report.html").unlink(missing_ok=True)
    with Artist() as reports:
        reports.get_ready()
        reports.draw(played)
        assert (played / "report.html").exists()


def test_it_ends_with_the_one_who_started_it() -> None:
    """Its standard error is ours, so that `run` returns when it, too, has ended."""
    program = (
        "import os, signal, labs.artist; reports = labs.artist.Artist(); reports.get_ready();"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, timeout=50, check=False)


def test_matplotlib_is_loaded_only_to_draw() -> None:
    program = "import sys, labs.__main__; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert artist.draw.__module__ == "labs.artist"
