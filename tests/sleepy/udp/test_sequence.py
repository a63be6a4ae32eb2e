"""The rules of sleepy/udp/sequence.py."""

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from

from sleepy.udp.sequence import SequenceBuffer, newer

sequences = integers(0, 65535)


@given(a=sequences, steps=integers(1, 32767))
def test_counting_up_less_than_half_the_circle_is_newer(a: int, steps: int) -> None:
    """Rule 1, also across the wrap."""
    b = (a + steps) % 65536
    assert newer(b, a)
    assert not newer(a, b)
    assert not newer(a, a)


@given(a=integers(0, 32767))
def test_at_exactly_half_the_circle_both_sides_decide_alike(a: int) -> None:
    """Rule 1: one of the two is newer, the larger."""
    assert newer(a + 32768, a)
    assert not newer(a, a + 32768)


@given(size=sampled_from([1, 2, 8, 256]), inserted=lists(sequences, max_size=60))
def test_a_buffer_remembers_exactly_the_last_sequences(size: int, inserted: list[int]) -> None:
    """Rules 2 to 4, against a plain set that forgets what is out of reach."""
    buffer: SequenceBuffer[int] = SequenceBuffer(size)
    model: set[int] = set()
    following = 0
    for sequence in inserted:
        stale = newer((following - size) % 65536, sequence)
        assert buffer.insert(sequence, sequence) is not stale
        if stale:
            continue
        if newer((sequence + 1) % 65536, following):
            following = (sequence + 1) % 65536
            model = {s for s in model if 0 < (following - s) % 65536 <= size}
        model.add(sequence)
        assert buffer.next == following
        nearby = {s % 65536 for s in range(following - 2 * size, following + size)}
        assert {s for s in nearby if s in buffer} == model
        assert all(buffer.find(s) == s for s in model)


@given(newest=sequences, size=sampled_from([4, 64]))
def test_the_slots_do_not_shift_at_the_wrap(newest: int, size: int) -> None:
    """Rule 2: wherever the newest is, the ones before it are still found, and no others."""
    buffer: SequenceBuffer[str] = SequenceBuffer(size)
    buffer.next = newest
    for back in range(3, -1, -1):
        assert buffer.insert((newest - back) % 65536, f"{back} back")
    assert [buffer.find((newest - back) % 65536) for back in range(4)] == ["0 back", "1 back", "2 back", "3 back"]
    assert buffer.find((newest + 1) % 65536) is None


def test_moving_ahead_forgets_what_was_passed() -> None:
    """Rule 4: otherwise 7 would seem to have arrived again one round later."""
    buffer: SequenceBuffer[str] = SequenceBuffer(8)
    buffer.insert(7, "old")
    buffer.advance(14)
    assert buffer.find(7) == "old"
    buffer.advance(15)
    assert 7 not in buffer
    assert 15 not in buffer
    assert buffer.next == 16


def test_removing_forgets_one_and_only_if_it_is_that_one() -> None:
    buffer: SequenceBuffer[str] = SequenceBuffer(8)
    buffer.insert(3, "three")
    buffer.remove(11)  # the same slot
    assert buffer.find(3) == "three"
    buffer.remove(3)
    assert buffer.find(3) is None


@pytest.mark.parametrize("size", [0, -4, 3, 100, 32768, 65536])
def test_a_size_that_cannot_work_is_refused(size: int) -> None:
    """Rule 2; half a circle would leave nothing ahead."""
    with pytest.raises(ValueError, match=f"size is {size}; it must be a power of two from 1 to 16384"):
        SequenceBuffer(size)
