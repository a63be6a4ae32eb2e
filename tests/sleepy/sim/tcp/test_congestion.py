"""`sleepy.sim.tcp.congestion`: NewReno, rule by rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.sim.tcp.congestion import NewReno

MSS = 1000


def full_round(window: NewReno) -> None:
    """A window is sent and acknowledged, two segments per ack."""
    flight = window.window
    for _ in range(flight // (2 * MSS)):
        window.acknowledged(2 * MSS, max(flight, window.window))


def test_rule_1_it_begins_at_ten_segments() -> None:
    assert NewReno(MSS).window == 10 * MSS


def test_rule_2_slow_start_doubles_it_every_round() -> None:
    window = NewReno(MSS)
    sizes = []
    for _ in range(3):
        full_round(window)
        sizes.append(window.window // MSS)
    assert sizes == [20, 40, 80]


def test_rule_2_an_ack_of_many_segments_opens_it_by_two() -> None:
    window = NewReno(MSS)
    window.acknowledged(8 * MSS, 10 * MSS)
    assert window.window == 12 * MSS


def test_rule_3_above_the_threshold_it_grows_by_one_segment_a_round() -> None:
    window = NewReno(MSS)
    window.lost(20 * MSS)
    assert window.window == 10 * MSS
    sizes = []
    for _ in range(4):
        full_round(window)
        sizes.append(window.window // MSS)
    assert sizes == [11, 11, 12, 13]  # the second round: 11 segments are not a whole number of acks


@given(window=st.integers(2, 500), flight=st.integers(0, 500))
def test_rule_4_it_grows_only_if_it_was_the_limit(window: int, flight: int) -> None:
    reno = NewReno(MSS)
    reno.window = window * MSS
    reno.acknowledged(MSS, flight * MSS)
    assert (reno.window > window * MSS) == (flight >= window)


@pytest.mark.parametrize(("flight", "left"), [(20, 10), (5, 2.5), (3, 2), (1, 2)])
def test_rule_5_a_loss_halves_it_down_to_two_segments(flight: int, left: float) -> None:
    window = NewReno(MSS)
    window.lost(flight * MSS)
    assert window.window == window.threshold == left * MSS


def test_rule_6_a_timeout_leaves_one_segment_and_slow_start_to_half() -> None:
    window = NewReno(MSS)
    window.timed_out(20 * MSS)
    assert (window.window, window.threshold) == (MSS, 10 * MSS)
    full_round(window)
    window.acknowledged(MSS, MSS)
    assert window.window == 2 * MSS
