"""TCP segments out of a capture file.

A capture tells what passed one place, and when. The labs take one on each side of the router; what the analysis needs
of a packet is little: when it passed, between whom, its place in the sender's byte stream, and its bytes. To dissect a
packet layer by layer costs scapy about half a millisecond, seconds for ten thousand; so scapy reads the file, and the
two headers are unpacked here. Rules:

1. Only TCP over IPv4 comes out; whatever else passed (ARP, IPv6 neighbour discovery) is skipped. It comes in the order
   of its times: two processors at work may write theirs to the file in another.
2. Payload is what the IP header says it is, not what lies behind the TCP header: Ethernet pads short frames.
3. A packet that the capture cut short is an error. It would be mistaken for one with less data, and be graded.

Layout: RFC 791, section 3.1 (IPv4) and RFC 9293, section 3.1 (TCP).
"""

import struct
from enum import IntFlag
from pathlib import Path
from typing import Any, NamedTuple, cast

from scapy.error import Scapy_Exception
from scapy.utils import RawPcapNgReader, RawPcapReader

_ETHERNET, _RAW_IP, _IPV4 = 1, 101, 228  # link types, https://www.tcpdump.org/linktypes.html
_ETHERTYPE_IPV4 = b"\x08\x00"
_TCP = 6

Address = tuple[str, int]


class CaptureError(Exception):
    """A capture that cannot be used; the message says which and why."""


class Flag(IntFlag):
    """TCP's control bits that the analysis asks for."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    ACK = 0x10


class Segment(NamedTuple):
    """One TCP segment as it passed.

    Attributes:
        time: When, in seconds since 1970.
        source: Its sender's address and port.
        destination: Its receiver's address and port.
        sequence: The number of its first byte, modulo 2^32.
        acknowledged: The next byte its sender waits for, modulo 2^32.
        flags: Its control bits.
        identification: IPv4's number for the packet. A segment sent again gets a new one (on Linux, where each
            connection counts up), so that it tells a copy from the first.
        payload: Its data.
    """

    time: float
    source: Address
    destination: Address
    sequence: int
    acknowledged: int
    flags: Flag
    identification: int
    payload: bytes


def read(path: Path) -> list[Segment]:
    """Read a capture.

    Raises:
        CaptureError: The file is missing, is no pcap file, has a link type other than Ethernet or IP, or holds a packet
            that was cut short.
    """
    try:
        with path.open("rb") as file, RawPcapReader(cast("Any", file)) as reader:  # given a name, it may leave it open
            if isinstance(reader, RawPcapNgReader):
                raise CaptureError(f"{path} is a pcapng file; the labs write and read classic pcap")
            header = _link_header(path, int(reader.linktype))
            second = 1e9 if reader.nano else 1e6
            segments = [
                segment
                for frame, meta in reader
                if (segment := _segment(path, meta.sec + meta.usec / second, frame, header)) is not None
            ]
    except (OSError, Scapy_Exception) as error:
        raise CaptureError(f"{path} cannot be read as a capture: {error}") from error
    return sorted(segments, key=lambda segment: segment.time)


def _link_header(path: Path, link_type: int) -> int:
    """The bytes before the IP header."""
    if link_type not in {_ETHERNET, _RAW_IP, _IPV4}:
        raise CaptureError(f"{path} has link type {link_type}; only Ethernet (1) and IP (101, 228) can be read")
    return 14 if link_type == _ETHERNET else 0


def _segment(path: Path, time: float, frame: bytes, header: int) -> Segment | None:
    if header and frame[12:14] != _ETHERTYPE_IPV4:
        return None
    if len(frame) < header + 20 or frame[header] >> 4 != 4 or frame[header + 9] != _TCP:
        return None
    version_length, _, total, identification, _, _, _, _, source, destination = struct.unpack_from(
        "!BBHHHBBH4s4s", frame, header
    )
    tcp = header + 4 * (version_length & 0x0F)
    end = header + total  # rule 2
    if len(frame) < end:  # rule 3
        raise CaptureError(f"{path} holds only {len(frame)} of the {end} bytes of a packet; capture whole packets")
    source_port, destination_port, sequence, acknowledged, offset, flags = struct.unpack_from("!HHIIBB", frame, tcp)
    return Segment(
        time,
        (_dotted(source), source_port),
        (_dotted(destination), destination_port),
        sequence,
        acknowledged,
        Flag(flags),
        identification,
        frame[tcp + 4 * (offset >> 4) : end],
    )


def _dotted(address: bytes) -> str:
    return ".".join(map(str, address))
