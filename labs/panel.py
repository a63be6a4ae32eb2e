"""One panel of a plot: at which pixel a value is, which numbers stand beside it, and the frame that they make.

A *scale* maps values to pixels, equal steps to equal steps; a logarithmic one, equal ratios to equal steps. *Ticks* are the
round numbers by which people read it. They are as many as have room, and no more:

1. The step between them is 1, 2, 2.5 or 5 times a power of ten, the smallest that leaves every label its room.
2. On a logarithmic scale they are 1, 2 and 5 times powers of ten, or more where there is room for more, or less.

Places are in CSS pixels, from the top left. Colours are named, not given: `labs.plots` says which parts there are.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
SIZE = 13  # of letters, in pixels
_STEPS = (1, 2, 2.5, 5, 10)
_RATIOS = ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
_MOST = 9  # more ticks than these are a ruler
_TICK = 3.5  # pixels


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to pixels.

    Args:
        low: The value at ``start``.
        high: The value at ``end``. If it is the same, as where everything took no time, the scale reaches one further.
        start: In pixels.
        end: In pixels.
        log: Whether equal ratios are equal steps; both values are then more than 0.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Where a value is, in pixels."""
        even = (value - self.low) / self._span
        share = math.log(value / self.low) / math.log(self.high / self.low) if self.log else even
        return self.start + share * (self.end - self.start)

    @property
    def _span(self) -> float:
        return self.high - self.low or 1.0

    # --8<-- [start:ticks]
    def ticks(self, room: float) -> list[float]:
        """The values to be written beside it, each with so many pixels of room."""
        if self.log:  # rule 2
            choices = (self._rounds(ratios) for ratios in _RATIOS)
            return next((values for values in choices if self._roomy(values, room)), list[float]())
        most = min(max(int(abs(self.end - self.start) / room), 1), _MOST)
        least = self._span / most  # rule 1
        power = 10.0 ** math.floor(math.log10(least))
        step = next(factor * power for factor in _STEPS if factor * power >= least)
        return [step * number for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]

    # --8<-- [end:ticks]

    def _rounds(self, ratios: Sequence[float]) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        rounds = [ratio * 10.0**power for power in powers for ratio in ratios]
        return [value for value in rounds if self.low <= value <= self.high]

    def _roomy(self, values: Sequence[float], room: float) -> bool:
        places = [self(value) for value in values]
        return all(abs(later - earlier) >= room for earlier, later in pairwise(places))


@dataclass(frozen=True, slots=True)
class Panel:
    """An area with two scales, whose pixels are its edges: ``y`` starts at the bottom."""

    x: Scale
    y: Scale

    def frame(self, label: str, *, vertical: bool) -> str:
        """The baseline, and below it ticks and what they count; ``vertical``: with grid lines up from them."""
        bottom, places = self.y.start, [(self.x(value), value) for value in self.x.ticks(3 * SIZE)]
        lines = [(x, bottom, x, bottom + _TICK) for x, _ in places]
        grid = [(x, bottom, x, self.y.end) for x, _ in places] if vertical else []
        numbers = [text(x, bottom + 16.9, number(value), anchor="middle") for x, value in places]
        middle = (self.x.start + self.x.end) / 2
        return (
            _lines([*grid, *lines, (self.x.start, bottom, self.x.end, bottom)])
            + "".join(numbers)
            + (text(middle, bottom + 33.9, label, anchor="middle") if label else "")
        )

    def levels(self, label: str, write: Callable[[float], str], *, labelled: bool) -> str:
        """Grid lines across; ``labelled``: with their numbers, and what these count, to the left."""
        left, places = self.x.start, [(self.y(value), value) for value in self.y.ticks(2 * SIZE)]
        drawn = _lines((left, y, self.x.end, y) for y, _ in places)
        if labelled:
            drawn += "".join(text(left - _TICK, y + 4.9, write(value), anchor="end") for y, value in places)
        if labelled and label:
            drawn += text(8.3, (self.y.start + self.y.end) / 2, label, anchor="middle", upwards=True)
        return drawn

    def clip(self, name: str, drawn: str) -> str:
        """What is drawn, without what lies outside."""
        width, height = self.x.end - self.x.start, self.y.start - self.y.end
        area = f'<rect x="{px(self.x.start)}" y="{px(self.y.end)}" width="{px(width)}" height="{px(height)}"/>'
        return f'<clipPath id="{name}">{area}</clipPath><g clip-path="url(#{name})">{drawn}</g>'


def text(
    x: float,
    y: float,
    words: str,
    *,
    part: str = "muted",
    anchor: str = "start",
    size: int = SIZE,
    bold: bool = False,
    upwards: bool = False,
) -> str:
    """Words whose baseline begins, ends or has its middle at a place."""
    turned = f' transform="rotate(-90 {px(x)} {px(y)})"' if upwards else ""
    look = f"font-size:{size}px;{FONT};text-anchor:{anchor};fill:var(--{part})" + ";font-weight:700" * bold
    return f'<text x="{px(x)}" y="{px(y)}" style="{look}"{turned}>{escape(words)}</text>'


def number(value: float) -> str:
    """A tick's number for people."""
    return f"{round(value, 9):g}".replace("-", "\N{MINUS SIGN}")


def px(value: float) -> str:
    """A place, to a hundredth of a pixel."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _lines(lines: Iterable[tuple[float, float, float, float]]) -> str:
    steps = "".join(f"M{px(x1)} {px(y1)}L{px(x2)} {px(y2)}" for x1, y1, x2, y2 in lines)
    return f'<path d="{steps}" style="fill:none;stroke:var(--rule);stroke-width:0.8"/>'
