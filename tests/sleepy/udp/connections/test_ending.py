"""Leaving, as one side sees it."""

from math import inf

import pytest

from sleepy.udp.connections.connection_errors import GOING_AWAY, ClosedByPeer, ClosedLocally, TimedOut
from sleepy.udp.connections.ending import COPIES, PERIODS, Ending, State
from sleepy.udp.delivery.chunks import Close

CLOSE = Close(3, "enough")


def test_it_is_said_again_and_again_until_it_is_over() -> None:
    """Rules 2, 4 and 5."""
    ending = Ending()
    assert ending.next_timeout == inf
    ending.leave(CLOSE, 10.0, 1.0)
    assert ending.error is None, "of our own will: it is over when the other side knows"
    said = []
    while ending.next_timeout < inf:
        now = ending.next_timeout
        if ending.speak(now):
            said.append(now)
        ending.on_time(now, delivered=True, patience=1.0)
    assert len(said) == COPIES + 1
    assert said[-1] == 10.0 + PERIODS
    assert ending.state is State.FINISHED
    assert isinstance(ending.error, ClosedLocally)
    assert (ending.error.code, ending.error.reason) == (3, "enough")


def test_an_ack_ends_it_at_once() -> None:
    ending = Ending()
    ending.leave(CLOSE, 0.0, 1.0)
    assert ending.speak(0.0) == CLOSE.encode()
    carrier, *what = ending.token()
    carrier.on_acked(*what)
    assert ending.speak(9.0) is None
    ending.on_time(0.1, delivered=True, patience=1.0)
    assert ending.state is State.FINISHED


def test_who_hears_it_answers_each_copy_for_a_while() -> None:
    """Rule 3."""
    ending = Ending()
    assert not ending.answer()
    ending.on_peer_close(CLOSE, 0.0, 1.0)
    assert isinstance(ending.error, ClosedByPeer)
    assert [ending.answer(), ending.answer()] == [True, False]
    ending.on_peer_close(Close(9, "a copy, or not"), 1.0, 1.0)
    assert ending.answer()
    assert ending.error.code == 3, "rule 5: the first reason counts"
    ending.on_time(3.9, delivered=True, patience=1.0)
    assert ending.state is State.DRAINING
    ending.on_time(4.0, delivered=True, patience=1.0)
    assert ending.state is State.FINISHED


def test_lingering_ends_when_all_has_arrived_or_time_is_up() -> None:
    """Rule 1."""
    for delivered, now in ((True, 1.0), (False, 5.0)):
        ending = Ending()
        ending.linger(CLOSE, 5.0)
        ending.on_time(0.9, delivered=False, patience=1.0)
        assert ending.state is State.LINGERING
        assert ending.is_open
        ending.on_time(now, delivered=delivered, patience=1.0)
        assert ending.state is State.CLOSING


def test_two_who_leave_at_once_both_know() -> None:
    """Rule 2: the other one's word is as good as an ack of ours; nothing more is said."""
    ending = Ending()
    ending.leave(CLOSE, 0.0, 1.0)
    assert ending.speak(0.0)
    ending.on_peer_close(Close(9, "me too"), 0.1, 1.0)
    assert ending.speak(10.0) is None
    ending.on_time(0.1, delivered=True, patience=1.0)
    assert ending.state is State.FINISHED
    assert isinstance(ending.error, ClosedLocally)  # rule 5: the first reason


def test_nothing_ends_twice() -> None:
    ending = Ending()
    first = TimedOut("silence")
    ending.finish(first)
    ending.leave(CLOSE, 0.0, 1.0)
    ending.linger(CLOSE, 9.0)
    ending.finish(TimedOut("again"))
    assert ending.error is first
    assert ending.state is State.FINISHED
    assert ending.speak(0.0) is None


def test_who_is_about_to_leave_answers_once() -> None:
    """Rule 3: it waits for no copies, whether it was lingering or its socket is closed."""
    lingering, leaving = Ending(), Ending()
    lingering.linger(CLOSE, 5.0)
    lingering.on_peer_close(Close(9, "me too"), 1.0, 1.0)
    leaving.on_peer_close(Close(9, "me too"), 1.0, 1.0)
    leaving.cut_short(1.0)
    for ending in (lingering, leaving):
        assert ending.next_timeout == 1.0
        assert ending.answer()
        ending.on_time(1.0, delivered=False, patience=1.0)
        assert ending.state is State.FINISHED
        assert isinstance(ending.error, ClosedByPeer)


def test_only_who_has_left_is_cut_short() -> None:
    ending = Ending()
    ending.linger(CLOSE, 5.0)
    ending.cut_short(1.0)
    assert ending.next_timeout == 5.0


@pytest.mark.parametrize(
    ("close", "code", "said"),
    [
        (Close(0, ""), 0, "we closed the connection"),
        (Close(3, ""), 3, "we closed the connection with code 3"),
        (Close(0, "bye"), 0, "we closed the connection with code 0: bye"),
        (Close(GOING_AWAY, "the node shuts down"), 0, "we closed the connection: the node shuts down"),
    ],
)
def test_a_code_of_ours_is_not_the_applications(close: Close, code: int, said: str) -> None:
    ending = Ending()
    ending.leave(close, 0.0, 1.0)
    ending.on_acked(0, 0, 0)
    ending.on_time(0.1, delivered=True, patience=1.0)
    assert isinstance(ending.error, ClosedLocally)
    assert (ending.error.code, ending.error.reason, str(ending.error)) == (code, close.reason, said)
