"""The same mkdocs.yml under Zensical, the successor of mkdocs-material: the way out stays open.

What it cannot: it runs no hooks of mkdocs, so the lessons are not in its navigation (their tracks' tables lead to them), and
there is no llms.txt. Everything else must be the same: the pages, their headings, tables and links.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("zensical", reason="zensical is not installed: pip install -e .[dev]")


class Outline(NamedTuple):
    """What a reader would miss."""

    headings: list[str]
    links: list[str]
    tables: int
    code: int


def outline(page: Path) -> Outline:
    text = page.read_text(encoding="utf-8")
    [article] = re.findall(r"<article.*?</article>", text, re.DOTALL)
    return Outline(
        re.findall(r'<h[1-6][^>]* id="([^"]+)"', article),
        sorted(link.removeprefix("./") for link in re.findall(r'<a [^>]*href="([^"]+)"', article)),
        article.count("<table"),
        article.count("<pre"),
    )


@pytest.mark.timeout(600)  # two whole builds
def test_it_builds_the_same_pages(site, repository) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict", "--clean"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    built = repository / "site"
    pages = {path.relative_to(built).as_posix() for path in built.rglob("*.html")}
    assert pages == {path.as_posix() for path in site.pages}
    other = {page for page in pages - {"404.html"} if outline(built / page) != outline(site.folder / page)}
    assert other == set()
