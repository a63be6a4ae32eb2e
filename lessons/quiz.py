"""A lesson's quiz: written as ``quiz.yml``, drawn as ``quiz.md``, which the page includes.

Every question is aimed at something that many believe; every answer, right or wrong, says why. So it is not for marks: open
the answer you would give and see what it leads to. The page needs no script for it; each answer is a thing that opens.

Rules:

1. 3 to 5 questions; each names its misconception, and has 2 to 5 answers, exactly one of them right.
2. Every answer has its reason.
3. ``quiz.md`` is drawn, never written: ``python -m lessons quiz``. It is committed, so the site builds without drawing.

    - question: A peer's ack says 10, with ack bits 0b101. Which packets has it?
      misconception: the bits begin at ack - 1
      answers:
        - text: 10 and 8
          right: true
          because: Bit n stands for ack - n.
        - text: 9 and 7
          because: Then nothing would say whether 10 itself has arrived as a whole.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lessons.catalogue import Lesson
from lessons.plain import is_list, is_mapping

SOURCE, DRAWN = "quiz.yml", "quiz.md"


class QuizError(Exception):
    """The quiz breaks a rule; the message says which question, and how."""


@dataclass(frozen=True)
class Answer:
    """One answer: its words, its reason, and whether it is the right one."""

    text: str
    because: str
    right: bool


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        text: Its words.
        misconception: What it is aimed at.
        answers: Exactly one of them right.
    """

    text: str
    misconception: str
    answers: tuple[Answer, ...]


def read(path: Path) -> list[Question]:
    """Read a quiz.

    Raises:
        QuizError: It breaks a rule.
        OSError: There is none.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise QuizError(f"it is no YAML: {error}") from error
    entries = document if is_list(document) else []
    if not 3 <= len(entries) <= 5:
        raise QuizError("it must be a list of 3 to 5 questions")
    return [_question(entry, f"question {number}") for number, entry in enumerate(entries, 1)]


def _question(given: Any, where: str) -> Question:
    entry = _fields(given)
    listed = entry.get("answers")
    entries = listed if is_list(listed) else []
    answers = tuple(
        Answer(
            _words(answer, "text", f"{where}, answer {number}"),
            _words(answer, "because", f"{where}, answer {number}"),
            answer.get("right") is True,
        )
        for number, answer in enumerate(map(_fields, entries), 1)
    )
    if not 2 <= len(answers) <= 5 or sum(answer.right for answer in answers) != 1:
        raise QuizError(f"{where}: it needs 2 to 5 answers, exactly one of them with 'right: true'")
    return Question(_words(entry, "question", where), _words(entry, "misconception", where), answers)


def _fields(given: Any) -> dict[str, Any]:
    return given if is_mapping(given) else {}


def _words(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if value is None or not str(value).strip():
        raise QuizError(f"{where}: '{key}' is missing")
    return " ".join(str(value).split())


def draw(questions: list[Question]) -> str:
    """The part for the page."""
    lines = [f"<!-- Drawn from {SOURCE} by `python -m lessons quiz`. -->", ""]
    lines += ["Open the answer you would give.", ""]
    for number, question in enumerate(questions, 1):
        lines += [f"**{number}. {question.text}**", ""]  # a heading would fill the table of contents
        for letter, answer in zip("ABCDE", question.answers, strict=False):
            verdict = "**Right.**" if answer.right else "**No.**"
            title = answer.text.replace('"', "&quot;")
            lines += [f'??? question "{letter}. {title}"', "", f"    {verdict} {answer.because}", ""]
    return "\n".join(lines)


def redraw(lessons: list[Lesson]) -> list[Path]:
    """Draw the quizzes again; the files written."""
    written: list[Path] = []
    for lesson in lessons:
        if (lesson.folder / SOURCE).is_file():
            path = lesson.folder / DRAWN
            path.write_text(draw(read(lesson.folder / SOURCE)), encoding="utf-8")
            written.append(path)
    return written
