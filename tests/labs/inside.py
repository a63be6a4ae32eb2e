"""Runs a little program as root of network namespaces that are gone a moment later."""

import os
import subprocess
import sys
import textwrap

import pytest

from labs.worlds import netns
from tests.labs.worlds.play import scenario

TIME_LIMIT = 120


def inside(program: str) -> str:
    """What the program printed; it is a failure if it fails."""
    probe = netns.probe(scenario(), "off")
    if not probe.ok:
        pytest.skip(probe.reason)
    run = subprocess.run(
        [*netns._way_in().command, sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])},
        text=True,
        timeout=TIME_LIMIT,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
