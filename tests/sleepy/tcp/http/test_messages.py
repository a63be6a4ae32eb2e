"""`sleepy.tcp.http.messages`: requests, responses and headers as values."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.tcp.errors import LocalProtocolError
from sleepy.tcp.http.messages import Headers, Request, Response, usual_reason

TOKEN_CHARS = "!#$%&'*+-.^_`|~0123456789abcXYZ"
names = st.text(TOKEN_CHARS, min_size=1, max_size=8)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=8).map(
    str.strip
)
values = values.filter(lambda value: not any(0x80 <= ord(char) < 0xA1 for char in value))
lines = st.lists(st.tuples(names, values), max_size=5)


# Headers


@given(lines)
def test_headers_come_back_as_they_were_sent(pairs: list[tuple[str, str]]) -> None:
    """What `raw` says is what `received` reads."""
    sent = Headers(pairs)
    received = Headers.received(sent.raw)
    assert received.items() == tuple((name, value.strip(" \t")) for name, value in pairs)
    assert received.raw == sent.raw


def test_names_ignore_case_and_values_do_not() -> None:
    headers = Headers([("Content-Type", "Text/HTML"), ("X-A", "1")])
    assert headers["content-type"] == headers["CONTENT-TYPE"] == "Text/HTML"
    assert "x-a" in headers
    assert "x-b" not in headers
    assert 5 not in headers
    with pytest.raises(KeyError, match="x-b"):
        headers["x-b"]


def test_lines_of_one_name_are_one_list() -> None:
    """RFC 9110, section 5.3."""
    headers = Headers([("Via", "a"), ("X", "y"), ("via", "b")])
    assert headers.get_all("VIA") == ["a", "b"]
    assert headers["via"] == headers.get("via") == "a, b"
    assert list(headers) == ["via", "x"]
    assert len(headers) == 3


def test_a_value_that_is_empty_is_there() -> None:
    headers = Headers([("x", "")])
    assert headers.get("x", "default") == headers["x"] == ""
    assert headers.get("y", "default") == "default"
    assert "x" in headers


def test_list_members() -> None:
    headers = Headers([("Connection", "Keep-Alive,\tUpgrade"), ("connection", "CLOSE")])
    assert headers.tokens("connection") == {"keep-alive", "upgrade", "close"}
    assert "close" not in Headers([("connection", "closed, not-close")]).tokens("connection")


def test_equal_headers_differ_at_most_in_the_case_of_names() -> None:
    one, two = Headers([("A", "x"), ("B", "y")]), Headers.received(b"a: x\r\nb:\ty \r\n")
    assert one == two
    assert hash(one) == hash(two)
    assert one != Headers([("B", "y"), ("A", "x")])
    assert one != Headers([("A", "X"), ("B", "y")])
    assert one != [("A", "x"), ("B", "y")]


def test_headers_show_themselves() -> None:
    assert repr(Headers({"a": "b"})) == "Headers([('a', 'b')])"


@pytest.mark.parametrize("name", ["", " ", "a b", "a:", "a\r\n", "a\r\nb", "ä", "(", "\x00", "a\t"])
def test_names_that_are_no_tokens_are_refused(name: str) -> None:
    with pytest.raises(LocalProtocolError, match="may not be sent"):
        Headers([(name, "x")])


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\n", "\r", "\x00", "\x1f", "\x7f", "€", "\u2028"])
def test_values_that_could_be_read_as_more_are_refused(value: str) -> None:
    """RFC 9110, section 5.5: a line break in a value would be a second field or a second message."""
    with pytest.raises(LocalProtocolError, match="may not be sent"):
        Headers({"x": value})


# Requests


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("/", "/", ""),
        ("/a/b?c=d&e", "/a/b?c=d&e", ""),
        ("/a#part", "/a", ""),
        ("/http://a/b", "/http:/a/b", ""),
        ("*", "*", ""),
        ("http://a", "/", "a"),
        ("http://a:80/", "/", "a"),
        ("HTTPS://a.example?q", "/?q", "a.example"),
        ("http://a/b?c#d?e", "/b?c", "a"),
        ("http://a#b", "/", "a"),
        ("http://[::1]:8000/x", "/x", "[::1]:8000"),
        ("http://a/b@c", "/b@c", "a"),
    ],
)
def test_what_a_url_says(url: str, target: str, authority: str) -> None:
    """RFC 9112, section 3.2: what stands in the request line and in the Host field."""
    request = Request("GET", url)
    assert (request.target, request.authority) == (target, authority)


@pytest.mark.parametrize("url", ["", "ftp://a/", "example.org:80", "/a\r\nx: y", "http://a b/", "/\x00"])
def test_fasthttp_41_urls_that_cannot_be_asked_for_are_refused(url: str) -> None:
    """fasthttp 41: what could begin a second request never leaves. All cases: test_url."""
    with pytest.raises(LocalProtocolError):
        Request("GET", url)


def test_a_path_is_normalized_unless_it_is_to_stay() -> None:
    assert Request("GET", "/a//b/../c d").target == "/a/c%20d"
    assert Request("GET", "/a//b/../c", normalize=False).target == "/a//b/../c"
    with pytest.raises(LocalProtocolError):
        Request("GET", "/a b", normalize=False)


def test_fasthttp_43_credentials_in_the_url_become_a_field() -> None:
    """fasthttp 43: user:pass@ is Basic auth; the URL that is kept, shown and sent has them no more."""
    request = Request("GET", "http://user:secret@example.org/x", {"a": "b"})
    assert request.headers == Headers({"a": "b", "authorization": "Basic dXNlcjpzZWNyZXQ="})
    assert (request.url, request.authority, request.target) == ("http://example.org/x", "example.org", "/x")
    assert "secret" not in repr(request)
    given = Request("GET", "http://user:secret@example.org/", {"Authorization": "Bearer x"})
    assert given.headers == Headers({"Authorization": "Bearer x"})


def test_a_received_request_is_as_it_came() -> None:
    assert Request.received("GET", "/a//b/..", Headers()).target == "/a//b/.."
    with pytest.raises(LocalProtocolError, match="credentials"):
        Request.received("GET", "http://user@example.org/", Headers())


def test_a_request_has_one_body() -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"x"

    body = stream()
    assert Request("POST", "/", stream=body).stream is body
    with pytest.raises(LocalProtocolError, match="not both"):
        Request("POST", "/", body=b"x", stream=body)


@pytest.mark.parametrize("method", ["", "GET ", "G T", "GET\r\n", "GÄT", "GET/"])
def test_methods_that_are_no_tokens_are_refused(method: str) -> None:
    with pytest.raises(LocalProtocolError, match="is not a method"):
        Request(method, "/")


def test_the_method_says_whether_twice_is_once_and_the_caller_knows_better() -> None:
    """RFC 9110, section 9.2.2."""
    for method in ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"):
        assert Request(method, "/").idempotent
        assert not Request(method, "/", idempotent=False).idempotent
    for method in ("POST", "PATCH", "get"):
        assert not Request(method, "/").idempotent
        assert Request(method, "/", idempotent=True).idempotent


def test_headers_may_be_given_in_any_shape() -> None:
    for headers in ([("a", "b")], (("a", "b"),), {"a": "b"}, Headers({"a": "b"})):
        assert Request("GET", "/", headers).headers == Response(headers=headers).headers == Headers({"a": "b"})


def test_what_is_of_the_wrong_type_is_refused_where_it_is_given() -> None:
    """Not where it is sent, and in words of what is wrong (compiled, in mypyc's)."""
    number: Any = 1
    text: Any = "text"
    with pytest.raises(TypeError, match=r"names and values are str|str\] object expected"):
        Headers({"a": number})
    with pytest.raises(TypeError, match=r"a body is bytes, not str|bytes object expected"):
        Request("POST", "/", (), text)


# Responses


def test_a_response_has_the_usual_reason_unless_it_is_given() -> None:
    assert Response().reason == "OK"
    assert Response(404).reason == "Not Found"
    assert Response(299).reason == usual_reason(299) == ""
    assert Response(200, reason="Fine").reason == "Fine"
    assert Response(200, reason="").reason == ""


def test_users_may_derive_from_them_and_note_things_there() -> None:
    """Compiled, too: there it must be allowed (`sleepy._mypyc`)."""

    class OwnHeaders(Headers):
        def get(self, name: str, default: str = "") -> str:
            return super().get(name, default).upper()

    class OwnRequest(Request):
        seen = False

    class OwnResponse(Response):
        seen = False

    assert (OwnHeaders({"a": "b"}).get("A"), OwnHeaders.received(b"a: b\r\n").get("a")) == ("B", "B")
    request, response = OwnRequest("GET", "/", OwnHeaders({"a": "b"})), OwnResponse(404)
    request.seen = response.seen = True
    assert (request.headers.get("a"), request.target, response.reason) == ("B", "/", "Not Found")
    assert OwnRequest.received("GET", "/", Headers()).seen is False
