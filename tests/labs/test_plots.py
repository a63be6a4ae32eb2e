"""The plots: themed, legible, told in words too, and the same for the same run."""

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from labs import plots, timeline
from labs.results import Summary
from labs.timeline import Track
from tests.labs import synthetic

Scale = Callable[[float], float]
SVG = "{http://www.w3.org/2000/svg}"
DRAWINGS: dict[str, Callable[[Sequence[Track]], str]] = {
    "figure": plots.figure,
    "figure in a page": lambda tracks: plots.figure(tracks, own_theme=False),
    "history, wide": lambda tracks: plots.history(tracks, 880),
    "history, narrow": lambda tracks: plots.history(tracks, 328),
    "latencies, wide": lambda tracks: plots.latencies(tracks, 880),
    "latencies, narrow": lambda tracks: plots.latencies(tracks, 328),
}


def tracks_of(summary: Summary) -> list[Track]:
    return [timeline.track(contender) for contender in summary.contenders]


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    tracks = tracks_of(synthetic.slow_response(requests=40))
    return {name: draw(tracks) for name, draw in DRAWINGS.items()}


def numbers(svg: str, anchor: str) -> dict[str, tuple[float, float]]:
    """Where the first panel's numbers are: those below it are anchored in their middle, those left of it at their end."""
    elements = [
        text for text in ET.fromstring(svg).iter(f"{SVG}text") if f"text-anchor: {anchor}" in text.get("style", "")
    ]
    return {text.text or "": (float(text.get("x", 0)), float(text.get("y", 0))) for text in reversed(elements)}


def rightwards(svg: str, *ticks: str, scale: Scale = float) -> Scale:
    """From values to pixels from the left, as a reader finds it: by two ticks of the first panel."""
    places = numbers(svg, "middle")
    return between(*((scale(float(tick)), places[tick][0]) for tick in ticks), scale=scale)


def downwards(svg: str, *ticks: str) -> Scale:
    """From values to pixels from the top, by the lines of the grid that are next to two ticks."""
    places = numbers(svg, "end")
    lines = [float(y) for y in re.findall(r'd="M [\d.]+ ([\d.]+) L [\d.]+ \1 "[^>]*stroke: var\(--rule\)', svg)]
    found = {tick: min(lines, key=lambda line: abs(line - places[tick][1])) for tick in ticks}
    return between(*((float(tick.split()[0]), found[tick]) for tick in ticks))


def between(one: tuple[float, float], other: tuple[float, float], scale: Scale = float) -> Scale:
    """The scale on which two values are at two places."""
    return lambda value: one[1] + (scale(value) - one[0]) / (other[0] - one[0]) * (other[1] - one[1])


def marks(svg: str, part: str) -> list[tuple[float, float]]:
    """Where the marks of a colour are."""
    found = [mark for mark in ET.fromstring(svg).iter(f"{SVG}use") if f"stroke: var(--{part})" in mark.get("style", "")]
    return [(float(mark.get("x", 0)), float(mark.get("y", 0))) for mark in found]


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("theme", [1, 2], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "ground"])
def test_text_and_marks_stand_out_in_both_themes(theme: int, ground: str) -> None:
    """WCAG 2.2: 4.5 for text (1.4.3), 3 for marks (1.4.11)."""
    colours = {part: PART[theme] for part, PART in plots.PARTS.items()}
    for text in ("ink", "muted", "culprit", "pass", "between"):
        assert contrast(colours[text], colours[ground]) >= 4.5, text
    for mark in ("moving", "held", "culprit", "between"):
        assert contrast(colours[mark], colours[ground]) >= 3, mark
    assert contrast(colours["held"], colours["held-tint"]) >= 3


def test_placeholders_are_different_and_none_is_left(drawn: dict[str, str]) -> None:
    """Rule 1."""
    assert len(set(plots.COLOURS.values())) == len(plots.PARTS)
    for name, svg in drawn.items():
        assert not set(re.findall(r"#[0-9a-f]{6}\b", svg)) & set(plots.COLOURS.values()), name


