"""The rules of sleepy/udp/delivery/blocks.py, with two ends and a hostile network between them."""

from array import array
from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepy.udp.delivery.block_memory import FIRST_WINDOW, BlockMemory
from sleepy.udp.delivery.blocks import (
    FAILED,
    MAX_BLOCKS,
    WINDOW,
    BlockState,
    OutgoingBlock,
    OutgoingBlocks,
    TooManyBlocks,
)
from sleepy.udp.delivery.channels.config import ChannelConfig
from sleepy.udp.delivery.chunks import BLOCK_DATA, BlockCredit, BlockStop, ProtocolError
from sleepy.udp.delivery.incoming_blocks import IncomingBlock
from sleepy.udp.delivery.messages import Messages
from sleepy.udp.delivery.payload import PacketBuilder
from tests.sleepy.udp.hostile_pipe import HostilePipe


def pipe_of() -> HostilePipe:
    return HostilePipe([ChannelConfig()])


def receive_all(pipe: HostilePipe, outgoing: OutgoingBlock) -> bytes:
    """Read in order until the sender knows that all was taken."""
    (block,) = take(pipe)
    received = bytearray()
    for _ in range(1000):
        if outgoing.state is not BlockState.OPEN:
            break
        received += block.read()
        pipe.settle()
    assert outgoing.state is block.state is BlockState.FINISHED
    return bytes(received)


def take(pipe: HostilePipe) -> list[IncomingBlock]:
    pipe.settle()
    return pipe.b.take_blocks()


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 1100, 4096, WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW + 5])
def test_any_size(size: int) -> None:
    """yojimbo 28 and 29: also no multiple of a slice, also nothing at all."""
    pipe, data = pipe_of(), Random(size).randbytes(size)
    outgoing = pipe.a.open_block(b"label", source=iter([data]) if size else iter([]))
    assert receive_all(pipe, outgoing) == data
    assert outgoing.acked == size
    assert pipe.a.can_open_block
    assert not pipe.a.has_data(0)
    assert not pipe.b.has_data(0)


@settings(max_examples=15)
@given(seed=st.integers(0, 1 << 32), loss=st.floats(0, 0.4))
def test_several_blocks_and_messages_through_a_storm(seed: int, loss: float) -> None:
    """yojimbo 28, 30, 39: into sinks and in order, with messages in between; nothing lost, nothing twice."""
    random, pipe = Random(seed), pipe_of()
    data = [random.randbytes(random.randrange(40_000)) for _ in range(3)]
    blocks = [
        pipe.a.open_block(bytes([n]), source=iter([d[i : i + 999] for i in range(0, len(d), 999)]))
        for n, d in enumerate(data)
    ]
    out: dict[bytes, bytearray] = {bytes([n]): bytearray(len(d)) for n, d in enumerate(data)}
    written = dict.fromkeys(out, 0)
    in_order: dict[bytes, IncomingBlock] = {}
    messages: list[bytes] = []

    def read() -> None:
        for block in pipe.b.take_blocks():
            assert block.label is not None
            if block.label == b"\0":
                in_order[block.label] = block
            else:

                def sink(offset: int, part: bytes, label: bytes = block.label) -> None:
                    out[label][offset : offset + len(part)] = part
                    written[label] += len(part)

                block.into(sink)
        for label, block in in_order.items():
            part = block.read()
            out[label][written[label] : written[label] + len(part)] = part
            written[label] += len(part)
        messages.extend(iter(pipe.b.receiver(0).read, None))

    for number in range(20):
        pipe.a.sender(0).send(bytes([number]))
    for _ in range(1000):
        pipe.storm(random, loss, read=read)
        read()
        if all(block.state is BlockState.FINISHED for block in blocks):
            break
    assert [bytes(out[bytes([n])]) for n in range(3)] == data
    assert list(written.values()) == [len(d) for d in data]
    assert messages == [bytes([number]) for number in range(20)]


def test_a_reader_who_does_not_read_stops_the_source() -> None:
    """Rule 2: of an endless source no more is pulled than what both sides keep."""
    pipe, pulled = pipe_of(), 0

    def source() -> "object":
        nonlocal pulled
        while True:
            pulled += 1000
            yield bytes(1000)

    pipe.a.open_block(source=source())  # type: ignore[arg-type]
    (block,) = take(pipe)
    assert FIRST_WINDOW < pulled <= FIRST_WINDOW + WINDOW + 2000
    before = pulled
    assert len(block.read()) == FIRST_WINDOW
    pipe.settle()
    assert before + FIRST_WINDOW <= pulled <= FIRST_WINDOW + 2 * WINDOW + 2000


def test_writing_needs_room_and_keeps_what_was_announced() -> None:
    """Rules 1 and 2."""
    block = pipe_of().a.open_block(size=10)
    with pytest.raises(ValueError, match="room"):
        block.write(bytes(WINDOW + 1))
    with pytest.raises(ValueError, match="announced"):
        block.write(bytes(11))
    block.write(bytes(9))
    with pytest.raises(ValueError, match="announced"):
        block.end()


