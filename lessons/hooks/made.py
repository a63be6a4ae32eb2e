"""Parts of pages that are made from data, when the site is built: an extension of Python-Markdown.

Rules:

1. A line ``<!-- made: lessons udp -->`` becomes the table of a track's lessons, from what stands at the top of their pages.
2. Before a line ``::: sleepy.udp.acks``, where the reference of that module will stand, come links to all lessons that show
   a piece of its source.
3. ``<!-- made: curriculum -->`` becomes the map of the curriculum (`lessons.hooks.curriculum`).
4. ``<!-- made: correspondence reliable counter -->`` becomes a table of what is called how (`lessons.hooks.correspondence`),
   ``<!-- made: tally -->`` one of how many names each has.
5. A place that asks for something else stops the build.

Whoever follows changes sees them: nothing is remembered from one page to the next.
"""

import re
from collections.abc import Callable

from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor

from lessons import catalogue
from lessons.hooks import correspondence, curriculum

_PLACE = re.compile(r"<!-- made: ([a-z]+)((?: [a-z]+)*) -->")
_MODULE = re.compile(r"::: (sleepy(?:\.\w+)+)")
BETWEEN = (25, 32)  # after pymdownx.snippets, which may bring places; before code is fenced off


def lessons_table(track: str) -> str:
    """Rule 1: the lessons of a track."""
    rows = ["| Lesson | What you will be able to do |", "|---|---|"]
    for lesson in catalogue.lessons():
        if lesson.folder.parent.name == track:
            still = " *(being written)*" if lesson.is_draft else ""
            rows.append(f"| [{lesson.title}]({lesson.folder.name}/index.md){still} | {lesson.front.get('able', '')} |")
    return "\n".join(rows)


def back_links(module: str) -> str:
    """Rule 2: from the page of a module to the lessons that show it."""
    showing = [lesson for lesson in catalogue.lessons() if module in lesson.modules]
    page = catalogue.reference(module) if showing else None
    if page is None:
        return ""
    up = "../" * len(page.parent.relative_to(catalogue.LESSONS).parts)
    return "\n".join(f"[Lesson: {lesson.title}]({up}{lesson.name}/index.md){{ .lesson }}" for lesson in showing)


MAKERS: dict[str, Callable[..., str]] = {
    "lessons": lessons_table,
    "curriculum": curriculum.drawn,
    "correspondence": correspondence.table,
    "tally": correspondence.tally,
}


class Places(Preprocessor):
    """Fills the places of a page."""

    def run(self, lines: list[str]) -> list[str]:
        """Called by Python-Markdown with a page's lines."""
        return [made for line in lines for made in self._filled(line)]

    def _filled(self, line: str) -> list[str]:
        if place := _PLACE.fullmatch(line):
            if place[1] not in MAKERS:
                raise ValueError(f"nobody makes {place[1]!r}; there are: {', '.join(MAKERS)}")
            return MAKERS[place[1]](*place[2].split()).splitlines()
        if (module := _MODULE.fullmatch(line)) and (links := back_links(module[1])):
            return [*links.splitlines(), "", line]
        return [line]


class Made(Extension):
    """Has the places filled."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  Python-Markdown's name
        """Called by Python-Markdown."""
        md.preprocessors.register(Places(md), "made", sum(BETWEEN) / 2)


def makeExtension(**_: object) -> Extension:  # noqa: N802  Python-Markdown's name
    """Called by Python-Markdown."""
    return Made()
