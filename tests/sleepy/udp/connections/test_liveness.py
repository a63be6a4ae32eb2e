"""Silence, of the peer's and of our own."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp.connections.liveness import PATIENCE, AwakeClock, Heartbeat


def test_time_passes_as_long_as_we_wake_in_time() -> None:
    clock = AwakeClock()
    clock.plan(110.0)
    assert clock.awake(105.0) == 105.0
    assert clock.awake(110.0 + PATIENCE) == 110.0 + PATIENCE


def test_time_in_which_we_were_away_did_not_pass() -> None:
    """Rule 4."""
    clock = AwakeClock()
    clock.plan(110.0)
    assert clock.awake(500.0) == 110.0
    assert clock.awake(501.0) == 111.0, "from then on it passes"
    clock.plan(112.0)
    assert clock.wanted == 502.0, "and what we want is told in real time"
    assert clock.awake(502.0) == 112.0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1000)), min_size=1, max_size=30))
def test_who_wakes_when_it_wanted_to_does_not_wake_a_little_too_early(naps: list[tuple[float, float]]) -> None:
    """Rounding, after pauses: at the real time that was planned the awake time has come as well. And it never goes back."""
    clock, now, last = AwakeClock(), 1e5, -inf
    for wait, late in naps:
        awake = clock.awake(now)
        assert awake >= last
        planned = awake + wait
        clock.plan(planned)
        now = clock.wanted
        assert clock.awake(now) >= planned
        last = clock.awake(now)
        now += late


def test_a_real_time_may_come_first() -> None:
    clock = AwakeClock()
    clock.plan(110.0, 105.0)
    assert clock.wanted == 105.0
    assert clock.awake(300.0) == 105.0


def test_the_peer_is_asked_once_and_then_gone() -> None:
    """Rules 1 to 3."""
    heartbeat = Heartbeat(10.0, 30.0, 100.0)
    assert heartbeat.next_timeout == 110.0
    assert not heartbeat.must_ask(109.9)
    assert heartbeat.must_ask(110.0)
    assert not heartbeat.must_ask(111.0)
    assert heartbeat.next_timeout == 130.0
    assert not heartbeat.is_gone(129.9)
    assert heartbeat.is_gone(130.0)
    heartbeat.on_heard(129.9)
    assert not heartbeat.is_gone(130.0)
    assert heartbeat.next_timeout == pytest.approx(139.9)
    assert heartbeat.must_ask(140.0)
