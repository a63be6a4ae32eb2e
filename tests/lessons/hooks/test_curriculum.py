"""The map: what stands is what has a folder, the rest is to come, and no lesson is left out."""

import re
import tomllib

import pytest

from lessons import catalogue, new
from lessons.hooks import curriculum

PLANNED = [
    (stage["track"], entry)
    for stage in tomllib.loads(curriculum.PLAN.read_text())["stage"]
    for entry in stage["lesson"]
]


def test_the_plan_is_of_about_thirty_lessons_each_once_under_a_name_that_a_folder_can_have() -> None:
    names = [(track, entry["slug"]) for track, entry in PLANNED]
    assert len(set(names)) == len(names)
    assert 25 <= len(names) <= 35
    assert {track for track, _ in names} == set(curriculum.TRACKS)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug) for _, slug in names)
    titles = [entry["title"] for _, entry in PLANNED if "title" in entry]
    assert len(set(titles)) == len(titles)


def test_what_is_to_come_is_told_of_in_the_plan() -> None:
    """What stands tells of itself."""
    there = {(lesson.folder.parent.name, lesson.slug) for lesson in catalogue.lessons()}
    for track, entry in PLANNED:
        assert set(entry) <= {"slug", "title", "about"}
        assert (track, entry["slug"]) in there or (entry["title"] and entry["about"])


def test_every_lesson_is_on_the_map_once() -> None:
    stations = [station.lesson for stage in curriculum.stages() for station in stage.stations if station.lesson]
    assert sorted(lesson.name for lesson in stations) == [lesson.name for lesson in catalogue.lessons()]


@pytest.fixture
def with_two_more(tmp_path, monkeypatch) -> None:
    """One that is planned, one that nobody thought of, on a track of its own."""
    more = [new.make("udp", "send-it-again", "Once more", tmp_path), new.make("quic", "streams", root=tmp_path)]
    every = [*catalogue.lessons(), *more]
    monkeypatch.setattr(catalogue, "lessons", lambda: every)


def test_a_new_lesson_takes_its_planned_place_or_the_last(with_two_more) -> None:
    found = {stage.title: stage for stage in curriculum.stages()}
    first = found["Messages"].stations[0]
    assert first.title == "Once more"
    assert first.lesson is not None
    last = list(found.values())[-1]
    assert (last.track, last.title, last.stations[0].title) == ("quic", curriculum.UNPLANNED, "Streams")


def test_the_drawing_says_in_words_what_stands(with_two_more) -> None:
    drawn = curriculum.drawn()
    every = [station for stage in curriculum.stages() for station in stage.stations]
    lessons = catalogue.lessons()
    to_come, drafts = len(every) - len(lessons), sum(lesson.is_draft for lesson in lessons)
    stand = len(lessons) - drafts
    assert drawn.startswith(f"**{len(every)} lessons: {stand} stand, {drafts} being written, {to_come} to come.**")
    assert '<li class="stands"><a href="../quic/01-streams/">Streams</a> <em>being written</em>' in drawn
    assert drawn.count("<em>to come</em>") == to_come
    assert drawn.count("<ol") == drawn.count("</ol>") == len(curriculum.stages())
