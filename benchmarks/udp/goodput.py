"""Goodput over a bad path: 100 ms there and back, 20 Mbit/s, 2 % loss in both directions, a queue of one such round trip.

Nodes of `sleepy.udp` in `sleepy.sim`, one stream; and, beside them, the kernel's TCP in network namespaces, through a
user-space link with the same figures, which is the one that the simulator has.
"""

import asyncio
import random
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from labs.scenario import Scenario
from labs.worlds import Run, find
from sleepy import sim, udp
from sleepy.trace import read
from sleepy.udp.path.congestion.bbr import Bbr
from sleepy.udp.path.congestion.control import Controller
from sleepy.udp.path.congestion.cubic import Cubic
from sleepy.udp.path.congestion.new_reno import NewReno

RATE = 20e6  # bits per second
DELAY = 0.05  # seconds, one way
PORT = 700
PIECE = bytes(1 << 16)
CONTROLS: dict[str, Callable[[], Controller]] = {
    "Bbr": lambda: Bbr(random=random.Random(1).random),
    "Cubic": Cubic,
    "NewReno": NewReno,
}


def link(loss: float) -> sim.Link:
    return sim.Link(delay=DELAY, rate=RATE, queue=int(RATE * 2 * DELAY / 8), loss=loss)


def simulated(control: str, loss: float, seconds: float, *, flows: int = 1, seed: int = 1) -> list[float]:
    """The share of the link's rate that each of so many flows got; they begin a second apart.

    With one flow it is counted from the call that connects; with several in the last third of the time.
    """
    config = udp.ConnectionConfig(congestion=CONTROLS[control])
    network = sim.Network(seed)
    network.link("alice", "bob", link(loss))
    since = 0.0 if flows == 1 else seconds * 2 / 3
    got = [0] * flows

    async def sender(number: int) -> None:
        await asyncio.sleep(number)
        async with udp.open_node(("", 0), config=config) as node:
            peer = await node.connect(("bob", PORT))
            _, writer = await peer.open_stream()
            with closing(writer):
                writer.write(b"%d\n" % number)
                while True:
                    writer.write(PIECE)
                    await writer.drain()

    async def reading(peer: udp.Peer) -> None:
        reader, writer = await peer.accept_stream()
        with closing(writer):
            number = int(await reader.readline())
            while data := await reader.read(1 << 18):
                if asyncio.get_running_loop().time() - start >= since:
                    got[number] += len(data)

    async def receiver() -> None:
        async with udp.open_node(("", PORT), config=config) as node, asyncio.TaskGroup() as group:
            async for peer in node:
                group.create_task(reading(peer))

    start = 0.0

    async def main() -> None:
        nonlocal start
        start = asyncio.get_running_loop().time()
        tasks = [network.host("bob").start(receiver())]
        tasks += [network.host("alice").start(sender(number)) for number in range(flows)]
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    sim.run(main(), network, until=seconds + 60, patience=1200.0)
    return [size * 8 / (seconds - since) / RATE for size in got]


def kernel(congestion: str, loss: float, size: int, seed: int = 1) -> float:
    """The same of a transfer of so many bytes by the kernel's TCP; needs root."""
    path = link(loss)
    figures: dict[str, Any] = {"transfers": [(size, 1)], "congestion": congestion}
    scenario = Scenario("sim_tcp", f"loss {loss:.0%}", "transfers", path, path, figures)
    world = find("netns")
    impairment = world.probe(scenario).impairment
    with tempfile.TemporaryDirectory(prefix="sleepy-goodput-") as name:
        run = Run(scenario, seed, Path(name), impairment, {"transfers": PORT + 7000}, 600.0, "benchmarks.sim_tcp")
        world.run(run, lambda _: None)
        with (Path(name) / "events.jsonl").open() as lines:
            events = [event.fields for event in read(lines)]
    assert [event["got"] for event in events] == [size], "the transfer was cut short"
    return size * 8 / float(events[0]["seconds"]) / RATE


def jain(rates: list[float]) -> float:
    """Jain's index of fairness: 1 if all are equal, 1/n if one has all."""
    return sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates))
