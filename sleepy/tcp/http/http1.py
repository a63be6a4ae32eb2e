"""HTTP/1.1 as a codec: requests and responses as bytes. `sleepy.tcp.http.http1_reader` reads them back. No socket, no clock.

A message is a start line, fields (a line each), an empty line, and perhaps a body (RFC 9112, section 2.1):

    GET /search?q=1 HTTP/1.1          HTTP/1.1 200 OK
    host: example.org                 content-length: 5

                                      hello

What is sent must be readable in one way only, by the strictest and by the laxest reader on the way:

1. A body of known length says its length, and only the true one. One that comes piece by piece is sent in chunks (RFC 9112,
   section 7.1), unless its sender knows the length and says so: then it is held to it.
2. Nothing a caller gives can end a line or a message: names, values, targets and reasons are checked or made harmless.
3. Answers to HEAD, and those with status 204 and 304, have no body (RFC 9110, section 6.4.1).
4. HTTP/1.1 keeps a connection unless one side says ``close``, HTTP/1.0 only if both say ``keep-alive`` (RFC 9112, section
   9.3). It knows no chunks: there, a body of unknown length ends with the connection.
"""

from collections.abc import AsyncGenerator, Callable
from email.utils import formatdate
from functools import lru_cache

from sleepy._mypyc import mypyc_attr
from sleepy.tcp.codec import Encoded, Stream
from sleepy.tcp.errors import LocalProtocolError, RemoteProtocolError
from sleepy.tcp.http.content_coding import ACCEPT_ENCODING
from sleepy.tcp.http.http1_reader import RequestReader, ResponseReader
from sleepy.tcp.http.messages import Headers, Request, Response
from sleepy.tcp.http.outgoing_body import as_it_is, in_one_piece, in_pieces, told_length
from sleepy.trace import Value

_NO_BODY_MEANT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110, section 8.6: no length if there is none

_MAX_KNOWN = 1024  # requests whose heads are kept
_UNREADABLE = Request("GET", "/")  # stands for a request that is none: its answer has a body


class _PlainHead:
    """A head without fields of the caller's: what it was made from, besides the target, and what it was made to."""

    __slots__ = ("authority", "encoded", "idempotent", "method")

    def __init__(self, method: str, authority: str, idempotent: bool, encoded: Encoded) -> None:
        self.method = method
        self.authority = authority
        self.idempotent = idempotent
        self.encoded = encoded


