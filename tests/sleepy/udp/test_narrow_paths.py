"""The search for the path MTU (RFC 8899) from program to program, over a simulated path that drops what is too large."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import pytest

from sleepy import sim
from sleepy.trace import Event
from sleepy.udp.connections.connection_errors import TimedOut
from sleepy.udp.connections.connection_statistics import ConnectionStatistics
from sleepy.udp.delivery.channels.config import ChannelConfig
from sleepy.udp.nodes.node import Node
from sleepy.udp.nodes.peer import Peer
from sleepy.udp.path.path_mtu import BASE, NEAR_ENOUGH, RAISE_INTERVAL
from tests.sleepy.udp.node_worlds import BOB, PORT, bob, call, config, node, outcome, play, soon

HEADERS = 28  # of IP and UDP, which a link's MTU counts
SPREAD = 8  # bytes by which a packet's own headers vary, and which are kept free
PATH = sim.Link(delay=0.01, rate=20e6, queue=60_000)
WIDEST = 1444  # of what is tried by default


class Transfer(NamedTuple):
    """How it went."""

    statistics: ConnectionStatistics
    seconds: float
    longest_gap: float  # in which nothing reached the reader, in seconds
    black_holes: int
    too_large: int  # packets that the path did not carry


def path(mtu: int, *, loss: float = 0.0, first: int = 9000) -> tuple[sim.Network, list[Event]]:
    """A host, a router behind a wide link, and the narrow one; and what happens there."""
    events: list[Event] = []
    network = sim.Network(1, events.append)
    network.link("alice", "router", sim.Link(delay=0.001, mtu=first))
    network.link("router", "bob", replace(PATH, mtu=mtu, loss=loss))
    return network, events


def send(world: tuple[sim.Network, list[Event]], size: int = 1_500_000, *, max_datagram: int = 1452) -> Transfer:
    """Send so many bytes from alice to bob."""
    options = {"config": config(max_datagram=max_datagram)}
    network, events = world

    async def dialled(here: Node) -> tuple[ConnectionStatistics, float, int]:
        async with await call(here) as peer:
            began = network.now
            await peer.send_block(bytes(size))
            return peer.statistics, network.now - began, peer._line.connection._exchange.mtu.black_holes

    async def accepted(there: Node) -> float:
        peer = await there.accept()
        block = await peer.accept_block()
        times = [network.now, *[network.now async for _ in block]]
        await peer.wait_closed()
        return max(later - earlier for earlier, later in pairwise(times))

    gap, (statistics, seconds, holes) = play(
        network, ("bob", bob(**options), accepted), ("alice", node(**options), dialled)
    )
    too_large = sum(event.name == "link.lost" and event.fields["cause"] == "mtu" for event in events)
    return Transfer(statistics, seconds, gap, holes, too_large)


def fits(size: int, mtu: int) -> bool:
    """Whether this is what a path of that MTU carries, as near as the search goes."""
    return mtu - HEADERS - NEAR_ENOUGH - SPREAD < size <= mtu - HEADERS


@pytest.mark.parametrize("mtu", [1228, 1240, 1280, 1300, 1399, 1440, 1460])
@pytest.mark.parametrize("loss", [0.0, 0.02])
def test_the_search_finds_what_the_path_carries(mtu: int, loss: float) -> None:
    """Rules 2 and 3: and what it tries in vain costs little: three probes a size, and five sizes at most."""
    took = send(path(mtu, loss=loss))
    assert fits(took.statistics.packet_size, mtu)
    assert took.black_holes == 0
    assert 3 <= took.too_large <= 15


def test_a_path_that_carries_an_ethernets_packets_needs_one_probe() -> None:
    took = send(path(1500))
    assert took.statistics.packet_size == WIDEST
    assert took.too_large == 0


def test_a_first_link_that_refuses_what_is_too_large_is_no_other_case() -> None:
    """There the system itself says ``EMSGSIZE``; it counts as a loss."""
    took = send(path(1500, first=1300))
    assert fits(took.statistics.packet_size, 1300)
    assert took.too_large > 0


def test_larger_packets_carry_more() -> None:
    """A fifth fewer packets on an Ethernet, six times fewer with jumbo frames; and more goodput on the same link."""
    small, usual, jumbo = (send(path(9000), 3_000_000, max_datagram=most) for most in (BASE, 1452, 9000 - HEADERS))
    assert small.statistics.packet_size == BASE
    assert fits(jumbo.statistics.packet_size, 9000)
    assert usual.statistics.packets_sent < 0.85 * small.statistics.packets_sent
    assert jumbo.statistics.packets_sent < small.statistics.packets_sent / 5
    assert jumbo.seconds < usual.seconds < small.seconds


@pytest.mark.parametrize("loss", [0.0, 0.05])
@pytest.mark.parametrize(("before", "after"), [(1500, 1300), (1500, 1228), (1400, 1300)])
def test_a_path_that_shrinks_is_a_black_hole_for_a_moment(before: int, after: int, loss: float) -> None:
    """Rule 5: all large packets vanish; it is noticed within a few round trips of 22 ms, and found out anew."""
    world = network, _ = path(before, loss=loss)
    network.change("router", "bob", replace(PATH, mtu=after, loss=loss), at=0.7)
    took = send(world, 3_000_000)
    assert took.black_holes == 1
    assert fits(took.statistics.packet_size, after)
    assert took.longest_gap < 0.6


def test_a_path_that_grows_is_used_after_ten_minutes() -> None:
    """Rule 4: not before, and when there is something large to send."""
    network, _ = path(1300)
    sizes: list[int] = []

    async def dialled(here: Node) -> None:
        async with await call(here) as peer:
            await peer.send_block(bytes(1_000_000))
            sizes.append(peer.statistics.packet_size)
            network.change("router", "bob", replace(PATH, mtu=1500))
            for wait in (RAISE_INTERVAL / 2, RAISE_INTERVAL / 2):
                await asyncio.sleep(wait)
                await peer.send_block(bytes(1_000_000))
                sizes.append(peer.statistics.packet_size)

    async def accepted(there: Node) -> None:
        await read_blocks(await there.accept())

    play(network, ("bob", bob(), accepted), ("alice", node(), dialled))
    assert fits(sizes[0], 1300)
    assert sizes[1:] == [sizes[0], WIDEST]


def test_single_messages_survive_a_path_that_shrinks() -> None:
    """Rule 5: there is no bulk to notice it by; each is sent again in a small packet, until the sixth has told."""
    network, _ = path(1500)
    gaps: list[float] = []

    async def dialled(here: Node) -> None:
        async with await call(here) as peer:
            await peer.send_block(bytes(300_000))
            assert peer.statistics.packet_size == WIDEST
            network.change("router", "bob", replace(PATH, mtu=1300))
            for _ in range(12):
                began = network.now
                await peer.send(bytes(4000))
                assert await peer.receive() == b"got it"
                gaps.append(network.now - began)
            await soon(lambda: peer.statistics.packet_size == BASE)

    async def accepted(there: Node) -> None:
        peer = await there.accept()
        async for _ in await peer.accept_block():
            pass
        async for message in peer:
            assert len(message) == 4000
            await peer.send(b"got it")

    play(network, ("bob", bob(), accepted), ("alice", node(), dialled))
    assert max(gaps) < 1
    assert max(gaps[-3:]) < 0.1


async def chat(peer: Peer) -> None:
    """Small messages, which pass everywhere."""
    while True:
        await peer.send(b"still here", channel=1)
        await asyncio.sleep(0.2)


async def read_blocks(peer: Peer) -> None:
    """All that come."""
    async for block in peer.blocks():
        async for _ in block:
            pass


@pytest.mark.parametrize(("mtu", "loss"), [(600, 0.0), (1150, 0.0), (1000, 0.2)])
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("chatty", [False, True])
def test_a_path_below_1200_bytes_ends_the_connection(mtu: int, loss: float, plain: bool, chatty: bool) -> None:
    """Rule 6: as late as silence would, though small packets pass and would do so for ever; both sides are told why."""
    network, _ = path(1500)
    ends: dict[str, tuple[float, object]] = {}
    options = config(channels=(ChannelConfig(), ChannelConfig()), idle_timeout=20.0, keep_alive=5.0)

    async def until_it_ends(name: str, peer: Peer) -> None:
        began = network.now
        await peer.wait_closed()
        ends[name] = network.now - began, await outcome(peer.send(b""))

    async def dialled(here: Node) -> None:
        peer = await call(here)
        await peer.send_block(bytes(100_000))
        for one, other in (("router", "bob"), ("bob", "router")):
            network.change(one, other, replace(PATH, mtu=mtu, loss=loss))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(outcome(peer.send_block(bytes(3_000_000))))
            if chatty:
                tasks.create_task(outcome(chat(peer)))
            await until_it_ends("alice", peer)

    async def accepted(there: Node) -> None:
        peer = await there.accept()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(outcome(read_blocks(peer)))
            await until_it_ends("bob", peer)

    play(
        network,
        ("bob", node(BOB, port=PORT, plain=plain, config=options), accepted),
        ("alice", node(plain=plain, config=options), dialled),
    )
    for took, error in ends.values():
        assert isinstance(error, TimedOut)
        assert "1200 bytes" in str(error)
        assert 20 <= took < 30


@pytest.mark.parametrize("loss", [0.0, 0.4])
def test_a_path_that_is_narrow_for_a_while_is_survived(loss: float) -> None:
    """Rule 6: a route that flaps, and packets that are lost without a reason, are no narrow path."""
    network, _ = path(1500)
    narrow, wide = replace(PATH, mtu=600, loss=loss), replace(PATH, loss=loss)
    for at in (2.0, 20.0):
        network.change("router", "bob", narrow, at=at)
        network.change("router", "bob", wide, at=at + 15)
    options = config(idle_timeout=20.0, keep_alive=5.0)

    async def dialled(here: Node) -> None:
        async with await call(here) as peer:
            while network.now < 100:
                await peer.send(bytes(2000))
                await asyncio.sleep(0.3)

    async def accepted(there: Node) -> int:
        return sum([len(message) async for message in await there.accept()])

    arrived, _ = play(network, ("bob", bob(config=options), accepted), ("alice", node(config=options), dialled))
    assert arrived > 200 * 2000
