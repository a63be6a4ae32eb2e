"""The rules of `labs.analysis.transit`, by number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.analysis.transit import crossings, delays, lost
from labs.capture import Flag, Segment


def segment(time: float, sequence: int = 0, identification: int = 0, data: bytes = b"x") -> Segment:
    return Segment(time, ("10.0.0.1", 1), ("10.0.0.2", 2), sequence, 0, Flag.ACK, identification, data)


@given(st.lists(st.booleans()), st.permutations(range(8)))
def test_lost_is_what_entered_and_never_left_whatever_the_order_of_leaving(gone: list[bool], order: list[int]) -> None:
    """Rule 1; the last always gets through (rule 4)."""
    gone = [*gone[:7], False]
    entering = [segment(place * 0.010, sequence=place) for place in range(len(gone))]
    leaving = sorted(
        entering[place]._replace(time=1 + at) for at, place in enumerate(order) if place < len(gone) and not gone[place]
    )
    assert lost(crossings(entering, leaving)) == [entering[place] for place in range(len(gone)) if gone[place]]


def test_delays_are_of_those_that_left() -> None:
    entering = [segment(time, sequence=place) for place, time in enumerate((0.0, 1.0, 2.0))]
    leaving = [entering[place]._replace(time=entering[place].time + took) for place, took in ((0, 0.02), (2, 0.03))]
    assert delays(crossings(entering, leaving)) == pytest.approx([0.02, 0.03])


def test_a_retransmission_is_not_taken_for_the_lost_segment() -> None:
    """Rule 1: the identification tells a copy from the first."""
    first, again = segment(0.0, identification=1), segment(0.2, identification=2)
    crossed = crossings([first, again], [again._replace(time=0.225)])
    assert lost(crossed) == [first]
    assert delays(crossed) == pytest.approx([0.025])


def test_a_lost_copy_is_told_from_the_first_even_if_that_left_after_it_entered() -> None:
    """Rule 1: by the identification; by the times alone it might be either."""
    first, again, last = segment(0.0, identification=1), segment(0.01, identification=2), segment(0.3, sequence=1)
    crossed = crossings([first, again, last], [first._replace(time=0.025), last._replace(time=0.325)])
    assert lost(crossed) == [again]


def test_without_identifications_the_departure_belongs_to_the_latest_entry_before_it() -> None:
    """Rule 2."""
    first, again = segment(0.0), segment(0.2)
    assert lost(crossings([first, again], [segment(0.225)])) == [first]
    assert [crossing.left for crossing in crossings([first, again], [segment(0.025), segment(0.225)])] == [0.025, 0.225]


def test_nothing_leaves_before_it_entered() -> None:
    """Rule 2: of two copies the second was lost, for the departure came before it."""
    first, again, last = segment(0.0), segment(0.2), segment(0.3, sequence=1)
    crossed = crossings([first, again, last], [segment(0.025), segment(0.325, sequence=1)])
    assert lost(crossed) == [again]


def test_a_doubled_segment_is_not_lost_and_takes_nobody_elses_place() -> None:
    """Rule 3."""
    first, second = segment(0.0), segment(0.01, sequence=1)
    leaving = [segment(0.025), segment(0.026), segment(0.035, sequence=1)]
    assert [crossing.left for crossing in crossings([first, second], leaving)] == [0.026, 0.035]


def test_what_was_under_way_when_the_capture_ended_is_undecided() -> None:
    """Rule 4."""
    entering = [segment(0.0), segment(0.01, sequence=1), segment(0.02, sequence=2)]
    assert crossings(entering, [entering[0]._replace(time=0.025)]) == [(entering[0], 0.025)]
    assert crossings(entering, []) == []
