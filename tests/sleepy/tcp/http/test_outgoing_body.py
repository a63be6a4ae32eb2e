"""`sleepy.tcp.http.outgoing_body`: bodies that go out piece by piece."""

from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from sleepy.tcp.errors import LocalProtocolError
from sleepy.tcp.http.messages import Headers, Response
from sleepy.tcp.http.outgoing_body import as_it_is, in_one_piece, in_pieces, told_length


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


async def sent(body: AsyncGenerator[bytes, None], into: list[bytes] | None = None) -> list[bytes]:
    into = [] if into is None else into
    async for piece in body:
        into.append(piece)
    return into


async def test_pieces_go_in_chunks_and_an_empty_one_does_not_end_the_body() -> None:
    body = in_pieces(pieces(b"abc", b"", b"x" * 16), Response())
    assert await sent(body) == [b"3\r\nabc\r\n", b"10\r\n" + b"x" * 16 + b"\r\n", b"0\r\n\r\n"]


async def test_pieces_of_a_body_whose_length_was_told_go_as_they_are() -> None:
    assert await sent(in_pieces(pieces(b"abc", b"de"), Response(headers={"content-length": "5"}))) == [b"abc", b"de"]


@pytest.mark.parametrize(("length", "complaint"), [("6", "the stream has 5"), ("4", "the stream has more")])
async def test_a_body_is_held_to_the_length_that_was_told(length: str, complaint: str) -> None:
    """And not one byte beyond it is given to be sent."""
    body = in_pieces(pieces(b"abc", b"de", b"f" * (length == "4")), Response(headers={"content-length": length}))
    given: list[bytes] = []
    with pytest.raises(LocalProtocolError, match=complaint):
        await sent(body, given)
    assert sum(map(len, given)) <= int(length)


@pytest.mark.parametrize("told", [["1", "1"], ["+1"], ["\xb2"], [""]])
def test_what_is_no_length_is_not_sent_as_one(told: list[str]) -> None:
    with pytest.raises(LocalProtocolError, match="no length"):
        told_length(Headers([("content-length", value) for value in told]))


@pytest.mark.parametrize(
    ("headers", "trailers", "complaint"),
    [
        ({}, {"Content-Length": "3"}, "content-length: too late"),
        ({}, {"x": "y", "Transfer-Encoding": "chunked", "Host": "h"}, "host, transfer-encoding: too late"),
        ({"content-length": "3"}, {"x": "y"}, "in chunks only"),
    ],
)
async def test_trailers_that_nobody_would_heed_are_not_sent(
    headers: dict[str, str], trailers: dict[str, str], complaint: str
) -> None:
    """RFC 9110, section 6.5.1."""
    message = Response(headers=headers)
    message.trailers = Headers(trailers)
    with pytest.raises(LocalProtocolError, match=complaint):
        await sent(in_pieces(pieces(b"abc"), message))


async def test_what_needs_no_mark_goes_as_it_is() -> None:
    assert await sent(as_it_is(pieces(b"abc", b"", b"de"))) == [b"abc", b"", b"de"]
    assert await sent(in_one_piece(b"abc")) == [b"abc"]
