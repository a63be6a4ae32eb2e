"""A run's plots, as SVG: what happened around one culprit, how long every request took, how latencies are distributed.

Rules:

1. Colours are parts, not paint. Matplotlib draws with the placeholders of `PARTS`; the finished SVG names CSS variables
   instead, so that a plot inside a page follows the page's theme. `figure` stands alone and brings both themes along.
2. Nothing is told by colour alone: what is held up is hatched or hollow, a culprit has a diamond, lines have dashes.
3. Text stays text, in the reader's own fonts.
4. The same run gives the same bytes.
5. A plot is drawn for a width rather than shrunk to it: panels side by side where there is room, else stacked.
"""
# Matplotlib's own types leave the keywords of its drawing methods open:
# pyright: reportUnknownMemberType=false

import io
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from html import escape
from itertools import cycle
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from labs.timeline import Life, Stage, Track, Window, trouble, typical, windows

# Each part of a plot: its placeholder, its colour in light, its colour in dark. The pages' style sheet has them too.
PARTS = {
    "ground": ("#a10009", "#f5f6f7", "#0e1116"),
    "paper": ("#a10000", "#ffffff", "#161a20"),
    "ink": ("#a10001", "#1c2127", "#e8eaed"),
    "muted": ("#a10002", "#59616b", "#a3acb8"),
    "rule": ("#a10003", "#dfe2e6", "#2d343d"),
    "moving": ("#a10004", "#4079b4", "#6ba3d9"),
    "held": ("#a10005", "#c85a12", "#f2a15c"),
    "held-tint": ("#a10006", "#fdeee0", "#3a2718"),
    "culprit": ("#a10007", "#a3142e", "#ff7d86"),
    "pass": ("#a1000a", "#12703a", "#5cc98a"),
    "between": ("#a10008", "#7d4f9e", "#c29be0"),
}
COLOURS = {part: colours[0] for part, colours in PARTS.items()}
STAGES: dict[Stage, dict[str, Any]] = {
    Stage.CULPRIT: {"color": COLOURS["culprit"], "linewidth": 0},
    Stage.HELD: {"facecolor": COLOURS["held-tint"], "edgecolor": COLOURS["held"], "linewidth": 0, "hatch": "/////"},
    Stage.MOVING: {"color": COLOURS["moving"], "linewidth": 0},
    Stage.QUEUED: {"color": COLOURS["muted"], "linewidth": 0},
}
THICK, THIN = 0.74, 0.2  # a bar's height, of its line's
DIAMOND: dict[str, Any] = {"linestyle": "", "marker": "D", "markersize": 7, "color": COLOURS["culprit"]}
FATES: dict[str, dict[str, Any]] = {
    "free": {"linestyle": "", "marker": "o", "markersize": 3.5, "color": COLOURS["moving"]},
    "held": {"linestyle": "", "marker": "^", "markersize": 5, "color": COLOURS["held"], "markerfacecolor": "none"},
    "culprit": DIAMOND,
}
LINES: tuple[dict[str, Any], ...] = (
    {"color": COLOURS["held"], "linewidth": 2.2},
    {"color": COLOURS["between"], "linewidth": 2.2, "dashes": (5, 1.5)},
    {"color": COLOURS["moving"], "linewidth": 2.2, "dashes": (1.2, 1.2)},
)
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sleepy",
    "text.parse_math": False,  # labels come from data; a dollar sign in one is a dollar sign
    "font.size": 13,
    "font.family": "sans-serif",
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["rule"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.titley": 1.0,  # else all tick labels are laid out to see whether they are in its way
    "grid.color": COLOURS["rule"],
    "xtick.color": COLOURS["rule"],
    "xtick.labelcolor": COLOURS["muted"],
    "ytick.color": COLOURS["rule"],
    "ytick.labelcolor": COLOURS["muted"],
    "ytick.major.size": 0,
    "hatch.linewidth": 1.3,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
FONTS = "font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
DPI = 72  # so that a point is a CSS pixel
GROUND = '<rect width="100%" height="100%" rx="10" style="fill:var(--paper)"/>'
RIGHT = 18  # pixels free at the right edge
STACK_BELOW = 600  # pixels of width


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
    with _canvas(size, 1, len(tracks)) as (canvas, panels):
        _write(canvas, size, 24, 36, f"One {what} holds up this many innocent requests:", fontsize=19, weight="bold")
        for axes, track, zero in zip(panels, tracks, window.zeros, strict=True):
            _waterfall(axes, track, zero, window)
            held, label = track.contender.captured.held_per_culprit, track.contender.label
            axes.text(0, 1.15, count(held), transform=axes.transAxes, fontsize=36, weight="bold")
            axes.text(0, 1.05, f"with {label}", transform=axes.transAxes)
        axis = "milliseconds since the culprit was asked for. Each bar is a request, from question to answer."
        _write(canvas, size, 24, size.height - 42, axis, color=COLOURS["muted"])
        words = (what, "held up behind it", "on its way", "queued")
        keys = [Patch(label=label, **look) for label, look in zip(words, STAGES.values(), strict=True)]
        canvas.legend(handles=keys, loc="lower left", bbox_to_anchor=(14 / size.width, 0), ncols=4, handlelength=1.4)
        return _svg(canvas, "figure", claim(tracks), own_theme=own_theme)


def claim(tracks: Sequence[Track]) -> str:
    """What the run shows, in one sentence."""
    told = [f"{count(track.contender.captured.held_per_culprit)} with {track.contender.label}" for track in tracks]
    return f"Innocent requests held up per {trouble(tracks)}: {'; '.join(told)}."


def history(tracks: Sequence[Track], width: int) -> str:
    """How long each request took, over the whole run, contender by contender; ``width`` in CSS pixels."""
    stacked = width < STACK_BELOW
    size = Size(width, height=230, left=52, top=34, bottom=48)
    longest = max((life.took for track in tracks for life in track.lives), default=1.0)
    last = max((life.start for track in tracks for life in track.lives), default=1.0)
    with _canvas(size, *((len(tracks), 1) if stacked else (1, len(tracks)))) as (canvas, panels):
        for axes, track in zip(panels, tracks, strict=True):
            axes.set_title(track.contender.label, loc="left", fontsize=13, weight="bold", pad=12)
            axes.set(xlim=(-0.03 * last, 1.03 * last), ylim=(0, 1100 * longest), xlabel="asked at, in seconds")
            axes.grid(axis="y")
            for fate, marks in FATES.items():
                lives = [life for life in track.lives if _fate(life) == fate]
                axes.plot([life.start for life in lives], [1000 * life.took for life in lives], **marks)
            if stacked or axes is panels[0]:
                axes.set_ylabel("took, in ms")
        return _svg(canvas, f"history-{width}", "How long each request took, over the whole run.")


def latencies(tracks: Sequence[Track], width: int) -> str:
    """The share of innocent requests answered within a time, contender by contender; ``width`` in CSS pixels."""
    stacked = width < STACK_BELOW
    # On a simulated link without delay answers take no time at all, which has no place on a scale of ratios.
    samples = [[max(1000 * seconds, 0.001) for seconds in track.innocent_latencies] for track in tracks]
    everyone = [latency for sample in samples for latency in sample] or [1.0]
    ticks = (1, 2, 5) if max(everyone) > 8 * min(everyone) else (1, 1.5, 2, 3, 5, 7)
    with _canvas(Size(width, height=360, left=52, top=72 if stacked else 40, bottom=48), 1, 1) as (canvas, [axes]):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=ticks))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.set(xlabel="answered within, in ms", ylim=(0, 1.02))
        axes.grid(axis="both")
        for track, sample, line in zip(tracks, samples, cycle(LINES), strict=False):
            if sample:
                axes.ecdf(sample, label=track.contender.label, **line)
        columns = 1 if stacked else len(tracks)
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, borderpad=0.2)
        return _svg(canvas, f"latencies-{width}", "The share of innocent requests answered within a time.")


