"""NFQUEUE: the kernel hands over packets and waits for our verdict.

A firewall rule sends packets into a numbered queue. Whoever is bound to the queue gets each one as a netlink message and
answers, at leisure, with a verdict: let it go on, or drop it. Until then the kernel holds it; so a verdict given later is a
delay. The packet stays where it was in its way through the kernel: checksums, routes and offloads are none of our business.

Netfilter's netlink messages carry a small header of their own, and big-endian numbers. That is little enough to speak it
directly; the usual binding would have to be compiled.

Source: linux/netfilter/nfnetlink_queue.h.
"""

import errno
import socket
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple, Self

from labs.impairment import netlink

_NETLINK_NETFILTER = 12
_SO_RCVBUFFORCE = 33
_BUFFER = 16 << 20  # bytes that may wait between kernel and us: more than any lab sends in a second
_MAX_PACKETS = 1 << 16  # packets that may wait for their verdict

_FAMILY = struct.Struct("!BBH")  # nfgenmsg: family, version, queue
_SUBSYSTEM = 3 << 8  # NFNL_SUBSYS_QUEUE
_PACKET, _VERDICT, _CONFIG = _SUBSYSTEM | 0, _SUBSYSTEM | 1, _SUBSYSTEM | 2
_CFG_CMD, _CFG_PARAMS, _CFG_QUEUE_MAXLEN = 1, 2, 3  # NFQA_CFG_*
_BIND, _COPY_PACKET = 1, 2
_PACKET_HDR, _VERDICT_HDR, _TIMESTAMP, _PAYLOAD = 1, 2, 4, 10  # NFQA_*
_DROP, _ACCEPT = 0, 1  # NF_DROP, NF_ACCEPT


class Queued(NamedTuple):
    """A packet that waits for its verdict.

    Attributes:
        handle: The kernel's number for it.
        time: When it came in, in seconds since the epoch: the kernel's own time stamp where there is one.
        packet: Its bytes, from the IP header on.
    """

    handle: int
    time: float
    packet: bytes


class PacketQueue:
    """One queue of the network namespace we are in.

    Args:
        number: The queue's number, as in the firewall's rule.

    Raises:
        OSError: No privilege (EPERM), no NFQUEUE in this kernel, or the queue has another listener (EBUSY).

    Attributes:
        overflows: How often the kernel had to drop packets because we did not keep up.
    """

    def __init__(self, number: int) -> None:
        self.overflows = 0
        self._number = number
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        try:
            self._socket.bind((0, 0))
            grow_buffer(self._socket, _BUFFER)
            self._request(_CONFIG, netlink.attribute(_CFG_CMD, struct.pack("!BBH", _BIND, 0, socket.AF_INET)))
            self._request(_CONFIG, netlink.attribute(_CFG_PARAMS, struct.pack("!IB", 0xFFFF, _COPY_PACKET)))
            self._request(_CONFIG, netlink.attribute(_CFG_QUEUE_MAXLEN, struct.pack("!I", _MAX_PACKETS)))
            self._socket.setblocking(False)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def receive(self) -> Iterator[Queued]:
        """The packets that came in since; does not block."""
        while True:
            try:
                data = self._socket.recv(1 << 17)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overflows += 1
                continue
            for kind, body in netlink.messages(data):
                if kind == _PACKET:
                    yield _queued(body)
                elif kind == netlink.ERROR:  # a verdict that was refused
                    netlink.check(body)

    def accept(self, handle: int, packet: bytes | None = None) -> None:
        """Let a packet go on, with other bytes if ``packet`` says so."""
        change = b"" if packet is None else netlink.attribute(_PAYLOAD, packet)
        self._send(_VERDICT, netlink.attribute(_VERDICT_HDR, struct.pack("!II", _ACCEPT, handle)) + change)

    def drop(self, handle: int) -> None:
        """Let a packet go no further."""
        self._send(_VERDICT, netlink.attribute(_VERDICT_HDR, struct.pack("!II", _DROP, handle)))

    def close(self) -> None:
        """Give the queue up; the kernel drops what waits in it."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, kind: int, attributes: bytes) -> None:
        netlink.request(self._socket, self._message(kind, attributes, netlink.REQUEST | netlink.ACK))

    def _send(self, kind: int, attributes: bytes) -> None:
        self._socket.send(self._message(kind, attributes, netlink.REQUEST))

    def _message(self, kind: int, attributes: bytes, flags: int) -> bytes:
        body = _FAMILY.pack(socket.AF_INET, 0, self._number) + attributes
        return netlink.HEADER.pack(netlink.HEADER.size + len(body), kind, flags, 0, 0) + body


def grow_buffer(receiver: socket.socket, size: int) -> None:
    """Give a socket a receive buffer of ``size`` bytes, or the largest this process may have."""
    try:
        receiver.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except PermissionError:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def _queued(body: bytes) -> Queued:
    found = dict(netlink.attributes(body[_FAMILY.size :]))
    (handle,) = struct.unpack_from("!I", found[_PACKET_HDR])
    stamp = found.get(_TIMESTAMP)
    if stamp:
        seconds, microseconds = struct.unpack("!QQ", stamp)
        return Queued(handle, seconds + microseconds / 1e6, found.get(_PAYLOAD, b""))
    return Queued(handle, time.time(), found.get(_PAYLOAD, b""))
