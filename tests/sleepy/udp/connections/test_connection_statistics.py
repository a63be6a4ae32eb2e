"""The figures of sleepy/udp/connections/connection_statistics.py are those of what happened, counted otherwise."""

from math import inf

import pytest

from sleepy.sim import Link
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.connection_statistics import ChannelStatistics
from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery
from sleepy.udp.path.congestion.new_reno import NewReno
from tests.sleepy.udp.connecting import World

DELAY = 0.05


def test_before_anything_happened() -> None:
    world = World()
    figures = world.a.connection.statistics()
    assert (figures.rtt_least, figures.bandwidth, figures.loss) == (inf, 0.0, 0.0)
    assert (figures.bytes_under_way, figures.packets_sent, figures.packets_received) == (0, 0, 0)
    assert figures.channels == (ChannelStatistics(0, 0, 0, 0, 0),)


def test_packets_are_those_that_went_through_the_socket() -> None:
    world = World(link=Link(delay=DELAY))
    for _ in range(50):
        world.send(world.a, bytes(700))
        world.run(0.01)
    world.run(5)
    ours, theirs = world.a.connection.statistics(), world.b.connection.statistics()
    assert ours.packets_sent == theirs.packets_received == len(world.a.sent)
    assert theirs.packets_sent == ours.packets_received == len(world.b.sent)
    assert 50 <= ours.packets_acked <= ours.packets_sent
    assert (ours.packets_lost, ours.spurious_losses, ours.loss) == (0, 0, 0.0)
    assert ours.bytes_under_way == 0


def test_round_trip_and_bandwidth_are_the_links() -> None:
    world = World(link=Link(delay=DELAY, rate=8e6, queue=100_000))
    world.a.connection.open_block(source=iter(lambda: bytes(10_000), None))
    world.b.on_event = lambda _: [block.into(lambda *_: None) for block in world.b.blocks]
    world.a.turn()
    world.run(5)
    figures = world.a.connection.statistics()
    assert figures.rtt_least == pytest.approx(2 * DELAY, abs=0.005)
    assert figures.rtt_least <= figures.rtt < 2 * DELAY + 0.1
    assert 0 < figures.rtt_variation < 0.1
    assert figures.bandwidth == pytest.approx(1e6, rel=0.1)  # bytes per second
    assert 0 < figures.bytes_under_way <= figures.congestion_window
    assert figures.pacing_rate > 0.5e6
    assert figures.packet_size > 1400  # found out on the way


def test_loss_is_the_share_that_the_link_loses() -> None:
    """Not counting what was believed lost, and arrived after all."""
    link = Link(delay=DELAY, loss=0.1, jitter=0.04, ordered=False)
    world = World(link=link, config=ConnectionConfig(congestion=NewReno))
    for _ in range(1500):
        world.send(world.a, bytes(100))
        world.run(0.01)
    world.run(10)
    figures = world.a.connection.statistics()
    lost = world._links[world.a].lost["loss"]
    assert figures.spurious_losses > 20
    assert figures.packets_lost - figures.spurious_losses == pytest.approx(lost, rel=0.1)
    assert figures.packets_acked == pytest.approx(figures.packets_sent - lost, rel=0.02)
    assert figures.loss == pytest.approx(lost / figures.packets_sent, rel=0.1)
    assert figures.loss == pytest.approx(0.1, abs=0.03)


def test_each_channel_says_what_waits_where() -> None:
    """To be sent and acked with the sender; unread, and held for want of an earlier one, with the receiver."""
    channels = (ChannelConfig(window_messages=4, queue_messages=100), ChannelConfig(Delivery.UNRELIABLE_SEQUENCED))
    world = World(link=Link(delay=DELAY), config=ConnectionConfig(channels=channels))
    world.b.reads = False
    world.send(world.a, *[bytes(10)] * 7)
    for _ in range(3):
        world.a.connection.send(b"latest", 1)
    ours = world.a.connection.statistics().channels
    assert ours[0][:2] == (7, 70)
    assert ours[1].given_up == 2  # overtaken before they were sent
    world.a.turn()
    world.run(1)
    ours, theirs = world.a.connection.statistics().channels, world.b.connection.statistics().channels
    assert (theirs[0].unread_messages, theirs[0].held_bytes) == (4, 40)
    assert ours[0][:2] == (3, 30)  # the window is full
    assert theirs[1].unread_messages == 1
    world.b.read()
    world.b.turn()
    world.run(1)
    assert world.a.connection.statistics().channels[0][:2] == (0, 0)
    assert world.b.connection.statistics().channels[0].unread_messages == 3
