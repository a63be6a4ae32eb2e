"""The rules of sleepy/udp/nodes/streams.py: asyncio's reader and writer over a peer."""

import asyncio
import random

import pytest

from sleepy import sim
from sleepy.udp.connections.connection_errors import ClosedByPeer, ClosedLocally, ConnectionClosed
from sleepy.udp.delivery.blocks import MAX_BLOCKS, WINDOW
from sleepy.udp.nodes.node import Node
from sleepy.udp.nodes.peer import Peer
from sleepy.udp.nodes.streams import HIGH_WATER, READ_LIMIT, StreamTransport
from tests.sleepy.udp.node_worlds import PORT, between, bob, call, idle, node, outcome, play, soon, world

FAST = sim.Link(delay=0.005, rate=50e6)


async def copy_back(peer: Peer) -> None:
    """Accept one stream, and send back what comes, until it ends."""
    reader, writer = await peer.accept_stream()
    while data := await reader.read(10_000):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def swallow(peer: Peer) -> None:
    """Accept one stream, and read it to its end."""
    reader, writer = await peer.accept_stream()
    await reader.read()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("link", [FAST, sim.Link(delay=0.02, loss=0.05, reorder=0.02, duplicate=0.02)])
def test_a_megabyte_there_and_back(link: sim.Link) -> None:
    """Rules 1 and 2: all of it, in order, both ways at once, through windows that are much smaller; each end is an end."""
    data = random.Random(1).randbytes(700_000)

    async def alice(peer: Peer) -> None:
        reader, writer = await peer.open_stream()
        assert writer.get_extra_info("peer") is peer

        async def send() -> None:
            for start in range(0, len(data), 50_000):
                writer.write(data[start : start + 50_000])
                await writer.drain()
            writer.write_eof()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            assert await reader.read() == data
        writer.close()
        await writer.wait_closed()

    between(alice, copy_back, link)


def test_a_pulled_cable_only_delays() -> None:
    """In the middle of a stream nothing gets through for eight seconds, twice; then it goes on where it was."""
    data = random.Random(2).randbytes(2_000_000)
    network = world(sim.Link(delay=0.01, rate=20e6))

    async def dialled(here: Node) -> None:
        for begin in (1.0, 12.0):
            network.cut("alice", "bob", at=begin, until=begin + 8)
        async with await call(here) as peer:
            _, writer = await peer.open_stream()
            for start in range(0, len(data), 20_000):
                writer.write(data[start : start + 20_000])
                await writer.drain()
                await asyncio.sleep(0.02)
            writer.close()
            await writer.wait_closed()

    async def accepted(there: Node) -> None:
        peer = await there.accept()
        reader, writer = await peer.accept_stream()
        assert await reader.read() == data
        writer.close()
        await peer.wait_closed()

    play(network, ("bob", bob(), accepted), ("alice", node(), dialled))


def test_lines_and_exact_reads() -> None:
    """They are asyncio's reader and writer, not something like them."""

    async def alice(peer: Peer) -> None:
        reader, writer = await peer.open_stream()
        assert type(reader) is asyncio.StreamReader
        assert type(writer) is asyncio.StreamWriter
        assert writer.can_write_eof()
        writer.writelines([b"one\ntw", b"o\n", b"12345"])
        assert await reader.readline() == b"one\n"
        assert await reader.readuntil(b"o") == b"two"
        assert await reader.readexactly(4) == b"\n123"
        writer.write_eof()
        with pytest.raises(RuntimeError, match="closed for writing"):
            writer.write(b"after the end")
        assert await reader.read() == b"45"
        assert reader.at_eof()
        writer.close()
        await writer.wait_closed()

    between(alice, copy_back)


def test_a_question_does_not_wait_for_more_to_be_said() -> None:
    """Rule 4: a few bytes are answered after a round trip; many little ones of a turn leave together."""

    async def alice(peer: Peer) -> None:
        loop = asyncio.get_running_loop()
        reader, writer = await peer.open_stream()
        for _ in range(3):
            begin = loop.time()
            writer.write(b"?")
            assert await reader.readexactly(1) == b"?"
            assert loop.time() - begin < 0.06
        before = writer.get_extra_info("block").room
        for _ in range(100):
            writer.write(b"!")
        await asyncio.sleep(0)
        assert before - writer.get_extra_info("block").room == 128
        assert await reader.readexactly(100) == b"!" * 100
        writer.write_eof()
        await reader.read()
        writer.close()

    between(alice, copy_back)


def test_an_empty_stream_ends_too() -> None:
    async def alice(peer: Peer) -> None:
        reader, writer = await peer.open_stream()
        writer.close()
        await writer.wait_closed()
        assert writer.is_closing()
        reader, writer = await peer.open_stream()
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()

    async def serve(peer: Peer) -> None:
        await copy_back(peer)
        await copy_back(peer)

    between(alice, serve)


