"""Readers of HTTP/1.1, fed with heads, pieces and single bytes."""

from itertools import pairwise

from hypothesis import strategies as st

from sleepy.tcp.http.http1 import Http1
from sleepy.tcp.http.http1_reader import ResponseReader
from sleepy.tcp.http.messages import Request, Response

CODEC = Http1()
GET, HEAD, POST = Request("GET", "/"), Request("HEAD", "/"), Request("POST", "/")


def requests(*pieces: bytes, codec: Http1 = CODEC, max_body_size: int | None = None) -> list[Request]:
    """The requests in a stream that comes in pieces."""
    reader = codec.request_reader(max_body_size)
    return [request for piece in pieces for request in reader.feed(piece)]


def asked(*asked: Request, max_body_size: int | None = None, codec: Http1 = CODEC) -> ResponseReader:
    """A reader of the responses to these requests."""
    reader = codec.answer_reader(max_body_size)
    for request in asked:
        reader.expect(request)
    return reader


def responses(data: bytes, *requests: Request) -> list[Response]:
    """The responses in a stream that ends."""
    reader = asked(*(requests or (GET,)))
    return [*reader.feed(data), *reader.end()]


def each_byte(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


def head(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The bytes, whole or byte by byte or cut anywhere."""
    places = draw(st.lists(st.integers(0, len(data)), max_size=6)) if draw(st.booleans()) else range(len(data) + 1)
    edges = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]
