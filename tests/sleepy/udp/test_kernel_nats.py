"""Reaching a peer through the NATs of Linux itself: what the simulator's are held against.

Linux masquerades as a port-restricted cone; told to draw ports at random, as a symmetric NAT.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child")
PROGRAMS = ("unshare", "ip", "iptables", "mount")
TRIAL = "mount -t tmpfs none /run && ip netns add trial && iptables -t nat -A POSTROUTING -j MASQUERADE --random-fully"


def obstacle() -> str:
    """What is in the way of NATs of our own; empty if nothing is."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if sys.platform != "linux" or missing or os.geteuid() != 0:
        return f"needs Linux, root, and {', '.join(missing or PROGRAMS)}"
    tried = subprocess.run([*NAMESPACES, "sh", "-ec", TRIAL], capture_output=True, text=True, timeout=30, check=False)
    return tried.stderr.strip()


@pytest.mark.netns
@pytest.mark.timeout(120)  # six processes, one after the other: five seconds on an idle machine
def test_two_behind_linux_reach_each_other() -> None:
    """Two port-restricted cones directly; a symmetric NAT and a port-restricted cone by the server's relay."""
    reason = obstacle()
    if reason:
        pytest.skip(reason)
    command = [*NAMESPACES, sys.executable, "-m", "tests.sleepy.udp.kernel_nats"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    direct, relayed = [json.loads(line) for line in done.stdout.splitlines()]
    assert direct["address"][0] == "::ffff:203.0.113.2"
    assert relayed["address"][0].startswith("relay-")
    assert direct["echoes"] == relayed["echoes"] == 50
