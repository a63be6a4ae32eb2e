"""The site, built once for all tests that look at it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from lessons import drawings

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "benchmarks", "build", "out", "pyodide", "site", "*.so")


class Build(NamedTuple):
    folder: Path
    code: int
    said: str

    @property
    def pages(self) -> list[Path]:
        """Every page, relative to the site."""
        return sorted(path.relative_to(self.folder) for path in self.folder.rglob("*.html"))


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Build:
    folder = tmp_path_factory.mktemp("site")
    # Python for the page: from the cache, or from npm; without it, tests of the diagrams are skipped.
    subprocess.run([sys.executable, "-m", "lessons.playground", "assets"], cwd=ROOT, check=True, timeout=100)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Build(folder, done.returncode, done.stderr)


@pytest.fixture(scope="module")
def runs(request) -> ModuleType:
    """The program that made the recorded runs of a lesson, which the test's module calls ``LESSON``."""
    return drawings.recorder(request.module.LESSON.folder)


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A copy of all that the site is built from, to build another."""
    return shutil.copytree(ROOT, tmp_path_factory.mktemp("copy") / "repository", ignore=LEFT_OUT)
