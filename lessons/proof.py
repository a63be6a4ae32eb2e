"""Is an exercise any good? That is not a matter of opinion: its own tests are put to the test.

Rules:

1. The stub fails every test: what passes without being written asks nothing.
2. The solution passes every test.
3. There are at least two wrong solutions, each with a line ``Misconception: ...`` in its docstring. Each passes some test
   (it is plausible) and fails another.
4. The first failure a wrong solution meets says call, got and expected: it is what the student reads.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from lessons import sandbox
from lessons.catalogue import Lesson
from lessons.sandbox import Report, Status

WRONG_AT_LEAST = 2
_MISCONCEPTION = re.compile(r"^Misconception: \S.+", re.MULTILINE)


def faults(lesson: Lesson) -> Iterator[str]:
    """What breaks the rules, in sentences; the files must be there."""
    yield from _stub(_tested(lesson, lesson.exercise / "stub.py"))
    solved = _tested(lesson, lesson.exercise / "solution.py")
    if not solved.passed:
        yield f"solution.py does not pass: {_told(solved)}"
    if len(lesson.wrong) < WRONG_AT_LEAST:
        yield f"exercise/wrong/ has {len(lesson.wrong)} of at least {WRONG_AT_LEAST} wrong solutions: add wrong/<name>.py"
    for path in lesson.wrong:
        yield from (f"wrong/{path.name}: {fault}" for fault in _wrong(path, _tested(lesson, path)))


def _tested(lesson: Lesson, file: Path) -> Report:
    return sandbox.run_tests(file, lesson.tests)


def _stub(report: Report) -> Iterator[str]:
    if report.trouble:
        yield f"stub.py must load, and fail test by test: {report.trouble}"
    elif passed := [outcome.test for outcome in report.outcomes if outcome.status is Status.PASSED]:
        yield f"stub.py passes {', '.join(passed)}: raise NotImplementedError in it, or sharpen the test"


def _wrong(path: Path, report: Report) -> Iterator[str]:
    if not _MISCONCEPTION.search(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""):
        yield "its docstring has no line 'Misconception: ...'"
    if report.passed:
        yield "it passes every test: add one that rejects it"
        return
    first = report.failures[0] if report.failures else None
    if first is None or not first.helps:
        got = report.trouble or (first.got if first else "")
        yield f"the failure it meets first does not say call, got and expected (it says: {got})"
    if not any(outcome.status is Status.PASSED for outcome in report.outcomes):
        yield "it fails every test: nobody would believe in it"


def _told(report: Report) -> str:
    failure = report.failures[0] if report.failures else None
    if failure is None or report.trouble:
        return report.trouble or "there are no tests"
    return f"{failure.name}: {failure.call} gave {failure.got}, expected {failure.expected}"