def test_only_the_figure_that_stands_alone_brings_a_style_sheet(drawn: dict[str, str]) -> None:
    """Rule 1: in a page a style sheet of the plot's would reach everything around it."""
    assert {name for name, svg in drawn.items() if "<style" in svg} == {"figure"}
    assert "prefers-color-scheme:dark" in drawn["figure"]


def test_text_stays_text(drawn: dict[str, str]) -> None:
    """Rule 3."""
    for name, svg in drawn.items():
        texts = [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]
        assert any("PipelineClient, 1 connection" in (text or "") for text in texts), name
        assert "DejaVu" not in svg, name


def test_every_plot_has_words_for_those_who_do_not_see_it(drawn: dict[str, str]) -> None:
    for svg in drawn.values():
        root = ET.fromstring(svg)
        title = root.find(f"{SVG}title")
        assert root.get("role") == "img"
        assert title is not None
        assert title.text
        assert root.get("aria-labelledby") == title.get("id")


def test_the_same_run_gives_the_same_bytes(drawn: dict[str, str]) -> None:
    """Rule 4."""
    tracks = tracks_of(synthetic.slow_response(requests=40))
    assert {name: draw(tracks) for name, draw in DRAWINGS.items()} == drawn


def test_plots_on_one_page_do_not_share_ids(drawn: dict[str, str]) -> None:
    ids = [name for svg in list(drawn.values())[1:] for name in re.findall(r' id="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))
    for svg in drawn.values():
        assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg)) <= set(re.findall(r' id="([^"]+)"', svg))


def test_a_plot_is_drawn_for_its_width(drawn: dict[str, str]) -> None:
    """Rule 5."""
    roots = {name: ET.fromstring(svg) for name, svg in drawn.items()}
    width = {name: int(root.get("width", 0)) for name, root in roots.items()}
    height = {name: int(root.get("height", 0)) for name, root in roots.items()}
    assert (width["history, narrow"], width["history, wide"]) == (328, 880)
    assert height["history, narrow"] == 3 * height["history, wide"]


def test_a_plot_asks_for_nothing_from_outside(drawn: dict[str, str]) -> None:
    for svg in drawn.values():
        assert set(re.findall(r"https?://[^\"' ]+", svg)) <= {
            "http://www.w3.org/2000/svg",
            "http://www.w3.org/1999/xlink",
        }


def test_the_figure_shows_a_bar_per_stage_and_the_headline() -> None:
    tracks = tracks_of(synthetic.slow_response())
    root = ET.fromstring(plots.figure(tracks))
    texts = {element.text for element in root.iter(f"{SVG}text")}
    assert {plots.count(track.contender.captured.held_per_culprit) for track in tracks} <= texts
    window = timeline.windows(tracks)[timeline.typical(tracks)]
    shown = [
        life
        for track, zero in zip(tracks, window.zeros, strict=True)
        for life in track.lives
        if window.start <= life.start - zero <= window.end
    ]
    hatched = [path for path in root.iter(f"{SVG}path") if "url(#" in path.get("style", "")]
    held = sum(span.stage is timeline.Stage.HELD for life in shown for span in life.spans)
    assert len(hatched) == held + 1  # one more in the legend
    assert held > 10


def test_every_request_is_where_the_ticks_of_the_history_say() -> None:
    (track, *_) = tracks_of(synthetic.slow_response(requests=40))
    svg = plots.history([track], 880)
    x, y = rightwards(svg, "0.0", "0.8"), downwards(svg, "0", "600")
    for part, fate in (("culprit", "culprit"), ("moving", "free"), ("held", "held")):
        lives = [life for life in track.lives if plots._fate(life) == fate]
        assert lives
        assert marks(svg, part) == [pytest.approx((x(life.start), y(1000 * life.took)), abs=0.02) for life in lives]


