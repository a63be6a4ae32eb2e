"""The site as files: it builds strict, asks no other host for anything, and every link in it leads somewhere."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from lessons import catalogue
from tests.lessons.conftest import ROOT

pytestmark = pytest.mark.timeout(400)  # whichever comes first waits for the build

IN_SHEETS = re.compile(r"url\([\"']?(?!data:)([^)\"']+)|@import\s+[\"']([^\"']+)")
LOADED = {"script": "src", "img": "src", "source": "srcset", "iframe": "src", "use": "href", "image": "href"}


class Page(HTMLParser):
    """What a page loads, links to, and can be linked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors = {""}
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        given = {name: value or "" for name, value in attributes}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag in LOADED and LOADED[tag] in given:
            self.loaded.append(given[LOADED[tag]])
        if tag == "link" and given.get("rel") in {"stylesheet", "icon", "preload", "preconnect", "manifest"}:
            self.loaded.append(given["href"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])


@pytest.fixture(scope="module")
def pages(site) -> dict[str, Page]:
    return {path.as_posix(): Page((site.folder / path).read_text(encoding="utf-8")) for path in site.pages}


def test_it_builds_without_a_complaint(site) -> None:
    assert site.code == 0, site.said
    assert "WARNING" not in site.said


def test_every_page_of_ours_is_there(site) -> None:
    lessons = ROOT / "lessons"
    kept = [path.relative_to(lessons) for path in lessons.rglob("*.md") if path.name not in {"parts.md", "quiz.md"}]
    sources = [path.with_suffix("") for path in kept if not {"template", "exercise"} & set(path.parts)]
    wanted = {(path.parent if path.name == "index" else path) / "index.html" for path in sources}
    assert wanted <= set(site.pages)


def test_tools_and_parts_stay_out_of_it(site) -> None:
    published = {path.name for path in site.folder.rglob("*")}
    assert not published & {"runs.py", "parts.md", "__init__.py", "parts", "quiz.yml", "quiz", "exercise", "template"}


def test_nothing_is_loaded_from_elsewhere(site, pages) -> None:
    for name, page in pages.items():
        assert [address for address in page.loaded if urlsplit(address).netloc] == [], name
    for sheet in site.folder.rglob("*.css"):
        addresses = IN_SHEETS.findall(sheet.read_text(encoding="utf-8"))
        assert [address for pair in addresses for address in pair if urlsplit(address).netloc] == [], sheet


def test_every_link_leads_somewhere(site, pages) -> None:
    broken = []
    for name, page in pages.items():
        if name == "404.html":
            continue  # it is served under any address, so its own links are absolute
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme in {"https", "javascript"}:
                continue
            target = (site.folder / name).parent / unquote(parts.path) if parts.path else site.folder / name
            target = (target / "index.html" if target.is_dir() else target).resolve()
            page_there = pages.get(target.relative_to(site.folder.resolve()).as_posix())
            if not target.is_file():
                broken.append(f"{name}: {link}: no such page")
            elif page_there is not None and unquote(parts.fragment) not in page_there.anchors:
                broken.append(f"{name}: {link}: no such place on it")
    assert broken == []


def test_a_modules_page_leads_back_to_the_lessons_that_show_it(site, pages) -> None:
    shown = [(module, lesson.name) for lesson in catalogue.lessons() for module in lesson.modules]
    assert shown
    for module, lesson in shown:
        page = catalogue.reference(module)
        assert page is not None, module
        name = (page.relative_to(catalogue.LESSONS).with_suffix("") / "index.html").as_posix()
        links = {(site.folder / name).parent.joinpath(link).resolve() for link in pages[name].links}
        assert site.folder.resolve() / lesson in links, f"{name} does not lead back to {lesson}"


def test_the_navigation_leads_to_every_lesson(site) -> None:
    for lesson in catalogue.lessons():
        text = (site.folder / lesson.folder.parent.name / "index.html").read_text(encoding="utf-8")
        navigation = text[text.index("md-nav--primary") : text.index("md-content")]
        assert f'href="{lesson.folder.name}/"' in navigation


def test_programs_are_told_of_every_page_in_the_navigation(site) -> None:
    text = (site.folder / "llms.txt").read_text(encoding="utf-8")
    told = dict(re.findall(r"^- \[[^\]]+\]\(([^)]+)\): (.+)$", text, re.MULTILINE))
    assert len(told) == len(re.findall("^- ", text, re.MULTILINE)), "a page has no description"
    pages = {path.parent.as_posix() for path in site.pages} - {"."}
    left_out = {page for page in pages if not page.endswith("/instructors")} - {link.rstrip("/") for link in told}
    assert left_out == set()
    assert text.index("## Lessons") < text.index("## Optional") < text.index("(reference/)")


def test_a_page_that_is_shared_says_what_it_is(site) -> None:
    for path in site.pages:
        text = (site.folder / path).read_text(encoding="utf-8")
        told = dict(re.findall(r'<meta property="og:(\w+)" content="([^"]*)">', text))
        assert told.keys() == {"type", "site_name", "title", "description"}, path  # an address only where it is known
        assert all(told.values()), path
        assert f"<title>{told['title']}" in text


def test_every_page_says_what_it_is(site) -> None:
    told = {}
    for path in site.pages:
        if path.name != "404.html":
            text = (site.folder / path).read_text(encoding="utf-8")
            found = re.search(r'<meta name="description" content="([^"]+)">', text)
            assert found, path
            told.setdefault(found[1], []).append(path)
    assert {description: paths for description, paths in told.items() if len(paths) > 1} == {}
