"""HTTP/1.1 as bytes: requests and responses out, responses and requests in. No socket, no clock.

A message is a start line, fields (a line each), an empty line, and perhaps a body (RFC 9112, section 2.1):

    GET /search?q=1 HTTP/1.1          HTTP/1.1 200 OK
    host: example.org                 content-length: 5

                                      hello

Three rules make this safe on a connection that is used again:

1. Answers carry no number: they belong to the requests in the order in which these were sent. The reader of responses must
   therefore be told of every request (`ResponseReader.expect`), also because an answer to HEAD has no body.
2. Bytes that nobody asked for end the connection: they could only be taken for the answer to somebody's next request.
3. What is not surely a message is not one. The grammar is the RFC's without its leniencies: lines end in CR LF, no blanks
   before a colon, no folded lines, no control characters. What is refused here cannot be read in two ways.

A head is checked whole by one regular expression that never backtracks (``*+``), so that a hostile one costs no more than
a good one, and before anybody waits for its body.
"""

import re
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from sleepy.tcp.errors import LocalProtocolError, RemoteProtocolError
from sleepy.tcp.framing import BodyDecoder, Fields, decoder_for
from sleepy.tcp.messages import TOKEN, VALUE, Headers, Request, Response, is_url

_FIELDS = f"(?:{TOKEN}:{VALUE}\r\n)*+"
_RESPONSE = re.compile(f"HTTP/1\\.([01]) ([1-5][0-9][0-9])(?: ({VALUE}))?\r\n({_FIELDS})".encode("latin-1"))
_REQUEST = re.compile(f"({TOKEN}) ([\x21\x22\x24-\x7e]++) HTTP/1\\.([01])\r\n({_FIELDS})".encode("latin-1"))
# The fields that decide about the connection, wherever they stand in the block.
_CONTROL = re.compile(rb"^(content-length|transfer-encoding|connection|host):([^\r]*)", re.IGNORECASE | re.MULTILINE)
_MAX_INTERIM = 100  # answers with status 1xx before the real one


class Http1:
    """The codec: how a client and a server speak HTTP/1.1.

    Args:
        user_agent: Sent with requests that have no ``User-Agent`` (fasthttp: Name); empty to send none.
        max_header_size: The longest head read, in bytes (fasthttp: ReadBufferSize).
    """

    __slots__ = ("_agent", "_max_header_size")

    def __init__(self, *, user_agent: str = "sleepy", max_header_size: int = 65536) -> None:
        self._agent = Headers([("user-agent", user_agent)]).raw if user_agent else b""
        self._max_header_size = max_header_size

    def encode_request(self, request: Request, authority: str) -> bytes:
        """A request as bytes.

        Args:
            request: What is asked.
            authority: Host and port of the peer, for the ``Host`` field if the URL names none.

        Raises:
            LocalProtocolError: The request says something about its length that is not true, or cannot be sent yet
                (CONNECT, a transfer coding).
        """
        headers = request.headers
        if request.method == "CONNECT" or "transfer-encoding" in headers:
            raise LocalProtocolError(
                "neither CONNECT nor a Transfer-Encoding can be sent: give the whole body as bytes"
            )
        parts = [f"{request.method} {request.target} HTTP/1.1\r\n".encode("ascii")]
        if "host" not in headers:
            parts.append(f"host: {request.authority or authority}\r\n".encode("ascii"))
        if "user-agent" not in headers:
            parts.append(self._agent)
        parts += _with_length(headers, request.body, needed=request.method not in {"GET", "HEAD", "OPTIONS", "TRACE"})
        return b"".join(parts)

    def encode_response(self, response: Response, request: Request, *, keep_alive: bool) -> bytes:
        """A response as bytes.

        Args:
            response: What is answered.
            request: What was asked: its method decides whether a body follows.
            keep_alive: Whether another answer may follow on the connection.

        Raises:
            LocalProtocolError: The status is none, or the response says something about its length that is not true.
        """
        if not 200 <= response.status <= 599:
            raise LocalProtocolError(f"{response.status} is not the status of a final answer")
        headers = response.headers
        if "transfer-encoding" in headers:
            raise LocalProtocolError("a Transfer-Encoding cannot be sent: give the whole body as bytes")
        reason = "".join(char if "\x20" <= char <= "\x7e" else " " for char in response.reason)
        parts = [f"HTTP/1.1 {response.status} {reason}\r\n".encode("ascii")]
        if not keep_alive and "close" not in headers.tokens("connection"):
            parts.append(b"connection: close\r\n")
        if response.status in {204, 304}:
            if response.body or (response.status == 204 and "content-length" in headers):  # RFC 9110, section 8.6
                raise LocalProtocolError(f"an answer with status {response.status} has no body")
            parts += [headers.raw, b"\r\n"]
        elif request.method == "HEAD":
            length = b"" if "content-length" in headers else b"content-length: %d\r\n" % len(response.body)
            parts += [headers.raw, length, b"\r\n"]
        else:
            parts += _with_length(headers, response.body, needed=True)
        return b"".join(parts)

    def response_reader(self, max_body_size: int | None = None) -> "ResponseReader":
        """A reader for the client's side of one connection."""
        return ResponseReader(self._max_header_size, max_body_size)

    def request_reader(self, max_body_size: int | None = None) -> "RequestReader":
        """A reader for the server's side of one connection."""
        return RequestReader(self._max_header_size, max_body_size)


