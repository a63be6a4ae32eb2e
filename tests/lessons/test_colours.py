"""The judge of contrast itself: what is wrong is found on every page, what is the same is judged once."""

from collections.abc import Iterator

import pytest

from tests.browser import launched, needs_chromium, sync_api
from tests.lessons import colours
from tests.lessons.colours import Colours

pytestmark = [needs_chromium, pytest.mark.timeout(120)]

GOOD, BAD = "color: #111111", "color: #bbbbbb"


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def judged(browser):
    """What a judge says of pages one after the other, and how many texts it gave to axe for each."""
    with browser.new_page() as page:
        judge = Colours()

        def look(body: str) -> tuple[bool, int]:
            page.set_content(f"<!doctype html><body style='background: #ffffff'>{body}")
            wrong = judge.violations(page)
            return bool(wrong), page.locator("[data-judge]").count()

        yield look


def test_what_is_wrong_is_found_and_what_is_the_same_is_judged_once(judged) -> None:
    assert judged(f"<p style='{GOOD}'>words</p><p style='{GOOD}'>more words</p>") == (False, 1)
    assert judged(f"<div><p style='{GOOD}'>other words</p></div>") == (False, 0)
    assert judged(f"<p style='{GOOD}'>words</p><p style='{BAD}'>pale words</p>") == (True, 1)


@pytest.mark.parametrize(
    "body",
    [
        "<p style='color: #111111; background: #333333'>words</p>",
        "<div style='background: #333333'><p><b style='color: #111111'>words</b></p></div>",
        "<div style='opacity: 0.4'><p style='color: #111111'>words</p></div>",
        "<div style='opacity: 0.4'><p style='color: #111111; background: #ffffff'>words</p></div>",
        "<p style='color: #777777; background: rgba(0, 0, 0, 0.2)'>words</p>",
        "<p style='color: #888888; font-size: 12px'>small, though a headline may be so</p>",
    ],
)
def test_the_ground_the_size_and_the_opacity_belong_to_the_kind(judged, body) -> None:
    """Texts of the same colours elsewhere were judged before."""
    for before in ("color: #111111", "color: #777777; background: #000000", "color: #888888; font-size: 40px"):
        assert judged(f"<p style='{before}'>words</p>") == (False, 1)
    assert judged(body) == (True, 1)


def test_a_link_that_only_its_colour_tells_apart_is_found(judged) -> None:
    link = "<a href='#' style='color: #222244; text-decoration: {}'>a link</a>"
    line = f"<p style='color: #111111'>some words and then {link} and some more</p>"
    assert judged(line.format("underline"))[0] is False
    assert judged(line.format("none"))[0] is True


@pytest.mark.parametrize("hidden", ["display: none", "visibility: hidden", "opacity: 0"])
def test_what_nobody_sees_speaks_for_nobody(judged, hidden) -> None:
    assert judged(f"<p style='{BAD}; {hidden}'>pale words</p>") == (False, 0)
    assert judged(f"<p style='{BAD}'>pale words</p>") == (True, 1)


def test_what_axe_cannot_decide_is_given_again_and_not_for_ever(judged) -> None:
    picture = "background-image: linear-gradient(#ffffff, #000000)"
    for _ in range(colours.TRIES):
        assert judged(f"<p style='{GOOD}; {picture}'>words</p>") == (False, 1)
    assert judged(f"<p style='{GOOD}; {picture}'>words</p>") == (False, 0)
