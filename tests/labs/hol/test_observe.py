"""The rules of `labs.hol.observe`, by number."""

import pytest

from labs.analysis.streams import connections
from labs.hol.observe import Observed, Told, by_capture, by_program, held_by_program
from labs.hol.schedule import contenders
from sleepy.trace import Event
from tests.labs.hol.ideal import scenario
from tests.labs.wire import Wire

PLAN = contenders(scenario("slow-response"))[0]


def request(index: int, wait: str = "0") -> bytes:
    return f"GET /pipeline-1/{index}?wait={wait} HTTP/1.1\r\nhost: server\r\n\r\n".encode()


def response(index: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nx-request: %d\r\ncontent-length: 3\r\n\r\nabc" % index


def observe(wire: Wire, count: int) -> Observed:
    return by_capture(PLAN, connections(wire.left, wire.right), [0.0] * count)


def test_a_life_is_read_off_both_sides_of_the_router() -> None:
    """Rule 1."""
    wire = Wire(delay=0.025)
    flow = wire.connect(1.0, 40000)
    flow.to_server(2.0, request(0))
    flow.to_client(2.1, response(0))
    (life,) = observe(wire, 1).requests
    times = (life.sent, life.at_server, life.answered, life.arrived, life.delivered)
    assert times == pytest.approx((2.0, 2.025, 2.1, 2.125, 2.125))
    assert (life.innocent, life.held_by) == (True, None)


def test_whoever_waited_for_a_lost_segment_is_found_and_the_segment_too() -> None:
    """Rule 1."""
    wire = Wire(delay=0.025)
    flow = wire.connect(1.0, 40000)
    for index in range(4):
        flow.to_server(2.0 + index / 100, request(index))
    for index, again in enumerate([None, 2.2, None, None]):
        flow.to_client(2.1 + index / 100, response(index), lost_until=again)
    observed = observe(wire, 4)
    ((place, requests, lost, again),) = observed.losses
    assert (place, requests, lost, again) == (2, [1], pytest.approx(2.11), pytest.approx(2.2))
    assert [life.innocent for life in observed.requests] == [True, False, True, True]
    assert [(life.held_by, life.why) for life in observed.requests] == [(None, None)] * 2 + [(1, "lost")] * 2
    assert observed.requests[2].arrived == pytest.approx(2.145)
    assert observed.requests[2].delivered == pytest.approx(2.225)
    assert observed.complaints == []


def test_a_lost_segment_that_carried_parts_of_two_answers_makes_two_culprits() -> None:
    """Rule 1."""
    wire = Wire()
    flow = wire.connect(1.0, 40000)
    for index in range(2):
        flow.to_server(2.0, request(index))
    answers = response(0) + response(1)
    flow.to_client(2.1, answers[:10])
    flow.to_client(2.1001, answers[10:-10], lost_until=2.3)
    flow.to_client(2.1002, answers[-10:])
    observed = observe(wire, 2)
    assert [loss.requests for loss in observed.losses] == [[0, 1]]
    assert [life.innocent for life in observed.requests] == [False, False]


def test_each_lost_segment_has_its_own_retransmission() -> None:
    """Rule 1: two lost on one connection, the second sent again before the first."""
    wire = Wire()
    flow = wire.connect(1.0, 40000)
    for index, again in enumerate([2.5, 2.4, None]):
        flow.to_server(2.0, request(index))
        flow.to_client(2.1 + index / 100, response(index), lost_until=again)
    assert [(loss.requests, loss.again) for loss in observe(wire, 3).losses] == [([0], 2.5), ([1], 2.4)]


def test_places_are_counted_over_all_connections_of_the_contender_and_no_others() -> None:
    """Rule 1."""
    wire = Wire()
    other = wire.connect(0.5, 40002, server_port=PLAN.port + 1)
    other.to_client(2.05, b"not counted")
    flows = [wire.connect(1.0, port) for port in (40000, 40001)]
    for index, flow in enumerate(flows):
        flow.to_server(2.0, request(index))
    flows[1].to_client(2.1, response(1))
    flows[0].to_client(2.2, response(0), lost_until=2.4)
    assert [(loss.place, loss.requests) for loss in observe(wire, 2).losses] == [(2, [0])]


def test_connections_are_numbered_in_the_order_of_their_first_request() -> None:
    wire = Wire()
    first_opened, first_used = (wire.connect(time, port) for time, port in ((1.0, 40000), (1.1, 40001)))
    first_used.to_server(2.0, request(0))
    first_opened.to_server(2.1, request(1))
    assert [life.connection for life in observe(wire, 2).requests] == [0, 1]


def test_what_is_missing_or_not_as_it_must_be_is_complained_of() -> None:
    wire = Wire()
    flow = wire.connect(1.0, 40000)
    for index in (0, 1, 1, 7, 3):
        flow.to_server(2.0 + index, request(index))
    for index in (0, 9, 1, 7):
        flow.to_client(20.0 + index, response(index))
    assert observe(wire, 4).complaints == [
        "another's answer came for the requests 1",
        "not asked: 2",
        "not answered: 3",
        "asked twice: 1",
        "not of this run: 7",
    ]
    assert observe(Wire(), 7).complaints == ["not asked: 0, 1, 2, 3, 4 and 2 more"]


def test_a_request_that_asks_for_another_time_than_scheduled_is_complained_of() -> None:
    wire = Wire()
    flow = wire.connect(1.0, 40000)
    for index, wait in enumerate(("0", "0.5")):
        flow.to_server(2.0, request(index, wait))
        flow.to_client(3.0, response(index))
    assert observe(wire, 2).complaints == ["not as scheduled: 1"]
    assert by_capture(PLAN, connections(wire.left, wire.right), [0.0, 0.5]).complaints == []


def test_what_is_not_of_this_lab_is_complained_of() -> None:
    wire = Wire()
    wire.connect(1.0, 40000).to_server(2.0, b"GET /health HTTP/1.1\r\n\r\n")
    wire.connect(1.0, 40001).to_server(2.0, b"SSH-2.0-OpenSSH\r\n\r\n")
    first, second, missing = observe(wire, 1).complaints
    assert first.startswith("port 40000: path '/health' is not of the form")
    assert second.startswith("port 40001: byte 0 of the stream does not start an HTTP/1.1 message")
    assert missing == "not asked: 0"


def event(time: float, verb: str, number: int, where: str = "client", **fields: str | int) -> Event:
    return Event(time, where, f"request.{verb}", {"id": number, **fields})


def test_the_program_tells_by_the_events_of_the_client() -> None:
    """Rule 2: each client may count its requests from the start again, and a request may have no end."""
    events = [
        event(1.0, "queued", 0, target="/pipeline-1/5?wait=0"),
        event(1.5, "sent", 0, connection=3),
        event(1.6, "queued", 0, where="server", target="/pipeline-1/9?wait=0"),
        event(2.0, "done", 0, status=200),
        event(3.0, "queued", 0, target="/pipeline-4/6?wait=0"),
        event(3.5, "sent", 0, connection=1),
        Event(3.6, "client", "lab.phase", {"phase": "x"}),
    ]
    assert by_program(reversed(events)) == {
        "pipeline-1": {5: Told(5, 3, 1.0, 1.5, 2.0)},
        "pipeline-4": {6: Told(6, 1, 3.0, 3.5, None)},
    }


def test_by_the_program_those_waited_whose_answer_was_due_before_the_culprits_came() -> None:
    """Rule 2: on the culprit's connection, behind it, due before; the round trip is 2."""
    told = [
        Told(0, "a", 0, 9, 11),
        Told(1, "a", 0, 10, 20),  # the culprit
        Told(2, "a", 0, 17.9, 20),
        Told(3, "a", 0, 18.1, 20.2),
        Told(4, "b", 0, 12, 14),
        Told(5, "a", 0, 12, None),
    ]
    assert held_by_program({one.index: one for one in told}, {1}) == {2}
    assert held_by_program({one.index: one for one in told}, set()) == set()
    assert held_by_program({one.index: one for one in told}, {1}, slack=0.2) == set()
    assert held_by_program({one.index: one for one in told}, {1}, slack=-0.2) == {2, 3}
