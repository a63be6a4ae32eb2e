"""`sleepy.udp.nodes.secure_node`: the usual node. Who it is, who gets in, and what others can read."""

import io

import pytest

from sleepy.udp.delivery.channels.config import ChannelConfig
from sleepy.udp.nodes.node import Node
from sleepy.udp.nodes.secure_node import open_node
from sleepy.udp.security.session import WrongPreSharedKey
from tests.sleepy.udp.node_worlds import ALICE, BOB, CAROL, PORT, bob, call, config, echo, node, outcome, play, world

GROUP = b"g" * 32
SECRET = b"nobody else may read this, and nobody can"


def test_it_is_who_it_is_told_to_be() -> None:
    async def alice(here: Node) -> None:
        peer = await call(here, expect=BOB.public_key)
        assert peer.public_key == BOB.public_key
        await peer.close()

    async def serve(there: Node) -> bytes:
        peer = await there.accept()
        await peer.wait_closed()
        return peer.public_key

    key, _ = play(world(), ("bob", bob(), serve), ("alice", node(ALICE), alice))
    assert key == ALICE.public_key


def test_without_an_identity_each_has_a_new_one() -> None:
    keys: list[bytes] = []

    async def alice(here: Node) -> None:
        await (await call(here)).close()

    async def serve(there: Node) -> None:
        for _ in range(2):
            peer = await there.accept()
            keys.append(peer.public_key)
            await peer.wait_closed()

    network = world(hosts=("alice", "carol"))
    play(network, ("bob", bob(), serve), ("alice", open_node(("", 0)), alice), ("carol", open_node(("", 0)), alice))
    assert len({*keys, BOB.public_key}) == 3


def test_a_closed_group() -> None:
    """Who has no key of the group gets nowhere, and hears why."""

    async def alice(here: Node) -> None:
        assert isinstance(await outcome(call(here)), WrongPreSharedKey)

    async def carol(here: Node) -> None:
        await (await call(here)).close()

    network = world(hosts=("alice", "carol"))
    play(network, ("bob", bob(psk=GROUP), echo), ("alice", node(), alice), ("carol", node(CAROL, psk=GROUP), carol))


@pytest.mark.parametrize("psk", [b"", b"g" * 31, b"g" * 33])
def test_a_groups_key_has_32_bytes(psk: bytes) -> None:
    with pytest.raises(ValueError, match="32"):
        open_node(psk=psk)


def test_nobody_on_the_way_can_read_what_is_said() -> None:
    file = io.BytesIO()
    network = world()
    network.capture("alice", "bob", file)

    async def alice(here: Node) -> None:
        peer = await call(here)
        await peer.send(SECRET)
        assert await peer.receive() == SECRET
        await peer.close()

    play(network, ("bob", bob(), echo), ("alice", node(), alice))
    assert len(file.getvalue()) > 1200  # it is all there, from the padded first packet on
    for clear in (SECRET, SECRET[:8], ALICE.public_key, BOB.public_key):
        assert clear not in file.getvalue()


def test_its_options_reach_its_connections() -> None:
    async def alice(here: Node) -> None:
        peer = await call(here)
        with pytest.raises(ValueError, match="101"):
            peer.send_nowait(b"x" * 101)
        await peer.close()

    small = config(channels=(ChannelConfig(max_message_size=100),))
    network = world()
    play(network, ("bob", bob(config=small), echo), ("alice", open_node(("", PORT), config=small), alice))
