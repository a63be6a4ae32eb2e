"""The site is built from a copy of the repository in which something has changed.

There is a lesson more, which was added by writing its own folder; and a plot is older than its record.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

SLUG, TITLE = "one-more-lesson", "One more lesson"
PLOT = Path("lessons/udp/02-fragments-and-reassembly/run/loss/figure.svg")


def run(root: Path, *arguments: str) -> str:
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


class Changed(NamedTuple):
    """What became of the copy.

    Attributes:
        site: What was built from it.
        said: What mkdocs said meanwhile.
        lesson: The new lesson's name.
        touched: Every file that was made or changed for it.
        lost: Those that were there and are not.
        drawn: The plot, as its record has it, and as it is after the build.
    """

    site: Path
    said: str
    lesson: str
    touched: list[str]
    lost: set[str]
    drawn: tuple[str, str]


@pytest.fixture(scope="module")
def changed(repository, tmp_path_factory) -> Changed:
    before = contents(repository)
    run(repository, "lessons", "new", "udp", SLUG, "--title", TITLE)
    after = contents(repository)
    [folder] = (repository / "lessons/udp").glob(f"*-{SLUG}")
    plot = repository / PLOT
    wanted = plot.read_text(encoding="utf-8")
    plot.write_text("<svg><title>old</title></svg>\n", encoding="utf-8")
    site = tmp_path_factory.mktemp("changed") / "site"
    said = run(repository, "mkdocs", "build", "--strict", "--site-dir", str(site))
    touched = [path for path in after if after[path] != before.get(path)]
    drawn = wanted, plot.read_text(encoding="utf-8")
    return Changed(site, said, f"udp/{folder.name}", touched, before.keys() - after.keys(), drawn)


@pytest.mark.timeout(400)  # a whole build
def test_a_lesson_needs_nothing_but_its_own_folder(changed) -> None:
    site, name = changed.site, changed.lesson
    assert changed.touched
    assert all(path.startswith(f"lessons/{name}/") for path in changed.touched)
    assert not changed.lost
    assert "WARNING" not in changed.said

    def page(place: str) -> str:
        return (site / place / "index.html").read_text(encoding="utf-8")

    def links(place: str) -> list[str]:
        found = re.findall(r'<a [^>]*href="([^"]+)"', page(place))
        return [(site / place / link).resolve().relative_to(site).as_posix() for link in found if ":" not in link]

    assert TITLE in page(name)
    assert "<sleepy-play" in page(name)
    for place in ("udp", "curriculum", "reference/udp/sequence"):
        assert name in links(place), f"{place} does not lead to it"
    navigation = re.search(r'<nav class="md-nav md-nav--primary.*?</nav>\s*</div>', page("udp"), re.DOTALL)
    assert navigation is not None
    assert TITLE in navigation[0]
    assert f"]({name}/)" in (site / "llms.txt").read_text(encoding="utf-8")


@pytest.mark.timeout(400)
def test_a_plot_is_drawn_from_its_record_when_the_site_is_built(changed) -> None:
    wanted, drawn = changed.drawn
    assert drawn == wanted
    page = (changed.site / PLOT.relative_to("lessons").parents[2] / "index.html").read_text(encoding="utf-8")
    assert "<title>old</title>" not in page
    [told] = re.findall(r'aria-label="([^"]+)"', wanted)
    assert told in page
