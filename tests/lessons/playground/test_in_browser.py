"""Every diagram in a real browser: it boots, steps, and shows what the same scenario shows in CPython.

The site is served under a strict content security policy (inline scripts and styles are Material's own), and on loopback
only: whatever asks another host, or complains on the console, fails.
"""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from lessons.playground.stage import LESSONS, Stage, load
from tests.browser import launched, needs_chromium, sync_api, violations
from tests.lessons.test_site_in_browser import SCHEMES, Quiet, served

LIST = sorted(path.parent.relative_to(LESSONS).as_posix() for path in LESSONS.glob("*/*/playground.py"))
ACKS = "udp/01-acks-by-the-dozen"  # for what is the same in all
pytestmark = [needs_chromium, pytest.mark.timeout(600)]  # a few seconds, where nobody else works on the machine

BOOT = 200_000  # milliseconds
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; "
    "connect-src *"  # or a worker's request to another host would be stopped unseen, not found
)
RESTING = "sleepy-play:is([data-state=ready], [data-failed])"
SAME_MARKUP = """([element, html]) => {
  const there = document.createElement("div")
  there.innerHTML = html
  return there.innerHTML === element.querySelector(".play-view").innerHTML
}"""


class Strict(Quiet):
    def end_headers(self) -> None:
        self.send_header("content-security-policy", POLICY)
        super().end_headers()


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    if not (site.folder / "assets/pyodide/sizes.json").exists():
        pytest.skip("npm could not fetch Pyodide: the site was built without Python for the page")
    with served(site.folder, Strict) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with launched() as browser:
        yield browser


class Diagram:
    """A diagram on its page, with a reader before it, and the same scenario in CPython beside it."""

    def __init__(self, page: sync_api.Page, address: str, lesson: str) -> None:
        self.page, self.stage = page, Stage(load(lesson.partition("/index.html")[0]))
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.context.on("request", lambda request: self.asked.append(request.url))
        page.goto(address + lesson + ("" if address.startswith("file:") else "/"))
        self.element = page.locator("sleepy-play")
        self.status = page.locator(".play-status")

    def workers(self) -> list[str]:
        """Ours that are alive; the site's search has one, too."""
        return [worker.url for worker in self.page.workers if "play-worker" in worker.url]

    def press(self, name: str) -> None:
        self.element.get_by_role("button", name=name, exact=True).click()

    def boot(self) -> None:
        self.press("Run it")
        self.page.wait_for_selector(RESTING, timeout=BOOT)
        assert self.element.get_attribute("data-failed") is None, self.status.inner_text()

    def shown(self) -> dict[str, object]:
        return self.element.evaluate("element => element.shown")

    def key(self, key: str) -> None:
        """Press a key, and wait for the answer."""
        self.element.evaluate("element => { element.before = element.shown }")
        self.page.keyboard.press(key)
        self.wait()

    def wait(self) -> None:
        self.page.wait_for_function(
            "() => { const it = document.querySelector('sleepy-play'); return it.shown !== it.before }"
        )

    def assert_same(self) -> None:
        """What the page shows, as data and as drawn, is what CPython shows."""
        here, there = json.loads(json.dumps(self.stage.shown())), self.shown()
        assert there["state"] == here["state"]
        assert there == here
        assert self.element.evaluate(f"(element, html) => ({SAME_MARKUP})([element, html])", here["html"])
        assert self.page.locator(".play-log p").all_inner_texts() == here["log"]


@contextmanager
def opened(browser: sync_api.Browser, address: str, lesson: str, **context) -> Iterator[Diagram]:
    with browser.new_context(**context) as made, made.new_page() as page:
        diagram = Diagram(page, address, lesson)
        with closing(diagram.stage):
            yield diagram


@pytest.mark.parametrize("lesson", LIST)
def test_it_shows_what_cpython_shows(browser, address, lesson) -> None:
    """Step by step; and with everything turned, and what is in the air dropped."""
    with opened(browser, address, lesson, reduced_motion="reduce") as diagram:
        diagram.boot()
        diagram.element.evaluate("element => { element.before = null }")
        diagram.assert_same()
        for number in range(24):
            diagram.key("s")
            diagram.stage.step()
            if number % 6 == 5:
                diagram.assert_same()
        for order in orders(diagram):
            diagram.element.evaluate(
                "(element, order) => { element.before = element.shown; element.order(order) }", order
            )
            diagram.wait()
            diagram.stage.obey(json.dumps(order))
            diagram.assert_same()
        for scheme, rules in SCHEMES.items():
            diagram.page.evaluate("scheme => document.body.setAttribute('data-md-color-scheme', scheme)", scheme)
            diagram.element.evaluate("element => element.querySelectorAll('details').forEach(one => one.open = true)")
            assert violations(diagram.page, **rules) == ""
        diagram.page.set_viewport_size({"width": 360, "height": 740})
        assert diagram.page.evaluate("document.documentElement.scrollWidth") <= 360
        assert diagram.said == []
        assert [url for url in diagram.asked if not url.startswith((address, "data:", "blob:"))] == []
        assert any(url.endswith("pyodide.asm.wasm") for url in diagram.asked)


