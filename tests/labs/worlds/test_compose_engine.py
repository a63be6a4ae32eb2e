"""The lab in containers, on the engine that is here. Skipped, with the reason, where there is none."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from labs.capture import read
from labs.scenario import Scenario
from labs.worlds import Run, compose
from sleepy import trace
from sleepy.sim import Link

ROOT = Path(__file__).parents[3]
OWNER = (4321, 8765) if os.geteuid() == 0 else (os.getuid(), os.getgid())  # of the results
PATIENCE = 120  # seconds for anything that takes a few
BRIEF = Scenario(
    "hol",
    "brief",
    "ten requests, of whose answers the third is lost",
    Link(delay=0.02),
    Link(delay=0.02, drop=[3]),
    {"requests": 10, "interval": 0.01, "body": 100},
)

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600), pytest.mark.usefixtures("_engine")]


@pytest.fixture(scope="module")
def _engine():
    compose._findings.cache_clear()
    probe = compose.probe(BRIEF)
    if not probe.ok:
        pytest.skip(f"{probe.reason}. {probe.remedy}")


class Up:
    """``docker compose up lab-hol``, with the results in a folder that belongs to `OWNER`."""

    def __init__(self, folder: Path) -> None:
        self.out = folder / "out"
        self.out.mkdir()
        os.chown(self.out, *OWNER)
        self._log = folder / "log"
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, **choices: str) -> subprocess.Popen[bytes]:
        chosen = {f"SLEEPY_{name.upper()}": value for name, value in choices.items()}
        command = ["docker", "compose", "up", "--exit-code-from", "lab-hol", "lab-hol"]
        with self._log.open("wb") as log:
            self._started.append(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env={**os.environ, "SLEEPY_OUT": str(self.out), **chosen},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
        return self._started[-1]

    def said(self) -> list[str]:
        """The lab's own lines, without what compose puts before and after them."""
        lines = (line.partition(" | ") for line in self._log.read_text().splitlines() if line.startswith("lab-hol"))
        return [said.strip() for _, bar, said in lines if bar]

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()
        docker("compose", "down", "--timeout", "1")


@pytest.fixture
def up(tmp_path):
    containers = Up(tmp_path)
    yield containers
    containers.end()


def docker(*arguments: str) -> list[str]:
    done = subprocess.run(
        ["docker", *arguments], check=True, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT
    )
    return done.stdout.split()


def until(look) -> None:
    """Wait for what is about to happen."""
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def nobody_is_there() -> bool:
    return docker("compose", "ps", "--services") == []


def test_a_run_from_outside_leaves_captures_and_events_and_no_container(tmp_path):
    told: list[object] = []
    probe = compose.probe(BRIEF)
    ports = {"pipeline-1": 8001, "pipeline-4": 8002, "hostclient-16": 8003}
    compose.run(Run(BRIEF, 1, tmp_path, probe.impairment, ports), told.append)

    left, right = (read(tmp_path / name) for name in ("left.pcap", "right.pcap"))
    arrived = {(segment.source, segment.identification) for segment in left}
    lost = [segment for segment in right if (segment.source, segment.identification) not in arrived]
    assert sorted(segment.source[1] for segment in lost) == [8001, 8002, 8003], "one answer of each contender"
    events = list(trace.read((tmp_path / "events.jsonl").read_text().splitlines()))
    assert sum(event.name == "request.done" for event in events) == 30
    assert told[-1]["done"] == told[-1]["of"]
    assert docker("compose", "ps", "--all", "--quiet") == []
    assert docker("network", "ls", "--quiet", "--filter", "label=com.docker.compose.project=sleepy") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "left.pcap", "right.pcap"]


def test_up_runs_all_scenarios_and_ends_by_itself_and_so_does_the_next(up):
    lab = up.start()
    assert lab.wait(PATIENCE) == 0
    assert up.said()[-1] == "PASS"
    results = sorted(path for path in up.out.rglob("*") if path.is_file())
    assert [str(path.relative_to(up.out)) for path in results if path.name == "summary.json"] == [
        "hol/lost-segment-7/summary.json",
        "hol/slow-response-7/summary.json",
    ]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in up.out.rglob("*")} == {OWNER}

    lab = up.start(scenario="slow-response", impairment="off", seed="3")
    assert lab.wait(PATIENCE) == 1
    assert up.said()[-1] == "FAIL"
    assert (up.out / "hol/slow-response-3/summary.json").exists()
    until(nobody_is_there)


def test_peers_go_home_when_the_client_is_killed(up):
    lab = up.start()
    until(lambda: any("PipelineClient" in line for line in up.said()))
    docker("compose", "kill", "--signal", "KILL", "lab-hol")
    lab.kill()  # compose too: nobody is left to tell the peers
    until(nobody_is_there)


def test_the_client_does_not_wait_for_a_dead_router(up):
    lab = up.start()
    until(lambda: any("PipelineClient" in line for line in up.said()))
    docker("compose", "kill", "--signal", "KILL", "router")
    assert lab.wait(PATIENCE) == 2
    assert up.said()[-1] == "NO VERDICT"
    assert any("the router gave up" in line for line in up.said())
    until(nobody_is_there)


def test_interrupted_it_leaves_no_container_running(up):
    lab = up.start()
    until(lambda: any("PipelineClient" in line for line in up.said()))
    lab.send_signal(signal.SIGINT)
    lab.wait(PATIENCE)
    until(nobody_is_there)
    assert "137" not in docker("compose", "ps", "--all", "--format", "{{.ExitCode}}"), "they went when told, unforced"
