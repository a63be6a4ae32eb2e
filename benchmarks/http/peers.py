"""The peers: no dependencies of the project, so they live in a virtual environment of their own."""

import subprocess
import sys
import venv
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
OURS = Path(sys.executable)


def install(tell: Callable[[str], None], here: Path = HERE) -> Path:
    """Install what can be installed, once; gives the interpreter that has it.

    Args:
        tell: Is told what cannot be installed.
        here: The benchmark's folder, with its requirements.
    """
    folder = here / ".venv"
    python, stamp = folder / "bin" / "python", folder / "requirements.txt"
    wanted = (here / "requirements.txt").read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    venv.create(folder, with_pip=True, clear=True)
    for line in wanted.splitlines():
        if line and not line.startswith("#"):
            command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", line]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode:
                tell(f"{line} cannot be installed and is left out: {result.stderr.strip().splitlines()[-1]}")
    stamp.write_text(wanted)
    return python


def missing(needs: Iterable[str], python: Path) -> list[str]:
    """Which of the modules that interpreter has not."""
    if python == OURS:
        return [name for name in needs if find_spec(name) is None]
    code = "import sys, importlib.util as u; print(*[n for n in sys.argv[1:] if u.find_spec(n) is None])"
    found = subprocess.run([python, "-c", code, *needs], capture_output=True, text=True, check=True)
    return found.stdout.split()
