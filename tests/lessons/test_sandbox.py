"""Whatever a student's file does, there is a report, and soon."""

import os
import select
import sys
from pathlib import Path

import pytest

from lessons.sandbox import Limits, Report, Status, run_tests

TESTS = '''
def test_first(trial):
    """It gives one."""
    trial.gives("first", expected=1)

def test_second(trial, random):
    """It gives what was drawn."""
    number = random.randrange(1000)
    trial.gives("second", number, expected=number)
'''
GOOD = "def first():\n    return 1\ndef second(number):\n    return number\n"
needs_limits = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits as Linux has them")


def report_on(folder: Path, code: str, *, tests: str = TESTS, limits: Limits | None = None, **options) -> Report:
    file, tests_file = folder / "student file.py", folder / "tests.py"
    file.write_text(code, encoding="utf-8")
    tests_file.write_text(tests, encoding="utf-8")
    return run_tests(file, tests_file, limits=limits, **options)


def states(report: Report) -> list[Status]:
    return [outcome.status for outcome in report.outcomes]


def test_a_good_file_passes_once_for_each_seed(tmp_path) -> None:
    report = report_on(tmp_path, GOOD, seeds=[5, 6])
    assert report.passed
    assert [(outcome.test, outcome.seed) for outcome in report.outcomes] == [
        ("test_first", None),
        ("test_second", 5),
        ("test_second", 6),
    ]
    assert report.outcomes[0].proves == "It gives one."


def test_seeds_decide_what_is_drawn(tmp_path) -> None:
    calls = [
        report_on(tmp_path, "def second(number):\n    return -1\n", seeds=[seed]).outcomes[1].call for seed in (5, 5, 6)
    ]
    assert calls[0] == calls[1] != calls[2]


def test_a_failure_names_the_line(tmp_path) -> None:
    report = report_on(tmp_path, GOOD.replace("return 1", "return 1 / 0"))
    assert not report.passed
    assert report.outcomes[0].got == "raised ZeroDivisionError: division by zero in line 2 of your file"
    assert states(report)[1:] == [Status.PASSED] * 3


@pytest.mark.parametrize(
    ("code", "says"),
    [("def first(:\n", "in line 1"), ("1 / 0\n", "ZeroDivisionError"), ("raise SystemExit\n", "SystemExit")],
)
def test_a_file_that_does_not_load_says_so(tmp_path, code, says) -> None:
    report = report_on(tmp_path, code)
    assert says in report.trouble
    assert states(report) == [Status.NOT_RUN] * 4
    assert not report.passed


@needs_limits
def test_an_endless_loop_ends(tmp_path) -> None:
    report = report_on(tmp_path, GOOD.replace("return 1", "while True: pass"), limits=Limits(cpu=1))
    assert "processor time" in report.trouble
    assert states(report) == [Status.FAILED, *[Status.NOT_RUN] * 3]


def test_waiting_for_ever_ends(tmp_path) -> None:
    code = GOOD.replace("return 1", "import threading; threading.Event().wait()")
    report = report_on(tmp_path, code, limits=Limits(wall=3.0))
    assert "waits for what never comes" in report.trouble
    assert report.outcomes[0].status is not Status.PASSED


@needs_limits
def test_memory_has_an_end(tmp_path) -> None:
    report = report_on(tmp_path, GOOD.replace("return 1", "return len(bytearray(1 << 31))"))
    assert "MemoryError" in report.outcomes[0].got
    assert states(report)[1:] == [Status.PASSED] * 3


@needs_limits
def test_printing_has_an_end(tmp_path) -> None:
    report = report_on(tmp_path, GOOD.replace("return 1", "\n    while True: print('x' * 1000)"))
    assert report.outcomes[0].status is Status.FAILED
    assert len(report.printed) <= 1 << 20


def test_what_it_prints_is_kept_apart(tmp_path) -> None:
    report = report_on(tmp_path, GOOD.replace("return 1", "print('{}'); return 1"))
    assert report.passed
    assert report.printed == "{}\n"


def test_leaving_in_the_middle_is_a_failure(tmp_path) -> None:
    report = report_on(tmp_path, GOOD.replace("return 1", "import os; os._exit(0)"))
    assert not report.passed
    assert "ended by itself" in report.trouble
    assert report.outcomes[0].status is Status.FAILED


@needs_limits
def test_what_it_has_started_ends_with_it(tmp_path) -> None:
    sleeper = "[sys.executable, '-c', 'import time; time.sleep(600)']"
    code = GOOD.replace("return 1", f"import subprocess, sys; print(subprocess.Popen({sleeper}).pid); return 1")
    report = report_on(tmp_path, "import warnings; warnings.simplefilter('ignore')\n" + code)
    try:
        handle = os.pidfd_open(int(report.printed.split()[0]))
    except ProcessLookupError:
        return  # it is gone already
    ended = select.poll()
    ended.register(handle, select.POLLIN)
    assert ended.poll(30_000)  # milliseconds: the kernel ends it in its own time
    os.close(handle)


@pytest.mark.parametrize("call", ["time.sleep(1)", "time.time()", "time.monotonic()"])
def test_there_is_no_clock(tmp_path, call) -> None:
    report = report_on(tmp_path, "import time\n" + GOOD.replace("return 1", f"{call}; return 1"))
    assert "virtual time" in report.outcomes[0].got


def test_without_tests_nothing_passes(tmp_path) -> None:
    report = report_on(tmp_path, GOOD, tests="")
    assert not report.passed
    assert report.trouble


def test_a_test_that_breaks_is_a_failure(tmp_path) -> None:
    report = report_on(tmp_path, GOOD, tests="def test_x(trial):\n    raise KeyError('odd')\n")
    assert report.outcomes[0].status is Status.FAILED
    assert not report.outcomes[0].helps
