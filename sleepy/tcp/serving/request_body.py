"""A request's body on its way in, for a handler that takes it piece by piece.

To `sleepy.tcp.streams`, whose rules hold here too, it adds two things that only a server has to know. A peer may wait to
hear whether its body is wanted (``Expect: 100-continue``, RFC 9110, section 10.1.1): it is, as soon as somebody reads. And
whether the connection can go on after the answer depends on whether all of the body had come by then.
"""

from typing import Protocol

from sleepy.tcp.streams import IncomingBody, Source


class Host(Source, Protocol):
    """The session that a body comes by."""

    def go_ahead(self, word: bytes) -> None:
        """Let the peer send the body that it holds back."""
        ...

    def stream_ended(self) -> None:
        """All of it has come, or no more will."""
        ...


class RequestBody(IncomingBody):
    """The pieces of a request's body.

    Args:
        session: Where it comes from.
        go_ahead: What the peer waits for before it sends it; empty if it does not wait.

    Attributes:
        awaited: Whether the peer still waits for us to want it.
        ended: Whether no more of it will come.
        whole: Whether all of it has come.
        error: Why it broke off, if it did.
    """

    def __init__(self, session: Host, go_ahead: bytes) -> None:
        super().__init__(session, self._has_ended)
        self.awaited = bool(go_ahead)
        self.ended = False
        self.whole = False
        self.error: Exception | None = None
        self._session = session
        self._go_ahead = go_ahead

    async def __anext__(self) -> bytes:
        self.want()
        return await super().__anext__()

    def want(self) -> None:
        """Somebody reads it, or will: tell the peer, if it waits to hear it."""
        if self.awaited and not self.ended:  # else it did not wait after all
            self._session.go_ahead(self._go_ahead)
        self.awaited = False

    def waive(self) -> None:
        """The answer goes out without it: whoever reads it from now on does not let the peer go ahead any more."""
        self.awaited = False

    def fail(self, error: Exception) -> None:
        """No more will come, and it is not whole."""
        self.error = error
        super().fail(error)

    def _has_ended(self, whole: bool) -> None:
        self.ended = True
        self.whole = whole
        self._session.stream_ended()
