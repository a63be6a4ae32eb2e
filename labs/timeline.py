"""What a report draws: requests' lives as spans, culprits with those they held up, and where to look closely.

A request lives from the moment somebody asks until somebody has the answer, and at every moment of it is in one of four
stages. Which stage a span belongs to follows from the point that ends it:

1. Until it is *sent* it is queued in the client.
2. Until it is *answered* the server has it. That is when a response behind a slow one is held up. A culprit may have to
   wait for its turn as well: its own trouble begins when the one before it on its connection has been answered.
3. Until its answer has *arrived* it is on the wire. A culprit's own trouble, slow or lost, ends here at the latest.
4. Until it is *delivered* TCP keeps it back, because bytes before it are missing. That is when a response behind a lost
   segment is held up.

A point that nobody saw is passed over; the span then reaches from the last point seen to the next.

Contenders run one after another. To be compared, each gets a clock of its own that starts when it is asked for the first
time. All times here are seconds on that clock.

The module decides what is to be seen; `labs.plots` and the report's script draw it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import NamedTuple

from labs.results import Contender, Request

POINTS = ("queued", "sent", "at_server", "answered", "arrived", "delivered", "done")
MARGIN = 0.25  # of a close-up's subject, shown before and after it


class Stage(StrEnum):
    """What a request is doing."""

    QUEUED = "queued"
    MOVING = "moving"
    HELD = "held"
    CULPRIT = "culprit"


class Span(NamedTuple):
    """A request in one stage, from ``start`` to ``end`` in seconds."""

    stage: Stage
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Life:
    """One request, ready to be drawn.

    Attributes:
        request: What was found out about it.
        spans: Its stages, in order and without gaps.
    """

    request: Request
    spans: Sequence[Span]

    @property
    def start(self) -> float:
        """When somebody asked, in seconds."""
        return self.spans[0].start

    @property
    def end(self) -> float:
        """When it was last heard of, in seconds; with an answer, when somebody had it."""
        return self.spans[-1].end

    @property
    def latency(self) -> float | None:
        """From asking to having the answer, by the caller's own clock, in seconds; ``None`` if it never had one."""
        queued, done = self.request.queued, self.request.done
        return None if queued is None or done is None else done - queued

    @property
    def took(self) -> float:
        """How long it took from the first to the last, in seconds."""
        return self.end - self.start

    @property
    def held(self) -> float:
        """How long it was held up, in seconds."""
        return sum(span.end - span.start for span in self.spans if span.stage is Stage.HELD)


@dataclass(frozen=True, slots=True)
class Culprit:
    """A slow or lost response, and the innocent requests that waited for it."""

    life: Life
    held: Sequence[Life]


@dataclass(frozen=True, slots=True)
class Track:
    """One contender on its own clock.

    Attributes:
        contender: Who it is.
        lives: Its requests that were seen at two points at least, in the order they were asked.
        culprits: Its slow or lost responses, in the same order.
    """

    contender: Contender
    lives: Sequence[Life]
    culprits: Sequence[Culprit]

    @property
    def innocent_latencies(self) -> list[float]:
        """How long the innocent had to wait for their answers, in seconds, the shortest first."""
        return sorted(life.latency for life in self.lives if life.request.innocent and life.latency is not None)


class Window(NamedTuple):
    """A close-up: for each track the same length of time around a culprit of its own, so that culprits stand in line.

    Attributes:
        subjects: The index of each track's culprit; ``None`` where a track has none.
        zeros: When that was asked, in seconds on its track's clock; without a culprit, when the hardest hit's was.
        start: The window's left edge, in seconds from zero.
        end: Its right edge.
    """

    subjects: tuple[int | None, ...]
    zeros: tuple[float, ...]
    start: float
    end: float


