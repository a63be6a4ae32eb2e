"""Views as HTML and SVG: the only program that draws them, at build and in the page.

Colours and sizes are the style sheet's (``assets/play.css``); there is no inline style, so that a strict content security
policy may stand. ``data-key`` names what is the same thing from picture to picture: the page moves it gently from the old
place to the new, and keeps the keyboard's focus on it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from html import escape
from itertools import pairwise

from lessons.playground.scenario import Scenario
from lessons.playground.view import Cells, Lanes, Lives, Packet, Part, Row, Stretch, Table, View

WIDTH, HEIGHT = 360, 330  # of the picture of lanes, in its own units
TOP, SIDE = 26, 52  # room for the hosts' names, and for the labels beside the outer lanes
PAST = 0.8  # the share of the picture that lies above the present
TEXT = 12  # two labels closer than this would cover each other
GUTTER, NOTES = 38, 92  # beside the lives: room for the names, and for what is said of them
LINE, AXIS = 22, 18  # the height of a life, and of the time below them all
LETTER = 6.4  # how wide one is, nearly
TICKS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds from one to the next
WORDS = {"flying": "in the air", "arrived": "arrived", "lost": "lost"}


def draw(view: View) -> str:
    """The whole view, as HTML."""
    return f'<p class="play-now">Time: {milliseconds(view.now)}</p>' + "".join(_part(part) for part in view.parts)


def still(lesson: str, scenario: type[Scenario], view: View) -> str:
    """A part for the lesson's page: the element, and in it the picture for those who cannot run it."""
    parts = [replace(part, drop="") if isinstance(part, Lanes) else part for part in view.parts]
    return (
        f'<div class="play" markdown="0">\n<sleepy-play src="{escape(lesson)}" label="{escape(scenario.title)}">\n'
        f'<div class="play-view">{draw(replace(view, parts=parts))}</div>\n'
        '<p class="play-still">A still picture. Where scripts run, it can be played with.</p>\n'
        "</sleepy-play>\n</div>\n"
    )


def milliseconds(seconds: float) -> str:
    """A time, as readers see it."""
    return f"{seconds * 1000:.1f} ms"


def _part(part: Part) -> str:
    if isinstance(part, Lanes):
        return _lanes(part)
    if isinstance(part, Lives):
        return _lives(part)
    return _cells(part) if isinstance(part, Cells) else _table(part)


# --- lanes -----------------------------------------------------------------------------------------------------------------


def _lanes(lanes: Lanes) -> str:
    return (
        f'<section class="play-part play-lanes"><p class="play-title">{escape(lanes.title)}</p>{_picture(lanes)}'
        + (_drops(lanes) if lanes.drop else "")
        + '<details class="play-table"><summary>The packets as a table</summary>'
        + _rows(
            lanes.title,
            ("packet", "way", "sent", "fate", "carries"),
            [
                (
                    packet.label,
                    f"{packet.source} → {packet.target}",
                    milliseconds(packet.sent),
                    WORDS[packet.fate] + ("" if packet.fate == "flying" else f" at {milliseconds(packet.ends)}"),
                    packet.detail,
                )
                for packet in lanes.packets
            ],
        )
        + "</details></section>"
    )


def _drops(lanes: Lanes) -> str:
    """For each way between neighbours a line, so that the page does not jump: what is in the air there, to be dropped."""
    between = [way for one, other in pairwise(lanes.hosts) for way in ((one, other), (other, one))]
    ways: dict[tuple[str, str], str] = dict.fromkeys(between, "")
    for packet in lanes.packets:
        if packet.fate == "flying":
            way = packet.source, packet.target
            what = escape(f"Drop {packet.label}, {packet.source} to {packet.target}")
            ways[way] = ways.get(way, "") + (
                f'<button type="button" data-key="drop-{escape(packet.key)}" data-act="{escape(lanes.drop)}" '
                f'data-value="{escape(packet.key)}" aria-label="{what}">{escape(packet.label)}</button>'
            )
    return "".join(
        f'<div class="play-drops"><span>Drop {escape(source)} → {escape(target)}:</span>{buttons or " –"}</div>'
        for (source, target), buttons in ways.items()
    )


class _Paper:
    """Where times and hosts lie. Time is written onto an endless paper, which moves up below a window."""

    def __init__(self, lanes: Lanes) -> None:
        self._scale = (HEIGHT - TOP) / lanes.span
        step = (WIDTH - 2 * SIDE) / max(len(lanes.hosts) - 1, 1)
        self.columns = {host: SIDE + step * index for index, host in enumerate(lanes.hosts)}
        self.now = self.y(lanes.now)
        self.shift = (HEIGHT - TOP) * PAST - self.now

    def y(self, time: float) -> float:
        return time * self._scale

    def at(self, packet: Packet, time: float) -> tuple[float, float]:
        """Where a packet is at a time."""
        share = (time - packet.sent) / (packet.due - packet.sent) if packet.due > packet.sent else 1.0
        left, right = self.columns[packet.source], self.columns[packet.target]
        return left + (right - left) * share, self.y(time)


