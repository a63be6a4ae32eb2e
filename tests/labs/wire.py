"""Ideal TCP through an ideal router, for tests: whatever is sent passes the router in exactly ``delay`` or is lost."""

import struct
from bisect import insort
from dataclasses import dataclass, field
from pathlib import Path

from scapy.utils import RawPcapWriter

from labs.capture import Address, Flag, Segment

CLIENT, SERVER = "10.77.1.2", "10.77.2.2"


@dataclass
class Wire:
    """What was captured on both sides of the router."""

    delay: float = 0.025
    left: list[Segment] = field(default_factory=list)
    right: list[Segment] = field(default_factory=list)
    _packets: int = 0

    def connect(self, now: float, port: int, server_port: int = 8001, initial: int = 1000) -> "Flow":
        flow = Flow(self, (CLIENT, port), (SERVER, server_port), initial, initial)
        syn = self.pass_through(now, flow.client, flow.server, initial, Flag.SYN)
        self.pass_through(syn, flow.server, flow.client, initial, Flag.SYN | Flag.ACK)
        return flow

    def pass_through(
        self, now: float, source: Address, destination: Address, sequence: int, flags: Flag = Flag.ACK, data: bytes = b"",
        *, lost: bool = False,
    ) -> float:  # fmt: skip
        """Send a segment; give the time at which it leaves the router."""
        self._packets += 1
        segment = Segment(now, source, destination, sequence % 2**32, 0, flags, self._packets % 2**16, data)
        near, far = (self.left, self.right) if source[0] == CLIENT else (self.right, self.left)
        insort(near, segment)
        if not lost:
            insort(far, segment._replace(time=now + self.delay))
        return now + self.delay

    def write(self, folder: Path) -> None:
        """Leave the two captures."""
        for name, segments in (("left.pcap", self.left), ("right.pcap", self.right)):
            with RawPcapWriter(str(folder / name), linktype=101, nano=True) as writer:
                writer.write_header(None)
                for segment in segments:
                    nanoseconds = round(segment.time * 1e9)
                    writer.write_packet(packet(segment), sec=nanoseconds // 10**9, usec=nanoseconds % 10**9)


@dataclass
class Flow:
    """One connection over a `Wire`."""

    wire: Wire
    client: Address
    server: Address
    to_server_sequence: int
    to_client_sequence: int

    def to_server(self, now: float, data: bytes) -> float:
        """The client sends what comes next; give the time at which it leaves the router."""
        sequence = self.to_server_sequence + 1
        self.to_server_sequence += len(data)
        return self.wire.pass_through(now, self.client, self.server, sequence, data=data)

    def to_client(self, now: float, data: bytes, *, lost_until: float | None = None) -> float:
        """The server sends what comes next, and, if it is lost, again at ``lost_until``."""
        sequence = self.to_client_sequence + 1
        self.to_client_sequence += len(data)
        lost = lost_until is not None
        leaves = self.wire.pass_through(now, self.server, self.client, sequence, data=data, lost=lost)
        if lost_until is not None:
            leaves = self.wire.pass_through(lost_until, self.server, self.client, sequence, data=data)
        return leaves


def packet(segment: Segment) -> bytes:
    """The segment as an IPv4 packet; its checksums are left zero."""
    addresses = [bytes(map(int, host.split("."))) for host, _ in (segment.source, segment.destination)]
    length = 40 + len(segment.payload)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, segment.identification, 0, 64, 6, 0, *addresses)
    ports = segment.source[1], segment.destination[1]
    tcp = struct.pack("!HHIIBBHHH", *ports, segment.sequence, segment.acknowledged, 5 << 4, segment.flags, 65535, 0, 0)
    return ip + tcp + segment.payload
