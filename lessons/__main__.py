"""``python -m lessons``: do the exercises, prove that the lessons hold, begin a new one, mark."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

try:
    from rich.console import Console
    from rich.markup import escape
except ModuleNotFoundError:
    print("this Python lacks what the exercises need: use .venv/bin/python, which `make learn` makes", file=sys.stderr)
    sys.exit(2)

from lessons import catalogue, check, grade, learn, new, quiz, sandbox
from lessons.progress import Progress, ProgressError

_EXAMPLES = """examples:
  python -m lessons learn                        # the exercises, and how far you are
  python -m lessons learn udp/01                 # do one: it is tested whenever you save
  python -m lessons learn udp/01 --hint          # the next hint
  python -m lessons learn udp/01 --once --json   # test once, for programs
  python -m lessons check                        # are all lessons whole, and do their exercises hold?
  python -m lessons new udp reliable-messages    # the skeleton of a lesson
  python -m lessons quiz                         # draw the quizzes from their quiz.yml
  python -m lessons draw                         # draw plots and tables from the records (building the site does it too)
  python -m lessons grade udp/01 FILE --gradescope results.json --junit results.xml --hidden-seeds seeds.txt

exit codes: 0 yes, 1 no (tests fail, parts are missing), 2 it could not be done, 130 interrupted
"""
_REFUSALS = (
    catalogue.UnknownLessonError,
    learn.NothingToDoError,
    new.NewLessonError,
    grade.SeedsError,
    quiz.QuizError,
    ProgressError,
    OSError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line; give the exit code."""
    options = _parser().parse_args(arguments)
    talk = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        return int(options.command(options))
    except _REFUSALS as error:
        talk.print(f"[red]it could not be done:[/] {escape(str(error))}")
        return 2
    except KeyboardInterrupt:
        talk.print("\nstopped; what you wrote and your progress are kept")
        return 130


def _parser() -> argparse.ArgumentParser:
    def command(name: str, what: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name, help=what, description=what, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    parser = argparse.ArgumentParser(
        prog="python -m lessons",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    learning = command("learn", "list the exercises, or do one: tests run at every save")
    learning.add_argument("lesson", nargs="?", help="such as udp/01; without it, the list")
    learning.add_argument("--folder", type=Path, default=Path("my-exercises"), help="yours (my-exercises)")
    learning.add_argument("--once", action="store_true", help="test once and end: exit code 0 if all tests pass")
    learning.add_argument("--json", action="store_true", help="for programs: one JSON document per report")
    learning.add_argument(
        "--hint", type=int, nargs="?", const=0, metavar="LEVEL", help="the next hint, or that of a level"
    )
    learning.set_defaults(command=_learn)

    checking = command("check", "prove that lessons have all their parts, and that their exercises hold")
    checking.add_argument(
        "lesson", nargs="?", help="such as udp/01; all of them unless given, drafts for information only"
    )
    checking.add_argument("--json", action="store_true", help="for programs")
    checking.set_defaults(command=_check)

    making = command("new", "make the skeleton of a lesson")
    making.add_argument("track", help="such as udp")
    making.add_argument("slug", help="such as reliable-messages")
    making.add_argument("--title", help="made from the slug unless given")
    making.set_defaults(command=_new)

    drawing = command("quiz", "draw every quiz.md from its quiz.yml")
    drawing.set_defaults(command=_quiz)

    plotting = command("draw", "draw every plot and table from its record")
    plotting.set_defaults(command=_draw)

    grading = command("grade", "mark a file")
    grading.add_argument("lesson", help="such as udp/01")
    grading.add_argument("file", type=Path, help="the student's")
    grading.add_argument("--gradescope", type=Path, metavar="FILE", help="write Gradescope's results.json")
    grading.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    grading.add_argument(
        "--hidden-seeds", type=Path, metavar="FILE", help="more seeds, one a line, which students do not see"
    )
    grading.add_argument("--points", type=_points, default=100.0, help="for all tests together (100)")
    grading.set_defaults(command=_grade)
    return parser


def _points(text: str) -> float:
    points = float(text)
    if not 0 <= points < math.inf:  # nan is not either
        raise argparse.ArgumentTypeError(f"{text} are no points: 0 or more")
    return points


def _learn(options: argparse.Namespace) -> int:
    page = Console(highlight=False, stderr=options.json)
    progress = Progress.read(options.folder)
    if options.lesson is None:
        learn.show_list(catalogue.lessons(), progress, page, as_json=options.json)
        return 0
    lesson = catalogue.find(options.lesson)
    if options.hint is not None:
        learn.give_hint(lesson, progress, options.hint or None, page)
        return 0
    file = learn.begin(lesson, progress, page)

    def tell(report: sandbox.Report) -> None:
        if options.json:
            print(learn.as_json(lesson, file, report), flush=True)
        else:
            learn.show(lesson, report, page)

    if options.once:
        report = learn.once(lesson, progress, file)
        tell(report)
    else:
        page.print("Tested whenever you save it; Ctrl-C ends this.")
        report = learn.watch(lesson, progress, file, tell)
    return 0 if report.passed else 1


def _check(options: argparse.Namespace) -> int:
    some = [catalogue.find(options.lesson)] if options.lesson else catalogue.lessons()
    found = {lesson: check.check(lesson) for lesson in some}
    failing = [lesson for lesson, findings in found.items() if findings and (options.lesson or not lesson.is_draft)]
    if options.json:
        document = [
            {"lesson": lesson.name, "draft": lesson.is_draft, "missing": [finding._asdict() for finding in findings]}
            for lesson, findings in found.items()
        ]
        print(json.dumps(document, indent=1))
        return 1 if failing else 0
    page = Console(highlight=False, soft_wrap=True)
    for lesson, findings in found.items():
        state = "[green]whole[/]" if not findings else "[yellow]draft[/]" if lesson.is_draft else "[red]not whole[/]"
        page.print(f"{state}  [bold]{escape(lesson.name)}[/]")
        for finding in findings:
            page.print(f"    [cyan]{finding.part}:[/] {escape(finding.what)}")
    return 1 if failing else 0


def _new(options: argparse.Namespace) -> int:
    lesson = new.make(options.track, options.slug, options.title)
    print(new.next_steps(lesson))
    return 0


def _quiz(_: argparse.Namespace) -> int:
    for path in quiz.redraw(catalogue.lessons()):
        print(path.relative_to(catalogue.LESSONS.parent))
    return 0


def _draw(_: argparse.Namespace) -> int:
    from lessons import drawings  # noqa: PLC0415  brings scapy and matplotlib, which take a second that only it needs

    for path in drawings.draw(catalogue.lessons()):
        print(path.relative_to(catalogue.LESSONS.parent))
    return 0


def _grade(options: argparse.Namespace) -> int:
    lesson = catalogue.find(options.lesson)
    if not lesson.tests.is_file():
        raise learn.NothingToDoError(f"{lesson.name} has no exercise yet")
    if not options.file.is_file():
        raise FileNotFoundError(f"there is no file {options.file}")
    hidden = grade.read_seeds(options.hidden_seeds) if options.hidden_seeds else []
    seeds = list(dict.fromkeys((*sandbox.SEEDS, *hidden)))
    report = sandbox.run_tests(options.file, lesson.tests, seeds=seeds)
    if options.gradescope:
        options.gradescope.write_text(grade.gradescope(report, hidden, options.points), encoding="utf-8")
    if options.junit:
        options.junit.write_text(grade.junit(report, hidden, lesson.name), encoding="utf-8")
    print(f"{lesson.name}: {grade.points(report, options.points):g} of {options.points:g} points")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