def _picture(lanes: Lanes) -> str:
    paper = _Paper(lanes)
    flying = sum(packet.fate == "flying" for packet in lanes.packets)
    lost = sum(packet.fate == "lost" for packet in lanes.packets)
    told = f"{lanes.title}: at {milliseconds(lanes.now)}, {flying} in the air, {lost} lost of those shown; a table follows."
    names = "".join(
        f'<text class="play-host" x="{x:.1f}" y="15" text-anchor="middle">{escape(host)}</text>'
        for host, x in paper.columns.items()
    )
    rails = "".join(
        f'<line class="play-rail" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT - TOP}"/>'
        for x in paper.columns.values()
    )
    present = (HEIGHT - TOP) * PAST
    first, *_, last = paper.columns.values()
    ways = "".join(_way(paper, lanes, packet) for packet in lanes.packets)
    dots = "".join(_dot(paper, lanes, packet) for packet in lanes.packets if packet.fate == "flying")
    return (
        f'<svg class="play-picture" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">{names}'
        f'<svg x="0" y="{TOP}" width="{WIDTH}" height="{HEIGHT - TOP}">{rails}'
        f'<line class="play-present" x1="{first:.1f}" x2="{last:.1f}" y1="{present:.1f}" y2="{present:.1f}"/>'
        f'<text class="play-small" x="{WIDTH - 6}" y="{present + 4:.1f}" text-anchor="end">now</text>'
        f'<g data-key="paper" transform="translate(0 {paper.shift:.2f})">{ways}{_labels(paper, lanes)}{dots}</g>'
        "</svg></svg>"
    )


def _way(paper: _Paper, lanes: Lanes, packet: Packet) -> str:
    """The way behind a packet; before it, dashed, the way that it will take if nothing happens to it."""
    x1, y1 = paper.at(packet, packet.sent)
    x2, y2 = paper.at(packet, min(lanes.now, packet.ends))
    hue = f"play-{list(lanes.hosts).index(packet.source) % 3}"
    drawn = f'<line class="play-way {hue}" x1="{x1:.1f}" y1="{y1:.2f}" x2="{x2:.1f}" y2="{y2:.2f}"/>'
    if packet.fate == "lost":
        cross = f"M{x2 - 5:.1f} {y2 - 5:.2f}l10 10m0 -10l-10 10"
        return drawn + f'<path class="play-lost" d="{cross}"/>'
    if packet.fate == "arrived":
        return drawn + f'<circle class="play-end {hue}" cx="{x2:.1f}" cy="{y2:.2f}" r="3"/>'
    x3, y3 = paper.at(packet, packet.due)
    return drawn + f'<line class="play-ahead {hue}" x1="{x2:.1f}" y1="{y2:.2f}" x2="{x3:.1f}" y2="{y3:.2f}"/>'


def _labels(paper: _Paper, lanes: Lanes) -> str:
    """Which packet left when, beside the lanes, as far as there is room."""
    drawn, taken = "", dict.fromkeys(lanes.hosts, float("-inf"))
    for packet in lanes.packets:
        y = paper.y(packet.sent)
        below_dot = packet.fate == "flying" and paper.now - y < TEXT
        if y - taken[packet.source] >= TEXT and not below_dot:
            taken[packet.source] = y
            right = packet.source == lanes.hosts[-1]
            x = paper.columns[packet.source] + (8 if right else -8)
            anchor = "start" if right else "end"
            place = f'x="{x:.1f}" y="{y + 4:.2f}" text-anchor="{anchor}"'
            drawn += f'<text class="play-small" {place}>{escape(packet.label)}</text>'
    return drawn


def _dot(paper: _Paper, lanes: Lanes, packet: Packet) -> str:
    x, y = paper.at(packet, lanes.now)
    hue = f"play-{list(lanes.hosts).index(packet.source) % 3}"
    act = f' data-act="{escape(lanes.drop)}" data-value="{escape(packet.key)}"' if lanes.drop else ""
    return (
        f'<g class="play-dot {hue}" data-key="{escape(packet.key)}"{act} transform="translate({x:.2f} {y:.2f})">'
        f'<circle r="10"/><text y="4" text-anchor="middle">{escape(packet.label)}</text></g>'
    )


# --- lives -----------------------------------------------------------------------------------------------------------------


def _lives(lives: Lives) -> str:
    since = lives.now - lives.span
    rows = [
        (
            life.label,
            stretch.what,
            milliseconds(stretch.start),
            "now" if stretch.end >= lives.now else milliseconds(stretch.end),
        )
        for life in lives.lives
        for stretch in life.stretches
        if stretch.end >= since
    ]
    return (
        f'<section class="play-part play-lives"><p class="play-title">{escape(lives.title)}</p>{_history(lives)}'
        '<details class="play-table"><summary>The same as a table</summary>'
        + _rows(lives.title, ("", "what", "from", "to"), rows)
        + "</details></section>"
    )


