"""Marks: one report, written for those who collect them.

Every planned test counts the same. Tests that draw their cases are run with the seeds everybody knows, and once more with
each *hidden* one, which only the instructor has: a program that fits the known cases alone does not fit those.

Sources: Gradescope's autograder specification (``results.json``); JUnit's XML as Jenkins and most LMS read it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from lessons.sandbox import Outcome, Report, Status


class SeedsError(Exception):
    """The file of hidden seeds cannot be used; the message says why."""


def read_seeds(path: Path) -> list[int]:
    """Hidden seeds, one whole number a line.

    Raises:
        SeedsError: It cannot be read, or holds something else, or nothing.
    """
    try:
        seeds = [int(line) for line in path.read_text(encoding="utf-8").split()]
    except (OSError, ValueError) as error:
        raise SeedsError(f"hidden seeds, one whole number a line, cannot be read from {path}: {error}") from error
    if not seeds:
        raise SeedsError(f"{path} holds no seeds")
    return seeds


def points(report: Report, maximum: float) -> float:
    """The marks, of so many."""
    passed = sum(outcome.status is Status.PASSED for outcome in report.outcomes)
    return round(maximum * passed / len(report.outcomes), 2) if report.outcomes else 0.0


def gradescope(report: Report, hidden: Sequence[int], maximum: float = 100.0) -> str:
    """The text of ``results.json``; tests with hidden seeds are not shown to the student."""
    each = maximum / max(len(report.outcomes), 1)
    document = {
        "score": points(report, maximum),
        "output": report.trouble or "All planned tests were run.",
        "stdout_visibility": "hidden",
        "tests": [
            {
                "name": _name(outcome, hidden),
                "score": round(each if outcome.status is Status.PASSED else 0.0, 4),
                "max_score": round(each, 4),
                "status": "passed" if outcome.status is Status.PASSED else "failed",
                "output": message(outcome),
                "visibility": "hidden" if outcome.seed in hidden else "visible",
            }
            for outcome in report.outcomes
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def junit(report: Report, hidden: Sequence[int], lesson: str) -> str:
    """The text of a JUnit XML file. It is for the instructor: JUnit has no way to hide a test."""
    failed = sum(outcome.status is Status.FAILED for outcome in report.outcomes)
    skipped = sum(outcome.status is Status.NOT_RUN for outcome in report.outcomes)
    counts = {"tests": str(len(report.outcomes)), "failures": str(failed), "errors": "0", "skipped": str(skipped)}
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", {"name": lesson, **counts})
    for outcome in report.outcomes:
        case = ET.SubElement(suite, "testcase", {"classname": lesson, "name": _name(outcome, hidden)})
        if outcome.status is Status.FAILED:
            ET.SubElement(case, "failure", {"message": _clean(outcome.got)}).text = _clean(message(outcome))
        elif outcome.status is Status.NOT_RUN:
            ET.SubElement(case, "skipped", {"message": _clean(report.trouble)})
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def message(outcome: Outcome) -> str:
    """What a student reads about a test."""
    if outcome.status is Status.PASSED:
        return outcome.proves
    if outcome.status is Status.NOT_RUN:
        return "not run"
    lines = (("call", outcome.call), ("got", outcome.got), ("expected", outcome.expected), ("why", outcome.why))
    return "\n".join([outcome.proves, *(f"{label}: {words}" for label, words in lines if words)]).strip()


def _name(outcome: Outcome, hidden: Sequence[int]) -> str:
    """A test's name, which does not give a hidden seed away."""
    if outcome.seed is None or outcome.seed not in hidden:
        return outcome.name
    words = outcome.test.removeprefix("test_").replace("_", " ")
    return f"{words} (hidden seed {list(hidden).index(outcome.seed) + 1})"


def _clean(text: str) -> str:
    """Text without what XML cannot hold."""
    return (
        "".join(character for character in text if character in "\n\t" or character >= " ")
        .encode("utf-8", "replace")
        .decode("utf-8")
    )
