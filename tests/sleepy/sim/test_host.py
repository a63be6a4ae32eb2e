"""`sleepy.sim.host`: where a task lives, and what a host keeps of packets that came in parts."""

import asyncio

import pytest

from sleepy import sim
from tests.sleepy.sim.datagrams import PORT, Inbox, bind, simulate
from tests.sleepy.sim.hosts import line, speak


def test_tasks_live_on_the_host_that_started_them_and_so_do_their_children() -> None:
    network = line("client", "server")

    async def whereami() -> str:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("server", 1)
        )
        return transport.get_extra_info("sockname")[0]

    async def parent() -> list[str]:
        async with asyncio.TaskGroup() as group:
            children = [group.create_task(whereami()) for _ in range(2)]
        return [child.result() for child in children]

    async def main() -> list[list[str]]:
        return [await network.host(name).run(parent()) for name in ("client", "server")]

    assert sim.run(main(), network) == [["10.0.0.1"] * 2, ["10.0.0.2"] * 2]


def test_a_task_on_no_host_is_told_so() -> None:
    with pytest.raises(RuntimeError, match=r"lives on no host.*network.host\(name\).start"):
        sim.run(speak("10.0.0.1", []), sim.Network())


def test_outside_of_a_run_nothing_starts() -> None:
    with pytest.raises(RuntimeError, match=r"'client' runs programs only within sim.run"):
        sim.Network().host("client").start(asyncio.sleep(0))


def test_a_router_with_a_nat_runs_no_programs() -> None:
    """Nothing that came for them would reach them."""
    network = sim.Network()
    network.link("router", "internet")
    network.nat("router", sim.Nat(), outside="internet")

    async def main() -> None:
        await network.host("router").run(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="'router' has a NAT and runs no programs of its own"):
        sim.run(main(), network)


def test_cancelling_a_run_call_cancels_the_program() -> None:
    network, ended = sim.Network(), list[str]()

    async def program() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("program")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await network.host("a").run(program())

    sim.run(main(), network)
    assert ended == ["program"]


def test_once_all_fragments_are_there_nobody_waits_for_them() -> None:
    async def client() -> None:
        (await bind(Inbox(), remote=("server", PORT))).sendto(bytes(4000))
        await asyncio.Event().wait()

    with pytest.raises(sim.DeadlockError, match=r"at 0\.1 s"):
        simulate(client, Inbox())


def test_an_incomplete_datagram_does_not_stay_in_memory() -> None:
    network = sim.Network()
    network.link("client", "server", sim.Link(drop=[1]))
    kept = []

    async def client() -> None:
        (await bind(Inbox(), remote=("server", PORT))).sendto(bytes(4000))
        for _ in range(2):
            await asyncio.sleep(20)
            kept.append(len(network.host("server")._incomplete))

    async def main() -> None:
        await network.host("client").run(client())

    sim.run(main(), network)
    assert kept == [1, 0]
