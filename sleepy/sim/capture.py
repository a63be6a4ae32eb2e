"""Captures of simulated traffic, in the classic pcap format that Wireshark, tcpdump and scapy read.

A file is a header and then records: the time, two lengths, and the packet's bytes. Ours hold raw IP packets and times in
nanoseconds, which the format marks by its magic number. Time 0, 1970 to the reader, is the start of the run.

Source: draft-ietf-opsawg-pcap, "PCAP Capture File Format".
"""

from struct import Struct
from typing import IO, TYPE_CHECKING, Final

from sleepy.sim.encoding import encode

if TYPE_CHECKING:
    from sleepy.sim.packet import Packet

_HEADER: Final = Struct("<IHHIIII")
_RECORD: Final = Struct("<IIII")
_MAGIC_NANOSECONDS: Final = 0xA1B23C4D
_SNAP_LENGTH: Final = 65535
_RAW_IP: Final = 101  # LINKTYPE_RAW: no link-layer header


class Capture:
    """Writes packets to a file.

    Args:
        file: Where to; opened for writing in binary mode. Its owner closes it, after the run.

    Attributes:
        packets: How many were written.
    """

    __slots__ = ("_file", "packets")

    def __init__(self, file: IO[bytes]) -> None:
        self.packets = 0
        self._file = file
        file.write(_HEADER.pack(_MAGIC_NANOSECONDS, 2, 4, 0, 0, _SNAP_LENGTH, _RAW_IP))

    def __call__(self, time: float, packet: "Packet") -> None:
        """Write a packet seen at ``time`` (seconds)."""
        data = encode(packet)
        seconds, nanoseconds = divmod(round(time * 1e9), 10**9)
        self._file.write(_RECORD.pack(seconds, nanoseconds, len(data), len(data)) + data)
        self.packets += 1