def test_a_reader_that_does_not_read_stops_the_writer() -> None:
    """Rule 2: what was written and not read is bounded by three buffers; when it is read all of it comes."""
    size = 4 * (WINDOW + READ_LIMIT + HIGH_WATER)
    written = 0

    async def alice(peer: Peer) -> None:
        nonlocal written
        _, writer = await peer.open_stream()
        while written < size:
            writer.write(bytes(10_000))
            await writer.drain()
            written += 10_000
        writer.close()
        await writer.wait_closed()

    async def serve(peer: Peer) -> None:
        reader, writer = await peer.accept_stream()
        await asyncio.sleep(60)
        assert written <= 2 * WINDOW + 3 * READ_LIMIT + HIGH_WATER + 10_000
        assert len(await reader.read()) == written
        writer.close()

    between(alice, serve, FAST)


def test_streams_do_not_wait_for_each_other() -> None:
    """A second stream goes on while nobody reads the first, and while the first is full."""

    async def alice(peer: Peer) -> None:
        _, full = await peer.open_stream()
        full.write(bytes(2 * WINDOW))
        reader, writer = await peer.open_stream()
        writer.write(b"urgent")
        writer.write_eof()
        assert await reader.read() == b"urgent"
        writer.close()
        full.transport.abort()

    async def serve(peer: Peer) -> None:
        unread, writer = await peer.accept_stream()
        await copy_back(peer)
        assert isinstance(await outcome(unread.read()), ConnectionResetError)
        assert isinstance(await outcome(writer.drain()), ConnectionResetError)

    between(alice, serve, FAST)


def test_who_closes_takes_no_more() -> None:
    """Rule 3: the other side's writer learns that nobody listens."""

    async def alice(peer: Peer) -> None:
        _, writer = await peer.open_stream()
        writer.write(b"question")
        writer.close()
        await writer.wait_closed()
        writer.write(b"as asyncio has it, this is dropped")
        await asyncio.sleep(5)

    async def serve(peer: Peer) -> None:
        reader, writer = await peer.accept_stream()
        assert await reader.read() == b"question"

        async def talk() -> None:
            while True:
                writer.write(bytes(10_000))
                await writer.drain()
                await asyncio.sleep(0.01)

        async with asyncio.timeout(5):
            assert isinstance(await outcome(talk()), ConnectionResetError)

    between(alice, serve)


def test_who_speaks_first_after_the_other_has_closed_learns_it() -> None:
    """Rule 3: not before; with nothing to say, closing is no error."""

    async def alice(peer: Peer) -> None:
        for _ in range(2):
            _, writer = await peer.open_stream()
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep(5)

    async def serve(peer: Peer) -> None:
        _, silent = await peer.accept_stream()
        _, talker = await peer.accept_stream()
        await asyncio.sleep(2)
        silent.close()
        await silent.wait_closed()
        assert not talker.is_closing()
        talker.write(b"is there anybody?")
        await asyncio.sleep(0)
        assert isinstance(await outcome(talker.drain()), ConnectionResetError)

    between(alice, serve)


def test_accepting_needs_room_too() -> None:
    """Rule 1: the answer is a block of ours; while we have too many of them open the call waits."""

    async def alice(peer: Peer) -> None:
        reader, writer = await peer.open_stream()
        writer.write(b"question")
        for _ in range(MAX_BLOCKS):
            await copy_back(peer)
        assert await reader.read() == b"answer"
        writer.close()

    async def serve(peer: Peer) -> None:
        streams = [await peer.open_stream() for _ in range(MAX_BLOCKS)]
        accepting = asyncio.create_task(peer.accept_stream())
        await asyncio.sleep(2)
        assert not accepting.done()
        for own_reader, own_writer in streams:
            own_writer.write_eof()
            assert await own_reader.read() == b""
            own_writer.close()
        reader, writer = await accepting
        assert await reader.readexactly(8) == b"question"
        writer.write(b"answer")
        writer.close()

    between(alice, serve)


@pytest.mark.parametrize("accepting", [True, False])
def test_as_many_streams_as_blocks(accepting: bool) -> None:
    """Rule 4: the next one waits until one is finished, and so does accepting it."""

    async def alice(peer: Peer) -> None:
        streams = [await peer.open_stream() for _ in range(MAX_BLOCKS)]
        waiting = asyncio.create_task(peer.open_stream())
        await asyncio.sleep(2)
        assert not waiting.done()
        for reader, writer in streams:
            writer.write_eof()
            if accepting:
                assert await reader.read() == b""
            writer.close()
        if not accepting:
            assert isinstance(await outcome(asyncio.wait_for(waiting, 5)), TimeoutError)
            return
        reader, writer = await waiting
        writer.write(b"the last")
        writer.write_eof()
        assert await reader.read() == b"the last"
        writer.close()

    async def serve(peer: Peer) -> None:
        for _ in range(MAX_BLOCKS + 1 if accepting else 0):
            await copy_back(peer)

    between(alice, serve)


