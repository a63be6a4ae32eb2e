"""Stops at the first gap.

Misconception: an ack means that everything before it has arrived, as in TCP.
"""

HALF = 32768


class Received:
    """The packets that arrived, as the header tells the peer."""

    def __init__(self) -> None:
        self.ack = 65535
        self.arrived = 0
        self.early: set[int] = set()

    def arrive(self, sequence: int) -> None:
        """A packet has arrived, perhaps late, perhaps twice."""
        if 0 < (sequence - self.ack) & 0xFFFF < HALF:
            self.early.add(sequence)
        while (following := (self.ack + 1) & 0xFFFF) in self.early:
            self.early.remove(following)
            self.ack = following
            self.arrived = min(self.arrived + 1, 32)

    def header(self) -> tuple[int, int]:
        """The ack, and the 32 ack bits."""
        return self.ack, (1 << self.arrived) - 1


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
        claimed = [(ack - bit) & 0xFFFF for bit in range(32) if ack_bits >> bit & 1]
        news = [sequence for sequence in claimed if sequence in self.open]
        self.open.difference_update(news)
        return news
