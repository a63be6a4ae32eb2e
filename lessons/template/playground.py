"""TODO: what happens here, and what there is to learn from watching it.

Two production endpoints; one sends, now and then, and the link loses a share of it.
"""

from collections.abc import Mapping

from lessons.playground import Air, Lanes, Scenario, Slider, Table, View
from sleepy.sim import Link
from sleepy.udp import Endpoint

EVERY = 0.050  # seconds from one packet to the next
SPAN = 0.250  # seconds that the picture covers


class Playground(Scenario):
    """TODO: what is on show."""

    title = "TODO: what is on show, in a few words"
    controls = (
        Slider(name="delay", label="One way", low=10, high=200, step=10, value=50, unit="ms"),
        Slider(name="loss", label="Loss", low=0, high=60, step=5, value=10, unit="%"),
    )
    still = 12

    def __init__(self, settings: Mapping[str, float]) -> None:
        super().__init__(settings)
        self.now = self.next_send = 0.0
        self.sender, self.receiver = Endpoint(now=0.0), Endpoint(now=0.0)
        self.air = Air[bytes](settings["seed"])
        self.changed()

    def changed(self) -> None:
        """The link takes its figures from the sliders."""
        self.air.link("a", "b", Link(delay=self.settings["delay"] / 1000, loss=self.settings["loss"] / 100))

    def step(self) -> str:
        """The next arrival, loss or sending, whichever comes first."""
        end = self.air.next_end()
        if end is None or end > self.next_send:
            self.now = max(self.now, self.next_send)
            self.next_send = self.now + EVERY
            sequence = self.sender.next_sequence
            [datagram] = self.sender.send(b"TODO")
            self.air.send("a", "b", datagram, self.now, label=str(sequence))
            return f"{self.now * 1000:.1f} ms: a sends {sequence}."
        self.now = max(self.now, end)
        flight = self.air.land()
        if flight.lost:
            return f"{self.now * 1000:.1f} ms: {flight.label} is lost on its way."
        self.receiver.receive(flight.datagram)
        return f"{self.now * 1000:.1f} ms: b receives {flight.label}."

    def act(self, name: str, value: str) -> str:
        """Drop the packet with this key."""
        if name != "drop":
            return super().act(name, value)
        flight = self.air.drop(value, self.now)
        return "That packet is not in the air any more." if flight is None else f"You dropped {flight.label}."

    def view(self) -> View:
        """The packets, and what both endpoints count."""
        packets = self.air.packets(self.now - SPAN)
        lanes = Lanes(title="Packets", hosts=("a", "b"), now=self.now, span=SPAN, packets=packets, drop="drop")
        sent, received = self.sender.counters.packets_sent, self.receiver.counters.packets_received
        return View(self.now, [lanes, Table("Counters", ("sent", "received"), [(str(sent), str(received))])])
