"""How two peers begin in plain mode, where no handshake introduces them.

Rules:

1. Each side's first packet is a *hello*, alone: a number drawn at random, and the side's parameters. It is sent again until
   it is acked.
2. Messages wait until the other side's hello has come: before that nobody knows whether the channels are the same. And
   nothing else is read before it, nor acked: it may be late, and from an earlier conversation between the same addresses.
   Nor is a hello that answers somebody else's (`sleepy.udp.connections.plain`, rule 5).
3. A hello with another number is somebody else at the same address. If it bears our tag, the peer was started anew; if not,
   it may be late, and we ask (`sleepy.udp.connections.plain`, rule 4).
4. Who is asked, and still waits for a hello, or is asked by the peer that it knows, says its own hello once more.
"""

from collections.abc import Callable

from sleepy.udp.connections.plain import TAG, PlainPackets, beginning
from sleepy.udp.connections.preface import HELLO, NONCE, Hello, write_hello


class Greeting:
    """Our hello, and the peer's.

    Args:
        parameters: What we say of ourselves.
        random_bytes: Where the number comes from.
        packets: Learns both sides' tags.

    Attributes:
        payload: Our hello.
        due: Whether it is to be sent.
        peer: The peer's number; None before its hello.
        question: A question to be sent; None if there is none.
    """

    __slots__ = ("_acked", "_packets", "_said", "due", "payload", "peer", "question")

    def __init__(self, parameters: bytes, random_bytes: Callable[[int], bytes], packets: PlainPackets) -> None:
        nonce = random_bytes(NONCE)
        self.payload = write_hello(Hello(nonce, parameters))
        self.due = True
        self.peer: bytes | None = None
        self.question: bytes | None = None
        self._packets = packets
        self._said = False
        self._acked = False
        packets.ours = nonce[:TAG]

    def meet(self, nonce: bytes) -> None:
        """The peer says hello, with this number."""
        self.peer = nonce
        self._packets.theirs = nonce[:TAG]

    def may_read(self, datagram: bytes) -> bool:
        """Whether to open a datagram: any after the peer's hello, before it none but that (rule 2)."""
        if self.peer is not None:
            return True
        self._answer(datagram)
        if self._said and self._packets.is_for_another(datagram):
            return False
        return beginning(datagram) is not None

    def is_over(self, datagram: bytes) -> bool:
        """Whether a datagram that was not taken says that the peer was started anew; if it only may, ask (rule 3)."""
        nonce = beginning(datagram)
        if nonce is None or not self.is_another(nonce):
            self._answer(datagram)
            return False
        if datagram.endswith(self._packets.ours):
            return True
        self.question = self._packets.question(nonce)
        return False

    def _answer(self, datagram: bytes) -> None:
        """Rule 4, if this is a question to us."""
        tag = self._packets.asked(datagram)
        if tag is not None and (self.peer is None or tag == self._packets.theirs):
            self._packets.theirs = tag
            self.due = True

    def is_another(self, nonce: bytes | None) -> bool:
        """Whether a hello with this number, if there is one, is not from the peer that we know (rule 3)."""
        return nonce is not None and self.peer is not None and nonce != self.peer

    def repeat(self) -> bool:
        """Nobody answers: have our hello sent again, if it may be for want of that (rule 2); whether it may."""
        self.due = not self._acked
        return self.due

    def token(self) -> "tuple[Greeting, int, int, int]":
        """The token of a packet with our hello in it, which is about to leave."""
        self.due = False
        self._said = True
        return (self, HELLO, 0, 0)

    def on_acked(self, _what: int, _first: int, _count: int, /) -> None:
        """The peer knows us."""
        self._acked = True
        self.due = False

    def on_lost(self, _what: int, _first: int, _count: int, /) -> None:
        """It may not (rule 1)."""
        self.due = not self._acked
