"""Acks by the dozen: two endpoints, a packet every 25 ms, and what each header says about the other side's packets.

*a* sends all the time. *b* answers with one packet for every so many of *a*'s, or listens only. Each packet of *b*'s names
the newest sequence it knows, and 32 bits for it and the 31 before; so one that arrives makes up for those that were lost,
unless *b* speaks less often than every 32 packets.
"""

from collections.abc import Mapping

from lessons.playground import Air, Cell, Cells, Lanes, Row, Scenario, Slider, Switch, Table, View
from sleepy.sim import Link
from sleepy.udp import Endpoint, PacketHeader

EVERY = 0.025  # seconds from one packet of a's to the next
FIRST = 0.010  # seconds until b's first
SHOWN = 32  # packets of a's in the list of what a knows
ORDINARY = bytes(16)  # what each packet carries


class Playground(Scenario):
    """Two production endpoints, and a link between them that delays and loses."""

    title = "Two endpoints, and the acks in every header"
    controls = (
        Slider(name="rtt", label="Round trip", low=20, high=300, step=10, value=100, unit="ms"),
        Slider(name="loss", label="Loss, each way", low=0, high=60, step=5, value=5, unit="%"),
        Slider(name="every", label="b answers one packet in", low=1, high=40, step=1, value=2),
        Switch(name="silent", label="b only listens"),
    )
    still = 131

    def __init__(self, settings: Mapping[str, float]) -> None:
        super().__init__(settings)
        self.now = 0.0
        self.ends = {name: Endpoint(now=0.0) for name in "ab"}
        self.next_send = {"a": 0.0, "b": FIRST}
        self.last = {"a": b"", "b": b""}  # each side's last datagram
        self.header_bytes = {"a": 0, "b": 0}
        self.fates: dict[int, str] = {}  # of a's packets, by sequence: what became of them, which a cannot see
        self.acked: set[int] = set()  # those that a was told of
        self.air = Air[bytes](self.settings["seed"])
        self.changed()

    def changed(self) -> None:
        """The links take their figures from the sliders."""
        link = Link(delay=self.settings["rtt"] / 2000, loss=self.settings["loss"] / 100)
        self.air.link("a", "b", link)
        self.air.link("b", "a", link)

    def step(self) -> str:
        """The next arrival, loss or sending, whichever comes first."""
        speakers = ["a"] if self.settings["silent"] else ["a", "b"]
        speaker = min(speakers, key=lambda name: self.next_send[name])
        end = self.air.next_end()
        if end is not None and end <= self.next_send[speaker]:
            return self._end(end)
        return self._send(speaker)

    def _at(self, time: float) -> str:
        self.now = max(self.now, time)
        for endpoint in self.ends.values():
            endpoint.update(self.now)
        return f"{self.now * 1000:.1f} ms:"

    def _send(self, name: str) -> str:
        when = self._at(self.next_send[name])
        self.next_send[name] = self.now + EVERY * (1 if name == "a" else self.settings["every"])
        [datagram] = self.ends[name].send(ORDINARY)
        header, size = PacketHeader.decode(datagram)
        self.last[name] = datagram
        self.header_bytes[name] += size
        if name == "a":
            self.fates[header.sequence] = "in the air"
            self.acked.discard(header.sequence)  # numbers come round
        detail = f"ack {header.ack}, bits {header.ack_bits:08x}; {size} bytes of header"
        other = "b" if name == "a" else "a"
        self.air.send(name, other, datagram, self.now, label=str(header.sequence), detail=detail)
        return f"{when} {name} sends {header.sequence}; its header says {detail}."

    def _end(self, time: float) -> str:
        when = self._at(time)
        flight = self.air.land()
        if flight.lost:
            return f"{when} {self._lost(flight.source, flight.label)} on its way."
        endpoint = self.ends[flight.target]
        endpoint.receive(flight.datagram)
        news = endpoint.take_acks()
        if flight.target == "b":
            self.fates[int(flight.label)] = "arrived"
            return f"{when} b receives {flight.label}."
        self.acked.update(news)
        told = ", ".join(map(str, news)) if news else "nothing new"
        return f"{when} a receives b’s {flight.label}, which acks {told}."

    def _lost(self, source: str, label: str) -> str:
        if source == "a":
            self.fates[int(label)] = "lost"
        return f"{source}’s {label} is lost"

    def act(self, name: str, value: str) -> str:
        """Drop the packet with this key."""
        if name != "drop":
            return super().act(name, value)
        flight = self.air.drop(value, self.now)
        if flight is None:
            return "That packet is not in the air any more."
        return f"{self.now * 1000:.1f} ms: {self._lost(flight.source, flight.label)}: you dropped it."

    def view(self) -> View:
        """The packets, the last header of b's taken apart, what a knows, and what the endpoints count."""
        span = 0.250
        lanes = Lanes(
            title="Packets between a and b",
            hosts=("a", "b"),
            now=self.now,
            span=span,
            packets=self.air.packets(self.now - span),
            drop="drop",
        )
        return View(self.now, [lanes, *self._header(), self._known(), self._counts()])

    def _header(self) -> list[Cells]:
        datagram = self.last["b"]
        if not datagram:
            title = "The last header from b"
            return [Cells(title, [Row("bytes", [Cell("none", "b has not spoken yet", "absent")])])]
        header, size = PacketHeader.decode(datagram)
        parts = [Row("prefix", _hex(datagram[:1])), Row("sequence", _hex(datagram[1:3]), f"= {header.sequence}")]
        absent = [index for index in range(4) if not datagram[0] & 0x02 << index]
        at = size - (4 - len(absent))
        way = f"{header.sequence} − {datagram[3]} = {header.ack}" if at == 4 else f"= {header.ack}"
        parts.append(Row("ack", _hex(datagram[3:at]), way))
        bits: list[Row] = []
        for index in range(4):
            ages = range(8 * index, 8 * index + 8)
            if index in absent:
                note = "left out"
            else:
                note = f"{datagram[at]:02x}"
                at += 1
            bits.append(Row(f"{ages[0]}–{ages[-1]}", [self._bit(header, age) for age in ages], note))
        return [
            Cells(f"The last header b sent: {size} bytes", parts),
            Cells(f"Its 32 ack bits, from {header.ack} back", bits),
        ]

    def _bit(self, header: PacketHeader, age: int) -> Cell:
        """One ack bit, with the sequence that it stands for, if a has sent it."""
        sequence, value = (header.ack - age) & 0xFFFF, header.ack_bits >> age & 1
        if sequence not in self.fates:
            return Cell(str(value), "–", "absent")
        return Cell(str(value), str(sequence), "yes" if value else "no")

    def _known(self) -> Cells:
        newest = self.ends["a"].next_sequence
        rows: list[Row] = []
        sequences = [number & 0xFFFF for number in range(max(newest - SHOWN, 0), newest)]
        for start in range(0, len(sequences), 8):
            some = sequences[start : start + 8]
            rows.append(Row(f"{some[0]}–{some[-1]}", [self._slot(sequence) for sequence in some]))
        return Cells("a’s packets: what a knows ✓, and what it cannot see", rows or [Row("none", [Cell("–")])])

    def _slot(self, sequence: int) -> Cell:
        if sequence in self.acked:
            return Cell("✓", str(sequence), "yes")
        fate = self.fates[sequence]
        signs = {"in the air": "→", "arrived": "?", "lost": "×"}
        return Cell(signs[fate], str(sequence), "no" if fate == "lost" else "open")

    def _counts(self) -> Table:
        rows: list[tuple[str, ...]] = []
        for name, endpoint in self.ends.items():
            counters = endpoint.counters
            sent = counters.packets_sent
            share = f"{self.header_bytes[name] / sent:.1f} B" if sent else "–"
            rtt = f"{endpoint.rtt:.1f} ms" if endpoint.rtt else "–"
            rows.append((name, str(sent), str(counters.packets_received), str(counters.packets_acked), share, rtt))
        return Table("What the endpoints count", ("", "sent", "received", "acked", "header", "RTT"), rows)


def _hex(data: bytes) -> list[Cell]:
    return [Cell(f"{byte:02x}") for byte in data]
