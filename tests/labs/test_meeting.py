"""The meeting place: words appear whole, waits end, and the leash tells the dead from the slow."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labs.meeting import AbandonedError, Convener, Meeting, MeetingError, Order, RoleFailedError, meetings
from labs.scenario import Scenario
from sleepy.sim import Burst, Link

ORDER = Order(
    scenario=Scenario(
        "hol",
        "lost-segment",
        "some are lost",
        Link(delay=0.02),
        Link(burst=Burst(0.1, 2), rate=1e6, drop=[3]),
        {"requests": 9},
    ),
    seed=7,
    impairment="nfqueue",
    package="labs.hol",
    ports={"pipeline-1": 8001},
    listen={"pipeline-1": ("10.0.0.2", 8001)},
    dial={"pipeline-1": ("127.0.0.1", 9001)},
    left="10.0.1.1",
    right="10.0.2.1",
)

HOLD_THE_LEASH = """
import sys, time
from pathlib import Path
from labs.meeting import Convener
from tests.labs.test_meeting import ORDER
with Convener(Path(sys.argv[1])) as convener:
    convener.call(ORDER)
    print("called", flush=True)
    sys.stdin.read()
"""


BE_BUSY = """
import sys, time
from pathlib import Path
from labs.meeting import meetings
for meeting in meetings(Path(sys.argv[1])):
    with meeting.attend("client"):
        print("busy", flush=True)
        time.sleep(3600)
"""


@contextmanager
def running(program: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs the program and has said its first word."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_an_order_survives_json() -> None:
    assert Order.from_json(ORDER.to_json()) == ORDER


def test_a_word_is_heard_with_its_facts(tmp_path: Path) -> None:
    with Convener(tmp_path) as convener:
        meeting = convener.call(ORDER)
        assert meeting.heard("server.ready") is None
        Meeting(meeting.folder).say("server.ready", ports=[8001])
        assert meeting.wait("server.ready", patience=0) == {"ports": [8001]}
        assert meeting.order == ORDER


def test_rule_1_a_word_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    rename = Path.rename

    def spy(self: Path, target: Path) -> Path:
        seen.append((tmp_path / "server.ready").exists())
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", spy)
    Meeting(tmp_path).say("server.ready", ports=[8001])
    assert seen == [False]
    assert [path.name for path in tmp_path.iterdir()] == ["server.ready"]


def test_rule_2_a_wait_ends_in_time_and_says_what_for(tmp_path: Path) -> None:
    with Convener(tmp_path) as convener, pytest.raises(MeetingError, match=r"router\.ready"):
        convener.call(ORDER).wait("router.ready", patience=0)


def test_rule_2_a_role_that_fails_ends_the_waits_of_all(tmp_path: Path) -> None:
    with Convener(tmp_path) as convener:
        meeting = convener.call(ORDER)
        with pytest.raises(OSError, match="in use"), Meeting(meeting.folder).attend("server"):
            raise OSError("port 8001 is in use")
        with pytest.raises(RoleFailedError, match="the server gave up: port 8001 is in use"):
            meeting.wait("router.ready", patience=60)


def test_rule_3_roles_leave_when_the_convener_is_killed(tmp_path: Path) -> None:
    with running(HOLD_THE_LEASH, tmp_path) as convener:
        attended = meetings(tmp_path)
        meeting = next(attended)
        assert meeting.heard("client.done") is None
        convener.send_signal(signal.SIGKILL)
        convener.wait()
        with pytest.raises(AbandonedError):
            meeting.wait("client.done", patience=60)
        assert list(attended) == []


def test_rule_3_a_role_too_busy_to_look_is_ended(tmp_path: Path) -> None:
    with running(HOLD_THE_LEASH, tmp_path) as convener, running(BE_BUSY, tmp_path) as role:
        assert role.poll() is None
        convener.send_signal(signal.SIGKILL)
        assert role.wait() == 1


def test_a_role_attends_one_run_after_the_other_and_then_goes_home(tmp_path: Path) -> None:
    attended = meetings(tmp_path)
    with Convener(tmp_path) as convener:
        folders = []
        for _ in range(3):
            called = convener.call(ORDER)
            folders.append(next(attended).folder)
            assert folders[-1] == called.folder
    assert len(set(folders)) == 3
    assert list(attended) == []


def test_two_conveners_do_not_share_a_folder(tmp_path: Path) -> None:
    with Convener(tmp_path), pytest.raises(MeetingError, match="another run"):
        Convener(tmp_path)
    with Convener(tmp_path) as convener:  # what the first left is cleared away
        assert not (tmp_path / "over").exists()
        assert convener.call(ORDER).folder.name == "1"
