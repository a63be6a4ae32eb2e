"""The rules of sleepy/udp/security/replay.py."""

import sys

from hypothesis import given
from hypothesis.strategies import integers, lists, one_of

from sleepy.udp.security.replay import WINDOW, ReplayWindow

steps = one_of(integers(-5, 5), integers(-2 * WINDOW, 2 * WINDOW), integers(-(2**40), 2**40))


@given(lists(steps, max_size=80))
def test_the_window_agrees_with_a_set_that_forgets_nothing(walk: list[int]) -> None:
    """Rules 1 and 2, for numbers that wander back and forth, by little and by much."""
    window = ReplayWindow()
    arrived: set[int] = set()
    number = 0
    for step in walk:
        number = max(0, number + step)
        highest = max(arrived, default=-1)
        assert window.highest == highest
        assert window.too_old(number) is (number <= highest - WINDOW)
        if window.too_old(number):
            continue
        assert window.seen(number) is (number in arrived)
        if number not in arrived:
            window.mark(number)
            arrived.add(number)


def test_the_window_is_exactly_as_long_as_it_says() -> None:
    """Rule 2, at its border."""
    window = ReplayWindow()
    for number in (0, 1, WINDOW):
        window.mark(number)
    assert window.too_old(0)
    assert not window.too_old(1)
    assert window.seen(1)
    assert not window.seen(2)


def test_asking_does_not_mark() -> None:
    """Rule 3: a forged packet that was asked about leaves no trace."""
    window = ReplayWindow()
    assert not window.seen(7)
    assert not window.seen(7)
    assert window.highest == -1


@given(lists(integers(1, WINDOW + 1) | integers(1, 2**60), min_size=3, max_size=20))
def test_the_map_stays_small(jumps: list[int]) -> None:
    """However far the numbers jump, and however long they go on."""
    window = ReplayWindow()
    for jump in jumps:
        window.mark(window.highest + jump)
    assert sys.getsizeof(window._map) <= WINDOW // 8 + 64
