"""Every lesson has all its parts, its exercise holds, and each check was seen to fail on a broken copy."""

import shutil
from pathlib import Path

import pytest

from lessons import catalogue, check, new, quiz
from lessons.catalogue import Lesson
from lessons.playground.stage import picture
from tests.lessons.conftest import ROOT

pytestmark = pytest.mark.timeout(300)  # an exercise is some ten processes

FULL = {
    "tcp/01-a-pool-that-grows-and-waits",
    "tcp/02-head-of-line-blocking",
    "udp/01-acks-by-the-dozen",
    "udp/02-fragments-and-reassembly",
}
"""Lessons that once were whole, and may not become drafts again."""


@pytest.mark.parametrize("lesson", catalogue.lessons(), ids=lambda lesson: lesson.name)
def test_a_lesson_is_whole_or_says_that_it_is_a_draft(lesson) -> None:
    if lesson.is_draft:
        assert lesson.name not in FULL
        assert check.check(lesson), "nothing is missing any more: remove 'draft: true' from its page"
    else:
        assert check.check(lesson) == []


def test_the_full_ones_are_there() -> None:
    assert {lesson.name for lesson in catalogue.lessons()} >= FULL


# --- broken copies ---------------------------------------------------------------------------------------------------

WHOLE = """---
title: A lesson
description: How it goes.
able: do it
---

# A lesson

--8<-- "lessons/udp/01-whole/play.html"

**Before you run it:** how many?

```python title="sleepy/udp/sequence.py"
--8<-- "sleepy/udp/sequence.py:newer"
```

--8<-- "lessons/tcp/02-other/run/one/figure.svg"

[`sequence`](../../reference/udp/sequence.md), [the lab](../../labs/hol.md), [For instructors](instructors.md)

--8<-- "lessons/udp/01-whole/quiz.md"

--8<-- "lessons/udp/01-whole/exercise/README.md"
"""


@pytest.fixture
def root(tmp_path) -> Path:
    """A small repository with one whole lesson."""
    lesson = new.make("udp", "whole", "Whole", tmp_path / "lessons")
    for path in lesson.folder.rglob("*.*"):
        if path.is_file():
            path.write_text(path.read_text(encoding="utf-8").replace("TODO", "done"), encoding="utf-8")
    lesson.page.write_text(WHOLE, encoding="utf-8")
    quiz.redraw([lesson])
    (lesson.folder / "play.html").write_text(picture(lesson.name, tmp_path / "lessons"), encoding="utf-8")
    (tmp_path / "lessons/udp/index.md").write_text("<!-- made: lessons udp -->\n", encoding="utf-8")
    run = tmp_path / "lessons/tcp/02-other/run/one"
    run.mkdir(parents=True)
    (run / "summary.json").write_text("{}", encoding="utf-8")
    reference = tmp_path / "lessons/reference/udp/sequence.md"
    reference.parent.mkdir(parents=True)
    reference.write_text("::: sleepy.udp.sequence\n", encoding="utf-8")
    source = tmp_path / "sleepy/udp/sequence.py"
    source.parent.mkdir(parents=True)
    shutil.copy(ROOT / "sleepy/udp/sequence.py", source)
    return tmp_path


def findings(root: Path) -> list[check.Finding]:
    return check.check(Lesson(root / "lessons/udp/01-whole"), root)


def edit(root: Path, path: str, old: str, fresh: str) -> None:
    file = root / path.replace("~", "lessons/udp/01-whole")
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, fresh), encoding="utf-8")


def test_a_whole_lesson_has_nothing_to_mend(root) -> None:
    assert findings(root) == []


@pytest.mark.parametrize(
    ("path", "part", "says"),
    [
        ("~/index.md", "page", "python -m lessons new"),
        ("~/quiz.yml", "quiz", "there is no quiz.yml"),
        ("~/quiz.md", "quiz", "python -m lessons quiz"),
        ("~/instructors.md", "instructors", "lessons/template/instructors.md"),
        ("~/exercise/README.md", "exercise", "lessons/template/exercise/README.md"),
        ("~/exercise/stub.py", "exercise", "there is no exercise/stub.py"),
        ("~/exercise/tests.py", "exercise", "there is no exercise/tests.py"),
        ("~/exercise/hints.md", "exercise", "there is no exercise/hints.md"),
        ("~/exercise/solution.py", "exercise", "there is no exercise/solution.py"),
        ("~/exercise/wrong/larger_is_newer.py", "exercise", "1 of at least 2 wrong solutions"),
        ("~/playground.py", "diagram", "nothing to play with"),
        ("~/play.html", "diagram", "python -m lessons.playground draw"),
        ("lessons/tcp/02-other/run/one/summary.json", "plot", "has no record"),
        ("lessons/reference/udp/sequence.md", "back link", "no link leads back from sleepy.udp.sequence"),
        ("lessons/udp/index.md", "page", "give it the line <!-- made: lessons udp -->"),
        ("sleepy/udp/sequence.py", "listing", "has no section 'newer'"),
    ],
)
def test_a_part_removed_is_missed(root, path, part, says) -> None:
    (root / path.replace("~", "lessons/udp/01-whole")).unlink()
    assert any(finding.part == part and says in finding.what for finding in findings(root))


