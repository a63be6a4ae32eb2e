"""Server, router and client as processes: started, watched, and heard out, the same way in every world of one machine."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, cast

import labs
from labs.meeting import POLL, Meeting, MeetingError
from labs.worlds import Progress, WorldError

_GRACE = 5.0  # seconds for a process to end by itself


def python(module: str, *arguments: object) -> list[str]:
    """What runs a module of ours, with the Python that runs us."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def command(role: str, package: str, base: Path) -> list[str]:
    """What a role runs."""
    return python("labs.router" if role == "router" else f"{package}.{role}", base)


def environment() -> Mapping[str, str]:
    """Ours, so that ``labs`` and ``sleepy`` are found wherever we are."""
    root = str(Path(labs.__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def start(arguments: Sequence[str], output: int | IO[bytes], complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a process that ends when its standard input does, or when it finds the leash free."""
    return subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=complaints,
        env=environment(),
        start_new_session=True,  # Ctrl-C is for us; they hear of it from us
    )


def report_the_dead(processes: Mapping[str, subprocess.Popen[bytes]], meeting: Meeting) -> None:
    """Speak for roles that died without a word, so that nobody waits for them."""
    for role, process in processes.items():
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
        patience: How long all may be silent, in seconds. On a slow machine a run may take its time, but not stand still.

    Raises:
        WorldError: Some role failed, or all were silent for too long.
    """
    deadline = time.monotonic() + patience
    unread = b""
    try:
        while meeting.heard("router.done") is None:
            report_the_dead(processes, meeting)
            if time.monotonic() > deadline:
                raise MeetingError(f"the run stands still: nothing was heard for {patience:.0f} s")  # noqa: TRY301
            if select.select([output], [], [], POLL)[0]:
                data = os.read(output.fileno(), 1 << 16)
                if not data:
                    time.sleep(POLL)  # nobody is left to say anything; the next look at the folder tells why
                *lines, unread = (unread + data).split(b"\n")
                for line in lines:
                    progress(json.loads(line))
                    deadline = time.monotonic() + patience
    except MeetingError as error:
        raise WorldError(str(error), f"What the programs wrote is in {log}.") from error


def end(*processes: subprocess.Popen[bytes]) -> None:
    """See processes off: the end of their input tells them to go; those who will not are made to."""
    for process in processes:
        cast("IO[bytes]", process.stdin).close()
    deadline = time.monotonic() + _GRACE
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