def test_the_bars_of_a_close_up_are_as_long_as_its_ticks_say() -> None:
    (track, *_) = tracks = tracks_of(synthetic.slow_response(requests=40))
    svg = plots.figure(tracks)
    window = timeline.windows(tracks)[timeline.typical(tracks)]
    x = rightwards(svg, "0", "400")
    drawn = re.findall(r'd="M ([\d.]+) ([\d.]+) L ([\d.]+) \2 [^>]*clip-path[^>]*url\(#figure-h', svg)
    bars = [(float(start), float(end)) for start, _, end in drawn if float(start) < 286]
    spans = [
        span
        for life in track.lives
        if window.start <= life.start - window.zeros[0] <= window.end
        for span in life.spans
        if span.stage is timeline.Stage.HELD
    ]
    assert spans
    for bar, span in zip(bars, spans, strict=True):
        edges = (x(1000 * (time - window.zeros[0])) for time in (span.start, span.end))
        assert bar == pytest.approx(tuple(edges), abs=0.02)


def test_the_line_of_latencies_steps_up_at_each_and_ends_at_all() -> None:
    (track, *_) = tracks_of(synthetic.slow_response(requests=40))
    svg = plots.latencies([track], 880)
    x, y = rightwards(svg, "100", "200", scale=math.log), downwards(svg, "0 %", "100 %")
    (line, _) = re.findall(r'd="M ([^"]*)"[^>]*fill: none; stroke: var\(--held\)', svg)  # the other is in the legend
    corners = [tuple(map(float, corner.split())) for corner in line.split(" L ")]
    times = track.innocent_latencies
    steps = [(x(1000 * seconds), y(100 * rank / len(times))) for rank, seconds in enumerate(times, 1)]
    assert corners[2::2] == [pytest.approx(step, abs=0.02) for step in steps]


@pytest.mark.parametrize(("width", "apart"), [(880, (278.44, 0)), (328, (0, 230))])
def test_panels_are_side_by_side_where_there_is_room_else_stacked(width: int, apart: tuple[float, float]) -> None:
    """Rule 5."""
    tracks = tracks_of(synthetic.slow_response(requests=40))
    elements = ET.fromstring(plots.history(tracks, width)).iter(f"{SVG}text")
    places = {text.text: (float(text.get("x", 0)), float(text.get("y", 0))) for text in elements}
    titles = [places[track.contender.label] for track in tracks]
    for before, after in pairwise(titles):
        assert (after[0] - before[0], after[1] - before[1]) == pytest.approx(apart, abs=0.02)


def test_labels_from_data_are_only_text() -> None:
    summary = synthetic.slow_response(requests=40)
    summary.contenders[0].label = "<script>alert('$x^')</script> & $5"
    for draw in DRAWINGS.values():
        root = ET.fromstring(draw(tracks_of(summary)))
        assert any("<script>alert('$x^')</script> & $5" in (text.text or "") for text in root.iter(f"{SVG}text"))
        assert not list(root.iter(f"{SVG}script"))


def test_a_run_without_a_culprit_has_no_figure_but_the_other_plots() -> None:
    tracks = tracks_of(synthetic.no_effect())
    with pytest.raises(ValueError, match="no culprit"):
        plots.figure(tracks)
    assert "<svg" in plots.history(tracks, 880)
    assert "<svg" in plots.latencies(tracks, 880)


def test_answers_that_take_no_time_can_be_drawn() -> None:
    """As on a simulated link without delay; a warning would be an error here."""
    summary = synthetic.slow_response(requests=20)
    for contender in summary.contenders:
        for request in contender.requests:
            request.done = request.delivered = request.answered = request.sent = request.queued
    assert plots.latencies(tracks_of(summary), 880)


def test_a_contender_that_was_never_answered_is_no_obstacle() -> None:
    summary = synthetic.slow_response(requests=40)
    for request in summary.contenders[1].requests:
        request.sent = request.at_server = request.answered = request.arrived = request.delivered = request.done = None
    tracks = tracks_of(summary)
    assert all("<svg" in draw(tracks) for draw in DRAWINGS.values())


@pytest.mark.parametrize(("number", "text"), [(16.42, "16.4"), (4.0, "4"), (0.0, "0"), (0.04, "0"), (10.0, "10")])
def test_counts_are_as_short_as_can_be(number: float, text: str) -> None:
    assert plots.count(number) == text
