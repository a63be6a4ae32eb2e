"""The program that the page on reading runs shows finds what the labs' own analysis finds."""

import subprocess
import sys

import pytest

from labs import capture
from labs.results import Summary
from lessons import runs
from lessons.labs.lost import lost

RUN = runs.LESSONS / "tcp/02-head-of-line-blocking/run/lost-segment"


def test_it_finds_the_segment_that_was_lost() -> None:
    left, right = (capture.read(RUN / name) for name in runs.CAPTURES)
    first, *rest = lost(RUN)
    assert first == runs.first_loss(left, right, Summary.read(RUN / "summary.json").contenders[0].port).first
    assert all(segment.time > left[-1].time - 0.030 for segment in rest)  # under way when the record was cut off


@pytest.mark.parametrize(("arguments", "told"), [([], "usage: "), (["no/such"], "no/such/left.pcap cannot be read")])
def test_what_is_no_run_is_answered_in_one_line(arguments: list[str], told: str) -> None:
    command = [sys.executable, "-m", "lessons.labs.lost", *arguments]
    done = subprocess.run(command, cwd=runs.LESSONS.parent, capture_output=True, text=True, check=False, timeout=50)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1