def test_what_arrived_after_all_is_not_sent_a_third_time() -> None:
    """Rule 1 of slices: a part was lost, sent again, acked late; then its second sending is lost."""
    pipe = pipe_of()
    pipe.a.open_block(source=iter([bytes(2000)]))
    first, second = pipe.fill(pipe.a), pipe.fill(pipe.a)
    assert first is not None
    assert second is not None
    second.lose()
    again = pipe.fill(pipe.a)
    assert again is not None
    assert again.payload == second.payload
    second.deliver()
    second.ack()
    again.lose()
    assert not pipe.a.has_data(0)


def test_progress_is_seen_on_both_sides() -> None:
    pipe = pipe_of()
    outgoing = pipe.a.open_block(size=5000)
    outgoing.write(bytes(3200))
    (block,) = take(pipe)
    assert (block.size, block.arrived) == (5000, 3200)
    assert outgoing.acked == 3200


@pytest.mark.parametrize("lost", [False, True])
def test_the_sender_cancels(lost: bool) -> None:
    """Rule 5: the receiver hears why, though the packet may be lost; both forget the block."""
    pipe = pipe_of()
    outgoing = pipe.a.open_block(source=iter([bytes(WINDOW)] * 3))
    (block,) = take(pipe)
    outgoing.cancel(7, "changed my mind")
    packet = pipe.fill(pipe.a)
    assert packet is not None
    if not lost:
        packet.deliver()
    pipe.settle()
    for side in (outgoing, block):
        assert (side.state, side.code, side.reason) == (BlockState.CANCELLED, 7, "changed my mind")
    assert block.read() == b""
    assert pipe.a.can_open_block
    assert pipe.a._outgoing is not None
    assert not pipe.a._outgoing.blocks


@pytest.mark.parametrize("lost", [False, True])
def test_the_receiver_stops(lost: bool) -> None:
    """Rule 5, from the other side."""
    pipe = pipe_of()
    outgoing = pipe.a.open_block(source=iter([bytes(WINDOW)] * 3))
    (block,) = take(pipe)
    block.stop(9, "disk full")
    packet = pipe.fill(pipe.b)
    assert packet is not None
    if not lost:
        packet.deliver()
    pipe.settle()
    for side in (outgoing, block):
        assert (side.state, side.code, side.reason) == (BlockState.STOPPED, 9, "disk full")
    assert not pipe.a.has_data(0)
    with pytest.raises(ValueError, match="code 0"):
        block.stop(0)


def test_only_so_many_blocks_at_once_but_any_number_in_turn() -> None:
    """Rule 6."""
    pipe = pipe_of()
    for _ in range(3):
        blocks = [pipe.a.open_block(source=iter([b"x" * 100])) for _ in range(MAX_BLOCKS)]
        assert not pipe.a.can_open_block
        with pytest.raises(TooManyBlocks):
            pipe.a.open_block()
        for block in take(pipe):
            assert block.read() == b"x" * 100
        pipe.settle()
        assert {block.state for block in blocks} == {BlockState.FINISHED}
        assert pipe.b._incoming is not None
        assert not pipe.b.has_data(0)
        assert not pipe.b._incoming.blocks
        assert not pipe.b._incoming._settling


def test_what_no_honest_receiver_says() -> None:
    """Credit for, or the end of, what was never sent."""
    for chunk in (BlockCredit(0, 1 << 30), BlockStop(0, 0, ""), BlockCredit(1, 0)):
        end = Messages([ChannelConfig()])
        end.open_block()
        with pytest.raises(ProtocolError):
            end.receive(chunk.encode())


def test_a_block_that_was_cancelled_before_it_was_known_is_announced() -> None:
    """Rule 5: whoever waits for it learns by its label that it will not come."""
    pipe = pipe_of()
    pipe.a.open_block(b"answer").cancel(7, "changed my mind")
    pipe.settle()
    (block,) = pipe.b.take_blocks()
    assert (block.label, block.state, block.code) == (b"answer", BlockState.CANCELLED, 7)
    assert pipe.a._outgoing is not None
    assert not pipe.a._outgoing.blocks


def faulty() -> Iterator[bytes]:
    yield bytes(5000)
    raise OSError("the disk is gone: /home/someone/secret")


@pytest.mark.parametrize(
    ("source", "size", "error"),
    [
        (faulty, None, OSError),
        (lambda: iter([b"abc", "no bytes"]), None, TypeError),
        (lambda: iter([b"abc"]), 2, ValueError),
        (lambda: iter([b"abc"]), 4, ValueError),
    ],
)
def test_a_source_that_fails_ends_its_block_and_nothing_else(
    source: Callable[[], Iterator[bytes]], size: int | None, error: type[Exception]
) -> None:
    """Rule 8: also if what it gives is no bytes, or not as many as were announced."""
    pipe = pipe_of()
    other = pipe.a.open_block(source=iter([bytes(100_000)]))
    outgoing = pipe.a.open_block(b"faulty", size, source())
    pipe.a.sender(0).send(b"message")
    healthy, block = take(pipe)
    for side in (outgoing, block):
        assert (side.state, side.code, side.reason) == (BlockState.CANCELLED, FAILED, "its source failed")
    assert type(outgoing.error) is error
    assert pipe.b.receiver(0).read() == b"message"
    received = bytearray()
    while other.state is BlockState.OPEN:
        received += healthy.read()
        pipe.settle()
    assert len(received) == 100_000
    assert pipe.a._outgoing is not None
    assert not pipe.a._outgoing.blocks


