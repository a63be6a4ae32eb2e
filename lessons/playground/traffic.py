"""The packets between two hosts of a `World`, as `Lanes` shows them, and can lose them.

A wire's taps say what is handed to it and what comes out, the network's trace what becomes of each packet between. As in
`Air`, a link loses a packet half way, the reader wherever it is.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import NamedTuple

from lessons.playground.air import REMEMBERED, Flight
from lessons.playground.view import Packet
from lessons.playground.world import World
from sleepy.sim.packet import Packet as SimulatedPacket
from sleepy.sim.wire import Wire
from sleepy.trace import Event


class Words(NamedTuple):
    """How a packet is shown.

    Attributes:
        label: One or two characters, for the dot.
        detail: What it carries, in a few words.
    """

    label: str
    detail: str


class Traffic:
    """Watches the link between two hosts.

    Args:
        world: Where the hosts live; they must be linked.
        one: A host's name.
        other: The other's.
        describe: How a packet is shown; None for those that are not, such as bare acks. It is asked once for each.
    """

    def __init__(self, world: World, one: str, other: str, describe: Callable[[SimulatedPacket], Words | None]) -> None:
        self._world = world
        self._describe = describe
        self._numbers = count(1)
        self._wires = {wire.name: wire for wire in (world.network.wire(one, other), world.network.wire(other, one))}
        self._entering: dict[str, tuple[SimulatedPacket, Words | None]] = {}  # by the wire's name: the last
        self._flying: dict[str, Flight[SimulatedPacket]] = {}
        self._ended: deque[Flight[SimulatedPacket]] = deque(maxlen=REMEMBERED)
        for wire in self._wires.values():
            wire.sent.append(partial(self._sent, wire))
            wire.arrived.append(self._arrived)
        world.watchers.append(self._watch)

    def drop(self, key: str) -> Flight[SimulatedPacket] | None:
        """Lose a packet where it is; None if it is not in the air any more."""
        if key not in self._flying:
            return None
        flight = self._flying[key]
        flight.datagram.damaged = True  # it arrives, its checksum is wrong, and nobody learns of it
        flight.lost, flight.ends = True, self._world.now
        self._land(flight)
        return flight

    def packets(self, since: float) -> list[Packet]:
        """All that are in the air, and those whose way ended at ``since`` or later, in the order they were sent."""
        flights = [*(one for one in self._ended if one.ends >= since), *self._flying.values()]
        return [flight.packet() for flight in sorted(flights, key=lambda one: one.sent)]

    def _sent(self, wire: Wire, _: float, packet: SimulatedPacket) -> None:
        self._entering[wire.name] = packet, self._describe(packet)

    def _watch(self, event: Event) -> None:
        """The network says what becomes of the packet that has just entered a wire."""
        wire = self._wires.get(event.fields.get("link", ""))
        if wire is None or event.name not in {"link.held", "link.lost"}:
            return
        packet, words = self._entering[wire.name]
        if words is None:
            return
        now = self._world.now
        lost = event.name == "link.lost"
        due = now + (wire.carrier.link.delay if lost else event.fields["seconds"])
        flight = Flight(
            key=f"{wire.source.name}{next(self._numbers)}",
            label=words.label,
            detail=words.detail,
            source=wire.source.name,
            target=wire.target.name,
            datagram=packet,
            sent=now,
            due=due,
            ends=(now + due) / 2 if lost else due,
            lost=lost,
        )
        self._flying[flight.key] = flight
        if lost:
            self._world.at(flight.ends, partial(self._lost, flight))

    def _arrived(self, _: float, packet: SimulatedPacket) -> None:
        for flight in list(self._flying.values()):
            if flight.datagram is packet:
                self._land(flight)

    def _lost(self, flight: Flight[SimulatedPacket]) -> None:
        if flight.key in self._flying:
            self._land(flight)
            self._world.tell(f"A packet of the {flight.source}’s is lost: {flight.detail}.")

    def _land(self, flight: Flight[SimulatedPacket]) -> None:
        flight.fate = "lost" if flight.lost else "arrived"
        del self._flying[flight.key]
        self._ended.append(flight)
