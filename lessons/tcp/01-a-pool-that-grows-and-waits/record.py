"""How many connections are enough, and how many stay? Two runs in `sleepy.sim`, recorded beside the lesson and drawn.

The library's client and server, a link with a round trip of 20 ms, and callers who do not wait for each other: whoever
measures with callers that do asks less while the pool is short, and finds it large enough.

    PYTHONPATH=. python lessons/tcp/01-a-pool-that-grows-and-waits/record.py     record both, in a minute
    python -m lessons draw
"""
# ruff: noqa: INP001 -- the lesson's folder bears a number, and is no package

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from itertools import pairwise
from math import ceil
from pathlib import Path
from random import Random
from typing import Any

from lessons.chart import BOTTOM, HEIGHT, TOP, Chart
from sleepy import sim
from sleepy.tcp import HostClient, Request, Response, Server
from sleepy.tcp.errors import NoFreeConnections

RUNS = Path(__file__).parent / "run"
ROUND_TRIP, WORK = 0.020, 0.050  # seconds; what the server takes is drawn anew for each request, 50 ms on average
RATE, SECONDS, SEED = 100, 30, 1  # callers a second, for how long, and what their times are drawn from
LIMITS = (6, 7, 8, 9, 10, 12, 16, 24)
BURST, EVERY, IDLE, WATCHED = 10, 0.050, 1.0, 5.0  # callers at once; then one in so many seconds; and so on


# --- recording -------------------------------------------------------------------------------------------------------------


class Trial:
    """One client, one server, and what became of each request.

    Args:
        random: What the server's times are drawn from; None for always the same.
        options: The client's.
    """

    def __init__(self, random: Random | None, **options: Any) -> None:
        self._random = random
        self._options = options
        self.took: list[float] = []  # seconds
        self.refused = 0
        self.client: HostClient[Request, Response]

    def run(self, callers: "Callers") -> None:
        """Let them call, and wait for all the answers."""
        network = sim.Network(SEED)
        network.link("client", "server", sim.Link(delay=ROUND_TRIP / 2))

        async def main() -> None:
            serving = network.host("server").start(self._serve())
            await network.host("client").run(self._call(callers))
            serving.cancel()

        sim.run(main(), network, patience=300)

    async def _serve(self) -> None:
        async with Server(self._answer, "server", 80, clock=None):
            await asyncio.Event().wait()

    async def _answer(self, _: Request) -> Response:
        await asyncio.sleep(self._random.expovariate(1 / WORK) if self._random else WORK)
        return Response(200)

    async def _call(self, callers: "Callers") -> None:
        async with HostClient("server:80", **self._options) as self.client, asyncio.TaskGroup() as self._tasks:
            await callers(self)

    def ask(self) -> None:
        """One more caller."""
        self._tasks.create_task(self._ask())

    async def _ask(self) -> None:
        asked = asyncio.get_running_loop().time()
        try:
            await self.client.get("/")
        except NoFreeConnections:
            self.refused += 1
        else:
            self.took.append(asyncio.get_running_loop().time() - asked)


Callers = Callable[[Trial], Coroutine[None, None, None]]


async def crowd(trial: Trial) -> None:
    """Callers at random, ``RATE`` a second: how long it has been since the last says nothing of the next (Poisson's)."""
    random = Random(f"{SEED} callers")
    for _ in range(RATE * SECONDS):
        await asyncio.sleep(random.expovariate(RATE))
        trial.ask()


def with_limit(limit: int) -> dict[str, float]:
    """What a limit does to the crowd: if they may wait, and if they may not. Times in milliseconds."""
    waiting = Trial(Random(f"{SEED} work"), max_conns=limit)
    waiting.run(crowd)
    hurried = Trial(Random(f"{SEED} work"), max_conns=limit, max_conn_wait_timeout=0)
    hurried.run(crowd)
    took = sorted(waiting.took)
    return {
        "max_conns": limit,
        "p50": round(1000 * quantile(took, 0.5), 1),
        "p99": round(1000 * quantile(took, 0.99), 1),
        "longest": round(1000 * took[-1], 1),
        "refused": round(hurried.refused / (RATE * SECONDS), 4),
        "erlang": round(erlang(RATE * (ROUND_TRIP + WORK), limit), 4),
    }


def after_burst(strategy: str) -> list[int]:
    """How many connections are open in every tenth of a second after a burst."""
    counts: list[int] = []

    async def callers(trial: Trial) -> None:
        for _ in range(BURST):
            trial.ask()
        for number in range(round(WATCHED / EVERY)):
            await asyncio.sleep(EVERY)
            trial.ask()
            if number % 2:
                counts.append(trial.client.conns_count)

    Trial(None, max_conns=BURST, max_idle_conn_duration=IDLE, pool_strategy=strategy).run(callers)
    return counts


