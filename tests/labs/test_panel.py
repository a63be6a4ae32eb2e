"""`labs.panel`: values at their places, ticks that are round and have room."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from labs.panel import Panel, Scale, number, px, text

ROOM = 39.0


@given(low=st.floats(-1e6, 1e6), length=st.floats(1e-3, 1e6), share=st.floats(0, 1))
def test_a_scale_maps_equal_steps_to_equal_steps(low: float, length: float, share: float) -> None:
    scale = Scale(low, low + length, 300, 100)
    assert scale(low + share * length) == pytest.approx(300 - 200 * share, abs=1e-3)


@given(low=st.floats(1e-3, 1e3), ratio=st.floats(1.01, 1e6), share=st.floats(0, 1))
def test_a_logarithmic_scale_maps_equal_ratios_to_equal_steps(low: float, ratio: float, share: float) -> None:
    scale = Scale(low, low * ratio, 100, 300, log=True)
    assert scale(low * ratio**share) == pytest.approx(100 + 200 * share, abs=1e-6)


@given(low=st.floats(-1e4, 1e4), length=st.floats(1e-3, 1e5), pixels=st.floats(80, 900))
def test_rule_1_ticks_are_round_have_room_and_are_no_fewer_than_need_be(
    low: float, length: float, pixels: float
) -> None:
    scale = Scale(low, low + length, 0, pixels)
    ticks = scale.ticks(ROOM)
    assume(len(ticks) > 1)
    step = ticks[1] - ticks[0]
    digits, power = f"{step:.3e}".split("e")
    assert digits in {"1.000", "2.000", "2.500", "5.000"}
    assert all(later - earlier == pytest.approx(step, rel=1e-6) for earlier, later in pairwise(ticks))
    assert step * pixels / length >= ROOM * 0.999
    assert low - 1e-9 * step <= ticks[0] <= low + step
    assert low + length - step <= ticks[-1] + 1e-9 * step <= low + length + 2e-9 * step
    finer = {"1.000": 0.5, "2.000": 1, "2.500": 2, "5.000": 2.5}[digits] * 10.0 ** int(power)
    assert length / finer * (1 + 1e-6) > min(int(pixels / ROOM), 9)


def test_rule_1_for_example() -> None:
    assert Scale(0, 1134, 182, 34).ticks(26) == [0, 250, 500, 750, 1000]
    assert Scale(-250, 1172, 24, 286).ticks(ROOM) == [-250, 0, 250, 500, 750, 1000]
    assert [number(value) for value in Scale(0, 0.32, 0, 200).ticks(ROOM)] == ["0", "0.1", "0.2", "0.3"]


@pytest.mark.parametrize(
    ("low", "high", "pixels", "ticks"),
    [
        (185, 1080, 810, [200, 300, 500, 700, 1000]),
        (1.9, 2100, 810, [2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000]),
        (1.9, 2100, 258, [3, 10, 30, 100, 300, 1000]),
        (0.9, 2e5, 258, [1, 10, 100, 1000, 10_000, 100_000]),
        (0.001, 1e9, 258, []),  # no room, no ticks
    ],
)
def test_rule_2_for_example(low: float, high: float, pixels: float, ticks: list[float]) -> None:
    assert Scale(low, high, 0, pixels, log=True).ticks(ROOM) == pytest.approx(ticks)


def test_where_all_is_the_same_there_is_a_scale_even_so() -> None:
    scale = Scale(0, 0, 10, 20)
    assert scale(0) == 10
    assert scale.ticks(ROOM) == [0]


@pytest.mark.parametrize(
    ("value", "told"), [(0.1 + 0.2, "0.3"), (1000.0, "1000"), (-250.0, "\N{MINUS SIGN}250"), (2.5, "2.5")]
)
def test_numbers_are_for_people(value: float, told: str) -> None:
    assert number(value) == told


@pytest.mark.parametrize(("place", "told"), [(12.0, "12"), (12.345678, "12.35"), (100.0, "100"), (0.0, "0")])
def test_places_are_short(place: float, told: str) -> None:
    assert px(place) == told


def test_words_are_only_words() -> None:
    element = ET.fromstring(text(1, 2, "<b> & 'so'", upwards=True))
    assert element.text == "<b> & 'so'"
    assert element.get("transform") == "rotate(-90 1 2)"


def test_a_panel_has_a_number_at_every_grid_line_and_clips_what_lies_outside() -> None:
    panel = Panel(Scale(0, 4, 50, 250), Scale(0, 100, 180, 30))
    drawn = ET.fromstring(
        f"<svg>{panel.levels('ms', number, labelled=True)}{panel.frame('s', vertical=True)}{panel.clip('a', '<g/>')}</svg>"
    )
    told = {element.text: (element.get("x"), element.get("y")) for element in drawn.iter("text")}
    assert set(told) == {"0", "20", "40", "60", "80", "100", "ms", "1", "2", "3", "4", "s"}
    assert told["4"] == ("250", "196.9")
    assert told["100"] == ("46.5", "34.9")
    area = drawn.find("clipPath/rect")
    assert area is not None
    assert area.attrib == {"x": "50", "y": "30", "width": "200", "height": "150"}
