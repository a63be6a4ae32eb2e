"""Plots for the records of lessons: curves in the page's own colours, which are its style sheet's, light and dark.

Nothing is told by colour alone: curves differ in dashes and marks, bear their names, and the whole is told in words.
"""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 340, 60, 36, 70, 46


class Chart:
    """A plot.

    Args:
        told: What it shows, in words.
        x: The least and the greatest value from left to right.
        y: The same from below to above.
        logarithmic: Whether each step up is as many times as much.
    """

    def __init__(self, told: str, x: tuple[float, float], y: tuple[float, float], *, logarithmic: bool = False) -> None:
        self._told = told
        self._left, self._right = x
        self._scale = log10 if logarithmic else float
        self._low, self._high = (self._scale(value) for value in y)
        self._parts: list[str] = []

    def x(self, value: float) -> float:
        """Where a value lies, in pixels from the left."""
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - self._left) / (self._right - self._left)

    def y(self, value: float) -> float:
        """Where a value lies, in pixels from the top."""
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (self._scale(value) - self._low) / (self._high - self._low)

    def line(self, x1: float, y1: float, x2: float, y2: float, part: str, *, dashes: str = "") -> None:
        """A straight line, between places."""
        dash = f' stroke-dasharray="{dashes}"' if dashes else ""
        ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        self._parts.append(f'<line {ends} stroke="var(--{part})"{dash}/>')

    def text(
        self, x: float, y: float, text: str, part: str = "muted", anchor: str = "middle", *, bold: bool = False
    ) -> None:
        """Words at a place."""
        weight = ' font-weight="650"' if bold else ""
        place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
        self._parts.append(f'<text {place} fill="var(--{part})"{weight}>{escape(text)}</text>')

    def axes(self, x_ticks: Mapping[float, str], y_ticks: Mapping[float, str], x_label: str, y_label: str) -> None:
        """Scales, with a rule for each value on the left, and what they are of."""
        for value, text in y_ticks.items():
            self.line(LEFT, self.y(value), WIDTH - RIGHT, self.y(value), "rule")
            self.text(LEFT - 8, self.y(value) + 4, text, anchor="end")
        for value, text in x_ticks.items():
            self.text(self.x(value), HEIGHT - BOTTOM + 18, text)
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_label)
        self.text(2, TOP - 16, y_label, anchor="start")  # from the edge, for it may be longer than the values below it

    def curve(
        self, points: Sequence[tuple[float, float]], part: str, label: str, *, dashes: str = "", mark: str = ""
    ) -> None:
        """A line through points, with its name at the end."""
        places = [(self.x(x), self.y(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dash = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._parts.append(f'<polyline points="{path}" fill="none" stroke="var(--{part})" stroke-width="2.5"{dash}/>')
        for x, y in places if mark else []:
            shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"'
            if mark == "diamond":
                shape = f'<path d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"'
            self._parts.append(f'{shape} fill="var(--paper)" stroke="var(--{part})" stroke-width="2"/>')
        self.text(places[-1][0] + 12, places[-1][1] + 4, label, "ink", "start", bold=True)

    def svg(self) -> str:
        """All of it."""
        head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(self._told)}" width="{WIDTH}"'
        look = f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-size="13" font-family="system-ui, sans-serif"'
        return f"{head} {look}>{''.join(self._parts)}</svg>\n"