class _Message(Protocol):
    body: bytes


M = TypeVar("M", bound=_Message)


class _Reader(Generic[M]):
    """Cuts the bytes of one connection into messages.

    Args:
        max_header_size: The longest head, in bytes.
        max_body_size: The longest body, in bytes; None for any.
    """

    __slots__ = ("_buffer", "_current", "_max_body_size", "_max_header_size", "_scanned")

    def __init__(self, max_header_size: int, max_body_size: int | None) -> None:
        self._max_header_size = max_header_size
        self._max_body_size = max_body_size
        self._buffer = bytearray()
        self._scanned = 0  # bytes of the buffer in which no head ends
        self._current: tuple[M, BodyDecoder] | None = None  # the message whose body is being read

    @property
    def between_messages(self) -> bool:
        """Whether no part of a message has been read that is not whole yet."""
        return not self._buffer and self._current is None

    def feed(self, data: bytes) -> Iterator[M]:
        """Read more, and give the messages that become whole by it, in order.

        Raises:
            RemoteProtocolError: The peer sent something else, or more than allowed. It comes behind the messages that were
                whole before; the reader is of no more use.
        """
        self._buffer += data
        while self._current is not None or self._buffer:
            if self._current is None:
                self._current = self._read_head()
                if self._current is None:
                    return
            message, decoder = self._current
            body = decoder.take(self._buffer)
            if body is None:
                return
            yield self._whole(message, body)

    def end(self) -> Iterator[M]:
        """The peer sends no more: give the message that ends like this, if there is one."""
        if self._current is not None:
            message, decoder = self._current
            body = decoder.end()
            if body is not None:
                yield self._whole(message, body)

    def _whole(self, message: M, body: bytes) -> M:
        self._current = None
        message.body = body
        return message

    def _read_head(self) -> tuple[M, BodyDecoder] | None:
        raise NotImplementedError

    def _take_head(self, grammar: re.Pattern[bytes]) -> tuple[bytes, ...] | None:
        """Remove a head from the buffer and give the groups of its match; None if it is not all there."""
        end = self._buffer.find(b"\r\n\r\n", max(0, self._scanned - 3)) + 2
        least = len(self._buffer) - 1 if end < 2 else end  # if it is not all there, "\n\r\n" may be missing
        if least > self._max_header_size:
            raise RemoteProtocolError(f"a head of more than {self._max_header_size} bytes", status=431)
        if end < 2:
            self._scanned = len(self._buffer)
            return None
        match = grammar.fullmatch(self._buffer, 0, end)
        if match is None:
            raise RemoteProtocolError(f"{bytes(self._buffer[:80])!r} is not the head of a message")
        groups = tuple(bytes(group or b"") for group in match.groups())
        del self._buffer[: end + 2]
        self._scanned = 0
        return groups


