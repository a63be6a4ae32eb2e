"""`sleepy.sim.tcp.congestion`: NewReno, rule by rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.sim.tcp.congestion import NewReno


def full_round(reno: NewReno) -> None:
    """A window is sent and acknowledged, two segments per ack, while new ones keep it full."""
    for _ in range(reno.window // 2):
        reno.acknowledged(2, reno.window)


def test_rule_1_it_begins_at_ten_segments() -> None:
    assert NewReno().window == 10


def test_rule_2_slow_start_doubles_it_every_round() -> None:
    reno, sizes = NewReno(), []
    for _ in range(3):
        full_round(reno)
        sizes.append(reno.window)
    assert sizes == [20, 40, 80]


def test_rule_2_an_ack_of_many_segments_opens_it_by_two() -> None:
    reno = NewReno()
    reno.acknowledged(8, 10)
    assert reno.window == 12


def test_rule_3_above_the_threshold_it_grows_by_one_segment_a_round() -> None:
    reno, sizes = NewReno(), []
    full_round(reno)
    reno.lost()
    assert reno.window == 10
    for _ in range(4):
        full_round(reno)
        sizes.append(reno.window)
    assert sizes == [11, 11, 12, 13]  # the second round: eleven segments are no whole number of acks of two


@given(window=st.integers(2, 500), flight=st.integers(0, 500))
def test_rule_4_slow_start_reaches_twice_what_was_under_way(window: int, flight: int) -> None:
    reno = NewReno()
    reno.window = window
    reno.acknowledged(1, flight)
    assert (reno.window > window) == (window < 2 * flight)


@given(window=st.integers(2, 500), flight=st.integers(0, 500))
def test_rule_4_above_the_threshold_it_grows_only_if_it_was_filled(window: int, flight: int) -> None:
    reno = NewReno()
    reno.threshold = reno.window = window
    reno.acknowledged(window, flight)
    assert (reno.window > window) == (flight >= window)


@pytest.mark.parametrize(("window", "left"), [(20, 10), (5, 2), (3, 2), (1, 2)])
def test_rule_5_a_loss_halves_it_down_to_two_segments(window: int, left: int) -> None:
    reno = NewReno()
    reno.window = window
    reno.lost()
    assert reno.window == reno.threshold == left


def test_rule_6_a_timeout_leaves_one_segment_and_slow_start_to_half() -> None:
    reno = NewReno()
    reno.timed_out()
    assert (reno.window, reno.threshold) == (1, 5)
    sizes = []
    for _ in range(12):
        reno.acknowledged(1, reno.window)
        sizes.append(reno.window)
    assert sizes == [2, 3, 4, 5, 5, 5, 5, 5, 6, 6, 6, 6]
