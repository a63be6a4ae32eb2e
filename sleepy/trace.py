"""What happened, where and when: one JSON object per line, one schema for library, labs and pages.

A trace is a list of events. Every event has a ``time`` in seconds, a ``where`` (the host or the part that saw it) and a
name; what else it must carry is said by the table `EVENTS`, and `validate` holds an event against it. Names are written
``subject.verb``: what it happened to, and what happened.

The clock is the recorder's: real time in the labs, so that events can be laid beside a capture; virtual time in
`sleepy.sim`. Nothing is recorded unless somebody passed a `Trace`, and whoever passes one decides where events go.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Self, cast

_SCALARS = (str, int, float, bool, type(None))
_RESERVED = frozenset({"time", "where", "event"})
Value = str | int | float | bool | None

# --8<-- [start:events]
EVENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # name: the fields it must carry; more are allowed
        "request.queued": ("id", "target"),  # a caller asked
        "request.sent": ("id", "connection"),  # its bytes were handed to the transport
        "request.first_byte": ("id", "connection"),  # its answer has begun to arrive
        "request.done": ("id",),  # its whole answer has arrived; if its body is streamed, its head
        "request.failed": ("id", "error"),  # it ends without an answer
        "request.retried": ("id", "error"),  # it goes to another connection
        "connection.dialing": (
            "connection",
            "phase",
        ),  # a dial waits for something else now; see sleepy.tcp.dialing.dialer
        "connection.dialed": ("connection", "address"),  # a connection is there
        "connection.failed": ("connection", "error"),  # it could not be made
        "connection.accepted": ("connection", "address"),  # a peer has made one to us
        "connection.moved": ("connection", "address"),  # its peer is at another address now
        "connection.closed": ("connection", "reason"),
        "client.ejected": ("client", "seconds"),  # an LBClient gives it nothing but probes, for so long at least
        "client.readmitted": ("client",),  # it answers again
        "link.lost": ("link", "index", "size"),  # the link dropped its index-th packet (counted from 1)
        "link.held": ("link", "seconds"),  # the link delayed a packet by as much
        "link.unreached": ("link", "index"),  # its drop list names a packet that never came
        "host.unreachable": ("host", "address"),  # the host knows of no way to the address
        "nat.dropped": ("host", "source", "destination"),  # the NAT on the host let a packet end there
        "lab.phase": ("phase",),  # a lab began its next part
    }
)
# --8<-- [end:events]


class Event(NamedTuple):
    """One thing that happened.

    Attributes:
        time: When, in seconds on the recorder's clock.
        where: The host or part that saw it, such as ``client``.
        name: What happened: a key of `EVENTS`.
        fields: What else is known: JSON scalars (`Value`) by name.
    """

    time: float
    where: str
    name: str
    fields: Mapping[str, Any]

    def to_json(self) -> str:
        """The event as one line of JSON, without the line's end.

        Raises:
            ValueError: A number is infinite or none, which JSON cannot say.
        """
        record = {"time": self.time, "where": self.where, "event": self.name, **self.fields}
        return json.dumps(record, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read one line back.

        Raises:
            ValueError: The line is not an event of this schema; the message says why.
        """
        try:
            loaded: object = json.loads(line)
        except ValueError as error:
            raise ValueError(f"not an event, for it is no JSON ({error}): {line!r}") from None
        if not isinstance(loaded, dict):
            raise ValueError(f"not an event: {line!r}")
        record = cast("dict[str, Any]", loaded)
        try:
            time, where, name = record.pop("time"), record.pop("where"), record.pop("event")
        except KeyError as missing:
            raise ValueError(f"an event needs {missing}: {line!r}") from None
        if not (isinstance(time, (int, float)) and isinstance(where, str) and isinstance(name, str)):
            raise ValueError(f"the time is a number, where and event are text: {line!r}")
        event = cls(float(time), where, name, record)
        validate(event)
        return event


def validate(event: Event) -> None:
    """Hold an event against the schema.

    Raises:
        ValueError: An unknown name, a missing or a reserved field, or a value that is not a JSON scalar.
    """
    required = EVENTS.get(event.name)
    if required is None:
        raise ValueError(f"unknown event {event.name!r}; known are {', '.join(EVENTS)}")
    missing = [field for field in required if field not in event.fields]
    if missing:
        raise ValueError(f"{event.name} lacks {', '.join(missing)}")
    for field, value in event.fields.items():
        if field in _RESERVED:
            raise ValueError(f"{event.name} has a field {field!r}, and so has every event: call it something else")
        if not isinstance(value, _SCALARS):
            raise ValueError(f"{event.name}.{field} is {type(value).__name__}; a trace holds JSON scalars only")


class Trace:
    """A recorder: stamps events with time and place and passes them on.

    Args:
        where: The host or part whose events these are.
        clock: Gives the time in seconds.
        sink: Is called with every event, at once; ``list.append`` will do.
    """

    __slots__ = ("_clock", "_sink", "where")

    def __init__(self, where: str, clock: Callable[[], float], sink: Callable[[Event], object]) -> None:
        self.where = where
        self._clock = clock
        self._sink = sink

    def at(self, where: str) -> "Trace":
        """The same recorder, for another place."""
        return Trace(where, self._clock, self._sink)

    def __call__(self, name: str, /, **fields: Value) -> None:
        """Record that ``name`` happened now.

        Raises:
            ValueError: The event is not one of the schema (see `EVENTS`).
        """
        event = Event(self._clock(), self.where, name, fields)
        validate(event)
        self._sink(event)


def read(lines: Iterable[str]) -> Iterator[Event]:
    """Read a trace, line by line; empty lines are passed over.

    Raises:
        ValueError: A line is not an event of this schema.
    """
    for line in lines:
        if line.strip():
            yield Event.from_json(line)
