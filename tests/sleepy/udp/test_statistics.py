"""The rules of sleepy/udp/statistics.py."""

from math import inf, sqrt

import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers, lists, tuples

from sleepy.udp.statistics import Bandwidth, RoundTrips, Window, smooth, smooth_rate

NO_BANDWIDTH = Bandwidth(0.0, 0.0, 0.0)


def test_the_first_sample_is_taken_as_it_is_and_later_ones_by_their_share() -> None:
    """Rule 1: 100 then 200 ms are 100.25 ms."""
    trips = RoundTrips(512, 0.0025)
    trips.add(0, 100.0)
    assert trips.average == 100.0
    trips.add(1, 200.0)
    assert trips.average == pytest.approx(100.25)


@given(samples=lists(floats(0, 10_000), min_size=1, max_size=40))
def test_the_history_holds_the_last_samples_and_says_how_they_vary(samples: list[float]) -> None:
    """Rule 2: with 16 slots, one per sequence modulo 16."""
    trips = RoundTrips(16, 0.0025)
    for sequence, sample in enumerate(samples):
        trips.add(sequence, sample)
    last = samples[-16:]
    mean = sum(last) / len(last)
    statistics = trips.statistics(0.0, NO_BANDWIDTH)
    assert (statistics.rtt_min, statistics.rtt_max) == (min(last), max(last))
    assert statistics.rtt_avg == pytest.approx(mean)
    assert statistics.rtt_min <= statistics.rtt_avg + 1e-9
    assert statistics.rtt_avg <= statistics.rtt_max + 1e-9
    assert statistics.jitter_avg_vs_min_rtt == pytest.approx(sum(s - min(last) for s in last) / len(last), abs=1e-6)
    assert statistics.jitter_max_vs_min_rtt == max(last) - min(last)
    deviation = sqrt(sum((sample - mean) ** 2 for sample in last) / len(last))
    assert statistics.jitter_stddev_vs_avg_rtt == pytest.approx(deviation, abs=1e-6)


def test_nothing_known_is_all_zero() -> None:
    assert set(RoundTrips(16, 0.0025).statistics(0.0, NO_BANDWIDTH)) == {0.0}


def test_an_average_moves_by_its_share_and_arrives() -> None:
    assert smooth(10.0, 20.0, 0.1) == pytest.approx(11.0)
    assert smooth(10.0, 10.000001, 0.1) == 10.000001


def test_bandwidth_is_in_kilobits_and_needs_a_span() -> None:
    assert smooth_rate(0.0, 1000, 2.0, 1.0) == pytest.approx(4.0)
    assert smooth_rate(7.0, 1000, 0.0, 1.0) == 7.0


@given(seconds=floats(0, 1e-6))
def test_a_moment_has_no_bandwidth_however_a_clock_divides_it(seconds: float) -> None:
    """Rule 4: the average stays finite; an infinite one would never be anything else again."""
    assert smooth_rate(7.0, 1000, seconds, 1.0) < inf
    if seconds < 1e-9:
        assert smooth_rate(7.0, 1000, seconds, 1.0) == 7.0


@given(
    length=integers(1, 9),
    moves=lists(tuples(integers(0, 3), lists(tuples(integers(1, 99), floats(0, 9)), max_size=3)), max_size=40),
)
def test_a_window_is_what_a_walk_over_it_would_find(
    length: int, moves: list[tuple[int, list[tuple[int, float]]]]
) -> None:
    """Times in any order; numbers may be missing."""
    window = Window(length)
    entered: dict[int, tuple[int, float]] = {}
    end = 0
    for skipped, packets in moves:
        end += skipped + len(packets)
        coming = dict(zip(range(end - len(packets), end), packets, strict=True))
        for number in window.slide(end):
            if number in coming:
                window.enter(number, *coming[number])
        entered |= coming
        inside = [packet for number, packet in entered.items() if end - length <= number < end]
        times = [time for _, time in inside]
        assert window.size == sum(size for size, _ in inside)
        assert window.span() == (max(times) - min(times) if times else 0.0)
    assert len(window._sizes) <= length


def test_restarting_a_window_asks_for_everything_again() -> None:
    window = Window(4)
    assert window.slide(10) == range(6, 10)
    window.enter(9, 100, 1.0)
    assert window.slide(11) == range(10, 11)
    window.restart()
    assert window.slide(11) == range(7, 11)
    assert window.size == 0
