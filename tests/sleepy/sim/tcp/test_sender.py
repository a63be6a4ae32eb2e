"""`sleepy.sim.tcp.sender`: what is lost, what goes next, and when."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.sim.tcp.round_trip import RoundTrip
from sleepy.sim.tcp.sender import LONGEST_ACK_DELAY, MOST_EXPIRIES, Outgoing, Sender

MSS = 100
FIRST = 5000
RTT = 0.1
WINDOW = 1 << 20


def sender(segments: int = 0, window: int = WINDOW) -> Sender:
    """One that has measured a round trip, and has so many segments to send."""
    round_trip = RoundTrip()
    for _ in range(30):
        round_trip.sample(RTT)
    sending = Sender(FIRST, MSS, round_trip)
    sending.edge = FIRST + window
    sending.write(bytes(segments * MSS))
    return sending


def drain(sending: Sender, now: float = 0.0) -> list[int]:
    """All that may go now, as the indexes of full segments."""
    indexes = []
    while (outgoing := sending.segment(now)) is not None:
        indexes.append((outgoing.seq - FIRST) // MSS)
    return indexes


def seq(index: int) -> int:
    return FIRST + index * MSS


def ranges(*spans: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple((seq(start), seq(end)) for start, end in spans)


def test_what_is_written_goes_out_in_segments_and_a_fin_ends_it() -> None:
    sending = sender()
    sending.write(b"x" * 150)
    sending.finish()
    assert [sending.segment(0.0) for _ in range(3)] == [
        Outgoing(FIRST, b"x" * 100, fin=False),
        Outgoing(FIRST + 100, b"x" * 50, fin=True),
        None,
    ]
    assert not sending.finished
    assert sending.acknowledge(FIRST + 151, (), WINDOW, RTT) == 151
    assert sending.finished
    assert sending.wake == math.inf


def test_the_window_limits_what_is_under_way() -> None:
    sending = sender(50)
    assert drain(sending) == list(range(10))
    sending.acknowledge(seq(2), (), WINDOW, RTT)
    assert drain(sending, RTT) == [10, 11, 12, 13]


def test_an_ack_of_what_was_never_sent_is_passed_over() -> None:
    sending = sender(5)
    drain(sending)
    assert sending.acknowledge(seq(6), (), WINDOW, RTT) == 0
    assert sending.acked == FIRST


def test_rule_1_three_segments_beyond_a_hole_prove_the_loss() -> None:
    sending = sender(10)
    drain(sending)
    for arrived in (2, 3):
        sending.acknowledge(FIRST, ranges((1, arrived)), WINDOW, RTT)
        assert drain(sending, RTT) == []
    sending.acknowledge(FIRST, ranges((1, 4)), WINDOW, RTT)
    assert drain(sending, RTT) == [0]


def test_rule_1_fewer_prove_it_a_quarter_of_a_round_trip_later() -> None:
    sending = sender(3)
    drain(sending)
    sending.acknowledge(FIRST, ranges((1, 2)), WINDOW, RTT)
    assert sending.wake == pytest.approx(1.25 * RTT)
    sending.tick(1.24 * RTT)
    assert drain(sending, 1.24 * RTT) == []
    sending.tick(sending.wake)
    assert drain(sending, 1.25 * RTT) == [0]


def test_rule_1_what_comes_in_time_was_only_reordered() -> None:
    sending = sender(3)
    drain(sending)
    sending.acknowledge(FIRST, ranges((1, 2)), WINDOW, RTT)
    sending.acknowledge(seq(2), (), WINDOW, 1.1 * RTT)
    sending.tick(2 * RTT)
    assert drain(sending, 2 * RTT) == []


def test_rule_1_a_resent_segment_that_is_lost_again_is_noticed() -> None:
    """By what was sent after it, though its number is the lowest."""
    sending = sender(30)
    drain(sending)
    sending.acknowledge(FIRST, ranges((1, 8)), WINDOW, RTT)
    assert drain(sending, RTT)[0] == 0
    assert drain(sending, RTT) == []
    sending.acknowledge(FIRST, ranges((1, 11)), WINDOW, 2 * RTT)
    assert drain(sending, 2 * RTT)[0] == 0


def test_rule_1_an_ack_too_soon_for_the_second_copy_was_for_the_first() -> None:
    """So it does not tell that what was sent between the two is lost."""
    sending = sender(5)
    drain(sending)
    sending.tick(2 * RTT)
    assert drain(sending, 2 * RTT) == [4]
    sending.acknowledge(FIRST, ranges((4, 5)), WINDOW, 2.3 * RTT)
    assert drain(sending, 2.3 * RTT) == []


def test_rule_2_all_losses_of_one_window_halve_it_once() -> None:
    sending = sender(100)
    drain(sending)
    sending.acknowledge(FIRST, ranges((1, 4)), WINDOW, RTT)
    assert sending.congestion.window == 5
    sending.acknowledge(FIRST, ranges((1, 4), (5, 10)), WINDOW, RTT)  # 4 is lost too
    sending.acknowledge(seq(4), ranges((5, 10)), WINDOW, 2 * RTT)
    assert sending.congestion.window == 5
    drain(sending, 2 * RTT)
    end = sending.next
    sending.acknowledge(end, (), WINDOW, 3 * RTT)  # the recovery is over
    drain(sending, 3 * RTT)
    hole = (end - FIRST) // MSS
    sending.acknowledge(end, ranges((hole + 1, hole + 4)), WINDOW, 4 * RTT)
    assert sending.congestion.window < 6


def test_rules_2_and_3_the_first_hole_at_once_the_rest_as_there_is_room() -> None:
    sending = sender(100)
    drain(sending)
    sending.acknowledge(FIRST, ranges((6, 9)), WINDOW, RTT)  # 0 to 5 are lost, 9 is under way, the window is 5
    assert drain(sending, RTT) == [0, 1, 2, 3]
    assert sending.flight == 5
    sending.acknowledge(seq(2), ranges((6, 10)), WINDOW, 2 * RTT)
    assert drain(sending, 2 * RTT) == [4, 5, 10]


def test_rule_4_holes_first() -> None:
    sending = sender(100)
    drain(sending)
    sending.acknowledge(seq(1), ranges((2, 9)), WINDOW, RTT)
    assert drain(sending, RTT)[:2] == [1, 10]


def test_rule_5_a_timeout_begins_anew_with_one_segment() -> None:
    sending = sender(5)
    drain(sending)
    probe_at = sending.wake
    sending.tick(probe_at)
    assert drain(sending, probe_at) == [4]
    expiry = sending.wake
    assert expiry == pytest.approx(RTT + 0.2)
    sending.tick(expiry)
    assert drain(sending, expiry) == [0]
    assert sending.congestion.window == 1
    assert sending.wake == pytest.approx(expiry + 2 * (RTT + 0.2))
    sending.acknowledge(seq(1), (), WINDOW, expiry + RTT)
    assert drain(sending, expiry + RTT) == [1, 2]


def test_rule_5_expiries_in_a_row_halve_the_threshold_once() -> None:
    sending = sender(100)
    drain(sending)
    for _ in range(3):
        sending.tick(sending.wake)
        drain(sending, sending.wake)
    assert sending.round_trip.expiries >= 2
    assert sending.congestion.threshold == 5


def test_rule_5_karn_what_was_sent_twice_gives_no_sample() -> None:
    sending = sender(5)
    drain(sending)
    for _ in range(2):
        sending.tick(sending.wake)
        drain(sending, sending.wake)
    before = sending.round_trip.mean
    sending.acknowledge(seq(1), (), WINDOW, 50.0)
    assert sending.round_trip.mean == before
    drain(sending, 50.0)


@pytest.mark.parametrize(("segments", "patience"), [(5, 2 * RTT), (1, 2 * RTT + LONGEST_ACK_DELAY)])
def test_rule_6_the_last_segment_probes_once_for_a_lost_end(segments: int, patience: float) -> None:
    sending = sender(segments)
    drain(sending)
    expiry = RTT + 0.2
    assert sending.wake == pytest.approx(min(patience, expiry))
    sending.tick(sending.wake)
    assert drain(sending, patience) == [segments - 1 if patience < expiry else 0]


def test_rule_6_a_probe_carries_new_data_if_there_is_any() -> None:
    sending = sender(12)
    assert drain(sending)[-1] == 9
    sending.tick(sending.wake)
    assert drain(sending, 2 * RTT) == [10]


def test_rule_6_the_ack_of_a_probe_uncovers_the_holes() -> None:
    sending = sender(3)
    drain(sending)
    sending.tick(2 * RTT)
    assert drain(sending, 2 * RTT) == [2]
    sending.acknowledge(FIRST, ranges((2, 3)), WINDOW, 3 * RTT)
    assert drain(sending, 3 * RTT) == [0, 1]


def test_rule_7_the_peers_window_is_respected_and_asked_for_when_it_is_shut() -> None:
    sending = sender(5, window=2 * MSS)
    assert drain(sending) == [0, 1]
    sending.acknowledge(seq(2), (), 0, RTT)
    assert sending.segment(RTT) is None
    waits = []
    now = RTT
    for _ in range(4):
        waits.append(sending.wake - now)
        now = sending.wake
        sending.tick(now)
        assert sending.segment(now) == Outgoing(seq(2) - 1, b"", fin=False)
        assert sending.segment(now) is None
    assert waits == pytest.approx([0.3, 0.6, 1.2, 2.4])
    sending.acknowledge(seq(2), (), 10 * MSS, now)
    assert drain(sending, now) == [2, 3, 4]
    assert not sending.gave_up


def test_rule_7_a_window_that_cuts_a_segment_short_is_waited_for() -> None:
    sending = sender(5, window=250)
    assert drain(sending) == [0, 1]
    sending.acknowledge(seq(2), (), 50, RTT)  # nothing is under way any more: better a short one than none
    assert sending.segment(RTT) == Outgoing(seq(2), bytes(50), fin=False)


def test_rule_8_a_peer_that_never_answers_is_given_up() -> None:
    sending = sender(1)
    drain(sending)
    while not sending.gave_up:
        now = sending.wake
        sending.tick(now)
        drain(sending, now)
    assert sending.round_trip.expiries == MOST_EXPIRIES + 1
    assert 600 < now < 1500


def test_rule_9_with_nagles_algorithm_small_things_wait_for_small_things() -> None:
    sending = sender()
    sending.nodelay = False
    sending.write(b"a")
    assert sending.segment(0.0) == Outgoing(FIRST, b"a", fin=False)  # nothing is under way: at once
    for letter in (b"b", b"c"):
        sending.write(letter)
        assert sending.segment(0.01) is None
    sending.acknowledge(FIRST + 1, (), WINDOW, RTT)
    assert sending.segment(RTT) == Outgoing(FIRST + 1, b"bc", fin=False)


def test_rule_9_what_fills_a_segment_does_not_wait_and_holds_up_nobody() -> None:
    sending = sender()
    sending.nodelay = False
    sending.write(b"a")
    sending.segment(0.0)
    sending.write(bytes(MSS))
    assert sending.segment(0.01) == Outgoing(FIRST + 1, bytes(MSS), fin=False)
    sending.acknowledge(FIRST + 1, (), WINDOW, RTT)  # of the small one; the full one is under way
    sending.write(b"b")
    assert sending.segment(RTT) == Outgoing(FIRST + 1 + MSS, b"b", fin=False)


def test_rule_9_the_end_does_not_wait() -> None:
    sending = sender()
    sending.nodelay = False
    sending.write(b"a")
    sending.segment(0.0)
    sending.write(b"b")
    sending.finish()
    assert sending.segment(0.01) == Outgoing(FIRST + 1, b"b", fin=True)


def test_rule_9_it_is_off_unless_asked_for() -> None:
    sending = sender()
    for place, letter in enumerate((b"a", b"b")):
        sending.write(letter)
        assert sending.segment(0.0) == Outgoing(FIRST + place, letter, fin=False)


@given(st.data())
def test_whatever_is_lost_all_arrives_and_nothing_stays_under_way(data: st.DataObject) -> None:
    """Against a receiver that tells the truth, over a path that loses as Hypothesis pleases."""
    total = data.draw(st.integers(1, 60))
    sending, arrived, now = sender(total), set[int](), 0.0
    losses = data.draw(st.lists(st.booleans(), max_size=150))
    fate = iter(losses)
    for _ in range(1000):
        acks = 0
        for index in drain(sending, now):
            if not next(fate, False):
                arrived.add(index)
                acks += 1
        assert 0 <= sending.flight <= max(sending.congestion.window, 2) + 10
        if acks:
            now += RTT
            first = next(i for i in range(total + 1) if i not in arrived)
            beyond = tuple((seq(i), seq(i + 1)) for i in sorted(arrived) if i > first)
            sending.acknowledge(seq(first), beyond, WINDOW, now)
        elif sending.acked == seq(total):
            break
        else:
            now = max(now, sending.wake)
            sending.tick(now)
    assert sending.acked == seq(total)
    assert (sending.flight, sending.buffered, sending.wake) == (0, 0, math.inf)
