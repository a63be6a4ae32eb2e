"""What happened, told twice: by the captures on the two sides of the router, and by the client's own clock.

The two tell the story apart from each other, so that either can prove the other wrong. Rules:

1. **By the capture.** A contender is known by its port, a request by its path. Its bytes have a place in the client's
   stream, its answer's bytes one in the server's, the k-th answer belonging to the k-th request of a connection; when they
   passed is known for both sides of the router. A lost segment is one that entered and never left, and the answers whose
   bytes it carried are the culprits.
2. **By the program.** It knows when it wrote a request, on which connection, and when it had the answer; nothing of
   segments. Told who the culprits are, it finds those that waited for one by arithmetic: an answer was due a round trip
   after its request was written, and the culprit ahead on the same connection was answered later than that. The round
   trip is the shortest that it ever saw an answer take: a link may be slow at times, but never quicker than it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from labs.analysis.messages import Message, cut
from labs.analysis.streams import Chunk, Connection
from labs.hol.holding import blame
from labs.hol.schedule import Plan, Target, parse_target
from labs.results import Request
from sleepy.trace import Event


class Loss(NamedTuple):
    """A segment with data to the client that entered the router and never left.

    Attributes:
        place: Its place among the contender's segments with data to the client, from 1, as the drop list counts.
        requests: The requests whose answers it carried.
        lost: When it entered, in seconds since 1970.
        again: When its first byte was sent again; ``None``: never.
    """

    place: int
    requests: list[int]
    lost: float
    again: float | None


@dataclass(slots=True)
class Observed:
    """One contender's part, by the capture.

    Attributes:
        requests: The lives of those asked, by index; times in seconds since 1970.
        slow: The indexes of those that asked for a slow answer.
        losses: What was lost on the way to the client, in order.
        complaints: What was not as it must be, a sentence each.
    """

    requests: list[Request] = field(default_factory=list[Request])
    slow: set[int] = field(default_factory=set[int])
    losses: list[Loss] = field(default_factory=list[Loss])
    complaints: list[str] = field(default_factory=list[str])

    @property
    def culprits(self) -> list[set[int]]:
        """The requests of each slow answer and each lost segment."""
        return [{index} for index in sorted(self.slow)] + [set(loss.requests) for loss in self.losses]


def by_capture(plan: Plan, connections: Iterable[Connection], schedule: Sequence[float]) -> Observed:
    """Tell a contender's story from the captures (rule 1).

    Args:
        plan: The contender.
        connections: The connections in the captures; those of others are passed over.
        schedule: How long each request must have asked the server to take, in seconds.
    """
    mine = [connection for connection in connections if connection.server[1] == plan.port]
    observed = Observed()
    stories: list[tuple[Connection, list[Request], list[Message]]] = []
    asked_for: dict[int, float] = {}
    for connection in mine:
        try:
            asked = cut(connection.to_server.near.data)
            answers = cut(connection.to_client.near.data)
            targets = [parse_target(message.first_line.split(" ")[1]) for message in asked]
        except ValueError as error:
            observed.complaints.append(f"port {connection.client[1]}: {error}")
            continue
        asked_for |= {target.index: target.wait for target in targets}
        stories.append((connection, _lives(connection, asked, answers, targets), answers))
    stories.sort(key=lambda story: min((request.sent or 0.0 for request in story[1]), default=0.0))
    observed.losses = _losses(stories)
    observed.slow = {index for index, wait in asked_for.items() if wait > 0}
    lost = {index for loss in observed.losses for index in loss.requests}
    for number, (_, requests, answers) in enumerate(stories):
        for request in requests:
            request.connection = number
        blame(requests, observed.slow, lost)
        observed.requests += requests
        mismatched = [
            request.index
            for request, answer in zip(requests, answers, strict=False)
            if answer.headers.get("x-request") != str(request.index)
        ]
        if mismatched:
            observed.complaints.append(f"another's answer came for the requests {_some(mismatched)}")
    observed.requests.sort(key=lambda request: request.index)
    observed.complaints += _gaps(observed.requests, len(schedule))
    unlike = [index for index, wait in enumerate(schedule) if asked_for.get(index, wait) != wait]
    if unlike:
        observed.complaints.append(f"not as scheduled: {_some(unlike)}")
    return observed


def _lives(
    connection: Connection, asked: Sequence[Message], answers: Sequence[Message], targets: Sequence[Target]
) -> list[Request]:
    """The requests of one connection in the order sent."""
    to_server, to_client = connection.to_server, connection.to_client
    requests: list[Request] = []
    for place, (message, target) in enumerate(zip(asked, targets, strict=True)):
        request = Request(target.index, -1, innocent=True)
        request.sent = to_server.near.delivered(message.end)
        request.at_server = to_server.far.delivered(message.end)
        if place < len(answers):
            answer = answers[place]
            request.answered = to_client.near.delivered(answer.end)
            request.arrived = to_client.far.arrived(answer.start, answer.end)
            request.delivered = to_client.far.delivered(answer.end)
        requests.append(request)
    return requests


def _losses(stories: Iterable[tuple[Connection, list[Request], list[Message]]]) -> list[Loss]:
    """What was lost on the way to the client, over all connections of a contender."""
    passed: list[tuple[float, Loss | None]] = []
    for connection, requests, answers in stories:
        chunks, gone = connection.to_client.near.chunks, set(connection.to_client.lost())
        for chunk in chunks:
            loss = None
            if chunk in gone:
                hit = [
                    request.index
                    for request, answer in zip(requests, answers, strict=False)
                    if answer.start < chunk.end and chunk.start < answer.end
                ]
                loss = Loss(0, hit, chunk.segment.time, _again(chunk, chunks))
            passed.append((chunk.segment.time, loss))
    passed.sort(key=lambda entry: entry[0])
    return [loss._replace(place=place) for place, (_, loss) in enumerate(passed, start=1) if loss is not None]


def _again(lost: Chunk, chunks: Iterable[Chunk]) -> float | None:
    """When the first byte of a lost chunk was sent again."""
    times = (
        c.segment.time
        for c in chunks
        if c.again and c.start <= lost.start < c.end and c.segment.time > lost.segment.time
    )
    return next(times, None)


def _gaps(requests: Sequence[Request], count: int) -> list[str]:
    """Say which requests are missing, unanswered, or there twice."""
    seen = [request.index for request in requests]
    twice = sorted({index for index, follower in pairwise(seen) if index == follower})
    unanswered = [request.index for request in requests if request.delivered is None]
    kinds = {
        "not asked": sorted(set(range(count)) - set(seen)),
        "not answered": unanswered,
        "asked twice": twice,
        "not of this run": sorted(set(seen) - set(range(count))),
    }
    return [f"{kind}: {_some(indexes)}" for kind, indexes in kinds.items() if indexes]


def _some(indexes: Sequence[int]) -> str:
    """The first few, and how many more."""
    first = ", ".join(map(str, indexes[:5]))
    return f"{first} and {len(indexes) - 5} more" if len(indexes) > 5 else first


@dataclass(slots=True)
class Told:
    """A request's life by the client's clock, in seconds since 1970."""

    index: int
    connection: object
    queued: float
    sent: float | None = None
    done: float | None = None


def by_program(events: Iterable[Event]) -> dict[str, dict[int, Told]]:
    """Tell each contender's story from the client's events (rule 2): by the contender's name and the request's index.

    Raises:
        ValueError: A request's path is not one of this lab.
    """
    stories: dict[str, dict[int, Told]] = {}
    under_way: dict[object, Told] = {}  # by the event's id; a later client may count from the start again
    for event in sorted(events, key=lambda event: event.time):
        identity = event.fields.get("id")
        if event.where != "client":
            continue
        if event.name == "request.queued":
            target = parse_target(str(event.fields["target"]))
            told = Told(target.index, None, event.time)
            under_way[identity] = stories.setdefault(target.contender, {})[target.index] = told
        elif event.name == "request.sent" and identity in under_way:
            under_way[identity].sent, under_way[identity].connection = event.time, event.fields["connection"]
        elif event.name == "request.done" and identity in under_way:
            under_way[identity].done = event.time
    return stories


def held_by_program(story: Mapping[int, Told], culprits: AbstractSet[int], slack: float = 0.0) -> set[int]:
    """The innocent that waited for a culprit ahead of them, by the client's clock (rule 2).

    Args:
        story: What the client told of a contender.
        culprits: The indexes of the culprits.
        slack: How much longer than a round trip an answer may take, in seconds. With a positive one only those come out
            that waited for certain, with a negative one all that may have waited.
    """
    spans = [(told.sent, told.index, told.done, told.connection) for told in story.values()]
    whole = sorted((sent, index, done, at) for sent, index, done, at in spans if sent is not None and done is not None)
    round_trip = min((done - sent for sent, _, done, _ in whole), default=0.0)
    ahead: dict[object, float] = {}  # when the culprits so far on each connection were all answered
    held: set[int] = set()
    for sent, index, done, connection in whole:
        if index in culprits:
            ahead[connection] = max(done, ahead.get(connection, done))
        elif sent + round_trip + slack < ahead.get(connection, sent):
            held.add(index)
    return held
