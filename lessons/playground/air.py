"""Datagrams on their way between hosts that have no loop: `sleepy.sim.Link` decides each one's fate.

For scenarios that drive sans-I/O objects: they hand datagrams in, ask what ends its way next, and hand it on. Where a packet
is lost nobody can know but us: a link loses it half way, the reader wherever it is.
"""

from collections import deque
from collections.abc import Sized
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from lessons.playground.view import Fate, Packet
from sleepy.sim import Carrier, Link

REMEMBERED = 128  # ended flights, for the picture
T = TypeVar("T")  # what travels
D = TypeVar("D", bound=Sized)  # what travels by `Air`: bytes, or anything whose length is its size on the wire


@dataclass(slots=True, kw_only=True)
class Flight(Generic[T]):
    """A datagram on its way; the times are those of `Packet`."""

    key: str
    label: str
    detail: str
    source: str
    target: str
    datagram: T
    sent: float
    due: float
    ends: float
    lost: bool
    fate: Fate = "flying"

    def packet(self) -> Packet:
        """As it is drawn. Until its end nobody can see that it will be lost."""
        return Packet(
            key=self.key,
            label=self.label,
            detail=self.detail,
            source=self.source,
            target=self.target,
            sent=self.sent,
            due=self.due,
            ends=self.due if self.fate == "flying" else self.ends,
            fate=self.fate,
        )


class Air(Generic[D]):
    """What lies between the hosts.

    Args:
        seed: The same seed, datagrams and times give the same fates.
    """

    def __init__(self, seed: float) -> None:
        self._seed = seed
        self._carriers: dict[tuple[str, str], Carrier] = {}
        self._flying: list[Flight[D]] = []
        self._ended: deque[Flight[D]] = deque(maxlen=REMEMBERED)
        self._numbers = count(1)

    def link(self, source: str, target: str, link: Link) -> None:
        """Connect two hosts, one way; or change the figures of that link from now on."""
        if (source, target) in self._carriers:
            self._carriers[source, target].link = link
        else:
            self._carriers[source, target] = link.start(f"{self._seed:g} {source}->{target}")

    def send(self, source: str, target: str, datagram: D, now: float, *, label: str, detail: str = "") -> None:
        """Put a datagram on its way."""
        carrier = self._carriers[source, target]
        arrivals = [(time, corrupt) for time, corrupt in carrier.carry(len(datagram), now)]
        for due, lost in arrivals or [
            (now + carrier.link.delay, True)
        ]:  # a damaged datagram is as good as lost: UDP drops it
            flight = Flight(
                key=f"{source}{next(self._numbers)}",
                label=label,
                detail=detail,
                source=source,
                target=target,
                datagram=datagram,
                sent=now,
                due=due,
                ends=(now + due) / 2 if lost else due,
                lost=lost,
            )
            self._flying.append(flight)

    def next_end(self) -> float | None:
        """When the next flight ends; None if nothing is in the air."""
        return min((flight.ends for flight in self._flying), default=None)

    def land(self) -> Flight[D]:
        """End the flight that ends next; of several at the same time, the one sent first."""
        flight = min(self._flying, key=lambda one: one.ends)
        self._end(flight)
        return flight

    def drop(self, key: str, now: float) -> Flight[D] | None:
        """Lose a datagram where it is; None if it is not in the air any more."""
        flight = next((one for one in self._flying if one.key == key), None)
        if flight is not None:
            flight.lost, flight.ends = True, now
            self._end(flight)
        return flight

    def _end(self, flight: Flight[D]) -> None:
        flight.fate = "lost" if flight.lost else "arrived"
        self._flying.remove(flight)
        self._ended.append(flight)

    def packets(self, since: float) -> list[Packet]:
        """All that are in the air, and those whose way ended at ``since`` or later, in the order they were sent."""
        flights = [*(one for one in self._ended if one.ends >= since), *self._flying]
        return [flight.packet() for flight in sorted(flights, key=lambda one: one.sent)]
