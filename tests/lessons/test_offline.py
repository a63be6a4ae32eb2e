"""The bundle's server: needs Python alone, serves this machine alone, and says what it lacks."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import pytest

from lessons import offline


@pytest.fixture
def script(tmp_path) -> Path:
    """As it lies in the bundle, beside a site."""
    (tmp_path / "site/page").mkdir(parents=True)
    (tmp_path / "site/empty").mkdir()
    for name in ("index.html", "page/index.html", "a.mjs", "a.wasm", "a.svg", "a.js", "a.css"):
        (tmp_path / "site" / name).write_text("x")
    shutil.copy(offline.__file__, tmp_path / "serve.py")
    return tmp_path / "serve.py"


def command(script: Path, port: int = 0) -> list[str]:
    return [sys.executable, "-I", "-S", str(script), "--port", str(port)]  # -I -S: nothing that is installed


@contextmanager
def served(script: Path) -> Iterator[str]:
    with subprocess.Popen(command(script), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            yield server.stdout.readline().partition(" ")[0]
        finally:
            server.terminate()


def test_pages_and_programs_have_the_types_that_browsers_want(script) -> None:
    types = {"": "text/html", "page/": "text/html", "a.mjs": "text/javascript", "a.js": "text/javascript"}
    types |= {"a.wasm": "application/wasm", "a.svg": "image/svg+xml", "a.css": "text/css"}
    opener = build_opener(ProxyHandler({}))
    with served(script) as address:
        for path, kind in types.items():
            with opener.open(address + path, timeout=20) as answer:
                assert answer.headers.get_content_type() == kind, path
        for path in ("none.html", "empty/", "../serve.py", "%2e%2e/serve.py"):
            with pytest.raises(HTTPError, match="404") as caught:
                opener.open(address + path, timeout=20)
            caught.value.close()


def test_only_this_machine_is_served(script) -> None:
    with served(script) as address:
        assert address.startswith("http://127.0.0.1:")


def test_what_is_missing_is_said(script) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            command(script, taken.getsockname()[1]), capture_output=True, text=True, check=False, timeout=30
        )
    assert (done.returncode, "--port" in done.stderr) == (2, True)
    (script.parent / "site/index.html").unlink()
    done = subprocess.run(command(script), capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, "unpack the whole zip" in done.stderr) == (2, True)
