"""The rules of sleepy/udp/path/congestion/new_reno.py."""

import pytest

from sleepy.udp.path.congestion.cubic import Cubic
from sleepy.udp.path.congestion.new_reno import NewReno
from tests.sleepy.udp.path.congestion.acks import ack, loss


def test_slow_start_doubles_per_round_trip() -> None:
    """Rule 1: a window of acks makes two windows."""
    reno = NewReno()
    assert reno.window == 12_000
    for _ in range(10):
        reno.on_acked(ack(0.1))
    assert reno.window == 24_000


def test_congestion_avoidance_adds_a_packet_per_round_trip() -> None:
    """Rules 2 and 3: half the window after a loss, then one packet per window acked."""
    reno = NewReno()
    reno.on_lost(loss(0.1))
    assert reno.window == reno.threshold == 6_000
    for round_trip in range(1, 4):
        for _ in range(4 + round_trip):
            reno.on_acked(ack(0.1 + 0.1 * round_trip, sent_time=0.1 * round_trip + 0.05))
        assert reno.window == 6_000 + round_trip * 1200


def test_acks_of_packets_sent_before_the_answer_do_not_count() -> None:
    """Rule 3."""
    reno = NewReno()
    reno.on_lost(loss(0.1))
    reno.on_acked(ack(0.15, 10, sent_time=0.1))
    assert reno.window == 6_000


def test_persistent_congestion_begins_anew_below_the_threshold() -> None:
    """Rule 4."""
    reno = NewReno()
    reno.on_lost(loss(0.1))
    reno.on_persistent_congestion(5.0)
    assert reno.window == 2_400
    for _ in range(3):
        reno.on_acked(ack(5.2))
    assert reno.window == 6_000
    reno.on_acked(ack(5.2))
    assert reno.window == 6_000


@pytest.mark.parametrize("make", [NewReno, Cubic])
def test_losses_of_one_round_trip_are_one_event(make: type[NewReno | Cubic]) -> None:
    """Control, rule 2: only a loss of what was sent after the answer calls for another one."""
    controller = make()
    controller.on_lost(loss(0.1, sent_time=0.0))
    once = controller.window
    controller.on_lost(loss(0.11, 5, sent_time=0.1))
    assert controller.window == once
    controller.on_lost(loss(0.2, sent_time=0.11))
    assert controller.window < once


@pytest.mark.parametrize("make", [NewReno, Cubic])
def test_the_window_has_two_packets_at_least(make: type[NewReno | Cubic]) -> None:
    """Control, rule 1."""
    controller = make()
    for event in range(20):
        controller.on_lost(loss(event + 1.0))
        assert controller.window >= 2_400
    assert controller.window == 2_400


@pytest.mark.parametrize("make", [NewReno, Cubic])
def test_a_window_that_is_not_used_does_not_grow(make: type[NewReno | Cubic]) -> None:
    """Control, rule 3: neither in slow start nor after."""
    controller = make()
    controller.on_acked(ack(0.1, 10, app_limited=True))
    assert controller.window == 12_000
    controller.on_lost(loss(0.2))
    window = controller.window
    for step in range(100):
        controller.on_acked(ack(1.0 + step, 5, app_limited=True))
    assert controller.window == window


@pytest.mark.parametrize("make", [NewReno, Cubic])
def test_pacing_is_a_little_faster_than_a_window_per_round_trip(make: type[NewReno | Cubic]) -> None:
    """Control, rule 4."""
    controller = make()
    controller.on_acked(ack(0.1, rtt=0.1, app_limited=True))
    assert controller.pacing_rate == pytest.approx(2 * 12_000 / 0.1)
    controller.on_lost(loss(0.2))
    assert controller.pacing_rate == pytest.approx(1.25 * controller.window / 0.1)