def quantile(ordered: Sequence[float], share: float) -> float:
    """The least that ``share`` of all do not exceed."""
    return ordered[max(ceil(share * len(ordered)) - 1, 0)]


def erlang(load: float, lines: int) -> float:
    """The share of calls that find all lines busy, if nobody waits (A. K. Erlang, 1917); ``load``: busy lines on average."""
    share = 1.0
    for number in range(1, lines + 1):
        share = load * share / (number + load * share)
    return share


def record() -> None:
    """Run both, and write down what they gave."""
    setting = {"rate": RATE, "seconds": SECONDS, "round_trip": ROUND_TRIP, "work": WORK, "seed": SEED}
    limits = {"setting": setting, "limits": [with_limit(limit) for limit in LIMITS]}
    bursts = {"setting": {"burst": BURST, "every": EVERY, "idle": IDLE}} | {
        strategy: after_burst(strategy) for strategy in ("lifo", "fifo")
    }
    for name, found in (("limits", limits), ("burst", bursts)):
        (RUNS / name).mkdir(parents=True, exist_ok=True)
        (RUNS / name / "record.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


# --- drawing ---------------------------------------------------------------------------------------------------------------


def drawn() -> dict[Path, str]:
    """Every file that is made from the records, and what must stand in it."""
    limits = json.loads((RUNS / "limits/record.json").read_text(encoding="utf-8"))["limits"]
    bursts = json.loads((RUNS / "burst/record.json").read_text(encoding="utf-8"))
    return {
        RUNS / "limits/figure.svg": _limits(limits),
        RUNS / "limits/parts.md": _table(limits),
        RUNS / "burst/figure.svg": _bursts(bursts),
    }


def _limits(limits: Sequence[Mapping[str, float]]) -> str:
    told = "; ".join(f"{row['max_conns']:g}: {row['p50']:g} and {row['p99']:g} ms" for row in limits)
    chart = Chart(f"Latency by max_conns, p50 and p99. {told}.", (5.5, 24), (30, 6000), logarithmic=True)
    rows = {row["max_conns"]: f"{row['max_conns']:g}" for row in limits}
    chart.axes(
        rows,
        {50: "50", 100: "100", 200: "200", 500: "500", 1000: "1000", 2000: "2000", 5000: "5000"},
        "max_conns",
        "ms",
    )
    chart.line(chart.x(7), TOP, chart.x(7), HEIGHT - BOTTOM, "held", dashes="4 4")
    chart.text(chart.x(7) + 8, chart.y(3000), "7 are busy on average", "held", "start")
    for name, part, dashes, mark in (("p99", "culprit", "6 3", "diamond"), ("p50", "moving", "", "circle")):
        chart.curve([(row["max_conns"], row[name]) for row in limits], part, name, dashes=dashes, mark=mark)
    return chart.svg()


def _bursts(found: Mapping[str, Sequence[int]]) -> str:
    told = f"Connections open after a burst of {BURST}. In the end: LIFO {found['lifo'][-1]}, FIFO {found['fifo'][-1]}."
    chart = Chart(told, (0, WATCHED), (0, BURST + 1))
    chart.axes(
        {second: f"{second}" for second in range(int(WATCHED) + 1)},
        {count: f"{count}" for count in range(0, BURST + 1, 2)},
        "seconds after the burst",
        "open",
    )
    for name, part, dashes in (("fifo", "held", "6 3"), ("lifo", "moving", "")):
        chart.curve(list(_steps(found[name])), part, name.upper(), dashes=dashes)
    return chart.svg()


def _steps(counts: Sequence[int]) -> Iterator[tuple[float, float]]:
    """The corners of a staircase, a count for each tenth of a second."""
    yield 0.1, counts[0]
    for number, (before, after) in enumerate(pairwise(counts), 2):
        if before != after:
            yield number / 10, before
            yield number / 10, after
    yield len(counts) / 10, counts[-1]


def _table(limits: Sequence[Mapping[str, float]]) -> str:
    lines = [
        "| max_conns | p50 | p99 | the longest | refused, if nobody may wait | Erlang's formula |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row['max_conns']:g} | {row['p50']:.0f} ms | {row['p99']:.0f} ms | {row['longest']:.0f} ms "
        f"| {row['refused']:.1%} | {row['erlang']:.1%} |".replace("%", " %")
        for row in limits
    ]
    head = "<!-- Drawn by record.py from record.json. -->\n\n<!-- --8<-- [start:table] -->"
    return "\n".join([head, *lines, "<!-- --8<-- [end:table] -->", ""])


if __name__ == "__main__":
    record()
