import json
import subprocess
import sys
import zipfile
from io import BytesIO

import pytest

from lessons.playground import assets, npm


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder as npm would bring it."""
    folder = tmp_path / "package"
    folder.mkdir()
    for name in assets.NEEDED:
        (folder / name).write_bytes(name.encode())
    monkeypatch.setattr(npm, "fetch", lambda *_: folder)
    return folder


def test_the_archive_is_enough_to_run_every_scenario(tmp_path) -> None:
    """It is what the page has: without the repository, and without anything that is installed beside Python."""
    with zipfile.ZipFile(BytesIO(assets.sources())) as archive:
        archive.extractall(tmp_path)
    program = """
import sys
from contextlib import closing
sys.path.insert(0, sys.argv[1])
from lessons.playground.stage import LESSONS, Stage, load
lessons = [path.parent.relative_to(LESSONS).as_posix() for path in LESSONS.glob("*/*/playground.py")]
for lesson in lessons:
    with closing(Stage(load(lesson))) as stage:
        stage.view(10)
print(len(lessons), LESSONS)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    count, where = done.stdout.split()
    assert int(count) > 0
    assert where == str(tmp_path / "lessons")


def test_the_same_sources_give_the_same_archive() -> None:
    assert assets.sources() == assets.sources()


def test_all_is_put_in_place_with_its_sizes(package, tmp_path) -> None:
    target = tmp_path / "site" / "pyodide"
    assets.make(target)
    sizes = json.loads((target / "sizes.json").read_text())
    assert set(sizes) == {*assets.NEEDED, assets.SOURCES}
    assert sizes == {name: (target / name).stat().st_size for name in sizes}
    assert {path.name for path in target.iterdir()} == {*sizes, "sizes.json"}


def test_what_is_there_is_left_alone(package, tmp_path) -> None:
    """Who follows changes would build the site again and again."""
    assets.make(tmp_path / "to")
    (package / "pyodide.mjs").write_bytes(b"a newer one, and longer")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "to").iterdir()}
    assets.make(tmp_path / "to")
    changed = {path.name for path in (tmp_path / "to").iterdir() if path.stat().st_mtime_ns != before[path.name]}
    assert changed == {"pyodide.mjs", "sizes.json"}


def test_without_pyodide_nothing_half_stays(package, tmp_path, monkeypatch) -> None:
    assets.make(tmp_path / "to")

    def no(*_):
        raise npm.NotFetched("no registry")

    monkeypatch.setattr(npm, "fetch", no)
    with pytest.raises(npm.NotFetched):
        assets.make(tmp_path / "to")
    assert not (tmp_path / "to").exists()
