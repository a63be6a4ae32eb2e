"""How requests and answers look on the wire, and how a peer can lie in each protocol.

A dialect is raw bytes on the peer's side, written without the code under test, and the watched codec on the client's.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple, Protocol

from sleepy.tcp import Http1, Request
from sleepy.tcp.frames import Frames
from tests.sleepy.tcp.campaign.ledger import NOBODY, Ledger, Watch

Refuse = Callable[[], bool]
Say = Callable[[bytes], object]


class Asked(NamedTuple):
    """A request, as a peer has read it.

    Attributes:
        id: The request's id.
        method: In HTTP its method.
        call: In multiplexing the id of the call.
        whole: Whether its body has been read, too.
    """

    id: int
    method: str = "GET"
    call: int = 0
    whole: bool = True


class Lie(NamedTuple):
    """What a peer does instead of answering.

    Attributes:
        data: What it sends.
        close: Whether it closes then; else it goes on as if nothing was.
    """

    data: bytes
    close: bool = False


class Dialect(Protocol):
    """A protocol, in the mouth of a peer."""

    @property
    def lies(self) -> tuple[str, ...]:
        """How it can lie, or be odd (`TRUE_ODDITIES`)."""
        ...

    async def read(self, reader: asyncio.StreamReader, refuse: Refuse, go_ahead: Say) -> Asked:
        """The next request; its body stays unread if ``refuse`` says so, else it is asked for by ``go_ahead``."""
        ...

    def answer(self, token: bytes, body: bytes, asked: Asked) -> bytes:
        """An honest answer."""
        ...

    def lie(self, kind: str, token: bytes, body: bytes, asked: Asked, random: Random) -> Lie:
        """One of `lies`."""
        ...


class Http:
    """HTTP/1.1. The id is in the target, the token is the reason phrase."""

    lies = (
        "short length", "long length", "garbage", "farewell", "until close", "interim", "interim flood", "endless head",
        "bad chunk", "chunked", "two lengths", "early hints", "http/1.0",
    )  # fmt: skip

    async def read(self, reader: asyncio.StreamReader, refuse: Refuse, go_ahead: Say) -> Asked:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target = head.decode().split(" ")[:2]
        asked = Asked(int(target.rsplit("/", 1)[1]), method)
        fields = head.lower()
        if (b"content-length: 0\r\n" not in fields and b"\r\ncontent-length:" in fields) or b"chunked" in fields:
            if refuse():
                return asked._replace(whole=False)
            if b"expect:" in fields:
                go_ahead(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self._read_body(reader, fields)
        return asked

    async def _read_body(self, reader: asyncio.StreamReader, fields: bytes) -> None:
        if b"chunked" not in fields:
            await reader.readexactly(int(fields.partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0]))
            return
        while True:
            size = int(await reader.readuntil(b"\r\n"), 16)
            await reader.readexactly(size + 2)
            if not size:
                return

    def answer(self, token: bytes, body: bytes, asked: Asked) -> bytes:
        length = b"content-length: %d" % len(body)
        return _response(token, length, b"" if asked.method == "HEAD" else body)

    def lie(self, kind: str, token: bytes, body: bytes, asked: Asked, random: Random) -> Lie:
        if asked.method == "HEAD" and kind not in {"garbage", "interim", "early hints", "interim flood", "farewell"}:
            return Lie(self.answer(token, body, asked))  # the others need a body to lie with
        length = b"content-length: %d" % len(body)
        match kind:
            case "short length":
                return Lie(_response(token, b"content-length: %d" % (len(body) // 2), body))
            case "long length":
                return Lie(_response(token, b"content-length: %d" % (len(body) + 50), body), random.random() < 0.5)
            case "garbage":
                return Lie(random.randbytes(40))
            case "farewell":
                return Lie(_response(token, length + b"\r\nconnection: close", self._body(body, asked)), close=True)
            case "until close":
                return Lie(_response(token, b"x: y", body), close=True)
            case "interim":
                return Lie(b"HTTP/1.1 102 Processing\r\n\r\n" * 5 + self.answer(token, body, asked))
            case "early hints":
                return Lie(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + self.answer(token, body, asked))
            case "interim flood":
                return Lie(b"HTTP/1.1 102 Processing\r\n\r\n" * 2000 + self.answer(token, body, asked))
            case "endless head":
                return Lie(b"HTTP/1.1 200 %b\r\nx: " % token + b"y" * 200_000)
            case "bad chunk":
                return Lie(_response(token, b"transfer-encoding: chunked", b"5\r\nhello\r\nzz\r\n"))
            case "chunked":
                chunks = b"%x;why=not\r\n%b\r\n0\r\nlast: one\r\n\r\n" % (len(body), body)
                return Lie(_response(token, b"transfer-encoding: chunked", chunks))
            case "two lengths":
                return Lie(_response(token, length + b"\r\ncontent-length: 3", body))
            case _:  # "http/1.0"
                data = _response(token, length, body).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
                return Lie(data, close=True)

    def _body(self, body: bytes, asked: Asked) -> bytes:
        return b"" if asked.method == "HEAD" else body


def _response(token: bytes, fields: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 200 %b\r\n%b\r\n\r\n%b" % (token, fields, body)


TRUE_ODDITIES = frozenset(
    {"farewell", "until close", "interim", "early hints", "chunked", "http/1.0"}
)  # odd, but no lies


class Framed:
    """Frames. The id is the payload's first word, the token the answer's."""

    lies = ("huge length", "long length", "short length", "garbage")

    async def read(self, reader: asyncio.StreamReader, refuse: Refuse, go_ahead: Say) -> Asked:
        payload = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
        return Asked(int(payload.split()[0]))

    def answer(self, token: bytes, body: bytes, asked: Asked) -> bytes:
        return _frame(token + body)

    def lie(self, kind: str, token: bytes, body: bytes, asked: Asked, random: Random) -> Lie:
        data = self.answer(token, body, asked)
        size = int.from_bytes(data[:4], "big")
        match kind:
            case "huge length":
                return Lie(b"\xff\xff\xff\xff" + data[4:])
            case "long length":
                return Lie((size + 7).to_bytes(4, "big") + data[4:], random.random() < 0.5)
            case "short length":
                return Lie((size - min(len(body), 7)).to_bytes(4, "big") + data[4:])
            case _:  # "garbage"
                return Lie(b"\xfe" + random.randbytes(40))


class Multiplexed:
    """Frames with ids of calls; see `sleepy.tcp.multiplex` for the format."""

    lies = ("unknown id", "bad kind", "error", "huge length", "garbage", "cancel that nobody sent")

    async def read(self, reader: asyncio.StreamReader, refuse: Refuse, go_ahead: Say) -> Asked:
        while True:
            content = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
            if content[0] == 0:  # what was cancelled is answered all the same, which the protocol allows
                return Asked(int(content[5:].split()[0]), call=int.from_bytes(content[1:5], "big"))

    def answer(self, token: bytes, body: bytes, asked: Asked) -> bytes:
        return _frame(b"\x01" + asked.call.to_bytes(4, "big") + token + body)

    def lie(self, kind: str, token: bytes, body: bytes, asked: Asked, random: Random) -> Lie:
        match kind:
            case "unknown id":
                return Lie(self.answer(token, body, asked._replace(call=asked.call ^ 0x40000000)))
            case "bad kind":
                return Lie(_frame(b"\x09" + asked.call.to_bytes(4, "big")))
            case "error":
                return Lie(_frame(b"\x02" + asked.call.to_bytes(4, "big") + b"no"))
            case "huge length":
                return Lie(b"\xff\xff\xff\xff" + token)
            case "cancel that nobody sent":
                return Lie(_frame(b"\x03" + asked.call.to_bytes(4, "big")))
            case _:  # "garbage"
                return Lie(b"\xfe" + random.randbytes(40))


def _frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


class WatchedHttp(Http1):
    """The codec of HTTP, with readers that are watched."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def answer_reader(self, max_body_size: int | None = None) -> Any:
        return Watch(super().answer_reader(max_body_size), self._ledger, http_id)


class WatchedFrames(Frames):
    """The codec of frames, with readers that are watched."""

    __slots__ = ("_ledger",)

    def __init__(self, ledger: Ledger, *, idempotent: bool) -> None:
        super().__init__(max_frame_size=100_000, idempotent=idempotent)
        self._ledger = ledger

    def answer_reader(self, max_body_size: int | None = None) -> Any:
        return Watch(super().answer_reader(max_body_size), self._ledger, frame_id)


def http_id(request: Request) -> int:
    """The id of a request in HTTP."""
    return int(request.target.rsplit("/", 1)[1])


def frame_id(request: bytes) -> int:
    """The id of a request in a frame."""
    return int(request.split()[0])


def poison(dialect: Dialect, ledger: Ledger, connection: int) -> bytes:
    """An answer that nobody asked for."""
    ledger.liars.add(connection)
    return dialect.answer(ledger.token(NOBODY, connection), b"poison", Asked(NOBODY, call=0x7FFFFFFF))
