"""Writes down what passes an interface: a classic pcap file, readable by Wireshark.

scapy listens and writes; the times are the kernel's, taken as the packet passes, and so are right however late we read it.
What leaves the interface is seen after its qdisc, what enters is seen before the firewall: on the router's two sides, the
difference in time is what the link did.

A capture that misses packets is worse than none, since a packet that was missed looks like one that was lost. So the
kernel is asked at the end whether it had to leave any out.
"""

import errno
import struct
from pathlib import Path
from typing import Self

from scapy.arch.linux import L2ListenSocket
from scapy.utils import RawPcapWriter

from labs.impairment.packet_queue import grow_buffer

_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_BUFFER = 16 << 20  # bytes that may wait between kernel and us
_LARGEST = 65535  # bytes: whole packets


class Recorder:
    """Records one interface.

    Args:
        interface: Its name.
        path: The file to be written.

    Raises:
        PermissionError: No privilege (CAP_NET_RAW).

    Attributes:
        packets: How many were written so far.
    """

    def __init__(self, interface: str, path: Path) -> None:
        self.packets = 0
        self._interface = interface
        self._listener = L2ListenSocket(iface=interface, promisc=False)
        grow_buffer(self._listener.ins, _BUFFER)
        self._listener.ins.setblocking(False)
        self._writer = RawPcapWriter(str(path), linktype=1)  # DLT_EN10MB
        self._writer.write_header(None)

    def fileno(self) -> int:
        """For select."""
        return self._listener.fileno()

    def take(self) -> bool:
        """Write down one packet if there is one; does not block."""
        try:
            _, packet, stamp = self._listener.recv_raw(_LARGEST)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ENETDOWN:
                raise
            return False  # whoever had the other end of the cable is gone, which others will notice
        if packet is None or stamp is None:
            return False
        seconds = int(stamp)
        self._writer.write_packet(packet, sec=seconds, usec=int((stamp - seconds) * 1e6))
        self.packets += 1
        return True

    def finish(self) -> None:
        """Write the rest, and see whether the capture can be trusted.

        Raises:
            RuntimeError: It is empty, or the kernel had to leave packets out.
        """
        while self.take():
            pass
        _, missed = struct.unpack("=II", self._listener.ins.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        if missed:
            raise RuntimeError(f"the capture of {self._interface} misses {missed} packets: machine too busy; run again")
        if not self.packets:
            raise RuntimeError(f"the capture of {self._interface} is empty: nothing came that way")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._writer.close()
