"""Fragments and reassembly: one endpoint cuts packets, the other puts them together, on a link that loses fragments.

*a* sends a packet every `EVERY` seconds and hands its fragments to the link one by one. *b* answers now and then, and its
headers say which packets it has: packets, for no header has a word for a fragment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from string import ascii_lowercase

from lessons.playground import Air, Button, Cell, Cells, Lanes, Row, Scenario, Slider, Switch, Table, View
from sleepy.sim import Link
from sleepy.udp import Endpoint, EndpointConfig
from sleepy.udp.header import FRAGMENT, read_fragment_header, write_fragment_header
from sleepy.udp.reassembly import Partial

SIZE = 2  # bytes in a fragment: few, so that they can be shown
MOST = 16  # fragments in a packet
ROOM = 4  # sequences in b's reassembly buffer
EVERY = 0.080  # seconds from one packet of a's to the next
ANSWER = 0.060  # seconds from one packet of b's to the next
FIRST_ANSWER = 0.030
DELAY, STRAY = 0.040, 0.030  # of the link, in seconds; how far fragments stray from it if they may overtake
SHOWN = 16  # packets in the list
SPAN = 0.220  # seconds in the picture


@dataclass(slots=True)
class Course:
    """What became of a packet of a's; a itself knows only whether it was acked."""

    fragments: int
    arrived: bool = False
    given_up: bool = False
    acked: bool = False


