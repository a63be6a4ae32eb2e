"""The rules of sleepy/udp/delivery/block_memory.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp.delivery.block_memory import DEFAULT_MEMORY, FIRST_WINDOW, LEAST_MEMORY, MAX_BLOCKS, BlockMemory, Share
from sleepy.udp.delivery.chunks import UNIT
from sleepy.udp.delivery.incoming_blocks import IncomingBlock
from tests.sleepy.udp.delivery.test_blocks import pipe_of, take
from tests.sleepy.udp.hostile_pipe import HostilePipe

SHARED = DEFAULT_MEMORY - LEAST_MEMORY


@pytest.mark.parametrize("busy", [1, 2, 3, 15, 16])
def test_who_is_busy_soon_has_as_much_as_the_others(busy: int) -> None:
    """Rules 2 and 3: each in turn uses up what it has, and takes what it may; first one, then the others."""
    memory = BlockMemory()
    shares = [Share(memory) for _ in range(busy)]
    holds = [0] * busy
    for turn in range(60):
        for number, share in enumerate(shares[: 1 if turn < 10 else busy]):
            share.hold(0)
            holds[number] = share.most
            share.hold(holds[number])
    assert holds == [pytest.approx(FIRST_WINDOW + SHARED / (busy + 1), rel=0.01)] * busy


@given(st.lists(st.tuples(st.integers(0, MAX_BLOCKS - 1), st.floats(0, 1))))
def test_whatever_the_others_have_each_may_have_the_first_window_and_all_fit(steps: list[tuple[int, float]]) -> None:
    """Rule 1."""
    memory = BlockMemory()
    shares, holds = [Share(memory) for _ in range(MAX_BLOCKS)], [0] * MAX_BLOCKS
    for number, part in steps:
        assert shares[number].most >= FIRST_WINDOW
        holds[number] = int(max(holds[number], shares[number].most) * part)
        shares[number].hold(holds[number])
        assert memory.spare >= 0
        assert sum(holds) <= DEFAULT_MEMORY
        assert memory.spare == SHARED - sum(max(0, hold - FIRST_WINDOW) for hold in holds)


def endless(pipe: HostilePipe, count: int) -> list[IncomingBlock]:
    for _ in range(count):
        pipe.a.open_block(source=iter(lambda: bytes(1000), None))
    return take(pipe)


def on_the_way(pipe: HostilePipe) -> tuple[list[int], list[int]]:
    """What each block of the sender keeps, and what each of the receiver's may be sent yet or was not taken, in bytes."""
    assert pipe.a._outgoing is not None
    assert pipe.b._incoming is not None
    sending = [len(block._buffer) for block in pipe.a._outgoing.blocks.values()]
    receiving = [(block._given - block._taken) * UNIT for block in pipe.b._incoming.blocks.values()]
    return sending, receiving


def test_sixteen_streams_that_are_read_share_evenly_on_both_sides() -> None:
    pipe = pipe_of()
    blocks = endless(pipe, MAX_BLOCKS)
    before = [0] * MAX_BLOCKS
    for turn in range(20):
        if turn == 10:
            before = [block.arrived for block in blocks]
        for block in blocks:
            block.read()
        pipe.settle()
    for holds in on_the_way(pipe):
        assert sum(holds) <= DEFAULT_MEMORY
        assert min(holds) > FIRST_WINDOW
        assert max(holds) <= FIRST_WINDOW + SHARED / 8
    arrived = [block.arrived - start for block, start in zip(blocks, before, strict=True)]
    assert min(arrived) > 0.75 * max(arrived)


def test_one_that_is_read_goes_on_however_many_are_not() -> None:
    """Rule 1: those that nobody reads have little, and stop nobody."""
    pipe = pipe_of()
    *_, last = endless(pipe, MAX_BLOCKS)
    for _ in range(10):
        last.read()
        pipe.settle()
        sending, receiving = on_the_way(pipe)
        assert receiving[:-1] == [FIRST_WINDOW] * (MAX_BLOCKS - 1)
        assert sum(sending) <= DEFAULT_MEMORY
    assert last.arrived > 4 << 20


def test_what_a_block_had_is_there_for_the_others_when_it_ends() -> None:
    pipe = pipe_of()
    first, second = endless(pipe, 2)
    for _ in range(5):
        first.read()
        second.read()
        pipe.settle()
    first.stop(1, "enough")
    pipe.settle()
    for _ in range(5):
        second.read()
        pipe.settle()
    (sending,), (receiving,) = on_the_way(pipe)
    assert receiving == pytest.approx(FIRST_WINDOW + SHARED / 2, rel=0.01)
    assert 7 / 8 * receiving < sending <= receiving  # it takes from its source when it is worth while


def test_who_has_sent_all_leaves_the_memory_to_the_others() -> None:
    """Rule 2: what is acked is kept no longer, though the block stays open."""
    pipe = pipe_of()
    first, second = pipe.a.open_block(), pipe.a.open_block()
    first.write(bytes(1 << 20))
    assert second.room < FIRST_WINDOW + SHARED // 3
    (block,) = [block for block in take(pipe) if block.number == first.number]
    while first.acked < 1 << 20:
        block.read()
        pipe.settle()
    assert second.room == FIRST_WINDOW + SHARED // 2
