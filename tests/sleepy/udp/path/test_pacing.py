"""The rules of sleepy/udp/path/pacing.py."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis.strategies import floats, lists, tuples

from sleepy.udp.path.pacing import BURST_PACKETS, Pacer

RATE = 120_000.0  # bytes per second: a packet of 1200 bytes each 10 ms


def burst(pacer: Pacer, now: float, rate: float = RATE) -> int:
    """How many packets leave at this moment."""
    packets = 0
    while pacer.can_send(now):
        pacer.on_sent(1200, now, rate)
        packets += 1
    return packets


def test_packets_leave_one_after_the_other() -> None:
    """Rule 1: after the burst one each 10 ms, and exactly when it was said."""
    pacer = Pacer()
    burst(pacer, 5.0)
    times = []
    for _ in range(50):
        times.append(pacer.next_time)
        assert burst(pacer, pacer.next_time) == 1
    assert [later - earlier for earlier, later in pairwise(times)] == pytest.approx([0.01] * 49)


def test_a_burst_has_ten_packets_however_long_the_pause() -> None:
    """Rule 2."""
    pacer = Pacer()
    assert burst(pacer, 0.0) == BURST_PACKETS
    assert burst(pacer, 1000.0) == BURST_PACKETS


def test_late_timers_cost_nothing() -> None:
    """Rule 2: at 1 Gbit/s, woken a millisecond late each time, as much leaves as if woken in time."""
    pacer, rate, now, sent = Pacer(), 125e6, 0.0, 0
    while now < 1.0:
        sent += burst(pacer, now, rate)
        now = pacer.next_time + 0.001
    assert sent * 1200 == pytest.approx(rate, rel=0.01)


def test_a_new_rate_counts_from_the_next_packet_on() -> None:
    pacer = Pacer()
    burst(pacer, 0.0)
    start = pacer.next_time
    pacer.on_sent(1200, start, 10 * RATE)
    assert pacer.next_time - start == pytest.approx(0.001)


@given(lists(tuples(floats(0, 0.2), floats(1, 1200)), min_size=1, max_size=300))
def test_no_stretch_of_time_carries_more_than_its_share(steps: list[tuple[float, float]]) -> None:
    """Rule 3, whenever we are woken."""
    pacer, now, sent = Pacer(), 0.0, []
    for pause, size in steps:
        now += pause
        while pacer.can_send(now):
            pacer.on_sent(int(size) + 1, now, RATE)
            sent.append((now, int(size) + 1))
    total = 0.0  # the most that any stretch ending here exceeds its share by
    last = 0.0
    for time, size in sent:
        total = max(0.0, total - (time - last) * RATE) + size
        last = time
        assert total <= BURST_PACKETS * 1200 + 1200 + 1e-3
