"""Two processes on real sockets, a cable between them: they chat, stream, and survive what happens to cables.

Once, by hand, with 100 MB (2026-11-22, CPython 3.11, two busy cores, encrypted): 5.2 s and 3.5 s of CPU at the sender (its
random bytes and their hash included); 6.8 s with the cable out for 1.5 s of them, 505 packets lost, the hash right.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sleepy.udp import ConnectionConfig
from tests.sleepy.udp.real_network import ALICE, LINES, MOVED, OUTAGE, PATIENCE

ROOT = Path(__file__).parents[3]
NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child")
PROGRAMS = ("unshare", "ip", "mount")
TRIAL = "mount -t tmpfs none /run && ip netns add trial && ip link add eth netns trial type veth peer name other"
SIZE = 10_000_000  # bytes: 100 MB would take the suite five seconds for each mishap

pytestmark = [pytest.mark.netns, pytest.mark.timeout(60)]


@pytest.fixture(scope="module", autouse=True)
def namespaces() -> None:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if sys.platform != "linux" or missing or os.geteuid() != 0:
        pytest.skip(f"needs Linux, root, and {', '.join(missing or PROGRAMS)}")
    tried = subprocess.run([*NAMESPACES, "sh", "-ec", TRIAL], capture_output=True, text=True, timeout=30, check=False)
    if tried.returncode:
        pytest.skip(f"no namespaces here: {tried.stderr.strip()}")


def play(mishap: str) -> list[dict[str, Any]]:
    """What bob says, and what alice says."""
    command = [*NAMESPACES, sys.executable, "-m", "tests.sleepy.udp.real_network", mishap, str(SIZE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("mishap", ["none", "pulled", "moved"])
def test_two_processes_chat_and_stream_whatever_happens_to_the_cable(mishap: str) -> None:
    """Nothing; out for a while and back; the sender's address changes and the old one is gone."""
    bob, alice = play(mishap)
    assert bob["lines"] == [f"alice {number}" for number in range(LINES)]
    assert alice["lines"] == [f"bob {number}" for number in range(LINES)]
    assert bob["size"] == SIZE
    assert alice["whole"]
    assert (bob["first"], bob["last"]) == (ALICE, MOVED if mishap == "moved" else ALICE)
    if mishap == "pulled":
        keep_alive = ConnectionConfig().keep_alive  # would mend it, too, if loss recovery did not
        assert OUTAGE <= alice["seconds"] < keep_alive
        assert alice["lost"] > 0


def test_a_cable_that_stays_out_is_an_error_on_both_sides() -> None:
    """`TimedOut`, not before the idle timeout after the last that was heard, and not much later (probes and all)."""
    bob, alice = play("cut")
    for end in (bob, alice):
        assert end["error"] == "TimedOut"
        assert PATIENCE * 0.75 < end["end"] - alice["happened"] < PATIENCE * 5  # the machine may be busy
