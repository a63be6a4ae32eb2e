"""The examples of the UDP half run, and say so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLES = {
    "udp_endpoints.py": "20 of 20 messages arrived and were acked",
    "udp_in_asyncio.py": "100 messages arrived, and all are known to have",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gets_everything_across_real_sockets(name: str) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", ROOT / "examples" / name]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert EXAMPLES[name] in done.stdout


def test_two_endpoints_need_forty_lines() -> None:
    assert len((ROOT / "examples" / "udp_endpoints.py").read_text(encoding="utf-8").splitlines()) <= 40
