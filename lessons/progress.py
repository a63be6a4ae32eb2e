"""A student's own folder: the files they work on, and how far they are.

``progress.json`` in it says for each lesson begun how often it was tested, how many hints were taken, and whether the
exercise is solved. Nobody else keeps anything.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from lessons.catalogue import Lesson

FILE = "progress.json"


class ProgressError(Exception):
    """The file cannot be read; the message says what to do."""


@dataclass
class Step:
    """How far somebody is with one exercise.

    Attributes:
        tries: How often a changed file was tested.
        hints: How many levels of hints were read.
        solved: Whether all tests have passed once.
    """

    tries: int = 0
    hints: int = 0
    solved: bool = False


@dataclass
class Progress:
    """All steps, by the lesson's name.

    Attributes:
        folder: The student's.
        steps: What was begun.
    """

    folder: Path
    steps: dict[str, Step] = field(default_factory=dict[str, Step])

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What stands in a folder; nothing, if there is nothing.

        Raises:
            ProgressError: What stands there is not ours.
        """
        path = folder / FILE
        if not path.is_file():
            return cls(folder)
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return cls(folder, {name: Step(**step) for name, step in document.items()})
        except (ValueError, TypeError, AttributeError) as error:
            raise ProgressError(f"{path} cannot be read ({error}); mend it, or remove it to begin anew") from error

    def write(self) -> None:
        """Keep it."""
        self._make_folder()
        document = {name: asdict(step) for name, step in sorted(self.steps.items())}
        fresh = self.folder / f"{FILE}.new"
        fresh.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self.folder / FILE)  # whole or not at all

    def step(self, lesson: Lesson) -> Step:
        """How far it is with a lesson."""
        return self.steps.setdefault(lesson.name, Step())

    def path(self, lesson: Lesson) -> Path:
        """Where the student's file for a lesson lies, or will."""
        return self.folder / f"{lesson.name.replace('/', '-')}.py"

    def file(self, lesson: Lesson) -> Path:
        """The student's file for a lesson; made from the stub if there is none."""
        path = self.path(lesson)
        if not path.exists():
            self._make_folder()
            path.write_text((lesson.exercise / "stub.py").read_text(encoding="utf-8"), encoding="utf-8")
        return path

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProgressError(
                f"{self.folder} cannot be your folder: {error.strerror}; name one in which you may write: --folder FOLDER"
            ) from error