def test_streams_given_up_before_they_are_accepted_are_forgotten() -> None:
    """Rule 4: a hundred of them leave nothing, and the next one that means it is accepted."""

    async def alice(peer: Peer) -> None:
        for _ in range(100):
            _, writer = await peer.open_stream()
            writer.write(b"nonsense")
            await asyncio.sleep(0.05)
            writer.transport.abort()
        reader, writer = await peer.open_stream()
        writer.write(b"sense")
        writer.write_eof()
        assert await reader.read() == b"sense"
        writer.close()

    async def serve(peer: Peer) -> None:
        await asyncio.sleep(20)
        assert peer._large is not None
        assert len(peer._large.streams._arrivals.blocks) == 1
        await copy_back(peer)
        await asyncio.sleep(1)
        assert not peer._large.desk.holders

    between(alice, serve)


def test_a_closed_connection_ends_its_streams() -> None:
    """What had come as a whole can be read; what had not, and whoever waits, gets the reason."""

    async def alice(peer: Peer) -> None:
        whole, writer = await peer.open_stream()
        writer.write_eof()
        broken, _ = await peer.open_stream()
        opening = asyncio.create_task(outcome(many(peer)))
        accepting = asyncio.create_task(outcome(peer.accept_stream()))
        await peer.wait_closed()
        assert await whole.read() == b"all of it"
        assert isinstance(await outcome(broken.read()), ClosedByPeer)
        assert isinstance(await accepting, ClosedByPeer)
        assert isinstance(await opening, ClosedByPeer)
        assert isinstance(await outcome(peer.open_stream()), ClosedByPeer)
        assert isinstance(await outcome(peer.accept_stream()), ClosedByPeer)

    async def many(peer: Peer) -> None:
        streams = []
        while True:
            streams.append(await peer.open_stream())

    async def serve(peer: Peer) -> None:
        _, one = await peer.accept_stream()
        one.write(b"all of it")
        one.close()
        _, two = await peer.accept_stream()
        two.write(b"a beginning")
        await asyncio.sleep(1)
        await peer.close(drain=0)
        assert isinstance(await outcome(two.drain()), ConnectionClosed | ConnectionResetError)

    between(alice, serve)


def test_an_answer_to_no_call_is_refused() -> None:
    """Nobody here waits for it, so its sender is told."""

    async def alice(peer: Peer) -> None:
        block = peer._line.connection.open_block(b"\0stream answer \7\0\0\0")
        peer._owner.touch(peer._line)
        await soon(lambda: block.code != 0)
        assert "nobody waits" in block.reason

    between(alice, idle)


def test_progress_can_be_watched() -> None:
    async def alice(peer: Peer) -> None:
        _, writer = await peer.open_stream()
        writer.write(bytes(100_000))
        block = writer.get_extra_info("block")
        await soon(lambda: block.acked >= 99_000)
        writer.close()

    between(alice, swallow, FAST)


