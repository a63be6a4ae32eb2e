"""The rules of `labs.hol.holding`, by number."""

import pytest

from labs.hol.holding import blame, figures, held_by_each
from labs.results import Request


def life(index: int, at_server: float, answered: float, arrived: float, delivered: float) -> Request:
    request = Request(index, 0, innocent=True, sent=at_server - 1, at_server=at_server, answered=answered)
    request.arrived, request.delivered = arrived, delivered
    return request


def held(requests: list[Request]) -> dict[int, tuple[int | None, str | None]]:
    return {request.index: (request.held_by, request.why) for request in requests if request.held_by is not None}


def test_who_reached_the_server_before_the_slow_answer_left_was_held_up_by_it() -> None:
    """Rule 1: one before the culprit, one in its time, one after."""
    requests = [life(0, 1, 1, 2, 2), life(1, 2, 10, 11, 11), life(2, 9.9, 10, 11, 11), life(3, 10.1, 10.1, 11.1, 11.1)]
    blame(requests, slow={1}, lost=set())
    assert held(requests) == {2: (1, "slow")}
    assert [request.innocent for request in requests] == [True, False, True, True]


def test_one_in_the_same_segment_as_the_slow_request_was_held_up_if_behind_it_and_not_if_ahead() -> None:
    """Rule 1: what counts is the place on the connection, not the time."""
    requests = [life(0, 2, 2, 3, 3), life(1, 2, 10, 11, 11), life(2, 2, 10, 11, 11)]
    blame(requests, slow={1}, lost=set())
    assert held(requests) == {2: (1, "slow")}


def test_whose_bytes_lay_there_before_the_lost_ones_came_was_held_up() -> None:
    """Rule 2: one before the culprit, one in its time, one after."""
    requests = [life(0, 1, 1, 2, 2), life(1, 2, 2, 9, 9), life(2, 3, 3, 4, 9), life(3, 8.5, 8.5, 9.5, 9.5)]
    blame(requests, slow=set(), lost={1})
    assert held(requests) == {2: (1, "lost")}


def test_a_late_answer_that_lost_nothing_holds_up_nobody() -> None:
    """Rules 1 and 2 both need a culprit."""
    requests = [life(1, 2, 10, 11, 11), life(2, 3, 10, 11, 11)]
    blame(requests, slow=set(), lost=set())
    assert held(requests) == {}


def test_a_culprit_is_never_counted_as_held_up() -> None:
    requests = [life(1, 2, 10, 11, 11), life(2, 3, 20, 21, 21)]
    blame(requests, slow={1, 2}, lost=set())
    assert held(requests) == {}
    assert [request.innocent for request in requests] == [False, False]


def test_of_several_culprits_the_last_to_let_go_is_named() -> None:
    requests = [life(0, 1, 10, 11, 11), life(1, 2, 20, 30, 30), life(2, 3, 20, 21, 30)]
    blame(requests, slow={0, 1}, lost=set())
    assert held(requests) == {2: (1, "slow")}
    blame(requests, slow={0, 1}, lost={1})
    assert held(requests) == {2: (1, "lost")}


def test_figures_are_of_the_innocent_but_the_total_is_of_all() -> None:
    requests = [life(index, 1.0 + index, 2, 3, 0.1 + 2 * index) for index in range(4)]
    blame(requests, slow={3}, lost=set())
    found = figures(requests, 1)
    assert (found.culprits, found.held) == (1, 0)
    assert (found.p50, found.p99) == pytest.approx((1.1, 2.1))
    assert found.total == pytest.approx(6.1)


def test_of_each_culprit_it_is_said_how_many_it_held_up() -> None:
    requests = [Request(index, 0, innocent=True, held_by=by) for index, by in enumerate([None, None, 1, 1, 5, 6, 1])]
    assert held_by_each(requests, [{1}, {5, 6}, {7}]) == [3, 2, 0]


def test_nothing_observed_makes_figures_of_zero() -> None:
    assert figures([], 0) == figures([Request(0, 0, innocent=True)], 0)
    assert (figures([], 0).p50, figures([], 0).held_per_culprit) == (0.0, 0.0)
