"""A new lesson's exercise holds from the first moment; what is left to write is named."""

import pytest

from lessons import check, new, proof
from lessons.new import NewLessonError, make


@pytest.fixture
def lesson(tmp_path):
    return make("udp", "odd-things", root=tmp_path / "lessons")


def test_its_exercise_holds(lesson) -> None:
    assert list(proof.faults(lesson)) == []


def test_it_is_a_draft_and_the_check_names_what_is_left(lesson) -> None:
    assert lesson.is_draft
    track = lesson.folder.parent
    (track / "index.md").write_text("<!-- made: lessons udp -->\n")  # as there is for each track, once
    found = check.check(lesson)
    assert {finding.part for finding in found} == {"plot", "unwritten"}
    written = {finding.what.partition(" ")[0] for finding in found if finding.part == "unwritten"}
    assert written == {
        "index.md",
        "instructors.md",
        "playground.py",
        "play.html",
        "quiz.yml",
        "exercise/README.md",
        "exercise/tests.py",
    }


def test_its_names_are_its_own(lesson) -> None:
    assert lesson.title == "Odd things"
    for path in lesson.folder.rglob("*.*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert "$name" not in text
            assert "$title" not in text


def test_numbers_go_on(tmp_path) -> None:
    root = tmp_path / "lessons"
    assert [make("udp", slug, root=root).name for slug in ("one", "two")] == ["udp/01-one", "udp/02-two"]
    assert make("tcp", "one", root=root).name == "tcp/01-one"


@pytest.mark.parametrize("slug", ["Big", "a b", "../out", "", "a--b"])
def test_odd_names_are_refused(tmp_path, slug) -> None:
    with pytest.raises(NewLessonError, match="no name for a folder"):
        make("udp", slug, root=tmp_path)


def test_a_slug_is_taken_once(tmp_path) -> None:
    make("udp", "one", root=tmp_path)
    with pytest.raises(NewLessonError, match="already"):
        make("udp", "one", root=tmp_path)


def test_what_to_do_next_is_said(lesson) -> None:
    assert f"check {lesson.name}" in new.next_steps(lesson)