def test_buffer_limits_are_asyncios() -> None:
    """As documented for transports: the defaults, what follows from one of them, and what is out of order."""

    async def alice(peer: Peer) -> None:
        _, writer = await peer.open_stream()
        transport = writer.transport
        assert isinstance(transport, StreamTransport)
        assert transport.get_write_buffer_limits() == (HIGH_WATER // 4, HIGH_WATER)
        transport.set_write_buffer_limits(high=0)
        assert transport.get_write_buffer_limits() == (0, 0)
        transport.set_write_buffer_limits(low=10)
        assert transport.get_write_buffer_limits() == (10, 40)
        with pytest.raises(ValueError, match="low"):
            transport.set_write_buffer_limits(high=1, low=2)
        assert transport.get_write_buffer_size() == 0
        assert transport.is_reading()
        assert isinstance(transport.get_protocol(), asyncio.StreamReaderProtocol)
        writer.close()
        await writer.wait_closed()
        assert not transport.is_reading()

    between(alice, swallow)


def test_wait_closed_waits_until_all_has_arrived() -> None:
    """Rule 3: the cable is out when the stream is closed, and is put in again."""

    async def alice(peer: Peer) -> None:
        _, writer = await peer.open_stream()
        writer.write(bytes(50_000))
        writer.close()
        loop = asyncio.get_running_loop()
        begin = loop.time()
        await writer.wait_closed()
        assert loop.time() - begin > 0.3  # at 1 Mbit/s
        await peer.close()
        assert isinstance(peer.error, ClosedLocally)

    between(alice, swallow, sim.Link(delay=0.02, rate=1e6))


def test_who_accepts_and_aborts_at_once_leaves_nobody_waiting() -> None:
    """Found by the campaign: the answer was given up before its label had arrived, and the caller read for ever."""

    async def alice(peer: Peer) -> None:
        reader, writer = await peer.open_stream()
        writer.write(b"question")
        writer.write_eof()
        async with asyncio.timeout(5):
            assert isinstance(await outcome(reader.read()), ConnectionResetError)

    async def serve(peer: Peer) -> None:
        await asyncio.sleep(1)  # until all of the question is there
        _, writer = await peer.accept_stream()
        writer.transport.abort()

    between(alice, serve)


def test_a_call_that_was_given_up_before_it_was_known_is_not_accepted() -> None:
    """Rule 5."""

    async def alice(peer: Peer) -> None:
        _, writer = await peer.open_stream()
        writer.transport.abort()
        reader, writer = await peer.open_stream()
        writer.write(b"sense")
        writer.write_eof()
        assert await reader.read() == b"sense"
        writer.close()

    between(alice, copy_back)


def test_a_stream_may_be_closed_after_its_connection() -> None:
    """Found by the campaign: closing it touched a line that was forgotten, and the node's turn ended with a KeyError."""

    async def alice(peer: Peer) -> None:
        _, writer = await peer.open_stream()
        writer.write(b"question")
        await peer.close()
        writer.close()
        writer.transport.abort()
        peer._owner.touch(peer._line)
        await asyncio.sleep(1)

    async def serve(peer: Peer) -> None:
        _, writer = await peer.accept_stream()
        await peer.wait_closed()
        writer.close()
        await asyncio.sleep(1)

    between(alice, serve)


@pytest.mark.parametrize("end", [b"", b"!"], ids=["all of it", "all but the end"])
def test_more_than_a_reader_holds_can_be_read_at_once(end: bytes) -> None:
    """It asks for more, and then begins to wait: what is handed over in between, data or the end, wakes nobody."""
    size = 5 * READ_LIMIT

    async def alice(peer: Peer) -> None:
        _, writer = await peer.open_stream()
        writer.write(bytes(size) + end)
        writer.close()
        await writer.wait_closed()

    async def serve(peer: Peer) -> None:
        reader, writer = await peer.accept_stream()
        await asyncio.sleep(1)  # until it holds what it may
        assert await reader.readexactly(size) == bytes(size)
        assert await reader.read() == end
        writer.close()

    between(alice, serve)


@pytest.mark.parametrize("size", [10, 2 * READ_LIMIT, 5 * READ_LIMIT, 15 * READ_LIMIT])
def test_a_whole_answer_can_be_read_after_the_connection(size: int) -> None:
    """Rule 6: who answered, closed the stream and left owes nothing, however late the answer is read."""

    async def alice(peer: Peer) -> None:
        reader, writer = await peer.accept_stream()
        assert await reader.readline() == b"question\n"
        writer.write(bytes(size))
        writer.close()
        await writer.wait_closed()

    async def serve(peer: Peer) -> None:
        reader, writer = await peer.open_stream()
        writer.write(b"question\n")
        await peer.wait_closed()
        assert await reader.read() == bytes(size)
        await writer.wait_closed()
        with pytest.raises(ConnectionResetError):
            await writer.drain()

    between(alice, serve)


@pytest.mark.parametrize("ends", [True, False])
def test_an_exchange_that_was_not_complete_is_an_error(ends: bool) -> None:
    """Rule 6: the peer left before it ended the stream, or before it had all that we wrote."""

    async def alice(peer: Peer) -> None:
        _, writer = await peer.accept_stream()
        writer.write(b"answer")
        if ends:
            writer.write_eof()
        await asyncio.sleep(1)
        peer.abandon()
        await peer.wait_closed()
        writer.close()

    async def serve(peer: Peer) -> None:
        reader, writer = await peer.open_stream()
        if ends:
            writer.write(bytes(10_000_000))
        await peer.wait_closed()
        with pytest.raises(ClosedByPeer):
            await reader.read()
        with pytest.raises(ClosedByPeer):
            await writer.wait_closed()

    between(alice, serve)


def test_a_stream_says_who_is_at_its_other_end() -> None:
    """Under asyncio's own name for it, too, which many programs ask for; and in the warning of one that was not closed."""

    async def alice(peer: Peer) -> None:
        _, writer = await peer.open_stream()
        assert writer.get_extra_info("peername") == peer.address == ("10.0.0.2", PORT)
        assert writer.get_extra_info("sockname", "unknown") == "unknown"
        assert f"<StreamTransport 10.0.0.2:{PORT}>" in repr(writer)
        writer.close()
        assert f"<StreamTransport 10.0.0.2:{PORT}, closing>" in repr(writer)
        await writer.wait_closed()

    between(alice, swallow)
