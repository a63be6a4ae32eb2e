"""Who has what: the packets that reached us, and the packets we sent."""


class Received:
    """The packets that arrived, as the header tells the peer."""

    def arrive(self, sequence: int) -> None:
        """A packet has arrived, perhaps late, perhaps twice."""
        raise NotImplementedError

    def header(self) -> tuple[int, int]:
        """The ack, and the 32 ack bits."""
        raise NotImplementedError


class Sent:
    """The packets that were sent, and which of them the peer has."""

    def send(self) -> int:
        """A packet is being sent; its sequence."""
        raise NotImplementedError

    def acknowledge(self, ack: int, ack_bits: int) -> list[int]:
        """What the peer has, and we did not know of; the newest first."""
        raise NotImplementedError
