"""What a request costs the client's CPU: sleepy beside its peers, all in one run.

    python -m benchmarks.http                   # what is installed here: the floors and sleepy, perhaps uvloop
    python -m benchmarks.http --peers           # all; installs them into a virtual environment of their own
    python -m benchmarks.http --compiled        # and sleepy compiled by mypyc, in a temporary folder
    python -m benchmarks.http --hosts 1000      # the same, asking a thousand addresses in turn, beside one
    python -m benchmarks.http --idle 10000      # the same with ten thousand more connections idle, beside none
    python -m benchmarks.http --profile         # where sleepy's own time goes
    python -m benchmarks.http.servers --peers   # the other side: answers per second of the server's CPU

Figures are microseconds of CPU time, user and system, of the client's process, per request: the median of all rounds, in
parentheses the least, then how many times the floor. Server on CPU 0, client on CPU 1; contenders take turns. Compare
within a table: ratios are of the same rounds, and hold better than the figures.
"""

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.arguments import count, duration
from benchmarks.compiled import ROOT, build
from benchmarks.http import peers
from benchmarks.http.contenders import AGAINST, CONTENDERS, HOSTS, IDLE, MAIN
from benchmarks.http.load import Load, addresses
from benchmarks.http.rounds import Cells, Worker, play
from benchmarks.http.server import NoCompiler, compiled, running
from benchmarks.http.table import as_json, as_table

STDERR = Console(stderr=True, highlight=False, soft_wrap=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.http", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=count, default=15, help="turns of each contender (default: 15)")
    parser.add_argument("--seconds", type=duration, default=0.3, help="length of a turn, roughly (default: 0.3)")
    parser.add_argument("--quick", action="store_true", help="three short rounds: a first look")
    parser.add_argument("--callers", type=count, nargs="+", default=[1, 64, 256], help="(default: 1 64 256)")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="contenders with one of these words in the name")
    parser.add_argument("--peers", action="store_true", help="measure the peers too; installs them at the first time")
    parser.add_argument("--compiled", action="store_true", help="build and measure the compiled package too")
    parser.add_argument("--json", type=Path, help="write all figures to this file too")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--hosts", type=count, help="ask so many addresses in turn, with a client for each")
    mode.add_argument("--idle", type=count, help="keep so many more connections open, and idle")
    mode.add_argument("--profile", action="store_true", help="profile sleepy's clients instead of measuring")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = min(options.rounds, 3), min(options.seconds, 0.1)
    return options


def choose(names: list[str], options: argparse.Namespace, python: Path) -> list[str]:
    """Those of the contenders that are wanted and can run; the others are named."""
    chosen = []
    for name in names:
        if options.only and not any(word in name for word in options.only):
            continue
        if CONTENDERS[name].compiled and not options.compiled:
            continue
        lacking = peers.missing(CONTENDERS[name].needs, python)
        if lacking:
            STDERR.print(f"{name} is left out: {', '.join(lacking)} is not installed (try --peers)")
        else:
            chosen.append(name)
    if not chosen:
        sys.exit(f"nothing to measure; there are: {', '.join(names)}")
    return chosen


def measure(
    plan: dict[str, tuple[str, Load]], options: argparse.Namespace, python: Path, compiled_home: Path
) -> tuple[Cells, list[Worker]]:
    """Play the rounds. The plan says for each label which contender it is, and what it is asked to do."""
    with ExitStack() as stack:
        program = stack.enter_context(compiled())
        columns = TextColumn("{task.description:46}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        progress = stack.enter_context(Progress(*columns, console=STDERR, transient=True))
        task = progress.add_task("opening", total=options.rounds * len(options.callers) * len(plan))
        workers = []
        for label, (name, load) in plan.items():
            port = stack.enter_context(running(program))
            home = compiled_home if CONTENDERS[name].compiled else ROOT
            workers.append(worker := Worker(label, name, load.at(port), python, home))
            stack.callback(worker.close)

        def advance(whose: str) -> None:
            progress.update(task, advance=1, description=whose)

        return play(workers, options.callers, options.rounds, options.seconds, advance), workers


def traced_memory(name: str, load: Load, python: Path, home: Path) -> float:
    """Bytes of Python's objects that a client and its idle connections take."""
    with compiled() as program, running(program) as port:
        worker = Worker(name, name, load.at(port), python, home, trace_memory=True)
        worker.close()
        return worker.memory


def profile(names: list[str], options: argparse.Namespace, python: Path) -> None:
    with compiled() as program:
        for name in names:
            for callers in options.callers:
                with running(program) as port:
                    print(f"{name}, {callers} callers, 20000 requests under cProfile")
                    print(Worker(name, name, Load(port), python).profile(callers, 20_000))


def main() -> int:
    options = parse()
    python = peers.install(STDERR.print) if options.peers else peers.OURS
    output = Console(width=140, highlight=False)
    if options.profile:
        names = [name for name in MAIN if "sleepy" in name and not CONTENDERS[name].compiled]
        profile(choose(names, options, python), options, python)
        return 0
    if options.hosts or options.idle:
        names = choose(HOSTS if options.hosts else IDLE, options, python)
        if options.hosts:
            few, many, word = Load(), Load(hosts=addresses(options.hosts)), f"{options.hosts} hosts"
        else:
            few, many, word = Load(), Load(idle=options.idle), f"{options.idle} idle"
        plan = {name: (name, few) for name in names} | {f"{name}, {word}": (name, many) for name in names}
        against = {name: name for name in names} | {f"{name}, {word}": name for name in names}
    else:
        plan = {name: (name, Load()) for name in choose(MAIN, options, python)}
        against = AGAINST
    with TemporaryDirectory(prefix="sleepy-http-") as temporary:
        home = Path(temporary)
        if options.compiled:
            with STDERR.status("compiling"):
                build(home)
        cells, workers = measure(plan, options, python, home)
        output.print(as_table(cells, against))
        if options.idle:
            for worker in workers:
                name, load = plan[worker.label]
                if load.idle:
                    traced = traced_memory(name, load, python, home if CONTENDERS[name].compiled else ROOT) / load.idle
                    print(
                        f"{worker.label}: {worker.memory / load.idle:,.0f} bytes of memory each, {traced:,.0f} in objects"
                    )
    if options.json:
        options.json.write_text(json.dumps(as_json(cells), indent=1))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NoCompiler as error:
        sys.exit(str(error))