def theme() -> str:
    """The style sheet that gives every part its colour, by the reader's preference; print is always light."""
    light, dark = (";".join(f"--{part}:{colours[place]}" for part, colours in PARTS.items()) for place in (1, 2))
    return f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"


def count(number: float) -> str:
    """A number of requests for people: ``16.4``, ``4``, ``0``."""
    return f"{number:.1f}".removesuffix(".0")


def _waterfall(axes: Axes, track: Track, zero: float, window: Window) -> None:
    shown = [life for life in track.lives if window.start <= life.start - zero <= window.end]
    for stage, look in STAGES.items():
        half = (THIN if stage is Stage.QUEUED else THICK) / 2
        bars = [
            _rectangle(1000 * (span.start - zero), 1000 * (span.end - zero), row - half, row + half)
            for row, life in enumerate(shown)
            for span in life.spans
            if span.stage is stage
        ]
        axes.add_collection(PolyCollection(bars, **look), autolim=False)  # one artist; axes.barh would make one a bar
    guilty = [(row, life) for row, life in enumerate(shown) if not life.request.innocent]
    axes.plot([1000 * (life.end - zero) for _, life in guilty], [row for row, _ in guilty], **DIAMOND)
    axes.set(xlim=(1000 * window.start, 1000 * window.end), ylim=(len(shown), -1), yticks=[])
    axes.grid(axis="x")


