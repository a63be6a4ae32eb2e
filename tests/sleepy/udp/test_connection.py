"""Two connections over bad networks, in virtual time: messages, the end, and what may not happen."""

from dataclasses import replace
from random import Random

import pytest

from sleepy.sim import Link
from sleepy.udp.channels.config import ChannelConfig, Delivery, QueueFull
from sleepy.udp.connection_config import ConnectionConfig
from sleepy.udp.connection_events import RoomAgain
from tests.sleepy.udp.connecting import Mode, World

MODES: tuple[Mode, ...] = ("encrypted", "plain")
BAD = Link(delay=0.03, jitter=0.02, ordered=False, loss=0.25, duplicate=0.1)


def numbered(count: int, size: int) -> list[bytes]:
    return [number.to_bytes(4, "big").ljust(size, b".") for number in range(count)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("link", [Link(delay=0.01), BAD], ids=["good", "bad"])
def test_reliable_ordered_messages_arrive_once_and_in_order(mode: Mode, link: Link) -> None:
    world = World(mode=mode, link=link)
    messages = numbered(1500, 100)
    world.run(1)
    world.send(world.a, *messages)
    world.send(world.b, *messages[:300])
    world.run(120, until=lambda: len(world.b.inbox[0]) == 1500 and len(world.a.inbox[0]) == 300)
    assert world.b.inbox[0] == messages
    assert world.a.inbox[0] == messages[:300]
