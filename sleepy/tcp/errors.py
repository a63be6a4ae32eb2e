"""What can go wrong between a caller and its answer, one class per thing a caller would do differently.

Local and remote protocol errors are two classes, because they have two culprits: a `LocalProtocolError` is a mistake in
this program and nothing was sent; a `RemoteProtocolError` is the peer's, and its connection is closed.
"""

from sleepy.errors import SleepyError


class RequestTimeout(SleepyError, TimeoutError):
    """The deadline passed before the answer was complete.

    Attributes:
        phase: What the request was waiting for: ``queue`` (its turn), a new connection (``dial-queue``, ``dns``, ``dial`` or
            ``tls``, see `sleepy.tcp.dialing.dialer`), ``write`` (the peer, to take it) or ``read`` (the answer).
        __cause__: Why the last attempt failed, if there was one; in that phase it was about to be repeated.
    """

    def __init__(self, phase: str, timeout: float, failure: Exception | None = None) -> None:
        before = "" if failure is None else f", after an attempt that failed: {failure}"
        super().__init__(f"no answer within {timeout:g} s; the time ran out in phase {phase!r}{before}")
        self.phase = phase
        self.__cause__ = failure


class NoFreeConnections(SleepyError):
    """Every connection is busy, no more are allowed, and the wait for one ran out.

    The message carries the counts. Allow more connections (``max_conns``), wait longer (``max_conn_wait_timeout``) or ask
    less at once.
    """


class ConnectionClosed(SleepyError, ConnectionError):
    """The connection ended before the answer did.

    Attributes:
        stale: Whether it had served before and ended without one byte of this answer: most likely the peer closed it
            while it was idle.
    """

    def __init__(self, message: str, *, stale: bool = False) -> None:
        super().__init__(message)
        self.stale = stale


class RemoteError(SleepyError):
    """The peer got the request and did not answer it: its handler failed, and the message is what it said of that.

    Only the one call has failed, the connection is as good as before. Asking the same again will most likely fail again.
    """


class TooManyRedirects(SleepyError):
    """The peer redirects on and on: most likely in a circle.

    The message names the last address. Allow more (``max_redirects``) only if the way is really that long.
    """


class NoAvailableClients(SleepyError):
    """There is no client to give the request to: none was added, or all were removed."""


class PipelineOverflow(SleepyError):
    """As many requests are pending as are allowed: nothing was sent, and the peer is slower than its callers."""


class ProtocolError(SleepyError):
    """Somebody did not speak the protocol; see its two kinds for who."""


class LocalProtocolError(ProtocolError):
    """This program asked for a message that may not be sent; nothing was."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that is no message of this protocol, or more of it than allowed.

    Attributes:
        status: What a server should answer (RFC 9110, section 15.5), such as 400 or 431.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class BodyTooLarge(RemoteProtocolError):
    """The body is, or says it is, longer than the limit set for it."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is longer than the limit of {limit} bytes", status=413)
