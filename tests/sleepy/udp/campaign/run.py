"""One world, from a seed."""

import asyncio
import gc
import logging
from random import Random
from typing import Final

from sleepy import sim
from tests.sleepy.campaigns import Outcome
from tests.sleepy.udp.campaign.ledger import Ledger
from tests.sleepy.udp.campaign.nodes import NodesWorld
from tests.sleepy.udp.campaign.pairs import PairWorld

MOST_SECONDS: Final = 2000.0  # of virtual time
PAIRS: Final = 0.3  # the share of worlds without nodes
PATIENCE: Final = 60.0  # seconds of real time, for what never lets time move


class _Ears(logging.Handler):
    """Hears what is logged at the level of a warning."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(f"logged: {record.getMessage()}")


def run_seed(seed: int, *, echo: bool = False) -> Outcome:
    """The world of this seed; the same each time."""
    random = Random(seed)
    ears = _Ears()
    root = logging.getLogger()
    root.addHandler(ears)
    try:
        outcome = _run_pair(seed, random, echo=echo) if random.random() < PAIRS else _run_nodes(seed, random, echo=echo)
    finally:
        root.removeHandler(ears)
    outcome.violations += ears.heard
    return outcome


def _run_pair(seed: int, random: Random, *, echo: bool) -> Outcome:
    world = PairWorld(random, seed, echo=echo)
    try:
        world.run()
    except Exception as error:  # noqa: BLE001 -- a world that cannot end is a finding like others
        world.ledger.violate(f"the world ended with {error!r}")
    return _outcome(seed, f"pair, {world.kind}, {world.mildness}", world.ledger)


def _outcome(seed: int, kind: str, ledger: Ledger) -> Outcome:
    return Outcome(seed, kind, ledger.messages, ledger.outcomes, ledger.faults, ledger.violations, ledger.events)


def _run_nodes(seed: int, random: Random, *, echo: bool) -> Outcome:
    network = sim.Network(seed=seed)
    ledger = Ledger(lambda: network.now, echo=echo)
    world = NodesWorld(random, network, ledger)
    try:
        sim.run(_watch(world, ledger), network, until=MOST_SECONDS, patience=PATIENCE)
    except Exception as error:  # noqa: BLE001 -- a world that cannot end is a finding like others
        ledger.violate(f"the world ended with {error!r}")
    return _outcome(seed, f"nodes, {world.kind}, {world.mildness}", ledger)


async def _watch(world: NodesWorld, ledger: Ledger) -> None:
    """The world, and what it leaves behind (rule 8)."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: ledger.violate(f"unheard: {context}"))
    before = asyncio.all_tasks()
    await world.main()
    await asyncio.sleep(0)
    for task in asyncio.all_tasks() - before:
        ledger.violate(f"a task was left: {task!r}")
    gc.collect()  # errors that nobody has heard are told when their futures go
