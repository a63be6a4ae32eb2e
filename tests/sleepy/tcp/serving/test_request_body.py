"""`sleepy.tcp.serving.request_body`: who reads first says go ahead, and everybody knows how it ended."""

import asyncio

import pytest

from sleepy.tcp import RemoteProtocolError
from sleepy.tcp.serving.request_body import RequestBody
from tests.sleepy.tcp.helpers import soon

GO = b"go ahead"


class Host:
    """The session."""

    def __init__(self) -> None:
        self.words: list[bytes] = []
        self.ends = 0

    def go_ahead(self, word: bytes) -> None:
        self.words.append(word)

    def stream_ended(self) -> None:
        self.ends += 1

    def pause_reading(self) -> None:
        raise NotImplementedError

    def resume_reading(self) -> None:
        raise NotImplementedError

    def abort(self, error: Exception | None = None) -> None:
        raise NotImplementedError


async def test_the_go_ahead_is_given_once_and_when_somebody_reads() -> None:
    host = Host()
    body = RequestBody(host, GO)
    assert (body.awaited, host.words) == (True, [])
    reading = asyncio.create_task(body.read())
    await asyncio.sleep(0)
    assert (body.awaited, host.words) == (False, [GO])
    body.feed(b"a")
    body.feed(b"b")
    body.finish()
    assert await soon(reading) == b"ab"
    assert host.words == [GO]
    assert (body.ended, body.whole, body.error, host.ends) == (True, True, None, 1)


async def test_a_body_that_is_here_or_not_held_back_needs_no_go_ahead() -> None:
    for word in (GO, b""):
        host = Host()
        body = RequestBody(host, word)
        assert body.awaited is bool(word)
        body.feed(b"a")
        body.finish()
        assert await soon(body.read()) == b"a"
        assert host.words == []


async def test_a_body_that_breaks_off_is_not_whole() -> None:
    host = Host()
    body = RequestBody(host, b"")
    error = RemoteProtocolError("it broke")
    body.fail(error)
    with pytest.raises(RemoteProtocolError, match="it broke"):
        await soon(body.read())
    assert (body.ended, body.whole, body.error, host.ends) == (True, False, error, 1)


async def test_what_is_waived_is_not_asked_for_any_more() -> None:
    host = Host()
    body = RequestBody(host, GO)
    body.waive()
    reading = asyncio.create_task(body.read())
    await asyncio.sleep(0)
    body.finish()
    assert await soon(reading) == b""
    assert host.words == []
