"""`sleepy.udp.nodes.plain_node`: a node without keys, for lessons and captures."""

import io

import pytest

from sleepy.udp.delivery.channels.config import ChannelConfig
from sleepy.udp.nodes.node import Node
from sleepy.udp.nodes.plain_node import open_plain_node
from tests.sleepy.udp.node_worlds import bob, call, config, echo, node, outcome, play, wait, world

SAID = b"everybody on the way may read this"


def test_everybody_on_the_way_can_read_what_is_said() -> None:
    """Which is what it is for; and nobody has a key."""
    file = io.BytesIO()
    network = world()
    network.capture("alice", "bob", file)

    async def alice(here: Node) -> None:
        peer = await call(here)
        assert peer.public_key == b""
        await peer.send(SAID)
        assert await peer.receive() == SAID
        await peer.close()

    play(network, ("bob", bob(plain=True), echo), ("alice", node(plain=True), alice))
    assert file.getvalue().count(SAID) == 2


@pytest.mark.parametrize("plain", [False, True])
def test_it_cannot_talk_to_others(plain: bool) -> None:
    """Neither side takes the other's first packet for one of its own, nor answers it."""

    async def alice(here: Node) -> None:
        assert isinstance(await outcome(call(here, timeout=3.0)), TimeoutError)

    play(world(), ("bob", bob(plain=plain), wait), ("alice", node(plain=not plain), alice))


def test_nobody_can_be_expected() -> None:
    """A key that nobody proves is worth nothing."""

    async def alice(here: Node) -> None:
        error = await outcome(call(here, expect=b"k" * 32))
        assert isinstance(error, ValueError)

    play(world(), ("bob", bob(plain=True), wait), ("alice", node(plain=True), alice))


def test_its_options_reach_its_connections() -> None:
    small = config(channels=(ChannelConfig(max_message_size=100),))

    async def alice(here: Node) -> None:
        peer = await call(here)
        with pytest.raises(ValueError, match="101"):
            peer.send_nowait(b"x" * 101)
        await peer.close()

    play(world(), ("bob", bob(plain=True, config=small), echo), ("alice", open_plain_node(config=small), alice))
