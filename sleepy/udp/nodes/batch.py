"""A UDP socket for an event loop, which carries many datagrams with one system call.

A datagram of 1200 bytes costs the kernel about as much as one of 60,000: what takes time is the way through its layers,
not the bytes, and not the call. So Linux takes a *super-packet* through all layers at once: many datagrams to one peer,
one after the other, which it cuts apart at the very end (UDP_SEGMENT, *generic segmentation offload*); and it hands over
datagrams of one peer that arrived together as one, with a note where to cut (UDP_GRO). Several calls for one datagram
each, or one call for several datagrams without this (sendmmsg), gain little.

Rules:

1. A super-packet has one peer, and what `sleepy.udp.nodes.super_packets` allows; at most 64 datagrams.
2. Where the system knows no offload, or once it has refused (some network cards cannot compute the checksums: ``EIO``; the
   way has become narrower: ``EINVAL``), datagrams go one by one. Nobody hears of it.
3. Reading goes on until nothing is left, or so much was read that others should have their turn.
4. A full send buffer is no loss, which would slow down the congestion control. What does not go now waits, and goes first
   when there is room; until then `blocked` asks that no more be brought. Whatever else the system says about a datagram
   (no way there, forbidden) is as good as a loss on the way: counted, and never raised.
5. Datagrams must not be fragmented on the way, or the search for the path MTU (`sleepy.udp.path.path_mtu`) would find what
   IP can mend, not what the path can carry.
6. A loop that watches no sockets of ours (Windows' proactor, a simulated network's loop) gets asyncio's own transport.

Source: Linux's udp(7) and ``Documentation/networking/segmentation-offloads.rst``; W. de Bruijn, "Optimizing UDP for
content delivery: GSO, pacing and zerocopy" (2018).
"""

import asyncio
import errno
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from sleepy.udp.address import Address, in_words
from sleepy.udp.nodes.super_packets import batches, cut

SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103
UDP_GRO: Final = 104
MAX_SEGMENTS: Final = 64
READS_PER_TURN: Final = 256  # datagrams (rule 3)
BUFFER_SIZE: Final = 4 << 20  # bytes asked of the system for each direction, or what it grants

_REFUSALS: Final = {errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP}  # rule 2
_SEGMENT_SIZE: Final = struct.Struct("=H")
_GRO_SIZE: Final = struct.Struct("=i")
_GRO_SPACE: Final = 64  # bytes for the note; more than it takes on any machine

# Rule 5: platform and family -> level, option, value. Python has no names for them.
_DONT_FRAGMENT: Final = {
    ("linux", socket.AF_INET): (socket.IPPROTO_IP, 10, 3),  # IP_MTU_DISCOVER, IP_PMTUDISC_PROBE
    ("linux", socket.AF_INET6): (socket.IPPROTO_IPV6, 23, 3),
    ("darwin", socket.AF_INET): (socket.IPPROTO_IP, 28, 1),  # IP_DONTFRAG
    ("darwin", socket.AF_INET6): (socket.IPPROTO_IPV6, 62, 1),
    ("win32", socket.AF_INET): (socket.IPPROTO_IP, 14, 1),  # IP_DONTFRAGMENT
    ("win32", socket.AF_INET6): (socket.IPPROTO_IPV6, 14, 1),
}

Receive = Callable[[list[bytes], Address], object]


@dataclass(slots=True)
class SocketCounters:
    """What went through a socket.

    Attributes:
        sent: Datagrams handed to the system, with or without success.
        received: Datagrams that came.
        calls: System calls that sent or brought datagrams; on a transport of asyncio's, as many as datagrams.
        failed: Datagrams that the system did not take (rule 4).
        last_error: Why it did not take the last of them.
    """

    sent: int = 0
    received: int = 0
    calls: int = 0
    failed: int = 0
    last_error: OSError | None = None


class DatagramSocket(Protocol):
    """What a node asks of its socket.

    Attributes:
        address: Where it is bound, as (host, port).
        family: ``AF_INET`` or ``AF_INET6``.
        counters: What went through it.
        clock: Gives the time of what it does, in seconds. Not every loop's own clock is fine enough: uvloop's counts
            milliseconds, in which a datagram goes to the neighbour and back.
    """

    address: Address
    family: int
    counters: SocketCounters
    clock: Callable[[], float]

    @property
    def blocked(self) -> bool:
        """Whether the system's send buffer is full (rule 4)."""
        ...

    def send(self, datagrams: Sequence[bytes], address: Address) -> bool:
        """Send datagrams to one peer, in this order; returns whether more may follow. Never raises (rule 4)."""
        ...

    def close(self) -> None:
        """Close it; what waits is dropped."""
        ...


