"""The rules of sleepy/udp/connections/connection_events.py: events say that it is worth while to look."""

from sleepy.sim import Link
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.connection_errors import ClosedByPeer, ClosedLocally
from sleepy.udp.connections.connection_events import (
    AddressChanged,
    BlockArrived,
    BlockChanged,
    BlockRoomAgain,
    Closed,
    Established,
    MessagesArrived,
    RoomAgain,
)
from sleepy.udp.delivery.blocks import BlockState
from sleepy.udp.delivery.channels.config import ChannelConfig
from tests.sleepy.udp.connecting import ELSEWHERE, Side, World


def silent_world(**options: object) -> World:
    """Two who do not read."""
    world = World(**options)  # type: ignore[arg-type]
    world.a.reads = world.b.reads = False
    world.run(1)
    return world


def test_many_messages_are_one_event() -> None:
    """A thousand that arrived at once; and whoever looks finds all of them, whether he heard of it or not."""
    world = silent_world()
    world.b.events.clear()
    for _ in range(1000):
        world.a.connection.send(b"m")
    world.a.turn()
    world.run(1)
    arrived = world.b.of(MessagesArrived)
    assert set(arrived) == {MessagesArrived(0)}
    assert 1 <= len(arrived) < 20  # one for each turn in which some came
    world.b.events.clear()
    assert len(world.b.read()) == 1000
    world.b.turn()
    world.run(1)
    assert world.b.events == []


def test_only_a_plain_connection_is_established_later() -> None:
    """An encrypted one is, from the start."""
    assert len(silent_world(mode="plain").a.of(Established)) == 1
    assert silent_world().a.of(Established) == []


def test_room_is_told_to_who_had_none() -> None:
    """Nobody else hears of it."""
    world = silent_world(config=ConnectionConfig(channels=(ChannelConfig(queue_messages=5),)))
    while world.a.connection.can_send(10):
        world.a.connection.send(bytes(10))
    world.a.turn()
    world.run(1)
    assert world.a.of(RoomAgain) == [RoomAgain(0)]
    world.send(world.a, b"another")
    world.run(1)
    assert len(world.a.of(RoomAgain)) == 1


def test_a_block_is_told_from_its_beginning_to_its_end() -> None:
    """With the very object that the program holds; the last event of a block is the one with its last state."""
    world = silent_world(link=Link(delay=0.01, rate=10e6))
    block = world.a.connection.open_block(b"label", source=iter([bytes(200_000)]))
    world.b.on_event = lambda event: isinstance(event, BlockChanged) and event.block.read()  # type: ignore[union-attr]
    world.a.turn()
    world.run(5)
    (arrived,) = world.b.of(BlockArrived)
    assert isinstance(arrived, BlockArrived)
    assert arrived.block.label == b"label"
    assert [event.block for event in world.b.of(BlockChanged)] == [arrived.block] * len(world.b.of(BlockChanged))  # type: ignore[attr-defined]
    changes = world.a.of(BlockChanged)
    assert len(changes) > 5
    assert changes == [BlockChanged(block)] * len(changes)
    assert (block.state, arrived.block.state) == (BlockState.FINISHED, BlockState.FINISHED)
    assert world.a.of(BlockRoomAgain) == []


def test_a_new_address_is_told_when_it_is_proved() -> None:
    world = silent_world()
    world.a.address = ELSEWHERE
    world.send(world.a, b"here I am")
    assert world.b.of(AddressChanged) == []
    world.run(2)
    assert world.b.of(AddressChanged) == [AddressChanged(ELSEWHERE)]


def test_the_end_is_told_once_with_its_reason() -> None:
    world = silent_world()
    world.a.connection.close(world.now, 7, "enough")
    world.a.turn()
    world.run(30)

    def ends(side: Side) -> list[BaseException]:
        return [event.error for event in side.of(Closed) if isinstance(event, Closed)]

    assert [type(error) for error in ends(world.a)] == [ClosedLocally]
    (error,) = ends(world.b)
    assert isinstance(error, ClosedByPeer)
    assert (error.code, error.reason) == (7, "enough")
