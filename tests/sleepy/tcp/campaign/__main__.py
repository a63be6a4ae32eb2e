# ruff: noqa: T201 -- a command speaks by printing
"""Run the campaign at large: ``python -m tests.sleepy.tcp.campaign --seeds 1-5000 --jobs 2``."""

import argparse
import gc
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from rich.progress import track

from tests.sleepy.tcp.campaign.run import Outcome, run_seed

BATCH = 25  # seeds that a process gets at a time


def run_batch(seeds: list[int]) -> list[Outcome]:
    """Some runs, one after another."""
    return [run_seed(seed) for seed in seeds]


def outcomes(seeds: list[int], jobs: int) -> Iterator[Outcome]:
    """All runs, in order, with a progress bar on a terminal."""
    batches = [seeds[start : start + BATCH] for start in range(0, len(seeds), BATCH)]
    # Each run collects its garbage, and need not look at what was there before.
    with ProcessPoolExecutor(jobs, initializer=gc.freeze) as pool:
        hidden = not sys.stderr.isatty()
        for batch in track(pool.map(run_batch, batches), "runs", total=len(batches), disable=hidden):
            yield from batch


def table(title: str, counts: Counter[str]) -> str:
    """Counts as a table in Markdown, the most first."""
    lines = [f"| {title} | times |", "|---|---:|"]
    lines += [f"| {name} | {count:,} |" for name, count in counts.most_common()]
    return "\n".join(lines)


def replay(seed: int, *, trace: bool) -> int:
    """One run again, and what happened in it."""
    outcome = run_seed(seed, echo=trace)
    print(*outcome.events, sep="\n")
    print(f"seed {seed}: {outcome.kind}, {outcome.requests} requests: {dict(outcome.outcomes)}")
    print(*outcome.violations or ["nothing that must not happen has happened"], sep="\n")
    return 1 if outcome.violations else 0


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.sleepy.tcp.campaign", description=__doc__)
    parser.add_argument("--seeds", default="1-1000", metavar="FIRST-LAST", help="which runs; 1-1000")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="in how many processes; 1")
    parser.add_argument("--seed", type=int, metavar="N", help="one run only")
    parser.add_argument("--trace", action="store_true", help="with --seed: show everything that happens")
    options = parser.parse_args()
    if options.seed is not None:
        return replay(options.seed, trace=options.trace)
    first, _, last = options.seeds.partition("-")
    seeds = list(range(int(first), int(last or first) + 1))
    began = time.monotonic()
    kinds, ends, faults = (Counter[str]() for _ in range(3))
    requests = failed = 0
    for outcome in outcomes(seeds, options.jobs):
        kinds[outcome.kind] += 1
        ends += outcome.outcomes
        faults += outcome.faults
        requests += outcome.requests
        if outcome.violations:
            failed += 1
            print(f"seed {outcome.seed} ({outcome.kind}): {outcome.violations[0]}")
            print(f"  to replay: python -m tests.sleepy.tcp.campaign --seed {outcome.seed} --trace")
    print(f"{len(seeds):,} runs, {requests:,} requests, {failed} runs failed, {time.monotonic() - began:.0f} s\n")
    for title, counts in (("client", kinds), ("end of a request", ends), ("fault", faults)):
        print(table(title, counts), end="\n\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
