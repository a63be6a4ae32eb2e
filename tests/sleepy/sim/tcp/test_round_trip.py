"""`sleepy.sim.tcp.round_trip`: RFC 6298, rule by rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.sim.tcp.round_trip import FLOOR, INITIAL, LONGEST, RoundTrip

samples = st.lists(st.floats(0.001, 10), min_size=1, max_size=50)


def test_rule_1_the_first_sample() -> None:
    round_trip = RoundTrip()
    assert round_trip.timeout == INITIAL
    round_trip.sample(0.4)
    assert (round_trip.mean, round_trip.deviation) == (0.4, 0.2)
    assert round_trip.timeout == pytest.approx(0.4 + 4 * 0.2)


def test_rule_2_later_samples() -> None:
    round_trip = RoundTrip()
    for seconds in (0.4, 0.8):
        round_trip.sample(seconds)
    assert round_trip.deviation == pytest.approx(0.75 * 0.2 + 0.25 * 0.4)
    assert round_trip.mean == pytest.approx(0.875 * 0.4 + 0.125 * 0.8)


@given(seconds=st.floats(0.001, 10))
def test_rule_3_a_steady_round_trip_leaves_the_floor(seconds: float) -> None:
    round_trip = RoundTrip()
    for _ in range(100):
        round_trip.sample(seconds)
    assert round_trip.timeout == pytest.approx(seconds + FLOOR)


@given(seen=samples)
def test_rule_3_the_timeout_lies_above_the_mean(seen: list[float]) -> None:
    round_trip = RoundTrip()
    for seconds in seen:
        round_trip.sample(seconds)
    assert round_trip.timeout >= round_trip.mean + FLOOR
    assert min(seen) == round_trip.smallest
    assert seen[-1] == round_trip.latest


def test_rule_4_each_expiry_doubles_it_up_to_the_longest() -> None:
    round_trip = RoundTrip()
    timeouts = []
    for round_trip.expiries in range(9):
        timeouts.append(round_trip.timeout)
    assert timeouts == [1, 2, 4, 8, 16, 32, 64, LONGEST, LONGEST]