@pytest.mark.parametrize("before", [False, True])
def test_a_sink_that_fails_ends_its_block_and_nothing_else(before: bool) -> None:
    """Rule 8: whether it gets what came before, or what comes."""

    def sink(_offset: int, _part: bytes) -> None:
        raise OSError("the disk is full")

    pipe = pipe_of()
    outgoing = pipe.a.open_block()
    if before:
        outgoing.write(bytes(5000))
    (block,) = take(pipe)
    block.into(sink)
    if not before:
        outgoing.write(bytes(5000))
    pipe.a.sender(0).send(b"message")
    pipe.settle()
    for side in (outgoing, block):
        assert (side.state, side.code, side.reason) == (BlockState.STOPPED, FAILED, "its sink failed")
    assert isinstance(block.error, OSError)
    assert pipe.b.receiver(0).read() == b"message"
    assert not block._parts


def test_a_large_item_of_a_source_goes_piece_by_piece() -> None:
    """Rule 2: whatever the source gives at once, the block takes what it has memory for."""
    pipe, data = pipe_of(), Random(1).randbytes(3 * WINDOW)
    outgoing = pipe.a.open_block(source=iter([data, b"", b"end"]))
    pipe.a.has_data(0)
    assert len(outgoing._buffer) == WINDOW
    assert receive_all(pipe, outgoing) == data + b"end"


@given(st.lists(st.tuples(st.sampled_from(["send", "ack", "lose", "late"]), st.integers(0, 1 << 16)), max_size=60))
def test_every_unit_is_acked_or_under_way_or_to_be_sent(steps: list[tuple[str, int]]) -> None:
    """Rule 7, against sets; rooms differ, so the same units go in other pieces."""
    size = 300
    block = OutgoingBlock(0, b"", None, None, BlockMemory(), [])
    block._due.clear()
    block.write(bytes(size * 32 - 5))
    block.end()
    block._due.clear()
    under_way, lost = list[tuple[int, int]](), list[tuple[int, int]]()
    new, again, acked = set(range(size)), set[int](), set[int]()
    for what, pick in steps:
        if what == "send" and block.has_data():
            packet = PacketBuilder(300 + pick % 900)
            block.fill(packet, 1)
            ((_, _, first, count),) = packet.tokens
            units = set(range(first, first + count))
            assert first == min(again or new)
            assert units <= (again or new)
            again -= units
            new -= units
            under_way.append((first, count))
        elif what in {"ack", "lose"} and under_way:
            first, count = under_way.pop(pick % len(under_way))
            if what == "ack":
                block.on_acked(BLOCK_DATA, first, count)
                acked |= set(range(first, first + count))
            else:
                block.on_lost(BLOCK_DATA, first, count)
                lost.append((first, count))
                again |= set(range(first, first + count))
        elif what == "late" and lost:
            first, count = lost.pop(pick % len(lost))
            block.on_acked(BLOCK_DATA, first, count)
            acked |= set(range(first, first + count))
        again -= acked
        gone = min(set(range(size + 1)) - acked)
        assert block.has_data() == bool(new or again)
        assert block._base == gone
        assert block.acked == min(gone * 32, size * 32 - 5)
        assert len(block._buffer) == size * 32 - 5 - block.acked
        assert {
            unit
            for first, end in zip(block._again._firsts, block._again._ends, strict=True)
            for unit in range(first, end)
        } == again


def test_what_a_source_gives_that_holds_bytes_and_is_none_arrives_whole_or_not_at_all() -> None:
    """Rule 8: a source is to give bytes. Compiled, the block insists on that; in Python it takes what it can."""
    pipe, numbers = pipe_of(), array("i", range(1000))
    outgoing = pipe.a.open_block(source=iter([numbers]))  # type: ignore[list-item]
    pipe.a.has_data(0)
    if outgoing.error is None:
        assert receive_all(pipe, outgoing) == numbers.tobytes()
    else:
        assert isinstance(outgoing.error, TypeError)
        (block,) = take(pipe)
        assert (block.state, block.code, block.arrived) == (BlockState.CANCELLED, FAILED, 0)


def test_credit_that_comes_late_takes_nothing_back() -> None:
    """Rule 2: packets are reordered, limits only grow."""
    block = OutgoingBlocks().open()
    block.write(bytes(FIRST_WINDOW * 2))
    block.on_credit(FIRST_WINDOW // 32 + 10)
    block.on_credit(FIRST_WINDOW // 32 + 5)
    sent = 0
    while block.has_data():
        packet = PacketBuilder(1162)
        block.fill(packet, packet.room)
        sent += sum(count for _, what, _, count in packet.tokens if what == BLOCK_DATA)
    assert sent == FIRST_WINDOW // 32 + 10
