"""Who is at work for a run: the processes that have its folder in their command line."""

import time
from pathlib import Path

import pytest


def processes(folder: Path) -> list[Path]:
    """Those that have the folder in their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "cmdline").read_bytes():
                found.append(process)
        except OSError:
            continue  # it is gone
    return found


def nobody_is_left(folder: Path) -> bool:
    """Wait until all have gone; it is a failure if one does not go."""
    deadline = time.monotonic() + 30
    while left := processes(folder):
        if time.monotonic() > deadline:
            pytest.fail(f"still there: {[(process / 'cmdline').read_bytes() for process in left]}")
        time.sleep(0.01)
    return True