QUIZ, TESTS, STUB, SOLUTION = "~/quiz.yml", "~/exercise/tests.py", "~/exercise/stub.py", "~/exercise/solution.py"
WRONG = "~/exercise/wrong/larger_is_newer.py"


@pytest.mark.parametrize(
    ("path", "old", "fresh", "part", "says"),
    [
        ("~/index.md", "description: How it goes.\n", "", "page", "no 'description:'"),
        ("~/index.md", "able: do it\n", "", "page", "no 'able:'"),
        ("~/index.md", "01-whole/play.html", "01-whole/other.html", "diagram", "the page does not show it"),
        ("~/index.md", "figure.svg", "figure.png", "plot", "no plot of a recorded run"),
        ("~/playground.py", "still = 12", "still = 13", "diagram", "play.html is not what playground.py shows"),
        ("~/playground.py", "class Playground(", "class Other(", "diagram", "no class Playground"),
        ("~/playground.py", "Endpoint(now=0.0), ", "", "diagram", "cannot be played"),
        ("lessons/udp/index.md", "made: lessons udp", "made: lessons tcp", "page", "does not list the track's lessons"),
        (
            "lessons/reference/udp/sequence.md",
            "sequence",
            "other",
            "back link",
            "before a line '::: sleepy.udp.sequence'",
        ),
        ("~/index.md", "**Before you run it:**", "Well,", "prediction", "asks for no prediction"),
        ("~/index.md", '--8<-- "sleepy/udp/sequence.py:newer"', "def newer(): ...", "listing", "no listing is cut"),
        (
            "~/index.md",
            "../../reference/udp/sequence.md",
            "../../labs/hol.md",
            "module link",
            "reference/udp/sequence.md",
        ),
        ("~/index.md", "../../labs/hol.md", "instructors.md", "lab link", "leads to no lab"),
        ("~/index.md", "(instructors.md)", "(index.md)", "instructors", "add [For instructors]"),
        ("~/index.md", "01-whole/quiz.md", "01-whole/other.md", "quiz", "the page does not show it"),
        ("~/index.md", "exercise/README.md", "exercise/other.md", "exercise", "does not show its instructions"),
        ("~/index.md", "# A lesson", "# TODO", "unwritten", "index.md has a TODO"),
        ("sleepy/udp/sequence.py", "[start:newer]", "[start:older]", "listing", "no section 'newer'"),
        ("~/instructors.md", "## 80 minutes\n\n1. done", "## 80 minutes\n", "instructors", "'## 80 minutes'"),
        ("~/instructors.md", "## Objectives", "## Aims", "instructors", "'## Objectives'"),
        ("~/exercise/hints.md", "## Level 3", "## Last", "exercise", "'## Level 3'"),
        (QUIZ, "18 minutes", "18 min", "quiz", "is not what quiz.yml says"),
        (QUIZ, "right: true", "right: false", "quiz", "exactly one of them"),
        (QUIZ, "because: From", "since: From", "quiz", "question 1, answer 1: 'because' is missing"),
        (QUIZ, "misconception: any", "belief: any", "quiz", "question 3: 'misconception' is missing"),
        (QUIZ, "- question:", "x: [", "quiz", "no YAML"),
        (STUB, "raise NotImplementedError", "return a > b", "exercise", "stub.py passes test_the_next_is_newer"),
        (STUB, "def newer", "def newer(", "exercise", "stub.py must load"),
        (SOLUTION, "< 32768", "< 32", "exercise", "solution.py does not pass: exactly one of two"),
        (SOLUTION, "return 0", "return 1 / 0 + 0", "exercise", "ZeroDivisionError"),
        (WRONG, "Misconception:", "Note:", "exercise", "no line 'Misconception: ...'"),
        (WRONG, "return a > b", "return 0 < (a - b) & 0xFFFF < 32768", "exercise", "it passes every test"),
        (WRONG, "return a > b", "return None", "exercise", "it fails every test"),
        (WRONG, "return a > b", "import os; os._exit(1)", "exercise", "does not say call, got and expected"),
        (
            TESTS,
            'trial.gives("newer", 3, 65533,',
            'assert trial.do("newer", 3, 65533) is dict(',
            "exercise",
            "call, got",
        ),
    ],
)
def test_a_part_broken_is_found(root, path, old, fresh, part, says) -> None:
    edit(root, path, old, fresh)
    assert any(finding.part == part and says in finding.what for finding in findings(root)), findings(root)


def test_a_quiz_of_two_questions_is_too_short(root) -> None:
    path = root / "lessons/udp/01-whole/quiz.yml"
    path.write_text(path.read_text(encoding="utf-8").rsplit("- question:", 1)[0], encoding="utf-8")
    assert any("3 to 5 questions" in finding.what for finding in findings(root))
