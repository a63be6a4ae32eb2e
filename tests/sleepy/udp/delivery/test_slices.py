"""The rules of sleepy/udp/delivery/slices.py, against sets."""

from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp.delivery.slices import LEAST_PIECE, Assembly, Outstanding, first_run, span

spans = st.tuples(
    st.sampled_from(["acked", "lost", "take"]), st.integers(0, 60), st.integers(0, 20), st.integers(0, 1200)
)


@given(st.integers(1, 2000), st.lists(spans, max_size=40))
def test_outstanding_agrees_with_sets(size: int, steps: list[tuple[str, int, int, int]]) -> None:
    """Rules 1 to 3: acked is for ever, lost is to be sent unless acked, the earliest goes first."""
    count = -(-size // 32)
    outstanding = Outstanding(count)
    todo, unacked = set(range(count)), set(range(count))
    for what, first, length, room in steps:
        units = set(range(first, first + length)) & set(range(count))
        if what == "acked":
            outstanding.on_acked(first, length)
            unacked -= units
            todo &= unacked
        elif what == "lost":
            outstanding.on_lost(first, length)
            todo |= units & unacked
        elif todo:
            start, taken = outstanding.take(room, size)
            assert start == min(todo)
            piece = set(range(start, start + taken))
            assert piece <= todo
            assert taken == 0 or min(taken * 32, size - start * 32) <= room
            if taken and start + taken in todo:
                assert LEAST_PIECE <= taken * 32 > room - 32
            todo -= piece
        assert outstanding.todo == sum(1 << unit for unit in todo)
        assert outstanding.open == sum(1 << unit for unit in unacked)


def test_first_run() -> None:
    assert first_run(0b0111_0100, 9) == (2, 1)
    assert first_run(0b0111_0000, 9) == (4, 3)
    assert first_run(0b0111_0000, 2) == (4, 2)
    assert span(3, 2) == 0b11000


@given(st.binary(min_size=1, max_size=700), st.randoms())
def test_an_assembly_is_whole_when_all_came(data: bytes, random: object) -> None:
    parts = [(at // 32, data[at : at + 32]) for at in range(0, len(data), 32)]
    random.shuffle(parts)  # type: ignore[attr-defined]
    assembly = Assembly(len(data))
    results = [assembly.add(unit, part) for unit, part in parts]
    assert results[:-1] == [None] * (len(parts) - 1)
    assert results[-1] == data
