"""A run's plots, as SVG: what happened around one culprit, how long every request took, how latencies are distributed.

Rules:

1. Colours are parts, not paint: the SVG names CSS variables, so that a plot inside a page follows the page's theme.
   `figure` stands alone and brings both themes along.
2. Nothing is told by colour alone: what is held up is hatched or hollow, a culprit has a diamond, lines have dashes.
3. Text stays text, in the reader's own fonts. How wide it will be can only be guessed, so nothing depends on it.
4. The same run gives the same bytes.
5. A plot is drawn for a width rather than shrunk to it: panels side by side where there is room, else stacked.
"""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import cycle
from typing import NamedTuple

from labs.panel import SIZE, Panel, Scale, number, px, text
from labs.timeline import Life, Stage, Track, Window, trouble, typical, windows

# Each part of a plot: its colour in light, its colour in dark. The pages' style sheet has them too.
PARTS = {
    "ground": ("#f5f6f7", "#0e1116"),
    "paper": ("#ffffff", "#161a20"),
    "ink": ("#1c2127", "#e8eaed"),
    "muted": ("#59616b", "#a3acb8"),
    "rule": ("#dfe2e6", "#2d343d"),
    "moving": ("#4079b4", "#6ba3d9"),
    "held": ("#c85a12", "#f2a15c"),
    "held-tint": ("#fdeee0", "#3a2718"),
    "culprit": ("#a3142e", "#ff7d86"),
    "pass": ("#12703a", "#5cc98a"),
    "between": ("#7d4f9e", "#c29be0"),
}
THICK, THIN = 0.74, 0.2  # a bar's height, of its line's
HATCH = "figure-hatch"  # the pattern's name; names are the plots' own, since a page may hold several
FILLS = {
    Stage.CULPRIT: "var(--culprit)",
    Stage.HELD: f"url(#{HATCH})",
    Stage.MOVING: "var(--moving)",
    Stage.QUEUED: "var(--muted)",
}
DIAMOND = ("M0 4.95L4.95 0L0 -4.95L-4.95 0z", "fill:var(--culprit);stroke:var(--culprit)")
FATES = {  # a mark's outline around its place, and its look
    "free": ("M-1.75 0a1.75 1.75 0 1 0 3.5 0a1.75 1.75 0 1 0 -3.5 0z", "fill:var(--moving);stroke:var(--moving)"),
    "held": ("M0 -2.5L-2.5 2.5L2.5 2.5z", "fill:none;stroke:var(--held)"),
    "culprit": DIAMOND,
}
LINES = (
    "stroke:var(--held);stroke-width:2.2",
    "stroke:var(--between);stroke-width:2.2;stroke-dasharray:11 3.3",
    "stroke:var(--moving);stroke-width:2.2;stroke-dasharray:2.6 2.6",
)
GROUND = '<rect width="100%" height="100%" rx="10" style="fill:var(--paper)"/>'
RIGHT = 18  # pixels free at the right edge
GAP = 0.1  # between panels side by side, of a panel's width
STACK_BELOW = 600  # pixels of width
LETTER = 0.55  # a letter's width, of its size: a generous guess (rule 3)
KEY = 26  # the width of a key's sample, in pixels


class Size(NamedTuple):
    """A row of panels and its margins, in CSS pixels."""

    width: int
    height: int
    left: int
    top: int
    bottom: int


def figure(tracks: Sequence[Track], *, own_theme: bool = True) -> str:
    """A picture that stands alone: one culprit, and what became of the requests behind it, contender by contender.

    Raises:
        ValueError: The run has no culprit, and so nothing to show.
    """
    window, what = windows(tracks)[typical(tracks)], trouble(tracks)
    size = Size(width=880, height=460, left=24, top=132, bottom=92)
    drawn = [
        _hatch(),
        text(24, 36, f"One {what} holds up this many innocent requests:", part="ink", size=19, bold=True),
    ]
    areas = _areas(size, len(tracks), stacked=False)
    for place, (area, track, zero) in enumerate(zip(areas, tracks, window.zeros, strict=True)):
        drawn.append(_waterfall(area, track, zero, window, f"figure-clip-{place}"))
        held, label, left = track.contender.captured.held_per_culprit, track.contender.label, area[0]
        drawn.append(text(left, 96.6, count(held), part="ink", size=36, bold=True))
        drawn.append(text(left, 120.2, f"with {label}", part="ink"))
    axis = "milliseconds since the culprit was asked for. Each bar is a request, from question to answer."
    drawn.append(text(24, size.height - 42, axis))
    words = (what, "held up behind it", "on its way", "queued")
    samples = [f'<path d="M0 0h{1.4 * SIZE}v-9.1h-{1.4 * SIZE}z" style="fill:{fill}"/>' for fill in FILLS.values()]
    drawn += _keys(words, samples, 24, size.height - 14.8, 1.4 * SIZE, stacked=False)
    return _svg(size.width, size.height, "figure", claim(tracks), drawn, own_theme=own_theme)


