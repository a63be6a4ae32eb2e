"""What there is to see after a step: plain data, which `lessons.playground.drawing` draws.

Times are in seconds. Nothing is said by colour alone: a tone only underlines what the text of its cell says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Fate = Literal["flying", "arrived", "lost"]
Tone = Literal["plain", "yes", "no", "open", "absent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet between two hosts.

    Attributes:
        key: Its name in the whole scenario; also what the action of `Lanes.drop` is given.
        label: One or two characters, for the dot.
        detail: What it carries, in a few words, for the table.
        source: The host it left.
        target: The host it is for.
        sent: When it left.
        due: When it arrives, or would have.
        ends: When its way ends: ``due``, or where it is lost.
        fate: What has become of it so far.
    """

    key: str
    label: str
    detail: str
    source: str
    target: str
    sent: float
    due: float
    ends: float
    fate: Fate


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """Hosts side by side, time running down, packets between them.

    Attributes:
        title: What it shows.
        hosts: From left to right.
        now: The present.
        span: How much time the picture covers, most of it past.
        packets: In the order they were sent.
        drop: The action that drops a packet in the air, if the reader may.
    """

    title: str
    hosts: Sequence[str]
    now: float
    span: float
    packets: Sequence[Packet]
    drop: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A bit, a byte, a slot of a buffer: what it holds, and a small word below."""

    text: str
    label: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Row:
    """Cells in a row: what they are (if that needs to be said), and what is to be said of them all."""

    label: str
    cells: Sequence[Cell]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Cells:
    """Rows of cells: bits, bytes, buffers, queues."""

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in the life of something, during which it was one thing.

    Attributes:
        start: When it began.
        end: When it ended, or the present.
        what: What it was, in a few words, for the table.
        text: What is written on it, if there is room.
        tone: How it looks: ``yes`` a full bar, ``open`` a hatched one, ``plain`` a line.
    """

    start: float
    end: float
    what: str
    text: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Life:
    """What became of one thing in the course of time, and what is to be said of it now."""

    label: str
    stretches: Sequence[Stretch]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """Things one below the other, time running to the right.

    Attributes:
        title: What it shows.
        now: The present, at the right edge.
        span: How much time the picture covers.
        lives: From top to bottom.
        rows: For how many there is room at least, so that the picture keeps its height.
    """

    title: str
    now: float
    span: float
    lives: Sequence[Life]
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Table:
    """Figures with names."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


Part = Lanes | Cells | Lives | Table


@dataclass(frozen=True, slots=True)
class View:
    """All there is to see, and the time, in seconds."""

    now: float
    parts: Sequence[Part]
