"""The README keeps its word: its commands are there, its example runs, its links hold."""

import re
import subprocess
import sys

import pytest

from tests.lessons.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
PAGES = [ROOT / "README.md", *sorted((ROOT / "lessons").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_make_command_is_a_target(page) -> None:
    text = page.read_text(encoding="utf-8")
    asked = re.findall(r"(?:^\$ |^|`)make ((?:[a-z-]+ ?)+)", text, re.MULTILINE)
    assert {target for command in asked for target in command.split()} <= TARGETS


def test_its_two_commands_come_first() -> None:
    commands = re.findall(r"^\$ (make \S+)", README, re.MULTILINE)
    assert commands[:2] == ["make lab-hol", "make test"]
    assert README.index("$ make test") < README.index("\n---\n")


def test_its_example_prints_what_it_says() -> None:
    [example] = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    [promised] = re.findall(r"print\(.*#\s*(.+)$", example, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, promised, "")


def test_its_links_and_pictures_are_there() -> None:
    linked = [*re.findall(r"\]\(([^)]+)\)", README), *re.findall(r'(?:src|srcset)="([^"]+)"', README)]
    assert [link for link in linked if not link.startswith("https://") and not (ROOT / link).exists()] == []


def test_its_map_is_the_repositorys() -> None:
    [table] = re.findall(r"^## Map of the repository\n\n```text\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert [path for path in re.findall(r"^(\S+)", table, re.MULTILINE) if not (ROOT / path).exists()] == []