@mypyc_attr(allow_interpreted_subclasses=True)
class Http1:
    """How a client and a server speak HTTP/1.1; a `sleepy.tcp.codec.Codec`.

    Args:
        user_agent: Sent with requests that have no ``User-Agent`` (fasthttp: Name); empty to send none.
        max_header_size: The longest head read, in bytes (fasthttp: ReadBufferSize).
        decode_content: Offer to servers to pack what they answer (``Accept-Encoding``), and unpack what they have packed;
            see `sleepy.tcp.http.content_coding`. A limit on an answer's body then holds for both, packed and unpacked.
    """

    __slots__ = ("_agent", "_decode_content", "_max_header_size", "_offer", "_plain_heads")

    def __init__(
        self, *, user_agent: str = "sleepy", max_header_size: int = 65536, decode_content: bool = False
    ) -> None:
        self._agent = Headers([("user-agent", user_agent)]).raw if user_agent else b""
        self._max_header_size = max_header_size
        self._decode_content = decode_content
        self._offer = Headers([("accept-encoding", ACCEPT_ENCODING)]).raw if decode_content else b""
        # Heads without fields of the caller's, which are the most frequent, and hold no secrets, are kept as bytes: the last
        # of each target.
        self._plain_heads: dict[str, _PlainHead] = {}

    def encode_request(self, request: Request, authority: str) -> Encoded:
        """A request as bytes; it may not be sent twice if its body can be read only once.

        Args:
            request: What is asked.
            authority: Host and port of the peer, for the ``Host`` field if the URL names none.

        Raises:
            LocalProtocolError: The request says something about its length that is not true, or cannot be sent (CONNECT).
        """
        headers = request.headers
        if not headers.raw and not request.body and request.stream is None:
            authority = request.authority or authority
            known = self._plain_heads.get(request.target)
            if (
                known is not None
                and known.method == request.method
                and known.authority == authority
                and known.idempotent == request.idempotent
            ):
                return known.encoded
            return self._make_plain_head(request.method, request.target, authority, request.idempotent)
        _check_request(request)
        parts = [f"{request.method} {request.target} HTTP/1.1\r\n".encode("ascii")]
        if "host" not in headers:
            parts.append(f"host: {request.authority or authority}\r\n".encode("ascii"))
        if "user-agent" not in headers:
            parts.append(self._agent)
        if self._offer and "accept-encoding" not in headers and "range" not in headers:  # a part could not be unpacked
            parts.append(self._offer)
        if request.stream is not None:
            parts += _stream_fields(headers)
        else:
            parts += _with_length(headers, request.body, needed=request.method not in _NO_BODY_MEANT)
        body_waits = bool(request.body) and _expects_continue(request)
        if body_waits:
            parts.pop()  # it follows when the peer has said that it wants it
        streamed = request.stream is not None
        return Encoded(b"".join(parts), request.idempotent and not streamed, follows=streamed or body_waits)

    def body_of(self, request: Request) -> AsyncGenerator[bytes, None] | None:
        """What follows an encoded request, piece by piece; None if nothing does."""
        if request.stream is not None:
            return in_pieces(request.stream, request)
        return in_one_piece(request.body) if request.body and _expects_continue(request) else None

    def awaits_go_ahead(self, request: Request) -> bool:
        """Whether the body waits until the peer has said that it wants it (RFC 9110, section 10.1.1)."""
        return _expects_continue(request)

    def go_ahead(self, request: Request) -> bytes:
        """The interim answer for which a peer waits before it sends a body (RFC 9110, section 10.1.1)."""
        waits = request.version == "HTTP/1.1" and _expects_continue(request)
        return b"HTTP/1.1 100 Continue\r\n\r\n" if waits else b""

    def encode_answer(
        self, answer: Response, request: Request | None, *, keep_alive: bool, now: float | None = None
    ) -> bytes:
        """A response as bytes; without its body if that is to follow (see `body_of_answer`).

        Args:
            answer: What is answered.
            request: What was asked: its method decides whether a body follows. None if what came is no request.
            keep_alive: Whether another answer may follow on the connection.
            now: The time of day, in seconds since 1970, for ``Date`` (RFC 9110, section 6.6.1); None if there is no clock.

        Raises:
            LocalProtocolError: The status is none, or the response says something about its length that is not true.
        """
        request = request or _UNREADABLE
        headers = answer.headers
        named = headers if headers.raw else ()  # most answers have none, and need not be asked for each
        parts = [_status_line(answer.status, answer.reason)]
        if "transfer-encoding" in named:
            raise LocalProtocolError("a Transfer-Encoding is not for the handler to say: give a body or a stream")
        if now is not None and "date" not in named:
            parts.append(_date(int(now)))
        if not keep_alive and "close" not in headers.tokens("connection"):
            parts.append(b"connection: close\r\n")
        elif keep_alive and request.version == "HTTP/1.0":
            parts.append(b"connection: keep-alive\r\n")  # rule 4
        if answer.status in {204, 304}:
            if answer.body or answer.stream is not None or (answer.status == 204 and "content-length" in headers):
                raise LocalProtocolError(f"an answer with status {answer.status} has no body")  # RFC 9110, section 8.6
            parts += [headers.raw, b"\r\n"]
        elif answer.stream is not None:
            parts += _stream_fields(headers) if request.version != "HTTP/1.0" else [headers.raw, b"\r\n"]
        elif request.method == "HEAD":
            length = b"" if "content-length" in headers else b"content-length: %d\r\n" % len(answer.body)
            parts += [headers.raw, length, b"\r\n"]
        else:
            parts += _with_length(headers, answer.body, needed=True)
        return b"".join(parts)

    def body_of_answer(self, answer: Response, request: Request | None) -> AsyncGenerator[bytes, None] | None:
        """What follows an encoded answer, piece by piece; None if nothing does."""
        request = request or _UNREADABLE
        if answer.stream is None or request.method == "HEAD":
            return None
        if _ends_with_connection(answer, request):
            return as_it_is(answer.stream)
        return in_pieces(answer.stream, answer)

    def can_follow(self, answer: Response, request: Request | None) -> bool:
        """Whether the end of ``answer`` can be told without closing the connection, and nobody wants it closed."""
        return (
            answer.keep_alive
            and not _ends_with_connection(answer, request or _UNREADABLE)
            and not (answer.headers.raw and "close" in answer.headers.tokens("connection"))
        )

    def answer_to(self, error: Exception, request: Request | None) -> Response:
        """The status that names the peer's fault, or 500 if it was the handler's."""
        if request is None and isinstance(error, RemoteProtocolError):
            return Response(error.status, f"{error}\n".encode("ascii", "replace"), {"content-type": "text/plain"})
        return Response(500)

    def answer_reader(self, max_body_size: int | None = None) -> ResponseReader:
        """A reader for the client's side of one connection."""
        return ResponseReader(self._max_header_size, max_body_size, decode_content=self._decode_content)

    def request_reader(
        self, max_body_size: int | None = None, begun: Callable[[Request], Stream | None] | None = None
    ) -> RequestReader:
        """A reader for the server's side of one connection; see `sleepy.tcp.codec.Codec.request_reader`."""
        return RequestReader(self._max_header_size, max_body_size, begun)

    def describe(self, request: Request) -> str:
        """Its target."""
        return request.target

    def facts(self, answer: Response) -> dict[str, Value]:
        """Its status."""
        return {"status": answer.status}

    def _make_plain_head(self, method: str, target: str, authority: str, idempotent: bool) -> Encoded:
        if method == "CONNECT":
            raise LocalProtocolError("CONNECT asks for a tunnel, and these clients dig none")
        length = b"" if method in _NO_BODY_MEANT else b"content-length: 0\r\n"
        start = f"{method} {target} HTTP/1.1\r\nhost: {authority}\r\n".encode("ascii")
        encoded = Encoded(b"".join((start, self._agent, self._offer, length, b"\r\n")), idempotent)
        if len(self._plain_heads) >= _MAX_KNOWN:
            self._plain_heads.clear()
        self._plain_heads[target] = _PlainHead(method, authority, idempotent, encoded)
        return encoded


