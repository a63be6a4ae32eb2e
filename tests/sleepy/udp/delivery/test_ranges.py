"""The rules of sleepy/udp/delivery/ranges.py, against sets."""

from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp.delivery.ranges import Ranges

steps = st.lists(
    st.tuples(st.sampled_from(["add", "discard", "pop"]), st.integers(0, 40), st.integers(1, 12)), max_size=40
)


def ranges_of(numbers: set[int]) -> list[tuple[int, int]]:
    """Rule 1, from a set."""
    firsts = sorted(number for number in numbers if number - 1 not in numbers)
    ends = sorted(number + 1 for number in numbers if number + 1 not in numbers)
    return list(zip(firsts, ends, strict=True))


@given(steps, st.integers(0, 40), st.integers(0, 30))
def test_agrees_with_a_set(steps: list[tuple[str, int, int]], first: int, count: int) -> None:
    ranges, numbers = Ranges(), set[int]()
    for what, start, length in steps:
        units = set(range(start, start + length))
        if what == "add":
            ranges.add(start, start + length)
            numbers |= units
        elif what == "discard":
            ranges.discard(start, start + length)
            numbers -= units
        else:
            end = min(set(range(start, 60)) - numbers)
            assert ranges.pop_up_to(start) == end
            numbers -= set(range(end))
        assert list(zip(ranges._firsts, ranges._ends, strict=True)) == ranges_of(numbers)
        assert len(ranges) == len(ranges_of(numbers))
        if numbers:
            assert ranges.lowest == ranges_of(numbers)[0]
    assert ranges.missing(first, first + count) == ranges_of(set(range(first, first + count)) - numbers)
