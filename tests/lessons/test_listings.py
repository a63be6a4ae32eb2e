"""Listings are cut from the source, never typed: the markers that pages name are there, and come in pairs."""

import re
from pathlib import Path

import pytest

from tests.lessons.conftest import ROOT

PAGES = sorted(path for path in (ROOT / "lessons").rglob("*.md") if "template" not in path.parts)
CUT = re.compile(r'^\s*--8<-- "(?P<path>[^":]+)(?::(?P<section>[a-z-]+))?"', re.MULTILINE)
LISTING = re.compile(r'^```python title="(?P<title>[^"]+)"\n(?P<text>.*?)^```', re.MULTILINE | re.DOTALL)
MARKER = re.compile(r"--8<-- \[(start|end):([a-z-]+)\]")
MARKED = sorted(
    path
    for folder in ("sleepy", "labs")
    for path in (ROOT / folder).rglob("*.py")
    if "--8<--" in path.read_text(encoding="utf-8")
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_cut_names_a_section_that_is_there(page) -> None:
    for cut in CUT.finditer(page.read_text(encoding="utf-8")):
        source = ROOT / cut["path"]
        assert source.is_file(), cut[0]
        if cut["section"]:
            assert ("start", cut["section"]) in MARKER.findall(source.read_text(encoding="utf-8")), cut[0]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_listing_with_a_title_is_cut_from_that_file(page) -> None:
    for listing in LISTING.finditer(page.read_text(encoding="utf-8")):
        lines = [cut["path"] for cut in CUT.finditer(listing["text"])]
        assert lines == [listing["title"]] * len(listing["text"].splitlines()), listing[0]


@pytest.mark.parametrize("source", MARKED, ids=name)
def test_markers_come_in_pairs_each_name_once(source) -> None:
    found = MARKER.findall(source.read_text(encoding="utf-8"))
    starts = [section for kind, section in found if kind == "start"]
    assert len(starts) == len(set(starts))
    assert sorted(starts) == sorted(section for kind, section in found if kind == "end")
    assert found == sorted(found, key=lambda marker: starts.index(marker[1]))  # none within another
