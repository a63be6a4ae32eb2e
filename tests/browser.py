"""A real browser for the tests that look at pages; whoever has none gets a reason and a remedy."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e .[dev]")
axe_playwright = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed: pip install -e .[dev]"
)

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium to look with: apt-get install chromium")


@contextmanager
def launched() -> Iterator[sync_api.Browser]:
    """A browser that asks nobody for anything on its own account."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


def violations(
    page: sync_api.Page, *, tags: Sequence[str] = (), rules: Sequence[str] = (), without: Sequence[str] = ()
) -> str:
    """What axe finds wrong with a page as it stands, for people; empty if nothing.

    Args:
        page: The page.
        tags: The sets of rules to hold it against, such as ``wcag2aa``; all if nothing is given.
        rules: Single rules, instead.
        without: Rules to leave out.
    """
    chosen = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": list(tags)}
    options: dict[str, object] = {"resultTypes": ["violations"]}  # to describe what is right costs it most of its time
    options["rules"] = {rule: {"enabled": False} for rule in without}
    bring_axe(page)
    run = "options => axe.run(document, options)"
    found = axe_playwright.AxeResults(page.evaluate(run, options | ({"runOnly": chosen} if chosen["values"] else {})))
    return found.generate_report() if found.violations_count else ""


def bring_axe(page: sync_api.Page) -> None:
    """Have axe on a page, once."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(axe_playwright.Axe().axe_script)
