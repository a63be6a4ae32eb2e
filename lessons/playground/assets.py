"""What a page needs to run a scenario, under ``lessons/assets/pyodide/``: never committed, made before the site is built.

Pyodide (CPython for WebAssembly) comes from npm, once, into the cache of `lessons.playground.npm`. Our own sources go into
one archive. The page asks no other host for anything.
"""

import json
import shutil
import zipfile
from io import BytesIO
from pathlib import Path

from lessons.playground import npm
from lessons.playground.stage import LESSONS

ROOT = LESSONS.parent
TARGET = LESSONS / "assets" / "pyodide"
VERSION = "314.0.7"
INTEGRITY = "sha512-0YvXxEhfEdpLfb/XkM2BFAeMROq0iMUX2bzzH9pOttyMcWkwq+HbE5uyuGD82LN7y2q+SNvi/6V5JEsOlD2R1A=="
NEEDED = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
SOURCES = "sources.zip"
AT_BUILD = ("__main__.py", "assets.py", "npm.py")  # of this package; they have no use in a page


def sources() -> bytes:
    """The library, this package and all scenarios, as an archive; the same sources give the same bytes."""
    files = [
        *(ROOT / "sleepy").rglob("*.py"),
        LESSONS / "__init__.py",
        *(path for path in (LESSONS / "playground").glob("*.py") if path.name not in AT_BUILD),
        *LESSONS.glob("*/*/playground.py"),
    ]
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path.relative_to(ROOT).as_posix())  # its date is 1980, always
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return packed.getvalue()


def make(target: Path = TARGET) -> None:
    """Put everything in place; what is there already is left alone.

    Raises:
        NotFetched: Pyodide cannot be had; the message says why. The folder is removed then.
    """
    try:
        package = npm.fetch("pyodide", VERSION, INTEGRITY)
    except npm.NotFetched:
        shutil.rmtree(target, ignore_errors=True)
        raise
    target.mkdir(parents=True, exist_ok=True)
    contents = {name: (package / name).read_bytes() for name in NEEDED} | {SOURCES: sources()}
    contents["sizes.json"] = json.dumps({name: len(data) for name, data in contents.items()}).encode()
    for name, data in contents.items():
        place = target / name
        if not place.exists() or place.read_bytes() != data:
            scratch = place.with_suffix(".part")
            scratch.write_bytes(data)
            scratch.replace(place)  # at once: somebody may be serving the folder
