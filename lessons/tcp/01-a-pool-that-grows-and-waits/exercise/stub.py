"""Which connection serves whom?"""

Order = tuple[str, ...]


class Pool:
    """The connections to one peer, and the callers in line for them."""

    def __init__(self, max_conns: int) -> None:
        self.max_conns = max_conns

    def ask(self, caller: str) -> list[Order]:
        """A caller wants a connection."""
        raise NotImplementedError

    def dialed(self, connection: str) -> list[Order]:
        """A dial has succeeded."""
        raise NotImplementedError

    def dial_failed(self) -> list[Order]:
        """A dial has failed."""
        raise NotImplementedError

    def done(self, connection: str) -> list[Order]:
        """A connection has done its work, and may serve again."""
        raise NotImplementedError

    def lost(self, connection: str) -> list[Order]:
        """A connection is closed, idle or not."""
        raise NotImplementedError

    def leave(self, caller: str) -> list[Order]:
        """A caller gives up."""
        raise NotImplementedError

    def allow(self, max_conns: int) -> list[Order]:
        """From now on there may be so many connections."""
        raise NotImplementedError
