"""`labs.analysis.messages` on messages whose places are known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.analysis.messages import cut


def response(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nX-Request: 7\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@given(st.lists(st.binary(max_size=60), min_size=1), st.data())
def test_every_whole_message_is_found_in_its_place(bodies: list[bytes], data: st.DataObject) -> None:
    """A body may hold anything, an empty line and a status line too."""
    wire = [response(b"\r\n\r\nHTTP/1.1 " + body) for body in bodies]
    stream = b"".join(wire)
    messages = cut(stream)
    assert [stream[message.start : message.end] for message in messages] == wire
    short = data.draw(st.integers(0, len(stream) - 1))
    assert cut(stream[:short]) == [message for message in messages if message.end <= short]


def test_a_request_without_a_body_ends_with_its_head() -> None:
    first, second = cut(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\nGET /b HTTP/1.1\r\n\r\n")
    assert (first.start, first.end, first.first_line, dict(first.headers)) == (0, 28, "GET /a HTTP/1.1", {"host": "x"})
    assert (second.start, second.end, second.first_line) == (28, 47, "GET /b HTTP/1.1")


def test_header_names_are_lower_case_and_values_stripped() -> None:
    (message,) = cut(response(b""))
    assert message.headers == {"x-request": "7", "content-length": "0"}


def test_what_is_not_http_is_refused_with_its_place() -> None:
    with pytest.raises(ValueError, match="byte 54 of the stream"):
        cut(response(b"12") + b"\x16\x03\x01 hello\r\n\r\n")


def test_a_body_without_a_known_length_is_refused() -> None:
    with pytest.raises(ValueError, match="chunked"):
        cut(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
