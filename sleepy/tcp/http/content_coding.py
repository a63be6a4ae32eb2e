"""Undoing what a server did to a body to make it smaller: gzip, deflate, br, zstd. No socket, no clock.

A server may send a *coded* body if the request offers that (``Accept-Encoding``), and says so (``Content-Encoding``; RFC
9110, section 8.4). What comes out is what the body is about; the coding is no more than its packing. (A *transfer* coding,
such as chunked, belongs to the one connection; see `sleepy.tcp.http.framing`.)

A kilobyte can unpack to a gigabyte. So these rules:

1. **In steps.** A decoder is a generator: it unpacks some `STEP` bytes when somebody takes them, and waits. Whoever stops
   taking stops it. A body that is streamed never needs more than a step at a time, whatever is packed in it; of one that is
   wanted whole the limit is held against the unpacked size at every step.
2. **All or nothing.** A body is unpacked if each of its codings is known here; it is left alone, with its fields, if one is
   not. More than `MAX_CODINGS` on top of each other are nobody's honest doing.
3. **Whole or an error.** What ends before its end, is damaged, or goes on behind its end is an error: the checksum is there
   to be believed. Only nothing at all unpacks to nothing; some servers pack an empty body by leaving it out.
4. **Only what is installed is offered.** Python brings zlib; zstd since 3.14; the rest is found if it is there (the extras
   ``brotli`` and ``zstd``).

Two traps. A part of a body (status 206) is a part of the *packed* body (section 14.4): it cannot be unpacked, and is left
alone. And "deflate" means the zlib format (RFC 1950), but some servers send its inside (RFC 1951); the first byte tells.
"""

import zlib
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from importlib import import_module
from itertools import chain
from types import ModuleType
from typing import Any, Final, Protocol, Self

from sleepy.tcp.errors import BodyTooLarge, RemoteProtocolError
from sleepy.tcp.http.framing import BodyDecoder

STEP: Final = 65536  # bytes unpacked at a time, as near as the libraries can
MAX_CODINGS: Final = 5
_ZSTD_WINDOW_LOG: Final = 23  # RFC 9659: a decoder has to keep 8 MiB, and need not keep more


class Unpacker(Protocol):
    """Undoes one coding of one body.

    Attributes:
        whole: Whether all that has come is unpacked, and it may end here.
    """

    whole: bool

    def unpack(self, data: bytes) -> Iterator[bytes]:
        """What becomes known by ``data``, in steps.

        Raises:
            ValueError: This is not of that coding.
        """
        ...


class _Inflate:
    """What zlib can undo: gzip, and both kinds of deflate."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._inflate: Any = None  # made when the first byte is there; zlib does not tell its type
        self.whole = False

    def unpack(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self.whole and not self._gzip:
                raise ValueError("something follows its end")
            if self._inflate is None or self.whole:  # several gzip members in a row are one (RFC 1952, section 2.2)
                self._inflate = zlib.decompressobj(self._format(data[0]))
            while True:
                try:
                    piece = self._inflate.decompress(data, STEP)
                except zlib.error as error:
                    raise ValueError(str(error)) from None
                if piece:
                    yield piece
                data = self._inflate.unconsumed_tail
                if self._inflate.eof or not (data or len(piece) == STEP):
                    break
            self.whole = self._inflate.eof
            data = self._inflate.unused_data

    def _format(self, first: int) -> int:
        """What zlib calls the window's size, which says the format too."""
        if self._gzip:
            return 16 + zlib.MAX_WBITS
        return zlib.MAX_WBITS if first & 0x0F == 8 else -zlib.MAX_WBITS


