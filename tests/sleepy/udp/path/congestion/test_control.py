"""`sleepy.udp.path.congestion.control`: what is the same for every controller."""

import inspect

import pytest

from sleepy.udp.path.congestion.bbr import Bbr
from sleepy.udp.path.congestion.control import INITIAL_PACKETS, MINIMUM_PACKETS, Controller, WindowPacing
from sleepy.udp.path.congestion.cubic import Cubic
from sleepy.udp.path.congestion.good_bad import GoodBad
from sleepy.udp.path.congestion.new_reno import NewReno
from tests.sleepy.udp.path.congestion.acks import ack, loss

CONTROLLERS = [NewReno, Cubic, Bbr, GoodBad]


def test_rule_1_the_figures_are_those_of_rfc_9002() -> None:
    """Sections 7.2 and 7.8."""
    assert (INITIAL_PACKETS, MINIMUM_PACKETS) == (10, 2)


@pytest.mark.parametrize("make", CONTROLLERS)
def test_every_controller_has_what_a_connection_asks_for(make: type[Controller]) -> None:
    """And whatever it hears, it lets two packets be under way (rule 1), at some pace."""
    controller = make()
    members = [name for name, _ in inspect.getmembers(Controller) if not name.startswith("_")]
    assert {"on_acked", "on_lost", "on_persistent_congestion", "pacing_rate", "window"} == set(members)
    now = 0.0
    for _ in range(50):
        now += 0.1
        controller.on_lost(loss(now, 5))
        controller.on_acked(ack(now, 1))
        assert controller.window >= MINIMUM_PACKETS * controller.packet_size
        assert controller.pacing_rate > 0
    controller.on_persistent_congestion(now)
    assert controller.window >= MINIMUM_PACKETS * controller.packet_size
    assert controller.pacing_rate > 0


def test_rule_4_a_window_leaves_a_quarter_faster_than_once_per_round_trip() -> None:
    """RFC 9002, section 7.7; in slow start twice as fast."""
    pacing = WindowPacing(rtt=0.2)
    assert pacing.rate(1000, slow_start=False) == pytest.approx(1.25 * 1000 / 0.2)
    assert pacing.rate(1000, slow_start=True) == pytest.approx(2 * 1000 / 0.2)
    pacing.rtt = 0.1
    assert pacing.rate(1000, slow_start=False) == pytest.approx(1.25 * 1000 / 0.1)


def test_before_the_first_ack_a_third_of_a_second_is_believed() -> None:
    """RFC 9002, section 6.2.2."""
    assert WindowPacing().rtt == pytest.approx(0.333)


def test_a_round_trip_without_length_is_no_division_by_zero() -> None:
    assert WindowPacing(rtt=0.0).rate(1000, slow_start=False) == pytest.approx(1.25e9)
