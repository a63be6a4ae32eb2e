"""How fast the simulator is: a million datagrams through a lossy link, and what a packet costs as the network grows.

    python benchmarks/sim_speed.py

CPU time, not wall-clock, so that what else the machine does counts little. The exit code is 1 if the million take 15 s.
"""

import argparse
import asyncio
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from sleepy import sim

MILLION = 1_000_000
MOST_SECONDS = 15.0
INTERVAL = 0.00001  # seconds between two datagrams, on average
PER_TICK = 10  # datagrams that a sender sends at once
WARM_UP = 0.6  # virtual seconds before the measurement: by then all links are full, and every source of chance was made


class Counter(asyncio.DatagramProtocol):
    """Counts what arrives."""

    count = 0

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002
        self.count += 1


def direct(link: sim.Link) -> sim.Network:
    """Two hosts, one link."""
    network = sim.Network(seed=1)
    network.link("sender 0", "receiver 0", link)
    return network


def star(link: sim.Link, pairs: int = 1, bystanders: int = 0) -> sim.Network:
    """Senders, receivers and bystanders around a router.

    Args:
        link: The link from each sender to the router.
        pairs: How many senders, each with a receiver of its own.
        bystanders: How many more hosts hang on the router.
    """
    network = sim.Network(seed=1)
    for number in range(pairs):
        network.link(f"sender {number}", "router", link)
        network.link("router", f"receiver {number}")
    for number in range(bystanders):
        network.link("router", f"bystander {number}")
    return network


class Cost(NamedTuple):
    """CPU seconds.

    Attributes:
        set_up: For hosts' sockets, before the first datagram.
        steady: For the datagrams.
    """

    set_up: float
    steady: float


def cost(datagrams: int, network: sim.Network, pairs: int = 1) -> Cost:
    """What that many datagrams cost, shared by so many pairs of hosts.

    However many pairs there are, in all they send 10 datagrams each tenth of a millisecond, one pair after the other. So
    the number of datagrams in flight is the same, and it is steady.

    Args:
        datagrams: How many are sent while the cost is measured.
        network: Where.
        pairs: How many senders it has, each with a receiver.
    """
    counters = [Counter() for _ in range(pairs)]
    ends = WARM_UP + datagrams * INTERVAL
    sent = 0

    async def receive(counter: Counter) -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: counter, ("0.0.0.0", 9000))

    async def connect(to: str) -> asyncio.DatagramTransport:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(to, 9000))
        return transport

    async def send(transport: asyncio.DatagramTransport, number: int) -> None:
        nonlocal sent
        await asyncio.sleep(number * PER_TICK * INTERVAL)
        while network.now < ends:
            for _ in range(PER_TICK):
                transport.sendto(b"x" * 100)
            sent += PER_TICK
            await asyncio.sleep(pairs * PER_TICK * INTERVAL)

    async def main() -> Cost:
        start = time.process_time()
        transports: list[asyncio.DatagramTransport] = []
        for number, counter in enumerate(counters):
            await network.host(f"receiver {number}").run(receive(counter))
            transports.append(await network.host(f"sender {number}").run(connect(f"receiver {number}")))
        set_up = time.process_time() - start
        async with asyncio.TaskGroup() as senders:
            for number, transport in enumerate(transports):
                senders.create_task(send(transport, number))
            await asyncio.sleep(WARM_UP)
            begin = time.process_time()
            await asyncio.sleep(ends - WARM_UP)
            steady = time.process_time() - begin
        await asyncio.sleep(2)
        return Cost(set_up, steady)

    found = sim.run(main(), network, patience=600)
    arrived = sum(counter.count for counter in counters)
    assert 0.97 <= arrived / sent <= 1, arrived
    return found


def least_cost(network: Callable[[], sim.Network], pairs: int = 1) -> tuple[float, float]:
    """Microseconds per datagram, and per pair for its sockets; the least of five runs, since other work can only add."""
    count = 50_000
    runs = [cost(count, network(), pairs) for _ in range(5)]
    return min(run.steady for run in runs) / count * 1e6, min(run.set_up for run in runs) / pairs * 1e6


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    lossy = sim.Link(delay=0.05, jitter=0.01, loss=0.02)
    seconds = sum(cost(MILLION, direct(lossy)))
    print(f"a million datagrams through a lossy link: {seconds:.1f} s of CPU time")
    print(f"and through a router behind it: {sum(cost(MILLION, star(lossy))):.1f} s")
    print("\nmicroseconds per datagram (and once per pair) as there are more of ...")
    for pairs in (1, 10, 100, 1000):
        each, once = least_cost(partial(star, lossy, pairs), pairs)
        print(f"  pairs of hosts that talk   {pairs:>8}   {each:6.2f}   ({once:.0f})")
    for count in (0, 100, 10_000):
        each, _ = least_cost(partial(star, lossy, 1, count))
        print(f"  hosts that do not          {count:>8}   {each:6.2f}")
    for count in (10, 1_000, 50_000):
        each, _ = least_cost(partial(direct, sim.Link(delay=count * INTERVAL)))
        print(f"  datagrams in flight        {count:>8}   {each:6.2f}")
    print("\nmemory at its highest, a quarter of a million datagrams:")
    for in_flight in (100, 10_000):
        tracemalloc.start()
        cost(MILLION // 4, direct(sim.Link(delay=in_flight * INTERVAL)))
        print(f"  {in_flight:>6} in flight: {tracemalloc.get_traced_memory()[1] / 1e6:.1f} MB")
        tracemalloc.stop()
    return 0 if seconds < MOST_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
