"""One direction of a link between two hosts: `Link` decides, the loop's agenda carries out.

Rules 3 and 5 of `sleepy.sim.network` are kept here, and rule 3 of `sleepy.sim.packet`: what is larger than the MTU is
taken apart before the link sees it, or goes no further.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sleepy.sim.link import Link

if TYPE_CHECKING:
    from sleepy.sim.host import Host
    from sleepy.sim.network import Network
    from sleepy.sim.packet import Packet

ETHERNET_MTU: Final = 1500  # bytes: what a link can take unless it says otherwise

Tap = Callable[[float, "Packet"], None]


class Wire:
    """Carries packets from one host to a neighbour.

    Args:
        network: Whose clock and trace it uses.
        source: The host at its beginning.
        target: The host at its end.
        link: Its figures.

    Attributes:
        name: Such as ``client->router``.
        carrier: The link at work: its counts say what became of the packets.
        mtu: The largest packet it takes, in bytes.
        cuts: How many cuts lie upon it; it carries only if there are none.
        sent: Called with the time and each packet handed to it, as a capture at its beginning would see them.
        arrived: Called with the time and each packet that comes out.
    """

    __slots__ = ("_network", "arrived", "carrier", "cuts", "mtu", "name", "sent", "source", "target")

    def __init__(self, network: "Network", source: "Host", target: "Host", link: Link) -> None:
        self._network = network
        self.source = source
        self.target = target
        self.name = f"{source.name}->{target.name}"
        self.carrier = link.start(f"{network.seed} {self.name}")
        self.mtu = link.mtu or ETHERNET_MTU
        self.cuts = 0
        self.sent: list[Tap] = []
        self.arrived: list[Tap] = []

    def send(self, packet: "Packet") -> bool:
        """Hand it a packet now; whether it takes such a large one."""
        if packet.size <= self.mtu:
            self._send(packet)
        elif packet.dont_fragment:
            self._record("link.lost", packet, cause="mtu")
            return False
        else:
            for part in packet.split(self.mtu):
                self._send(part)
        return True

    def _send(self, packet: "Packet") -> None:
        loop = self._network.loop
        for tap in self.sent:
            tap(loop.now, packet)
        if self.cuts:
            self._record("link.lost", packet, cause="cut")
            return
        arrivals = self.carrier.carry(packet.size, loop.now, packet.payload.counted)
        if not arrivals:
            self._record("link.lost", packet, cause=self.carrier.cause)
        for time, corrupt in arrivals:
            alone = len(arrivals) == 1 and not corrupt  # else a copy of its own, since hosts on the way write on it
            loop.at(time, self._deliver, packet if alone else replace(packet, damaged=packet.damaged or corrupt))
            if self._network.trace is not None:
                self._record("link.held", packet, seconds=time - loop.now, corrupt=corrupt)

    def _deliver(self, packet: "Packet") -> None:
        for tap in self.arrived:
            tap(self._network.loop.now, packet)
        self.target.arrive(packet)

    def _record(self, event: str, packet: "Packet", **fields: float | str) -> None:
        if self._network.trace is not None:
            self._network.trace(event, link=self.name, index=self.carrier.packets, size=packet.size, **fields)

    def change(self, link: Link) -> None:
        """Change its figures now."""
        self.carrier.link = link
        self.mtu = link.mtu or ETHERNET_MTU

    def cut(self) -> None:
        """Lay a cut upon it."""
        self.cuts += 1

    def heal(self) -> None:
        """Take a cut from it."""
        self.cuts -= 1
