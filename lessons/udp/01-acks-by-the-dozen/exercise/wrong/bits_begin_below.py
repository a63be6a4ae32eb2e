"""Lets bit 0 stand for the packet before the ack.

Misconception: the ack says that packet arrived, so its bit would be a waste (as in the article of 2008).
"""

HALF = 32768


class Received:
    """The packets that arrived, as the header tells the peer."""

    def __init__(self) -> None:
        self.ack = 65535
        self.ack_bits = 0

    def arrive(self, sequence: int) -> None:
        """A packet has arrived, perhaps late, perhaps twice."""
        ahead = (sequence - self.ack) & 0xFFFF
        if 0 < ahead < HALF:
            self.ack = sequence
            self.ack_bits = ((self.ack_bits << 1 | 1) << min(ahead, 33) - 1) & 0xFFFFFFFF
        else:
            behind = (self.ack - sequence) & 0xFFFF
            if 0 < behind < 33:
                self.ack_bits |= 1 << behind - 1

    def header(self) -> tuple[int, int]:
        """The ack, and the 32 ack bits."""
        return self.ack, self.ack_bits


class Sent:
    """The packets that were sent, and which of them the peer has."""

    def __init__(self) -> None:
        self.next = 0
        self.open: set[int] = set()

    def send(self) -> int:
        """A packet is being sent; its sequence."""
        sequence = self.next
        self.open.add(sequence)
        self.next = (sequence + 1) & 0xFFFF
        return sequence

    def acknowledge(self, ack: int, ack_bits: int) -> list[int]:
        """What the peer has, and we did not know of; the newest first."""
        claimed = [ack] + [(ack - 1 - bit) & 0xFFFF for bit in range(32) if ack_bits >> bit & 1]
        news = [sequence for sequence in claimed if sequence in self.open]
        self.open.difference_update(news)
        return news
