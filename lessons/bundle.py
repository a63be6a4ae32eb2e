"""``python -m lessons.bundle``: everything for a room without a network, in one zip; then tries what it packed.

    site/       the site, with Python for its diagrams
    serve.py    shows it: `lessons.offline`
    captures/   of the recorded runs, for Wireshark
    wheels/     sleepy, and what the labs and the exercises need, for this system and this version of Python
    source/     the repository's files, for the labs and the exercises
    README.txt  how to use all that

Rules:

1. Site, captures and server need ``python3`` and nothing else.
2. A bundle that does not work is not left behind: it is unpacked elsewhere, its pages are asked for under a Python that sees
   no installed package, and an exercise is tested in an environment made from its wheels, with pip forbidden to ask anybody.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from lessons.catalogue import LESSONS

ROOT = LESSONS.parent
TARGET = ROOT / "out" / "sleepy-offline.zip"
TOP = "sleepy-offline"
BUILD = 600  # seconds for a step of the build at most
TRIAL = 300  # and for one of the trial
README = """sleepy, for a room without a network

The site:      python3 serve.py            then open the address it prints
Captures:      captures/, for Wireshark or tcpdump -nr
Labs:          cd source && PIP_NO_INDEX=1 PIP_FIND_LINKS="$PWD/../wheels" make lab-hol
Exercises:     cd source && PIP_NO_INDEX=1 PIP_FIND_LINKS="$PWD/../wheels" make learn

The site needs Python 3 and nothing else. The wheels are for {system}; elsewhere run `make bundle` there.
"""


class BundleError(Exception):
    """It cannot be made, or what was made does not work; the message says what, and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make it and try it; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lessons.bundle", description="Make the offline zip, and try it.")
    parser.add_argument("--out", type=Path, default=TARGET, help="the zip (out/sleepy-offline.zip)")
    target: Path = parser.parse_args(arguments).out
    try:
        target.parent.mkdir(parents=True, exist_ok=True)  # what fails here need not fail after minutes
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / TOP
            folder.mkdir()
            fill(folder)
            packed = Path(scratch) / "packed.zip"
            pack(folder, packed)
            attempt(packed, Path(scratch) / "trial")
            shutil.move(packed, target)
    except (BundleError, OSError) as error:
        print(f"no bundle: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("no bundle: interrupted", file=sys.stderr)
        return 130
    print(f"{target}  ({target.stat().st_size / 1e6:.0f} MB)")
    return 0


# --- making it -----------------------------------------------------------------------------------------------------------


def fill(folder: Path) -> None:
    """Put all parts into a folder."""
    _run("the site", [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder / "site"])
    shutil.copy(LESSONS / "offline.py", folder / "serve.py")
    for capture in LESSONS.glob("*/*/run/*/*.pcap"):
        place = folder / "captures" / capture.relative_to(LESSONS)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(capture, place)
    listed = _run("the list of sources", ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            place = folder / "source" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place)
    # setuptools, because to install the sources is to build them
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    _run("the wheels", [*pip, "--wheel-dir", folder / "wheels", f"{folder / 'source'}[labs]", "setuptools>=77"])
    for left in ("build", "sleepy.egg-info"):  # by the build of sleepy's own wheel
        shutil.rmtree(folder / "source" / left, ignore_errors=True)
    system = f"{platform.system()} {platform.machine()}, Python {sys.version_info[0]}.{sys.version_info[1]}"
    (folder / "README.txt").write_text(README.format(system=system), encoding="utf-8")


def pack(folder: Path, target: Path) -> None:
    """One zip of a folder; what is executable stays so."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder.parent))


def _run(what: str, command: Sequence[str | Path], folder: Path = ROOT, seconds: float = BUILD, **more: str) -> str:
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", **more}
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=seconds
        )
    except FileNotFoundError as error:
        raise BundleError(f"{what}: there is no program {error.filename}") from None
    except subprocess.TimeoutExpired:
        raise BundleError(f"{what}: not done after {seconds:g} s") from None
    if done.returncode:
        raise BundleError(f"{what}: {' '.join(map(str, command))} said:\n{(done.stderr or done.stdout).strip()}")
    return done.stdout


# --- trying it (rule 2) --------------------------------------------------------------------------------------------------


def attempt(packed: Path, folder: Path) -> None:
    """Use a bundle as its reader would.

    Raises:
        BundleError: Something in it does not work.
    """
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    _ask_for_pages(folder / TOP)
    _do_an_exercise(folder / TOP)


def _ask_for_pages(top: Path) -> None:
    command = [sys.executable, "-I", "-S", str(top / "serve.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        try:
            said = server.stdout.readline() if server.stdout else ""
            address = said.partition(" ")[0]
            if not address.startswith("http://127.0.0.1:"):
                raise BundleError(f"serve.py told no address, but {said!r}")
            wanted = {"": "text/html", "curriculum/": "text/html", "assets/play-worker.mjs": "text/javascript"}
            if (top / "site/assets/pyodide").is_dir():
                wanted["assets/pyodide/pyodide.asm.wasm"] = "application/wasm"
            opener = build_opener(ProxyHandler({}))
            for path, kind in wanted.items():
                with opener.open(address + path, timeout=TRIAL) as answer:
                    if answer.headers.get_content_type() != kind or not answer.read():
                        raise BundleError(f"serve.py gave {path or '/'} as {answer.headers.get_content_type()}")
        except OSError as error:
            raise BundleError(f"serve.py does not answer: {error}") from error
        finally:
            server.terminate()


def _do_an_exercise(top: Path) -> None:
    """The solution of the first exercise passes, in an environment made of the wheels alone."""
    home = top.parent / "environment"
    venv.create(home, with_pip=True)
    python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    alone = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(top / "wheels"), "PIP_CONFIG_FILE": os.devnull}
    source = top / "source"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run("installing from the wheels", [*pip, "--editable", f"{source}[labs]"], source, TRIAL, **alone)
    solution = min((source / "lessons").glob("*/*/exercise/solution.py"))
    name = solution.parents[1].relative_to(source / "lessons").as_posix()
    _run("an exercise", [str(python), "-m", "lessons", "grade", name, str(solution)], source, TRIAL)


if __name__ == "__main__":
    sys.exit(main())