def orders(diagram: Diagram) -> list[dict[str, object]]:
    """Each slider to its upper end and each switch on, a few steps after each; a packet dropped, if one can be."""
    given: list[dict[str, object]] = []
    drop = diagram.element.locator(".play-drops button").first
    if drop.count():
        given += [{"do": "act", "name": drop.get_attribute("data-act"), "value": drop.get_attribute("data-value")}]
    for control in diagram.stage.controls:
        value = getattr(control, "high", 1)
        given += [{"do": "step"}] * 3
        if type(control).__name__ == "Button":
            given += [{"do": "act", "name": control.name, "value": ""}]
        else:
            given += [{"do": "change", "name": control.name, "value": value}]
    return [*given, {"do": "reset"}, {"do": "step"}]


def test_the_keyboard_is_enough(browser, address) -> None:
    with opened(browser, address, ACKS, reduced_motion="reduce") as diagram:
        diagram.element.get_by_role("button", name="Run it").focus()
        diagram.page.keyboard.press("Enter")
        diagram.page.wait_for_selector(RESTING, timeout=BOOT)
        focused = "() => document.activeElement.textContent"
        assert diagram.page.evaluate(focused) == "Step"
        for _ in range(3):
            diagram.key("s")
        assert diagram.element.get_attribute("data-steps") == "3"
        assert not diagram.page.locator("[data-md-toggle=search]").is_checked(), (
            "s is the site's key for the search, too"
        )
        diagram.key("Enter")
        assert diagram.element.get_attribute("data-steps") == "4"

        diagram.page.keyboard.press("p")  # plays on by itself
        diagram.page.wait_for_function("() => document.querySelector('sleepy-play').dataset.steps >= 6")
        assert diagram.status.get_attribute("aria-live") == "off"
        diagram.page.keyboard.press("p")
        assert diagram.element.get_attribute("data-state") == "ready"
        assert diagram.status.get_attribute("aria-live") == "polite"

        drop = diagram.element.locator(".play-drops button").first  # by keyboard as well
        key = drop.get_attribute("data-value")
        drop.focus()
        diagram.key("Enter")
        assert "you dropped it" in diagram.status.inner_text()
        assert diagram.element.locator(f".play-drops [data-value={key}]").count() == 0
        assert diagram.page.evaluate("() => document.activeElement.tagName") == "BUTTON", (
            "the focus was lost with the packet"
        )

        diagram.key("r")
        assert diagram.element.get_attribute("data-steps") == "0"
        assert len(diagram.workers()) == 1
        diagram.page.keyboard.press("x")
        assert diagram.status.inner_text() == "Stopped."
        assert diagram.page.evaluate(focused) == "Run it"
        for _ in range(500):  # the browser tells of a worker's end when it likes, mostly at once
            if not diagram.workers():
                break
            diagram.page.wait_for_timeout(20)
        assert diagram.workers() == []
        assert diagram.said == []


def test_it_can_be_stopped_while_it_boots_and_run_again(browser, address) -> None:
    with opened(browser, address, ACKS) as diagram:
        still = diagram.element.locator(".play-view").inner_html()
        diagram.press("Run it")
        assert diagram.element.locator("progress").is_visible()
        diagram.press("Stop")
        assert diagram.element.get_attribute("data-state") == "still"
        assert diagram.element.locator(".play-view").inner_html() == still
        diagram.boot()
        moving = "element => element.getAnimations({ subtree: true }).length"
        for _ in range(3):
            diagram.key("s")
        assert diagram.element.evaluate(moving) > 0
        diagram.page.emulate_media(reduced_motion="reduce")
        diagram.page.wait_for_function(f"() => !({moving})(document.querySelector('sleepy-play'))")
        diagram.key("s")
        assert diagram.element.evaluate(moving) == 0, "the reader wishes for less motion"


@pytest.mark.parametrize("lesson", LIST)
def test_without_scripts_there_is_a_picture(browser, address, lesson) -> None:
    with opened(browser, address, lesson, java_script_enabled=False) as diagram:
        assert diagram.element.locator("svg.play-picture, table").first.is_visible()
        assert "still picture" in diagram.element.inner_text()
        assert diagram.element.locator("button").count() == 0


def failed(diagram: Diagram) -> str:
    diagram.press("Run it")
    diagram.page.wait_for_selector("sleepy-play[data-failed]", timeout=BOOT)
    assert diagram.element.get_by_role("button", name="Run it").is_visible()
    return diagram.status.inner_text()


def test_a_site_without_python_says_so(browser, address) -> None:
    with opened(browser, address, ACKS) as diagram:
        diagram.page.context.route("**/sizes.json", lambda route: route.fulfill(status=404))
        assert "built without Python" in failed(diagram)


def test_a_browser_without_webassembly_is_told(browser, address) -> None:
    with opened(browser, address, ACKS) as diagram:
        diagram.page.evaluate("() => { delete window.WebAssembly }")
        assert "no WebAssembly" in failed(diagram)


def test_a_page_opened_as_a_file_says_what_to_do(browser, site) -> None:
    with opened(browser, site.folder.as_uri() + "/", f"{ACKS}/index.html") as diagram:
        assert "make serve" in failed(diagram)


def test_an_error_of_the_scenario_is_shown(browser, address) -> None:
    with opened(browser, address, ACKS) as diagram:
        diagram.boot()
        diagram.element.evaluate("element => element.order({ do: 'dance' })")
        diagram.page.wait_for_selector("sleepy-play[data-failed]")
        assert diagram.status.inner_text() == 'ValueError: no such order: {"do":"dance"}'
