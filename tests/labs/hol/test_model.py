"""The rules of `labs.hol.model`, by number, on experiments small enough to be worked out by hand."""

import pytest

from labs.hol.model import predict, simulate
from labs.hol.schedule import contenders, waits
from labs.results import Request
from tests.labs.hol.ideal import scenario, unimpaired

PIPELINE_1, PIPELINE_4, HOST_16 = contenders(scenario("slow-response"))
RTT = 0.050


def lateness(request: Request) -> float:
    """By how much an answer came later than a link without losses would have brought it."""
    assert request.arrived is not None
    assert request.answered is not None
    return request.arrived - request.answered - RTT / 2


def lost(requests: list[Request]) -> list[Request]:
    return [request for request in requests if not request.innocent]


def test_on_a_perfect_link_without_slow_answers_nobody_waits() -> None:
    for name in ("slow-response", "lost-segment"):
        for predicted in predict(unimpaired(name), 7).values():
            assert (predicted.figures.culprits, predicted.figures.held, predicted.figures.p99) == (0, 0, 0.0)
            assert predicted.held == []


def test_one_pipelined_connection_holds_up_all_that_come_while_the_answer_is_made() -> None:
    """Rule 2: 0.5 s at one each 30 ms are 16 requests."""
    requests = simulate(PIPELINE_1, scenario("slow-response", requests=40, slow_one_in=40), seed=7)
    (culprit,) = lost(requests)
    behind = [request.index for request in requests if request.held_by == culprit.index]
    assert behind == list(range(culprit.index + 1, culprit.index + 17))[: 39 - culprit.index]


def test_a_pipeline_of_four_goes_round_a_slow_answer_while_another_connection_has_less_pending() -> None:
    """Rule 1."""
    predicted = predict(scenario("slow-response"), 7)
    assert predicted["pipeline-1"].figures.held > 100
    assert predicted["pipeline-4"].figures.held == 0
    # With more under way than there are connections, some are behind the slow answer before it is known for one.
    crowded = predict(scenario("slow-response", delay=0.075), 7)
    assert 0 < crowded["pipeline-4"].figures.held < crowded["pipeline-1"].figures.held / 5


def test_a_pipeline_opens_a_connection_only_if_all_have_something_pending() -> None:
    """Rule 1: one that is answered before the next is asked needs no second; of four under way each gets its own."""
    quiet = simulate(PIPELINE_4, scenario("lost-segment", requests=20, interval=2.5 * RTT, drop=[]), seed=1)
    assert {request.connection for request in quiet} == {0}
    busy = simulate(PIPELINE_4, scenario("lost-segment", requests=20, interval=RTT / 10, drop=[]), seed=1)
    assert [request.connection for request in busy[:8]] == [0, 1, 2, 3, 0, 1, 2, 3]


def test_a_host_client_takes_the_connection_that_came_free_last() -> None:
    """Rule 1: a loss makes it open more connections; afterwards one is enough again."""
    requests = simulate(HOST_16, scenario("lost-segment", requests=60, interval=RTT * 1.01, drop=[10]), seed=1)
    (culprit,) = lost(requests)
    beyond = [request.connection for request in requests if request.sent > culprit.delivered + 1]
    assert len(beyond) > 20
    assert len(set(beyond)) == 1


def test_a_host_client_never_lets_one_request_wait_behind_another() -> None:
    """Rule 1."""
    for name in ("slow-response", "lost-segment"):
        assert predict(scenario(name), 7)["hostclient-16"].figures.held == 0


def test_a_host_client_opens_a_connection_only_if_none_is_free_and_no_more_than_it_may() -> None:
    """Rule 1: at one request each two and a half round trips, one connection serves all; a crowd gets sixteen."""
    quiet = simulate(HOST_16, scenario("lost-segment", requests=20, interval=2.5 * RTT, drop=[]), seed=1)
    assert {request.connection for request in quiet[1:]} == {0}
    assert [request.sent - request.queued for request in quiet[1:]] == pytest.approx([0] * 19)
    assert quiet[0].sent == pytest.approx(RTT)
    crowd = simulate(HOST_16, scenario("lost-segment", requests=100, interval=0.0001, drop=[]), seed=1)
    assert {request.connection for request in crowd} == set(range(16))
    assert [request.sent for request in crowd] == sorted(request.sent for request in crowd)


@pytest.mark.parametrize(
    ("interval", "late"),
    [
        (0.002, RTT + 3 * 0.002),  # the third report comes first
        (0.005, RTT + RTT / 4),  # the window closes before the third report
        (0.020, RTT + 0.020),  # the first report comes after the window has closed
    ],
)
def test_a_lost_segment_is_found_by_what_follows_it(interval: float, late: float) -> None:
    """Rule 4."""
    requests = simulate(PIPELINE_1, scenario("lost-segment", requests=100, interval=interval, drop=[50]), seed=1)
    (culprit,) = lost(requests)
    assert lateness(culprit) == pytest.approx(late)
    held = [request.index for request in requests if request.held_by == culprit.index]
    assert len(held) == pytest.approx(late / interval, abs=1)
    assert held == list(range(culprit.index + 1, culprit.index + 1 + len(held)))


def test_a_lost_segment_with_nothing_behind_it_is_found_by_silence() -> None:
    """Rule 5."""
    requests = simulate(HOST_16, scenario("lost-segment", requests=100, drop=[50]), seed=1)
    (culprit,) = lost(requests)
    assert lateness(culprit) == pytest.approx(RTT + 0.200)


def test_the_drop_list_counts_segments_in_the_order_sent_and_those_sent_again_too() -> None:
    """Rule 3: the 50th is lost; its copy, 62.5 ms later, is the 63rd, for 12 were sent since; and is lost as well."""
    requests = simulate(PIPELINE_1, scenario("lost-segment", requests=100, drop=[50]), seed=1)
    assert [request.index for request in lost(requests)] == [49]
    again = simulate(PIPELINE_1, scenario("lost-segment", requests=100, drop=[50, 63]), seed=1)
    assert [request.index for request in lost(again)] == [49]
    assert lateness(again[49]) > lateness(requests[49]) + RTT
    other = simulate(PIPELINE_1, scenario("lost-segment", requests=100, drop=[50, 64]), seed=1)
    assert [request.index for request in lost(other)] == [49, 62]


def test_the_prediction_says_how_many_each_culprit_holds_up() -> None:
    predicted = predict(scenario("lost-segment"), 7)
    assert predicted["pipeline-1"].held == [12] * 5
    assert predicted["hostclient-16"].held == [0] * 5
    assert predicted["pipeline-4"].figures.held == sum(predicted["pipeline-4"].held)


def test_the_prediction_depends_on_seed_and_scenario_alone() -> None:
    assert predict(scenario("slow-response"), 3) == predict(scenario("slow-response"), 3)
    slow = scenario("slow-response")
    culprits = {request.index for request in lost(simulate(PIPELINE_4, slow, 3))}
    assert culprits == {index for index, wait in enumerate(waits(slow, 3)) if wait}
