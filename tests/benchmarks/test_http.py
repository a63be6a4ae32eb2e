"""`benchmarks.http` runs: with the smallest load, to see that it measures what it says, not how fast anything is."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.http.load import BODY, Load
from benchmarks.http.rounds import Cell, Worker
from benchmarks.http.server import compiled, running

ROOT = Path(__file__).parents[2]
REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
with_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="the benchmark's server is C")


def bench(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks.http", "--rounds", "2", "--seconds", "0.01", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=50, check=False
    )


@with_cc
def test_every_contender_has_a_figure_or_is_named_as_left_out(tmp_path: Path) -> None:
    result = bench("--callers", "1", "3", "--only", "floor", "sleepy", "--json", str(tmp_path / "figures.json"))
    assert result.returncode == 0, result.stderr
    figures: dict[str, Any] = json.loads((tmp_path / "figures.json").read_text())
    assert {"floor", "floor, pipelined", "sleepy HostClient", "sleepy PipelineClient"} <= figures.keys()
    for name in ("sleepy HostClient, uvloop", "sleepy PipelineClient, uvloop"):
        assert name in figures or f"{name} is left out: uvloop" in result.stderr
    for name, row in figures.items():
        assert f"| {name} " in result.stdout
        assert {callers: len(cell["rounds"]) for callers, cell in row.items()} == {"1": 2, "3": 2}
        assert all(cell["least"] > 0 for cell in row.values())


@with_cc
def test_idle_connections_and_many_hosts() -> None:
    idle = bench("--callers", "2", "--only", "sleepy HostClient", "--idle", "20")
    assert idle.returncode == 0, idle.stderr
    assert "sleepy HostClient, 20 idle: " in idle.stdout  # their memory
    hosts = bench("--callers", "2", "--only", "floor", "sleepy", "--hosts", "5")
    assert hosts.returncode == 0, hosts.stderr
    assert "| sleepy HostClients, 5 hosts " in hosts.stdout


def test_the_source_is_not_measured_as_compiled() -> None:
    with pytest.raises(RuntimeError, match="compiled is to be measured, and this is something else"):
        Worker("ours", "sleepy HostClient, compiled", Load(), Path(sys.executable))


def test_without_a_compiler_it_says_so() -> None:
    result = bench("--only", "floor", PATH="/nowhere")
    assert result.returncode == 1
    assert "there is no cc here" in result.stderr
    assert "Traceback" not in result.stderr


@with_cc
def test_the_server_answers_each_request_once() -> None:
    """However they arrive, and with more answers due than a socket takes at once."""
    count = 100_000
    answers = bytearray()
    with compiled() as program, running(program) as port, socket.socket() as peer:
        peer.settimeout(10)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(("127.0.0.1", port))
        peer.sendall(REQUEST[:7])
        peer.sendall(REQUEST[7:] + REQUEST * (count - 1))
        while not answers.endswith(BODY) or answers.count(BODY) < count:
            answers += peer.recv(1 << 16)
    heads = answers.split(BODY)[:-1]
    assert len(heads) == count
    assert all(head.startswith(b"HTTP/1.1 200 OK\r\n") and head.endswith(b"\r\n\r\n") for head in heads)


@with_cc
def test_a_gate_opens_when_all_wait() -> None:
    asking = b"GET /gate/2 HTTP/1.1\r\n\r\n"
    with compiled() as program, running(program) as port:
        first, second = (socket.create_connection(("127.0.0.1", port), 10) for _ in range(2))
        with first, second:
            first.sendall(asking + REQUEST)
            second.sendall(asking)
            assert second.recv(4096).endswith(BODY)
            assert first.recv(4096).endswith(BODY)


def test_a_ratio_is_of_the_same_rounds() -> None:
    """A slow round that was slow for both changes nothing."""
    assert Cell([10.0, 40.0, 10.0, 12.0]).ratio(Cell([5.0, 20.0, 5.0, 4.0])) == 2.0
