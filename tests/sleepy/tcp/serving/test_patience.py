"""`sleepy.tcp.serving.patience`: its rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.tcp.serving.patience import Limits, Patience, Wait

LIMITS = Limits(head=10.0, body=20.0, write=30.0, idle=60.0, linger=5.0, min_rate=100.0)
NEVER = Limits(head=None, body=None, write=None, idle=None, linger=5.0, min_rate=100.0)


def began(wait: Wait, limits: Limits = LIMITS) -> Patience:
    patience = Patience(limits, now=0.0)
    patience.begin(wait, moved=0, now=1000.0)
    return patience


@given(st.lists(st.floats(0, 1e4)))
def test_rule_1_our_own_work_has_no_limit(pauses: list[float]) -> None:
    patience, now = began(Wait.OURS), 1000.0
    for pause in pauses:
        now += pause
        assert patience.judge(Wait.OURS, 0, now) == 60.0  # to look again, not to give up


@pytest.mark.parametrize(("wait", "limit"), [(Wait.HEAD, 10.0), (Wait.IDLE, 60.0), (Wait.LINGER, 5.0)])
def test_rules_2_4_and_5_whatever_moves_the_time_is_fixed(wait: Wait, limit: float) -> None:
    patience = began(wait)
    for second in range(int(limit)):
        assert patience.judge(wait, 10**9 * second, 1000.0 + second) == limit - second
    assert patience.judge(wait, 10**12, 1000.0 + limit) == 0


@pytest.mark.parametrize(("wait", "period"), [(Wait.BODY, 20.0), (Wait.WRITE, 30.0)])
def test_rule_3_what_moves_at_the_least_rate_may_go_on_for_ever(wait: Wait, period: float) -> None:
    patience, moved, now = began(wait), 0, 1000.0
    for _ in range(100):
        moved, now = moved + int(period * 100), now + period
        assert patience.judge(wait, moved, now) == period
    assert patience.judge(wait, moved + int(period * 100) - 1, now + period) == 0


@given(st.lists(st.tuples(st.floats(0.1, 15), st.integers(0, 99)), min_size=1, max_size=50))
def test_rule_3_drips_end_with_the_first_period(drips: list[tuple[float, int]]) -> None:
    """However they are spread: at most 99 bytes per second in each look, and less than 100 in all periods."""
    patience, moved, now = began(Wait.BODY), 0, 1000.0
    for pause, rate in drips:
        moved, now = moved + int(pause * rate), now + pause
        left = patience.judge(Wait.BODY, moved, now)
        assert left is not None
        assert (left == 0) is (now >= 1020.0)
        if left == 0:
            return


def test_rule_3_without_a_rate_any_byte_will_do_but_one_there_must_be() -> None:
    limits = Limits(head=None, body=20.0, write=None, idle=None, linger=5.0, min_rate=0.0)
    patience = began(Wait.BODY, limits)
    assert patience.judge(Wait.BODY, 1, 1020.0) == 20.0
    assert patience.judge(Wait.BODY, 1, 1040.0) == 0


def test_what_begins_unnoticed_begins_when_it_is_seen() -> None:
    patience = began(Wait.IDLE)
    assert patience.judge(Wait.HEAD, 0, 1059.0) == 10.0
    assert patience.judge(Wait.HEAD, 0, 1068.0) == 1.0
    assert patience.judge(Wait.HEAD, 0, 1069.0) == 0


def test_a_connection_begins_idle() -> None:
    assert Patience(LIMITS, now=1000.0).judge(Wait.IDLE, 0, 1059.0) == 1.0


@pytest.mark.parametrize("wait", [wait for wait in Wait if wait is not Wait.LINGER])
def test_a_limit_of_none_is_none(wait: Wait) -> None:
    patience = began(wait, NEVER)
    assert patience.judge(wait, 0, 1e9) is None
    assert NEVER.of(wait) is None
