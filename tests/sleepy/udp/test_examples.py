"""The examples of the UDP half run, and say so."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

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


@pytest.mark.parametrize("name", ["udp_endpoints.py", "udp_chat.py"])
def test_an_example_needs_forty_lines(name: str) -> None:
    assert len((ROOT / "examples" / name).read_text(encoding="utf-8").splitlines()) <= 40


def test_two_processes_chat() -> None:
    """One prints how to call it; what is typed in each appears in the other; when one leaves, both end."""
    command = [sys.executable, "-W", "error"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen([*command, *arguments], cwd=ROOT, env=environment, text=True, bufsize=1, **pipes)

    with start("examples/udp_chat.py") as listener:
        assert listener.stdin
        assert listener.stdout
        try:
            python, *arguments = listener.stdout.readline().split()
            assert python == "python"
            with start(*arguments) as caller:
                try:
                    listener.stdin.write("is there anybody?\n")
                    assert caller.stdout
                    assert caller.stdout.readline() == "is there anybody?\n"
                    assert caller.communicate("yes\n", timeout=50) == ("", "")
                finally:
                    caller.kill()
            assert listener.communicate(timeout=50) == ("yes\n", "")
            assert caller.returncode == listener.returncode == 0
        finally:
            listener.kill()
