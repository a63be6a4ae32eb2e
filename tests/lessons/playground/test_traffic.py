"""The packets on a simulated link, as they are drawn, lost and dropped."""

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest

from lessons.playground import Traffic, Words, World
from sleepy.sim import Link
from sleepy.sim.packet import Datagram, Packet

HELLO = b"hello"


def words(packet: Packet) -> Words | None:
    payload = packet.payload
    return Words("h", "a greeting") if isinstance(payload, Datagram) and payload.data == HELLO else None


class Ear(asyncio.DatagramProtocol):
    def __init__(self, world: World) -> None:
        self.world = world

    def datagram_received(self, data: bytes, _: object) -> None:
        self.world.tell(f"heard {data.decode()}.")


@pytest.fixture
def world() -> Iterator[World]:
    with closing(World(1)) as made:
        made.network.link("one", "other", Link(delay=0.1))
        yield made


@pytest.fixture
def traffic(world) -> Traffic:
    return Traffic(world, "one", "other", words)


def say(world: World, data: bytes) -> None:
    """Listen on one side; speak on the other."""

    async def listen() -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: Ear(world), ("other", 9))

    async def speak() -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("other", 9)
        )
        transport.sendto(data)

    world.start("other", listen())
    world.start("one", speak())
    world.do("one", lambda: None)


def test_a_packet_flies_and_arrives(world, traffic) -> None:
    say(world, HELLO)
    [packet] = traffic.packets(0)
    assert (packet.fate, packet.source, packet.target, packet.label) == ("flying", "one", "other", "h")
    assert (packet.sent, round(packet.due, 9)) == (0, 0.1)
    assert world.step() == "heard hello."
    [packet] = traffic.packets(0)
    assert (packet.fate, packet.ends) == ("arrived", packet.due)
    assert traffic.packets(0.2) == [], "it arrived before"


def test_what_is_not_described_is_not_shown(world, traffic) -> None:
    say(world, b"quiet")
    assert traffic.packets(0) == []
    assert world.step() == "heard quiet.", "and it arrives"


def test_a_link_loses_half_way_and_nobody_sees_it_before(world, traffic) -> None:
    world.network.change("one", "other", Link(delay=0.1, loss=1))
    say(world, HELLO)
    [packet] = traffic.packets(0)
    assert (packet.fate, packet.ends) == ("flying", packet.due)
    assert world.step() == "A packet of the one’s is lost: a greeting."
    [packet] = traffic.packets(0)
    assert packet.fate == "lost"
    assert round(packet.ends, 9) == 0.05
    assert world.step() == "", "it does not arrive"


def test_what_the_reader_drops_does_not_arrive(world, traffic) -> None:
    say(world, HELLO)
    [packet] = traffic.packets(0)
    dropped = traffic.drop(packet.key)
    assert dropped is not None
    assert dropped.fate == "lost"
    assert traffic.packets(0)[0].fate == "lost"
    assert traffic.drop(packet.key) is None, "it is not in the air any more"
    assert world.step() == ""
    assert len(traffic.packets(0)) == 1, "its arrival, unseen, is not told as one"


def test_one_that_is_dropped_before_the_link_loses_it_is_lost_once(world, traffic) -> None:
    world.network.change("one", "other", Link(delay=0.1, loss=1))
    say(world, HELLO)
    traffic.drop(traffic.packets(0)[0].key)
    assert world.step() == ""
    assert len(traffic.packets(0)) == 1
