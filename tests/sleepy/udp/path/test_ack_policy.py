"""The rules of sleepy/udp/path/ack_policy.py."""

from math import inf

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, floats, integers, lists, tuples

from sleepy.udp.path.ack_policy import MOST_PACKETS, AckPolicy


def test_what_wants_an_ack_gets_it_within_the_promise() -> None:
    """Rule 1: the first packet counts, later ones do not put it off."""
    policy = AckPolicy(max_ack_delay=0.025)
    policy.on_received(0, 1.0, ack_eliciting=True)
    policy.on_received(1, 1.02, ack_eliciting=True)
    assert policy.next_timeout == pytest.approx(1.025)
    assert policy.waiting_since == 1.0
    policy.on_sent()
    assert policy.next_timeout == inf


def test_the_newest_packet_is_the_one_that_an_ack_names_first() -> None:
    """When it came, not when the last one did: how long it waited is what the peer takes off the round trip."""
    policy = AckPolicy()
    policy.on_received(5, 1.0, ack_eliciting=True)
    assert policy.newest_time == 1.0
    policy.on_received(4, 1.1, ack_eliciting=True)
    assert policy.newest_time == 1.0
    policy.on_received(6, 1.2, ack_eliciting=False)
    assert policy.newest_time == 1.2


def test_after_so_many_packets_at_once() -> None:
    """Rule 2: packets of any kind count, since each pushes the others out of the 32 bits."""
    policy = AckPolicy(packets=10)
    for sequence in range(9):
        policy.on_received(sequence, 1.0, ack_eliciting=sequence == 0)
    assert policy.next_timeout > 1.0
    policy.on_received(9, 1.0, ack_eliciting=False)
    assert policy.next_timeout == 1.0


def test_gaps_are_told_at_once() -> None:
    """Rule 3: a gap, and what fills it; also where numbers wrap."""
    for first in (0, 0xFFFE):
        policy = AckPolicy()
        for sequence in (first // 3, first // 3 * 2, first):
            policy.on_received(sequence, 0.5, ack_eliciting=True)
        policy.on_sent()
        policy.on_received((first + 2) & 0xFFFF, 1.0, ack_eliciting=True)
        assert policy.next_timeout == 1.0
        policy.on_sent()
        policy.on_received((first + 1) & 0xFFFF, 1.1, ack_eliciting=True)
        assert policy.next_timeout == 1.1
        policy.on_sent()
        policy.on_received((first + 3) & 0xFFFF, 1.2, ack_eliciting=True)
        assert policy.next_timeout > 1.2


def test_two_silent_peers_stay_silent() -> None:
    """Rule 5: ack-only packets, in order or not, as many as you like."""
    policy = AckPolicy()
    for sequence in (0, 1, 5, 3, *range(6, 100)):
        policy.on_received(sequence, 1.0, ack_eliciting=False)
    assert policy.next_timeout == inf
    assert policy.waiting_since is None


def test_a_gap_before_acks_only_hastens_nothing() -> None:
    """Rules 3 and 5: nobody waits to hear of lost acks."""
    policy = AckPolicy()
    policy.on_received(0, 1.0, ack_eliciting=True)
    policy.on_received(2, 1.01, ack_eliciting=False)
    assert policy.next_timeout == pytest.approx(1.025)


@given(lists(tuples(integers(0, 3), booleans(), floats(0, 0.05)), max_size=200))
def test_no_more_than_24_packets_go_unanswered(packets: list[tuple[int, bool, float]]) -> None:
    """Rules 1 and 2, whatever arrives: who obeys keeps both promises."""
    policy, now, sequence = AckPolicy(packets=MOST_PACKETS), 0.0, -1
    unanswered, since = 0, inf
    for skipped, eliciting, pause in packets:
        if now + pause >= policy.next_timeout:
            policy.on_sent()
            unanswered, since = 0, inf
        now += pause
        sequence += 1 + skipped
        policy.on_received(sequence & 0xFFFF, now, ack_eliciting=eliciting)
        unanswered += 1
        since = min(since, now) if eliciting else since
        assert policy.next_timeout <= since + 0.025 + 1e-9
        assert (policy.next_timeout == inf) == (since == inf)
        if since < inf and unanswered >= MOST_PACKETS:
            assert policy.next_timeout <= now


@pytest.mark.parametrize("packets", [0, 25])
def test_impossible_figures_are_refused(packets: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 24"):
        AckPolicy(packets=packets)


def test_who_reads_many_at_once_answers_in_between() -> None:
    """Rules 4 and 5: at the 16th that is not answered; not if nobody waits for an answer."""
    policy = AckPolicy(packets=4)
    for sequence in range(40):
        policy.on_received(sequence, 1.0, ack_eliciting=True)
        assert policy.crowded == (sequence % 16 == 15)
        if policy.crowded:
            policy.on_sent()
    for sequence in range(40, 80):
        policy.on_sent() if sequence == 40 else None
        policy.on_received(sequence, 1.0, ack_eliciting=False)
        assert not policy.crowded
