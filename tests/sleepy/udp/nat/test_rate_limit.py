"""sleepy/udp/nat/rate_limit.py: never more than ``rate * t + burst``, and no less if there is demand."""

import pytest
from hypothesis import given
from hypothesis.strategies import floats, lists, tuples

from sleepy.udp.nat.rate_limit import RateLimit


@given(lists(tuples(floats(0, 3), floats(0.1, 20)), min_size=1))
def test_in_any_time_no_more_than_rate_and_burst(wishes: list[tuple[float, float]]) -> None:
    limit, now = RateLimit(5.0, 10.0, 0.0), 0.0
    done: list[tuple[float, float]] = []
    for pause, amount in wishes:
        now += pause
        if limit.take(amount, now):
            done.append((now, amount))
        for start, _ in done:
            within = sum(amount for when, amount in done if when >= start)
            assert within <= 5.0 * (now - start) + 10.0 + 1e-6


def test_a_steady_demand_gets_the_whole_rate() -> None:
    limit = RateLimit(5.0, 10.0, 0.0)
    taken = sum(limit.take(1.0, tick / 100) for tick in range(10_000))
    assert taken == pytest.approx(5.0 * 100 + 10.0, abs=1)


def test_who_asked_for_too_much_loses_nothing() -> None:
    limit = RateLimit(5.0, 10.0, 0.0)
    assert not limit.take(10.1, 0.0)
    assert limit.take(10.0, 0.0)
    assert not limit.take(0.1, 0.0)
    assert limit.take(5.0, 1.0)
