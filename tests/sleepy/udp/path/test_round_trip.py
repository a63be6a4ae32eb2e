"""The rules of sleepy/udp/path/round_trip.py."""

from math import inf

import pytest

from sleepy.udp.path.round_trip import RoundTrip


def test_the_first_sample_is_taken_as_it_is() -> None:
    """Rule 1."""
    trip = RoundTrip(0.333, 0.025)
    assert (trip.smoothed, trip.variation, trip.least) == (0.333, 0.1665, inf)
    trip.add(0.1)
    assert (trip.smoothed, trip.variation, trip.least) == (0.1, 0.05, 0.1)


def test_later_samples_move_the_averages() -> None:
    """Rule 2, by hand: variation 0.05 -> 0.05 * 3/4 + 0.08 / 4; average 0.1 -> 0.1 * 7/8 + 0.18 / 8."""
    trip = RoundTrip(0.333, 0.025)
    trip.add(0.1)
    trip.add(0.18)
    assert trip.variation == pytest.approx(0.0575)
    assert trip.smoothed == pytest.approx(0.11)
    assert trip.latest == 0.18


def test_the_ack_delay_is_believed_within_bounds() -> None:
    """Rule 3: 20 ms are subtracted; of 500 ms only the promised 25; and never so much that the least is passed."""
    for claimed, adjusted in ((0.02, 0.18), (0.5, 0.175)):
        trip = RoundTrip(0.333, 0.025)
        trip.add(0.1)
        trip.add(0.2, claimed)
        assert trip.smoothed == pytest.approx(0.1 * 7 / 8 + adjusted / 8)
    trip = RoundTrip(0.333, 0.025)
    trip.add(0.1)
    trip.add(0.11, 0.025)
    assert trip.smoothed == pytest.approx(0.1)


def test_the_least_is_never_made_less_by_a_claim() -> None:
    """Rules 3 and 4."""
    trip = RoundTrip(0.333, 0.025)
    trip.add(0.1, 0.025)
    trip.add(0.09, 0.025)
    assert trip.least == 0.09


def test_patience_has_room_for_variation_and_for_the_peers_delay() -> None:
    """Rule 5, and at least a millisecond of room."""
    trip = RoundTrip(0.333, 0.025)
    trip.add(0.1)
    assert trip.patience == pytest.approx(0.1 + 4 * 0.05 + 0.025)
    for _ in range(100):
        trip.add(0.1)
    assert trip.patience == pytest.approx(0.1 + 0.001 + 0.025)
