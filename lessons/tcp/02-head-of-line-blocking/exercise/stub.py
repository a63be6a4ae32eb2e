"""Who goes out on which connection, when responses keep the order of their requests."""


class Lines:
    """The lines before the connections to one peer.

    Args:
        max_conns: How many connections there may be.
        limit: A connection that is silent for longer, in seconds, while something is pending, gets nothing more.
    """

    def __init__(self, max_conns: int, limit: float) -> None:
        raise NotImplementedError

    def ask(self, request: str, now: float) -> int | None:
        """A request comes: the connection that gets it, or None if none may."""
        raise NotImplementedError

    def answer(self, connection: int, now: float) -> str | None:
        """The next response on a connection is whole: the request that it answers, or None if that was cancelled."""
        raise NotImplementedError

    def cancel(self, request: str) -> None:
        """The caller of a request has given up."""
        raise NotImplementedError
