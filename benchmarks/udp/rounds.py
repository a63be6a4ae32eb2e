"""Lets contenders take turns: both ends of each stay up for all rounds, and only one of them works at a time."""

import json
import os
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from benchmarks.compiled import ROOT
from benchmarks.http.rounds import Cell
from benchmarks.udp.contenders import CONTENDERS
from benchmarks.udp.load import WINDOW

FIRST = {"echo": 4 * WINDOW, "bulk": 16}  # of the turn that tells how much fills a turn

Cells = dict[str, dict[str, Cell]]  # by contender, then by what was measured: "client", "both"


class Pair:
    """A contender's two processes, which run the code that is in ``root``.

    Raises:
        RuntimeError: One of them ended; the text says why.
    """

    def __init__(self, name: str, python: Path, root: Path) -> None:
        self.name = name
        self.root = root
        self.counts: dict[str, int] = {}
        self.processes: list[subprocess.Popen[str]] = []
        self.server = self._start(python)
        port = self._hear(self.server)
        self.client = self._start(python, "--ask", port, "--of", str(self.server.pid))
        self._hear(self.client)

    def _start(self, python: Path, *arguments: str) -> "subprocess.Popen[str]":
        command = [str(python), "-m", "benchmarks.udp.worker", self.name, *arguments]
        environment, pipe = os.environ | {"PYTHONPATH": str(self.root)}, subprocess.PIPE
        process = subprocess.Popen(
            command, cwd=self.root, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True
        )
        self.processes.append(process)
        return process

    def _hear(self, process: "subprocess.Popen[str]") -> str:
        assert process.stdout is not None
        line = process.stdout.readline()
        if line[:1] not in set("{r0123456789"):
            with suppress(subprocess.TimeoutExpired):  # it may have more to say
                process.wait(5)
            process.kill()
            rest = process.stdout.read()
            self.close()
            raise RuntimeError(f"{self.name} has failed:\n{line}{rest[-3000:]}")
        return line.strip()

    def turn(self, what: str, seconds: float) -> dict[str, float]:
        """One turn of about so many seconds."""
        if what not in self.counts:
            first = self._ask(what, FIRST[what])["wall"] / 1e6 * (64 if what == "bulk" else 1)
            self.counts[what] = max(FIRST[what], int(seconds / first))
        return self._ask(what, self.counts[what])

    def _ask(self, what: str, count: int) -> dict[str, float]:
        assert self.client.stdin is not None
        self.client.stdin.write(f"{what} {count}\n")
        self.client.stdin.flush()
        answer: dict[str, float] = json.loads(self._hear(self.client))
        return answer

    def close(self) -> None:
        """End both."""
        for process in self.processes:
            process.kill()
            process.communicate()


def play(
    names: list[str],
    what: str,
    rounds: int,
    seconds: float,
    python: Path,
    compiled: Path,
    advance: Callable[[str], None],
) -> Cells:
    """All rounds: in each, every contender takes a turn; ``compiled`` is where our compiled package is."""
    cells: Cells = {name: {"client": Cell(), "both": Cell()} for name in names}
    with ExitStack() as stack:
        pairs = []
        for name in names:
            pairs.append(pair := Pair(name, python, compiled if CONTENDERS[name].compiled else ROOT))
            stack.callback(pair.close)
        for number in range(rounds):
            for place in range(len(pairs)):
                pair = pairs[(place + number) % len(pairs)]  # nobody always follows the same
                advance(pair.name)
                told = pair.turn(what, seconds)
                for side, cell in cells[pair.name].items():
                    cell.turns.append(told[side])
    return cells
