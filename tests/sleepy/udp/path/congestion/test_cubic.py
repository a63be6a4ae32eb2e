"""The rules of sleepy/udp/path/congestion/cubic.py. The figures were worked out by hand from RFC 9438."""

import pytest

from sleepy.udp.path.congestion.cubic import ALPHA, Cubic, Curve
from tests.sleepy.udp.path.congestion.acks import ack, loss

SIZE = 1000  # bytes, so that windows are read in packets


def grown(packets: int) -> Cubic:
    """A control in slow start, with so many packets as window."""
    cubic = Cubic(SIZE)
    cubic.on_acked(ack(0.1, packets - 10, packet_size=SIZE))
    assert cubic.window == packets * SIZE
    return cubic


def run(cubic: Cubic, start: float, seconds: float, rtt: float = 0.1) -> None:
    """A window is acked per round trip, in ten portions."""
    for step in range(round(seconds / rtt * 10)):
        now = start + (step + 1) * rtt / 10
        cubic.on_acked(ack(now, cubic.window / SIZE / 10, sent_time=start + 1e-6, rtt=rtt, packet_size=SIZE))


def test_the_curve_has_the_figures_of_the_rfc() -> None:
    """Rule 1, RFC 9438 section 4.2.

    w_max = 100: k = cbrt((100 - 70) / 0.4) = cbrt(75) = 4.21716; one second before and
    after, C * 1 = 0.4 packets from w_max; two seconds beyond, 0.4 * 8 = 3.2 above.
    """
    curve = Curve(70.0, 100.0, 10.0)
    assert curve.k == pytest.approx(4.21716, abs=1e-5)
    assert curve.at(10.0) == pytest.approx(70.0)
    assert curve.at(10.0 + 4.21716) == pytest.approx(100.0)
    assert curve.at(10.0 + 3.21716) == pytest.approx(99.6, abs=1e-4)
    assert curve.at(10.0 + 6.21716) == pytest.approx(103.2, abs=1e-4)


def test_the_friendly_share_is_that_of_the_rfc() -> None:
    """Rule 3, section 4.3: 3 * (1 - 0.7) / (1 + 0.7) = 0.9 / 1.7."""
    assert pytest.approx(0.529412, abs=1e-6) == ALPHA


def test_a_loss_multiplies_by_seven_tenths_and_the_window_is_back_after_k() -> None:
    """Rules 1 and 2: 1000 packets; k = cbrt(300 / 0.4) = 9.0856 s; flat around it."""
    cubic = grown(1000)
    cubic.on_lost(loss(1.0))
    assert cubic.window == 700 * SIZE
    run(cubic, 1.0, 4.5)
    half = cubic.window / SIZE
    assert half == pytest.approx(1000 - 0.4 * (9.0856 - 4.5) ** 3, rel=0.01)  # 961.4
    run(cubic, 5.5, 4.5)
    assert cubic.window / SIZE == pytest.approx(1000, rel=0.005)


def test_on_a_short_path_it_is_no_slower_than_reno() -> None:
    """Rule 3.

    At 5 ms, with 11 packets before the loss: the curve needs k = cbrt(3.3 / 0.4) = 2.02 s, an estimate that adds 0.53
    packets per round trip 6 round trips.
    """
    cubic = grown(11)
    cubic.on_lost(loss(1.0))
    run(cubic, 1.0, 0.05, rtt=0.005)
    assert cubic.window / SIZE > 11 * 0.7 + 8 * ALPHA


def test_beyond_the_old_window_the_estimate_grows_as_reno() -> None:
    """Rule 3: 20 round trips of 5 ms: 7 from 7.7 to 11 packets, and then one packet each, so 24; with 0.53 it were 18."""
    cubic = grown(11)
    cubic.on_lost(loss(1.0))
    run(cubic, 1.0, 0.1, rtt=0.005)
    assert 21 < cubic.window / SIZE < 26


def test_the_target_is_where_the_curve_will_be_in_a_round_trip() -> None:
    """Rule 2: 70 packets at 1 s, a window acked at 2 s: 100 - 0.4 * (4.21716 - 1.1) ** 3 = 87.884."""
    cubic = grown(100)
    cubic.on_lost(loss(1.0))
    cubic.on_acked(ack(2.0, 70, packet_size=SIZE))
    assert cubic.window / SIZE == pytest.approx(87.884, abs=0.01)


def test_fast_convergence_leaves_room() -> None:
    """Rule 4: 100, then a loss at 70, which is below: w_max = 70 * 1.7 / 2 = 59.5, and the window 49."""
    cubic = grown(100)
    cubic.on_lost(loss(1.0))
    cubic.on_lost(loss(2.0))
    assert cubic._w_max == pytest.approx(59.5)
    assert cubic.window == pytest.approx(49 * SIZE)


def test_a_target_is_at_most_half_a_window_ahead() -> None:
    """Rule 2: far beyond the curve's middle a window of acks adds half a window at most."""
    cubic = grown(10 + 1)
    cubic.on_lost(loss(1.0))
    window = cubic.window / SIZE
    cubic.on_acked(ack(60.0, window, sent_time=59.9, packet_size=SIZE))
    assert cubic.window / SIZE == pytest.approx(1.5 * window, abs=0.01)


def test_idle_time_is_not_on_the_curve() -> None:
    """Rule 5: an hour with too little to send, and the window goes on where it was."""
    cubic, steady = grown(1000), grown(1000)
    for control in (cubic, steady):
        control.on_lost(loss(1.0))
        run(control, 1.0, 2.0)
    for step in range(360):
        cubic.on_acked(ack(3.0 + 10.0 * step, 1, app_limited=True, packet_size=SIZE))
    run(cubic, 3.0 + 3600, 1.0)
    run(steady, 3.0, 1.0)
    assert cubic.window == pytest.approx(steady.window, rel=0.02)


def test_after_persistent_congestion_slow_start_then_a_curve_of_its_own() -> None:
    """Rule 6: up to the threshold of the loss before, and on from there without looking back."""
    cubic = grown(100)
    cubic.on_lost(loss(1.0))
    cubic.on_persistent_congestion(9.0)
    assert cubic.window == 2 * SIZE
    cubic.on_acked(ack(10.0, 68, packet_size=SIZE))
    assert cubic.window == 70 * SIZE
    cubic.on_acked(ack(10.1, 7, packet_size=SIZE))
    assert cubic._curve is not None
    assert cubic._curve.k == 0
    assert 70 * SIZE < cubic.window < 71 * SIZE
