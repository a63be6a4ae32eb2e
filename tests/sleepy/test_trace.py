"""`sleepy.trace`: one schema, held to when events are made and when they are read."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy import trace
from sleepy.trace import EVENTS, Event, Trace

numbers = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.text() | st.integers() | numbers | st.booleans() | st.none()
free_names = st.text(min_size=1).filter(lambda name: name not in {"time", "where", "event"})


@st.composite
def events(draw: st.DrawFn) -> Event:
    name = draw(st.sampled_from(sorted(EVENTS)))
    fields = draw(st.dictionaries(free_names, scalars, max_size=4))
    fields |= {field: draw(scalars) for field in EVENTS[name]}
    return Event(draw(numbers), draw(st.text()), name, fields)


@given(st.lists(events(), max_size=5))
def test_what_is_written_is_read(written: list[Event]) -> None:
    """A trace is one JSON object a line, whatever is in it; empty lines do not matter."""
    lines = [line for event in written for line in (event.to_json(), "", " \n")]
    assert all("\n" not in line.rstrip("\n") for line in lines)
    assert list(trace.read(lines)) == written


@given(events())
def test_lines_are_what_other_programs_read(event: Event) -> None:
    record = json.loads(event.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert record == {"time": event.time, "where": event.where, "event": event.name, **event.fields}


def test_a_recorder_stamps_and_passes_on() -> None:
    """Time and place come from the recorder, at the moment of recording."""
    seen: list[Event] = []
    clock = iter([1.5, 2.5])
    record = Trace("client", lambda: next(clock), seen.append)
    record("request.queued", id=1, target="/")
    record("request.done", id=1, status=200, bytes=5)
    assert seen == [
        Event(1.5, "client", "request.queued", {"id": 1, "target": "/"}),
        Event(2.5, "client", "request.done", {"id": 1, "status": 200, "bytes": 5}),
    ]


@pytest.mark.parametrize(
    ("name", "fields", "why"),
    [
        ("request.lost", {}, "unknown event 'request.lost'"),
        ("request.queued", {"id": 1}, "lacks target"),
        ("request.queued", {}, "lacks id, target"),
        ("request.queued", {"id": [1], "target": "/"}, "request.queued.id is list"),
        ("request.queued", {"id": 1, "target": b"/"}, "request.queued.target is bytes"),
        ("request.queued", {"id": 1, "target": "/", "time": 5}, "'time'"),
        ("request.queued", {"id": 1, "target": "/", "event": "x"}, "'event'"),
    ],
)
def test_what_is_not_in_the_schema_is_refused(name: str, fields: dict[str, Any], why: str) -> None:
    """When it is recorded, and in the words that help; nothing reaches the sink."""
    seen: list[Event] = []
    with pytest.raises(ValueError, match=why):
        Trace("client", lambda: 0.0, seen.append)(name, **fields)
    assert not seen


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_cannot_say_are_refused(value: float) -> None:
    event = Event(0.0, "client", "link.held", {"link": "a", "seconds": value})
    with pytest.raises(ValueError, match="JSON"):
        event.to_json()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", r"not an event, for it is no JSON \(Expecting .*'\{'"),
        ("[]", "not an event"),
        ("5", "not an event"),
        ("{}", "needs 'time'"),
        ('{"time": 1, "where": "a"}', "needs 'event'"),
        ('{"time": "1", "where": "a", "event": "lab.phase", "phase": "x"}', "the time is a number"),
        ('{"time": [1], "where": "a", "event": "lab.phase", "phase": "x"}', "the time is a number"),
        ('{"time": 1, "where": 2, "event": "lab.phase", "phase": "x"}', "where and event are text"),
        ('{"time": 1, "where": "a", "event": "lab.phase"}', "lacks phase"),
        ('{"time": 1, "where": "a", "event": "lab.phase", "phase": {}}', "phase is dict"),
        ('{"time": 1, "where": "a", "event": "nothing"}', "unknown event"),
    ],
)
def test_lines_that_are_no_events_are_refused(line: str, why: str) -> None:
    """A `ValueError` that says why, whatever the line is."""
    with pytest.raises(ValueError, match=why):
        list(trace.read([line]))


def test_names_are_subject_and_verb() -> None:
    """The one form of the table's names."""
    for name in EVENTS:
        subject, verb = name.split(".")
        assert subject.isidentifier()
        assert verb.isidentifier()
