"""Fragments back into packets, in bounded memory."""


class Reassembly:
    """The packets of which fragments are missing.

    Args:
        fragment_size: Bytes in each fragment but the last.
        max_fragments: The most a packet may have.
        limit: How many incomplete packets to keep, and how many delivered ones to remember.
    """

    def __init__(self, fragment_size: int, max_fragments: int, limit: int) -> None:
        raise NotImplementedError

    def receive(self, sequence: int, fragment_id: int, fragments: int, data: bytes) -> bytes | None:
        """A fragment has arrived; the whole payload, if it was the last one missing."""
        raise NotImplementedError
