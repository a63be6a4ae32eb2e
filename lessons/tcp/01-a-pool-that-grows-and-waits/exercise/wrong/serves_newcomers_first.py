"""Keeps what comes free for the next who asks.

Misconception: a connection that comes free waits for whoever asks next.
"""

Order = tuple[str, ...]


class Pool:
    """The connections to one peer, and the callers in line for them."""

    def __init__(self, max_conns: int) -> None:
        self.max_conns = max_conns
        self.open: set[str] = set()
        self.idle: list[str] = []  # in the order of their release
        self.line: list[str] = []
        self.dialing = 0

    def settle(self) -> list[Order]:
        """What can be done now for those in line."""
        orders: list[Order] = []
        while self.line and self.idle:
            orders.append(("serve", self.line.pop(0), self.idle.pop()))
        while self.dialing < len(self.line) and len(self.open) + self.dialing < self.max_conns:
            self.dialing += 1
            orders.append(("dial",))
        return orders

    def ask(self, caller: str) -> list[Order]:
        """A caller wants a connection."""
        if self.idle:
            return [("serve", caller, self.idle.pop())]
        self.line.append(caller)
        return self.settle()

    def dialed(self, connection: str) -> list[Order]:
        """A dial has succeeded."""
        self.dialing -= 1
        self.open.add(connection)
        self.idle.append(connection)
        return self.settle()

    def dial_failed(self) -> list[Order]:
        """A dial has failed."""
        self.dialing -= 1
        told: list[Order] = [("fail", self.line.pop(0))] if self.line else []
        return told + self.settle()

    def done(self, connection: str) -> list[Order]:
        """A connection has done its work, and may serve again."""
        self.idle.append(connection)
        return []

    def lost(self, connection: str) -> list[Order]:
        """A connection is closed, idle or not."""
        self.open.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        return self.settle()

    def leave(self, caller: str) -> list[Order]:
        """A caller gives up."""
        if caller in self.line:
            self.line.remove(caller)
        return []

    def allow(self, max_conns: int) -> list[Order]:
        """From now on there may be so many connections."""
        self.max_conns = max_conns
        return self.settle()
