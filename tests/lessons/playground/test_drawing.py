from xml.etree import ElementTree as ET

import pytest

from lessons.playground import Cell, Cells, Lanes, Life, Lives, Packet, Row, Stretch, Table, View
from lessons.playground.drawing import draw


def lanes(fate="flying", *, ends: float = 0.2, label="7", drop="drop", now: float = 0.15) -> Lanes:
    packet = Packet(key="a1", label=label, detail="x", source="a", target="b", sent=0.1, due=0.2, ends=ends, fate=fate)
    return Lanes(title="Way", hosts=("a", "b"), now=now, span=0.3, packets=[packet], drop=drop)


def lives(*stretches: Stretch, label="c1", note="idle", title="Lives") -> Lives:
    return Lives(title=title, now=2.0, span=1.0, lives=[Life(label, stretches, note)])


def drawn(*parts) -> ET.Element:
    return ET.fromstring(f"<div>{draw(View(0.15, parts))}</div>")


def test_a_packet_half_way_in_time_is_half_way_between_the_hosts() -> None:
    picture = drawn(lanes())
    names = {text.text: float(text.get("x", "")) for text in picture.iter("text") if text.get("class") == "play-host"}
    [dot] = [group for group in picture.iter("g") if group.get("data-key") == "a1"]
    x = float(dot.get("transform", "").removeprefix("translate(").split()[0])
    assert x == pytest.approx((names["a"] + names["b"]) / 2, abs=0.1)


def test_only_a_packet_in_the_air_can_be_dropped() -> None:
    assert [button.get("data-value") for button in drawn(lanes()).iter("button")] == ["a1"]
    assert list(drawn(lanes("arrived")).iter("button")) == []
    assert list(drawn(lanes(drop="")).iter("button")) == []


@pytest.mark.parametrize(
    ("fate", "ends", "mark", "word"),
    [("lost", 0.12, "play-lost", "lost at 120.0 ms"), ("arrived", 0.2, "play-end", "arrived")],
)
def test_a_fate_is_told_by_a_sign_and_in_words(fate, ends, mark, word) -> None:
    picture = drawn(lanes(fate, ends=ends))
    assert any(mark in (node.get("class") or "") for node in picture.iter())
    assert word in "".join(picture.itertext())
    assert not any(mark in (node.get("class") or "") for node in drawn(lanes()).iter())


def test_a_stretch_lies_where_its_times_are() -> None:
    """The window shows the last second: what begins before it is cut, a quarter of it is a quarter of the width."""
    picture = drawn(lives(Stretch(0.5, 1.5, "serves 7", "7", "yes"), Stretch(1.5, 1.75, "is idle")))
    [window] = [inner for outer in picture.iter("svg") for inner in outer.findall("svg")]
    [paper] = window.findall("g")
    shift = float(paper.get("transform", "").removeprefix("translate(").split()[0])
    width = float(window.get("width", ""))
    [bar] = paper.findall("rect")
    assert float(bar.get("x", "")) + shift == pytest.approx(0, abs=0.1)
    assert float(bar.get("width", "")) == pytest.approx(width / 2, abs=0.1)
    [line] = [line for line in paper.findall("line") if line.get("class") == "play-idle"]
    assert float(line.get("x1", "")) + shift == pytest.approx(width / 2, abs=0.1)
    assert float(line.get("x2", "")) + shift == pytest.approx(width * 3 / 4, abs=0.1)


def test_what_a_stretch_was_is_told_in_words() -> None:
    picture = drawn(lives(Stretch(1.2, 1.5, "serves 7", "7", "yes"), Stretch(1.5, 2.0, "is idle"), note="idle, 500 ms"))
    rows = [[cell.text for cell in row] for row in picture.iter("tr")][1:]
    assert rows == [["c1", "serves 7", "1200.0 ms", "1500.0 ms"], ["c1", "is idle", "1500.0 ms", "now"]]
    words = [text.text for text in picture.iter("text")]
    assert {"c1", "7", "idle, 500 ms", "now"} <= set(words)


def test_what_is_past_is_not_drawn_and_what_has_no_room_is_not_written() -> None:
    picture = drawn(lives(Stretch(0.1, 0.9, "long ago", "old", "yes"), Stretch(1.98, 2.0, "short", "short", "yes")))
    assert len(list(picture.iter("rect"))) == 1
    assert not {"old", "short"} & {text.text for text in picture.iter("text")}
    assert "long ago" not in "".join(picture.itertext())


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '" onclick="alert(1)', "&amp;"])
def test_whatever_a_scenario_says_is_text(evil) -> None:
    parts = [
        lanes(label=evil, drop=evil),
        Cells(evil, [Row(evil, [Cell(evil, evil)], evil)]),
        lives(Stretch(1.0, 2.0, evil, evil, "yes"), label=evil, note=evil, title=evil),
        Table(evil, (evil,), [(evil,)]),
    ]
    picture = drawn(*parts)
    assert not list(picture.iter("script"))
    assert not any(name.startswith("on") for node in picture.iter() for name in node.attrib)
    assert sum(evil in text for text in picture.itertext()) >= 14


def test_nothing_is_styled_in_place() -> None:
    """A content security policy may forbid it."""
    parts = [Cells("c", [Row("r", [Cell("1")])]), lives(Stretch(1, 2, "idle")), Table("t", ("h",), [("d",)])]
    picture = drawn(lanes(), *parts)
    assert not any("style" in node.attrib for node in picture.iter())
    assert list(picture.iter("style")) == []


def test_notes_have_a_column_of_their_own() -> None:
    """Beside a short row a long note would stand below a cell, and widen it."""
    picture = drawn(
        Cells("c", [Row("r", [Cell("1"), Cell("2"), Cell("3")], "two"), Row("s", [Cell("4")], "a long note")])
    )
    columns = {}
    for row in picture.iter("tr"):
        at = 0
        for cell in row:
            columns["".join(cell.itertext())] = at
            at += int(cell.get("colspan", 1))
    assert columns["two"] == columns["a long note"] == 4
