"""The captures of a link that is not there: what a relay passed on, written as TCP segments.

A relay on one machine has no two wires to listen to; it has streams. So it keeps a ledger: for every piece of a stream,
when it came in on one side and went out on the other. Written down as segments with headers of the simplest kind, this is
a pair of captures that the same analysis can read. Rules:

1. The times are real, the headers are made up: sequence numbers from 0, every segment with a number of its own
   (``IP.id``), no options, an open window, no bare acknowledgements after the handshake.
2. No segment is longer than `MSS`. Where the kernel's segments ended cannot be seen from a stream; a piece that was read
   at once and fits counts as one segment.
3. A segment acknowledges what had reached its sender when it was sent.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scapy.layers.inet import IP, TCP
from scapy.packet import Packet
from scapy.utils import RawPcapWriter

from sleepy.sim import Carrier

MSS = 1460  # bytes: what Ethernet's 1500 leave after two headers of 20
_HEADERS = 40  # bytes
_RAW_IP = 101  # DLT_RAW

Address = tuple[str, int]


class Segment(NamedTuple):
    """One segment, the same on both sides."""

    sender: Address
    receiver: Address
    number: int
    sequence: int
    acknowledged: int
    flags: str
    payload: bytes

    @property
    def after(self) -> int:
        """The sequence number that follows it (RFC 9293, section 3.4: SYN and FIN count as one each)."""
        return self.sequence + len(self.payload) + len({"S", "F"} & set(self.flags))


class Side:
    """One side's capture.

    Attributes:
        packets: What passed, with its time in seconds since the epoch.
    """

    def __init__(self) -> None:
        self.packets: list[tuple[float, Segment]] = []
        self._after: dict[tuple[Address, Address], int] = {}

    def note(self, time: float, segment: Segment) -> None:
        """A segment passes."""
        self._after[segment.sender, segment.receiver] = segment.after
        self.packets.append((time, segment))

    def arrived(self, sender: Address, receiver: Address) -> int:
        """The sequence number after all that has passed from ``sender`` to ``receiver``."""
        return self._after.get((sender, receiver), 0)

    def write(self, path: Path) -> None:
        """Leave a classic pcap file of raw IP packets, in the order of their times."""
        with RawPcapWriter(str(path), linktype=_RAW_IP) as writer:
            writer.write_header(None)
            for time, segment in sorted(self.packets, key=lambda packet: packet[0]):
                seconds = int(time)
                writer.write_packet(bytes(_packet(segment)), sec=seconds, usec=int((time - seconds) * 1e6))


class Way:
    """One direction of one connection across the link.

    Args:
        carrier: The link in this direction.
        entry: The side where segments come in.
        leave: The side where they go out.
        sender: The sender's address.
        receiver: The receiver's address.
    """

    def __init__(self, carrier: Carrier, entry: Side, leave: Side, sender: Address, receiver: Address) -> None:
        self._carrier, self._entry, self._exit = carrier, entry, leave
        self._sender, self._receiver = sender, receiver
        self._number = self._sequence = 0

    def enter(self, now: float, flags: str, data: bytes = b"") -> Iterator[tuple[float, Segment]]:
        """Something is sent at ``now``; the segments it makes, each with the time at which it arrives."""
        for start in range(0, max(1, len(data)), MSS):  # rule 2
            piece = data[start : start + MSS]
            acknowledged = self._entry.arrived(self._receiver, self._sender)  # rule 3
            segment = Segment(self._sender, self._receiver, self._number, self._sequence, acknowledged, flags, piece)
            self._number, self._sequence = self._number + 1, segment.after
            self._entry.note(now, segment)
            (arrival,) = self._carrier.carry(len(piece) + _HEADERS, now, counted=bool(piece))
            yield arrival.time, segment

    def leave(self, now: float, segment: Segment) -> None:
        """A segment arrives, at ``now``."""
        self._exit.note(now, segment)


def _packet(segment: Segment) -> Packet:
    (source, source_port), (destination, destination_port) = segment.sender, segment.receiver
    ip = IP(src=source, dst=destination, id=segment.number & 0xFFFF)
    tcp = TCP(
        sport=source_port,
        dport=destination_port,
        seq=segment.sequence & 0xFFFFFFFF,
        ack=segment.acknowledged & 0xFFFFFFFF,
        flags=segment.flags,
        window=0xFFFF,
    )
    return ip / tcp / segment.payload
