"""The bytes of a simulated packet, for captures.

Everything a reader of captures looks at is there: lengths, flags, options, checksums that are right (and, for a packet
that was damaged on its way, wrong, since one bit of it is flipped).

The layouts are those of RFC 791 (IP), 768 (UDP), 792 and 1191 (ICMP) and 9293 (TCP); the checksum is RFC 1071's: the
complement of the one's complement sum of all 16-bit words.
"""

from socket import inet_aton
from struct import Struct
from typing import Final

from sleepy.sim.packet import ICMP, TCP, TCP_HEADER, UDP, WINDOW_SCALE, Datagram, Fragment, Packet, Segment, Unreachable

_IP: Final = Struct("!BBHHHBBH4s4s")
_PSEUDO: Final = Struct("!4s4sxBH")  # RFC 9293, section 3.1: what the checksum covers besides the segment
_UDP: Final = Struct("!HHHH")
_ICMP: Final = Struct("!BBHHH")  # of *unreachable*; the last field is RFC 1191's
_TCP: Final = Struct("!HHIIBBHHH")
_SYN_OPTIONS: Final = Struct("!BBHBBBBBxxx")
_DONT_FRAGMENT: Final = 0x4000
_MORE_FRAGMENTS: Final = 0x2000
_FIN, _SYN, _RST, _PSH, _ACK = 1, 2, 4, 8, 16
_TYPE_UNREACHABLE: Final = 3


def checksum(data: bytes) -> int:
    """RFC 1071's sum over the data, as the header field holds it."""
    words = int.from_bytes(data + bytes(len(data) % 2), "big")
    # 2**16 = 1 modulo 0xFFFF, so the remainder of the number is the one's complement sum of its words.
    folded = words % 0xFFFF
    return 0xFFFF - (folded if folded or not words else 0xFFFF)


def encode(packet: Packet) -> bytes:
    """The packet as it would be on the wire, from the IP header on."""
    payload, whole, fragment = packet.payload, packet, _DONT_FRAGMENT * packet.dont_fragment
    if isinstance(payload, Fragment):
        whole = payload.whole
        fragment = payload.start // 8 | (0 if payload.last else _MORE_FRAGMENTS)
    source, destination = inet_aton(packet.source), inet_aton(packet.destination)
    number, body = _payload(whole, source, destination)
    if isinstance(payload, Fragment):
        body = body[payload.start : payload.start + payload.length]
    head = _IP.pack(
        0x45,
        0,
        packet.size,
        packet.identification & 0xFFFF,
        fragment,
        packet.time_to_live,
        number,
        0,
        source,
        destination,
    )
    data = head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + body
    return data[:-1] + bytes([data[-1] ^ 1]) if packet.damaged else data


def _payload(packet: Packet, source: bytes, destination: bytes) -> tuple[int, bytes]:
    """The protocol's number, and the whole of what follows the IP header."""
    match packet.payload:
        case Datagram(source_port, destination_port, data):
            body = _UDP.pack(source_port, destination_port, packet.payload.length, 0) + data
            total = checksum(_PSEUDO.pack(source, destination, UDP, len(body)) + body)
            return UDP, _with_checksum(body, 6, total or 0xFFFF)  # 0 would say: no checksum
        case Segment() as segment:
            body = _segment(segment)
            return TCP, _with_checksum(body, 16, checksum(_PSEUDO.pack(source, destination, TCP, len(body)) + body))
        case Unreachable(code, about, mtu):
            body = _ICMP.pack(_TYPE_UNREACHABLE, code, 0, 0, mtu) + encode(about)[:28]
            return ICMP, _with_checksum(body, 2, checksum(body))
        case Fragment(whole):
            return _payload(whole, source, destination)


def _segment(segment: Segment) -> bytes:
    options, window = b"", segment.window >> WINDOW_SCALE
    if segment.mss is not None:
        options = _SYN_OPTIONS.pack(2, 4, segment.mss, 4, 2, 3, 3, WINDOW_SCALE)
    if segment.syn:
        window = segment.window  # RFC 7323, section 2.2: a SYN's window is never scaled
    if segment.sacks:
        edges = b"".join(edge.to_bytes(4, "big") for sack in segment.sacks for edge in _wrap(sack))
        options += bytes([1, 1, 5, 2 + len(edges)]) + edges
    flags = _FIN * segment.fin | _SYN * segment.syn | _RST * segment.rst | _PSH * bool(segment.data)
    head = _TCP.pack(
        segment.source_port,
        segment.destination_port,
        segment.seq & 0xFFFFFFFF,
        (segment.ack or 0) & 0xFFFFFFFF,
        (TCP_HEADER + len(options)) // 4 << 4,
        flags | _ACK * (segment.ack is not None),
        min(window, 0xFFFF),
        0,
        0,
    )
    return head + options + segment.data


def _wrap(sack: tuple[int, int]) -> tuple[int, int]:
    return sack[0] & 0xFFFFFFFF, sack[1] & 0xFFFFFFFF


def _with_checksum(body: bytes, at: int, value: int) -> bytes:
    return body[:at] + value.to_bytes(2, "big") + body[at + 2 :]
