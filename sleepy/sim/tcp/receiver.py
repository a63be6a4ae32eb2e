"""One direction made reliable, the receiving half: order, room, and acks.

Rules:

1. Bytes are handed on in order and once. What comes early is kept until the hole before it is filled: whoever reads waits
   for a lost segment even if all behind it has arrived. This is *head-of-line blocking*.
2. Whatever leaves or fills a hole, or was there already, is acknowledged at once, so that the sender learns of losses by
   duplicate acks, and of repairs, without delay (RFC 5681, section 4.2).
3. Otherwise every second full segment is acknowledged, and anything within 40 ms (Linux's least delay; the RFC allows
   500). Whatever is sent meanwhile carries the ack with it.
4. An ack names up to four ranges beyond the first hole, the one that changed last first (RFC 2018, section 4).
5. The window is the room left in the buffer. Its edge is never taken back; it moves on only by a segment or more, or half
   the buffer, lest the sender dribble (RFC 9293, section 3.8.6.2.2).
"""

import math
from typing import Final

BUFFER: Final = 1 << 20  # bytes; Linux's would grow to about this in a fast transfer
ACK_DELAY: Final = 0.04  # seconds
MOST_RANGES: Final = 4  # as many as fit into a header's 40 bytes of options


class Receiver:
    """Receives a stream of bytes.

    Args:
        seq: The number of its first byte.
        mss: The largest payload of a segment, in bytes.

    Attributes:
        next: The number of the byte that is expected next.
        unread: How many bytes were handed on that the program has not taken.
        fin: Whether the stream's end has been reached.
        must_ack: Whether an ack is due at once.
        ack_at: When an ack is due, in seconds; infinity for never.
    """

    def __init__(self, seq: int, mss: int) -> None:
        self.next = seq
        self.unread = 0
        self.fin = False
        self.must_ack = False
        self.ack_at = math.inf
        self._mss = mss
        self._edge = seq + BUFFER
        self._early: dict[int, bytes] = {}  # what came before its turn, by its number
        self._ranges: list[tuple[int, int]] = []  # the same as ranges, the one that changed last first
        self._fin_at: int | None = None
        self._unacked = 0

    # --8<-- [start:receive]
    def receive(self, seq: int, data: bytes, fin: bool, now: float) -> bytes:
        """A segment has come.

        Returns:
            What can be handed on now, in order.
        """
        end = seq + len(data)
        if fin:
            self._fin_at = end
        if end + fin <= self.next or end > self._edge:  # rule 2: an old one, or one that there is no room for
            self.must_ack = True
            return b""
        if seq > self.next:  # rules 1 and 2: a hole
            self._keep(seq, data, end + fin)
            self.must_ack = True
            return b""
        ready = self._hand_on(data[self.next - seq :])
        self._plan_ack(len(ready), now)
        return ready

    # --8<-- [end:receive]

    def _keep(self, start: int, data: bytes, end: int) -> None:
        """Keep what came early, and note the range (rule 4)."""
        if data:
            self._early[start] = data
        apart: list[tuple[int, int]] = []
        for known in self._ranges:
            if known[1] < start or known[0] > end:
                apart.append(known)
            else:
                start, end = min(start, known[0]), max(end, known[1])
        self._ranges = [(start, end), *apart] if end > start else apart

    def _hand_on(self, data: bytes) -> bytes:
        """Take what is next, and what was kept behind it."""
        parts = [data]
        self.next += len(data)
        while self.next in self._early:
            parts.append(self._early.pop(self.next))
            self.next += len(parts[-1])
        if self.next == self._fin_at:
            self.next += 1
            self.fin = self.must_ack = True
        if self._ranges:  # rule 2: it fills a hole, or a part of one
            self.must_ack = True
            self._ranges = [known for known in self._ranges if known[0] > self.next]
        ready = b"".join(parts)
        self.unread += len(ready)
        return ready

    def _plan_ack(self, size: int, now: float) -> None:
        """Rule 3."""
        self._unacked += size
        if self._unacked >= 2 * self._mss:
            self.must_ack = True
        self.ack_at = min(self.ack_at, now + ACK_DELAY)

    def read(self, size: int) -> None:
        """The program has taken so many bytes; there is room again (rule 5)."""
        shut = self._edge - self.next
        self.unread -= size
        if shut < self._mss <= self._room() - shut:
            self.must_ack = True

    def _room(self) -> int:
        return BUFFER - self.unread

    def advertise(self) -> int:
        """How many bytes from `next` on we tell the peer there is room for (rule 5)."""
        edge = self.next + self._room()
        if edge - self._edge >= min(self._mss, BUFFER // 2):
            self._edge = edge
        return max(self._edge - self.next, 0)

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """What has arrived beyond the first hole (rule 4)."""
        return tuple(self._ranges[:MOST_RANGES])

    def acked(self) -> None:
        """An ack was sent, on its own or with data."""
        self.must_ack = False
        self.ack_at = math.inf
        self._unacked = 0
