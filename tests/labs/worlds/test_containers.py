"""What the containers do that can be tried without containers; the rest is in test_compose, with an engine."""

import os
import signal
import subprocess
import sys

import pytest

from labs.worlds import containers


@pytest.fixture(autouse=True)
def _a_meeting_place(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "MEETING", tmp_path)
    for name in ("CLIENT", "LEFT", "RIGHT", "SERVER"):
        monkeypatch.setenv(f"SLEEPY_{name}_ADDRESS", f"10.0.0.{len(name)}")


def test_who_is_here_is_seen_and_who_has_left_is_not():
    assert not containers._is_present("client")
    with containers._presence("client"):
        assert containers._is_present("client")
        assert containers._is_present("client"), "looking changes nothing"
    assert not containers._is_present("client")


def test_the_dead_are_not_present(tmp_path):
    """Rule 2: even after kill -9."""
    script = (
        "import sys, time; from pathlib import Path; from labs.worlds import containers\n"
        f"containers.MEETING = Path({str(tmp_path)!r})\n"
        "with containers._presence('client'): print('here', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        client.stdout.readline()
        assert containers._is_present("client")
        client.send_signal(signal.SIGKILL)
        client.wait()
    assert not containers._is_present("client")


def test_a_peer_does_not_wait_for_ever_for_a_client(tmp_path, monkeypatch, capsys):
    """Rule 2."""
    monkeypatch.setattr(containers, "READY", tmp_path / "ready")
    monkeypatch.setattr(containers, "PATIENCE", 0.0)
    monkeypatch.setattr(containers, "_connect", lambda *_: None)
    assert containers.peer("server") == 1
    assert "docker compose up lab-hol" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("end", "code", "verdict"),
    [
        ("sys.exit(0)", 0, "PASS"),
        ("sys.exit(1)", 1, "FAIL"),
        ("sys.exit(2)", 2, "NO VERDICT"),
        ("os.kill(os.getpid(), 9)", 2, "NO VERDICT"),
    ],
)
def test_the_verdict_is_the_last_line_and_the_exit_code(end, code, verdict, monkeypatch, capfd):
    script = f"import os, sys; print('a table', file=sys.stderr, flush=True); {end}"
    monkeypatch.setattr(containers.roles, "python", lambda *_: [sys.executable, "-c", script])
    assert containers.judge(["hol"]) == code
    out, err = capfd.readouterr()
    assert out.splitlines() == ["a table", "", verdict]
    assert err == "", "all on one stream, in order"


def test_what_the_client_makes_the_router_can_write(tmp_path):
    with containers._writable_by_all():
        (tmp_path / "run").mkdir()
    (tmp_path / "results").mkdir()
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o777
    assert (tmp_path / "results").stat().st_mode & 0o002 == 0, "only what was made meanwhile"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_results_belong_to_the_owner_of_their_folder(tmp_path):
    """Rule 3."""
    out = tmp_path / "out"
    out.mkdir()
    os.chown(out, 4321, 8765)
    script = (
        "import os; from pathlib import Path; from labs.worlds import containers\n"
        f"out = Path({out.name!r}); os.chdir({str(tmp_path)!r}); containers._become_owner_of(out)\n"
        "(out / 'result').touch(); print(os.getgroups())"
    )
    tmp_path.chmod(0o711)
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
    result = (out / "result").stat()
    assert (result.st_uid, result.st_gid) == (4321, 8765)