async def open_socket(host: str, port: int, receive: Receive, on_room: Callable[[], object]) -> DatagramSocket:
    """Bind a socket on the running loop.

    Args:
        host: The address of an interface, or a name of it; empty for all interfaces.
        port: The port, or 0 for any that is free.
        receive: Is called with datagrams that arrived from one address together.
        on_room: Is called when the socket is `blocked` no longer.

    Raises:
        OSError: The address is not ours, or is taken.
    """
    loop = asyncio.get_running_loop()
    family, local = await resolve(host, port, flags=socket.AI_PASSIVE)
    own = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if _can_watch(loop, own):
            _bind(own, local)
            return BatchSocket(loop, own, receive, on_room)
    except BaseException:
        own.close()
        raise
    own.close()
    _, protocol = await loop.create_datagram_endpoint(lambda: TransportSocket(receive, on_room), local_addr=local)
    return protocol


async def resolve(host: str, port: int, *, family: int = 0, flags: int = 0) -> tuple[int, Address]:
    """The family and the address of a host, given by its name or by its address; the latter costs no look-up, and no thread.

    Raises:
        OSError: There is no such name, or not in that family.
    """
    try:
        found = socket.getaddrinfo(host or None, port, family, socket.SOCK_DGRAM, 0, flags | socket.AI_NUMERICHOST)
    except socket.gaierror:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_DGRAM, flags=flags)
        except socket.gaierror as error:
            hint = "; to reach IPv6 peers bind the node to '::'" if family == socket.AF_INET and ":" in host else ""
            raise socket.gaierror(
                error.errno, f"no address for {host!r}, port {port}: {error.strerror}{hint}"
            ) from None
    return found[0][0], normal_address(found[0][4])


def _bind(sock: socket.socket, local: Address) -> None:
    try:
        sock.bind(local)
    except OSError as error:  # which does not say what it is about
        raise OSError(error.errno, f"cannot bind {in_words(local)}: {error.strerror}") from None


class BatchSocket:
    """A socket of ours, watched by the loop.

    Args:
        loop: The loop.
        sock: A bound UDP socket, which is ours from now on.
        receive: See `open_socket`.
        on_room: See `open_socket`.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, receive: Receive, on_room: Callable[[], object]
    ) -> None:
        sock.setblocking(False)
        _configure(sock, sock.family)
        self.address = normal_address(sock.getsockname())
        self.family: int = sock.family
        self.counters = SocketCounters()
        self.clock = time.monotonic
        self._loop = loop
        self._socket = sock
        self._receive = receive
        self._on_room = on_room
        self._segments = MAX_SEGMENTS if _offer(sock, UDP_SEGMENT, 0) else 1
        _offer(sock, UDP_GRO, 1)
        self._buffer = memoryview(bytearray(1 << 16))
        self._waiting: deque[tuple[Sequence[bytes], Address]] = deque()
        self._blocked = False
        loop.add_reader(sock, self._on_readable)

    @property
    def blocked(self) -> bool:
        """Whether the system's send buffer is full (rule 4)."""
        return self._blocked

    # --8<-- [start:send]
    def send(self, datagrams: Sequence[bytes], address: Address) -> bool:
        """Send datagrams to one peer, in this order, with as few system calls as possible; see `DatagramSocket.send`."""
        self.counters.sent += len(datagrams)
        self._waiting.extend((batch, address) for batch in batches(datagrams, self._segments))
        if not self._blocked:
            self._send_waiting()
        return not self._blocked

    def _send_waiting(self) -> None:
        waiting, sock, counters = self._waiting, self._socket, self.counters
        while waiting:
            batch, address = waiting[0]
            try:
                counters.calls += 1
                if len(batch) == 1:
                    sock.sendto(batch[0], address)
                else:
                    note = (SOL_UDP, UDP_SEGMENT, _SEGMENT_SIZE.pack(len(batch[0])))
                    sock.sendmsg(batch, [note], 0, address)
            except BlockingIOError:  # rule 4
                if not self._blocked:
                    self._blocked = True
                    self._loop.add_writer(sock, self._on_writable)
                return
            except OSError as error:
                waiting.popleft()
                if len(batch) > 1 and error.errno in _REFUSALS:  # rule 2
                    self._segments = 1
                    waiting.extendleft(((datagram,), address) for datagram in reversed(batch))
                else:
                    counters.failed += len(batch)
                    counters.last_error = error
            else:
                waiting.popleft()

    # --8<-- [end:send]

    def _on_writable(self) -> None:
        self._loop.remove_writer(self._socket)
        self._blocked = False
        self._send_waiting()
        if not self._blocked:
            self._on_room()

    # --8<-- [start:receive]
    def _on_readable(self) -> None:
        counters, buffer = self.counters, self._buffer
        enough = counters.received + READS_PER_TURN
        for _ in range(READS_PER_TURN):  # rule 3
            try:
                size, notes, _, address = self._socket.recvmsg_into((buffer,), _GRO_SPACE)
            except BlockingIOError:
                return
            except OSError as error:  # what became of something that we sent
                counters.last_error = error
                continue
            counters.calls += 1
            datagrams = cut(bytes(buffer[:size]), _segment_size(notes))
            counters.received += len(datagrams)
            self._receive(datagrams, normal_address(address))
            if counters.received >= enough or self._socket.fileno() < 0:  # or whoever received them has closed us
                return

    # --8<-- [end:receive]

    def close(self) -> None:
        """Close the socket; what waits is dropped."""
        if self._socket.fileno() >= 0:
            self._waiting.clear()
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()


