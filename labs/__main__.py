"""``python -m labs``: list the labs, run one, draw a run's report again."""

import argparse
import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Self

try:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
except ModuleNotFoundError:
    print("this Python lacks what the labs need: use .venv/bin/python, which `make labs` makes", file=sys.stderr)
    sys.exit(2)

from labs import artist, run, scenario, table, worlds
from labs.artist import Artist
from labs.results import Summary, Verdict
from labs.scenario import Scenario, UnknownNameError
from labs.worlds import Probe, WorldError

_EXAMPLES = """examples:
  python -m labs list
  python -m labs run hol
  python -m labs run hol --scenario lost-segment --world netns --seed 7
  python -m labs run hol --impairment off        # must FAIL: there is nothing to see
  python -m labs run hol --json > result.json
  python -m labs report out/hol/lost-segment-7

exit codes: 0 PASS, 1 FAIL, 2 it could not be run or judged
"""
_RUNS = "Name the folder of a run, such as out/hol/lost-segment-7; python -m labs run hol makes one."


def main(arguments: list[str] | None = None) -> int:
    """Carry out a command line; give the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that being told to stop cleans up like Ctrl-C
    options = _parser().parse_args(arguments)
    talk = Console(
        stderr=True, highlight=False, soft_wrap=True
    )  # all but the results, so that these can go into a file or a pipe
    try:
        return int(options.command(options, talk))
    except UnknownNameError as error:
        talk.print(f"[red]{escape(str(error))}[/]")
    except WorldError as error:
        talk.print(f"[red]could not run:[/] {escape(error.cause)}\n[bold]what to do:[/] {escape(error.remedy)}")
    except OSError as error:
        talk.print(f"[red]could not run:[/] {escape(str(error))}")
    except KeyboardInterrupt:
        talk.print("interrupted; nothing of the lab stays behind")
        return 130
    return Verdict.NO_VERDICT.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m labs",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="the labs, their scenarios, and the worlds that this machine offers")
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.set_defaults(command=_list)

    running = commands.add_parser(
        "run", help="run a lab", epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    running.add_argument("lab", help="such as hol; see list")
    running.add_argument("--scenario", default="all", help="one of the lab's scenarios; all of them unless given")
    running.add_argument(
        "--world", default="auto", help="where to run it; the best one the machine offers unless given"
    )
    running.add_argument(
        "--impairment",
        default="auto",
        help="what bends the link: netem, nfqueue, relay, or off for none; the best one the world has unless given",
    )
    running.add_argument("--seed", type=int, default=7, help="what the run's choices are drawn from (7)")
    running.add_argument(
        "--tries", type=_one_or_more, default=3, help="how often to try when a run gives no verdict (3)"
    )
    running.add_argument("--out", type=Path, default=run.OUT, help="where results are left (out)")
    running.add_argument("--json", action="store_true", help="the result as JSON on standard output")
    running.set_defaults(command=_run)

    reporting = commands.add_parser("report", help="draw a run's report.html again, from its summary and events")
    reporting.add_argument("folder", type=Path, help="such as out/hol/lost-segment-7")
    reporting.set_defaults(command=_report)
    return parser


def _one_or_more(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _list(options: argparse.Namespace, talk: Console) -> int:
    labs = [scenario.load(name) for name in scenario.names()]
    some = next(iter(labs[0].scenarios.values()))
    probes = {name: worlds.find(name).probe(some) for name in worlds.names()}
    if options.json:
        document = {
            "labs": [
                {
                    "name": lab.name,
                    "title": lab.title,
                    "claim": lab.claim,
                    "scenarios": {name: one.summary for name, one in lab.scenarios.items()},
                }
                for lab in labs
            ],
            "worlds": {name: asdict(probe) for name, probe in probes.items()},
        }
        print(json.dumps(document, indent=1))
        return 0
    out = Console(highlight=False, soft_wrap=True)
    for lab in labs:
        out.print(f"[bold]{lab.name}[/]  {lab.title}\n     {lab.claim}")
        for name, one in lab.scenarios.items():
            out.print(f"     [cyan]{name}[/]: {one.summary}")
    out.print("\nworlds, the best first:")
    for name, probe in probes.items():
        mark = "[green]here[/]" if probe.ok else "[yellow]not here[/]"
        out.print(f"     [cyan]{name}[/] ({mark}): {_in_words(probe)}")
    talk.print("\nrun one with: python -m labs run LAB")
    return 0


def _run(options: argparse.Namespace, talk: Console) -> int:
    if options.scenario == "all":
        scenarios = list(scenario.load(options.lab).scenarios.values())
    else:
        scenarios = [scenario.find(options.lab, options.scenario)]
    with Artist() as reports:
        summaries = [summary for one in scenarios if (summary := _run_one(one, options, talk, reports)) is not None]
    verdicts = {summary.verdict for summary in summaries} or {Verdict.NO_VERDICT}
    worst = next(verdict for verdict in (Verdict.FAIL, Verdict.NO_VERDICT, Verdict.PASS) if verdict in verdicts)
    if options.json:
        print(json.dumps([_headline(summary, options.out) for summary in summaries], indent=1))
    elif len(scenarios) > 1:
        each = ", ".join(f"{summary.scenario} {summary.verdict}" for summary in summaries)
        print(f"\n{worst} in all: {each or 'nothing could be shown'}")
    return worst.exit_code


def _run_one(one: Scenario, options: argparse.Namespace, talk: Console, reports: Artist) -> Summary | None:
    """Run a scenario in the first world that can; None, and the reason told, if none can."""
    world = None if options.world == "auto" else options.world
    impairment = None if options.impairment == "auto" else options.impairment
    talk.print(f"\n[bold]{one.lab} / {one.name}[/]: {one.summary}")
    for choice in run.choose(one, world, impairment):
        verb = "world" if choice.probe.ok else "not in"
        talk.print(f"{verb} [cyan]{choice.world}[/]: {_in_words(choice.probe)}")
        if choice.probe.ok:
            if choice.world == "sim":  # its time is virtual
                reports.get_ready()
            summary = _try(one, choice, options, talk, reports)
            folder = run.folder_of(one, options.seed, options.out)
            talk.print(f"report: {folder / 'report.html'}   captures: {folder}/left.pcap, right.pcap")
            if not options.json:
                table.show(summary, Console(highlight=False))
            return summary
    talk.print(f"[red]{one.name} cannot be shown on this machine as asked[/]; the lines above say what would help")
    return None


def _in_words(probe: Probe) -> str:
    stop = "" if probe.reason.endswith((".", "?", "!")) or not probe.remedy else "."
    return escape(f"{probe.reason}{stop} {probe.remedy}".rstrip())


def _try(one: Scenario, choice: run.Choice, options: argparse.Namespace, talk: Console, reports: Artist) -> Summary:
    """Play a scenario until there is something to judge by: a machine that was busy a moment ago may be idle now."""
    notes: list[str] = []
    while True:
        with _Bar(talk) as progress:
            world, impairment = choice.world, choice.probe.impairment
            summary = run.play(one, options.seed, world, impairment, progress, options.out, notes, reports.draw)
        if summary.verdict is not Verdict.NO_VERDICT or len(notes) + 1 >= options.tries:
            return summary
        notes.append(f"Try {len(notes) + 1} of {options.tries} gave no verdict: {'; '.join(summary.reasons)}")
        talk.print(f"[yellow]{notes[-1]}[/]. Once more.")


def _report(options: argparse.Namespace, talk: Console) -> int:
    try:
        artist.draw(options.folder)
    except FileNotFoundError as error:
        raise WorldError(
            f"{options.folder} holds no run that was judged: there is no {error.filename}", _RUNS
        ) from error
    except (ValueError, KeyError, TypeError) as error:  # no JSON, or not ours
        raise WorldError(f"what {options.folder} holds is no run that can be read: {error!r}", _RUNS) from error
    talk.print(f"report: {options.folder / 'report.html'}")
    return 0


def _headline(summary: Summary, out: Path) -> dict[str, object]:
    """A summary without the life of every request, which is in the folder's summary.json."""
    document = asdict(summary)
    for contender in document["contenders"]:
        del contender["requests"]
    return {"folder": str(out / summary.lab / f"{summary.scenario}-{summary.seed}"), **document}


class _Bar:
    """A progress bar on the terminal, while a world plays; where there is no terminal, a line for each phase.

    Args:
        talk: Where it is drawn.
    """

    def __init__(self, talk: Console) -> None:
        self._talk = talk
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=talk, transient=True, disable=not talk.is_terminal)
        self._task = self._progress.add_task("setting up", total=None)
        self._phase = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, told: Mapping[str, object]) -> None:
        phase = str(told["phase"])
        if phase != self._phase and not self._talk.is_terminal:
            self._talk.print(f"  {phase} ...")
        self._phase = phase
        self._progress.update(
            self._task, completed=float(str(told["done"])), total=float(str(told["of"])), description=phase
        )


if __name__ == "__main__":
    sys.exit(main())
