"""Lets contenders take turns, so that whatever else the machine does falls on all of them alike."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.http.load import Load

ROOT = Path(__file__).parents[2]
FIRST = 200  # requests of the turn that tells how many fill a turn


@dataclass
class Cell:
    """What a contender cost with so many callers: CPU microseconds per request, a figure for each round."""

    turns: list[float] = field(default_factory=list)

    @property
    def least(self) -> float:
        return min(self.turns)

    @property
    def middle(self) -> float:
        return median(self.turns)

    def ratio(self, other: "Cell") -> float:
        """How many times the other: the median over rounds, in each of which the machine was the same for both."""
        return median(mine / its for mine, its in zip(self.turns, other.turns, strict=True))


Cells = dict[str, dict[int, Cell]]


class Worker:
    """A contender's process.

    Args:
        label: What it is called in the table.
        contender: Which it is.
        load: What it is asked to do.
        python: The interpreter to run it with.
        home: The folder with the package to run: our source, or a compiled copy.
        trace_memory: Trace Python's objects; it is too slow then to be timed.

    Attributes:
        memory: Bytes it took to open the client and its idle connections.

    Raises:
        RuntimeError: It ended; the text says why.
    """

    def __init__(
        self, label: str, contender: str, load: Load, python: Path, home: Path = ROOT, *, trace_memory: bool = False
    ) -> None:
        self.label = label
        command = [python, "-m", "benchmarks.http.worker", contender, load.encode()]
        command += ["--trace-memory"] * trace_memory
        environment = os.environ | {"PYTHONPATH": str(home)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=home, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        self.counts: dict[int, int] = {}
        self.memory = self._hear()["memory"]

    def turn(self, callers: int, seconds: float) -> float:
        """One turn of about so many seconds: CPU microseconds per request."""
        if callers not in self.counts:
            took = self._ask(callers, max(FIRST, 4 * callers))["wall"] / 1e6
            self.counts[callers] = max(4 * callers, 20, int(seconds / took))
        return self._ask(callers, self.counts[callers])["cpu"]

    def profile(self, callers: int, count: int) -> str:
        """Where the time of so many requests goes."""
        page: str = self.process.communicate(f"profile {callers} {count}\n")[0]
        return page

    def _ask(self, callers: int, count: int) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{callers} {count}\n")
        self.process.stdin.flush()
        return self._hear()

    def _hear(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.label} has failed:\n{self.process.communicate()[1][-3000:]}")
        answer: dict[str, float] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let it end."""
        if self.process.poll() is None:
            self.process.communicate()


def play(
    workers: list[Worker], callers: list[int], rounds: int, seconds: float, advance: Callable[[str], None]
) -> Cells:
    """All rounds: in each, for each number of callers, every worker takes a turn.

    Args:
        workers: Who takes part.
        callers: The numbers of callers.
        rounds: How many rounds.
        seconds: How long a turn is, roughly.
        advance: Is told whose turn begins.
    """
    cells = {worker.label: {number: Cell() for number in callers} for worker in workers}
    for number in range(rounds):
        for asked in callers:
            for place in range(len(workers)):
                worker = workers[(place + number) % len(workers)]  # nobody always follows the same
                advance(f"{worker.label}, {asked} callers")
                cells[worker.label][asked].turns.append(worker.turn(asked, seconds))
    return cells
