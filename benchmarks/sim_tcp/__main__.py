"""Play the transfers in both worlds and print the table; see `benchmarks.sim_tcp`."""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

from labs.scenario import Scenario
from labs.worlds import Run, find
from sleepy.sim import Link
from sleepy.trace import read

DELAY = 0.025  # seconds, one way
TRANSFERS = ((10_000, 101), (100_000, 101), (1_000_000, 41))  # bytes, and how often
LOSSES = (0.0, 0.01, 0.02)


def times(world: str, loss: float, options: argparse.Namespace, seed: int) -> dict[int, list[float]]:
    """The seconds of each transfer, by size."""
    plan = [(size, max(repeats // options.fewer, 1)) for size, repeats in TRANSFERS]
    figures = {"transfers": plan, "congestion": options.congestion}
    link = Link(delay=DELAY, loss=loss)
    scenario = Scenario("sim_tcp", f"loss {loss:.0%}", "transfers", link, link, figures)
    impairment = find(world).probe(scenario).impairment
    with tempfile.TemporaryDirectory() as folder:
        run = Run(scenario, seed, Path(folder), impairment, {"transfers": 8001}, 3600.0, "benchmarks.sim_tcp")
        find(world).run(run, lambda _: None)
        with (Path(folder) / "events.jsonl").open() as lines:
            events = [event.fields for event in read(lines)]
    assert all(event["got"] == event["size"] for event in events), "a transfer was cut short"
    return {size: [float(event["seconds"]) for event in events if event["size"] == size] for size, _ in TRANSFERS}


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.sim_tcp")
    parser.add_argument(
        "--congestion", default="reno", choices=["reno", "cubic"], help="the kernel's congestion control"
    )
    parser.add_argument("--fewer", type=int, default=1, help="play only every so-manieth transfer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-sim", action="store_true", help="leave the kernel out")
    options = parser.parse_args()
    print("| transfer | loss | kernel | simulated | ratio |\n|---|---|---|---|---|")
    worst = 1.0
    for loss in LOSSES:
        simulated = times("sim", loss, options, options.seed)
        kernel = simulated if options.only_sim else times("netns", loss, options, options.seed)
        for size, _ in TRANSFERS:
            real, ours = median(kernel[size]), median(simulated[size])
            worst = max(worst, ours / real, real / ours)
            print(f"| {size // 1000} KB | {loss:.0%} | {real:.3f} s | {ours:.3f} s | {ours / real:.2f} |", flush=True)
    print(f"\nround trip {2 * DELAY * 1000:.0f} ms, medians, kernel with {options.congestion}")
    return 0 if worst <= 1.25 else 1


if __name__ == "__main__":
    sys.exit(main())
