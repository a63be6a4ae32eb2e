"""A client's connection: one that knows whom it serves.

A connection moves bytes, and brings messages. A client has to know two things more of each of its own: the reader, which
must be told of every request that goes out, and the exchange that is under way. They could be looked up in tables; but they
are asked for with every request, and what belongs to a connection is found quickest where the connection is.

What it knows of both tells, too, what its end means to who waits: whether an answer had begun, and so whether the peer had
most likely closed it before the request came.
"""

from typing import TYPE_CHECKING, Generic

from sleepy._mypyc import mypyc_attr
from sleepy.tcp.codec import A, AnswerReader, Q
from sleepy.tcp.connection import Connection, Owner
from sleepy.tcp.dialing.dials import address_of
from sleepy.tcp.errors import ConnectionClosed, RemoteProtocolError

if TYPE_CHECKING:
    from sleepy.tcp.exchange import Exchange


@mypyc_attr(allow_interpreted_subclasses=True)
class ClientConnection(Connection[A], Generic[Q, A]):
    """A connection, its reader, and the exchange that it serves.

    Args:
        owner: Hears of messages and of the end.
        answers: Cuts what arrives into answers.
        number: Its number with its owner, for traces.

    Attributes:
        answers: As given; to be told of every request.
        exchange: The request whose answer comes next, where there is one at a time (`HostClient`); None while it is idle.
    """

    def __init__(self, owner: "Owner[ClientConnection[Q, A], A]", answers: AnswerReader[Q, A], number: int) -> None:
        super().__init__(owner, answers, number)
        self.answers = answers
        self.exchange: Exchange[Q, A] | None = None

    def loss(self, error: Exception | None) -> Exception:
        """What a request on it fails with, if it was lost by ``error``, or ended in order."""
        peer = address_of(self)
        if isinstance(error, RemoteProtocolError):
            error.add_note(f"it came from {peer}")
            return error
        silent = self.answers.between_messages
        when = "before it answered" if silent else "in the middle of its answer"
        closed = ConnectionClosed(
            f"{peer} closed the connection {when} ({error or 'in order'})", stale=self.messages > 0 and silent
        )
        closed.__cause__ = error
        return closed
