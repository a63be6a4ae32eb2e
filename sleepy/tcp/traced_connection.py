"""A connection that tells a trace when each answer begins.

Between the sending of a request and its whole answer there are two waits: for the peer to think, and for the answer to come.
The first byte lies between them. Who asks for a trace gets connections of this kind; nobody else pays for it.

Answers come in the order of the requests, so the next answer that begins belongs to the oldest request without one. Where
answers may overtake each other (`sleepy.tcp.multiplex`) that cannot be said, and is not.
"""

from collections import deque

from sleepy.tcp.client_connection import ClientConnection
from sleepy.tcp.codec import A, AnswerReader, Q
from sleepy.tcp.connection import Owner
from sleepy.trace import Trace


class TracedConnection(ClientConnection[Q, A]):
    """A connection, its reader and its trace.

    Args:
        owner: Hears of messages and of the end.
        answers: Cuts what arrives into answers.
        number: Its number with its owner.
        trace: Is told.
        in_order: Whether answers come in the order of the requests.
    """

    def __init__(
        self,
        owner: Owner[ClientConnection[Q, A], A],
        answers: AnswerReader[Q, A],
        number: int,
        trace: Trace,
        *,
        in_order: bool,
    ) -> None:
        super().__init__(owner, answers, number)
        self._trace = trace
        self._in_order = in_order
        self._waiting: deque[int] = deque()  # requests of which no answer has begun

    def note_sent(self, request: int) -> None:
        """The request of that number was written."""
        self._trace("request.sent", id=request, connection=self.number)
        if self._in_order:
            self._waiting.append(request)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`. One read may hold the beginnings of many answers."""
        begun = self._begun
        if self.answers.between_messages:
            self._note_first_bytes(1)  # before the rest of it is read, and perhaps answered by another request
            begun += 1
        super().data_received(data)
        self._note_first_bytes(self._begun - begun)

    @property
    def _begun(self) -> int:
        return self.messages + (not self.answers.between_messages)

    def _note_first_bytes(self, count: int) -> None:
        for _ in range(min(count, len(self._waiting))):
            self._trace("request.first_byte", id=self._waiting.popleft(), connection=self.number)


def connection_for(
    owner: Owner[ClientConnection[Q, A], A],
    answers: AnswerReader[Q, A],
    number: int,
    trace: Trace | None,
    *,
    in_order: bool,
) -> ClientConnection[Q, A]:
    """A connection of this kind if there is a trace, else a plain one."""
    if trace is None:
        return ClientConnection(owner, answers, number)
    return TracedConnection(owner, answers, number, trace, in_order=in_order)