def track(contender: Contender) -> Track:
    """Lay a contender's requests on a clock that starts with its first."""
    seen: list[tuple[Request, list[tuple[str, float]]]] = []
    turns: dict[int, float] = {}
    for request in sorted(contender.requests, key=lambda request: request.sent or 0.0):
        points = _points(request, turns.get(request.connection))
        if request.answered is not None:
            turns[request.connection] = max(request.answered, turns.get(request.connection, 0.0))
        if len(points) > 1:
            seen.append((request, points))
    zero = min((points[0][1] for _, points in seen), default=0.0)
    lives = sorted(
        (Life(request, _spans(request, points, zero)) for request, points in seen), key=lambda life: life.start
    )
    held: dict[int, list[Life]] = {}
    for life in lives:
        if life.request.innocent and life.request.held_by is not None:
            held.setdefault(life.request.held_by, []).append(life)
    guilty = [life for life in lives if not life.request.innocent]
    return Track(contender, lives, [Culprit(life, held.get(life.request.index, [])) for life in guilty])


def windows(tracks: Sequence[Track]) -> list[Window]:
    """A close-up for every culprit of the contender that was hit hardest; the others show theirs that is nearest in time."""
    hardest = max(tracks, key=lambda track: track.contender.captured.held_per_culprit, default=None)
    if hardest is None:
        return []
    return [_window(culprit.life, tracks) for culprit in hardest.culprits]


def typical(tracks: Sequence[Track]) -> int:
    """Which of the `windows` to show first: that of the culprit with the median number of held up, not the worst.

    Raises:
        ValueError: There are no windows.
    """
    hardest = max(tracks, key=lambda track: track.contender.captured.held_per_culprit)
    ranked = sorted(range(len(hardest.culprits)), key=lambda place: len(hardest.culprits[place].held))
    if not ranked:
        raise ValueError("no culprit, no close-up")
    return ranked[len(ranked) // 2]


def trouble(tracks: Sequence[Track]) -> str:
    """What a culprit of this run is called: by what those who waited for one waited for."""
    whys = {life.request.why for track in tracks for culprit in track.culprits for life in culprit.held}
    if whys == {"slow"}:
        return "slow response"
    return "lost segment" if whys == {"lost"} else "slow or lost response"


def ranges(indices: Sequence[int]) -> str:
    """Numbers for people: ``3, 5 to 9``."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _window(subject: Life, tracks: Sequence[Track]) -> Window:
    def nearest(track: Track) -> Life | None:
        lives = [culprit.life for culprit in track.culprits]
        return min(lives, key=lambda life: abs(life.start - subject.start), default=None)

    culprits = [nearest(track) for track in tracks]
    length = max(life.took for life in culprits if life)
    return Window(
        subjects=tuple(life.request.index if life else None for life in culprits),
        zeros=tuple(life.start if life else subject.start for life in culprits),
        start=-MARGIN * length,
        end=(1 + MARGIN) * length,
    )


def _points(request: Request, turn: float | None) -> list[tuple[str, float]]:
    seen = [(name, time) for name in POINTS if (time := getattr(request, name)) is not None]
    if turn is not None and not request.innocent and request.at_server is not None and request.answered is not None:
        place = next(place for place, (name, _) in enumerate(seen) if name == "answered")
        seen.insert(place, ("turn", min(turn, request.answered)))
    # Program and capture are two observers: where they disagree by a hair, a later point is not let go back in time.
    times = accumulate((time for _, time in seen), max)
    return [(name, time) for (name, _), time in zip(seen, times, strict=True)]


def _spans(request: Request, points: Sequence[tuple[str, float]], zero: float) -> list[Span]:
    spans: list[Span] = []
    for (_, start), (name, end) in pairwise(points):
        stage = _stage(request, name)
        if spans and spans[-1].stage is stage:
            spans[-1] = spans[-1]._replace(end=end - zero)
        elif end > start or not spans:
            spans.append(Span(stage, start - zero, end - zero))
    return spans


def _stage(request: Request, until: str) -> Stage:
    if until == "sent":
        return Stage.QUEUED
    if until == "turn":
        return Stage.HELD
    if not request.innocent and until in {"answered", "arrived"}:
        return Stage.CULPRIT
    if request.innocent and (request.why, until) in {("slow", "answered"), ("lost", "delivered")}:
        return Stage.HELD
    return Stage.MOVING
