"""Frames: any bytes in, any bytes out. A codec for peers who have a protocol of their own, and need no HTTP around it.

TCP delivers a stream without marks: what one side wrote as two messages may arrive in one piece, or in three. So each
message travels as a *frame*, its length before it:

    length   4 bytes, big-endian   of the payload
    payload  that many bytes       the message; none at all is a message, too

A length before the bytes, rather than a mark behind them, lets the payload be any bytes without escaping, and tells of a
message that is too long before the first byte of it. Four bytes allow 4 GiB, which nobody should send in one piece; two
would end at 64 KiB, which many have outgrown.

Whoever announces a length asks us for memory, so a peer may lie about it. Four rules:

1. A length above the limit ends the connection as soon as its four bytes are there.
2. An announcement is no reason to set memory aside: what is held are the bytes that have come.
3. Frames carry no number. Answers belong to the requests in the order in which these were sent, and bytes that nobody asked
   for end the connection: they could only be taken for the answer to somebody's next request.
4. There are answers, but no errors: a handler that fails can only close the connection. A protocol that needs errors has
   them in its payload, or uses `sleepy.tcp.multiplex`.
"""

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING

from sleepy.tcp.codec import Encoded
from sleepy.tcp.errors import BodyTooLarge, LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from sleepy.tcp.codec import AnswerReader, Sink, Stream
    from sleepy.tcp.http.messages import Headers
    from sleepy.trace import Value

_LENGTH = 4  # bytes


class Frames:
    """How a client and a server exchange messages of any bytes; a `sleepy.tcp.codec.Codec`.

    Args:
        max_frame_size: The longest message, in bytes, sent or read. A client's ``max_response_body_size`` and a server's
            ``max_request_body_size`` (4 MiB unless changed, like this) limit what is read, too.
        idempotent: Whether every request may be sent again when it is not known whether the peer has executed it. Nobody
            but you can know what your bytes do.

    Raises:
        ValueError: A limit that four bytes cannot express, or that lets nothing through.
    """

    __slots__ = ("_idempotent", "_max_frame_size")

    def __init__(self, *, max_frame_size: int = 4 * 1024 * 1024, idempotent: bool = False) -> None:
        if not 0 < max_frame_size < 1 << 8 * _LENGTH:
            raise ValueError(f"max_frame_size is {max_frame_size} bytes; it must be from 1 to {(1 << 8 * _LENGTH) - 1}")
        self._max_frame_size = max_frame_size
        self._idempotent = idempotent

    def encode_request(self, request: bytes, authority: str) -> Encoded:  # noqa: ARG002 -- frames name no host
        """A request as a frame; whether it may be sent twice was said when this codec was made.

        Args:
            request: Any bytes; a ``bytearray`` or a ``memoryview`` is copied at once, so it may change afterwards.
            authority: Not used.

        Raises:
            LocalProtocolError: It is longer than ``max_frame_size``.
            TypeError: It is not bytes.
        """
        return Encoded(frame(request, self._max_frame_size), self._idempotent)

    def go_ahead(self, request: bytes) -> bytes:  # noqa: ARG002
        """Nobody waits inside a frame."""
        return b""

    def encode_answer(
        self,
        answer: bytes,
        request: bytes | None,  # noqa: ARG002 -- the protocol's signature
        *,
        keep_alive: bool,  # noqa: ARG002
        now: float | None = None,  # noqa: ARG002
    ) -> bytes:
        """An answer as a frame; see `encode_request`."""
        return frame(answer, self._max_frame_size)

    def body_of(self, request: bytes) -> AsyncGenerator[bytes, None] | None:  # noqa: ARG002
        """Nothing follows a frame."""
        return None

    def awaits_go_ahead(self, request: bytes) -> bool:  # noqa: ARG002
        """Nothing follows a frame."""
        return False

    def body_of_answer(self, answer: bytes, request: bytes | None) -> AsyncGenerator[bytes, None] | None:  # noqa: ARG002
        """Nothing follows a frame."""
        return None

    def can_follow(self, answer: bytes, request: bytes | None) -> bool:  # noqa: ARG002
        """After a frame there can always be another."""
        return True

    def answer_to(self, error: Exception, request: bytes | None) -> bytes | None:  # noqa: ARG002
        """There is no answer to an error: the connection is closed (rule 4)."""
        return None

    def answer_reader(self, max_body_size: int | None = None) -> "AnswerReader[bytes, bytes]":
        """A reader for the client's side of one connection."""
        return FrameAnswerReader(self._limit(max_body_size))

    def request_reader(
        self,
        max_body_size: int | None = None,
        begun: "Callable[[bytes], Stream | None] | None" = None,  # noqa: ARG002 -- a frame is given when it is whole
    ) -> "FrameReader":
        """A reader for the server's side of one connection."""
        return FrameReader(self._limit(max_body_size))

    def describe(self, request: bytes) -> str:
        """Its size: what its bytes mean is not known here."""
        return f"{memoryview(request).nbytes} bytes"

    def facts(self, answer: bytes) -> "dict[str, Value]":
        """Its size."""
        return {"bytes": len(answer)}

    def _limit(self, max_body_size: int | None) -> int:
        return self._max_frame_size if max_body_size is None else min(max_body_size, self._max_frame_size)


