"""The rules of sleepy/udp/nodes/block_desk.py: who waits for which block."""

import asyncio
from unittest.mock import Mock

import pytest

from sleepy.udp.connections.connection import Connection
from sleepy.udp.connections.connection_errors import ClosedLocally, ConnectionClosed
from sleepy.udp.delivery.blocks import MAX_BLOCKS, BlockState, OutgoingBlock
from sleepy.udp.nodes.block_desk import BlockDesk
from sleepy.udp.nodes.peer import Peer
from tests.sleepy.udp.node_worlds import between, idle, outcome, soon


def begin(peer: Peer, label: bytes) -> OutgoingBlock:
    """A block from below, as another program on the other side might send it."""
    block = peer._line.connection.open_block(label)
    peer._owner.touch(peer._line)
    return block


def test_labels_of_the_librarys_own_are_not_the_programs() -> None:
    """Rules 1 and 2: what a later version may send is given up at once, and does not reach the program."""

    async def alice(peer: Peer) -> None:
        other = begin(peer, b"\0something new")
        await soon(lambda: other.state is BlockState.STOPPED)
        assert (other.code, other.reason) == (1, "nobody waits for this block")
        ours = begin(peer, b"something old")
        ours.end()
        await soon(lambda: ours.state is BlockState.FINISHED)

    async def serve(peer: Peer) -> None:
        block = await peer.accept_block()
        assert block.label == b"something old"
        assert await block.read() == b""

    between(alice, serve)


@pytest.mark.parametrize("label", [b"", b"a block"])
def test_what_is_given_up_before_anybody_asks_is_forgotten(label: bytes) -> None:
    """Rule 2: a hundred of them leave nothing, and the one that was meant is there."""

    async def alice(peer: Peer) -> None:
        for _ in range(100):
            block = begin(peer, label)
            block.write(b"nonsense")
            await asyncio.sleep(0.05)
            block.cancel()
            peer._owner.touch(peer._line)
            await asyncio.sleep(0.1)
            assert block.settled
        await peer.send_block(b"sense", label=b"meant")

    async def serve(peer: Peer) -> None:
        await asyncio.sleep(30)
        assert peer._large is not None
        assert len(peer._large.inbox._arrivals.blocks) == 1
        block = await peer.accept_block()
        assert (block.label, await block.read(), await block.read()) == (b"meant", b"sense", b"")
        assert not peer._large.desk.holders

    between(alice, serve)


def test_a_block_cancelled_before_it_was_known_is_not_accepted() -> None:
    """Rule 2: opened and given up in one packet."""

    async def alice(peer: Peer) -> None:
        block = begin(peer, b"never meant")
        block.cancel()
        await soon(lambda: block.settled)
        await peer.send_block(b"", label=b"meant")

    async def serve(peer: Peer) -> None:
        block = await peer.accept_block()
        assert block.label == b"meant"
        assert await block.read() == b""

    between(alice, serve)


def test_opening_waits_while_there_are_too_many_whatever_they_are() -> None:
    """Streams and blocks share the number; who waits goes on when one of them is over, or gets the end's reason."""

    async def alice(peer: Peer) -> None:
        writers = [(await peer.open_stream())[1] for _ in range(MAX_BLOCKS - 1)]
        blocks = [asyncio.ensure_future(outcome(peer.send_block(b"data", label=b"%d" % i))) for i in range(3)]
        await asyncio.sleep(1)
        assert not any(block.done() for block in blocks)
        writers[0].transport.abort()
        await asyncio.sleep(1)
        assert peer._line.connection._messages._outgoing is not None
        labels = [block.label for block in peer._line.connection._messages._outgoing.blocks.values()]
        assert labels[-2:] == [b"0", b"1"]
        await peer.close(drain=0)
        assert [type(await block) for block in blocks] == [ClosedLocally] * 3

    between(alice, idle)


def test_the_end_is_told_in_the_order_of_the_blocks_and_to_each_holder_once() -> None:
    """Else a simulated run would not repeat itself; a stream holds two blocks."""
    told: list[int] = []

    class Listening:
        def __init__(self, number: int) -> None:
            self.number = number

        def on_change(self) -> None:
            raise AssertionError

        def on_connection_closed(self, _error: ConnectionClosed) -> None:
            told.append(self.number)

    desk = BlockDesk(Mock(Connection), Mock())
    for number in range(40):
        holder = Listening(number)
        desk.holders[Mock(OutgoingBlock)] = holder
        desk.holders[Mock(OutgoingBlock)] = holder
    desk.end(ClosedLocally("it is over"))
    assert told == list(range(40))
