"""Reading HTTP/1.1: bytes in, requests or responses out. No socket, no clock.

A message is a start line, fields (a line each), an empty line, and perhaps a body (RFC 9112, section 2.1). Three rules make
it safe to read many from one connection:

1. Answers carry no number: they belong to the requests in the order in which these were sent. The reader of responses must
   therefore be told of every request (`ResponseReader.expect`), also because an answer to HEAD has no body.
2. Bytes that nobody asked for end the connection: they could only be taken for the answer to somebody's next request.
3. What is not surely a message is not one. The grammar is the RFC's without its leniencies: lines end in CR LF, no blanks
   before a colon, no folded lines, no control characters. What is refused here cannot be read in two ways.

A head is checked whole by one regular expression that never backtracks (``*+``), so that a hostile one costs no more than
a good one, and before anybody waits for its body.

A fourth rule makes it fast. What a peer says again need not be understood again: most messages on a connection begin with
the very bytes of the one before, and then what these meant is known. So the last head is kept; comparing it costs a
twentieth of reading it.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from sleepy.tcp.codec import Sink, Stream
from sleepy.tcp.errors import LocalProtocolError, RemoteProtocolError
from sleepy.tcp.http.content_coding import ContentDecoder, DecodedBody, DecodedStream, codings_of
from sleepy.tcp.http.control import Control
from sleepy.tcp.http.framing import BodyDecoder, LengthDecoder, decoder_for
from sleepy.tcp.http.messages import TOKEN, VALUE, Headers, Request, Response

_FIELDS = f"(?:{TOKEN}:{VALUE}\r\n)*+"
_RESPONSE = re.compile(f"HTTP/1\\.([01]) ([1-5][0-9][0-9])(?: ({VALUE}))?\r\n({_FIELDS})\r\n".encode("latin-1"))
_REQUEST = re.compile(f"({TOKEN}) ([\x21\x22\x24-\x7e]++) HTTP/1\\.([01])\r\n({_FIELDS})\r\n".encode("latin-1"))
# RFC 9110, section 7.2, by RFC 3986, section 3.2.2; it may be empty.
_HOST = re.compile(
    rb"[ \t]*+(?:\[[0-9A-Za-z\-._~!$&'()*+,;=:%]++\]|[0-9A-Za-z\-._~!$&'()*+,;=%]*+)(?::[0-9]*+)?[ \t]*+"
)
_OTHER_VERSION = re.compile(rb"[^ \r\n]++ [^ \r\n]++ HTTP/(?!1\.[01])[0-9]\.[0-9]\r\n")
_MAX_INTERIM = 100  # answers with status 1xx before the real one
_MAX_KNOWN = 4096  # bytes of a head that is kept (rule 4)


class _Message(Protocol):
    body: bytes
    trailers: Headers


M = TypeVar("M", bound=_Message)


class _Current(Generic[M]):
    """A message whose body is being read."""

    __slots__ = ("body", "decoder", "message", "sink")

    def __init__(self, message: M, decoder: BodyDecoder, sink: Sink | None) -> None:
        self.message = message
        self.decoder = decoder
        self.sink = sink
        self.body: list[bytes] = []


class _Known(Generic[M]):
    """A head, the message that it began, and the sizes of head and whole message, in bytes."""

    __slots__ = ("head", "head_size", "message", "size")

    def __init__(self, head: bytes, body_size: int, message: M) -> None:
        self.head = head
        self.head_size = len(head)
        self.size = len(head) + body_size
        self.message = message


class _Reader(Generic[M]):
    """Cuts the bytes of one connection into messages.

    Args:
        max_header_size: The longest head, in bytes.
        max_body_size: The longest body, in bytes; None for any.

    Attributes:
        keep_alive: Whether another message may follow the one that was given last.
    """

    __slots__ = ("_buffer", "_current", "_known", "_max_body_size", "_max_header_size", "_scanned", "keep_alive")

    def __init__(self, max_header_size: int, max_body_size: int | None) -> None:
        self._max_header_size = max_header_size
        self._max_body_size = max_body_size
        self._buffer = bytearray()
        self._scanned = 0  # bytes of the buffer in which no head ends
        self._current: _Current[M] | None = None
        self._known: _Known[M] | None = None
        self.keep_alive = True

    @property
    def between_messages(self) -> bool:
        """Whether no part of a message has been read that is not whole yet."""
        return not self._buffer and self._current is None

    # --8<-- [start:feed]
    def feed(self, data: bytes) -> Iterable[M]:
        """Read more, and give the messages that become whole by it, in order; a streamed one as soon as its body begins.

        Raises:
            RemoteProtocolError: While iterating: the peer sent something else, or more than allowed. It comes behind the
                messages that were whole before; the reader is of no more use.
        """
        known = self._known
        if (
            known is not None  # rule 4
            and len(data) == known.size
            and data.startswith(known.head)
            and self._current is None
            and not self._buffer
            and (message := self._repeat(known.message, data[known.head_size :], more=False)) is not None
        ):
            return (message,)
        return self._read(data)

    def _read(self, data: bytes) -> Iterator[M]:
        known = self._known
        if known is not None and self._current is None and not self._buffer:
            at, size = 0, len(data)
            while data.startswith(known.head, at) and (end := at + known.size) <= size:
                message = self._repeat(known.message, data[at + known.head_size : end], more=end < size)
                if message is None:
                    break
                yield message
                at = end
            if at == size:
                return
            data = data[at:]
        self._buffer += data
        while self._current is not None or self._buffer:
            if self._current is None:
                self._current = self._read_head()
                if self._current is None:
                    return
                if self._current.sink is not None:
                    yield self._current.message
            if not self._read_body(self._current):
                return
            current, self._current = self._current, None
            if current.sink is None:
                yield self._whole(current.message)
            else:
                self._whole(current.message)
                current.sink.finish()

    # --8<-- [end:feed]

    def end(self) -> Iterator[M]:
        """The peer sends no more: give the message that ends like this, if there is one."""
        current, self._current = self._current, None
        if current is None or not current.decoder.may_end():
            self._current = current
            return
        if current.sink is None:
            current.message.body = b"".join(current.body)
            yield self._whole(current.message)
        else:
            current.sink.finish()

    def _read_body(self, current: _Current[M]) -> bool:
        """Read on in a body; True when it is whole."""
        piece = current.decoder.take(self._buffer)
        if current.sink is None:
            current.body.append(piece)
        elif piece:
            current.sink.feed(piece)
        if not current.decoder.whole:
            return False
        if current.sink is None:
            current.message.body = current.body[0] if len(current.body) == 1 else b"".join(current.body)
        if current.decoder.trailers:
            current.message.trailers = Headers.received(current.decoder.trailers)
        return True

    def _read_head(self) -> _Current[M] | None:
        """Take a head from the buffer; None if it is not all there."""
        raise NotImplementedError

    def _whole(self, message: M) -> M:
        """A message is whole."""
        return message

    def _repeat(self, known: M, body: bytes, more: bool) -> M | None:
        """A message with the same head as ``known``; None if it is to be read in another way. Tells if more comes behind."""
        raise NotImplementedError

    def _know(self, head: bytes, message: M, decoder: BodyDecoder) -> None:
        """Keep a head, if the next message with the same is read in the same way (rule 4)."""
        if isinstance(decoder, LengthDecoder) and len(head) <= _MAX_KNOWN:
            self._known = _Known(head, decoder.length, message)

    def _take_head(self, grammar: re.Pattern[bytes]) -> tuple[bytes, ...] | None:
        """Remove a head from the buffer and give it, and its groups in the grammar; None if it is not all there."""
        end = self._buffer.find(b"\r\n\r\n", max(0, self._scanned - 3)) + 4
        least = len(self._buffer) + 1 if end < 4 else end  # if it is not all there, "\n\r\n" may be missing
        if least - 2 > self._max_header_size:
            raise RemoteProtocolError(f"a head of more than {self._max_header_size} bytes", status=431)
        if end < 4:
            self._scanned = len(self._buffer)
            return None
        match = grammar.fullmatch(self._buffer, 0, end)
        if match is None:
            status = 505 if _OTHER_VERSION.match(self._buffer) else 400
            raise RemoteProtocolError(f"{bytes(self._buffer[:80])!r} is not the head of a message", status=status)
        head = (match[0], *match.groups(b""))
        del self._buffer[:end]
        self._scanned = 0
        return head


class _Asked(NamedTuple):
    """What must be known of a request to read its answer."""

    head_only: bool = False
    sink: Stream | None = None
    interim: Callable[[int, Headers], None] | None = None


_PLAINLY: Final = _Asked()


class ResponseReader(_Reader[Response]):
    """Cuts the bytes that a client receives into responses.

    Args:
        max_header_size: The longest head, in bytes.
        max_body_size: The longest body, in bytes; None for any.
        decode_content: Whether codings such as gzip are undone; see `sleepy.tcp.http.content_coding`.
    """

    __slots__ = ("_asked", "_decode_content", "_interim")

    def __init__(self, max_header_size: int, max_body_size: int | None, *, decode_content: bool = False) -> None:
        super().__init__(max_header_size, max_body_size)
        self._decode_content = decode_content
        self._asked: deque[_Asked] = deque()  # the requests that wait for an answer
        self._interim = 0

    @property
    def between_messages(self) -> bool:
        """See `_Reader`; an interim answer is a part of the answer that it precedes."""
        return not self._buffer and self._current is None and not self._interim

    def expect(
        self, request: Request, sink: Stream | None = None, interim: Callable[[int, Headers], None] | None = None
    ) -> None:
        """``request`` has been sent on this connection (rule 1).

        Args:
            request: What was sent.
            sink: Takes the body of its answer, and becomes its ``stream``; without one the answer is given when it is whole.
            interim: Is told of interim answers: their status, and their fields.
        """
        if request.method != "HEAD" and sink is None and interim is None:
            self._asked.append(_PLAINLY)
        else:
            self._asked.append(_Asked(request.method == "HEAD", sink, interim))

    # --8<-- [start:response-head]
    def _read_head(self) -> _Current[Response] | None:
        if not self._asked:
            raise RemoteProtocolError(f"{len(self._buffer)} bytes that nobody asked for")  # rule 2
        asked = self._asked[0]
        while (groups := self._take_head(_RESPONSE)) is not None:
            head, version, status, reason, block = groups
            if not 100 <= int(status) <= 199:
                break
            self._interim += 1  # RFC 9110, section 15.2: interim answers precede the real one
            if self._interim > _MAX_INTERIM or status == b"101":
                raise RemoteProtocolError("an upgrade that nobody asked for, or interim answers without end")
            if asked.interim is not None:
                asked.interim(int(status), Headers.received(block))
        else:
            return None
        self._interim = 0
        control = Control(block, http10=version == b"0")
        response = Response(int(status), b"", Headers.received(block), reason.decode("latin-1"))
        response.keep_alive = self.keep_alive = control.keep_alive
        bodiless = asked.head_only or response.status in {204, 304}
        decoder = decoder_for(control, is_request=False, bodiless=bodiless, limit=self._max_body_size)
        response.stream = asked.sink
        if control.http10:
            response.version = "HTTP/1.0"
        if self._decode_content and not bodiless and response.status != 206:  # a part cannot be unpacked
            codings = codings_of(response.headers.get_all("content-encoding"))
            if codings:
                return self._decode(codings, response, decoder, asked.sink)
        if control.keep_alive and not (bodiless or control.http10):
            self._know(head, response, decoder)
        return _Current(response, decoder, asked.sink)

    # --8<-- [end:response-head]

    def _decode(
        self, codings: list[str], response: Response, decoder: BodyDecoder, sink: Stream | None
    ) -> _Current[Response]:
        """Have a body unpacked, and say no more of its packing."""
        undone = {"content-encoding", "content-length"}
        response.headers = Headers([field for field in response.headers.items() if field[0].lower() not in undone])
        decoding = ContentDecoder(codings, self._max_body_size)
        if sink is None:
            return _Current(response, DecodedBody(decoder, decoding), None)
        response.stream = DecodedStream(sink, decoding)
        return _Current(response, decoder, sink)

    def _whole(self, message: Response) -> Response:
        self._asked.popleft()
        if not self._asked and self._buffer:
            message.keep_alive = self.keep_alive = False  # rule 2
        return message

    def _repeat(self, known: Response, body: bytes, more: bool) -> Response | None:
        asked = self._asked
        if not asked or asked[0] is not _PLAINLY or self._interim:
            return None
        asked.popleft()
        self.keep_alive = not more or bool(asked)  # rule 2
        return Response(known.status, body, known.headers, known.reason, keep_alive=self.keep_alive)

    def end(self) -> Iterator[Response]:
        """The peer sends no more: give the response that ends like this, if there is one; it was the connection's last."""
        self.keep_alive = False
        for response in super().end():
            response.keep_alive = False
            yield response


