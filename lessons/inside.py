"""The process in which a student's code is tested: limited, without a clock, telling what it finds line by line.

It is started by `lessons.sandbox`, is told on its command line what to do (JSON), and writes JSON lines to its standard
output: first the plan (all tests), then the beginning and the result of each. So whoever started it knows after a crash or
a kill what was under way. The student's own prints go to standard error.

The limits are for accidents: an endless loop, a list that grows without end. They do not stop somebody who wants to do
harm, or to forge results: who grades strangers runs this in a container, as Gradescope does.
"""

import importlib.util
import inspect
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from lessons.trial import Mismatch, Trial, raised

if sys.platform != "win32":  # there the time limit of `lessons.sandbox` remains
    import resource

OUTPUT_LIMIT = 1 << 20  # bytes a student's code may print, and we may tell
CLOCKS = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")


class ClockError(RuntimeError):
    """An exercise's code asked for real time."""


def limit(cpu_seconds: int, memory: int) -> None:
    """Let this process have so much, where the system can say so; ``memory`` in bytes."""
    if sys.platform == "win32":
        return
    for which, amount in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, OUTPUT_LIMIT),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(which)
        amount = amount if most == resource.RLIM_INFINITY else min(amount, most)  # noqa: PLW2901
        try:
            resource.setrlimit(which, (amount, amount))
        except (ValueError, OSError):  # macOS refuses RLIMIT_AS
            continue


def stop_clocks() -> None:
    """Nobody here may wait, or measure: time is what a test passes."""

    def refuse(*_: Any) -> NoReturn:
        raise ClockError("exercises run in virtual time: the test passes `now`, and nothing waits")

    for name in CLOCKS:
        setattr(time, name, refuse)


def load(path: Path, name: str) -> ModuleType:
    """Import a file as a module of this name."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def plan(tests: ModuleType, seeds: Sequence[int]) -> list[tuple[str, int | None]]:
    """Every test with its seed, in the file's order: one that draws comes once for each seed."""
    found: list[tuple[str, int | None]] = []
    for name, function in vars(tests).items():
        if name.startswith("test_") and inspect.isfunction(function):
            draws = "random" in inspect.signature(function).parameters
            found += [(name, seed) for seed in seeds] if draws else [(name, None)]
    return found


def run(test: Callable[..., None], student: ModuleType, seed: int | None) -> dict[str, str] | None:
    """Run one test; why it failed, or None."""
    random.seed(0)  # the student's own chance, if there is any
    trial = Trial.of(student)
    try:
        if seed is None:
            test(trial)
        else:
            test(trial, random.Random(seed))
    except Mismatch as mismatch:
        return {"call": mismatch.call, "got": mismatch.got, "expected": mismatch.expected, "why": mismatch.why}
    except Exception as error:  # noqa: BLE001 - a test that breaks on an odd answer is a failure, not our end
        return {"call": "", "got": raised(error), "expected": "", "why": "the test itself could not go on"}
    return None


def main(arguments: Sequence[str]) -> int:
    """Test one file."""
    task = json.loads(arguments[0])
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(**what: object) -> None:
        told.write(json.dumps(what) + "\n")
        told.flush()

    tests = load(Path(task["tests"]), "tests")
    planned = plan(tests, task["seeds"])
    tell(plan=[[name, seed, inspect.getdoc(getattr(tests, name)) or ""] for name, seed in planned])
    limit(task["cpu"], task["memory"])
    stop_clocks()
    tell(begins=None)
    try:
        student = load(Path(task["file"]), "student")
    except SyntaxError as error:
        tell(unreadable=f"{error.msg}, in line {error.lineno} of your file: {(error.text or '').strip()}")
        return 0
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the student's file does when it is imported
        tell(unreadable=raised(error))
        return 0
    for index, (name, seed) in enumerate(planned):
        tell(begins=index)
        tell(ends=index, failure=run(getattr(tests, name), student, seed))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
