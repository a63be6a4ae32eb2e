"""The reference has a page for every module, and every public name leads to one."""

import re
from importlib import import_module

import pytest

from tests.lessons.conftest import ROOT

PACKAGES = ("tcp", "udp", "sim")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "sleepy").rglob("*.py")
    if not path.name.startswith("_")
)
NAMES = [
    f"sleepy.{package}.{name}"
    for package in PACKAGES
    for name in getattr(import_module(f"sleepy.{package}"), "__all__", ())
]
SHOWN = {
    found[1]: page
    for page in (ROOT / "lessons/reference").rglob("*.md")
    for found in re.finditer(r"^::: (sleepy\S*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_page(module) -> None:
    path = f"lessons/reference/{module.removeprefix('sleepy.').replace('.', '/')}.md"
    assert module in SHOWN, f"add {path} with the line '::: {module}', and name it in mkdocs.yml"


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_told_of_on_its_packages_page(name) -> None:
    package, _, short = name.rpartition(".")
    text = (ROOT / "lessons/reference" / package.removeprefix("sleepy.") / "index.md").read_text(encoding="utf-8")
    thing = getattr(import_module(package), short)
    assert f"[`{short}`][{thing.__module__}.{thing.__name__}]" in text
    assert thing.__module__ in SHOWN
