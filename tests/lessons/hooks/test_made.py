"""What pages get from data: tables of lessons, links back, and nothing that nobody makes."""

import pytest
from markdown import markdown

from lessons import catalogue
from lessons.hooks import made

HEAD = "---\ntitle: {title}\nable: {able}\n{more}---\n\n"
LISTING = '```python title="sleepy/udp/acks.py"\n--8<-- "sleepy/udp/acks.py:insert"\n```\n'


@pytest.fixture(autouse=True)
def three(tmp_path, monkeypatch) -> None:
    """Three lessons on two tracks; one is a draft, one shows a module."""
    for name, able, more, text in (
        ("udp/01-one", "count", "", LISTING),
        ("udp/02-two", "wait", "draft: true\n", ""),
        ("tcp/01-three", "ask", "", "It speaks of sleepy.udp.acks, and shows nothing of it."),
    ):
        (tmp_path / name).mkdir(parents=True)
        page = HEAD.format(title=name[-3:].strip("-"), able=able, more=more) + text
        (tmp_path / name / "index.md").write_text(page)
    every = catalogue.lessons(tmp_path)
    monkeypatch.setattr(catalogue, "lessons", lambda: every)


def html(text: str) -> str:
    return markdown(text, extensions=["attr_list", "tables", "fenced_code", made.makeExtension()])


def test_a_track_lists_its_lessons_and_says_what_one_can_do_after_each() -> None:
    page = html("before\n\n<!-- made: lessons udp -->\n\nafter")
    assert '<a href="01-one/index.md">one</a></td>\n<td>count</td>' in page
    assert '<a href="02-two/index.md">two</a> <em>(being written)</em></td>\n<td>wait</td>' in page
    assert "three" not in page
    assert "<p>after</p>" in page


def test_a_modules_page_leads_back_to_the_lessons_that_show_it() -> None:
    page = html("::: sleepy.udp.acks")
    assert page.count("<a") == 1
    assert '<a class="lesson" href="../../udp/01-one/index.md">Lesson: one</a>' in page
    assert "::: sleepy.udp.acks" in page


@pytest.mark.parametrize("module", ["sleepy.udp.header", "sleepy.udp.acks.more", "sleepy.udp"])
def test_a_module_that_no_lesson_shows_leads_nowhere(module) -> None:
    assert "<a" not in html(f"::: {module}")


def test_how_far_up_a_link_leads_is_a_matter_of_the_page(monkeypatch) -> None:
    monkeypatch.setattr(catalogue, "reference", lambda _: catalogue.LESSONS / "reference/udp/deep/down/acks.md")
    assert made.back_links("sleepy.udp.acks").startswith("[Lesson: one](../../../../udp/01-one/index.md)")


def test_what_nobody_makes_stops_the_build() -> None:
    with pytest.raises(ValueError, match="nobody makes 'coffee'; there are: lessons"):
        html("<!-- made: coffee black -->")


def test_other_comments_are_left_alone() -> None:
    assert "<!-- made by hand -->" in html("<!-- made by hand -->")
