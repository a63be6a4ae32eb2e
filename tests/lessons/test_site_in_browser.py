"""The site in a real browser: quiet, asking nobody, accessible in both schemes, at home on a phone."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.browser import launched, needs_chromium, sync_api, violations
from tests.lessons import colours
from tests.lessons.colours import Colours

pytestmark = [needs_chromium, pytest.mark.timeout(1200)]  # a minute, where nobody else works on the machine

# Axe needs minutes over a plot's thousand bars, the sources folded away in the reference, a class's twentieth method. All
# their colours are judged (`Colours`); for its other rules their like is looked at: code in the lessons' listings, the first
# names of each class, a plot's words in `labs.plots`' own tests.
MUCH_OF_THE_SAME = ".plot svg > g, .doc-contents details .highlight, .doc-children > .doc-object:nth-child(n+4)"
SCHEMES = {
    "default": {"tags": ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")},
    "slate": {"rules": ("color-contrast", "link-in-text-block")},  # all that differs from scheme to scheme
}
PHONE = {"width": 360, "height": 740}  # CSS pixels
DESK = {"width": 1280, "height": 3000}  # higher than the navigation: axe takes half of a scrolled link for a small one


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


class WithoutSearch(Quiet):
    """Every page builds the whole search index anew; where nobody searches, there is none."""

    def do_GET(self) -> None:
        if not self.path.endswith("/search_index.json"):
            super().do_GET()
            return
        whole = json.loads(Path(self.translate_path(self.path)).read_text(encoding="utf-8"))
        index = json.dumps(whole | {"docs": []}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(index)))
        self.end_headers()
        self.wfile.write(index)


@contextmanager
def served(folder: Path, handler: type[Quiet]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    with served(site.folder, Quiet) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with launched() as browser:
        yield browser


@dataclass
class Visit:
    """What was found on all pages, by path."""

    address: str
    heard: dict[str, list[str]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    violations: dict[tuple[str, str], str] = field(default_factory=dict)
    too_wide: dict[str, int] = field(default_factory=dict)


@pytest.fixture(scope="module")
def visit(site, browser) -> Visit:
    """Each page once: unfolded, on a phone, then in both schemes."""
    paths = [path.as_posix().removesuffix("index.html") for path in site.pages]
    paths.remove("404.html")  # it is served under any address, and so loads everything from the root
    with served(site.folder, WithoutSearch) as address, browser.new_page(reduced_motion="reduce") as page:
        visit, judge = Visit(address), Colours()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: visit.asked.add(request.url))
        for path in paths:
            look_at(page, path, visit, judge)
            if said:
                visit.heard[path] = [*said]
                said.clear()
    return visit


def look_at(page: sync_api.Page, path: str, visit: Visit, judge: Colours) -> None:
    page.set_viewport_size(PHONE)
    page.goto(visit.address + path)
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > PHONE["width"]:
        visit.too_wide[path] = width
    page.set_viewport_size(DESK)
    found: dict[str, str] = {}
    for scheme in SCHEMES:
        page.evaluate("scheme => document.body.setAttribute('data-md-color-scheme', scheme)", scheme)
        found[scheme] = judge.violations(page)
    page.locator(MUCH_OF_THE_SAME).evaluate_all("all => all.forEach(one => one.remove())")
    found["any"] = violations(page, tags=SCHEMES["default"]["tags"], without=colours.RULES)
    visit.violations |= {(path, scheme): wrong for scheme, wrong in found.items() if wrong}


def test_no_page_complains(visit) -> None:
    assert visit.heard == {}


def test_no_other_host_is_asked(visit) -> None:
    assert {url for url in visit.asked if not url.startswith((visit.address, "data:", "blob:"))} == set()


def test_every_page_is_accessible_in_both_schemes(visit) -> None:
    assert "\n".join(f"{page} ({scheme}): {found}" for (page, scheme), found in visit.violations.items()) == ""


def test_a_phone_needs_no_sideways_scrolling(visit) -> None:
    assert visit.too_wide == {}


@pytest.mark.parametrize(("wish", "scheme"), [("light", "default"), ("dark", "slate")])
def test_the_scheme_is_the_readers(browser, address, wish, scheme) -> None:
    with browser.new_page(color_scheme=wish) as page:
        page.goto(address)
        assert page.locator("body").get_attribute("data-md-color-scheme") == scheme


def test_the_search_finds_and_says_what_it_is(browser, address) -> None:
    with browser.new_page() as page:
        page.goto(address)
        assert page.get_by_role("dialog", name="Search").count() == 1
        page.keyboard.press("/")
        page.keyboard.type("pipelining")
        page.locator(".md-search-result__item").first.wait_for()
        links = page.locator(".md-search-result__link").evaluate_all("all => all.map(one => one.href)")
        assert any("/tcp/02-head-of-line-blocking/" in link for link in links)


def test_on_paper_everything_is_unfolded_and_light(browser, address) -> None:
    with browser.new_page(color_scheme="dark") as page:
        page.goto(address + "tcp/02-head-of-line-blocking/")
        folded = page.locator("details:not([open])").count()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details:not([open])").count() == 0
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("details:not([open])").count() == folded > 0
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(28, 33, 39)"
