"""Why a connection is no more.

A program that lost its peer asks one question: what now? Try again, tell the user, mend the program? So each answer has an
error of its own. All of them are a `ConnectionClosed`, and so a ``ConnectionError``, for who does not care.

What a peer says when it leaves is a code and a reason. Codes below `APPLICATION_CODES` belong to the application; those from
there on are ours, and become the errors that they stand for.

Source: RFC 9000, sections 10.2 and 20 (there in two kinds of frames).
"""

from typing import Final

from sleepy.errors import SleepyError
from sleepy.udp.delivery.chunks import Close

APPLICATION_CODES: Final = 0x10000
PROTOCOL_ERROR: Final = 0x10000
CHANNEL_MISMATCH: Final = 0x10001
GOING_AWAY: Final = 0x10002
UNREACHABLE: Final = 0x10003


class ConnectionClosed(SleepyError, ConnectionError):
    """The connection is no more; the subclass says why.

    Attributes:
        code: What the application that closed it said; 0 if none did.
        reason: The same, for people.
    """

    def __init__(self, message: str, *, code: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class ClosedLocally(ConnectionClosed):
    """We closed it."""


class ClosedByPeer(ConnectionClosed):
    """The peer's application closed it, with this code and reason."""


class TimedOut(ConnectionClosed, TimeoutError):
    """The peer was silent for longer than the idle timeout, though we asked it to speak.

    Or for as long no large packet got through one way, though small ones did: the path carries less than 1200 bytes.
    """


class PeerProtocolError(ConnectionClosed):
    """One side broke the rules of the protocol; the message says which, and how. One of the two programs must be mended."""


class ChannelMismatch(ConnectionClosed):
    """The two sides were given different channels; the message says where they differ."""


class WentAway(ConnectionClosed):
    """The peer's node shut down, or was started anew. It may be worth while to connect again."""


def error_for(close: Close) -> ConnectionClosed:
    """The error that a peer's last words stand for."""
    said = f" and says: {close.reason}" if close.reason else ""
    if close.code < APPLICATION_CODES:
        code, reason = close.code, close.reason
        return ClosedByPeer(f"the peer closed the connection with code {code}{said}", code=code, reason=reason)
    kind, what = _OURS.get(close.code, (PeerProtocolError, f"left with a code that we do not know, {close.code:#x},"))
    return kind(f"the peer {what}{said}", reason=close.reason)


_OURS: Final[dict[int, tuple[type[ConnectionClosed], str]]] = {
    PROTOCOL_ERROR: (PeerProtocolError, "found that we broke the protocol"),
    CHANNEL_MISMATCH: (ChannelMismatch, "has other channels than we"),
    GOING_AWAY: (WentAway, "went away"),
    UNREACHABLE: (TimedOut, "could not reach us"),
}
