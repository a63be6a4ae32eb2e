"""How fast an endpoint sends, receives and acks: the naive one, ours, the same source compiled, and the C library.

    python -m benchmarks.endpoint                    # naive and pure Python
    python -m benchmarks.endpoint --compiled         # and compiled by mypyc in a temporary folder; needs a C compiler
    python -m benchmarks.endpoint --reliable FOLDER  # and the C library: FOLDER holds reliable.c and reliable.h, 1.4.0

One *exchange* is a packet each way: two packets sent, received and acked. All contenders take turns in one run, each in a
process of its own, and the best turn of each counts: what makes a turn longer is the machine's other work. Figures are
microseconds of CPU time per exchange; compare them within a table, not between tables.

The compiled endpoint is measured twice: called from Python, and called by a program that is compiled with it. So is C:
lending its buffers, and handing out copies that outlive the call, as ours does (see `endpoint_c.c`).
"""

import argparse
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from shutil import copy
from time import thread_time_ns
from typing import Any

from benchmarks.arguments import count
from benchmarks.compiled import ROOT, build, run
from benchmarks.endpoint_naive import NaiveEndpoint
from benchmarks.endpoint_work import WORKS
from sleepy.udp import Endpoint, endpoint

WARM = 300  # exchanges until the memory of 256 packets is full
TURN = 10e6  # nanoseconds, roughly

PYTHON = [sys.executable, "-m", "benchmarks.endpoint", "--serve"]
COMPILED_WORK = "endpoint_work_compiled"


def build_sleepy(folder: Path) -> None:
    """A copy of the source in which setup.py compiles the hot modules, and a copy of the work with them."""
    copy(ROOT / "benchmarks/endpoint_work.py", folder / f"{COMPILED_WORK}.py")
    build(folder, f"{COMPILED_WORK}.py")


def build_c(folder: Path, reliable: Path) -> None:
    """The C library and its work, in one program."""
    sources = [str(ROOT / "benchmarks/endpoint_c.c"), str(reliable / "reliable.c")]
    flags = ["-O3", "-DNDEBUG", "-fno-semantic-interposition", "-fno-plt"]  # as in setup.py
    command = ["cc", *flags, f"-I{reliable}", *sources, "-o", "endpoint_c", "-lm"]
    run(command, folder, f"is a C compiler here, and reliable 1.4.0 in {reliable}")


def serve(kind: str) -> None:
    """Take turns: for each line with the index of a work, do it for a while and answer with nanoseconds per exchange."""
    implementation: Any = NaiveEndpoint if kind == "naive" else Endpoint
    works = import_module(COMPILED_WORK).WORKS if kind == "compiled caller" else WORKS
    is_compiled = not str(endpoint.__file__).endswith(".py")
    if is_compiled is not kind.startswith("compiled"):
        sys.exit(f"{kind} is to be measured, and this is something else: {endpoint.__file__}")
    counts = [0] * len(works)
    for line in sys.stdin:
        index = int(line)
        work, count = works[index], counts[index] or 100
        pair = implementation(now=0.0), implementation(now=0.0)
        work(*pair, 0, WARM)
        started = thread_time_ns()
        work(*pair, WARM, WARM + count)
        each = (thread_time_ns() - started) / count
        counts[index] = counts[index] or max(10, int(TURN / each))
        print(each, flush=True)


class Contender:
    """A process that takes turns."""

    def __init__(self, name: str, command: list[str], folder: Path) -> None:
        self.name = name
        environment = os.environ | {"PYTHONPATH": str(folder)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, text=True)
        self.best = [float("inf")] * len(WORKS)

    def turn(self, index: int) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{index}\n")
        self.process.stdin.flush()
        self.best[index] = min(self.best[index], float(self.process.stdout.readline()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiled", action="store_true", help="build and measure the compiled endpoint too")
    parser.add_argument("--reliable", type=Path, metavar="FOLDER", help="build and measure the C library too")
    parser.add_argument("--rounds", type=count, default=40, help="turns of each contender at each work (default: 40)")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return
    with tempfile.TemporaryDirectory(prefix="sleepy-endpoint-") as temporary:
        folder = Path(temporary)
        contenders = [
            Contender("naive", [*PYTHON, "naive"], ROOT),
            Contender("pure Python", [*PYTHON, "pure Python"], ROOT),
        ]
        if arguments.compiled:
            build_sleepy(folder)
            contenders.append(Contender("compiled", [*PYTHON, "compiled"], folder))
            contenders.append(Contender("compiled, caller too", [*PYTHON, "compiled caller"], folder))
        if arguments.reliable:
            build_c(folder, arguments.reliable.resolve())
            contenders.append(Contender("C, copies", ["./endpoint_c", "own"], folder))
            contenders.append(Contender("C, lent", ["./endpoint_c", "lend"], folder))
        try:
            for _ in range(arguments.rounds):
                for index in range(len(WORKS)):
                    for contender in contenders:
                        contender.turn(index)
        finally:
            for contender in contenders:
                contender.process.communicate()
    show(contenders)


def show(contenders: list[Contender]) -> None:
    """The table, in Markdown."""
    print(f"| microseconds per exchange | {' | '.join(contender.name for contender in contenders)} |")
    print("|---|" + "---:|" * len(contenders))
    for index, work in enumerate(WORKS):
        first = contenders[0].best[index]
        cells = [f"{c.best[index] / 1000:.2f} ({first / c.best[index]:.1f}x)" for c in contenders]
        print(f"| {work.__name__} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
