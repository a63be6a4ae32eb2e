"""`sleepy.tcp.http.http1_reader`: no bytes may make it fail otherwise than by refusing them, nor be read in two ways.

An input says what was asked and how the bytes arrive, then come the bytes. They are read at once, in pieces, and one by one,
which must come to the same; and as a single message beside the parsers of `fuzz.oracles.http1`.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from fuzz.oracles.http1 import compare
from sleepy.tcp.errors import RemoteProtocolError
from sleepy.tcp.http.http1 import Http1
from sleepy.tcp.http.messages import Request, Response

METHODS = ("GET", "HEAD", "POST", "GET")


class Setting(NamedTuple):
    """What the reader is told before the bytes come.

    Attributes:
        asked: The methods of the requests, if answers are read; None to read requests.
        max_header_size: As of `Http1`.
        max_body_size: As of the reader.
    """

    asked: tuple[str, ...] | None
    max_header_size: int = 65536
    max_body_size: int | None = None


class Outcome(NamedTuple):
    """What came of it: the messages, how it was refused, if it was, and whether something is unfinished."""

    messages: list[tuple[Any, ...]]
    refusal: tuple[type[Exception], int] | None
    between_messages: bool


def seen(message: Request | Response, *, last: bool) -> tuple[Any, ...]:
    """All that a program sees of a message; of the last one it is open whether another can follow, until more comes."""
    shared = (message.headers.items(), message.body, last or message.keep_alive)
    if isinstance(message, Request):
        return (message.method, message.url, *shared)
    return (message.status, message.reason, *shared)


def outcome(setting: Setting, pieces: Iterable[bytes], *, ends: bool) -> Outcome:
    """Feed the pieces to a new reader, then the end if it ``ends``."""
    codec = Http1(max_header_size=setting.max_header_size)
    reader: Any
    if setting.asked is None:
        reader = codec.request_reader(setting.max_body_size)
    else:
        reader = codec.answer_reader(setting.max_body_size)
        for method in setting.asked:
            reader.expect(Request(method, "/"))
    most = None if setting.asked is None else len(setting.asked)
    messages: list[tuple[Any, ...]] = []

    def take(some: Iterable[Any]) -> None:
        for message in some:
            messages.append(seen(message, last=len(messages) + 1 == most))

    try:
        for piece in pieces:
            take(reader.feed(piece))
        if ends:
            take(reader.end())
    except RemoteProtocolError as error:
        return Outcome(messages, (type(error), error.status), between_messages=False)
    return Outcome(messages, None, reader.between_messages)


def cut(data: bytes, size: int) -> list[bytes]:
    """In pieces of so many bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def run(data: bytes) -> None:
    """Execute one input.

    Raises:
        AssertionError: The reader did what it must not.
    """
    if len(data) < 2:
        return
    flags, size, stream = data[0], data[1] + 1, data[2:]
    is_request = bool(flags & 1)
    asked = None if is_request else tuple(METHODS[flags >> 1 & 3 :])
    setting = Setting(asked, 64, 16) if flags & 8 else Setting(asked)
    ends = bool(flags & 16)
    whole = outcome(setting, [stream], ends=ends)
    assert outcome(setting, cut(stream, size), ends=ends) == whole
    assert outcome(setting, cut(stream, 1), ends=ends) == whole
    compare(stream, is_request=is_request)
