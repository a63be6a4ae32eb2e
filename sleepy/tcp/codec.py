"""What a protocol must bring to be spoken by these clients and this server: the codec, an interface.

The clients know about connections, turns, deadlines and second attempts; the server about queues and limits. None of them
knows what a request looks like. That is a codec's business: `sleepy.tcp.http.http1.Http1` for HTTP/1.1, and
`sleepy.tcp.frames.Frames` for a peer's own bytes. A codec is a value that is shared; what must be remembered from one byte
to the next is in the *readers* it makes, one for each direction of each connection. Neither does I/O nor knows the time.

The protocols have one thing in common: on one connection, answers come in the order of the requests. So a reader of answers
must be told of every request, and what nobody asked for ends the connection.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:  # PEP 696: who names no codec speaks HTTP
    from typing_extensions import TypeVar

    from sleepy.tcp.http.messages import Headers, Request, Response
    from sleepy.trace import Value

    Q = TypeVar("Q", default=Request)
    A = TypeVar("A", default=Response)
else:
    from typing import TypeVar

    Q = TypeVar("Q")  # a request, the question
    A = TypeVar("A")  # its answer
Q_contra = TypeVar("Q_contra", contravariant=True)
M_co = TypeVar("M_co", covariant=True)


class Sink(Protocol):
    """Takes a body as it comes, piece by piece."""

    def feed(self, piece: bytes) -> None:
        """More of it."""
        ...

    def finish(self) -> None:
        """That was all of it."""
        ...


class Stream(Sink, AsyncIterable[bytes], Protocol):
    """Takes a body as it comes, and gives it piece by piece to whom it is for."""


class Reader(Protocol[M_co]):
    """Cuts the bytes that come on one connection into messages."""

    @property
    def between_messages(self) -> bool:
        """Whether no part of a message has been read that is not whole yet."""
        ...

    def feed(self, data: bytes) -> Iterable[M_co]:
        """Read more, and give the messages that become whole by it, in order; a streamed one as soon as its body begins.

        Raises:
            RemoteProtocolError: While iterating: the peer sent something else, or more than allowed. It comes behind the
                messages that were whole before; the reader is of no more use.
        """
        ...

    def end(self) -> Iterator[M_co]:
        """The peer sends no more: give the message that ends like this, if any."""
        ...


class AnswerReader(Reader[M_co], Protocol[Q_contra, M_co]):
    """Cuts what a client receives into answers."""

    @property
    def keep_alive(self) -> bool:
        """Whether another answer may follow the one that was given last."""
        ...

    def expect(
        self, request: Q_contra, sink: Stream | None = None, interim: "Callable[[int, Headers], None] | None" = None
    ) -> None:
        """``request`` has been sent on this connection.

        Args:
            request: What was sent.
            sink: Takes the body of its answer, and becomes its ``stream``; without one the answer is given when it is whole.
            interim: Is told of interim answers (such as 100 and 103), in a protocol that has them.
        """
        ...


class RequestReader(Reader[M_co], Protocol[M_co]):
    """Cuts what a server receives into requests."""

    @property
    def keep_alive(self) -> bool:
        """Whether another request may follow the one that was given last."""
        ...

    @property
    def in_head(self) -> bool:
        """Whether the message that is not whole yet is still so near its beginning that it should be over soon."""
        ...


class Encoded(NamedTuple):
    """A request as it is sent.

    Attributes:
        data: What is sent at once.
        idempotent: Whether it may be sent again when it is not known whether the peer has executed it.
        follows: Whether a body follows, piece by piece; `Codec.body_of` gives it.
    """

    data: bytes
    idempotent: bool
    follows: bool = False


class Codec(Protocol[Q, A]):
    """How requests and answers look as bytes."""

    def encode_request(self, request: Q, authority: str) -> Encoded:
        """A request as bytes, and what a client must know of it.

        Args:
            request: What is asked.
            authority: Host and port of the peer.

        Raises:
            LocalProtocolError: It cannot be sent.
        """
        ...

    def body_of(self, request: Q) -> AsyncGenerator[bytes, None] | None:
        """What follows an encoded request, piece by piece; None if nothing does."""
        ...

    def awaits_go_ahead(self, request: Q) -> bool:
        """Whether what follows waits until the peer has said that it wants it."""
        ...

    def go_ahead(self, request: Q) -> bytes:
        """What a server says to a peer that waits to hear whether a request's body is wanted; empty if it does not."""
        ...

    def encode_answer(self, answer: A, request: Q | None, *, keep_alive: bool, now: float | None = None) -> bytes:
        """An answer as bytes; without its body if that is to follow (see `body_of_answer`).

        Args:
            answer: What is answered.
            request: What was asked; None if what came is no request.
            keep_alive: Whether another answer may follow on the connection.
            now: The time of day, in seconds since 1970; None if there is no clock.

        Raises:
            LocalProtocolError: It cannot be sent.
        """
        ...

    def body_of_answer(self, answer: A, request: Q | None) -> AsyncGenerator[bytes, None] | None:
        """What follows an encoded answer, piece by piece; None if nothing does."""
        ...

    def can_follow(self, answer: A, request: Q | None) -> bool:
        """Whether another answer can follow this one on the same connection."""
        ...

    def answer_to(self, error: Exception, request: Q | None) -> A | None:
        """What a server answers when something went wrong.

        Args:
            error: What the handler raised; or, if there is no request, what is wrong with that which came.
            request: What was asked; None if what came is no request.

        Returns:
            The answer; None if the protocol has none for this: then the connection is closed.
        """
        ...

    def answer_reader(self, max_body_size: int | None = None) -> AnswerReader[Q, A]:
        """A reader for the client's side of one connection."""
        ...

    def request_reader(
        self, max_body_size: int | None = None, begun: Callable[[Q], Stream | None] | None = None
    ) -> RequestReader[Q]:
        """A reader for the server's side of one connection.

        Args:
            max_body_size: The longest body, in bytes; None for any.
            begun: Is told of a request that is there but for its body, in a protocol that has such. What it returns takes
                the body, and becomes the request's ``stream``; the request is then given at once. If it returns None, the
                request is given when it is whole.
        """
        ...

    def describe(self, request: Q) -> str:
        """What is asked for in a few words, for traces."""
        ...

    def facts(self, answer: A) -> "dict[str, Value]":
        """What a trace should say of an answer."""
        ...
