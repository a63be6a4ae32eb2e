"""Programs of ours, run as their users run them."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# In its debug mode asyncio tells of each callback that took more than 0.1 s: the machine's fault, not the program's.
_SLOW = re.compile(r"^Executing <.*> took \d+\.\d+ seconds\n", re.MULTILINE)


def run_example(name: str) -> tuple[int, str, str]:
    """Run an example in Python's development mode, in which it must not even leave a socket open.

    Returns:
        Its exit code, what it said, and what it complained of.
    """
    command = [sys.executable, "-X", "dev", "-W", "error", ROOT / "examples" / name]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50, check=False)
    return done.returncode, done.stdout, _SLOW.sub("", done.stderr)
