"""The examples of the TCP half run, and say so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLES = {
    "tcp_peer.py": "".join(f"{name}: a peer is both\n" for name in ("ann", "bob", "cid")),
    "tcp_workers.py": "several workers answered: True\nthey ended with: {0}\n",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_says_what_it_should_and_leaves_nothing_behind(name: str) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", ROOT / "examples" / name]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == EXAMPLES[name]


def test_a_peer_needs_fifty_lines() -> None:
    assert len((ROOT / "examples" / "tcp_peer.py").read_text(encoding="utf-8").splitlines()) <= 50
