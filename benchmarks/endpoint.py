"""How fast an endpoint sends, receives and acks: the naive one, ours, and the same source compiled.

    python -m benchmarks.endpoint               # naive and pure Python
    python -m benchmarks.endpoint --compiled    # and compiled by mypyc in a temporary folder; needs a C compiler

One *exchange* is a packet each way: two packets sent, received and acked. All contenders take turns in one run, each in a
process of its own, and the best turn of each counts: what makes a turn longer is the machine's other work. Figures are
microseconds of CPU time per exchange; compare them within a table, not between tables.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import copy, copytree, ignore_patterns
from time import thread_time_ns

from benchmarks.endpoint_naive import NaiveEndpoint
from benchmarks.endpoint_work import WORKS
from sleepy.udp import Endpoint

ROOT = Path(__file__).parents[1]
WARM = 300  # exchanges until the memory of 256 packets is full
TURN = 10e6  # nanoseconds, roughly


def build(folder: Path) -> Path:
    """A copy of the source in which the hot modules are compiled, as setup.py does it."""
    for name in ("sleepy", "benchmarks"):
        copytree(ROOT / name, folder / name, ignore=ignore_patterns("__pycache__", "*.so"))
    copy(ROOT / "setup.py", folder)
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    environment = os.environ | {"SLEEPY_MYPYC": "1"}
    built = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if built.returncode:
        sys.exit(f"cannot compile: are mypy[mypyc], setuptools and a C compiler here?\n{built.stdout}{built.stderr}")
    return folder


def serve(kind: str) -> None:
    """Take turns: for each line with the index of a work, do it for a while and answer with nanoseconds per exchange."""
    implementation = NaiveEndpoint if kind == "naive" else Endpoint
    counts = [0] * len(WORKS)
    for line in sys.stdin:
        index = int(line)
        work, count = WORKS[index], counts[index] or 100
        pair = implementation(now=0.0), implementation(now=0.0)
        work(*pair, range(WARM))
        started = thread_time_ns()
        work(*pair, range(WARM, WARM + count))
        each = (thread_time_ns() - started) / count
        counts[index] = counts[index] or max(10, int(TURN / each))
        print(each, flush=True)


class Contender:
    """A process that takes turns."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        command = [sys.executable, "-m", "benchmarks.endpoint", "--serve", "naive" if name == "naive" else "fast"]
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
    parser.add_argument("--rounds", type=int, default=40, help="turns of each contender at each work (default: 40)")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return
    with tempfile.TemporaryDirectory(prefix="sleepy-endpoint-") as temporary:
        folders = {"naive": ROOT, "pure Python": ROOT}
        if arguments.compiled:
            folders["compiled"] = build(Path(temporary))
        contenders = [Contender(name, folder) for name, folder in folders.items()]
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
    print(f"{'microseconds per exchange':34}" + "".join(f"{contender.name:>20}" for contender in contenders))
    for index, work in enumerate(WORKS):
        first = contenders[0].best[index]
        cells = [f"{c.best[index] / 1000:.2f} ({first / c.best[index]:.1f}x)" for c in contenders]
        print(f"{work.__name__:34}" + "".join(f"{cell:>20}" for cell in cells))


if __name__ == "__main__":
    main()
