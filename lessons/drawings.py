"""All that pages, README and home page show of recorded runs, drawn from the records: plots, tables, pictures.

Rules:

1. What is drawn is a matter of the records alone, and the same record gives the same file. A run of a lab is drawn by
   `lessons.runs`; other runs by the ``record.py`` of their lesson: its ``drawn()`` gives each file and what stands in it.
2. The site's build draws first (`lessons.hooks.figures`), so no page shows an old plot. The files are committed all the
   same: GitHub and Zensical, which run no hooks, show them as they are; a test holds them against the records.

    python -m lessons draw
"""

from collections.abc import Callable, Iterable, Mapping
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import cast

from lessons import catalogue, runs


def drawn(lessons: Iterable[catalogue.Lesson]) -> dict[Path, str]:
    """Every file that is made from a record, and what must stand in it (rule 1).

    Args:
        lessons: Those whose own records count too.
    """
    files = runs.drawn()
    for lesson in lessons:
        if (lesson.folder / "record.py").is_file():
            own = cast("Callable[[], Mapping[Path, str]]", recorder(lesson.folder).drawn)
            files.update(own())
    return files


def draw(lessons: Iterable[catalogue.Lesson]) -> list[Path]:
    """Write the files in which something else stands.

    Returns:
        Those written.
    """
    stale = {
        path: text
        for path, text in drawn(lessons).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
    return list(stale)


def recorder(folder: Path) -> ModuleType:
    """The program that made the recorded runs of a lesson.

    Raises:
        FileNotFoundError: The lesson has none.
    """
    name = f"record_of_{folder.parent.name}_{folder.name[:2]}"
    loader = SourceFileLoader(name, str(folder / "record.py"))
    module = module_from_spec(ModuleSpec(name, loader, origin=loader.path))
    module.__file__ = loader.path
    loader.exec_module(module)
    return module
