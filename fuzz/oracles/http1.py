"""`sleepy.tcp` beside two HTTP/1.1 parsers that many rely on: h11, and llhttp (Node.js's, by way of httptools).

Parsers on one way that read the same bytes in two ways let requests be smuggled. So: whatever one of us takes for exactly
one message, the others must read the same (start line, fields, body, nothing left over), or there must be a reason in
`DIFFERENCES`. Each entry has an example, and the test suite checks that the difference is still there.

One kind needs no entry: when we refuse what others read, nothing is read in two ways by us; but a reason is still asked for,
because a message refused for no reason is a peer that cannot be talked to.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import h11
import httptools

from sleepy.tcp.errors import RemoteProtocolError
from sleepy.tcp.http.http1 import Http1
from sleepy.tcp.http.messages import Request, Response

CODEC = Http1()


class Message(NamedTuple):
    """What a parser has read."""

    start: tuple[Any, ...]  # method and target, or status
    fields: frozenset[tuple[bytes, bytes]]  # a set: h11 joins equal Content-Lengths, and order was proved elsewhere
    body: bytes


class Refused(Exception):
    """The parser takes it for no message, or not for exactly one."""


def folded(fields: Iterable[tuple[bytes, bytes]]) -> frozenset[tuple[bytes, bytes]]:
    """The fields with names in lower case; h11 does as much to the one value that ignores case."""
    return frozenset((n.lower(), v.lower() if n.lower() == b"transfer-encoding" else v) for n, v in fields)


def value_of(message: Request | Response) -> Message:
    """Our own messages, to be compared."""
    fields = folded([(name.encode(), value.encode("latin-1")) for name, value in message.headers.items()])
    if isinstance(message, Request):
        return Message((message.method.encode(), message.url.encode()), fields, message.body)
    return Message((message.status,), fields, message.body)


def by_sleepy(data: bytes, *, is_request: bool) -> Message:
    """Read by `sleepy.tcp`."""
    try:
        if is_request:
            requests = CODEC.request_reader()
            read: list[Any] = list(requests.feed(data))
            if not requests.between_messages:
                raise Refused(f"{len(read)} messages, and more to come")
        else:
            responses = CODEC.answer_reader()
            responses.expect(Request("GET", "/"))
            read = [*responses.feed(data), *responses.end()]
    except RemoteProtocolError as error:
        raise Refused(str(error)) from error
    if len(read) != 1:
        raise Refused(f"{len(read)} messages")
    return value_of(read[0])


def by_h11(data: bytes, *, is_request: bool) -> Message:
    """Read by h11."""
    parser = h11.Connection(h11.SERVER if is_request else h11.CLIENT, max_incomplete_event_size=1 << 20)
    start: tuple[Any, ...] = ()
    fields: frozenset[tuple[bytes, bytes]] = frozenset()
    body = b""
    try:
        if not is_request:
            parser.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
            parser.send(h11.EndOfMessage())
        parser.receive_data(data)
        ended = False
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA and not is_request and not ended:
                parser.receive_data(b"")
                ended = True
            elif isinstance(event, h11.Request):
                start, fields = (event.method, event.target), folded(event.headers)
            elif isinstance(event, h11.Response):
                start, fields = (event.status_code,), folded(event.headers)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            elif not isinstance(event, h11.InformationalResponse):
                raise Refused(f"unexpected {event!r}")
    except h11.ProtocolError as error:
        raise Refused(str(error)) from error
    rest = parser.trailing_data[0]
    if rest.replace(b"\r\n", b"") if is_request else rest:  # empty lines may come before the next request
        raise Refused(f"{rest!r} left over")
    return Message(start, fields, body)


class Listener:
    """Gathers what llhttp says."""

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.messages = 0
        self.in_trailers = False
        self.begun = 0
        self.parser: Any = None

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_trailers:
            self.fields.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.in_trailers = True

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        if isinstance(self.parser, httptools.HttpResponseParser) and 100 <= self.parser.get_status_code() <= 199:
            self.fields, self.in_trailers = [], False  # for llhttp an interim answer is a message too
            self.begun -= 1
        else:
            self.messages += 1


def by_llhttp(data: bytes, *, is_request: bool) -> Message:
    """Read by llhttp."""
    listener = Listener()
    parser: Any = (httptools.HttpRequestParser if is_request else httptools.HttpResponseParser)(listener)
    listener.parser = parser
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        raise Refused(repr(error)) from error
    lengths = {b"content-length", b"transfer-encoding"}
    until_close = (
        not is_request and listener.in_trailers and not lengths & {name.lower() for name, _ in listener.fields}
    )
    if listener.begun != 1 or (listener.messages != 1 and not until_close):
        raise Refused(f"{listener.messages} of {listener.begun} messages")
    start = (parser.get_method(), listener.url) if is_request else (parser.get_status_code(),)
    return Message(start, folded(listener.fields), listener.body)


OTHERS: dict[str, Callable[..., Message]] = {"h11": by_h11, "llhttp": by_llhttp}


class Difference(NamedTuple):
    """Why one of the others may read otherwise than we do.

    Attributes:
        who: The other parser.
        we_read: Whether it is we who read it, and they who refuse. Both reading it, but not alike, is never allowed.
        what: What it is about.
        shape: Occurs in the bytes.
        said: Occurs in the words with which the other, or we, refuse.
        why: The reason.
        example: A message of this kind; a response if it begins with ``HTTP``.
    """

    who: str
    we_read: bool
    what: str
    shape: re.Pattern[bytes]
    said: re.Pattern[str]
    why: str
    example: bytes


def _of(what: str, shape: bytes, why: str) -> Callable[..., Difference]:
    def difference(who: str, said: str, example: bytes, *, we_read: bool = False) -> Difference:
        return Difference(who, we_read, what, re.compile(shape, re.DOTALL), re.compile(said), why, example)

    return difference


_HOST = b"GET / HTTP/1.1\r\nhost: x\r\n"
_POST = b"POST / HTTP/1.1\r\nhost: x\r\n"
_CHUNKED = b"transfer-encoding: chunked\r\n"
_METHODS = b"GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH|TRACE"

_empty_line = _of(
    "an empty line before a request",
    rb"\A\r\n",
    "RFC 9112, section 2.2: a server should pass over it; h11 does not",
)
_method = _of(
    "a method that few know",
    rb"\A(?:\r\n)*+(?!(?:" + _METHODS + rb") )",
    "RFC 9110, section 9.1: any token is a method, and the handler says what it cannot do; llhttp has a list",
)
_equal_lengths = _of(
    "the same Content-Length twice",
    rb"(?i)content-length.*content-length",
    "RFC 9110, section 8.6: a recipient may take several equal ones for one; llhttp does not",
)
_upgrade = _of(
    "Upgrade",
    rb"(?i)\nupgrade:",
    "RFC 9110, section 7.8: a server may ignore it, and so do we; llhttp stops there for its caller to decide",
)
_bodiless = _of(
    "fields about length in an answer that has no body",
    rb"(?:\A|\n)HTTP/1\.[01] (?:1[0-9][0-9]|204|304)\b[^\n]*+\n(?:[^\r\n][^\n]*+\n)*?(?i:content-length|transfer-encoding):",
    "RFC 9112, section 6.3, rule 1: such an answer ends with its head, whatever its fields say; we do not look at them",
)
_extension = _of(
    "chunk extensions",
    rb"\n[0-9A-Fa-f]+[ \t]*;",
    "RFC 9112, section 7.1.1: they are to be ignored; for us they are any visible characters, llhttp checks their grammar",
)
_bare_lf = _of(
    "a line that ends in LF alone",
    rb"(?<!\r)\n",
    "RFC 9112, section 2.2: a recipient may take LF for an end of line; where one does and the next does not, a field or a "
    "chunk can be hidden, so we do not",
)
_fold = _of(
    "a folded line",
    rb"\n[ \t]",
    "RFC 9112, section 5.2: a server must refuse it (or unfold it); obsolete, and a way to hide a field",
)
_control = _of(
    "a control character",
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)",
    "RFC 9110, section 5.5 and RFC 9112, section 2.2: values have none, and a CR stands only before LF",
)
_early_end = _of(
    "empty lines before a response, or behind an interim one",
    rb"\A(?:HTTP/1\.[01] 1[^\n]*+\n(?:[^\r\n][^\n]*+\n)*+\r?\n)*[\r\n]",
    "RFC 9112, section 2.2 speaks of requests only: bytes before an answer are nobody's, and end the connection",
)
_late_end = _of(
    "empty lines behind an answer",
    rb"[\r\n]\Z",
    "RFC 9112, section 2.2 speaks of requests only; what comes behind the last answer was not asked for, and ends the "
    "connection",
)
_half_line = _of(
    "half an empty line behind a request",
    rb"[\r\n]\Z",
    "it may be the beginning of one, which we pass over when it is whole; llhttp passes over each half by itself",
)
_simple = _of(
    "a request line without a version",
    rb"\A(?:\r\n)*[A-Z]+ [^ \r\n]*\r?\n",
    "HTTP/0.9: RFC 9112 knows it no more, and its answer has no head",
)
_hosts = _of(
    "no Host, or several",
    rb"HTTP/1",
    "RFC 9112, section 3.2: a server must answer 400, or it could be taken for two sites; llhttp leaves that to its caller",
)
_host_value = _of(
    "a Host that is none",
    rb"(?i)\nhost:",
    "RFC 9112, section 3.2: a server must answer 400; h11 and llhttp leave it to their callers",
)
_fragment = _of(
    "a fragment in the target",
    rb"\A(?:\r\n)*[^ ]+ [^ ]*#",
    "RFC 9112, section 3.2: a target has none, and where it ends would be read in two ways",
)
_target = _of(
    "a target in none of the four forms",
    rb"\A(?:\r\n)*[^ ]+ (?!/|\* )",
    "RFC 9112, section 3.2; h11 leaves it to its caller, llhttp does so behind *",
)
_connect = _of(
    "CONNECT",
    rb"\A(?:\r\n)*CONNECT ",
    "RFC 9110, section 9.3.6: it is for proxies; we answer 501",
)
_coding = _of(
    "another transfer coding",
    rb"(?i)transfer-encoding:",
    "RFC 9112, section 6.1: chunked once and last; we undo no other, and of empty members in the list we take none",
)
_trailer = _of(
    "trailers that speak of length",
    rb"(?i)\n(?:content-length|transfer-encoding):",
    "RFC 9110, section 6.5.1: they may not, since nobody could believe them any more",
)
_chunk_blanks = _of(
    "blanks behind a chunk's size",
    rb"\n[0-9A-Fa-f]+[ \t]+\r?\n",
    "RFC 9112, section 7.1 has no place for them; llhttp and we refuse them, h11 is lenient",
)
_extension_blanks = _of(
    "blanks before a chunk's extension",
    rb"\n[0-9A-Fa-f]+[ \t]+;",
    "RFC 9112, section 7.1.1 has a place for them; h11 has none",
)
_tab_behind_chunked = _of(
    "a tab behind chunked",
    rb"(?i)transfer-encoding:[^\n]*\t[ \t]*\r\n",
    "RFC 9112, section 5: blanks around a value are not part of it; for llhttp a tab is, and the coding another",
)
_blanks = _of(
    "more than one blank in the request line",
    rb"\A[^\n]*  ",
    "RFC 9112, section 3 asks for one; some read the line otherwise, which is how they could be made to disagree",
)
_version = _of(
    "another version",
    rb"HTTP/(?!1\.[01]\r\n|1\.[01] )",
    "there are HTTP/1.0 and 1.1; RFC 9110, section 2.5 would have HTTP/1.2 read as 1.1, but nobody has ever sent one",
)
_status = _of(
    "a status that is none",
    rb"(?:\A|\n)HTTP/1\.[01] (?![1-5])",
    "RFC 9110, section 15: they are 100 to 599",
)
_last_interim = _of(
    "an interim answer of HTTP/1.0, or one that says close",
    rb"\AHTTP/1\.[01] 1[0-9][0-9]",
    "RFC 9110, section 15.2: the answer that it announces follows; for llhttp nothing may follow",
)
_expectation = _of(
    "another expectation than 100-continue",
    rb"(?i)\nexpect:",
    "RFC 9110, section 10.1.1: a server may answer 417 to one that it does not know; both others leave it to their callers",
)
_both_lengths = _of(
    "Transfer-Encoding beside Content-Length, or in HTTP/1.0",
    rb"(?i)transfer-encoding:",
    "RFC 9112, section 6.1: it ought to be handled as an error: it is how requests are smuggled",
)

DIFFERENCES = [
    _empty_line("h11", "no request line received", b"\r\n" + _HOST + b"\r\n", we_read=True),
    _method("llhttp", "ethod", b"BREW / HTTP/1.1\r\nhost: x\r\n\r\n", we_read=True),
    _equal_lengths("llhttp", "Content-Length", _POST + 2 * b"content-length: 1\r\n" + b"\r\nx", we_read=True),
    _upgrade("llhttp", "Upgrade", _HOST + b"upgrade: x\r\nconnection: upgrade\r\n\r\n", we_read=True),
    _bodiless("h11", "", b"HTTP/1.1 103 x\r\ncontent-length: x\r\n\r\nHTTP/1.1 204 x\r\n\r\n", we_read=True),
    _bodiless("llhttp", "", b"HTTP/1.1 304 Not Modified\r\ncontent-length: x\r\n\r\n", we_read=True),
    _extension("llhttp", "chunk", _POST + _CHUNKED + b"\r\n1;,\r\nx\r\n0\r\n\r\n", we_read=True),
    _extension_blanks("h11", "chunk header", _POST + _CHUNKED + b"\r\n1 ;a\r\nx\r\n0\r\n\r\n", we_read=True),
    _tab_behind_chunked("llhttp", "", _POST + b"transfer-encoding: chunked\t\r\n\r\n0\r\n\r\n", we_read=True),
    _last_interim("llhttp", "Data after", b"HTTP/1.0 100 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n", we_read=True),
    _bare_lf("h11", "not the head|more to come|0 messages|chunk's size|trailers", b"GET / HTTP/1.1\nhost: x\n\n"),
    _fold("h11", "not the head|trailers", _HOST + b"a: b\r\n c\r\n\r\n"),
    _control("h11", "not the head|chunk's size|trailers", _HOST + b"a: \x01\r\n\r\n"),
    _control("llhttp", "not the head", b"HTTP/1.1 204 \x01\r\n\r\n"),
    _early_end("llhttp", "not the head", b"\r\nHTTP/1.1 204 No Content\r\n\r\n"),
    _late_end("llhttp", "nobody asked for", b"HTTP/1.1 204 No Content\r\n\r\n\r\n"),
    _half_line("llhttp", "1 messages, and more", _HOST + b"\r\n\r"),
    _simple("llhttp", "not the head|more to come", b"GET /\r\n\r\n"),
    _hosts("llhttp", "Host fields", b"GET / HTTP/1.1\r\n\r\n"),
    _host_value("h11", "names no host", b"GET / HTTP/1.1\r\nhost: a/b\r\n\r\n"),
    _host_value("llhttp", "names no host", b"GET / HTTP/1.1\r\nhost: a/b\r\n\r\n"),
    _fragment("h11", "not the head", b"GET /#a HTTP/1.1\r\nhost: x\r\n\r\n"),
    _fragment("llhttp", "not the head", b"GET /#a HTTP/1.1\r\nhost: x\r\n\r\n"),
    _blanks("llhttp", "not the head", b"GET  / HTTP/1.1\r\nhost: x\r\n\r\n"),
    _version("h11", "not the head", b"GET / HTTP/1.2\r\nhost: x\r\n\r\n"),
    _version("llhttp", "not the head", b"HTTP/2.0 204 x\r\n\r\n"),
    _status("h11", "not the head", b"HTTP/1.1 600 x\r\n\r\n"),
    _status("llhttp", "not the head", b"HTTP/1.1 600 x\r\ncontent-length: 0\r\n\r\n"),
    _target("h11", "target", b"GET a HTTP/1.1\r\nhost: x\r\n\r\n"),
    _target("llhttp", "target", b"OPTIONS *a HTTP/1.1\r\nhost: x\r\n\r\n"),
    _connect("h11", "CONNECT", b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n"),
    _coding("llhttp", "transfer coding", b"HTTP/1.1 200 OK\r\ntransfer-encoding: , chunked\r\n\r\n0\r\n\r\n"),
    _trailer("h11", "trailers", _POST + _CHUNKED + b"\r\n0\r\ncontent-length: 1\r\n\r\n"),
    _trailer("llhttp", "trailers", b"HTTP/1.1 200 OK\r\n" + _CHUNKED + b"\r\n0\r\ntransfer-encoding: x\r\n\r\n"),
    _chunk_blanks("h11", "chunk's size", _POST + _CHUNKED + b"\r\n1 \r\nx\r\n0\r\n\r\n"),
    _expectation("h11", "expects is not known", _HOST + b"expect: x\r\n\r\n"),
    _expectation("llhttp", "expects is not known", _HOST + b"expect: x\r\n\r\n"),
    _both_lengths("llhttp", "in doubt", b"HTTP/1.0 200 x\r\n" + _CHUNKED + b"\r\n0\r\n\r\n"),
    _both_lengths("h11", "in doubt", _POST + _CHUNKED + b"content-length: 5\r\n\r\n0\r\n\r\n"),
]


def read(parser: Callable[..., Message], data: bytes, *, is_request: bool) -> Message | str:
    """What the parser reads, or why it refuses."""
    try:
        return parser(data, is_request=is_request)
    except Refused as refused:
        return str(refused)


def differences(who: str, data: bytes, ours: Message | str, theirs: Message | str) -> list[Difference]:
    """The reasons there are for the two to differ on these bytes."""
    if isinstance(ours, str) == isinstance(theirs, str):
        return []
    we_read, said = (True, theirs) if isinstance(theirs, str) else (False, ours)
    return [
        difference
        for difference in DIFFERENCES
        if difference.who == who
        and difference.we_read is we_read
        and difference.said.search(str(said))
        and difference.shape.search(data)
    ]


def compare(data: bytes, *, is_request: bool) -> bool:
    """Hold the others against us on ``data``; True if we take it for a message.

    Raises:
        AssertionError: They differ, and there is no reason for it.
    """
    ours = read(by_sleepy, data, is_request=is_request)
    for who, parser in OTHERS.items():
        theirs = read(parser, data, is_request=is_request)
        alike = ours == theirs or (isinstance(ours, str) and isinstance(theirs, str))
        if not alike and not differences(who, data, ours, theirs):
            raise AssertionError(f"{who} on {data!r}: {theirs!r}; we: {ours!r}")
    return isinstance(ours, Message)
