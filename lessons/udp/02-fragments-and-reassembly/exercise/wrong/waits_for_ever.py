"""Keeps every packet until it is whole.

Misconception: what is missing will come; somebody will send it again.
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
        self.partials: dict[int, tuple[int, dict[int, bytes]]] = {}  # in the order in which they were begun
        self.delivered: deque[int] = deque(maxlen=limit)

    def receive(self, sequence: int, fragment_id: int, fragments: int, data: bytes) -> bytes | None:
        """A fragment has arrived; the whole payload, if it was the last one missing."""
        if not self.is_right(fragment_id, fragments, data) or sequence in self.delivered:
            return None
        if sequence not in self.partials:
            self.partials[sequence] = fragments, {}
        announced, parts = self.partials[sequence]
        if fragments != announced:
            return None
        parts.setdefault(fragment_id, data)
        if len(parts) < announced:
            return None
        del self.partials[sequence]
        self.delivered.append(sequence)
        return b"".join(parts[number] for number in range(announced))

    def is_right(self, fragment_id: int, fragments: int, data: bytes) -> bool:
        """Whether there can be such a fragment."""
        if not 0 <= fragment_id < fragments <= self.max_fragments:
            return False
        is_last = fragment_id == fragments - 1
        return len(data) <= self.fragment_size if is_last else len(data) == self.fragment_size
