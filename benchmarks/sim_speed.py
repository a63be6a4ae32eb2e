"""How fast the simulator is: a million datagrams through a lossy link, and what a packet costs as the network grows.

    python benchmarks/sim_speed.py

CPU time, not wall-clock, so that what else the machine does counts little. The exit code is 1 if the million take 15 s.
"""

import asyncio
import sys
import time
import tracemalloc
from collections.abc import Callable
from statistics import median

from sleepy import sim

MILLION = 1_000_000
MOST_SECONDS = 15.0
INTERVAL = 0.00001  # seconds between two datagrams, on average
PER_TICK = 10  # datagrams that a sender sends at once


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


def cost(datagrams: int, network: sim.Network, pairs: int = 1) -> float:
    """CPU seconds for that many datagrams, shared by so many pairs of hosts; in all they send 100 each millisecond.

    Args:
        datagrams: How many in all.
        network: Where.
        pairs: How many senders it has, each with a receiver.
    """
    counters = [Counter() for _ in range(pairs)]

    async def receive(counter: Counter) -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: counter, ("0.0.0.0", 9000))

    async def send(to: str) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(to, 9000))
        for _ in range(datagrams // pairs // PER_TICK):
            for _ in range(PER_TICK):
                transport.sendto(b"x" * 100)
            await asyncio.sleep(pairs * PER_TICK * INTERVAL)
        await asyncio.sleep(2)

    async def main() -> None:
        for number, counter in enumerate(counters):
            await network.host(f"receiver {number}").run(receive(counter))
        async with asyncio.TaskGroup() as senders:
            for number in range(pairs):
                senders.create_task(network.host(f"sender {number}").run(send(f"receiver {number}")))

    start = time.process_time()
    sim.run(main(), network, patience=600)
    seconds = time.process_time() - start
    arrived = sum(counter.count for counter in counters)
    assert 0.97 <= arrived / datagrams <= 1, arrived
    return seconds


def per_datagram(network: Callable[[], sim.Network], pairs: int = 1) -> float:
    """Microseconds per datagram, the median of three runs."""
    count = 100_000
    return median(cost(count, network(), pairs) for _ in range(3)) / count * 1e6


def main() -> int:
    lossy = sim.Link(delay=0.05, jitter=0.01, loss=0.02)
    seconds = cost(MILLION, direct(lossy))
    print(f"a million datagrams through a lossy link: {seconds:.1f} s of CPU time")
    print(f"and through a router behind it: {cost(MILLION, star(lossy)):.1f} s")
    print("\nmicroseconds per datagram as there are more of ...")
    for pairs in (1, 10, 100, 1000):
        each = per_datagram(lambda pairs=pairs: star(lossy, pairs), pairs)
        print(f"  pairs of hosts that talk   {pairs:>8}   {each:6.2f}")
    for count in (0, 100, 10_000):
        each = per_datagram(lambda count=count: star(lossy, 1, count))
        print(f"  hosts that do not          {count:>8}   {each:6.2f}")
    for count in (10, 1_000, 50_000):
        each = per_datagram(lambda delay=count * INTERVAL: direct(sim.Link(delay=delay)))
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