def claim(tracks: Sequence[Track]) -> str:
    """What the run shows, in one sentence."""
    told = [f"{count(track.contender.captured.held_per_culprit)} with {track.contender.label}" for track in tracks]
    return f"Innocent requests held up per {trouble(tracks)}: {'; '.join(told)}."


def history(tracks: Sequence[Track], width: int) -> str:
    """How long each request took, over the whole run, contender by contender; ``width`` in CSS pixels."""
    stacked = width < STACK_BELOW
    size = Size(width, height=230, left=52, top=34, bottom=48)
    longest = max((life.took for track in tracks for life in track.lives), default=0.0) or 1.0
    last = max((life.start for track in tracks for life in track.lives), default=0.0) or 1.0
    drawn: list[str] = []
    for place, (area, track) in enumerate(zip(_areas(size, len(tracks), stacked=stacked), tracks, strict=True)):
        left, right, top, bottom = area
        panel = Panel(Scale(-0.03 * last, 1.03 * last, left, right), Scale(0, 1100 * longest, bottom, top))
        drawn.append(panel.levels("took, in ms", number, labelled=stacked or not place))
        drawn.append(panel.frame("asked at, in seconds", vertical=False))
        drawn.append(text(left, top - 12, track.contender.label, part="ink", bold=True))
        for fate, (outline, look) in FATES.items():
            lives = [life for life in track.lives if _fate(life) == fate]
            spots = [(panel.x(life.start), panel.y(1000 * life.took)) for life in lives]
            drawn.append(panel.clip(f"history-{width}-clip-{place}-{fate}", _marks(spots, outline, look)))
    height = size.height * (len(tracks) if stacked else 1)
    return _svg(width, height, f"history-{width}", "How long each request took, over the whole run.", drawn)


def latencies(tracks: Sequence[Track], width: int) -> str:
    """The share of innocent requests answered within a time, contender by contender; ``width`` in CSS pixels."""
    stacked = width < STACK_BELOW
    # On a simulated link without delay answers take no time at all, which has no place on a scale of ratios.
    samples = [[max(1000 * seconds, 0.001) for seconds in track.innocent_latencies] for track in tracks]
    everyone = [latency for sample in samples for latency in sample] or [1.0]
    margin = max((max(everyone) / min(everyone)) ** 0.05, 1.05)
    size = Size(width, height=360, left=52, top=72 if stacked else 40, bottom=48)
    ((left, right, top, bottom),) = _areas(size, 1, stacked=False)
    low, high = min(everyone) / margin, max(everyone) * margin
    panel = Panel(Scale(low, high, left, right, log=True), Scale(0, 1.02, bottom, top))
    drawn = [
        panel.levels("", lambda share: f"{100 * share:.0f} %", labelled=True),
        panel.frame("answered within, in ms", vertical=True),
    ]
    keys: list[tuple[str, str]] = []
    for place, (track, sample, look) in enumerate(zip(tracks, samples, cycle(LINES), strict=False)):
        if sample:
            drawn.append(panel.clip(f"latencies-{width}-clip-{place}", _stairs(panel, sample, look)))
            keys.append((track.contender.label, f'<path d="M0 -4.5h{KEY}" style="fill:none;{look}"/>'))
    top_key = 20.8 if stacked else 27.8
    drawn += _keys([label for label, _ in keys], [key for _, key in keys], left - 6, top_key, KEY, stacked=stacked)
    return _svg(
        width, size.height, f"latencies-{width}", "The share of innocent requests answered within a time.", drawn
    )


def theme() -> str:
    """The style sheet that gives every part its colour, by the reader's preference; print is always light."""
    light, dark = (";".join(f"--{part}:{colours[place]}" for part, colours in PARTS.items()) for place in (0, 1))
    return f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"


