"""The loopback world, for real: it shows delay, and says what it cannot show."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from labs.worlds import WorldError, find, loopback
from sleepy.sim import Burst, Link
from tests.labs.worlds.play import PORTS, order, play, scenario
from tests.labs.worlds.processes import nobody_is_left

RUN = """
import sys
from pathlib import Path
from labs.worlds import loopback
from sleepy.sim import Link
from tests.labs.worlds.play import order, scenario
loopback.run(order(Path(sys.argv[1]), scenario(requests=100_000), "relay"), lambda told: None)
"""


def test_the_captures_show_the_delay_and_nothing_missing(tmp_path: Path) -> None:
    played = play("loopback", tmp_path, "relay", scenario(Link(delay=0.01), Link(delay=0.03)))
    for port in PORTS.values():
        for crossed, delay in ((played.to_server(port), 0.01), (played.to_client(port), 0.03)):
            assert len(crossed) >= 3
            assert all(crossing.left is not None for crossing in crossed)
            assert min(crossing.left - crossing.segment.time for crossing in crossed if crossing.left) > delay - 1e-5
        answers = [crossing.segment.payload for crossing in played.to_client(port)]
        assert b"".join(answers) == bytes(30 * 1000)


def test_rule_1_a_connection_costs_a_handshake(tmp_path: Path) -> None:
    played = play("loopback", tmp_path, "relay", scenario(Link(delay=0.01), Link(delay=0.03)))
    for port in PORTS.values():
        syn, ack, question = [segment for segment in played.left if segment.destination[1] == port][:3]
        assert not syn.payload
        assert not ack.payload
        assert question.payload
        assert question.time - syn.time > 0.04 - 1e-5


def test_rule_2_jitter_keeps_the_order(tmp_path: Path) -> None:
    played = play("loopback", tmp_path, "relay", scenario(to_client=Link(delay=0.02, jitter=0.02)))
    for port in PORTS.values():
        places = [segment.sequence for segment in played.left if segment.source[1] == port]
        assert places == sorted(places)


@pytest.mark.parametrize(
    ("link", "what"),
    [
        (Link(loss=0.1), "loss"),
        (Link(drop=[3]), "drop"),
        (Link(burst=Burst(0.1, 2)), "burst"),
        (Link(duplicate=0.1), "duplicate"),
        (Link(delay=0.1, reorder=0.1), "reorder"),
        (Link(corrupt=0.1), "corrupt"),
        (Link(rate=1e6, queue=3000), "queue"),
        (Link(mtu=576), "mtu"),
        (Link(delay=0.02, jitter=0.01, ordered=False), "unordered jitter"),
    ],
)
def test_it_refuses_what_it_cannot_show(link: Link, what: str) -> None:
    probe = find("loopback").probe(scenario(to_client=link))
    assert not probe.ok
    assert what in probe.reason
    assert "netns" in probe.remedy


def test_it_has_no_netem() -> None:
    probe = find("loopback").probe(scenario(), "netem")
    assert not probe.ok
    assert "netem" in probe.reason


def test_a_role_that_dies_ends_the_run_and_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match=r"(server|client) gave up: it ended with exit code 1"):
        loopback.run(order(tmp_path, scenario(), "relay", package="tests.labs.worlds.nowhere"), print)
    nobody_is_left(tmp_path)


def test_a_run_that_stands_still_is_ended(tmp_path: Path) -> None:
    run = replace(order(tmp_path, scenario(requests=100_000), "relay"), patience=2.0)
    with pytest.raises(WorldError, match="nothing was heard for 2 s"):
        loopback.run(run, print)
    nobody_is_left(tmp_path)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_it_leaves_nobody_behind(tmp_path: Path, how: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)], env=environment, stderr=subprocess.DEVNULL
    ) as run:
        word = tmp_path / "run/.meeting/1/server.ready"
        while not word.exists() and run.poll() is None:
            time.sleep(0.01)
        run.send_signal(how)
        run.wait()
    nobody_is_left(tmp_path)
