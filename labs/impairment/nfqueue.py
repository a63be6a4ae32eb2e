"""The same link in user space, for kernels without netem: packets wait in NFQUEUE until `Emulator` lets them go.

The kernel stamps every packet as it comes in, and the link is reckoned from that stamp; so however late we read it, it
leaves on time, unless we are later than the whole delay. What is late all the same is written down.

A duplicate cannot be had from the queue, which owes us one packet for each verdict. The copy is sent by a raw socket of
the router; the kernel routes it on like any packet of its own, and the firewall's rule, which looks only at what is
forwarded, lets it be.
"""

import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from labs.impairment.emulator import Emulator, Release
from labs.impairment.firewall import Firewall
from labs.impairment.packet_queue import PacketQueue
from sleepy.sim import Carrier, Link

QUEUE = 0


class NfQueue:
    """Two links, kept by us.

    Args:
        to_server: The link from the client to the server.
        to_client: The link from the server to the client.
        ports: The server's ports.
        seed: What chance is drawn from.
    """

    def __init__(self, to_server: Link, to_client: Link, ports: Sequence[int], seed: int) -> None:
        self._emulator = Emulator(to_server, to_client, ports, seed)
        self._ports = ports
        self._released = 0
        self._latest = 0.0
        self._late = 0.0

    def __enter__(self) -> Self:
        """Raises: OSError: no privilege, no NFQUEUE, no nftables."""
        with ExitStack() as stack:
            self._queue = stack.enter_context(PacketQueue(QUEUE))
            copies = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            self._copies = stack.enter_context(copies)
            stack.enter_context(Firewall()).queue(self._ports, QUEUE)
            self._undo = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def sockets(self) -> Sequence[int]:
        """The queue's."""
        return (self._queue.fileno(),)

    def serve(self) -> float | None:
        """Take in what has come, let go what is due."""
        for queued in self._queue.receive():
            if not self._emulator.admit(queued.handle, queued.packet, queued.time):
                self._queue.drop(queued.handle)
        now = time.time()
        for release in self._emulator.due(now):
            self._release(release)
            self._note(now - release.time)
        return self._emulator.next_time

    def statistics(self) -> Mapping[str, object]:
        """What each link did, how late we were, and how often the kernel had to drop packets on our account."""
        return {
            "to_server": {port: _account(carrier) for port, carrier in self._emulator.to_server.items()},
            "to_client": {port: _account(carrier) for port, carrier in self._emulator.to_client.items()},
            "late_mean": self._late / max(1, self._released),
            "late_most": self._latest,
            "overflows": self._queue.overflows,
        }

    def _release(self, release: Release) -> None:
        if release.handle is not None:
            self._queue.accept(release.handle, release.packet if release.changed else None)
        else:
            self._copies.sendto(release.packet, (socket.inet_ntoa(release.packet[16:20]), 0))

    def _note(self, late: float) -> None:
        self._released += 1
        self._late += late
        self._latest = max(self._latest, late)


def _account(carrier: Carrier) -> Mapping[str, object]:
    return {"packets": carrier.packets, "counted": carrier.counted, "lost": dict(carrier.lost)}
