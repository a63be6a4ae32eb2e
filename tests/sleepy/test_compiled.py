"""The same source, compiled by mypyc as setup.py does it, behaves the same: the tests of its modules pass with it."""

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from setup import COMPILER, HOT

ROOT = Path(__file__).parents[2]
TOGETHER = [  # and with modules that are not compiled, some of whose classes derive from theirs
    f"tests/sleepy/{name}.py"
    for name in (
        "tcp/test_pipeline_machine",
        "tcp/test_streaming",
        "tcp/test_multiplex_client",
        "udp/test_traces",
        "udp/test_two_endpoints",
        "udp/test_two_connections",
    )
]


WEAK = """
import gc
from weakref import ref
from sleepy.tcp import HostClient
from sleepy.tcp.pipeline import Lane
from sleepy.tcp.pool import ConnectionPool
for make in (Lane, lambda: ConnectionPool(1), lambda: HostClient("localhost:80")):
    try:
        kept = [ref(make()) for _ in range(1000)]
    except TypeError:  # from Python 3.12 on they cannot be referred to
        kept = []
    gc.collect()
    print("gone" if not any(one() for one in kept) else "there")
"""


def mirror(module: str) -> str:
    """The test file of a module."""
    path = Path("tests", module)
    return str(path.with_name(f"test_{path.name}"))


def test_the_compiler_is_brought_what_the_library_imports() -> None:
    """pip builds where nothing else is installed, and mypy refuses what it cannot see."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"]
    assert set(project["dependencies"]) < set(COMPILER)


def run(folder: Path, *command: str) -> str:
    environment = os.environ | {"SLEEPY_MYPYC": "1", "PYTHONPATH": str(folder)}
    command = (sys.executable, *command)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(find_spec("mypyc") is None, reason="mypyc is not installed: pip install 'mypy[mypyc]'")
@pytest.mark.skipif(find_spec("setuptools") is None, reason="setuptools is not installed: pip install 'mypy[mypyc]'")
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler (cc)")
@pytest.mark.timeout(500)
def test_the_compiled_modules_pass_the_tests_of_the_source(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sleepy", tmp_path / "sleepy", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copy(ROOT / "setup.py", tmp_path)
    build = "import setup; setup.LEVEL = '0'; setup.main()"  # quick to compile, and as right as any other
    run(tmp_path, "-c", build, "--quiet", "build_ext", "--inplace")
    written = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "build").glob("*.c"))
    assert "PyObject_CallOneArg(_m, value)" in written  # throw, as Python 3.12 and later want it: else they warn
    assert "type, value, traceback, NULL" not in written
    for name in ("tests", "benchmarks", "labs", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    names = [module.removesuffix(".py").replace("/", ".") for module in HOT]
    files = run(tmp_path, "-c", f"import {', '.join(names)}; print({', '.join(f'{name}.__file__' for name in names)})")
    assert [file.endswith(".so") for file in files.split()] == [True] * len(HOT)
    tracked = "import gc; from sleepy.udp import Packet; print(gc.is_tracked(Packet(0, b'')))"
    assert run(tmp_path, "-c", tracked) == "False\n"  # or mypyc has not seen the hints of sleepy._mypyc
    assert run(tmp_path, "-c", WEAK) == "gone\n" * 3
    tests = [test for test in map(mirror, HOT) if (ROOT / test).exists()]
    assert len(tests) > len(HOT) / 2
    run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, *TOGETHER)
