"""Tests a file of a student's in a process of its own, and always comes back with a report.

Rules:

1. Every planned test is in the report: passed, failed, or not run. What was under way when the process ended has failed.
2. The process has limits on its processor time, its memory and its output (`lessons.inside`), and here one on real time,
   for what waits without working. Whatever it does, it is over after that.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Limits:
    """What a student's code may use.

    Attributes:
        cpu: Processor time, in seconds.
        wall: Real time, in seconds.
        memory: Address space, in bytes; that of Python itself is a part of it.
    """

    cpu: int = 10
    wall: float = 60.0
    memory: int = 1 << 30


class Status(StrEnum):
    """What became of a test."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass
class Outcome:
    """One test's.

    Attributes:
        test: The function's name.
        seed: What it drew from, or None.
        proves: Its docstring.
        status: What became of it.
        call: The call that went wrong, and those before; empty if the test failed in another way.
        got: What that gave.
        expected: What it should have given.
        why: The reason.
    """

    test: str
    seed: int | None
    proves: str
    status: Status = Status.NOT_RUN
    call: str = ""
    got: str = ""
    expected: str = ""
    why: str = ""

    @property
    def name(self) -> str:
        """In words."""
        words = self.test.removeprefix("test_").replace("_", " ")
        return words if self.seed is None else f"{words} (seed {self.seed})"

    @property
    def helps(self) -> bool:
        """Whether its failure says call, got and expected."""
        return bool(self.call and self.got and self.expected)


@dataclass
class Report:
    """All that was found.

    Attributes:
        outcomes: One for each planned test.
        trouble: What kept the file from being tested to the end, in a sentence; empty if nothing did.
        printed: What the code printed.
    """

    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    trouble: str = ""
    printed: str = ""

    @property
    def passed(self) -> bool:
        """Whether all tests passed, and there were any."""
        return bool(self.outcomes) and not self.trouble and not self.failures

    @property
    def failures(self) -> list[Outcome]:
        """The tests that did not pass."""
        return [outcome for outcome in self.outcomes if outcome.status is not Status.PASSED]


def run_tests(file: Path, tests: Path, *, seeds: Sequence[int] = SEEDS, limits: Limits | None = None) -> Report:
    """Run an exercise's tests on a file."""
    limits = limits or Limits()
    task = {
        "file": str(file.resolve()),
        "tests": str(tests.resolve()),
        "seeds": list(seeds),
        "cpu": limits.cpu,
        "memory": limits.memory,
    }
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-B", "-X", "utf8", "-m", "lessons.inside", json.dumps(task)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=printed,
            start_new_session=True,  # so that what it starts ends with it
        )
        try:
            code: int | None = process.wait(limits.wall)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
        told.seek(0)
        printed.seek(0)
        lines = [json.loads(line) for line in told.read().decode("utf-8", "replace").splitlines() if line.endswith("}")]
        report = _report(lines, code, limits)
        report.printed = printed.read().decode("utf-8", "replace")
    return report


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the process, and what it has started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # it is gone, and so is its group
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _report(lines: Sequence[Mapping[str, Any]], code: int | None, limits: Limits) -> Report:
    report = Report()
    under_way: Outcome | None = None
    for line in lines:
        if "plan" in line:
            report.outcomes = [Outcome(name, seed, proves) for name, seed, proves in line["plan"]]
        elif "unreadable" in line:
            report.trouble = f"your file could not be loaded: {line['unreadable']}"
        elif "ends" in line:
            ended: int = line["ends"]
            _settle(report.outcomes[ended], line["failure"])
            under_way = None
        elif line.get("begins") is not None:
            begun: int = line["begins"]
            under_way = report.outcomes[begun]
    if not report.trouble and any(outcome.status is Status.NOT_RUN for outcome in report.outcomes):
        report.trouble = _ending(code, limits)
        if under_way is not None:
            under_way.status = Status.FAILED
            under_way.got = report.trouble
    if not report.outcomes:
        report.trouble = "the exercise's own tests could not be loaded, or there are none"
    return report


def _settle(outcome: Outcome, failure: Mapping[str, str] | None) -> None:
    if failure is None:
        outcome.status = Status.PASSED
        return
    outcome.status = Status.FAILED
    outcome.call, outcome.got = failure["call"], failure["got"]
    outcome.expected, outcome.why = failure["expected"], failure["why"]


def _ending(code: int | None, limits: Limits) -> str:
    """Why the process ended before its tests did."""
    if code is None:
        return f"it was stopped after {limits.wall:g} s: something waits for what never comes"
    if hasattr(signal, "SIGXCPU") and code in {-signal.SIGXCPU, -signal.SIGKILL}:
        return f"it was stopped after {limits.cpu} s of processor time: is there a loop that never ends?"
    return f"its process ended by itself (code {code}) before the tests did"
