# ruff: noqa: T201 -- a command speaks by printing
"""What the fault campaigns have in common: many seeded runs in several processes, tables of the outcome, and a replay."""

import argparse
import gc
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from rich.progress import track

BATCH = 25  # seeds that a process gets at a time


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        seed: Its seed.
        kind: Which kind of run it was.
        count: How many things were tried: requests, messages.
        outcomes: How they ended.
        faults: What was done to them.
        violations: What must not have happened.
        events: What happened, if it was to be kept.
    """

    seed: int
    kind: str
    count: int
    outcomes: Counter[str]
    faults: Counter[str]
    violations: list[str]
    events: list[str]


class RunSeed(Protocol):
    """The run of a seed; the same each time."""

    def __call__(self, seed: int, *, echo: bool = False) -> Outcome: ...


def report(failed: list[Outcome], package: str, variable: str) -> str:
    """What went wrong first in each run, and how to see it again."""
    return "\n".join(
        f"{outcome.kind}: {outcome.violations[0]}\n"
        f"to replay: python -m {package} --seed {outcome.seed} --trace, or {variable}={outcome.seed}"
        for outcome in failed
    )


def _run_batch(run_seed: RunSeed, seeds: list[int]) -> list[Outcome]:
    """Some runs, one after another."""
    return [run_seed(seed) for seed in seeds]


def _outcomes(run_seed: RunSeed, seeds: list[int], jobs: int) -> Iterator[Outcome]:
    """All runs, in order, with a progress bar on a terminal."""
    batches = [seeds[start : start + BATCH] for start in range(0, len(seeds), BATCH)]
    # Each run collects its garbage, and need not look at what was there before.
    with ProcessPoolExecutor(jobs, initializer=gc.freeze) as pool:
        hidden = not sys.stderr.isatty()
        results = pool.map(partial(_run_batch, run_seed), batches)
        for batch in track(results, "runs", total=len(batches), disable=hidden):
            yield from batch


def _table(title: str, counts: Counter[str]) -> str:
    """Counts as a table in Markdown, the most first."""
    lines = [f"| {title} | times |", "|---|---:|"]
    lines += [f"| {name} | {count:,} |" for name, count in counts.most_common()]
    return "\n".join(lines)


def _replay(outcome: Outcome, things: str) -> int:
    """What happened in one run."""
    print(*outcome.events, sep="\n")
    print(f"seed {outcome.seed}: {outcome.kind}, {outcome.count} {things}: {dict(outcome.outcomes)}")
    print(*outcome.violations or ["nothing that must not happen has happened"], sep="\n")
    return 1 if outcome.violations else 0


def main(
    package: str,
    run_seed: RunSeed,
    *,
    things: str,
    titles: tuple[str, str, str],
) -> int:
    """A campaign's command; gives its exit status.

    Args:
        package: What comes after ``python -m``.
        run_seed: One run.
        things: What is counted in it.
        titles: Of the tables of kinds, outcomes and faults.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description="Run the campaign at large.")
    parser.add_argument("--seeds", default="1-1000", metavar="FIRST-LAST", help="which runs; 1-1000")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="in how many processes; 1")
    parser.add_argument("--seed", type=int, metavar="N", help="one run only")
    parser.add_argument("--trace", action="store_true", help="with --seed: show everything that happens")
    options = parser.parse_args()
    if options.seed is not None:
        return _replay(run_seed(options.seed, echo=options.trace), things)
    first, _, last = options.seeds.partition("-")
    seeds = list(range(int(first), int(last or first) + 1))
    began = time.monotonic()
    kinds, ends, faults = (Counter[str]() for _ in range(3))
    count = failed = 0
    for outcome in _outcomes(run_seed, seeds, options.jobs):
        kinds[outcome.kind] += 1
        ends += outcome.outcomes
        faults += outcome.faults
        count += outcome.count
        if outcome.violations:
            failed += 1
            print(f"seed {outcome.seed} ({outcome.kind}): {outcome.violations[0]}")
            print(f"  to replay: python -m {package} --seed {outcome.seed} --trace", flush=True)
    print(f"{len(seeds):,} runs, {count:,} {things}, {failed} runs failed, {time.monotonic() - began:.0f} s\n")
    for title, counts in zip(titles, (kinds, ends, faults), strict=True):
        print(_table(title, counts), end="\n\n")
    return 1 if failed else 0
