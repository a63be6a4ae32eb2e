from xml.etree import ElementTree as ET

import pytest

from lessons.playground import Cell, Cells, Lanes, Packet, Row, Table, View
from lessons.playground.drawing import draw


def lanes(fate="flying", *, ends: float = 0.2, label="7", drop="drop", now: float = 0.15) -> Lanes:
    packet = Packet(key="a1", label=label, detail="x", source="a", target="b", sent=0.1, due=0.2, ends=ends, fate=fate)
    return Lanes(title="Way", hosts=("a", "b"), now=now, span=0.3, packets=[packet], drop=drop)


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


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '" onclick="alert(1)', "&amp;"])
def test_whatever_a_scenario_says_is_text(evil) -> None:
    parts = [
        lanes(label=evil, drop=evil),
        Cells(evil, [Row(evil, [Cell(evil, evil)], evil)]),
        Table(evil, (evil,), [(evil,)]),
    ]
    picture = drawn(*parts)
    assert not list(picture.iter("script"))
    assert not any(name.startswith("on") for node in picture.iter() for name in node.attrib)
    assert sum(evil in text for text in picture.itertext()) >= 9


def test_nothing_is_styled_in_place() -> None:
    """A content security policy may forbid it."""
    picture = drawn(lanes(), Cells("c", [Row("r", [Cell("1")])]), Table("t", ("h",), [("d",)]))
    assert not any("style" in node.attrib for node in picture.iter())
    assert list(picture.iter("style")) == []