def _check_request(request: Request) -> None:
    if request.method == "CONNECT" or "transfer-encoding" in request.headers:
        raise LocalProtocolError(
            "neither CONNECT nor a Transfer-Encoding can be sent: give the body as bytes, or as a stream"
        )


@lru_cache(maxsize=256)
def _status_line(status: int, reason: str) -> bytes:
    if not 200 <= status <= 599:
        raise LocalProtocolError(f"{status} is not the status of a final answer")
    harmless = "".join(char if "\x20" <= char <= "\x7e" else " " for char in reason)
    return f"HTTP/1.1 {status} {harmless}\r\n".encode("ascii")


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return f"date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")


def _expects_continue(request: Request) -> bool:
    return "100-continue" in request.headers.tokens("expect")


def _ends_with_connection(answer: Response, request: Request) -> bool:
    """Whether nothing else tells the end of a body that comes piece by piece: HTTP/1.0 knows no chunks."""
    return answer.stream is not None and request.version == "HTTP/1.0" and "content-length" not in answer.headers


def _with_length(headers: Headers, body: bytes, *, needed: bool) -> list[bytes]:
    """Fields, end of head and body; with a Content-Length, unless it is there already or there is nothing to measure."""
    told = headers.get_all("content-length") if headers.raw else []
    if told and told != [str(len(body))]:
        raise LocalProtocolError(f"Content-Length says {', '.join(told)!r}, the body has {len(body)} bytes")
    length = b"content-length: %d\r\n" % len(body) if not told and (body or needed) else b""
    return [headers.raw, length, b"\r\n", body]


def _stream_fields(headers: Headers) -> list[bytes]:
    """Fields and end of head before a body that comes piece by piece."""
    told_length(headers)
    chunked = b"" if "content-length" in headers else b"transfer-encoding: chunked\r\n"
    return [headers.raw, chunked, b"\r\n"]
