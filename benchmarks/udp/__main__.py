"""What messages between peers cost, and what gets through: sleepy.udp beside its peers.

    python -m benchmarks.udp                        # what is installed here: sleepy, perhaps uvloop; takes some minutes
    python -m benchmarks.udp echo bulk --peers      # beside aioquic and ENet, in a virtual environment of their own
    python -m benchmarks.udp echo --compiled        # and compiled by mypyc, in a temporary folder; needs a C compiler
    python -m benchmarks.udp crowd                  # 10,000 peers on one node beside ten
    python -m benchmarks.udp goodput --kernel       # a path with loss, simulated; beside the kernel's TCP (as root)
    taskset -c 1 python -m benchmarks.udp echo      # all on one processor, if others need the rest

echo:    100-byte reliable ordered messages, 256 under way, sockets on loopback; CPU microseconds per message
bulk:    a stream; CPU microseconds per KiB
crowd:   CPU microseconds per message on a node with few peers and with many; memory per idle peer
goodput: shares of a link with a round trip of 100 ms, 20 Mbit/s, 2 % loss; and how fairly four share it

Figures of CPU time are medians of the rounds, in parentheses the least, then how many times those of the first row: the
median of the ratios of each round. Contenders take turns, so ratios hold better than figures.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks.arguments import count, duration
from benchmarks.compiled import build
from benchmarks.http import peers
from benchmarks.http.rounds import Cell
from benchmarks.udp import crowd, goodput
from benchmarks.udp.contenders import CONTENDERS
from benchmarks.udp.rounds import Cells, play

PARTS = ("echo", "bulk", "crowd", "goodput")
STDERR = Console(stderr=True, highlight=False, soft_wrap=True)
STDOUT = Console(width=120, highlight=False)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.udp", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)")
    parser.add_argument("--rounds", type=count, default=15, help="turns of each contender (default: 15)")
    parser.add_argument("--seconds", type=duration, default=0.5, help="length of a turn, roughly (default: 0.5)")
    parser.add_argument("--crowd", type=count, default=10_000, help="peers on one node (default: 10000)")
    parser.add_argument(
        "--time", type=duration, default=20.0, help="seconds that a simulated transfer has (default: 20)"
    )
    parser.add_argument("--quick", action="store_true", help="two short rounds of everything: a first look")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="contenders with one of these words in the name")
    parser.add_argument("--peers", action="store_true", help="measure the peers too; installs them at the first time")
    parser.add_argument("--compiled", action="store_true", help="build and measure the compiled package too")
    parser.add_argument("--kernel", action="store_true", help="measure the kernel's TCP too, in network namespaces")
    parser.add_argument("--json", type=Path, help="write all figures to this file too")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {unknown.pop()!r}; there are: {', '.join(PARTS)}")
    if options.kernel and os.geteuid():
        parser.error("--kernel needs root, to make network namespaces")
    options.parts = options.parts or PARTS
    if options.quick:
        options.rounds, options.seconds = min(options.rounds, 2), min(options.seconds, 0.05)
        options.crowd, options.time = min(options.crowd, 200), min(options.time, 3.0)
    return options


def choose(what: str, options: argparse.Namespace, python: Path) -> list[str]:
    """Who takes part; who is wanted and cannot, is named."""
    chosen = []
    for name, contender in CONTENDERS.items():
        wanted = not options.only or any(word in name for word in options.only)
        able = (options.compiled or not contender.compiled) and (what != "bulk" or contender.streams)
        if not (wanted and able):
            continue
        lacking = peers.missing(contender.needs, python)
        if lacking:
            STDERR.print(f"{name} is left out: {', '.join(lacking)} is not installed (try --peers)")
        else:
            chosen.append(name)
    if not chosen:
        sys.exit(f"nothing to measure; there are: {', '.join(CONTENDERS)}")
    return chosen


def as_table(title: str, cells: Cells) -> Table:
    table = Table(box=MARKDOWN)
    first = next(iter(cells.values()))
    table.add_column(title, no_wrap=True)
    for column in first:
        table.add_column(column, justify="right", no_wrap=True)
    for name, row in cells.items():
        table.add_row(name, *(_text(cell, first[column]) for column, cell in row.items()))
    return table


def _text(cell: Cell, first: Cell) -> str:
    return f"{cell.middle:.2f} ({cell.least:.2f}), {cell.ratio(first):.2f}x"


def measure_sockets(what: str, options: argparse.Namespace, python: Path, compiled: Path) -> Any:
    with STDERR.status(what) as status:
        names = choose(what, options, python)
        cells = play(
            names,
            what,
            options.rounds,
            options.seconds,
            python,
            compiled,
            lambda who: status.update(f"{what}: {who}"),
        )
    STDOUT.print(as_table(f"{what}, us per {'message' if what == 'echo' else 'KiB'}", cells))
    return {name: {side: cell.turns for side, cell in row.items()} for name, row in cells.items()}


def measure_crowd(options: argparse.Namespace) -> Any:
    with STDERR.status("crowd"):
        cells = crowd.costs(options.crowd, options.rounds * 40)  # a turn takes half a millisecond
        sizes = {spoke: crowd.memory(options.crowd, spoke=spoke) for spoke in (False, True)}
    STDOUT.print(as_table("crowd, us per message", {name: {"board": cell} for name, cell in cells.items()}))
    STDOUT.print(f"An idle peer takes {sizes[False]:,.0f} bytes; one that has spoken, {sizes[True]:,.0f}.")
    return {"us": {name: cell.turns for name, cell in cells.items()}, "bytes": list(sizes.values())}


def measure_goodput(options: argparse.Namespace) -> Any:
    table = Table("share of the link", "2 % loss", "no loss", "four, 2 % loss: all (Jain)", box=MARKDOWN)
    figures: dict[str, list[float]] = {}
    with STDERR.status("goodput"):
        for control in goodput.CONTROLS:
            lossy, clean = (goodput.simulated(control, loss, options.time)[0] for loss in (0.02, 0.0))
            four = goodput.simulated(control, 0.02, 2 * options.time, flows=4)
            fair = goodput.jain(four) if any(four) else 0.0
            figures[control] = [lossy, clean, sum(four), fair]
            table.add_row(f"sleepy.udp, {control}", f"{lossy:.1%}", f"{clean:.1%}", f"{sum(four):.1%} ({fair:.3f})")
        if options.kernel:
            shares = sorted(goodput.kernel("cubic", 0.02, 2_000_000, seed) for seed in (1, 2, 3))
            figures["kernel"] = shares
            table.add_row("kernel TCP, CUBIC", f"{shares[1]:.1%} ({shares[0]:.1%} to {shares[2]:.1%})", "", "")
    STDOUT.print(table)
    return figures


def main() -> int:
    options = parse()
    python = peers.install(STDERR.print, Path(__file__).parent) if options.peers else peers.OURS
    figures: dict[str, Any] = {}
    with TemporaryDirectory(prefix="sleepy-udp-") as temporary:
        if options.compiled:
            with STDERR.status("compiling"):
                build(Path(temporary))
        for part in options.parts:
            if part == "crowd":
                figures[part] = measure_crowd(options)
            elif part == "goodput":
                figures[part] = measure_goodput(options)
            else:
                figures[part] = measure_sockets(part, options, python, Path(temporary))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
