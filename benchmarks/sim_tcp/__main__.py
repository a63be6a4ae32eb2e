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
SIZES = (10_000, 100_000, 1_000_000)
LOSSES = (0.0, 0.01, 0.02)


def times(world: str, loss: float, options: argparse.Namespace, seed: int) -> dict[int, list[float]]:
    """The seconds of each transfer, by size."""
    figures = {"sizes": SIZES, "repeats": options.repeats, "congestion": options.congestion}
    link = Link(delay=DELAY, loss=loss)
    scenario = Scenario("sim_tcp", f"loss {loss:.0%}", "transfers", link, link, figures)
    impairment = find(world).probe(scenario).impairment
    with tempfile.TemporaryDirectory() as folder:
        run = Run(scenario, seed, Path(folder), impairment, {"transfers": 8001}, 3600.0, "benchmarks.sim_tcp")
        find(world).run(run, lambda _: None)
        with (Path(folder) / "events.jsonl").open() as lines:
            events = [event.fields for event in read(lines)]
    assert all(event["got"] == event["size"] for event in events), "a transfer was cut short"
    return {size: [float(event["seconds"]) for event in events if event["size"] == size] for size in SIZES}


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.sim_tcp")
    parser.add_argument(
        "--congestion", default="reno", choices=["reno", "cubic"], help="the kernel's congestion control"
    )
    parser.add_argument("--repeats", type=int, default=41, help="transfers of each size and loss")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-sim", action="store_true", help="leave the kernel out")
    options = parser.parse_args()
    print("| transfer | loss | kernel | simulated | ratio |\n|---|---|---|---|---|")
    worst = 1.0
    for loss in LOSSES:
        simulated = times("sim", loss, options, options.seed)
        kernel = simulated if options.only_sim else times("netns", loss, options, options.seed)
        for size in SIZES:
            real, ours = median(kernel[size]), median(simulated[size])
            worst = max(worst, ours / real, real / ours)
            print(f"| {size // 1000} KB | {loss:.0%} | {real:.3f} s | {ours:.3f} s | {ours / real:.2f} |", flush=True)
    print(f"\nround trip {2 * DELAY * 1000:.0f} ms, medians of {options.repeats}, kernel with {options.congestion}")
    return 0 if worst <= 1.25 else 1


if __name__ == "__main__":
    sys.exit(main())
