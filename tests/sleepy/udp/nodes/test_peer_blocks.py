"""The rules of sleepy/udp/nodes/peer_blocks.py: large things, one way, as a program sees it."""

import asyncio
import contextlib
import io
import random
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from sleepy import sim
from sleepy.udp.connections.connection_errors import ClosedByPeer, ClosedLocally
from sleepy.udp.delivery.blocks import WINDOW
from sleepy.udp.nodes.peer import Peer
from sleepy.udp.nodes.peer_blocks import CHUNK, BlockGivenUp, BlockReader, Source
from tests.sleepy.udp.node_worlds import between, idle, outcome, soon

FAST = sim.Link(delay=0.005, rate=50e6)
LOSSY = sim.Link(delay=0.02, loss=0.1, reorder=0.02, duplicate=0.02)
DATA = random.Random(1).randbytes(300_001)


async def whole(block: BlockReader) -> bytes:
    return b"".join([part async for part in block])


async def take_one(peer: Peer) -> bytes:
    return await whole(await peer.accept_block())


class SlowFile:
    """Something that reads like a file, where reading has to be awaited."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    async def read(self, size: int, /) -> bytes:
        await asyncio.sleep(0.01)
        return self._file.read(size)


def parts() -> Iterator[bytes]:
    yield DATA[:1]
    yield b""
    yield DATA[1:]


async def parts_that_come() -> AsyncIterator[bytes]:
    for part in parts():
        await asyncio.sleep(0.1)
        yield part


async def forever() -> AsyncIterator[bytes]:
    """A source that has said something, and will say no more."""
    yield b"data"
    await asyncio.get_running_loop().create_future()


SOURCES: dict[str, Callable[[], Source]] = {
    "bytes": lambda: DATA,
    "a bytearray": lambda: bytearray(DATA),
    "a memoryview": lambda: memoryview(DATA),
    "a file": lambda: io.BytesIO(DATA),
    "a file to be awaited": lambda: SlowFile(DATA),
    "a list": lambda: [DATA[:7], DATA[7:]],
    "a generator": parts,
    "an asynchronous generator": parts_that_come,
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("size", [None, len(DATA)])
def test_whatever_it_comes_from_it_arrives(source: str, size: int | None) -> None:
    """All of it, once, in order; and the peer knows what it is, and how large, if we do."""

    async def alice(peer: Peer) -> None:
        await peer.send_block(SOURCES[source](), label=b"a picture", size=size)

    async def serve(peer: Peer) -> None:
        block = await peer.accept_block()
        assert block.label == b"a picture"
        if size is not None or isinstance(SOURCES[source](), bytes | bytearray | memoryview):
            assert block.size == len(DATA)
        assert await whole(block) == DATA
        assert block.size == block.arrived == len(DATA)
        assert peer._large is not None
        assert not peer._large.desk.holders

    between(alice, serve, LOSSY)


@pytest.mark.parametrize("source", [b"", [], [b"", b""], io.BytesIO()])
def test_nothing_arrives_as_nothing(source: Source) -> None:
    async def alice(peer: Peer) -> None:
        await peer.send_block(source)

    assert between(alice, take_one)[0] == b""


def test_sending_is_over_when_the_program_has_taken_everything() -> None:
    """Rule 1: not when it has arrived."""
    read_at = 0.0

    async def alice(peer: Peer) -> None:
        await peer.send_block(b"data")
        assert asyncio.get_running_loop().time() > read_at > 0

    async def serve(peer: Peer) -> None:
        nonlocal read_at
        block = await peer.accept_block()
        await soon(lambda: block.arrived == 4)
        await asyncio.sleep(20)
        read_at = asyncio.get_running_loop().time()
        assert await block.read() == b"data"

    between(alice, serve)


@pytest.mark.parametrize("seed", range(12))
def test_who_has_read_everything_may_leave_at_once(seed: int) -> None:
    """Rule 1: the sender does not take it for a failure, though much of what the reader said last was lost."""
    link = sim.Link(delay=0.02, loss=0.25)

    async def alice(peer: Peer) -> Any:
        return await outcome(peer.send_block(DATA[:5000]))

    async def serve(peer: Peer) -> None:
        assert await take_one(peer) == DATA[:5000]
        await peer.close()

    assert between(alice, serve, link, seed=seed)[1] is None


def test_a_reader_who_does_not_read_stops_the_source() -> None:
    """Rule 2: no more than the window is asked for beyond what was read, even if little is read."""
    given = 0

    def source() -> Iterator[bytes]:
        nonlocal given
        for _ in range(60):
            given += 50_000
            yield bytes(50_000)

    async def alice(peer: Peer) -> None:
        await peer.send_block(source())

    async def serve(peer: Peer) -> None:
        block = await peer.accept_block()
        got = 0
        for wanted in (0, 1, 400_000, 1):
            if wanted:
                got += len(await block.read(wanted))
            await asyncio.sleep(5)
            assert WINDOW <= given <= got + 2 * WINDOW + 50_000  # one that we hold, and one that the sender does
        assert got + len(await whole(block)) == 3_000_000

    between(alice, serve, FAST)


def test_who_reads_has_more_sent_at_once() -> None:
    """Rule 2: after a pause in which nothing moved, a round trip later more is there. The size was known from the start."""

    async def alice(peer: Peer) -> None:
        await peer.send_block(bytes(3 * WINDOW))

    async def serve(peer: Peer) -> None:
        block = await peer.accept_block()
        assert block.size == 3 * WINDOW
        await asyncio.sleep(5)
        arrived = block.arrived
        left = arrived * 3 // 4
        while left > 0:
            left -= len(await block.read())
        await asyncio.sleep(0.02)
        assert block.arrived > arrived
        await whole(block)

    between(alice, serve, FAST)


def test_a_part_is_no_larger_than_its_reader_wants() -> None:
    async def alice(peer: Peer) -> None:
        await peer.send_block(DATA)

    async def serve(peer: Peer) -> None:
        block = await peer.accept_block()
        sizes = random.Random(2)
        got = b""
        while part := await block.read(limit := sizes.choice([1, 31, 1000, 70_000])):
            assert len(part) <= limit
            got += part
        assert got == DATA
        assert await block.read() == b""
        with pytest.raises(ValueError, match="limit is 0"):
            await block.read(0)

    between(alice, serve, FAST)


@pytest.mark.parametrize("source", [forever, lambda: bytes(3 * WINDOW), lambda: b"data"])
def test_the_reader_stops_it(source: Callable[[], Source]) -> None:
    """Rules 3 and 4: the sender learns why, though it waits for its source, for room, or for the end."""

    async def alice(peer: Peer) -> None:
        with pytest.raises(BlockGivenUp, match=r"takes no more .* code 7: the disk is full") as caught:
            await peer.send_block(source())
        assert (caught.value.code, caught.value.reason) == (7, "the disk is full")
        assert peer._large is not None
        assert not peer._large.desk.holders
        await peer.send_block(b"the next one")

    async def serve(peer: Peer) -> None:
        block = await peer.accept_block()
        await asyncio.sleep(0.5)
        for code in (0, 1 << 16):
            with pytest.raises(ValueError, match="choose from 1 to 65535"):
                block.stop(code)
        block.stop(7, "the disk is full")
        block.stop(8)  # it is over
        with pytest.raises(ValueError, match="ourselves"):
            await block.read()
        assert peer._large is not None
        assert not peer._large.desk.holders
        assert await take_one(peer) == b"the next one"

    between(alice, serve)


async def stubborn() -> AsyncIterator[bytes]:
    """A source that does not let itself be stopped."""
    yield b"data"
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.get_running_loop().create_future()
    yield b"more"


def test_a_source_that_goes_on_holds_nobody_up() -> None:
    """Rule 4: what it gives after the end is not waited for either."""

    async def alice(peer: Peer) -> None:
        with pytest.raises(BlockGivenUp, match="code 1"):
            await peer.send_block(stubborn())

    async def serve(peer: Peer) -> None:
        (await peer.accept_block()).stop()

    between(alice, serve)


def test_who_waits_for_a_block_that_we_stop_ourselves_does_not_wait_for_ever() -> None:
    async def alice(peer: Peer) -> None:
        with pytest.raises(BlockGivenUp, match="no reason was given"):
            await peer.send_block(forever())

    async def serve(peer: Peer) -> None:
        block = await peer.accept_block()
        waiting = asyncio.ensure_future(outcome(whole(block)))
        await asyncio.sleep(1)
        block.stop()
        assert isinstance(await waiting, ValueError)

    between(alice, serve)


async def failing() -> AsyncIterator[bytes]:
    yield b"data"
    await asyncio.sleep(1)
    raise TimeoutError("the tape is torn")


def complain(done: int, size: int | None) -> None:
    raise TimeoutError(f"the bar cannot show {done} of {size}")


class Empty:
    """What has nothing now, and says so as raw files do that must not block: that is not the end."""

    def read(self, _size: int, /) -> Any:
        return None


@pytest.mark.parametrize(
    ("source", "options", "error"),
    [
        (failing(), {}, TimeoutError),
        (DATA, {"progress": complain}, TimeoutError),
        (["text"], {}, TypeError),
        ("text", {}, TypeError),
        (io.StringIO("text"), {}, TypeError),
        (Empty(), {}, TypeError),
        (b"data", {"size": 4.0}, TypeError),
        (b"data", {"size": -4}, ValueError),
        (b"data", {"size": 1 << 42}, ValueError),
        (b"data", {"label": "name"}, TypeError),
        (b"data", {"priority": "1"}, TypeError),
        (b"data", {"priority": 256}, ValueError),
        (b"data", {"progress": 5}, TypeError),
        (b"data", {"progress": asyncio.sleep}, TypeError),
        (b"data", {"size": 5}, ValueError),
        (b"data", {"size": 3}, ValueError),
    ],
)
def test_an_error_of_the_senders_gives_it_up(source: Any, options: dict[str, Any], error: type[Exception]) -> None:
    """Rule 3: the error comes out where it belongs, and the reader is told, if he could know of the block at all."""

    async def alice(peer: Peer) -> None:
        caught = await outcome(peer.send_block(source, **options))
        assert type(caught) is error
        assert peer._large is None or not peer._large.desk.holders

    async def serve(peer: Peer) -> list[Any]:
        return [await outcome(whole(block)) async for block in peer.blocks()]

    told = between(alice, serve)[0]
    assert len(told) == (error is TimeoutError)  # the others came out at once
    for caught in told:
        assert isinstance(caught, BlockGivenUp)
        assert "the peer has given this block up, of which" in str(caught)


def test_a_cancelled_task_gives_it_up() -> None:
    """Rule 3: whatever it was waiting for: its source, room, or the end."""

    async def alice(peer: Peer) -> None:
        for source in (forever(), bytes(4 * WINDOW), b"data"):
            task = asyncio.ensure_future(peer.send_block(source))
            await asyncio.sleep(2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    async def serve(peer: Peer) -> None:
        blocks = [await peer.accept_block()]
        for _ in range(2):
            await asyncio.sleep(2)
            blocks.append(await peer.accept_block())
        await asyncio.sleep(2)
        assert peer._large is not None
        assert not peer._large.desk.holders  # also if nobody reads them any more
        for block in blocks:
            for _ in range(2):
                with pytest.raises(BlockGivenUp) as caught:
                    await block.read()
                assert (caught.value.code, caught.value.reason) == (1, "its sender has given it up")

    between(alice, serve)


def test_progress_grows_to_the_whole() -> None:
    """With the size, if it is known; a reader sees its own."""
    seen: list[tuple[int, int | None]] = []

    async def alice(peer: Peer) -> None:
        await peer.send_block(DATA, progress=lambda done, size: seen.append((done, size)))

    async def serve(peer: Peer) -> None:
        block, got, arrived = await peer.accept_block(), 0, [0]
        while part := await block.read(10_000):
            got += len(part)
            assert got <= block.arrived
            arrived.append(block.arrived)
            assert arrived[-1] >= arrived[-2]

    between(alice, serve, FAST)
    assert len(seen) > 5
    assert seen == sorted(set(seen))
    assert seen[-1] == (len(DATA), len(DATA))
    assert {size for _, size in seen} == {len(DATA)}


def test_many_at_once_and_messages_between_them() -> None:
    """More than may be open at once; each arrives whole, and what is said meanwhile does not wait for them."""
    things = {b"%d" % number: random.Random(number).randbytes(100_000) for number in range(30)}

    async def alice(peer: Peer) -> None:
        async with asyncio.TaskGroup() as group:
            for label, data in things.items():
                group.create_task(peer.send_block(data, label=label))
            await asyncio.sleep(0.05)
            began = asyncio.get_running_loop().time()
            await peer.send(b"hello")
            assert await peer.receive() == b"hello"
            assert asyncio.get_running_loop().time() - began < 0.3

    async def serve(peer: Peer) -> dict[bytes, bytes]:
        got: dict[bytes, bytes] = {}

        async def save(block: BlockReader) -> None:
            got[block.label] = await whole(block)

        async with asyncio.TaskGroup() as group:

            async def answer() -> None:
                await peer.send(await peer.receive())

            group.create_task(answer())
            async for block in peer.blocks():  # ends when alice leaves
                group.create_task(save(block))
        return got

    assert between(alice, serve, sim.Link(delay=0.01, rate=20e6, loss=0.01))[0] == things


def test_what_arrived_before_the_end_can_be_read_after_it() -> None:
    """Rule 5; and a block that nobody asked for before can be, too."""

    async def alice(peer: Peer) -> None:
        sending = [asyncio.ensure_future(outcome(peer.send_block(forever()))) for _ in range(2)]
        await asyncio.sleep(1)
        await peer.close("enough", drain=0)
        assert [type(await one) for one in sending] == [ClosedLocally] * 2
        assert isinstance(await outcome(peer.send_block(b"late")), ClosedLocally)
        assert isinstance(await outcome(peer.accept_block()), ClosedLocally)

    async def serve(peer: Peer) -> None:
        first = await peer.accept_block()
        reading = asyncio.ensure_future(outcome(whole(first)))
        await peer.wait_closed()
        assert isinstance(await reading, ClosedByPeer)
        blocks = [block async for block in peer.blocks()]
        assert len(blocks) == 1
        assert "0 of None bytes" in repr(blocks[0])
        with pytest.raises(ClosedByPeer, match="enough"):
            await blocks[0].read()

    between(alice, serve)


@pytest.mark.parametrize("label", [b"\0mine", bytes([65]) * 256])
def test_labels_that_cannot_be(label: bytes) -> None:
    async def alice(peer: Peer) -> None:
        with pytest.raises(ValueError, match=r"begins with a zero byte|at most 255 fit"):
            await peer.send_block(b"", label=label)

    between(alice, idle)


def test_urgent_blocks_go_first() -> None:
    async def alice(peer: Peer) -> None:
        done: list[str] = []

        async def send(name: str, priority: int) -> None:
            await peer.send_block(DATA, priority=priority)
            done.append(name)

        await asyncio.gather(send("late", 9), send("soon", 0))
        assert done == ["soon", "late"]

    async def serve(peer: Peer) -> None:
        blocks = [await peer.accept_block() for _ in range(2)]
        await asyncio.gather(*map(whole, blocks))

    between(alice, serve, sim.Link(delay=0.01, rate=5e6))


def test_a_file_is_not_read_at_once() -> None:
    """By `CHUNK` bytes: a large file is never in memory as a whole."""
    asked: list[int] = []

    class File(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(size or 0)
            return super().read(size)

    async def alice(peer: Peer) -> None:
        await peer.send_block(File(DATA))

    assert between(alice, take_one, FAST)[0] == DATA
    assert set(asked) == {CHUNK}


@pytest.mark.parametrize(
    "words", [{"code": 1.5}, {"code": "1"}, {"reason": b"enough"}, {"reason": OSError("disk full")}]
)
def test_a_block_is_stopped_in_words_that_can_be_sent(words: dict[str, Any]) -> None:
    """What cannot be is told at once: when it is to be sent it would end everything that the node sends."""

    async def alice(peer: Peer) -> None:
        with pytest.raises(BlockGivenUp, match="disk full"):
            await peer.send_block(bytes(4 * WINDOW))

    async def serve(peer: Peer) -> None:
        block = await peer.accept_block()
        with pytest.raises(TypeError, match="code" if "code" in words else "reason"):
            block.stop(**words)
        block.stop(5, "disk full")

    between(alice, serve)


def test_of_a_block_that_was_stopped_nothing_is_read() -> None:
    """Also not what its reader has taken from the connection already."""

    async def alice(peer: Peer) -> None:
        with pytest.raises(BlockGivenUp):
            await peer.send_block(bytes(4 * WINDOW))

    async def serve(peer: Peer) -> None:
        block = await peer.accept_block()
        assert await block.read(1) == b"\0"
        block.stop()
        with pytest.raises(ValueError, match="given this block up ourselves"):
            await block.read(1)

    between(alice, serve)
