"""Counts fragments, and does not ask which.

Misconception: three arrivals of three fragments make a packet.
"""

from collections import deque


class Reassembly:
    """The packets of which fragments are missing.

    Args:
        fragment_size: Bytes in each fragment but the last.
        max_fragments: The most a packet may have.
        limit: How many incomplete packets to keep, and how many delivered ones to remember.
    """

    def __init__(self, fragment_size: int, max_fragments: int, limit: int) -> None:
        self.fragment_size = fragment_size
        self.max_fragments = max_fragments
        self.limit = limit
        self.partials: dict[int, list[tuple[int, int, bytes]]] = {}  # in the order in which they were begun
        self.delivered: deque[int] = deque(maxlen=limit)

    def receive(self, sequence: int, fragment_id: int, fragments: int, data: bytes) -> bytes | None:
        """A fragment has arrived; the whole payload, if it was the last one missing."""
        if not self.is_right(fragment_id, fragments, data) or sequence in self.delivered:
            return None
        if sequence not in self.partials:
            if len(self.partials) == self.limit:
                del self.partials[next(iter(self.partials))]
            self.partials[sequence] = []
        parts = self.partials[sequence]
        if parts and fragments != parts[0][1]:
            return None
        parts.append((fragment_id, fragments, data))
        if len(parts) < fragments:
            return None
        del self.partials[sequence]
        self.delivered.append(sequence)
        return b"".join(part for _, _, part in sorted(parts))

    def is_right(self, fragment_id: int, fragments: int, data: bytes) -> bool:
        """Whether there can be such a fragment."""
        if not 0 <= fragment_id < fragments <= self.max_fragments:
            return False
        is_last = fragment_id == fragments - 1
        return len(data) <= self.fragment_size if is_last else len(data) == self.fragment_size
