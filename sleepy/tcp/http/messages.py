"""Requests, responses and their headers, as values.

RFC 9110 in four sentences: a request names a method and a target; a response carries a status; both carry *fields* (header
lines) and perhaps a *body*. Field names ignore case. A name may come several times, and a list may be spread over those
lines: joined by commas they mean the same (section 5.3). How all this looks as bytes is `http1`'s business.

Most programs read two or three fields of a response, if any, so a received header block is kept as it came and cut into
lines when somebody looks.
"""

import re
from collections.abc import AsyncIterable, Iterator, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from sleepy._mypyc import mypyc_attr
from sleepy.tcp.errors import LocalProtocolError
from sleepy.tcp.http.url import parse_url

TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110, section 5.6.2
VALUE = r"[\t\x20-\x7e\x80-\xff]*"  # RFC 9110, section 5.5: no CR, LF, NUL or other controls
_TOKEN = re.compile(TOKEN)
_VALUE = re.compile(VALUE)

# RFC 9110, section 9.2.2: doing it twice is doing it once.
IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})

HeaderLines = Mapping[str, str] | list[tuple[str, str]] | tuple[tuple[str, str], ...]


@mypyc_attr(allow_interpreted_subclasses=True)
class Headers:
    """A header block: a multi-map from names, whatever their case, to values. It does not change.

    Args:
        lines: Names and values, in the order in which they are to be sent.

    Attributes:
        raw: The block as bytes, every line with its CR LF.

    Raises:
        LocalProtocolError: A name that is not a token, or a value with a line break or another control character: sent as
            it is, it could be read as a second field or a second message (RFC 9110, section 5.5).
        TypeError: A name or value that is no str.
    """

    __slots__ = ("_lines", "raw")
    _lines: tuple[tuple[str, str], ...] | None

    def __init__(self, lines: HeaderLines = ()) -> None:
        if not lines:
            self._lines, self.raw = (), b""
            return
        pairs = tuple(lines.items() if isinstance(lines, Mapping) else lines)
        self._lines = pairs
        for name, value in pairs:
            try:
                may_be_sent = _TOKEN.fullmatch(name) and _VALUE.fullmatch(value)
            except TypeError:
                raise TypeError(f"the field {name!r}: {value!r}: names and values are str") from None
            if not may_be_sent:
                raise LocalProtocolError(f"the field {name!r}: {value!r} has characters that may not be sent")
        self.raw = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in pairs)

    @classmethod
    def received(cls, raw: bytes) -> "Headers":
        """Keep a block of lines that was already found to be well-formed; each line ends in CR LF."""
        headers = cls()
        headers._lines, headers.raw = None, raw
        return headers

    def items(self) -> tuple[tuple[str, str], ...]:
        """Every line's name and value, in order."""
        if self._lines is None:
            lines = self.raw.decode("latin-1").split("\r\n")[:-1]
            cut = (line.partition(":") for line in lines)
            self._lines = tuple((name, value.strip(" \t")) for name, _, value in cut)
        return self._lines

    def get_all(self, name: str) -> list[str]:
        """The values of every line of that name, in order."""
        wanted = name.lower()
        return [value for name, value in self.items() if name.lower() == wanted]

    def get(self, name: str, default: str = "") -> str:
        """The values of that name, joined by a comma and a space; ``default`` if there are none."""
        values = self.get_all(name)
        return ", ".join(values) if values else default

    def tokens(self, name: str) -> set[str]:
        """The members of a list such as ``Connection: close, upgrade``, in lower case (RFC 9110, section 5.6.1)."""
        return {token.strip(" \t").lower() for token in self.get(name).split(",")}

    def __getitem__(self, name: str) -> str:
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_all(name))

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self.items()))

    def __len__(self) -> int:
        return len(self.items())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return _folded(self) == _folded(other)

    def __hash__(self) -> int:
        return hash(tuple(_folded(self)))

    def __repr__(self) -> str:
        return f"Headers({list(self.items())!r})"


def _folded(headers: Headers) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in headers.items()]


NO_HEADERS: Final = Headers()


def _as_headers(lines: "Headers | HeaderLines") -> Headers:
    return lines if isinstance(lines, Headers) else Headers(lines)