class Playground(Scenario):
    """Two production endpoints, and fragments between them."""

    title = "Fragments on their way, and the packets they become"
    controls = (
        Slider(name="fragments", label="Fragments in a packet", low=1, high=MOST, step=1, value=4),
        Slider(name="loss", label="Loss", low=0, high=40, step=1, value=10, unit="%"),
        Slider(name="twice", label="Arrive twice", low=0, high=40, step=5, value=0, unit="%"),
        Slider(
            name="timeout",
            label="b gives up after (0: never)",
            low=0,
            high=500,
            step=50,
            value=0,
            unit="ms",
            restarts=True,
        ),
        Switch(name="overtake", label="Fragments overtake each other"),
        Button(name="stranger", label="A stranger sends b a fragment"),
    )
    still = 105

    def __init__(self, settings: Mapping[str, float]) -> None:
        super().__init__(settings)
        self.now = 0.0
        config = EndpointConfig(
            fragment_size=SIZE,
            fragment_above=SIZE,
            max_fragments=MOST,
            fragment_reassembly_buffer_size=ROOM,
            fragment_reassembly_timeout=settings["timeout"] / 1000 or None,
        )
        self.ends = {"a": Endpoint(config, now=0.0), "b": Endpoint(config, now=0.0)}
        self.outgoing: list[tuple[float, bytes]] = []  # fragments of the packet that a is sending, and when each leaves
        self.next_send = {"a": 0.0, "b": FIRST_ANSWER}
        self.courses: dict[int, Course] = {}  # of a's packets, by sequence
        self.datagrams = {"sent": 0, "arrived": 0}  # of a's
        self.air = Air[bytes](settings["seed"])
        self.changed()

    @property
    def partials(self) -> dict[int, Partial]:
        """The incomplete packets, as b keeps them."""
        return self.ends["b"]._reassembly.partials  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  to be shown

    def changed(self) -> None:
        """The link takes its figures from the sliders."""
        settings = self.settings
        strays = bool(settings["overtake"])
        link = Link(
            delay=DELAY,
            jitter=STRAY if strays else 0.0,
            ordered=not strays,
            loss=settings["loss"] / 100,
            duplicate=settings["twice"] / 100,
        )
        self.air.link("a", "b", link)
        self.air.link("b", "a", Link(delay=DELAY, loss=settings["loss"] / 100))

    # --- what happens --------------------------------------------------------------------------------------------------

    def step(self) -> str:
        """The next arrival, loss or sending, whichever comes first."""
        leaves = self.outgoing[0][0] if self.outgoing else self.next_send["a"]
        end = self.air.next_end()
        if end is not None and end <= min(leaves, self.next_send["b"]):
            return self._end(end)
        if self.next_send["b"] < leaves:
            return self._answer(self.next_send["b"])
        return self._leave() if self.outgoing else self._cut(leaves)

    def _at(self, time: float) -> str:
        """Move the time on. What b gives up by that is told."""
        self.now = max(self.now, time)
        before = set(self.partials)
        for endpoint in self.ends.values():
            endpoint.update(self.now)
        return f"{self.now * 1000:.1f} ms:{self._given_up(before, 'for its time was up')}"

    def _given_up(self, before: set[int], why: str) -> str:
        """What b has given up since, in words."""
        gone = [sequence for sequence in before if sequence not in self.partials]
        for sequence in gone:
            if sequence in self.courses:
                self.courses[sequence].given_up = True
        return "".join(f" b gives up packet {sequence}, {why};" for sequence in gone)

    def _cut(self, time: float) -> str:
        when = self._at(time)
        fragments = int(self.settings["fragments"])
        sequence = self.ends["a"].next_sequence
        size = SIZE * fragments
        letters = "".join(islice(cycle(ascii_lowercase), sequence * size % 26, sequence * size % 26 + size))
        datagrams = self.ends["a"].send(letters.encode())
        self.next_send["a"] = self.now + EVERY
        gap = EVERY / (fragments + 1)
        self.outgoing = [(self.now + gap * index, datagram) for index, datagram in enumerate(datagrams)]
        self.courses[sequence] = Course(fragments)
        pieces = f"{fragments} fragments" if fragments > 1 else "no fragments: it fits into one datagram"
        return f"{when} a cuts packet {sequence}, “{letters}”, into {pieces}."

    def _leave(self) -> str:
        time, datagram = self.outgoing.pop(0)
        when = self._at(time)
        self.datagrams["sent"] += 1
        label, detail = _told(datagram)
        self.air.send("a", "b", datagram, self.now, label=label, detail=detail)
        return f"{when} a sends {detail}."

    def _answer(self, time: float) -> str:
        when = self._at(time)
        self.next_send["b"] = self.now + ANSWER
        [datagram] = self.ends["b"].send(b"ok")
        self.air.send("b", "a", datagram, self.now, label="ack", detail="b’s answer")
        return f"{when} b answers; its header names what it has."

    def _end(self, time: float) -> str:
        when = self._at(time)
        flight = self.air.land()
        if flight.lost:
            return f"{when} {flight.detail} is lost."
        if flight.target == "a":
            self.ends["a"].receive(flight.datagram)
            return f"{when} a receives b’s answer, which acks {self._acks()}."
        self.datagrams["arrived"] += 1
        return f"{when} {self._received(flight.datagram, flight.detail)}"

    def _acks(self) -> str:
        acks = self.ends["a"].take_acks()
        for sequence in acks:
            self.courses[sequence].acked = True
        return f"packet {', '.join(map(str, acks))}" if acks else "nothing new"

    def _received(self, datagram: bytes, detail: str) -> str:
        """A datagram has come to b: what became of it, as far as b's counters and buffer tell."""
        endpoint = self.ends["b"]
        counters = endpoint.counters
        invalid, kept, before = counters.fragments_invalid, counters.fragments_received, set(self.partials)
        packet = endpoint.receive(datagram)
        if packet is not None:
            self.courses[packet.sequence].arrived = True
            before.discard(packet.sequence)
            what = f"packet {packet.sequence} is whole: “{packet.payload.decode()}”."
        elif counters.fragments_invalid > invalid:
            what = "b refuses it: it contradicts what b knows, or is too old."
        elif counters.fragments_received > kept:
            sequence = read_fragment_header(datagram)[0]
            what = f"of packet {sequence} it has {_count(self.partials[sequence])}."
        else:
            what = "b has it already, and drops it."
        gone = self._given_up(before, f"for one newer by {ROOM} has come").rstrip(";")
        return f"b receives {detail};{gone + ';' if gone else ''} {what}"

    def act(self, name: str, value: str) -> str:
        """Drop the packet with this key; or let a stranger send b something."""
        when = f"{self.now * 1000:.1f} ms:"
        if name == "drop":
            flight = self.air.drop(value, self.now)
            return (
                f"{when} {flight.detail} is lost: you dropped it." if flight else "That one is not in the air any more."
            )
        if name != "stranger":
            return super().act(name, value)
        sequence = self.ends["a"].next_sequence  # anybody who has seen a packet can count
        datagram = write_fragment_header(sequence, 1, MOST) + b"??"
        return f"{when} {self._received(datagram, f'a stranger’s fragment 1 of {MOST} of packet {sequence}')}"

    # --- what there is to see ------------------------------------------------------------------------------------------

    def view(self) -> View:
        """The fragments, b's buffer, what became of a's packets, and the two shares of losses."""
        lanes = Lanes(
            title="Fragments one way, answers the other",
            hosts=("a", "b"),
            now=self.now,
            span=SPAN,
            packets=self.air.packets(self.now - SPAN),
            drop="drop",
        )
        return View(self.now, [lanes, self._buffer(), self._packets(), self._shares(), self._counters()])

    def _buffer(self) -> Cells:
        rows: list[Row] = []
        for sequence, partial in self.partials.items():
            cells = [
                Cell("··", str(index), "absent")
                if partial.missing >> index & 1
                else Cell(part.decode(), str(index), "yes")
                for index, part in enumerate(partial.parts)
            ]
            age = f"{_count(partial)}, for {(self.now - partial.started) * 1000:.0f} ms"
            rows += _rows(cells, f"packet {sequence}", age)
        title = f"b’s reassembly buffer: {len(self.partials)} incomplete, at most {ROOM}"
        return Cells(title, rows or [Row("", [Cell("empty", "nothing is missing", "absent")])])

    def _packets(self) -> Cells:
        cells = [self._packet(sequence, course) for sequence, course in [*self.courses.items()][-SHOWN:]]
        title = "a’s packets: acked ✓, whole ?, incomplete …, given up ×"
        return Cells(title, _rows(cells) or [Row("", [Cell("none", "not yet", "absent")])])

    def _packet(self, sequence: int, course: Course) -> Cell:
        label = str(sequence)
        if course.arrived:
            return Cell("✓", label, "yes") if course.acked else Cell("?", label, "open")
        behind = self.ends["a"].next_sequence - sequence
        if course.given_up or (behind > ROOM and sequence not in self.partials):
            return Cell("×", label, "no")
        return Cell("…", label, "open")

    def _shares(self) -> Table:
        settled = [
            course
            for sequence, course in self.courses.items()
            if course.arrived or self._packet(sequence, course).text == "×"
        ]
        whole = sum(course.arrived for course in settled)
        flying = sum(packet.source == "a" and packet.fate == "flying" for packet in self.air.packets(self.now))
        sent, arrived = self.datagrams["sent"] - flying, self.datagrams["arrived"]
        return Table(
            "What gets through",
            ("", "sent", "arrived", "lost"),
            [
                ("datagrams", str(sent), str(arrived), _share(sent - arrived, sent)),
                ("packets", str(len(settled)), str(whole), _share(len(settled) - whole, len(settled))),
            ],
        )

    def _counters(self) -> Table:
        counters = self.ends["b"].counters
        rows = [
            ("fragments_received", str(counters.fragments_received)),
            ("fragments_invalid", str(counters.fragments_invalid)),
            ("packets_received", str(counters.packets_received)),
        ]
        return Table("What b’s endpoint counts", ("", ""), rows)


def _told(datagram: bytes) -> tuple[str, str]:
    """A name for the picture, and what it is in words."""
    if not datagram[0] & FRAGMENT:
        sequence = int.from_bytes(datagram[1:3], "little")
        return str(sequence), f"packet {sequence}, whole"
    sequence, fragment_id, fragments = read_fragment_header(datagram)
    return f"{sequence}.{fragment_id}", f"fragment {fragment_id} of {fragments} of packet {sequence}"


def _count(partial: Partial) -> str:
    """How many of its fragments are there, such as ``2 of 4``."""
    fragments = len(partial.parts)
    return f"{fragments - partial.missing.bit_count()} of {fragments}"


def _rows(cells: list[Cell], label: str = "", note: str = "") -> list[Row]:
    """Cells in rows of eight; the first has a label and a note."""
    rows = [Row(label and "…", cells[at : at + 8]) for at in range(0, len(cells), 8)]
    return [Row(label, rows[0].cells, note), *rows[1:]] if rows else []


def _share(part: int, whole: int) -> str:
    return f"{100 * max(part, 0) / whole:.0f} %" if whole else "–"
