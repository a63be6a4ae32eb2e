"""The plain mode: packets as they are, for everybody to read, and for anybody to forge.

A connection puts its packets in an *envelope*. The usual one is `sleepy.udp.security.protection.Protection`: closed, and
addressed to a connection id. This one is open. What travels is what `sleepy.udp.endpoint.Endpoint` makes, so a capture can
be read as reliable.io's traffic, which is what it is for: for lessons, and for programs that are alone on their network.

Rules:

1. Without ids a peer is known by its address alone; so it cannot change its address.
2. Without a handshake the first packet has to say who begins: a *hello* (`sleepy.udp.connections.preface`), with a number
   drawn at random.
3. Two who talk, part, and talk again use the same addresses and begin with the same sequence numbers. So that what is late
   from the first conversation is not taken for a part of the second, each packet ends with a *tag*: the first 4 bytes of
   its receiver's number. Who does not know that number yet says hello, and has zeros there; nothing else is read without
   the tag. (TCP waits for two minutes before it uses the same ports again; ENet counts conversations in two bits.)
4. A hello with another number may be late from an earlier conversation, or the peer was started anew and knows nothing of
   this one. So we ask (a *question*): who has just said this hello says it again, with our tag, and only that ends the
   conversation. Whoever else gets the question has another tag, and does not read it.
5. Who knows no peer yet believes any hello, unless it has said its own already, and this one bears a tag that is neither
   its own nor zeros: that is an answer to who was here before. If one was late and is believed all the same, the peer's own
   is another, and ends what has hardly begun.

A question is one byte, with which neither a packet nor a fragment begins, the tag to be used, and the tag of its receiver.

Source: rule 4 is TCP's, which answers a SYN within a connection by an ack (RFC 5961, section 4), and who knows nothing of
that connection by a reset (RFC 9293, section 3.5.1).
"""

from typing import Final, Protocol

from sleepy.udp.connections.preface import HELLO, NONCE
from sleepy.udp.header import read_header

TAG: Final = 4  # bytes
NO_TAG: Final = bytes(TAG)
QUESTION: Final = 0x07


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
    """The open envelope: a packet and a tag (rule 3).

    Attributes:
        ours: The tag of packets for us.
        theirs: The tag of packets for the peer, once it has said hello.
        overhead: The tag's bytes.
        highest: Without a proof of who sent it, no datagram counts as the newest.
        exhausted: Never.
    """

    __slots__ = ("ours", "theirs")

    overhead = TAG
    highest = -1
    exhausted = False

    def __init__(self) -> None:
        self.ours = self.theirs = NO_TAG

    def protect(self, payload: bytes, _now: float) -> bytes:
        """Add the tag."""
        return payload + self.theirs

    def is_for_another(self, datagram: bytes) -> bool:
        """Whether its sender takes us for somebody else, who was here before us."""
        return not datagram.endswith((self.ours, NO_TAG))

    def unprotect(self, datagram: bytes, _now: float) -> bytes | None:
        """Take the tag off; None if it is not ours, and the peer does not say hello."""
        if datagram.endswith(self.ours):
            return datagram[:-TAG]
        nonce = beginning(datagram)
        if nonce is not None and self.theirs in {NO_TAG, nonce[:TAG]}:
            return datagram[:-TAG]
        return None

    # --8<-- [start:question]
    def question(self, nonce: bytes) -> bytes:
        """Ask the peer with this number whether it has just said hello (rule 4)."""
        return bytes([QUESTION]) + self.ours + nonce[:TAG]

    def asked(self, datagram: bytes) -> bytes | None:
        """The tag with which we are to say hello, if this is a question to us."""
        if len(datagram) == 1 + 2 * TAG and datagram[0] == QUESTION and datagram.endswith(self.ours):
            return datagram[1 : 1 + TAG]
        return None

    # --8<-- [end:question]


def beginning(datagram: bytes) -> bytes | None:
    """The number of the peer that says hello in this datagram; None if none does."""
    start = read_header(datagram[: 9 + 1 + NONCE])[3]
    if not start or len(datagram) <= start + NONCE or datagram[start] != HELLO:
        return None
    return datagram[start + 1 : start + 1 + NONCE]


def begins(datagram: bytes) -> bool:
    """Whether a datagram from an unknown address may be the first of a plain connection."""
    return beginning(datagram) is not None
