"""The plain mode: packets as they are, for everybody to read, and for anybody to forge.

A connection puts its packets in an *envelope*. The usual one is `sleepy.udp.security.protection.Protection`: closed, and
addressed to a connection id. This one is none at all. What travels is what `sleepy.udp.endpoint.Endpoint` makes, so a
capture can be read as reliable.io's traffic, which is what it is for: for lessons, and for programs that are alone on their
network.

Without ids a peer is known by its address alone; so it cannot change its address. Without a handshake the first packet has
to say who begins: a *hello* (`sleepy.udp.connections.preface`), with a number drawn at random. A hello with another number
from the same address is another peer, or the same one started anew.
"""

from typing import Protocol

from sleepy.udp.connections.preface import HELLO, NONCE
from sleepy.udp.header import read_header


class Envelope(Protocol):
    """What goes round a packet on its way."""

    @property
    def overhead(self) -> int:
        """By how many bytes it makes a packet longer."""
        ...

    @property
    def highest(self) -> int:
        """The number of the newest datagram opened; it grows when `unprotect` returns a newer one."""
        ...

    @property
    def exhausted(self) -> bool:
        """Whether nothing is opened any more, and the connection must end."""
        ...

    def protect(self, payload: bytes, now: float, /) -> bytes:
        """Make a datagram."""
        ...

    def unprotect(self, datagram: bytes, now: float, /) -> bytes | None:
        """Open a datagram; None if it is not the peer's, or was here before."""
        ...


class PlainPackets:
    """The envelope that is none.

    Attributes:
        overhead: None.
        highest: Without a proof of who sent it, no datagram counts as the newest.
        exhausted: Never.
    """

    __slots__ = ()

    overhead = 0
    highest = -1
    exhausted = False

    @staticmethod
    def protect(payload: bytes, _now: float) -> bytes:
        """The same."""
        return payload

    @staticmethod
    def unprotect(datagram: bytes, _now: float) -> bytes | None:
        """The same."""
        return datagram


def beginning(datagram: bytes) -> bytes | None:
    """The number of the peer that says hello in this datagram; None if none does."""
    start = read_header(datagram[: 9 + 1 + NONCE])[3]
    if not start or len(datagram) <= start + NONCE or datagram[start] != HELLO:
        return None
    return datagram[start + 1 : start + 1 + NONCE]


def begins(datagram: bytes) -> bool:
    """Whether a datagram from an unknown address may be the first of a plain connection."""
    return beginning(datagram) is not None
