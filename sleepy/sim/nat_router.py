"""A router with a NAT: what `sleepy.sim.nat` decides, applied to the packets that pass.

The router is a host in the middle, with one link to the outside and any number to the inside. Its own address is the one
that those inside are seen under.

Rules:

1. An address is *inside* if the way to it does not lead over the link to the outside.
2. What comes from outside and is for an inside address is dropped: nobody outside knows these addresses, or their routers
   would not carry them (RFC 1918). It must be for the router's own address, and pass its filter.
3. The router runs no programs. What is for its address and for nobody behind it ends there without a word.
4. Ports stand in a packet's first part only, so parts are put together before they are translated (RFC 4787, section 11).
5. An error report about what somebody inside sent reaches him, since he sees by it that nobody listens (RFC 5508, section
   4.2). Reports by those inside about what came in stay inside.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from sleepy.sim.nat import Nat, NatTable
from sleepy.sim.packet import Datagram, Packet, Segment, Unreachable

if TYPE_CHECKING:
    from sleepy.sim.host import Host


class NatRouter:
    """Translates what passes a host.

    Args:
        host: The router.
        outside: The neighbour through whom it reaches the outside.
        nat: Its habits.
    """

    def __init__(self, host: "Host", outside: str, nat: Nat) -> None:
        self._host = host
        self._outside = outside
        self._hairpinning = nat.hairpinning
        self._tables: dict[type, NatTable] = {
            Datagram: NatTable(nat, nat.timeout, host.random),
            Segment: NatTable(nat, nat.tcp_timeout, host.random),
        }

    def translate(self, packet: Packet) -> Packet | None:
        """The packet as it goes on; none if it ends here."""
        ours = self._host.address
        if not self._is_inside(packet.source):
            if packet.destination == ours:
                return self._inbound(packet)
            self._drop(packet)  # rule 2
            return None
        if self._is_inside(packet.destination) and packet.destination != ours:
            return packet
        translated = self._outbound(packet)
        if translated is None or packet.destination != ours:
            return translated
        if self._hairpinning:
            return self._inbound(translated)
        self._drop(packet)
        return None

    def _is_inside(self, address: str) -> bool:
        """Rule 1; the router's own address counts as inside."""
        wire = self._host.wire_to(address)
        return wire is not None and wire.target.name != self._outside

    # --8<-- [start:translate]
    def _outbound(self, packet: Packet) -> Packet | None:
        payload = packet.payload
        if not isinstance(payload, Datagram | Segment):
            self._drop(packet)  # rule 5
            return None
        inside, remote = (packet.source, payload.source_port), (packet.destination, payload.destination_port)
        port = self._tables[type(payload)].outbound(inside, remote, self._host.network.now)
        if port is None:
            self._drop(packet)
            return None
        return replace(packet, source=self._host.address, payload=replace(payload, source_port=port))

    def _inbound(self, packet: Packet) -> Packet | None:
        payload = packet.payload
        if isinstance(payload, Unreachable):
            return self._report(packet, payload)
        if not isinstance(payload, Datagram | Segment):
            self._drop(packet)
            return None
        remote = packet.source, payload.source_port
        inside = self._tables[type(payload)].inbound(payload.destination_port, remote, self._host.network.now)
        if inside is None:
            self._drop(packet)
            return None
        return replace(packet, destination=inside[0], payload=replace(payload, destination_port=inside[1]))

    # --8<-- [end:translate]

    def _report(self, packet: Packet, report: Unreachable) -> Packet | None:
        """Rule 5: what a report is about must bear the names that its sender knows."""
        about, sent = report.about, report.about.payload
        if about.source == self._host.address and isinstance(sent, Datagram | Segment):
            remote = about.destination, sent.destination_port
            inside = self._tables[type(sent)].inbound(sent.source_port, remote, self._host.network.now)
            if inside is not None:
                about = replace(about, source=inside[0], payload=replace(sent, source_port=inside[1]))
                return replace(packet, destination=inside[0], payload=replace(report, about=about))
        self._drop(packet)
        return None

    def _drop(self, packet: Packet) -> None:
        trace = self._host.network.trace
        if trace is not None:
            trace("nat.dropped", host=self._host.name, source=packet.source, destination=packet.destination)
