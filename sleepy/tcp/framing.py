"""Where does a message's body end?

On a connection that is used again nothing matters more: read one byte too few, and the rest of this body is taken for the
next answer. Two parties that disagree on a body's end can be made to disagree on whose request is whose (*request
smuggling*), so this module knows only the unmistakable forms and refuses the rest.

The rules, in the order in which they apply (RFC 9112, section 6.3):

1. Answers to HEAD, and answers with status 1xx, 204 or 304, have no body, whatever their fields say.
2. ``Transfer-Encoding: chunked``: sizes precede the pieces, and a piece of size 0 is the last. Any other coding is refused:
   we could not undo it. So is ``Transfer-Encoding`` beside ``Content-Length`` or in HTTP/1.0 (section 6.1: somebody on the
   way may read it otherwise).
3. ``Content-Length``: decimal digits, once, or several times the same.
4. A request with neither has no body. A response with neither ends where the connection ends.

A decoder is shown the bytes behind the head and takes from their front what belongs to its body.
"""

import re
from typing import NamedTuple, Protocol

from sleepy.tcp.errors import BodyTooLarge, RemoteProtocolError
from sleepy.tcp.messages import TOKEN, VALUE

_MAX_CHUNK_LINE = 4096  # bytes of one chunk's size and extensions
_MAX_TRAILERS = 16384  # bytes of all fields behind the last chunk
# Sixteen digits are more than any machine can hold. Extensions are checked for form and ignored (RFC 9112, section 7.1.1).
_CHUNK_LINE = re.compile(f"([0-9A-Fa-f]{{1,16}})(?:[ \t]*+;{VALUE})?".encode("latin-1"))
# Trailers are checked for form and ignored; one that speaks of length has come too late to be believed by anybody.
_TRAILERS = re.compile(
    f"(?:(?!content-length:|transfer-encoding:){TOKEN}:{VALUE}\r\n)*+".encode("latin-1"), re.IGNORECASE
)


class BodyDecoder(Protocol):
    """Takes one body from a stream of bytes, as they come."""

    def take(self, buffer: bytearray) -> bytes | None:
        """Remove from the front of ``buffer`` what is the body's; give the body once it is whole, None until then.

        Raises:
            RemoteProtocolError: This is no body.
            BodyTooLarge: It is longer than allowed.
        """
        ...

    def end(self) -> bytes | None:
        """The peer sends no more: the body, if it may end like this, else None."""
        ...


class Fields(NamedTuple):
    """The two fields that speak of length: the values of each line of that name."""

    content_length: list[str]
    transfer_encoding: list[str]


# --8<-- [start:framing]
def decoder_for(fields: Fields, *, is_request: bool, bodiless: bool, http10: bool, limit: int | None) -> BodyDecoder:
    """Choose by the rules above.

    Args:
        fields: What the head says about length.
        is_request: Whose side rule 4 takes.
        bodiless: Whether rule 1 applies.
        http10: Whether the message is of HTTP/1.0.
        limit: The longest body allowed, in bytes; None for any.

    Raises:
        RemoteProtocolError: The end could only be guessed.
        BodyTooLarge: The body says that it is longer than ``limit``.
    """
    if bodiless:
        return LengthDecoder(0)
    if fields.transfer_encoding:
        if fields.content_length or http10:
            raise RemoteProtocolError("Transfer-Encoding beside Content-Length or in HTTP/1.0: the end is in doubt")
        if [coding.strip(" \t").lower() for coding in fields.transfer_encoding] != ["chunked"]:
            raise RemoteProtocolError(f"the transfer coding {fields.transfer_encoding} is not known", status=501)
        return ChunkedDecoder(limit)
    if fields.content_length:
        lengths = {value.strip(" \t") for value in fields.content_length}
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdigit() and len(length) < 20):
            raise RemoteProtocolError(f"{fields.content_length} is not a length")
        _check(int(length), limit)
        return LengthDecoder(int(length))
    return LengthDecoder(0) if is_request else UntilCloseDecoder(limit)


# --8<-- [end:framing]


class LengthDecoder:
    """A body of known length (rule 3)."""

    __slots__ = ("_length",)

    def __init__(self, length: int) -> None:
        self._length = length

    def take(self, buffer: bytearray) -> bytes | None:
        """See `BodyDecoder.take`."""
        if len(buffer) < self._length:
            return None
        body = bytes(buffer[: self._length])
        del buffer[: self._length]
        return body

    def end(self) -> None:
        """The body was cut short."""


class UntilCloseDecoder:
    """A body that ends with the connection (rule 4)."""

    __slots__ = ("_body", "_limit")

    def __init__(self, limit: int | None) -> None:
        self._body = bytearray()
        self._limit = limit

    def take(self, buffer: bytearray) -> None:
        """See `BodyDecoder.take`."""
        _check(len(self._body) + len(buffer), self._limit)
        self._body += buffer
        buffer.clear()

    def end(self) -> bytes:
        """This is how it ends."""
        return bytes(self._body)


class ChunkedDecoder:
    """A body in pieces, each behind its size in hexadecimal (rule 2; RFC 9112, section 7.1)."""

    __slots__ = ("_body", "_last", "_limit", "_size")

    def __init__(self, limit: int | None) -> None:
        self._body = bytearray()
        self._limit = limit
        self._size: int | None = None  # of the chunk that comes next; None while its line is not there
        self._last = False  # the chunk of size 0 was there; trailers come next

    def take(self, buffer: bytearray) -> bytes | None:
        """See `BodyDecoder.take`."""
        while not self._last:
            if self._size is None:
                line = _take_line(buffer, _MAX_CHUNK_LINE)
                if line is None:
                    return None
                match = _CHUNK_LINE.fullmatch(line)
                if match is None:
                    raise RemoteProtocolError(f"{line[:40]!r} is not a chunk's size")
                self._size = int(match[1], 16)
                _check(len(self._body) + self._size, self._limit)
                self._last = self._size == 0
            elif len(buffer) < self._size + 2:
                return None
            else:
                if not buffer.startswith(b"\r\n", self._size):
                    raise RemoteProtocolError("a chunk is longer than its size says")
                self._body += buffer[: self._size]
                del buffer[: self._size + 2]
                self._size = None
        return self._take_trailers(buffer)

    def _take_trailers(self, buffer: bytearray) -> bytes | None:
        if buffer.startswith(b"\r\n"):  # there are none
            del buffer[:2]
            return bytes(self._body)
        end = buffer.find(b"\r\n\r\n", 0, _MAX_TRAILERS) + 2
        if end < 2:
            if len(buffer) > _MAX_TRAILERS:
                raise RemoteProtocolError(f"more than {_MAX_TRAILERS} bytes of trailers", status=431)
            return None
        if not _TRAILERS.fullmatch(buffer, 0, end):
            raise RemoteProtocolError("malformed trailers")
        del buffer[: end + 2]
        return bytes(self._body)

    def end(self) -> None:
        """The body was cut short."""


def _take_line(buffer: bytearray, limit: int) -> bytes | None:
    end = buffer.find(b"\r\n", 0, limit)
    if end < 0:
        if len(buffer) > limit:
            raise RemoteProtocolError(f"a line of more than {limit} bytes")
        return None
    line = bytes(buffer[:end])
    del buffer[: end + 2]
    return line


def _check(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise BodyTooLarge(limit)
