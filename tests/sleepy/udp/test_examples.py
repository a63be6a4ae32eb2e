"""The examples of the UDP half run, and say so."""

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sleepy.udp import Identity
from tests.programs import ROOT, run_example

EXAMPLES = {
    "udp_endpoints.py": "20 of 20 messages arrived and were acked",
    "udp_in_asyncio.py": "100 messages arrived, and all are known to have",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gets_everything_across_real_sockets(name: str) -> None:
    code, said, complaints = run_example(name)
    assert (code, complaints) == (0, "")
    assert EXAMPLES[name] in said


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


def transfer(directory: Path, file: Path, key: str = "") -> tuple[tuple[int, str], tuple[int, str]]:
    """One process takes a file into a directory, another sends it; how each ended: its code, and the last thing it said."""
    program = [sys.executable, "-W", "error", "examples/udp_file.py"]
    options: dict[str, Any] = {"cwd": ROOT, "env": os.environ | {"PYTHONPATH": str(ROOT)}, "text": True}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen([*program, directory], **options, **pipes) as receiver:
        try:
            assert receiver.stdout
            _, _, host, port, printed, _ = receiver.stdout.readline().split()
            command = [*program, host, port, key or printed, file]
            sender = subprocess.run(command, **options, **pipes, timeout=50, check=False)
            if key:
                receiver.kill()  # it still waits for somebody who knows its key
            received, _ = receiver.communicate(timeout=50)
        finally:
            receiver.kill()
    return (sender.returncode, sender.stdout.splitlines()[-1]), (
        receiver.returncode,
        (received.splitlines() or [""])[-1],
    )


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_a_file_arrives_and_both_know_its_hash(size: int, tmp_path: Path) -> None:
    file, directory = tmp_path / "a file", tmp_path / "taken"
    file.write_bytes(data := random.Random(1).randbytes(size))
    directory.mkdir()
    sender, receiver = transfer(directory, file)
    digest = hashlib.sha256(data).hexdigest()
    assert sender == (0, f"a file: {size} bytes arrived, {digest}")
    assert receiver == (0, f"{directory / 'a file'}: {size} bytes, {digest}")
    assert [(taken.name, taken.read_bytes()) for taken in directory.iterdir()] == [("a file", data)]


def test_a_file_that_is_there_already_is_left_and_the_sender_learns_why(tmp_path: Path) -> None:
    file, directory = tmp_path / "file", tmp_path / "taken"
    file.write_bytes(bytes(1_000_000))
    directory.mkdir()
    (directory / "file").write_bytes(b"older")
    sender, receiver = transfer(directory, file)
    reason = "there is a file file already; it is left as it was"
    assert receiver == (1, f"udp_file.py: {reason}")
    assert sender == (1, f"udp_file.py: the peer closed the connection with code 1 and says: {reason}")
    assert [taken.read_bytes() for taken in directory.iterdir()] == [b"older"]


def test_a_folder_that_is_not_there_is_told_before_anybody_sends(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "examples/udp_file.py", tmp_path / "none"]
    options: dict[str, Any] = {"cwd": ROOT, "env": os.environ | {"PYTHONPATH": str(ROOT)}, "text": True}
    done = subprocess.run(command, **options, capture_output=True, timeout=50, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "No such file or directory" in done.stderr


def test_a_file_is_not_sent_to_somebody_else(tmp_path: Path) -> None:
    file, directory = tmp_path / "file", tmp_path / "taken"
    file.write_bytes(b"secret")
    directory.mkdir()
    other = str(Identity.generate())
    sender, _ = transfer(directory, file, key=other)
    assert sender[0] == 1
    assert sender[1].startswith(f"udp_file.py: expected the peer {other} and found ")
    assert not list(directory.iterdir())
