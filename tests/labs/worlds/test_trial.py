"""`labs.worlds.trial`: what it builds, it builds in namespaces of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from labs.worlds.namespaces import own_namespace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")


@pytest.mark.parametrize("arguments", [[], [None], ["--help"]], ids=["nothing", "our own namespace", "another word"])
def test_in_the_machines_own_namespace_nothing_is_built(arguments: list[str | None]) -> None:
    """Started by hand, by root: it left two interfaces there, and had the machine forward packets."""
    before = set(Path("/sys/class/net").iterdir())
    command = [sys.executable, "-m", "labs.worlds.trial", *(word or own_namespace() for word in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 2
    assert "started by labs.worlds.netns" in done.stderr
    assert set(Path("/sys/class/net").iterdir()) == before
