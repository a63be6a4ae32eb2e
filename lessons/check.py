"""Has a lesson all its parts, and do they hold? What is missing is said with how to add it.

One rule for every lesson, none by name: a lesson is held to all of this from the moment its folder is there. An author
who is not done says so at the page's top (``draft: true``); then what is missing is told, and not held against it.

What is a matter of the whole site (links, the navigation, pages nobody leads to) is `mkdocs build --strict`'s to find.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lessons import hints, proof, quiz
from lessons.catalogue import LESSONS, Lesson, reference
from lessons.playground.stage import picture

ROOT = LESSONS.parent
EXERCISE = ("README.md", "stub.py", "tests.py", "hints.md", "solution.py")
INSTRUCTORS = (
    "Objectives",
    "Prerequisites",
    "Minutes",
    "Misconceptions",
    "50 minutes",
    "80 minutes",
    "Discussion",
    "Left out on purpose",
)
RECORDS = (".json", ".jsonl", ".pcap")
_PLOT = re.compile(r'^\s*--8<-- "(lessons/[^":]+/run/[^":]+)/[^/":]+\.svg"', re.MULTILINE)


class Finding(NamedTuple):
    """Something a lesson lacks.

    Attributes:
        part: Which of its parts.
        what: What is missing or wrong, and what to do.
    """

    part: str
    what: str


def check(lesson: Lesson, root: Path = ROOT) -> list[Finding]:
    """Everything one lesson lacks; ``root`` is where ``sleepy/`` and ``lessons/`` lie."""
    return [Finding(part, what) for part, look in PARTS.items() for what in look(lesson, root)]


def _page(lesson: Lesson, _: Path) -> Iterator[str]:
    if not lesson.text:
        yield "there is no index.md: python -m lessons new makes a skeleton"
        return
    for field in ("title", "description", "able"):
        if not lesson.front.get(field):
            yield f"index.md has no '{field}:' at its top"
    track = lesson.folder.parent.name
    page, place = lesson.folder.parent / "index.md", f"<!-- made: lessons {track} -->"
    if not page.is_file() or place not in page.read_text(encoding="utf-8").splitlines():
        yield f"lessons/{track}/index.md does not list the track's lessons: give it the line {place}"


def _diagram(lesson: Lesson, _: Path) -> Iterator[str]:
    drawn = lesson.folder / "play.html"
    if not (lesson.folder / "playground.py").is_file():
        yield "there is no playground.py, so nothing to play with: lessons/template/playground.py shows its form"
        return
    try:
        wanted = picture(lesson.name, lesson.folder.parents[1])
    except Exception as error:  # noqa: BLE001 - whatever an author's scenario does
        yield f"playground.py cannot be played: {type(error).__name__}: {error}"
        return
    if not drawn.is_file() or drawn.read_text(encoding="utf-8") != wanted:
        yield "play.html is not what playground.py shows: draw it with python -m lessons.playground draw"
    if not _includes(lesson, "play.html"):
        yield f'the page does not show it: add the line --8<-- "lessons/{lesson.name}/play.html"'


def _prediction(lesson: Lesson, _: Path) -> Iterator[str]:
    if not re.search(r"^\*\*Before ", lesson.text, re.MULTILINE):
        yield "the page asks for no prediction: begin a paragraph with '**Before you run it:**' or the like"


def _listing(lesson: Lesson, root: Path) -> Iterator[str]:
    if not lesson.listings:
        yield 'no listing is cut from sleepy/: ```python title="sleepy/x/y.py", and in it --8<-- "sleepy/x/y.py:section"'
    for path, section in lesson.listings:
        source = root / path
        if not source.is_file() or f"--8<-- [start:{section}]" not in source.read_text(encoding="utf-8"):
            yield f"{path} has no section '{section}': frame it with # --8<-- [start:{section}] and [end:{section}]"


def _module_link(lesson: Lesson, root: Path) -> Iterator[str]:
    for module in lesson.modules:
        page = reference(module, root / "lessons")
        link = f"../../{page.relative_to(root / 'lessons').as_posix()}" if page else ""
        if page and f"{link})" not in lesson.text and f"{link}#" not in lesson.text:
            yield f"the page shows a listing of {module} and does not link to it: add a link to {link}"


def _back_link(lesson: Lesson, root: Path) -> Iterator[str]:
    for module in lesson.modules:
        if reference(module, root / "lessons") is None:
            yield f"no link leads back from {module}: one is made before a line '::: {module}' below lessons/reference/"


def _lab(lesson: Lesson, _: Path) -> Iterator[str]:
    if not re.search(r"\]\(\.\./\.\./labs/[a-z-]+\.md", lesson.text):
        yield "the page leads to no lab: add a link to ../../labs/<lab>.md"


def _plot(lesson: Lesson, root: Path) -> Iterator[str]:
    runs = _PLOT.findall(lesson.text)
    if not runs:
        yield (
            "no plot of a recorded run: record one with python -m lessons.runs, and show it with "
            f'--8<-- "lessons/{lesson.name}/run/<scenario>/figure.svg"'
        )
    for run in dict.fromkeys(runs):
        if not any(path.suffix in RECORDS for path in (root / run).glob("*")):
            yield f"{run}/ has no record ({', '.join(RECORDS)}): a plot is drawn from recorded data, which lies beside it"


def _quiz(lesson: Lesson, _: Path) -> Iterator[str]:
    source, drawn = lesson.folder / quiz.SOURCE, lesson.folder / quiz.DRAWN
    if not source.is_file():
        yield "there is no quiz.yml: see the head of lessons/quiz.py for its form"
        return
    try:
        wanted = quiz.draw(quiz.read(source))
    except quiz.QuizError as error:
        yield f"quiz.yml: {error}"
        return
    if not drawn.is_file() or drawn.read_text(encoding="utf-8") != wanted:
        yield "quiz.md is not what quiz.yml says: draw it with python -m lessons quiz"
    if not _includes(lesson, quiz.DRAWN):
        yield f'the page does not show it: add the line --8<-- "lessons/{lesson.name}/quiz.md"'


def _exercise(lesson: Lesson, _: Path) -> Iterator[str]:
    missing = [name for name in EXERCISE if not (lesson.exercise / name).is_file()]
    for name in missing:
        yield f"there is no exercise/{name}: lessons/template/exercise/{name} shows its form"
    if (lesson.exercise / "hints.md").is_file():
        for level, words in enumerate(hints.read(lesson.exercise / "hints.md"), 1):
            if not words:
                yield f"hints.md has no words under '## Level {level}'"
    if not _includes(lesson, "exercise/README.md"):
        yield f'the page does not show its instructions: add the line --8<-- "lessons/{lesson.name}/exercise/README.md"'
    if not missing:
        yield from proof.faults(lesson)


def _instructors(lesson: Lesson, _: Path) -> Iterator[str]:
    path = lesson.folder / "instructors.md"
    if not path.is_file():
        yield "there is no instructors.md: lessons/template/instructors.md shows its form"
        return
    text = path.read_text(encoding="utf-8")
    for heading in INSTRUCTORS:
        if not re.search(rf"^## {heading}\n+(?!#)\S", text, re.MULTILINE):
            yield f"instructors.md has nothing under '## {heading}'"
    if "(instructors.md)" not in lesson.text:
        yield "the page does not lead to it: add [For instructors](instructors.md)"


def _unwritten(lesson: Lesson, _: Path) -> Iterator[str]:
    for path in sorted(lesson.folder.rglob("*")):
        if path.suffix in {".html", ".md", ".py", ".yml"} and "TODO" in path.read_text(encoding="utf-8"):
            yield f"{path.relative_to(lesson.folder).as_posix()} has a TODO: write it"


def _includes(lesson: Lesson, part: str) -> bool:
    return f'--8<-- "lessons/{lesson.name}/{part}"' in lesson.text


PARTS: dict[str, Callable[[Lesson, Path], Iterator[str]]] = {
    "page": _page,
    "diagram": _diagram,
    "prediction": _prediction,
    "listing": _listing,
    "module link": _module_link,
    "back link": _back_link,
    "lab link": _lab,
    "plot": _plot,
    "quiz": _quiz,
    "exercise": _exercise,
    "instructors": _instructors,
    "unwritten": _unwritten,
}