def count(number: float) -> str:
    """A number of requests for people: ``16.4``, ``4``, ``0``."""
    return f"{number:.1f}".removesuffix(".0")


def _areas(size: Size, panels: int, *, stacked: bool) -> list[tuple[float, float, float, float]]:
    """The panels' edges: left, right, top, bottom."""
    inside = size.width - size.left - RIGHT
    if stacked:
        tops = [size.height * row + size.top for row in range(panels)]
        return [(size.left, size.left + inside, top, top + size.height - size.top - size.bottom) for top in tops]
    width = inside / (panels + GAP * (panels - 1))
    lefts = [size.left + column * width * (1 + GAP) for column in range(panels)]
    return [(left, left + width, size.top, size.height - size.bottom) for left in lefts]


def _waterfall(area: tuple[float, float, float, float], track: Track, zero: float, window: Window, name: str) -> str:
    """A line for each request asked within the window, from its question to its answer."""
    left, right, top, bottom = area
    shown = [life for life in track.lives if window.start <= life.start - zero <= window.end]
    panel = Panel(Scale(1000 * window.start, 1000 * window.end, left, right), Scale(len(shown), -1, bottom, top))
    drawn: list[str] = []
    for stage, fill in FILLS.items():
        half = (THIN if stage is Stage.QUEUED else THICK) / 2
        for row, life in enumerate(shown):
            high, low = panel.y(row - half), panel.y(row + half)
            for span in life.spans:
                if span.stage is stage:
                    start, end = panel.x(1000 * (span.start - zero)), panel.x(1000 * (span.end - zero))
                    drawn.append(
                        f'<path d="M{px(start)} {px(high)}H{px(end)}V{px(low)}H{px(start)}z" style="fill:{fill}"/>'
                    )
    guilty = [(row, life) for row, life in enumerate(shown) if not life.request.innocent]
    drawn.append(_marks([(panel.x(1000 * (life.end - zero)), panel.y(row)) for row, life in guilty], *DIAMOND))
    return panel.frame("", vertical=True) + panel.clip(name, "".join(drawn))


def _fate(life: Life) -> str:
    if not life.request.innocent:
        return "culprit"
    return "free" if life.request.held_by is None else "held"


def _stairs(panel: Panel, sample: Sequence[float], look: str) -> str:
    """The share of a sample, smallest first, that is no larger: a step up at each."""
    steps = [f"M{px(panel.x(sample[0]))} {px(panel.y.start)}"]
    steps += [f"H{px(panel.x(value))}V{px(panel.y(rank / len(sample)))}" for rank, value in enumerate(sample, 1)]
    return f'<path d="{"".join(steps)}" style="fill:none;{look}"/>'


def _marks(spots: Iterable[tuple[float, float]], outline: str, look: str) -> str:
    """The same mark at many places."""
    moved = "".join(f'<path transform="translate({px(x)} {px(y)})" d="{outline}"/>' for x, y in spots)
    return f'<g style="{look}">{moved}</g>'


def _keys(words: Sequence[str], samples: Sequence[str], x: float, y: float, wide: float, *, stacked: bool) -> list[str]:
    """What samples stand for: side by side, each with room for its words, or in a column."""
    drawn: list[str] = []
    for told, sample in zip(words, samples, strict=True):
        drawn.append(f'<g transform="translate({px(x)} {px(y)})">{sample}</g>')
        drawn.append(text(x + wide + 10, y, told, part="ink"))
        if stacked:
            y += 19.5
        else:
            x += wide + 10 + LETTER * SIZE * len(told) + 1.5 * SIZE
    return drawn


def _hatch() -> str:
    """Rule 2: the look of what is held up."""
    return (
        f'<pattern id="{HATCH}" patternUnits="userSpaceOnUse" width="3.4" height="3.4" patternTransform="rotate(-45)">'
        '<rect width="3.4" height="3.4" style="fill:var(--held-tint)"/>'
        '<path d="M0 1.7H3.4" style="stroke:var(--held);stroke-width:1.3"/></pattern>'
    )


def _svg(width: int, height: int, name: str, told: str, drawn: Sequence[str], *, own_theme: bool = False) -> str:
    """The finished SVG, with a text alternative."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{name}-told" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<title id="{name}-told">{escape(told)}</title>'
        f"{f'<style>{theme()}</style>{GROUND}' if own_theme else ''}{''.join(drawn)}</svg>"
    )
