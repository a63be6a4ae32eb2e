"""`sleepy.tcp.latency`: its three rules."""

from hypothesis import given
from hypothesis import strategies as st

from sleepy.tcp.latency import FIRST, SLACK, Latency


def after(*samples: float) -> Latency:
    latency = Latency()
    for sample in samples:
        latency.add(sample)
    return latency


def test_the_estimate_is_that_of_rfc_6298() -> None:
    """Section 2.2: the mean is the first sample, its deviation half of it. Section 2.3: then gains of 1/8 and 1/4."""
    assert after(1.0).limit == 1.0 + 4 * 0.5
    assert after(1.0, 2.0).limit == (1.0 + 1.0 / 8) + 4 * (0.5 + (1.0 - 0.5) / 4)


@given(st.floats(0.0, 100.0))
def test_rule_1_answers_that_are_all_alike_leave_some_slack(usual: float) -> None:
    limit = after(*[usual] * 100).limit
    assert usual + SLACK <= limit + 1e-9
    assert limit <= usual + SLACK + 1e-6


@given(st.floats(1.0, 1e6))
def test_rule_2_one_that_lies_far_out_is_as_one_on_the_edge(huge: float) -> None:
    usual = after(*[0.1] * 100)
    assert after(*[0.1] * 100, huge).limit == after(*[0.1] * 100, usual.limit).limit


@given(st.floats(0.001, 1.0), st.floats(1.0, 1000.0))
def test_rule_2_when_all_are_slow_that_is_usual(quick: float, slow: float) -> None:
    """It takes the longer the more slowly they come now, but not in proportion: 24 answers for a factor of a million."""
    latency = after(*[quick] * 100, *[slow] * 24)
    assert latency.limit >= slow
    for _ in range(100):
        latency.add(slow)
    assert slow <= latency.limit <= slow + 2 * SLACK


def test_rule_3_before_the_first_there_is_patience() -> None:
    assert after().limit == FIRST