@mypyc_attr(allow_interpreted_subclasses=True)
class Request:
    """What is asked.

    Args:
        method: Such as ``GET``; upper and lower case differ.
        url: An absolute URL, or just path and query: ``/search?q=1``. Credentials in it become an ``Authorization`` field,
            unless there is one.
        headers: Fields to send. ``Host``, ``Content-Length`` and ``User-Agent`` are added unless they are here.
        body: Bytes to send after the header.
        stream: A body that comes piece by piece, instead of ``body``. It can be read only once, so such a request is never
            sent again.
        idempotent: Whether it may be sent again when it is not known whether the peer has executed it. By default its
            method decides (RFC 9110, section 9.2.2).
        normalize: Whether two ways to write a path become one (fasthttp: not DisablePathNormalizing);
            see `sleepy.tcp.http.url`.

    Attributes:
        target: Path and query, as they stand in the request line (RFC 9112, section 3.2.1), or ``*``.
        authority: Host and port that an absolute URL names; empty if the URL is only path and query.
        version: On a received request, ``HTTP/1.1`` or ``HTTP/1.0``.
        keep_alive: On a received request, whether the peer will send another on the same connection.
        trailers: The fields behind a body in chunks. They go out when a ``stream`` has ended, so they may be set until then.

    Raises:
        LocalProtocolError: The method is not a token, the URL cannot be asked for, or there are two bodies.
        TypeError: The body is not bytes.
    """

    stream: AsyncIterable[bytes] | None = None
    version = "HTTP/1.1"
    keep_alive = True

    def __init__(
        self,
        method: str,
        url: str,
        headers: Headers | HeaderLines = (),
        body: bytes = b"",
        *,
        stream: AsyncIterable[bytes] | None = None,
        idempotent: bool | None = None,
        normalize: bool = True,
    ) -> None:
        parsed = parse_url(url, normalize=normalize)
        self.method = _check_method(method)
        self.url = url
        self.target = parsed.target
        self.authority = parsed.authority
        self.headers = _as_headers(headers) if headers else NO_HEADERS
        self.body = body
        self.trailers = NO_HEADERS
        if parsed.auth is not None:
            self.url = str(parsed)
            if "authorization" not in self.headers:
                self.headers = Headers([*self.headers.items(), ("authorization", parsed.auth)])
        self.idempotent = method in IDEMPOTENT_METHODS if idempotent is None else idempotent
        if stream is not None:
            self.stream = stream
            if body:
                raise LocalProtocolError("a request has a body or a stream, not both")
        elif body:
            try:
                memoryview(body)
            except TypeError:
                raise TypeError(f"a body is bytes, not {type(body).__name__}; encode text: text.encode()") from None

    @classmethod
    def received(cls, method: str, url: str, headers: Headers, body: bytes = b"") -> "Request":
        """A request as a peer sent it: nothing is normalized, and credentials do not belong into its URL.

        Raises:
            LocalProtocolError: The URL is none, or has credentials (RFC 9110, section 4.2.4).
        """
        request = cls(method, url, headers, body, normalize=False)
        if request.url is not url:
            raise LocalProtocolError("credentials in the URL")
        return request

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.url}>"


_PLAIN: Final[dict[str, Request]] = {}
_MAX_PLAIN = 1024  # URLs


def plain_get(url: str) -> Request:
    """A request for a URL and nothing more, which is most of what is asked: made once, and not changed by anybody."""
    request = _PLAIN.get(url)
    if request is None:
        if len(_PLAIN) >= _MAX_PLAIN:
            _PLAIN.clear()
        request = _PLAIN[url] = Request("GET", url)
    return request


@mypyc_attr(allow_interpreted_subclasses=True)
class Response:
    """What is answered.

    Attributes:
        status: The status code, 100 to 599.
        body: The whole body, with any transfer coding undone; empty if it is streamed.
        stream: The body piece by piece, if it is streamed; None if it is not.
        headers: Its fields.
        reason: The phrase behind the status; the usual one unless given.
        keep_alive: Whether the connection may serve another request after this answer. A handler that sets it to False
            makes the server say ``Connection: close``.
        trailers: The fields behind a body in chunks. They go out when a ``stream`` has ended, so they may be set until then.
        version: On a received response, the version of HTTP that it came in: ``HTTP/1.1`` or ``HTTP/1.0``.
    """

    stream: AsyncIterable[bytes] | None = None
    version = "HTTP/1.1"

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        headers: Headers | HeaderLines = (),
        reason: str | None = None,
        *,
        stream: AsyncIterable[bytes] | None = None,
        keep_alive: bool = True,
    ) -> None:
        self.status = status
        self.body = body
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.reason = usual_reason(status) if reason is None else reason
        self.keep_alive = keep_alive
        self.trailers = NO_HEADERS
        if stream is not None:
            self.stream = stream

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}, {len(self.body)} bytes>"


@lru_cache(maxsize=64)
def _check_method(method: str) -> str:
    if not _TOKEN.fullmatch(method):
        raise LocalProtocolError(f"{method!r} is not a method")
    return method


@lru_cache(maxsize=600)
def usual_reason(status: int) -> str:
    """The phrase RFC 9110 gives a status code; empty if it has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
