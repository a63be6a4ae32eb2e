"""``python -m lessons new``: the skeleton of a lesson.

It is a copy of ``lessons/template/``, whose exercise works: its stub fails, its solution passes, its wrong solutions are
rejected. So an author begins with something that holds, and replaces it piece by piece. The skeleton says ``draft: true``;
what `lessons.check` finds in it is what is left to write. Nothing outside its folder has to be written: the navigation, the
tables and the links back are made from what stands in it.
"""

import re
import shutil
from pathlib import Path
from string import Template

from lessons import quiz
from lessons.catalogue import LESSONS, Lesson
from lessons.playground.stage import picture

TEMPLATE = LESSONS / "template"


class NewLessonError(Exception):
    """It cannot be made; the message says why."""


def make(track: str, slug: str, title: str | None = None, root: Path = LESSONS) -> Lesson:
    """Make a lesson's folder under the next free number of its track.

    Raises:
        NewLessonError: A name is not fit, or the slug is taken.
    """
    for word in (track, slug):
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", word):
            raise NewLessonError(f"{word!r} is no name for a folder: small letters, digits and single dashes")
    taken = sorted((root / track).glob("[0-9][0-9]-*"))
    if any(folder.name[3:] == slug for folder in taken):
        raise NewLessonError(f"lessons/{track}/ has a lesson {slug!r} already")
    number = int(taken[-1].name[:2]) + 1 if taken else 1
    lesson = Lesson(root / track / f"{number:02}-{slug}")
    lesson.folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(TEMPLATE, lesson.folder, ignore=shutil.ignore_patterns("__pycache__"))
    words = {"name": lesson.name, "title": title or slug.replace("-", " ").capitalize()}
    for path in lesson.folder.rglob("*.*"):
        if path.is_file():
            path.write_text(Template(path.read_text(encoding="utf-8")).safe_substitute(words), encoding="utf-8")
    quiz.redraw([lesson])
    (lesson.folder / "play.html").write_text(picture(lesson.name, root), encoding="utf-8")
    return lesson


def next_steps(lesson: Lesson) -> str:
    """What its author does now."""
    return f"""made {lesson.folder}
now: 1. make serve                        shows it, and follows your changes
     2. write it; each TODO is a place to begin
     3. python -m lessons check {lesson.name}     says what is missing
     4. python -m lessons quiz            draws the quiz after a change
        python -m lessons.playground draw the diagram's still picture
     5. when nothing is missing, remove 'draft: true' from its page"""