class ResponseReader(_Reader[Response]):
    """Cuts the bytes that a client receives into responses."""

    __slots__ = ("_asked", "_interim")

    def __init__(self, max_header_size: int, max_body_size: int | None) -> None:
        super().__init__(max_header_size, max_body_size)
        self._asked: deque[str] = deque()  # the methods of the requests that wait for an answer
        self._interim = 0

    @property
    def between_messages(self) -> bool:
        """See `_Reader`; an interim answer is a part of the answer that it precedes."""
        return super().between_messages and not self._interim

    def expect(self, request: Request) -> None:
        """``request`` has been sent on this connection (rule 1)."""
        self._asked.append(request.method)

    # --8<-- [start:response-head]
    def _read_head(self) -> tuple[Response, BodyDecoder] | None:
        if not self._asked:
            raise RemoteProtocolError(f"{len(self._buffer)} bytes that nobody asked for")  # rule 2
        while (groups := self._take_head(_RESPONSE)) is not None:
            version, status, reason, block = groups
            if not 100 <= int(status) <= 199:
                break
            self._interim += 1  # RFC 9110, section 15.2: interim answers precede the real one
            if self._interim > _MAX_INTERIM or status == b"101":
                raise RemoteProtocolError("an upgrade that nobody asked for, or interim answers without end")
        else:
            return None
        self._interim = 0
        control = _Control(block, http10=version == b"0")
        headers = Headers.received(block)
        response = Response(int(status), b"", headers, reason.decode("latin-1"), keep_alive=control.keep_alive)
        bodiless = self._asked[0] == "HEAD" or response.status in {204, 304}
        decoder = decoder_for(
            control.fields, is_request=False, bodiless=bodiless, http10=control.http10, limit=self._max_body_size
        )
        return response, decoder

    # --8<-- [end:response-head]

    def _whole(self, message: Response, body: bytes) -> Response:
        self._asked.popleft()
        if not self._asked and self._buffer:
            message.keep_alive = False  # rule 2
        return super()._whole(message, body)

    def end(self) -> Iterator[Response]:
        """The peer sends no more: give the response that ends like this, if there is one; it was the connection's last."""
        for response in super().end():
            response.keep_alive = False
            yield response


class RequestReader(_Reader[Request]):
    """Cuts the bytes that a server receives into requests."""

    __slots__ = ()

    def _read_head(self) -> tuple[Request, BodyDecoder] | None:
        while self._buffer.startswith(b"\r\n"):  # RFC 9112, section 2.2: empty lines before a request line are ignored
            del self._buffer[:2]
        groups = self._take_head(_REQUEST)
        if groups is None:
            return None
        method, target, version, block = groups
        url = target.decode("ascii")
        if method == b"CONNECT":
            raise RemoteProtocolError("CONNECT asks for a tunnel, and this is no proxy", status=501)
        if not is_url(url):
            raise RemoteProtocolError(f"the target {url[:80]!r} is none")
        control = _Control(block, http10=version == b"0")
        if control.hosts != 1 and not (control.http10 and control.hosts == 0):
            raise RemoteProtocolError(f"{control.hosts} Host fields instead of one")  # RFC 9112, section 3.2
        request = Request(method.decode("ascii"), url, Headers.received(block))
        # To keep a connection with HTTP/1.0 one would have to say so in each answer: no longer worth a line.
        request.keep_alive = control.keep_alive and not control.http10
        decoder = decoder_for(
            control.fields, is_request=True, bodiless=False, http10=control.http10, limit=self._max_body_size
        )
        return request, decoder


class _Control:
    """What a head says about its connection and its body."""

    __slots__ = ("fields", "hosts", "http10", "keep_alive")

    def __init__(self, block: bytes, *, http10: bool) -> None:
        found: defaultdict[bytes, list[str]] = defaultdict(list)
        for name, value in _CONTROL.findall(block):
            found[name.lower()].append(value.decode("latin-1"))
        self.fields = Fields(found[b"content-length"], found[b"transfer-encoding"])
        self.hosts = len(found[b"host"])
        self.http10 = http10
        options = {option.strip(" \t").lower() for value in found[b"connection"] for option in value.split(",")}
        # RFC 9112, section 9.3: HTTP/1.1 persists unless told otherwise, HTTP/1.0 only when told.
        self.keep_alive = "close" not in options and (not http10 or "keep-alive" in options)


def _with_length(headers: Headers, body: bytes, *, needed: bool) -> list[bytes]:
    """Fields, end of head and body; with a Content-Length, unless it is there already or there is nothing to measure."""
    told = headers.get_all("content-length")
    if told and told != [str(len(body))]:
        raise LocalProtocolError(f"Content-Length says {', '.join(told)!r}, the body has {len(body)} bytes")
    length = b"content-length: %d\r\n" % len(body) if not told and (body or needed) else b""
    return [headers.raw, length, b"\r\n", body]
