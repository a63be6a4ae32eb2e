"""A hook of mkdocs: puts every lesson into the navigation, and makes ``llms.txt`` from it.

Rules:

1. Behind a track's ``<track>/index.md`` in ``nav`` come its lessons, in the order of their folders, under their own titles.
2. ``llms.txt`` (https://llmstxt.org) lists the pages for readers that are programs, each with its description. The
   reference stands under *Optional*: who has the sources can do without it.

Zensical runs no hooks: there a lesson is reached from its track's table only, and there is no llms.txt.
"""

from collections.abc import Iterator
from typing import Any

from jinja2 import Environment
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from lessons import catalogue
from lessons.plain import is_list, is_mapping

OPTIONAL = "Reference"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Called by mkdocs before anything is read: rule 1."""
    config.nav = _with_lessons(config.nav)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return config


def on_env(env: Environment, *, config: MkDocsConfig, files: Files) -> Environment:
    """Called by mkdocs when every page has been read: rule 2."""
    files.append(File.generated(config, "llms.txt", content=_llms(config, files)))
    return env


def _with_lessons(nav: object) -> list[Any]:
    found: list[Any] = []
    for entry in nav if is_list(nav) else []:
        if is_mapping(entry):
            found.append({title: _with_lessons(inner) if is_list(inner) else inner for title, inner in entry.items()})
        else:
            found.append(entry)
            lessons = catalogue.lessons()
            found += [f"{one.name}/index.md" for one in lessons if entry == f"{one.folder.parent.name}/index.md"]
    return found


def _llms(config: MkDocsConfig, files: Files) -> str:
    parts: dict[str, list[str]] = {}
    for page in _in_order(files):
        *_, part = ["Begin here", *(str(section.title) for section in page.ancestors)]
        title = str(page.title)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]  mkdocs' own kind
        told = page.meta.get("description", "")
        parts.setdefault(part, []).append(f"- [{title}]({page.canonical_url or page.url or './'}): {told}")
    parts["Optional"] = parts.pop(OPTIONAL, [])
    lines = [f"# {config.site_name}", "", f"> {config.site_description}"]
    for part, entries in parts.items():
        lines += ["", f"## {part}", "", *entries]
    return "\n".join([*lines, ""])


def _in_order(files: Files) -> Iterator[Page]:
    """The pages of the navigation."""
    first = files.get_file_from_path("index.md")
    page = first.page if first else None
    while page is not None:
        yield page
        page = page.next_page
