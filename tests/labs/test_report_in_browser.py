"""The report in a real browser: it asks nobody for anything, is accessible, works by keyboard and without scripts."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from labs import report
from labs.results import Summary
from tests.browser import launched, needs_chromium, sync_api, violations
from tests.labs import synthetic

pytestmark = [
    needs_chromium,
    pytest.mark.timeout(180),
]
RUNS = [synthetic.slow_response, synthetic.lost_segment, synthetic.no_effect]


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def page_of(tmp_path_factory) -> Callable[[Callable[[], Summary]], str]:
    @cache
    def write(run: Callable[[], Summary]) -> str:
        folder = tmp_path_factory.mktemp("run")
        run().write(folder / "summary.json")
        return report.write(folder).as_uri()

    return write


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_quiet_and_accessible(browser, page_of, run, scheme) -> None:
    heard: list[str] = []
    with browser.new_page(color_scheme=scheme) as page:
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        address = page_of(run)
        page.goto(address)
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        assert violations(page) == ""
    assert heard == []
    assert asked == [address]


@pytest.mark.parametrize("run", RUNS)
def test_a_phone_needs_no_sideways_scrolling(browser, page_of, run) -> None:
    with browser.new_page(viewport={"width": 360, "height": 740}) as page:
        page.goto(page_of(run))
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        wider = page.locator(".scroll").evaluate_all(
            "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
        )
        assert wider == 0


def test_the_keyboard_reads_out_every_request(browser, page_of) -> None:
    with browser.new_page() as page:
        page.goto(page_of(synthetic.slow_response))
        track = page.locator(".track").first
        track.locator("input").focus()
        assert "It is a culprit: a slow response." in track.locator("output").inner_text()
        page.keyboard.press("ArrowRight")
        told = track.locator("output").inner_text()
        assert "held up for" in told
        assert track.locator("input").get_attribute("aria-valuetext") == told


def test_the_whole_run_and_every_culprit_can_be_chosen(browser, page_of) -> None:
    with browser.new_page() as page:
        page.goto(page_of(synthetic.slow_response))
        culprits = synthetic.slow_response().contenders[0].captured.culprits
        page.locator("#whole").click()
        assert page.locator("#whole").get_attribute("aria-pressed") == "true"
        assert page.locator(".track").first.locator("path.culprit").count() == culprits
        seen = set()
        for _ in range(culprits):
            page.locator("#next").click()
            seen.add(page.locator("#which").input_value())
        assert seen == {str(place) for place in range(culprits)}


def test_pointing_at_a_bar_tells_its_story(browser, page_of) -> None:
    with browser.new_page() as page:
        page.goto(page_of(synthetic.slow_response))
        track = page.locator(".track").first
        before = track.locator("output").inner_text()
        track.locator("rect.held").last.hover()
        after = track.locator("output").inner_text()
        assert after != before
        assert "held up for" in after


def test_without_scripts_a_still_picture_stands_in(browser, page_of) -> None:
    with browser.new_page(java_script_enabled=False) as page:
        page.goto(page_of(synthetic.slow_response))
        assert page.get_by_text("held up behind it").last.is_visible()
        assert page.locator("noscript svg").is_visible()
        assert not page.locator("#timeline").is_visible()
