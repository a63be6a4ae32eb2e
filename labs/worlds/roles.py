"""Server, router and client as processes: started, watched, and heard out, the same way in every world of one machine."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import labs
from labs.meeting import POLL, Meeting, MeetingError
from labs.worlds import Progress, WorldError

_GRACE = 5.0  # seconds for a process to end by itself


def python(*arguments: str) -> list[str]:
    """A command that runs one of our modules, with the Python that runs us."""
    return [sys.executable, "-m", *arguments]


def environment() -> Mapping[str, str]:
    """Ours, so that ``labs`` and ``sleepy`` are found wherever we are."""
    root = str(Path(labs.__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def command(role: str, package: str, base: Path) -> list[str]:
    """What a role runs."""
    module = "labs.router" if role == "router" else f"{package}.{role}"
    return python(module, str(base))


def report_the_dead(roles: Mapping[str, subprocess.Popen[bytes]], meeting: Meeting) -> None:
    """Speak for roles that died without a word, so that nobody waits for them."""
    for role, process in roles.items():
        if process.poll() and not (meeting.folder / f"{role}.failed").exists():
            meeting.fail(role, f"it ended with exit code {process.returncode}")


def hear_out(
    meeting: Meeting,
    processes: Mapping[str, subprocess.Popen[bytes]],
    progress: Progress,
    output: IO[bytes],
    log: Path,
    patience: float,
) -> None:
    """Pass the client's progress on until the router has done.

    Args:
        meeting: The run.
        processes: Those whose death ends it, by role.
        progress: Is told what the client says.
        output: Where the client says it, a line of JSON at a time.
        log: Where all roles leave their complaints.
        patience: How long this may take, in seconds.

    Raises:
        WorldError: Some role failed, or it took too long.
    """
    deadline = time.monotonic() + patience
    os.set_blocking(output.fileno(), False)
    unread = b""
    try:
        while meeting.heard("router.done") is None:
            report_the_dead(processes, meeting)
            if time.monotonic() > deadline:
                raise MeetingError(f"the run is not over after {patience:.0f} s")
            if select.select([output], [], [], POLL)[0]:
                data = os.read(output.fileno(), 1 << 16)
                *lines, unread = (unread + data).split(b"\n")
                for line in lines:
                    progress(json.loads(line))
                if not data:
                    time.sleep(POLL)  # nobody is left to say anything; the next look at the folder tells why
    except MeetingError as error:
        raise WorldError(str(error), f"What the programs wrote is in {log}.") from error


def end(*processes: subprocess.Popen[bytes]) -> None:
    """See processes off that have been told to go: patiently, then not."""
    deadline = time.monotonic() + _GRACE
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
