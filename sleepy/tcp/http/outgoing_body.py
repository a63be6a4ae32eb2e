"""A body that goes out piece by piece: in chunks, or held to the length that its head has told.

Whoever sends a body in pieces mostly does not know its length beforehand. So each piece goes out as a *chunk*, behind its
own length, and an empty chunk says that this was all; fields that were found out on the way may follow it (RFC 9112, section
7.1). If the length is known and was told in the head, the pieces go out as they are, and must come to just that: one byte
less, and the peer waits for ever; one more, and it is taken for the next message.
"""

from collections.abc import AsyncGenerator, AsyncIterable

from sleepy.tcp.errors import LocalProtocolError
from sleepy.tcp.http.messages import Headers, Request, Response

# RFC 9110, section 6.5.1: what is needed to read a message, or to decide about it, comes before its body.
_NOT_BEHIND = frozenset(
    {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "set-cookie",
        "trailer",
        "transfer-encoding",
    }
)


def told_length(headers: Headers) -> int | None:
    """What ``Content-Length`` says; None if there is none.

    Raises:
        LocalProtocolError: It says no length.
    """
    told = headers.get_all("content-length")
    if not told:
        return None
    if len(told) > 1 or not (told[0].isascii() and told[0].isdigit()):
        raise LocalProtocolError(f"Content-Length says {', '.join(told)!r}, which is no length")
    return int(told[0])


async def in_pieces(stream: AsyncIterable[bytes], message: Request | Response) -> AsyncGenerator[bytes, None]:
    """The pieces of a body as they go on the wire.

    Raises:
        LocalProtocolError: It has not the length that the head tells, or trailers that cannot be sent.
    """
    length = told_length(message.headers)
    sent = 0
    async for piece in stream:
        sent += len(piece)
        if length is None:
            if piece:  # an empty chunk would be the last one
                yield b"%x\r\n%b\r\n" % (len(piece), piece)
        elif sent > length:
            break
        else:
            yield piece
    if length is None:
        yield b"0\r\n%b\r\n" % _trailers(message.trailers)
    elif message.trailers:
        raise LocalProtocolError("trailers follow a body in chunks only, and this one has a Content-Length")
    elif sent != length:
        raise LocalProtocolError(
            f"Content-Length says {length}, the stream has {'more' if sent > length else sent} bytes"
        )


def _trailers(fields: Headers) -> bytes:
    """The fields behind a body (RFC 9110, section 6.5.1)."""
    forbidden = _NOT_BEHIND.intersection(fields)
    if forbidden:
        raise LocalProtocolError(f"{', '.join(sorted(forbidden))}: too late behind the body, where nobody heeds it")
    return fields.raw


async def as_it_is(stream: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """The pieces of a body whose end is that of the connection."""
    async for piece in stream:
        yield piece


async def in_one_piece(body: bytes) -> AsyncGenerator[bytes, None]:
    """A body that is there, but waits for a go-ahead."""
    yield body
