"""Whoever linked to a heading finds it again: what was published once stays, or something with its name does.

``lessons/anchors.txt`` lists every heading's address on the pages that people write (the reference's are names in the code).
A new one is added with ``python -m lessons.anchors``. One that has to go is kept as ``<a id="...">`` where its matter went.
"""

import pytest

from lessons import anchors

pytestmark = pytest.mark.timeout(400)  # whichever comes first waits for the build


def test_no_address_has_gone(site) -> None:
    there = set(anchors.found(site.folder))
    assert [address for address in anchors.listed() if address not in there] == []


def test_every_address_of_a_page_that_is_no_draft_is_listed(site) -> None:
    fresh = set(anchors.found(site.folder, drafts=False)) - set(anchors.listed())
    assert fresh == set(), "add them: make site && python -m lessons.anchors"


def test_a_heading_that_goes_is_missed(tmp_path, monkeypatch) -> None:
    page = tmp_path / "guides/one/index.html"
    page.parent.mkdir(parents=True)
    page.write_text(
        '<article><h1 id="one">x</h1><h2 id="two">x</h2><p id="three">x</p><a id="old"></a></article><h2 id="no">'
    )
    assert anchors.found(tmp_path) == ["guides/one/#old", "guides/one/#one", "guides/one/#two"]
    page.write_text("<article></article>")
    assert anchors.found(tmp_path) == []
