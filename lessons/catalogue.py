"""The lessons there are, and where their parts lie.

A lesson is a folder ``lessons/<track>/<nn>-<slug>/``. Nothing lists the lessons but the folders themselves: the site's
navigation, the tables of the tracks, the links back from the reference are made from what stands in them (`lessons.hooks`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

LESSONS = Path(__file__).parent
_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_LISTING = re.compile(r'^```python title="(sleepy/[^"]+\.py)"\n--8<-- "\1:([a-z_-]+)"', re.MULTILINE)


class UnknownLessonError(Exception):
    """No lesson, or more than one, goes by that name; the message says which there are."""


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Attributes:
        folder: Where it lies.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Track, number and slug, such as ``udp/01-acks-by-the-dozen``."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def slug(self) -> str:
        """Its name without track and number."""
        return self.folder.name[3:]

    @property
    def page(self) -> Path:
        """Its page."""
        return self.folder / "index.md"

    @property
    def exercise(self) -> Path:
        """The folder of its exercise."""
        return self.folder / "exercise"

    @property
    def tests(self) -> Path:
        """Its exercise's tests."""
        return self.exercise / "tests.py"

    @property
    def wrong(self) -> list[Path]:
        """The wrong solutions."""
        return sorted((self.exercise / "wrong").glob("*.py"))

    @cached_property
    def text(self) -> str:
        """What stands on its page; empty if there is none."""
        return self.page.read_text(encoding="utf-8") if self.page.is_file() else ""

    @property
    def front(self) -> dict[str, str]:
        """The fields at the page's top."""
        found = _FRONT.match(self.text)
        pairs = (line.partition(":") for line in found[1].splitlines()) if found else ()
        return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}

    @property
    def title(self) -> str:
        """Its title; its name if it has none."""
        return self.front.get("title", self.name)

    @property
    def listings(self) -> list[tuple[str, str]]:
        """What its page cuts from the library: the path of a module, and a section of it."""
        return [(path, section) for path, section in _LISTING.findall(self.text)]

    @property
    def modules(self) -> list[str]:
        """The modules whose source its page shows, such as ``sleepy.udp.acks``."""
        paths = dict.fromkeys(path for path, _ in self.listings)
        return [path.removesuffix(".py").replace("/", ".") for path in paths]

    @property
    def is_draft(self) -> bool:
        """Whether its author says that parts are still to come (``draft: true`` at the page's top)."""
        return self.front.get("draft") == "true"


def lessons(root: Path = LESSONS) -> list[Lesson]:
    """All lessons, in order."""
    return [Lesson(folder) for folder in sorted(root.glob("*/[0-9][0-9]-*")) if folder.is_dir()]


def find(name: str, root: Path = LESSONS) -> Lesson:
    """The lesson whose name begins with, or contains, ``name``.

    Raises:
        UnknownLessonError: It is none, or several.
    """
    every = lessons(root)
    found = [lesson for lesson in every if lesson.name.startswith(name)] or [
        lesson for lesson in every if name in lesson.name
    ]
    if len(found) != 1:
        what = "no lesson is called" if not found else "several lessons are called"
        raise UnknownLessonError(f"{what} {name!r}; there are: {_names(found or every)}")
    return found[0]


def reference(module: str, root: Path = LESSONS) -> Path | None:
    """The page of the reference that shows a module, if there is one."""
    pages = sorted((root / "reference").rglob("*.md"))
    return next((page for page in pages if f"::: {module}" in page.read_text(encoding="utf-8").splitlines()), None)


def _names(some: Sequence[Lesson]) -> str:
    return ", ".join(lesson.name for lesson in some) or "none at all"