def _rectangle(left: float, right: float, low: float, high: float) -> Sequence[tuple[float, float]]:
    return (left, low), (right, low), (right, high), (left, high)


def _fate(life: Life) -> str:
    if not life.request.innocent:
        return "culprit"
    return "free" if life.request.held_by is None else "held"


@contextmanager
def _canvas(size: Size, rows: int, columns: int) -> Generator[tuple[Figure, list[Axes]]]:
    """Empty panels that share both axes."""
    with mpl.rc_context(STYLE):
        width, height = size.width, size.height * rows
        canvas = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
        grid = canvas.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        margins = size.top + size.bottom
        canvas.subplots_adjust(
            left=size.left / width,
            right=1 - RIGHT / width,
            top=1 - size.top / height,
            bottom=size.bottom / height,
            wspace=0.1,
            hspace=margins / (size.height - margins),
        )
        panels = [axes for row in grid for axes in row]
        for axes in panels:
            axes.tick_params(labelbottom=True)
        yield canvas, panels


def _write(canvas: Figure, size: Size, x: float, y: float, text: str, **look: Any) -> None:
    canvas.text(x / size.width, 1 - y / size.height, text, **look)


def _svg(canvas: Figure, name: str, told: str, *, own_theme: bool = False) -> str:
    """The finished SVG: themed (rule 1), with a text alternative, in the reader's fonts (rule 3)."""
    buffer = io.StringIO()
    canvas.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style).*?</\1>", "", svg, flags=re.DOTALL)  # a style here would reach the page around it
    for part, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{part})")
    svg = re.sub(r"font-family: [^;\"]*|('[^';\"]*', )+sans-serif", FONTS, svg)
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", svg)
    svg = re.sub(r"(url\(#|href=\"#)", rf"\1{name}-", svg)
    svg = re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", svg)
    svg = re.sub(r"\s*\n\s*", " ", re.sub(r"<g>\s*(<path [^>]*/>)\s*</g>", r"\1", svg))
    width, height = (round(DPI * inches) for inches in canvas.get_size_inches())
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'aria-labelledby="{name}-told" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    )
    inside = f'<title id="{name}-told">{escape(told)}</title>' + (
        f"<style>{theme()}</style>{GROUND}" if own_theme else ""
    )
    return re.sub(r"<svg [^>]*>", lambda _: head + inside, svg, count=1)