def frame(payload: bytes, max_size: int, head: bytes = b"") -> bytes:
    """A payload as a frame.

    Args:
        payload: Any bytes.
        max_size: How many of them are allowed.
        head: Goes before the payload, inside the frame.

    Raises:
        LocalProtocolError: The payload is too long.
        TypeError: It is not bytes.
    """
    try:
        size = memoryview(payload).nbytes
    except TypeError:
        raise TypeError(f"a frame carries bytes, not {type(payload).__name__}: encode it first") from None
    if size > max_size:
        raise LocalProtocolError(f"the message has {size} bytes, max_frame_size allows {max_size}: nothing was sent")
    return b"".join(((len(head) + size).to_bytes(_LENGTH, "big"), head, payload))


class FrameReader:
    """Cuts the bytes of one connection into frames; asked for or not, as is right for requests.

    Args:
        max_size: The longest body, in bytes.
        head_size: How many bytes of each payload are a protocol's own, and stand before the body.
    """

    __slots__ = ("_begun", "_head_size", "_max_size", "_more", "_wanted", "keep_alive")
    in_head = False  # a frame may be long, and take its time

    def __init__(self, max_size: int, head_size: int = 0) -> None:
        self._max_size = head_size + max_size
        self._head_size = head_size
        self._begun = bytearray()  # a frame that is not whole yet
        self._wanted = 0  # until it has so many bytes there is nothing to be done
        self._more = False  # whether bytes came behind the frame that was given last
        self.keep_alive = True

    @property
    def between_messages(self) -> bool:
        """Whether no part of a frame has been read that is not whole yet."""
        return not self._begun

    # --8<-- [start:feed]
    def feed(self, data: bytes) -> Iterator[bytes]:
        """Read more, and give the payloads of the frames that become whole by it, in order.

        Raises:
            BodyTooLarge: A frame is, or says it is, longer than allowed (rule 1). It comes behind the frames that were whole
                before; the reader is of no more use.
        """
        if self._begun:
            self._begun += data
            if len(self._begun) < self._wanted:
                return
            data = bytes(self._begun)  # so that each byte is copied a few times in all, however small the pieces
            self._begun.clear()
        at, size, self._wanted = 0, len(data), _LENGTH
        while size - at >= _LENGTH:
            length = int.from_bytes(data[at : at + _LENGTH], "big")
            if length > self._max_size:
                raise BodyTooLarge(self._max_size - self._head_size)
            end = at + _LENGTH + length
            if end > size:
                self._wanted = _LENGTH + length
                break
            self._more = end < size
            yield data[at + _LENGTH : end]
            at = end
        self._begun += data[at:]  # rule 2

    # --8<-- [end:feed]

    def end(self) -> Iterator[bytes]:
        """The peer sends no more: a frame that is not whole is none."""
        return iter(())


class FrameAnswerReader(FrameReader):
    """Cuts what a client receives into the answers that were asked for (rule 3).

    Args:
        max_size: The longest payload, in bytes.
    """

    __slots__ = ("_expected",)

    def __init__(self, max_size: int) -> None:
        super().__init__(max_size)
        self._expected = 0  # answers

    def expect(
        self,
        request: bytes,  # noqa: ARG002 -- the protocol's signature
        sink: "Sink | None" = None,  # noqa: ARG002 -- nothing is streamed
        interim: "Callable[[int, Headers], None] | None" = None,  # noqa: ARG002 -- nothing is answered before the answer
    ) -> None:
        """A request has been sent on this connection."""
        self._expected += 1

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Read more, and give the answers that become whole by it, in order.

        Raises:
            BodyTooLarge: See `FrameReader.feed`.
            RemoteProtocolError: Something came that nobody asked for.
        """
        for answer in super().feed(data):
            if not self._expected:
                raise RemoteProtocolError("the peer sent a frame that nobody asked for")
            self._expected -= 1
            # Judged before the answer is given, because its receiver may ask the next question at once.
            self.keep_alive = bool(self._expected) or not self._more
            yield answer
            if not self.keep_alive:
                raise RemoteProtocolError("the peer sent more than was asked for")
        if not self._expected and not self.between_messages:
            raise RemoteProtocolError("the peer sent bytes that nobody asked for")