def _history(lives: Lives) -> str:
    """Names on the left, in the middle the past on a paper that moves to the left, on the right what holds now."""
    width = WIDTH - GUTTER - NOTES
    below = LINE * max(len(lives.lives), lives.rows)
    scale = width / lives.span
    told = f"{lives.title}: the last {lives.span:g} s; a table follows."
    sides = "".join(
        f'<text class="play-name" x="{GUTTER - 5}" y="{_middle(row) + 4}" text-anchor="end">{escape(life.label)}</text>'
        f'<text class="play-small" x="{WIDTH - NOTES + 6}" y="{_middle(row) + 4}">{escape(life.note)}</text>'
        for row, life in enumerate(lives.lives)
    )
    drawn = "".join(_ticks(lives, scale, below)) + "".join(
        _stretch(lives, scale, row, stretch)
        for row, life in enumerate(lives.lives)
        for stretch in life.stretches
        if stretch.end >= lives.now - lives.span
    )
    shift = width - lives.now * scale
    return (
        f'<svg class="play-picture" viewBox="0 0 {WIDTH} {below + AXIS}" role="img" aria-label="{escape(told)}">{sides}'
        f'<svg x="{GUTTER}" y="0" width="{width}" height="{below + AXIS}">'
        f'<g data-key="lives" transform="translate({shift:.2f} 0)">{drawn}</g></svg>'
        f'<line class="play-present" x1="{GUTTER + width}" x2="{GUTTER + width}" y1="0" y2="{below}"/>'
        f'<text class="play-small" x="{GUTTER + width}" y="{below + 13}" text-anchor="middle">now</text></svg>'
    )


def _middle(row: int) -> float:
    return LINE * (row + 0.5)


def _ticks(lives: Lives, scale: float, below: float) -> Iterator[str]:
    step = next((step for step in TICKS if lives.span / step <= 5), TICKS[-1])
    for number in range(max(math.ceil((lives.now - lives.span) / step), 0), math.floor(lives.now / step) + 1):
        x = number * step * scale
        yield f'<line class="play-tick" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{below}"/>'
        if lives.now - number * step > 0.15 * lives.span:  # else it would lie below "now"
            yield f'<text class="play-small" x="{x:.1f}" y="{below + 13}" text-anchor="middle">{number * step:g} s</text>'


def _stretch(lives: Lives, scale: float, row: int, stretch: Stretch) -> str:
    start = max(stretch.start, lives.now - lives.span)
    x, y, width = start * scale, _middle(row), (stretch.end - start) * scale
    if stretch.tone == "plain":
        return f'<line class="play-idle" x1="{x:.1f}" x2="{x + width:.1f}" y1="{y}" y2="{y}"/>'
    drawn = f'<rect class="play-bar-{stretch.tone}" x="{x:.1f}" y="{y - 8}" width="{width:.1f}" height="16" rx="3"/>'
    if stretch.text and width >= LETTER * len(stretch.text) + 4:
        place = f'x="{x + width / 2:.1f}" y="{y + 4}" text-anchor="middle"'
        drawn += f'<text class="play-bar-text" {place}>{escape(stretch.text)}</text>'
    return drawn


# --- cells and tables ------------------------------------------------------------------------------------------------------


def _cells(cells: Cells) -> str:
    longest = max((len(row.cells) for row in cells.rows), default=0)
    rows = "".join(_row(row, longest) for row in cells.rows)
    return (
        f'<section class="play-part" tabindex="0" aria-label="{escape(cells.title)}">'
        f'<p class="play-title">{escape(cells.title)}</p>'
        f'<table class="play-cells" aria-label="{escape(cells.title)}"><tbody>{rows}</tbody></table></section>'
    )


def _row(row: Row, longest: int) -> str:
    """A row beside one of so many cells: notes have a column of their own, or a long one would widen a cell above it."""
    cells = "".join(
        f'<td class="play-cell play-{cell.tone}">{escape(cell.text)}'
        + (f"<small>{escape(cell.label)}</small>" if cell.label else "")
        + "</td>"
        for cell in row.cells
    )
    gap = longest - len(row.cells)
    note = f'<td class="play-note">{escape(row.note)}</td>' if row.note else ""
    if note and gap:
        note = f'<td colspan="{gap}"></td>{note}'
    head = f'<th scope="row">{escape(row.label)}</th>' if row.label else ""
    return f"<tr>{head}{cells}{note}</tr>"


def _table(table: Table) -> str:
    rows = _rows(table.title, table.head, table.rows)
    return (
        f'<section class="play-part" tabindex="0" aria-label="{escape(table.title)}">'
        f'<p class="play-title">{escape(table.title)}</p>{rows}</section>'
    )


def _rows(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    names = "".join(f'<th scope="col">{escape(name)}</th>' if name else "<td></td>" for name in head)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    head_and_body = f"<thead><tr>{names}</tr></thead><tbody>{body}</tbody>"
    return f'<table class="play-rows" aria-label="{escape(title)}">{head_and_body}</table>'
