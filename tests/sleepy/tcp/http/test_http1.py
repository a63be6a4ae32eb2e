"""`sleepy.tcp.http.http1`: requests and answers as bytes, and back by its readers."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.tcp.errors import LocalProtocolError, RemoteProtocolError
from sleepy.tcp.http.http1 import Http1
from sleepy.tcp.http.messages import Headers, Request, Response
from tests.sleepy.tcp.http.readings import CODEC, GET, HEAD, POST, asked, cut, head, requests, responses

# What is sent


def test_a_request_as_bytes() -> None:
    assert CODEC.encode_request(Request("GET", "/a?b"), "c:80").data == head(
        "GET /a?b HTTP/1.1", "host: c:80", "user-agent: sleepy"
    )
    assert CODEC.encode_request(Request("POST", "/", {"X": "y"}, b"body"), "c").data == (
        head("POST / HTTP/1.1", "host: c", "user-agent: sleepy", "X: y", "content-length: 4") + b"body"
    )


def test_the_callers_fields_stand() -> None:
    sent = Request("POST", "/", [("Host", "d"), ("User-Agent", "me"), ("Content-Length", "1")], b"x")
    assert CODEC.encode_request(sent, "c").data == (
        head("POST / HTTP/1.1", "Host: d", "User-Agent: me", "Content-Length: 1") + b"x"
    )


def test_an_absolute_url_names_the_host() -> None:
    """RFC 9110, section 7.2."""
    assert (
        b"\r\nhost: example.org:81\r\n"
        in CODEC.encode_request(Request("GET", "http://example.org:81/"), "10.0.0.1:80").data
    )


def test_no_user_agent_if_none_is_wanted() -> None:
    assert Http1(user_agent="").encode_request(GET, "c").data == head("GET / HTTP/1.1", "host: c")


@pytest.mark.parametrize(
    ("method", "body", "told"),
    [
        ("GET", b"", False),
        ("HEAD", b"", False),
        ("OPTIONS", b"", False),
        ("GET", b"x", True),
        ("POST", b"", True),
        ("PUT", b"", True),
        ("DELETE", b"", True),
        ("PATCH", b"x", True),
    ],
)
def test_a_length_is_told_where_one_is_expected(method: str, body: bytes, told: bool) -> None:
    """RFC 9110, section 8.6: POST without a body says so; GET without one need not."""
    data = CODEC.encode_request(Request(method, "/", (), body), "c").data
    assert (f"content-length: {len(body)}".encode() in data) is told


@pytest.mark.parametrize(
    "request_",
    [
        Request("CONNECT", "/"),
        Request("POST", "/", {"Transfer-Encoding": "chunked"}, b"x"),
        Request("POST", "/", {"Content-Length": "2"}, b"x"),
        Request("GET", "/", {"Content-Length": "2"}),
        Request("POST", "/", [("Content-Length", "1"), ("content-length", "1")], b"x"),
        Request("POST", "/", {"Content-Length": "+1"}, b"x"),
        Request("POST", "/", {"Content-Length": ""}, b"x"),
    ],
)
def test_requests_that_would_lie_about_their_length_are_not_sent(request_: Request) -> None:
    with pytest.raises(LocalProtocolError):
        CODEC.encode_request(request_, "c")


def test_a_response_as_bytes() -> None:
    encode = CODEC.encode_answer
    assert encode(Response(200, b"hi", {"X": "y"}), GET, keep_alive=True) == (
        head("HTTP/1.1 200 OK", "X: y", "content-length: 2") + b"hi"
    )
    assert encode(Response(404), POST, keep_alive=False) == head(
        "HTTP/1.1 404 Not Found", "connection: close", "content-length: 0"
    )
    assert encode(Response(200, b"hi"), HEAD, keep_alive=True) == head("HTTP/1.1 200 OK", "content-length: 2")
    assert encode(Response(200, headers={"Content-Length": "9"}), HEAD, keep_alive=True) == head(
        "HTTP/1.1 200 OK", "Content-Length: 9"
    )
    assert encode(Response(204), GET, keep_alive=True) == head("HTTP/1.1 204 No Content")
    assert encode(Response(304, headers={"Content-Length": "9"}), GET, keep_alive=True) == head(
        "HTTP/1.1 304 Not Modified", "Content-Length: 9"
    )


def test_close_is_said_once() -> None:
    response = Response(200, headers={"Connection": "Close"})
    assert CODEC.encode_answer(response, GET, keep_alive=False).lower().count(b"close") == 1
    response = Response(200, headers={"Connection": "keep-alive"})
    assert b"connection: close\r\n" in CODEC.encode_answer(response, GET, keep_alive=False)


def test_an_answer_to_http_1_0_says_that_the_connection_is_kept() -> None:
    """Rule 4: and only if it is."""
    (request,) = requests(head("GET / HTTP/1.0", "connection: keep-alive"))
    kept, ended = (CODEC.encode_answer(Response(204), request, keep_alive=keep) for keep in (True, False))
    assert kept == head("HTTP/1.1 204 No Content", "connection: keep-alive")
    assert ended == head("HTTP/1.1 204 No Content", "connection: close")


def test_a_date_is_given_if_there_is_a_clock_and_no_date() -> None:
    """RFC 9110, sections 5.6.7 (the form, and its example) and 6.6.1."""
    now = 784111777.9
    assert CODEC.encode_answer(Response(204), GET, keep_alive=True, now=now) == head(
        "HTTP/1.1 204 No Content", "date: Sun, 06 Nov 1994 08:49:37 GMT"
    )
    assert b"08:49:38" in CODEC.encode_answer(Response(204), GET, keep_alive=True, now=now + 0.1)
    own = CODEC.encode_answer(Response(204, headers={"Date": "x"}), GET, keep_alive=True, now=now)
    assert own == head("HTTP/1.1 204 No Content", "Date: x")


@pytest.mark.parametrize(
    ("version", "fields", "waits"),
    [
        ("1.1", ["Expect: 100-Continue"], True),
        ("1.1", ["Expect: ,100-continue", "Expect: 100-continue"], True),
        ("1.1", ["Expect:"], False),
        ("1.1", [], False),
        ("1.0", ["Expect: 100-continue"], False),
        ("1.0", ["Expect: miracles"], False),
        ("1.1", ["Expect: miracles"], None),
        ("1.1", ["Expect: 100-continue, miracles"], None),
    ],
)
def test_who_waits_for_the_go_ahead(version: str, fields: list[str], waits: bool | None) -> None:
    """RFC 9110, section 10.1.1: other expectations are refused, and those of HTTP/1.0 ignored."""
    data = head(f"POST / HTTP/{version}", "host: x", "content-length: 1", *fields) + b"x"
    if waits is None:
        with pytest.raises(RemoteProtocolError) as refused:
            requests(data)
        assert refused.value.status == 417
    else:
        (request,) = requests(data)
        assert CODEC.go_ahead(request) == (b"HTTP/1.1 100 Continue\r\n\r\n" if waits else b"")


def test_a_reason_cannot_break_the_line() -> None:
    data = CODEC.encode_answer(Response(200, reason="a\r\nset-cookie: x\x00é"), GET, keep_alive=True)
    assert data.startswith(b"HTTP/1.1 200 a  set-cookie: x  \r\n")


@pytest.mark.parametrize(
    ("response", "request_"),
    [
        (Response(99), GET),
        (Response(100), GET),
        (Response(199), GET),
        (Response(600), GET),
        (Response(204, b"x"), GET),
        (Response(304, b"x"), GET),
        (Response(204, headers={"Content-Length": "0"}), GET),
        (Response(200, b"x", {"Content-Length": "2"}), GET),
        (Response(200, b"x", {"Transfer-Encoding": "chunked"}), GET),
        (Response(200, b"", {"Transfer-Encoding": "chunked"}), HEAD),
    ],
)
def test_responses_that_would_lie_about_their_length_are_not_sent(response: Response, request_: Request) -> None:
    with pytest.raises(LocalProtocolError):
        CODEC.encode_answer(response, request_, keep_alive=True)


# There and back

tokens = st.text("!#$%&'*+-.^_`|~0123456789abcXYZ", min_size=1, max_size=8)
visible = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#")
targets = st.text(visible, max_size=20).map(lambda path: f"/{path}")
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=12)
values = values.map(lambda value: "".join(char for char in value if not 0x80 <= ord(char) < 0xA1).strip(" \t"))
CONTROLS = {"content-length", "transfer-encoding", "connection", "host", "user-agent"}
fields = st.lists(st.tuples(tokens.filter(lambda name: name.lower() not in CONTROLS), values), max_size=5)
bodies = st.binary(max_size=50)
sendable = st.builds(Request, tokens.filter(lambda method: method != "CONNECT"), targets, fields, bodies)
answerable = st.builds(
    Response, st.integers(200, 599).filter(lambda status: status not in {204, 304}), bodies, fields, st.none()
)


def without(headers: Headers, *names: str) -> Headers:
    return Headers([(name, value) for name, value in headers.items() if name.lower() not in names])


@given(st.lists(sendable, max_size=4), st.data())
def test_requests_are_read_as_they_were_sent(sent: list[Request], data: st.DataObject) -> None:
    """Several on one connection, however the network cuts them."""
    stream = b"".join(CODEC.encode_request(request, "host:80").data for request in sent)
    read = requests(*data.draw(cut(stream)))
    assert [(r.method, r.target, r.body) for r in read] == [(r.method, r.target, r.body) for r in sent]
    for request, original in zip(read, sent, strict=True):
        assert without(request.headers, "host", "user-agent", "content-length") == original.headers
        assert request.headers["host"] == "host:80"
        assert request.keep_alive


@given(st.lists(st.tuples(answerable, st.sampled_from([GET, HEAD, POST])), max_size=4), st.data())
def test_responses_are_read_as_they_were_sent(sent: list[tuple[Response, Request]], data: st.DataObject) -> None:
    """Several on one connection, answers to HEAD among them (rule 1), however the network cuts them."""
    stream = b"".join(CODEC.encode_answer(response, request, keep_alive=True) for response, request in sent)
    reader = asked(*(request for _, request in sent))
    read = [response for piece in data.draw(cut(stream)) for response in reader.feed(piece)]
    assert len(read) == len(sent)
    assert reader.between_messages
    for response, (original, request) in zip(read, sent, strict=True):
        assert (response.status, response.reason) == (original.status, original.reason)
        assert response.body == (b"" if request is HEAD else original.body)
        assert response.headers["content-length"] == str(len(original.body))
        assert without(response.headers, "content-length") == original.headers
        assert response.keep_alive


# Trailers: fields behind a body in chunks


def with_trailers(message: Request | Response, trailers: Headers) -> Any:
    """A message whose stream sets its trailers with its last piece."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        message.trailers = trailers

    message.stream = pieces()
    return message


async def whole(head: bytes, body: AsyncIterator[bytes] | None) -> bytes:
    assert body is not None
    return head + b"".join([piece async for piece in body])


async def test_trailers_that_a_stream_has_found_out_follow_it_and_are_read() -> None:
    sums = Headers([("checksum", "42"), ("X-Took", "1 s")])
    request = with_trailers(Request("POST", "/"), sums)
    data = await whole(CODEC.encode_request(request, "c").data, CODEC.body_of(request))
    assert data.endswith(b"3\r\nabc\r\n0\r\nchecksum: 42\r\nX-Took: 1 s\r\n\r\n")
    (read,) = requests(data)
    assert (read.body, read.trailers) == (b"abc", sums)
    answer = with_trailers(Response(), sums)
    data = await whole(CODEC.encode_answer(answer, read, keep_alive=True), CODEC.body_of_answer(answer, read))
    (response,) = responses(data)
    assert (response.body, response.trailers) == (b"abc", sums)
