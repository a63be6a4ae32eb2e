"""What pages say of a run is drawn from its record, and a record is made of a run that passed."""

import json
import re
from xml.etree import ElementTree as ET

import pytest

from labs import capture
from labs.results import Summary, Verdict
from lessons import runs
from tests.labs import synthetic

RECORDED = runs.recorded()
DRAWN = runs.drawn()


def told(svg: str) -> list[str]:
    """The words and numbers in a picture, which no version of the drawing library changes."""
    return [
        "".join(node.itertext()).strip() for node in ET.fromstring(svg).iter() if node.tag.endswith(("text", "title"))
    ]


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.relative_to(runs.ROOT).as_posix())
def test_what_is_committed_is_what_the_record_says(path) -> None:
    written, wanted = path.read_text(encoding="utf-8"), DRAWN[path]
    remedy = "draw it again: python -m lessons draw"
    if path.suffix == ".svg":
        assert told(written) == told(wanted), remedy
    else:
        assert written == wanted, remedy


def test_a_record_changes_the_drawing(tmp_path) -> None:
    summary = synthetic.slow_response()
    summary.contenders[0].captured.held += 7
    assert told(runs._alone(summary, "light")) != told(runs._alone(synthetic.slow_response(), "light"))


def test_the_headline_is_of_requests_that_were_held_up() -> None:
    """Where only a few were, the median is of the others, and would say that nothing happened."""
    summary = synthetic.slow_response()
    captured = summary.contenders[0].captured
    innocent = sum(request.innocent for request in summary.contenders[0].requests)
    captured.held, captured.p50, captured.p99 = innocent, 0.222, 0.777
    assert "The median innocent request took 222 ms" in runs._headline(summary)
    captured.held = 1
    assert "One innocent request in a hundred took 777 ms or more" in runs._headline(summary)


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_a_record_is_of_a_run_that_passed_in_a_real_network(folder) -> None:
    summary = Summary.read(folder / "summary.json")
    assert summary.verdict is Verdict.PASS
    assert summary.world in {"netns", "compose"}
    assert all(check.passed for check in summary.checks)


def test_a_run_that_did_not_pass_is_not_recorded(tmp_path) -> None:
    summary = synthetic.slow_response()
    summary.verdict = Verdict.FAIL
    summary.write(tmp_path / "summary.json")
    with pytest.raises(ValueError, match="ended with FAIL"):
        runs.record(tmp_path, tmp_path / "lesson")
    assert not (tmp_path / "lesson").exists()


def test_a_record_keeps_what_the_run_found(tmp_path) -> None:
    summary = synthetic.slow_response()
    summary.verdict = Verdict.PASS
    summary.write(tmp_path / "summary.json")
    kept = Summary.read(runs.record(tmp_path, tmp_path / "lesson") / "summary.json")
    assert [contender.captured.held for contender in kept.contenders] == [
        contender.captured.held for contender in summary.contenders
    ]
    for ours, theirs in zip(kept.contenders[0].requests, summary.contenders[0].requests, strict=True):
        assert ours.delivered == pytest.approx(theirs.delivered, abs=1e-6)


LOST = [folder for folder in RECORDED if (folder / "left.pcap").exists()]


@pytest.mark.parametrize("folder", LOST, ids=lambda folder: folder.name)
def test_the_segments_shown_are_in_one_capture_and_not_in_the_other(folder) -> None:
    left, right = (capture.read(folder / name) for name in runs.CAPTURES)
    summary = Summary.read(folder / "summary.json")
    loss = runs.first_loss(left, right, summary.contenders[0].port)
    assert loss.first.payload == loss.again.segment.payload
    assert any(segment.payload == loss.first.payload and segment.time == loss.first.time for segment in right)
    copies = [segment for segment in left if segment.sequence == loss.first.sequence and segment.payload]
    assert [segment.time for segment in copies] == [loss.again.left]
    assert all(crossing.left is not None and crossing.left < loss.again.left for crossing in loss.behind)


@pytest.mark.parametrize("folder", LOST, ids=lambda folder: folder.name)
def test_without_a_loss_there_are_no_segments_to_show(folder) -> None:
    right = capture.read(folder / "right.pcap")
    with pytest.raises(ValueError, match="was lost"):
        runs.first_loss(right, right, Summary.read(folder / "summary.json").contenders[0].port)


def test_pictures_on_a_page_do_not_share_identifiers() -> None:
    seen: set[str] = set()
    for folder in RECORDED:
        identifiers = set(re.findall(r' id="([^"]+)"', (folder / "figure.svg").read_text(encoding="utf-8")))
        assert not seen & identifiers
        seen |= identifiers


def test_a_readme_without_its_places_is_an_error() -> None:
    with pytest.raises(ValueError, match="lacks <!-- drawn"):
        runs._readme("# nothing here\n")


def test_a_record_is_compact() -> None:
    for folder in RECORDED:
        text = (folder / "summary.json").read_text(encoding="utf-8")
        assert text == json.dumps(json.loads(text), separators=(",", ":")) + "\n"
