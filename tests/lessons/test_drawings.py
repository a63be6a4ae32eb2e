"""What pages show of recorded runs is drawn from the records: `lessons.drawings`."""

import pytest

from lessons import catalogue, drawings, runs

LESSONS = catalogue.lessons()


def test_rule_1_runs_of_labs_and_those_of_lessons_are_drawn() -> None:
    drawn = drawings.drawn(LESSONS)
    assert runs.drawn().items() <= drawn.items()
    assert set(catalogue.LESSONS.glob("*/*/run/*/figure.svg")) <= drawn.keys()
    assert set(catalogue.LESSONS.glob("*/*/run/*/parts.md")) <= drawn.keys()


def test_only_what_says_something_else_is_written(monkeypatch, tmp_path) -> None:
    same, other, missing = (tmp_path / name for name in ("same", "other", "missing"))
    same.write_text("new", encoding="utf-8")
    other.write_text("old", encoding="utf-8")
    stamp = same.stat().st_mtime_ns
    monkeypatch.setattr(drawings, "drawn", lambda _: dict.fromkeys((same, other, missing), "new"))
    assert drawings.draw([]) == [other, missing]
    assert [path.read_text(encoding="utf-8") for path in (same, other, missing)] == ["new"] * 3
    assert same.stat().st_mtime_ns == stamp
    assert drawings.draw([]) == []


def test_a_lesson_without_a_recorder_is_told_apart(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        drawings.recorder(tmp_path)
