"""Notes the time whenever a connection gets a request.

Misconception: a connection that is in use is alive.
"""

from collections import deque


class Lines:
    """The lines before the connections to one peer.

    Args:
        max_conns: How many connections there may be.
        limit: A connection that is silent for longer, in seconds, while something is pending, gets nothing more.
    """

    def __init__(self, max_conns: int, limit: float) -> None:
        self.max_conns = max_conns
        self.limit = limit
        self.pending: list[deque[str | None]] = []  # of each connection; None in the place of one that was cancelled
        self.moved: list[float] = []  # since when each is silent

    def ask(self, request: str, now: float) -> int | None:
        """A request comes: the connection that gets it, or None if none may."""
        free = [number for number in range(len(self.pending)) if not self.is_stalled(number, now)]
        best = min(free, key=lambda number: len(self.pending[number]), default=None)
        if (best is None or self.pending[best]) and len(self.pending) < self.max_conns:
            best = len(self.pending)
            self.pending.append(deque())
            self.moved.append(now)
        if best is None:
            return None
        self.moved[best] = now
        self.pending[best].append(request)
        return best

    def answer(self, connection: int, now: float) -> str | None:
        """The next response on a connection is whole: the request that it answers, or None if that was cancelled."""
        self.moved[connection] = now
        return self.pending[connection].popleft()

    def cancel(self, request: str) -> None:
        """The caller of a request has given up."""
        for line in self.pending:
            if request in line:
                line[line.index(request)] = None

    def is_stalled(self, connection: int, now: float) -> bool:
        """Whether it has been silent for too long."""
        return bool(self.pending[connection]) and now - self.moved[connection] > self.limit
