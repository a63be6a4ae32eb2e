"""A visit to a virtual machine whose kernel has netem. It takes minutes, so it is begun early, beside other tests.

Who begins it does not wait; see `tests.conftest`. Tests that measure time should be over by then: the machine keeps one
processor busy. Its own clock counts instructions, so it does not mind what else goes on.
"""

import atexit
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from labs.worlds import netns
from tests import vm
from tests.labs.worlds import play

# The other one asks 200 times a second, which is much for an emulated processor; its drop list is tried by the netns tests.
SCENARIOS = ["slow-response"]


class Visit:
    """One visit, and what comes back from it: the exit status of each command, the tests' results, and the runs.

    Attributes:
        out: Where all of this is.
    """

    def __init__(self) -> None:
        self.out = Path(tempfile.mkdtemp(prefix="sleepy-netem-"))
        options = ["-q", "-p", "no:cacheprovider", f"--junitxml={self.out}/tests.xml", "-k", "netem"]
        tests = [sys.executable, "-m", "pytest", *options, "tests/labs/worlds/test_netns.py"]
        commands = {"tests": tests}
        for name in SCENARIOS:
            where = ["--world", "netns", "--impairment", "netem", "--out", str(self.out)]
            commands[name] = [sys.executable, "-m", "labs", "run", "hol", "--scenario", name, "--seed", "1", *where]
        script = "\n".join(
            f"{shlex.join(command)}; echo $? > {self.out}/{name}.status" for name, command in commands.items()
        )
        command = [sys.executable, "-m", "tests.vm", str(self.out), "sh", "-c", script]
        with self.console.open("wb") as console:
            self._process = subprocess.Popen(command, stdout=console, stderr=console, start_new_session=True)
        atexit.register(self._end)

    @property
    def console(self) -> Path:
        """What the machine said."""
        return self.out / "console.txt"

    def wait(self, patience: float) -> None:
        """Wait until it is over, for ``patience`` seconds."""
        code = self._process.wait(patience)
        assert (self.out / "tests.status").exists(), f"exit code {code}:\n{self.console.read_text(errors='replace')}"

    def status(self, name: str) -> int:
        """How a command ended."""
        return int((self.out / f"{name}.status").read_text())

    def _end(self) -> None:
        """Nobody needs it any more, and perhaps nobody has waited for it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


@cache
def begin() -> Visit | str:
    """The visit of this run of the tests; it begins now, unless it has begun. If there can be none: why."""
    if netns.probe(play.scenario(), "netem").ok:
        return "this kernel has netem; the netns tests use it"
    if packages := vm.missing():
        return f"a virtual machine needs: apt-get install {' '.join(packages)}"
    return Visit()
