"""The package compiled by mypyc, in a copy of its own: what ``SLEEPY_MYPYC=1 pip install .`` would install."""

import os
import subprocess
import sys
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

ROOT = Path(__file__).parents[1]


def build(folder: Path, *more: str) -> None:
    """Copy `sleepy` and `benchmarks` into a folder, and compile there what setup.py names, and ``more`` of the folder's."""
    for name in ("sleepy", "benchmarks"):
        copytree(ROOT / name, folder / name, ignore=ignore_patterns("__pycache__", "*.so", ".venv"))
    copy(ROOT / "setup.py", folder)
    code = f"import setup; setup.HOT += {list(more)!r}; setup.main()"
    command = [sys.executable, "-c", code, "--quiet", "build_ext", "--inplace"]
    run(command, folder, "are mypy[mypyc], setuptools and a C compiler here")


def run(command: list[str], folder: Path, wanted: str) -> None:
    """Run a compiler."""
    environment = os.environ | {"SLEEPY_MYPYC": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"cannot compile: {wanted}?\n{done.stdout}{done.stderr}")