class RequestReader(_Reader[Request]):
    """Cuts the bytes that a server receives into requests.

    Args:
        max_header_size: The longest head, in bytes.
        max_body_size: The longest body, in bytes; None for any.
        begun: See `sleepy.tcp.codec.Codec.request_reader`.
    """

    __slots__ = ("_begun",)

    def __init__(
        self,
        max_header_size: int,
        max_body_size: int | None,
        begun: Callable[[Request], Stream | None] | None = None,
    ) -> None:
        super().__init__(max_header_size, max_body_size)
        self._begun = begun

    @property
    def in_head(self) -> bool:
        """Whether a head has begun that is not whole yet."""
        return self._current is None and bool(self._buffer)

    def _read_head(self) -> _Current[Request] | None:
        while self._buffer.startswith(b"\r\n"):  # RFC 9112, section 2.2: empty lines before a request line are ignored
            del self._buffer[:2]
        groups = self._take_head(_REQUEST)
        if groups is None:
            return None
        head, method, target, version, block = groups
        url = target.decode("ascii")
        if method == b"CONNECT":
            raise RemoteProtocolError("CONNECT asks for a tunnel, and this is no proxy", status=501)
        control = Control(block, http10=version == b"0")
        if control.hosts != 1 and not (control.http10 and control.hosts == 0):
            raise RemoteProtocolError(f"{control.hosts} Host fields instead of one")  # RFC 9112, section 3.2
        if not _HOST.fullmatch(control.host):
            raise RemoteProtocolError(f"the Host field names no host: {control.host!r}")
        if not control.http10 and not control.expectations <= {b"100-continue"}:  # RFC 9110, section 10.1.1
            raise RemoteProtocolError(f"what the request expects is not known: {control.expectations}", status=417)
        try:
            request = Request.received(method.decode("ascii"), url, Headers.received(block))
        except LocalProtocolError as error:
            raise RemoteProtocolError(f"the target {url[:80]!r} is none: {error}") from None
        request.version = "HTTP/1.0" if control.http10 else "HTTP/1.1"
        request.keep_alive = self.keep_alive = control.keep_alive
        decoder = decoder_for(control, is_request=True, bodiless=False, limit=self._max_body_size)
        if not decoder.whole and self._begun is not None:
            stream = self._begun(request)
            if stream is not None:
                request.stream = stream
                return _Current(request, decoder, stream)
        if control.keep_alive and not control.http10:
            self._know(head, request, decoder)
        return _Current(request, decoder, None)

    def _repeat(self, known: Request, body: bytes, more: bool) -> Request:  # noqa: ARG002 -- requests come as they like
        return Request.received(known.method, known.url, known.headers, body)
