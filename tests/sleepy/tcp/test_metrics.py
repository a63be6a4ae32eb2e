"""`sleepy.tcp.metrics`: counts, and how long answers took."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.tcp.metrics import Histogram, Metrics

times = st.floats(0, 1e5)


@given(st.lists(times, min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_right_up_to_a_tenth(taken: list[float], share: float) -> None:
    histogram = Histogram()
    for seconds in taken:
        histogram.add(seconds)
    exact = sorted(taken)[max(1, math.ceil(share * len(taken))) - 1]
    assert exact * (1 - 1e-12) <= histogram.quantile(share) <= exact * 2 ** (1 / 8) * (1 + 1e-12) + 1e-6


@given(st.lists(times, min_size=1))
def test_mean_and_longest_are_exact(taken: list[float]) -> None:
    histogram = Histogram()
    for seconds in taken:
        histogram.add(seconds)
    assert histogram.count == len(taken)
    assert histogram.longest == histogram.quantile(1) == max(taken)
    assert histogram.mean == pytest.approx(sum(taken) / len(taken))


def test_what_takes_weeks_is_counted_too() -> None:
    histogram = Histogram()
    histogram.add(1e9)
    assert histogram.quantile(0.5) <= histogram.quantile(1) <= 1e9
    assert histogram.count == 1


def test_without_times_there_is_nothing_to_say() -> None:
    histogram = Histogram()
    assert (histogram.mean, histogram.quantile(0.5), histogram.longest) == (0.0, 0.0, 0.0)
    for share in (-0.1, 1.1):
        with pytest.raises(ValueError, match="from 0 to 1"):
            histogram.quantile(share)


def test_who_has_done_nothing_has_counted_nothing() -> None:
    metrics, other = Metrics(), Metrics()
    assert metrics.requests == metrics.retries == metrics.dials == metrics.failed_dials == metrics.latency.count == 0
    assert metrics.failures == metrics.timeouts == {}
    metrics.count_failure(OSError(), "dial")
    metrics.latency.add(1.0)
    assert (other.failures, other.timeouts, other.latency.count) == ({}, {}, 0)


def test_failures_are_counted_by_their_kind() -> None:
    metrics = Metrics()
    metrics.count_failure(TimeoutError(), "read")
    metrics.count_failure(TimeoutError(), "queue")
    metrics.count_failure(OSError(), None)
    assert metrics.failures == {"TimeoutError": 2, "OSError": 1}
    assert metrics.timeouts == {"read": 1, "queue": 1}
