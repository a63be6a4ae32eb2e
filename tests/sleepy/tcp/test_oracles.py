"""`sleepy.tcp.http1` beside two parsers that many rely on: h11, and llhttp (by way of httptools).

Whatever we take for one whole message, they must read the same: same start line, same fields, same body, nothing left over.
If they refuse it, or read it otherwise, that must be for one of the reasons listed in `EXPLAINED`. What we refuse they may
read as they like: there is no second reading where there is no first.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import h11
import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepy.tcp.errors import RemoteProtocolError
from sleepy.tcp.http1 import Http1
from sleepy.tcp.messages import Request, Response

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


def by_sleepy(data: bytes, *, is_request: bool) -> Message:
    try:
        if is_request:
            read: list[Any] = list((requests := CODEC.request_reader()).feed(data))
            if not requests.between_messages:
                raise Refused("more to come")
        else:
            responses = CODEC.response_reader()
            responses.expect(Request("GET", "/"))
            read = [*responses.feed(data), *responses.end()]
    except RemoteProtocolError as error:
        raise Refused(str(error)) from error
    if len(read) != 1:
        raise Refused(f"{len(read)} messages")
    message: Request | Response = read[0]
    fields = folded([(name.encode(), value.encode("latin-1")) for name, value in message.headers.items()])
    if isinstance(message, Request):
        return Message((message.method.encode(), message.url.encode()), fields, message.body)
    return Message((message.status,), fields, message.body)


def by_h11(data: bytes, *, is_request: bool) -> Message:
    parser = h11.Connection(h11.SERVER if is_request else h11.CLIENT, max_incomplete_event_size=1 << 20)
    start: Any = None
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
            elif isinstance(event, h11.Request | h11.Response):
                start = (event.method, event.target) if isinstance(event, h11.Request) else (event.status_code,)
                fields = folded(event.headers)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                raise Refused(f"unexpected {event!r}")
    except h11.ProtocolError as error:
        raise Refused(str(error)) from error
    if parser.trailing_data[0].replace(
        b"\r\n", b"" if is_request else b"x"
    ):  # empty lines may come before the next request
        raise Refused(f"{parser.trailing_data[0]!r} left over")
    return Message(start, fields, body)


class Listener:
    """Gathers what llhttp says."""

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.messages = 0
        self.in_trailers = False

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
        self.messages += 1


def by_llhttp(data: bytes, *, is_request: bool) -> Message:
    listener = Listener()
    parser: Any = (httptools.HttpRequestParser if is_request else httptools.HttpResponseParser)(listener)
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        raise Refused(repr(error)) from error
    lengths = {b"content-length", b"transfer-encoding"}
    until_close = not is_request and not lengths & {name.lower() for name, _ in listener.fields}
    if listener.messages != 1 and not until_close:
        raise Refused(f"{listener.messages} messages")
    start = (parser.get_method(), listener.url) if is_request else (parser.get_status_code(),)
    return Message(start, folded(listener.fields), listener.body)


# Why they may differ from us on what we accept: the parser, what it says, and the reason.
EXPLAINED: list[tuple[Callable[..., Message], str, Callable[[bytes, Message], bool], str]] = [
    (
        by_h11,
        "no request line received",
        lambda data, _: data.startswith(b"\r\n"),
        "RFC 9112, section 2.2 asks servers to pass over empty lines before a request; h11 does not",
    ),
    (
        by_llhttp,
        "ethod",
        lambda _, message: message.start[0] not in {b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH"},
        "llhttp knows a list of methods; for us any token is one (RFC 9110, section 9.1)",
    ),
    (
        by_llhttp,
        "Content-Length",
        lambda data, _: data.lower().count(b"content-length") > 1,
        "several equal Content-Lengths are one (RFC 9112, section 6.3); llhttp refuses them",
    ),
    (
        by_llhttp,
        "Upgrade",
        lambda _, message: b"upgrade" in dict(message.fields),
        "llhttp stops to let its caller upgrade",
    ),
    *(
        (
            parser,
            "",
            lambda _, message: message.start[0] in {204, 304},
            "these have no body, whatever their fields say (RFC 9112, section 6.3), so we do not look at what they say",
        )
        for parser in (by_h11, by_llhttp)
    ),
    (
        by_llhttp,
        "chunk",
        lambda data, _: b";" in data,
        "llhttp checks the grammar of chunk extensions; for us they are visible characters, and are ignored",
    ),
]


def agree(data: bytes, *, is_request: bool) -> bool:
    """Hold the others against us on ``data``; True if we take it for a message."""
    try:
        ours = by_sleepy(data, is_request=is_request)
    except Refused:
        return False
    for parser in (by_h11, by_llhttp):
        try:
            theirs: object = parser(data, is_request=is_request)
        except Refused as refused:
            theirs = str(refused)
        if theirs != ours and not any(
            parser is who and isinstance(theirs, str) and what in theirs and applies(data, ours)
            for who, what, applies, _ in EXPLAINED
        ):
            raise AssertionError(f"{parser.__name__} reads {data!r} as {theirs!r}, we as {ours!r}")
    return True


REQUESTS = [
    b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    b"HEAD /a?b=c HTTP/1.1\r\nHost: x:80\r\naccept: */*\r\nvia: a\r\nVia: b\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET http://example.org:80/x HTTP/1.1\r\nhost: example.org\r\nconnection: close\r\n\r\n",
    b"GET /old HTTP/1.0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n12345",
    b"PUT / HTTP/1.1\r\nhost:x\r\nContent-Length:  5 \t\r\nx:\r\n\r\nab\r\nc",
    b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n0a\r\n0123456789\r\n0\r\n\r\n",
    b"PATCH / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nhost: x\r\n\r\n3;a=b\r\n1\r\n\r\n0\r\ntrailer: x\r\n\r\n",
    b"DELETE / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncookie: a=\xe9\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12345",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi",
    b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
    b"HTTP/1.1 404\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 500 \r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;x\r\na\r\n1\r\nb\r\n0\r\nt: u\r\n\r\n",
    b"HTTP/1.1 299 A reason\xe9\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 1\r\n\r\nx",
]

PIECES = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"\x00",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b"0",
    b"1",
    b"5",
    b";",
    b",",
    b"+",
    b"-",
]
PIECES += [
    b"\r\ncontent-length: 5",
    b"\r\ncontent-length: 3",
    b"\r\ntransfer-encoding: chunked",
    b", identity",
    b"x",
    b'"',
]
PIECES += [
    b"\r\nconnection: close",
    b"\r\nhost: x",
    b"\r\n ",
    b"chunked",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"HTTP/2.0",
    b"0x",
    b"#",
    b"@",
]
PIECES += [
    b"\r\nupgrade: x\r\nconnection: upgrade",
    b"\r\nexpect: 100-continue",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"=",
    b"/",
    b"%",
    b"\\",
]


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """A good message with up to four changes: something put in, taken out, replaced, or a line moved or doubled."""
    data = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        end = min(len(data), place + draw(st.integers(0, 6)))
        piece = draw(st.sampled_from(PIECES) | st.binary(min_size=1, max_size=2))
        change = draw(st.sampled_from(["insert", "delete", "replace", "double a line", "move a line"]))
        if change == "insert":
            data = data[:place] + piece + data[place:]
        elif change == "delete":
            data = data[:place] + data[end:]
        elif change == "replace":
            data = data[:place] + piece + data[end:]
        else:
            lines = data.split(b"\r\n")
            line = draw(st.integers(0, len(lines) - 1))
            to = draw(st.integers(0, len(lines)))
            lines.insert(to, lines[line] if change == "double a line" else lines.pop(line))
            data = b"\r\n".join(lines)
    return data


@pytest.mark.parametrize("data", REQUESTS)
def test_good_requests_are_read_alike(data: bytes) -> None:
    assert agree(data, is_request=True)


@pytest.mark.parametrize("data", RESPONSES)
def test_good_responses_are_read_alike(data: bytes) -> None:
    assert agree(data, is_request=False)


@settings(max_examples=1000)
@given(mutated(REQUESTS))
def test_requests_that_we_accept_are_read_alike(data: bytes) -> None:
    agree(data, is_request=True)


@settings(max_examples=1000)
@given(mutated(RESPONSES))
def test_responses_that_we_accept_are_read_alike(data: bytes) -> None:
    agree(data, is_request=False)


@pytest.mark.parametrize(
    ("data", "readers"),
    [
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", {by_h11}),
        (b"GET / HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n", {by_h11}),
        (b"GET / HTTP/1.1\nhost: x\n\n", {by_h11}),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n", {by_h11}),
        (b"GET / HTTP/1.1\r\n\r\n", {by_llhttp}),
        (b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", {by_llhttp}),
        (b"GET /#a HTTP/1.1\r\nhost: x\r\n\r\n", {by_h11, by_llhttp}),
        (b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n", {by_h11}),
    ],
)
def test_where_we_are_stricter(data: bytes, readers: set[Callable[..., Message]]) -> None:
    """The other way round, for the record: what one of them reads and we refuse."""
    with pytest.raises(Refused):
        by_sleepy(data, is_request=True)
    read = set()
    for parser in (by_h11, by_llhttp):
        try:
            parser(data, is_request=True)
            read.add(parser)
        except Refused:
            pass
    assert read == readers
