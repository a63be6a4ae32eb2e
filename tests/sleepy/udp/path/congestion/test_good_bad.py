"""The rules of sleepy/udp/path/congestion/good_bad.py."""

from sleepy.udp.path.congestion.good_bad import GoodBad
from tests.sleepy.udp.path.congestion.acks import ack


def feed(control: GoodBad, start: float, seconds: float, rtt: float) -> float:
    """Acks ten times a second; when that ended."""
    for step in range(round(seconds * 10)):
        control.on_acked(ack(start + step / 10, rtt=rtt))
    return start + seconds


def test_a_long_round_trip_makes_it_bad_at_once() -> None:
    """Rules 1 and 2: 30 packets a second, then 10."""
    control = GoodBad(1000)
    control.on_acked(ack(0.0, rtt=0.25))
    assert control.pacing_rate == 30_000
    control.on_acked(ack(0.1, rtt=0.26))
    assert control.pacing_rate == 10_000


def test_the_way_back_takes_the_whole_penalty_time() -> None:
    """Rule 3: a long round trip in between makes it begin anew. After 20 good seconds the penalty is 4 / 2 / 2 = 1 s."""
    control = GoodBad()
    now = feed(control, 0.0, 20.2, 0.1)
    assert control.penalty == 1.0
    now = feed(control, now, 0.1, 0.3)
    now = feed(control, now, 0.9, 0.1)
    now = feed(control, now, 0.1, 0.3)
    now = feed(control, now, 0.9, 0.1)
    assert not control.good
    feed(control, now, 0.2, 0.1)
    assert control.good


def test_going_wrong_soon_doubles_the_penalty_up_to_a_minute() -> None:
    """Rule 4."""
    control, now, penalties = GoodBad(), 0.0, []
    for _ in range(6):
        now = feed(control, now, 0.2, 0.3)
        penalties.append(control.penalty)
        now = feed(control, now, control.penalty + 0.5, 0.1)
        assert control.good
    assert penalties == [8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_good_times_halve_the_penalty_down_to_a_second() -> None:
    """Rule 4, the other way."""
    control, now, penalties = GoodBad(), 0.05, []
    for _ in range(4):
        now = feed(control, now, 10.0, 0.1)
        penalties.append(control.penalty)
    assert penalties == [4.0, 2.0, 1.0, 1.0]


def test_going_wrong_late_does_not_double() -> None:
    """Rule 4: after ten good seconds the penalty stays as it is."""
    control = GoodBad()
    now = feed(control, 0.05, 10.5, 0.1)
    before = control.penalty
    feed(control, now, 0.1, 0.3)
    assert control.penalty == before