class TransportSocket(asyncio.DatagramProtocol):
    """asyncio's own transport under the same interface (rule 6): a call for each datagram, and a buffer of its own."""

    def __init__(self, receive: Receive, on_room: Callable[[], object]) -> None:
        self.address: Address = ("", 0)
        self.family = 0
        self.counters = SocketCounters()
        self.clock = asyncio.get_running_loop().time
        self._receive = receive
        self._on_room = on_room
        self._blocked = False

    @property
    def blocked(self) -> bool:
        """Whether the transport's buffer is full (rule 4)."""
        return self._blocked

    def send(self, datagrams: Sequence[bytes], address: Address) -> bool:
        """Send datagrams to one peer, in this order; see `DatagramSocket.send`."""
        self.counters.sent += len(datagrams)
        self.counters.calls += len(datagrams)
        for datagram in datagrams:
            self._transport.sendto(datagram, address)
        return not self._blocked

    def close(self) -> None:
        """Close it; what waits is dropped."""
        self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is bound."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        sock = cast("socket.socket", transport.get_extra_info("socket"))
        self.address = normal_address(transport.get_extra_info("sockname"))
        self.family = sock.family
        _configure(sock, sock.family)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """A datagram has come."""
        self.counters.calls += 1
        if data:
            self.counters.received += 1
            self._receive([data], normal_address(addr))

    def error_received(self, exc: Exception) -> None:
        """A datagram was not taken (rule 4)."""
        self.counters.failed += 1
        if isinstance(exc, OSError):
            self.counters.last_error = exc

    def pause_writing(self) -> None:
        """The buffer is full."""
        self._blocked = True

    def resume_writing(self) -> None:
        """There is room again."""
        self._blocked = False
        self._on_room()


def normal_address(address: tuple[Any, ...]) -> Address:
    """(host, port) of what the system says; of IPv6 with the zone, if that is needed to find the way back."""
    if len(address) == 4 and address[3] and "%" not in address[0]:
        return f"{address[0]}%{address[3]}", address[1]
    return cast("Address", address[:2])


def _can_watch(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bool:
    """Whether `BatchSocket` works here (rule 6). The loop is asked for something harmless, which it does or refuses."""
    try:
        loop.remove_reader(sock)
    except NotImplementedError:
        return False
    return hasattr(sock, "recvmsg_into")


def _segment_size(notes: list[tuple[int, int, bytes]]) -> int:
    """Where to cut what was read, in bytes; 0 if nowhere."""
    for level, kind, data in notes:
        if level == SOL_UDP and kind == UDP_GRO:
            return int(_GRO_SIZE.unpack_from(data)[0])
    return 0


def _offer(sock: socket.socket, option: int, value: int) -> bool:
    """Set an option of Linux's, and tell whether that went well; other systems may give the number another meaning."""
    return sys.platform == "linux" and _set(sock, SOL_UDP, option, value)


def _configure(sock: socket.socket, family: int) -> None:
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        _set(sock, socket.SOL_SOCKET, option, BUFFER_SIZE)
    dont_fragment = _DONT_FRAGMENT.get((sys.platform, socket.AddressFamily(family)))
    if dont_fragment is not None:
        _set(sock, *dont_fragment)


def _set(sock: socket.socket, level: int, option: int, value: int) -> bool:
    try:
        sock.setsockopt(level, option, value)
    except OSError:
        return False
    return True
