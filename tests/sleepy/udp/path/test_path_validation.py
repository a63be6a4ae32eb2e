"""Asking at a new address before anything goes there."""

from itertools import count
from math import inf

from sleepy.udp.path.path_validation import CHALLENGES, PathValidation

HERE, THERE = ("10.0.0.1", 1), ("10.0.0.2", 2)


def asking() -> PathValidation:
    numbers = count(1)
    return PathValidation(lambda size: next(numbers).to_bytes(size, "big"))


def test_the_right_answer_proves_the_address_and_its_distance() -> None:
    paths = asking()
    paths.on_packet(HERE, 100, 10.0)
    nonce = paths.challenge(60, 10.0, 1.0)
    assert nonce is not None
    assert paths.on_response(b"wrong...", 10.2) is None
    assert paths.on_response(nonce, 10.25) == (HERE, 0.25)
    assert paths.candidate is None
    assert paths.on_response(nonce, 10.3) is None, "once"


def test_an_answer_before_the_question_proves_nothing() -> None:
    paths = asking()
    assert paths.on_response(b"", 0.0) is None
    paths.on_packet(HERE, 100, 0.0)
    assert paths.on_response((1).to_bytes(8, "big"), 0.0) is None


def test_it_asks_again_more_and_more_slowly_and_then_gives_up() -> None:
    """Rule 4."""
    paths = asking()
    paths.on_packet(HERE, 10_000, 0.0)
    times, now = [], 0.0
    while paths.next_timeout < inf:
        now = paths.next_timeout
        if paths.challenge(60, now, 1.0):
            times.append(now)
    assert times == [0.0, 1.0, 3.0, 7.0, 15.0]
    assert len(times) == CHALLENGES
    assert paths.candidate is None


def test_no_more_than_three_times_what_came() -> None:
    """Rule 3."""
    paths = asking()
    paths.on_packet(HERE, 40, 0.0)
    assert paths.challenge(60, 0.0, 1.0)
    assert paths.challenge(60, 1.0, 1.0)
    assert paths.challenge(60, 3.0, 1.0) is None
    paths.on_packet(THERE, 19, 10.0)
    assert paths.challenge(60, 10.0, 1.0) is None


def test_a_newer_candidate_takes_the_place() -> None:
    """Rule 1: and the old one's answer counts no more."""
    paths = asking()
    paths.on_packet(HERE, 100, 0.0)
    old = paths.challenge(60, 0.0, 1.0)
    paths.on_packet(THERE, 100, 0.1)
    new = paths.challenge(60, 0.1, 1.0)
    assert old is not None
    assert new not in {None, old}
    assert paths.on_response(old, 0.2) is None
    assert paths.candidate == THERE
