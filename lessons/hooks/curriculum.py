"""The map of the curriculum: two lines, their stages, a station for every lesson.

``lessons/curriculum/plan.toml`` says what there shall be, in which order. Whether a lesson *stands* is nowhere written: it
does if its folder is there. Then its own page says its title and what it is for, and the plan only its place. A lesson
that nobody planned stands at the end of its track.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

from lessons import catalogue
from lessons.catalogue import LESSONS, Lesson

PLAN = LESSONS / "curriculum" / "plan.toml"
UNPLANNED = "And besides"
TRACKS = {"tcp": "TCP, with fasthttp", "udp": "UDP, with reliable.io"}


@dataclass(frozen=True)
class Station:
    """A lesson on the map.

    Attributes:
        title: Its title.
        about: What one can do after it, or what it will be about.
        lesson: The lesson, if it stands.
    """

    title: str
    about: str
    lesson: Lesson | None = None


@dataclass(frozen=True)
class Stage:
    """Lessons on one subject.

    Attributes:
        track: The folder of its lessons.
        title: Its subject.
        stations: In order.
    """

    track: str
    title: str
    stations: list[Station] = field(default_factory=list[Station])


def stages() -> list[Stage]:
    """The whole map, in order; what stands and is in no plan, behind it."""
    there = {(lesson.folder.parent.name, lesson.slug): lesson for lesson in catalogue.lessons()}
    with PLAN.open("rb") as file:
        planned = tomllib.load(file)["stage"]
    found: list[Stage] = []
    for track in dict.fromkeys((*TRACKS, *(name for name, _ in there))):
        for plan in planned:
            if plan["track"] == track:
                stations = [_station(there.pop((track, entry["slug"]), None), entry) for entry in plan["lesson"]]
                found.append(Stage(track, plan["title"], stations))
        left = [_station(lesson, {}) for (name, _), lesson in there.items() if name == track]
        if left:
            found.append(Stage(track, UNPLANNED, left))
    return found


def _station(lesson: Lesson | None, entry: dict[str, str]) -> Station:
    if lesson is None:
        return Station(entry["title"], entry["about"])
    return Station(lesson.title, lesson.front.get("able", ""), lesson)


def drawn() -> str:
    """The map, as Markdown with the lines in HTML: a list is a list for whoever cannot see it."""
    whole = stages()
    parts = [f"{_count(whole)} What is to come stands in no promised order of time."]
    parts.append('<div class="curriculum" markdown>')
    for track in dict.fromkeys(stage.track for stage in whole):
        parts.append(f'<div class="line line-{escape(track)}" markdown>')
        parts.append(f"## {TRACKS.get(track, track)} {{ #{track} }}")
        for stage in whole:
            if stage.track == track:
                parts += [f"### {stage.title}", "\n".join(_stations(stage))]
        parts.append("</div>")
    parts.append("</div>")
    return "\n\n".join(parts)


def _count(whole: list[Stage]) -> str:
    lessons = [station.lesson for stage in whole for station in stage.stations]
    drafts = sum(lesson is not None and lesson.is_draft for lesson in lessons)
    to_come = lessons.count(None)
    return f"**{len(lessons)} lessons: {len(lessons) - drafts - to_come} stand, {drafts} being written, {to_come} to come.**"


def _stations(stage: Stage) -> Iterator[str]:
    yield '<ol class="stations" markdown="0">'
    for station in stage.stations:
        title, about = escape(station.title), escape(station.about)
        if station.lesson is None:
            head = f"<strong>{title}</strong> <em>to come</em>"
        else:
            being = " <em>being written</em>" if station.lesson.is_draft else ""
            head = f'<a href="../{escape(station.lesson.name)}/">{title}</a>{being}'
        yield f'<li class="{"to-come" if station.lesson is None else "stands"}">{head}<span>{about}</span></li>'
    yield "</ol>"
