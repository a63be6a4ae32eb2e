"""A link in user space: which packet may pass, and when.

`sleepy.sim.Link` knows the fate of *a* packet; here it meets real ones. Each server port has a link of its own in either
direction, so that contenders that follow each other on different ports all meet the same link afresh: the same count for
the drop list, the same dice.

Rules:

1. A TCP segment belongs to a server port: it goes to the server if that is its destination, to the client if it is its
   source. Whatever belongs to no port of ours passes at once.
2. A segment that carries data counts for the drop list; handshakes, bare acknowledgements and farewells do not.
3. What is lost is refused at once. What arrives is held until its time; a copy is made for a second arrival.
4. A damaged packet has one bit of its TCP payload (or else of its TCP header) turned over; the checksum stays, so that
   the receiver's TCP finds out.

The module decides and does nothing: packets come as bytes, ``now`` from whatever clock the caller keeps.
"""

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sleepy.sim import Link

_TCP = 6


class Release(NamedTuple):
    """A packet whose time has come.

    Attributes:
        time: When it was due, in seconds.
        serial: Breaks ties: first held, first released.
        handle: Whoever held it knows it by this; ``None`` for the copy of a packet that was already released.
        packet: Its bytes, from the IP header on.
        changed: Whether they differ from those that came in.
    """

    time: float
    serial: int
    handle: int | None
    packet: bytes
    changed: bool


class Segment(NamedTuple):
    """What matters of a TCP segment.

    Attributes:
        source: The sender's port.
        destination: The receiver's port.
        header: The length of IP and TCP header together, in bytes.
        length: The length of it all, in bytes.
    """

    source: int
    destination: int
    header: int
    length: int

    @property
    def carries_data(self) -> bool:
        """Whether there is anything after the headers."""
        return self.length > self.header


def parse(packet: bytes) -> Segment | None:
    """Read the headers (RFC 791, section 3.1; RFC 9293, section 3.1); None if it is not a whole TCP/IPv4 segment."""
    if len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != _TCP:
        return None
    ip = (packet[0] & 0xF) * 4
    if len(packet) < ip + 20:
        return None
    header = ip + (packet[ip + 12] >> 4) * 4
    source, destination = int.from_bytes(packet[ip : ip + 2], "big"), int.from_bytes(packet[ip + 2 : ip + 4], "big")
    return Segment(source, destination, header, int.from_bytes(packet[2:4], "big"))


class Emulator:
    """Holds packets as two links tell it to.

    Args:
        to_server: The link from the client to the server.
        to_client: The link from the server to the client.
        ports: The server's ports.
        seed: What chance is drawn from.
    """

    def __init__(self, to_server: Link, to_client: Link, ports: Iterable[int], seed: int) -> None:
        ports = tuple(ports)
        self.to_server = {port: to_server.start(f"{seed} to server") for port in ports}
        self.to_client = {port: to_client.start(f"{seed} to client") for port in ports}
        self._held: list[Release] = []
        self._serial = 0

    # --8<-- [start:admit]
    def admit(self, handle: int, packet: bytes, now: float) -> bool:
        """Decide a packet's fate (rules 1 to 3).

        Returns:
            Whether it is held; if not, it is lost.
        """
        segment = parse(packet)
        carrier = segment and (self.to_server.get(segment.destination) or self.to_client.get(segment.source))
        if not segment or not carrier:
            self._hold(now, handle, packet, changed=False)
            return True
        arrivals = carrier.carry(len(packet), now, counted=segment.carries_data)
        for number, arrival in enumerate(arrivals):
            bytes_ = damaged(packet, segment) if arrival.corrupt else packet
            self._hold(arrival.time, None if number else handle, bytes_, changed=arrival.corrupt)
        return bool(arrivals)

    # --8<-- [end:admit]

    @property
    def next_time(self) -> float | None:
        """When the next packet is due; None if none is held."""
        return self._held[0].time if self._held else None

    def due(self, now: float) -> Iterator[Release]:
        """Hand out, in the order of their times, the packets that are due."""
        while self._held and self._held[0].time <= now:
            yield heapq.heappop(self._held)

    def _hold(self, time: float, handle: int | None, packet: bytes, *, changed: bool) -> None:
        self._serial += 1
        heapq.heappush(self._held, Release(time, self._serial, handle, packet, changed))


def damaged(packet: bytes, segment: Segment) -> bytes:
    """The packet with one bit turned over (rule 4)."""
    place = segment.header if segment.carries_data else segment.header - 1
    return packet[:place] + bytes([packet[place] ^ 1]) + packet[place + 1 :]
