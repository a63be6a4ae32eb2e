"""``python -m lessons learn``: do an exercise, and see at every save how far it is."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from lessons import hints, sandbox
from lessons.catalogue import Lesson
from lessons.progress import Progress
from lessons.sandbox import Report, Status

GLANCE = 0.3  # seconds between two looks at the file
SHOWN_PRINTS = 1000  # characters of what the code printed


class NothingToDoError(Exception):
    """The lesson has no exercise, or no such hint; the message says so."""


def show_list(lessons: list[Lesson], progress: Progress, page: Console, *, as_json: bool) -> None:
    """The exercises there are, and how far the student is."""
    rows = [(lesson, progress.steps.get(lesson.name)) for lesson in lessons]
    if as_json:
        found = [
            {"lesson": lesson.name, "title": lesson.title, "exercise": lesson.tests.is_file()}
            | (asdict(step) if step else {"tries": 0, "hints": 0, "solved": False})
            for lesson, step in rows
        ]
        print(json.dumps(found, indent=1))
        return
    table = Table("lesson", "title", "your state", box=None, padding=(0, 2, 0, 0))
    for lesson, step in rows:
        if not lesson.tests.is_file():
            state = "no exercise yet"
        elif step is None:
            state = "not begun"
        else:
            tries = "1 try" if step.tries == 1 else f"{step.tries} tries"
            state = "[green]solved[/]" if step.solved else f"begun, {tries}"
        table.add_row(lesson.name[:6], escape(lesson.title), state)  # track and number, which is enough to find it
    page.print(table)
    page.print('\nDo one of them: make learn ARGS=udp/01     the next hint: make learn ARGS="udp/01 --hint"')


def give_hint(lesson: Lesson, progress: Progress, level: int | None, page: Console) -> None:
    """The hint of a level, or the next one.

    Raises:
        NothingToDoError: There is no such level.
    """
    every = hints.read(_exercise(lesson) / "hints.md")
    step = progress.step(lesson)
    wanted = min(step.hints + 1, len(every)) if level is None else level
    if not 1 <= wanted <= len(every):
        raise NothingToDoError(f"there is no hint of level {wanted}; there are 1 to {len(every)}")
    step.hints = max(step.hints, wanted)
    progress.write()
    page.print(f"[bold]Hint {wanted} of {len(every)}[/]")
    page.print(Markdown(every[wanted - 1]))


def once(lesson: Lesson, progress: Progress, file: Path) -> Report:
    """Test the file and keep the progress."""
    report = sandbox.run_tests(file, lesson.tests)
    step = progress.step(lesson)
    step.tries += 1
    step.solved = step.solved or report.passed
    progress.write()
    return report


def begin(lesson: Lesson, progress: Progress, page: Console) -> Path:
    """The student's file; whoever has none gets one, and the instructions.

    Raises:
        NothingToDoError: The lesson has no exercise.
    """
    instructions = _exercise(lesson) / "README.md"
    if not progress.path(lesson).exists():
        page.print(Markdown(instructions.read_text(encoding="utf-8")))
    file = progress.file(lesson)
    page.print(f"\nYour file: [cyan]{escape(str(file))}[/]", soft_wrap=True)
    return file


def watch(
    lesson: Lesson,
    progress: Progress,
    file: Path,
    tell: Callable[[Report], None],
    wait: Callable[[], None] = lambda: time.sleep(GLANCE),
) -> Report:
    """Test the file whenever it has changed, until all tests pass."""
    seen = ""
    while True:
        text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else seen
        if text != seen:  # an editor may remove a file for a moment while it saves
            seen = text
            report = once(lesson, progress, file)
            tell(report)
            if report.passed:
                return report
        wait()


def show(lesson: Lesson, report: Report, page: Console) -> None:
    """What a report says, the first failure in full."""
    page.print()
    for outcome in report.outcomes:
        mark = {Status.PASSED: "[green]pass[/]", Status.FAILED: "[red]FAIL[/]", Status.NOT_RUN: "[dim] -- [/]"}
        page.print(f"  {mark[outcome.status]}  {escape(outcome.name)}", soft_wrap=True)
    if report.trouble:
        page.print(f"\n[red]Stopped:[/] {escape(report.trouble)}", soft_wrap=True)
    first = next((outcome for outcome in report.failures if outcome.status is Status.FAILED), None)
    if first is not None and first.got != report.trouble:
        page.print(f"\n[bold]{escape(first.proves or first.name)}[/]", soft_wrap=True)
        for label, words in (
            ("call", first.call),
            ("got", first.got),
            ("expected", first.expected),
            ("why", first.why),
        ):
            if words:
                page.print(f"  {label:<9} {escape(words)}", soft_wrap=True)
    if report.printed:
        page.print(f"\n[dim]your code printed:[/]\n{escape(report.printed[-SHOWN_PRINTS:].rstrip())}", soft_wrap=True)
    if report.passed:
        solution = lesson.exercise / "solution.py"
        page.print(f"\n[green bold]All tests pass.[/] Compare with {escape(str(solution))}", soft_wrap=True)
    else:
        page.print("\nStuck? The same command with --hint, in another terminal, helps in three steps.")


def as_json(lesson: Lesson, file: Path, report: Report) -> str:
    """A report as one line, for programs."""
    document: dict[str, Any] = {"lesson": lesson.name, "file": str(file), "passed": report.passed, **asdict(report)}
    return json.dumps(document)


def _exercise(lesson: Lesson) -> Path:
    if not lesson.tests.is_file():
        raise NothingToDoError(f"{lesson.name} has no exercise yet")
    return lesson.exercise
