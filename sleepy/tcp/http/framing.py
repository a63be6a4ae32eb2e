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

A decoder is shown the bytes behind the head and takes from their front what belongs to its body, as they come: what it has
given need not be kept, so that a body can be streamed.
"""

import re
from typing import Protocol

from sleepy.tcp.errors import BodyTooLarge, RemoteProtocolError
from sleepy.tcp.http.control import Control
from sleepy.tcp.http.messages import TOKEN, VALUE

_MAX_CHUNK_LINE = 4096  # bytes of one chunk's size and extensions
_MAX_TRAILERS = 16384  # bytes of all fields behind the last chunk
# Sixteen digits are more than any machine can hold. Extensions are checked for form and ignored (RFC 9112, section 7.1.1).
_CHUNK_LINE = re.compile(f"([0-9A-Fa-f]{{1,16}})(?:[ \t]*+;{VALUE})?".encode("latin-1"))
# A trailer that speaks of length has come too late to be believed by anybody.
_TRAILERS = re.compile(
    f"(?:(?!content-length:|transfer-encoding:){TOKEN}:{VALUE}\r\n)*+".encode("latin-1"), re.IGNORECASE
)


class BodyDecoder(Protocol):
    """Takes one body from a stream of bytes, as they come.

    Attributes:
        whole: Whether its end has been read.
        trailers: The fields behind it, every line with its CR LF; complete when it is whole.
    """

    whole: bool
    trailers: bytes

    def take(self, buffer: bytearray) -> bytes:
        """Remove from the front of ``buffer`` what is the body's, and give what it carries of the body itself.

        Raises:
            RemoteProtocolError: This is no body.
            BodyTooLarge: It is longer than allowed.
        """
        ...

    def may_end(self) -> bool:
        """Whether a body that is not whole may end here, with the connection."""
        ...


# --8<-- [start:framing]
def decoder_for(control: Control, *, is_request: bool, bodiless: bool, limit: int | None) -> BodyDecoder:
    """Choose by the rules above.

    Args:
        control: What the head says.
        is_request: Whose side rule 4 takes.
        bodiless: Whether rule 1 applies.
        limit: The longest body allowed, in bytes; None for any.

    Raises:
        RemoteProtocolError: The end could only be guessed.
        BodyTooLarge: The body says that it is longer than ``limit``.
    """
    if bodiless:
        return LengthDecoder(0)
    if control.transfer_encoding:
        if control.content_length or control.http10:
            raise RemoteProtocolError("Transfer-Encoding beside Content-Length or in HTTP/1.0: the end is in doubt")
        if [coding.strip(b" \t").lower() for coding in control.transfer_encoding] != [b"chunked"]:
            raise RemoteProtocolError(f"the transfer coding {control.transfer_encoding} is not known", status=501)
        return ChunkedDecoder(limit)
    if control.content_length:
        told = control.content_length
        length = told[0].strip(b" \t")
        agree = len(told) == 1 or {value.strip(b" \t") for value in told} == {length}
        if not (agree and length.isdigit() and len(length) < 20):
            raise RemoteProtocolError(f"{told} is not a length")
        size = int(length)
        _check(size, limit)
        return LengthDecoder(size)
    return LengthDecoder(0) if is_request else UntilCloseDecoder(limit)


# --8<-- [end:framing]


class LengthDecoder:
    """A body of known length (rule 3).

    Attributes:
        length: Its length, in bytes.
    """

    __slots__ = ("_left", "length", "trailers", "whole")

    def __init__(self, length: int) -> None:
        self.length = length
        self._left = length
        self.whole = length == 0
        self.trailers = b""

    def take(self, buffer: bytearray) -> bytes:
        """See `BodyDecoder.take`."""
        piece = bytes(buffer[: self._left])
        del buffer[: len(piece)]
        self._left -= len(piece)
        self.whole = self._left == 0
        return piece

    def may_end(self) -> bool:
        """See `BodyDecoder.may_end`."""
        return False


class UntilCloseDecoder:
    """A body that ends with the connection (rule 4)."""

    __slots__ = ("_limit", "_size", "trailers", "whole")

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._size = 0
        self.whole = False
        self.trailers = b""

    def take(self, buffer: bytearray) -> bytes:
        """See `BodyDecoder.take`."""
        self._size += len(buffer)
        _check(self._size, self._limit)
        piece = bytes(buffer)
        buffer.clear()
        return piece

    def may_end(self) -> bool:
        """See `BodyDecoder.may_end`."""
        return True


class ChunkedDecoder:
    """A body in pieces, each behind its size in hexadecimal (rule 2; RFC 9112, section 7.1)."""

    __slots__ = ("_in_trailers", "_left", "_limit", "_size", "trailers", "whole")

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._size = 0  # of the body, as far as it was announced
        self._left: int | None = None  # of the chunk that is being read; None while its line is not there
        self._in_trailers = False  # the chunk of size 0 was there
        self.whole = False
        self.trailers = b""

    def take(self, buffer: bytearray) -> bytes:
        """See `BodyDecoder.take`."""
        pieces: list[bytes] = []
        while not self._in_trailers:
            if self._left is None:
                line = _take_line(buffer, _MAX_CHUNK_LINE)
                if line is None:
                    return b"".join(pieces)
                self._begin_chunk(line)
            elif self._left:
                piece = bytes(buffer[: self._left])
                pieces.append(piece)
                del buffer[: len(piece)]
                self._left -= len(piece)
                if self._left:
                    return b"".join(pieces)
            elif len(buffer) < 2:
                return b"".join(pieces)
            elif not buffer.startswith(b"\r\n"):
                raise RemoteProtocolError("a chunk is longer than its size says")
            else:
                del buffer[:2]
                self._left = None
        self._take_trailers(buffer)
        return b"".join(pieces)

    def _begin_chunk(self, line: bytes) -> None:
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise RemoteProtocolError(f"{line[:40]!r} is not a chunk's size")
        self._left = int(match[1], 16)
        self._size += self._left
        _check(self._size, self._limit)
        self._in_trailers = self._left == 0

    def _take_trailers(self, buffer: bytearray) -> None:
        if buffer.startswith(b"\r\n"):  # there are none
            del buffer[:2]
            self.whole = True
            return
        end = buffer.find(b"\r\n\r\n", 0, _MAX_TRAILERS) + 2
        if end < 2:
            if len(buffer) > _MAX_TRAILERS:
                raise RemoteProtocolError(f"more than {_MAX_TRAILERS} bytes of trailers", status=431)
            return
        if not _TRAILERS.fullmatch(buffer, 0, end):
            raise RemoteProtocolError("malformed trailers")
        self.trailers = bytes(buffer[:end])
        self.whole = True
        del buffer[: end + 2]

    def may_end(self) -> bool:
        """See `BodyDecoder.may_end`."""
        return False


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
