"""A lesson is added by writing its own folder: in a copy of the repository one is made, and the whole site leads to it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SLUG, TITLE = "one-more-lesson", "One more lesson"


def run(root: Path, *arguments: str) -> str:
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.timeout(400)  # a whole build
def test_it_needs_nothing_but_its_own_folder(repository, tmp_path) -> None:
    before = contents(repository)
    run(repository, "lessons", "new", "udp", SLUG, "--title", TITLE)
    after = contents(repository)
    [folder] = (repository / "lessons/udp").glob(f"*-{SLUG}")
    name = f"udp/{folder.name}"
    assert all(path.startswith(f"lessons/{name}/") for path in after if after[path] != before.get(path))
    assert before.keys() <= after.keys()

    site = tmp_path / "site"
    said = run(repository, "mkdocs", "build", "--strict", "--site-dir", str(site))
    assert "WARNING" not in said

    def page(place: str) -> str:
        return (site / place / "index.html").read_text(encoding="utf-8")

    def links(place: str) -> list[str]:
        found = re.findall(r'<a [^>]*href="([^"]+)"', page(place))
        return [(site / place / link).resolve().relative_to(site).as_posix() for link in found if ":" not in link]

    assert TITLE in page(name)
    assert "<sleepy-play" in page(name)
    for place in ("udp", "curriculum", "reference/udp/sequence"):
        assert name in links(place), f"{place} does not lead to it"
    navigation = re.search(r'<nav class="md-nav md-nav--primary.*?</nav>\s*</div>', page("udp"), re.DOTALL)
    assert navigation is not None
    assert TITLE in navigation[0]
    assert f"]({name}/)" in (site / "llms.txt").read_text(encoding="utf-8")
