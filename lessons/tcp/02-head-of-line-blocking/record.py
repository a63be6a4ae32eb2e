"""What does the stall guard save? Two runs in `sleepy.sim`, each without it and with it, recorded beside the lesson.

Both have four pipelined connections, and now and then a response that takes half a second. In the *trickle*, which is the
lab's, a request comes every 28 ms; in the *bursts* forty come at once, from a peer nearby.

    PYTHONPATH=. python lessons/tcp/02-head-of-line-blocking/record.py     record, in some ten seconds
    python -m lessons draw
"""
# ruff: noqa: INP001 -- the lesson's folder bears a number, and is no package

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from sleepy import sim
from sleepy.tcp import PipelineClient, Request, Response, Server

RUN = Path(__file__).parent / "run/guard"
CONNECTIONS, SLOW, SEEDS = 4, 0.5, (1, 2, 3)  # SLOW: what a slow response takes, in seconds
BODY = bytes(1000)


@dataclass(frozen=True)
class Load:
    """Who asks, and whom; times in seconds.

    Attributes:
        requests: How many in all.
        burst: How many at once.
        every: From one burst to the next.
        one_in: Of so many one is slow.
        work: What the others take.
        round_trip: Between client and server.
        warm_up: The first so many do not count: they wait for the connections to be opened.
    """

    requests: int
    burst: int
    every: float
    one_in: int
    work: float
    round_trip: float
    warm_up: int


LOADS = {
    "trickle": Load(160, 1, 0.028, 20, 0.0, 0.200, 16),
    "bursts": Load(4000, 40, 0.100, 400, 0.001, 0.002, 120),
}


def held(load: Load, seed: int, *, stall_guard: bool) -> int:
    """How many innocent requests are held up by others, for longer than their burst alone would explain."""
    random = Random(seed)
    works: list[float] = []
    for _ in range(load.requests // load.one_in):
        slow = random.randrange(load.one_in)
        works += [SLOW if place == slow else load.work for place in range(load.one_in)]
    took: dict[int, float] = {}
    network = sim.Network(seed)
    network.link("client", "server", sim.Link(delay=load.round_trip / 2))

    async def answer(request: Request) -> Response:
        await asyncio.sleep(works[int(request.target[1:])])
        return Response(200, BODY)

    async def serve() -> None:
        async with Server(answer, "server", 80, clock=None):
            await asyncio.Event().wait()

    async def ask(client: PipelineClient[Request, Response], index: int) -> None:
        asked = asyncio.get_running_loop().time()
        await client.get(f"/{index}")
        took[index] = asyncio.get_running_loop().time() - asked

    async def call() -> None:
        client = PipelineClient("server:80", max_conns=CONNECTIONS, stall_guard=stall_guard)
        async with client, asyncio.TaskGroup() as tasks:
            for index in range(load.requests):
                if index % load.burst == 0:
                    await asyncio.sleep(load.every)
                tasks.create_task(ask(client, index))

    async def main() -> None:
        serving = network.host("server").start(serve())
        await network.host("client").run(call())
        serving.cancel()

    sim.run(main(), network, patience=300)
    usual = load.round_trip + load.burst * load.work + 0.020
    return sum(took[index] > usual for index in range(load.warm_up, load.requests) if works[index] != SLOW)


def record() -> None:
    """Run all, and write down what they gave."""
    found = {
        name: {
            "load": asdict(load),
            "without": [held(load, seed, stall_guard=False) for seed in SEEDS],
            "with": [held(load, seed, stall_guard=True) for seed in SEEDS],
        }
        for name, load in LOADS.items()
    }
    RUN.mkdir(parents=True, exist_ok=True)
    (RUN / "record.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def drawn() -> dict[Path, str]:
    """Every file that is made from the record, and what must stand in it."""
    found: dict[str, dict[str, list[int]]] = json.loads((RUN / "record.json").read_text(encoding="utf-8"))
    lines = [
        "<!-- Drawn by record.py from record.json. -->",
        "",
        "<!-- --8<-- [start:table] -->",
        "| Innocent requests held up, in three runs | without the guard | with it |",
        "|---|--:|--:|",
        *(
            f"| {words} | {', '.join(map(str, found[name]['without']))} | {', '.join(map(str, found[name]['with']))} |"
            for name, words in (("trickle", "one request every 28 ms, as in the lab"), ("bursts", "forty at once"))
        ),
        "<!-- --8<-- [end:table] -->",
        "",
    ]
    return {RUN / "parts.md": "\n".join(lines)}


if __name__ == "__main__":
    record()