class _Unbrotli:
    """What the package ``brotli`` can undo."""

    def __init__(self, brotli: ModuleType) -> None:
        self._decompressor: Any = brotli.Decompressor()
        self._error: type[Exception] = brotli.error
        self.whole = False

    def unpack(self, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                piece = self._decompressor.process(data, output_buffer_limit=STEP)
            except self._error as error:
                raise ValueError(str(error)) from None
            if not piece:
                break
            yield piece
            data = b""  # it has taken all of that, and may hold back some of what came out
        self.whole = self._decompressor.is_finished()


class _Unzstd:
    """What ``compression.zstd`` can undo, which is in Python since 3.14, or its backport."""

    def __init__(self, zstd: ModuleType) -> None:
        options = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
        self._new: Callable[[], Any] = lambda: zstd.ZstdDecompressor(options=options)
        self._decompressor = self._new()
        self._error: type[Exception] = zstd.ZstdError
        self.whole = False

    def unpack(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._decompressor.eof:  # several frames in a row are one body (RFC 8878, section 3.1)
                self._decompressor = self._new()
            while True:
                try:
                    piece = self._decompressor.decompress(data, STEP)
                except self._error as error:
                    raise ValueError(str(error)) from None
                if piece:
                    yield piece
                data = b""
                if self._decompressor.eof or self._decompressor.needs_input:
                    break
            self.whole = self._decompressor.eof
            data = self._decompressor.unused_data


def _find_codings() -> dict[str, Callable[[], Unpacker]]:
    """Rule 4; the names are those of RFC 9110, section 8.4.1, and of the registry that it opens."""
    codings: dict[str, Callable[[], Unpacker]] = {
        "gzip": lambda: _Inflate(gzip=True),
        "deflate": lambda: _Inflate(gzip=False),
    }
    brotli = _find("brotli")
    if brotli is not None:
        codings["br"] = lambda: _Unbrotli(brotli)
    zstd = _find("compression.zstd") or _find("backports.zstd")
    if zstd is not None:
        codings["zstd"] = lambda: _Unzstd(zstd)
    return codings


def _find(module: str) -> ModuleType | None:
    try:
        return import_module(module)
    except ImportError:
        return None


_CODINGS: Final = _find_codings()
_ALIASES: Final = {"x-gzip": "gzip"}  # RFC 9110, section 8.4.1.3
_NO_CODING: Final = frozenset({"", "identity"})
ACCEPT_ENCODING: Final = ", ".join(_CODINGS)


def codings_of(content_encoding: list[str]) -> list[str]:
    """The codings of a body, in the order in which they were applied, if all of them can be undone here (rule 2).

    Args:
        content_encoding: The values of the fields of that name.

    Returns:
        Their usual names; an empty list if there is nothing to undo, or something that is not known.

    Raises:
        RemoteProtocolError: There are more than anybody needs.
    """
    named = [name.strip(" \t").lower() for value in content_encoding for name in value.split(",")]
    codings = [_ALIASES.get(name, name) for name in named if name not in _NO_CODING]
    if len(codings) > MAX_CODINGS:
        raise RemoteProtocolError(f"a body of {len(codings)} codings on top of each other; {MAX_CODINGS} are the most")
    return codings if all(coding in _CODINGS for coding in codings) else []


# --8<-- [start:decoding]
class ContentDecoder:
    """Undoes the codings of one body.

    Args:
        codings: As `codings_of` gives them.
        limit: The longest body allowed, unpacked, in bytes; None for any.
    """

    def __init__(self, codings: list[str], limit: int | None) -> None:
        self._codings = ", ".join(codings)
        self._unpackers = [_CODINGS[coding]() for coding in reversed(codings)]  # the last applied is undone first
        self._limit = limit
        self._size = 0
        self._empty = True

    @property
    def whole(self) -> bool:
        """Whether it may end here (rule 3)."""
        return self._empty or all(unpacker.whole for unpacker in self._unpackers)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Unpack what becomes known by ``data``, step by step: each is done when it is asked for (rule 1).

        Raises:
            RemoteProtocolError: While iterating: this is not what the fields say.
            BodyTooLarge: While iterating: it is longer than allowed.
        """
        self._empty = self._empty and not data
        pieces: Iterable[bytes] = (data,)
        for unpacker in self._unpackers:
            pieces = chain.from_iterable(map(unpacker.unpack, pieces))
        try:
            for piece in pieces:
                self._size += len(piece)
                if self._limit is not None and self._size > self._limit:
                    raise BodyTooLarge(self._limit)
                yield piece
        except ValueError as error:
            raise RemoteProtocolError(f"the body is not {self._codings}, as Content-Encoding says: {error}") from None

    def end(self) -> None:
        """That was all of it.

        Raises:
            RemoteProtocolError: Its end is missing.
        """
        if not self.whole:
            raise RemoteProtocolError(f"the body ends before the end of what Content-Encoding says: {self._codings}")


# --8<-- [end:decoding]


class DecodedBody:
    """A body that is wanted whole, unpacked as it comes; a `sleepy.tcp.http.framing.BodyDecoder` over another."""

    def __init__(self, packed: BodyDecoder, decoder: ContentDecoder) -> None:
        self._packed = packed
        self._decoder = decoder
        self.whole = False
        self.trailers = b""

    def take(self, buffer: bytearray) -> bytes:
        """See `BodyDecoder.take`."""
        body = b"".join(self._decoder.feed(self._packed.take(buffer)))
        if self._packed.whole:
            self._decoder.end()
            self.whole, self.trailers = True, self._packed.trailers
        return body

    def may_end(self) -> bool:
        """See `BodyDecoder.may_end`; a packed body knows its end."""
        return self._packed.may_end() and self._decoder.whole


class DecodedStream:
    """A body that is streamed, unpacked as it is taken: an asynchronous iterator of bytes.

    Args:
        packed: The body as it comes.
        decoder: Undoes its codings.
    """

    def __init__(self, packed: AsyncIterable[bytes], decoder: ContentDecoder) -> None:
        self._packed = aiter(packed)
        self._decoder = decoder
        self._pieces: Iterator[bytes] = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while True:
            for piece in self._pieces:
                return piece
            try:
                data = await anext(self._packed)
            except StopAsyncIteration:
                self._decoder.end()
                raise
            self._pieces = self._decoder.feed(data)
