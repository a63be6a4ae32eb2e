"""The rules of sleepy/udp/path/congestion/delivery_rate.py."""

import pytest

from sleepy.udp.path.congestion.delivery_rate import DeliveryRate


def test_the_rate_is_what_was_acked_since_the_sending() -> None:
    """Four packets, one each 10 ms, a round trip of 40 ms: 100 packets a second."""
    rate = DeliveryRate()
    marks = [rate.on_sent(1000 * number, number * 0.01) for number in range(4)]
    for number in range(4):
        rate.on_acked(1000, number * 0.01, marks[number], 0.04 + number * 0.01)
    mark = rate.on_sent(1000, 0.07)
    assert rate.on_acked(1000, 0.07, mark, 0.11) == pytest.approx(1000 / 0.04)
    assert rate.delivered == 5000


def test_a_clump_of_acks_does_not_look_like_a_fast_path() -> None:
    """Rule 1.

    A packet each 10 ms; the first ack comes after 300 ms, and 60 ms later all the others at once. By the acks
    that is 31 packets in 60 ms; sent they were in 310.
    """
    rate = DeliveryRate()
    first = rate.on_sent(0, 0.0)
    for number in range(1, 31):
        rate.on_sent(1000 * number, 0.01 * number)
    rate.on_acked(1000, 0.0, first, 0.3)
    last = rate.on_sent(30_000, 0.31)
    assert rate.on_acked(31_000, 0.31, last, 0.36) == pytest.approx(100_000)


def test_silence_does_not_count() -> None:
    """Rule 2: after an hour with nothing under way the rate is that of the packet alone."""
    rate = DeliveryRate()
    rate.on_acked(1000, 0.0, rate.on_sent(0, 0.0), 0.1)
    mark = rate.on_sent(0, 3600.0)
    assert rate.on_acked(1000, 3600.0, mark, 3600.1) == pytest.approx(10_000)


def test_samples_are_marked_until_what_was_under_way_is_delivered() -> None:
    """Rule 3."""
    rate = DeliveryRate()
    first, second = rate.on_sent(0, 0.0), rate.on_sent(1000, 0.0)
    rate.on_app_limited(2000)
    third = rate.on_sent(2000, 0.01)
    assert (first.app_limited, second.app_limited, third.app_limited) == (False, False, True)
    rate.on_acked(2000, 0.0, second, 0.1)
    assert rate.on_sent(1000, 0.1).app_limited
    rate.on_acked(1000, 0.01, third, 0.11)
    assert not rate.on_sent(0, 0.2).app_limited


def test_no_time_no_rate() -> None:
    """An ack in the same moment (a loopback's clock) gives no sample rather than an infinite one."""
    rate = DeliveryRate()
    assert rate.on_acked(1000, 1.0, rate.on_sent(0, 1.0), 1.0) == 0


def test_packets_sent_between_two_acks_share_a_mark_unless_nothing_is_under_way() -> None:
    """Rule 2: also if what was under way was lost, so that no ack came since."""
    rate = DeliveryRate()
    first, second = rate.on_sent(0, 0.0), rate.on_sent(1000, 1.0)
    assert first is second
    assert rate.on_sent(0, 5.0).first_sent_time == 5.0
