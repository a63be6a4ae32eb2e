"""`sleepy.tcp.streams`: a body on its way in."""

import asyncio

import pytest

from sleepy.tcp.streams import DRAIN, DRAIN_TIME, HIGH_WATER, IncomingBody
from tests.sleepy.tcp.helpers import Clock, turns


class Source:
    """A connection that notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def pause_reading(self) -> None:
        self.asked.append("pause")

    def resume_reading(self) -> None:
        self.asked.append("resume")

    def abort(self, error: Exception | None = None) -> None:
        self.asked.append("abort")


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def ends() -> list[bool]:
    return []


@pytest.fixture
def body(source: Source, ends: list[bool]) -> IncomingBody:
    return IncomingBody(source, ends.append)


async def test_pieces_are_given_as_they_come(body: IncomingBody, ends: list[bool]) -> None:
    body.feed(b"one")
    assert await anext(body) == b"one"
    waiting = asyncio.ensure_future(anext(body))
    await turns()
    assert not waiting.done()
    body.feed(b"two")
    body.feed(b"three")
    assert await waiting == b"two"
    assert ends == []
    body.finish()
    assert ends == [True]
    assert await body.read() == b"three"
    with pytest.raises(StopAsyncIteration):
        await anext(body)


async def test_a_failure_comes_behind_what_came_before(body: IncomingBody, ends: list[bool]) -> None:
    body.feed(b"one")
    body.fail(ConnectionError("cut"))
    assert ends == [False]
    assert await anext(body) == b"one"
    for _ in range(2):
        with pytest.raises(ConnectionError, match="cut"):
            await anext(body)


async def test_who_waits_hears_of_the_end(source: Source) -> None:
    for finish in (True, False):
        body = IncomingBody(source, lambda whole: None)
        waiting = asyncio.ensure_future(anext(body))
        await turns()
        body.finish() if finish else body.fail(ConnectionError("cut"))
        with pytest.raises(StopAsyncIteration if finish else ConnectionError):
            await waiting


async def test_rule_1_what_is_not_taken_holds_the_sender_back(body: IncomingBody, source: Source) -> None:
    piece = bytes(HIGH_WATER // 4)
    for _ in range(4):
        body.feed(piece)
    assert source.asked == []
    body.feed(piece)
    body.feed(piece)  # what was under way
    assert source.asked == ["pause"]
    for _ in range(3):
        await anext(body)
    assert source.asked == ["pause"]
    await anext(body)
    assert source.asked == ["pause", "resume"]


async def test_rule_2_a_short_rest_is_thrown_away(body: IncomingBody, source: Source, ends: list[bool]) -> None:
    async with body:
        body.feed(b"wanted")
    body.feed(bytes(DRAIN))
    body.finish()
    assert ends == [True]
    assert "abort" not in source.asked
    assert await body.read() == b""


async def test_rule_2_a_long_rest_costs_the_connection(body: IncomingBody, source: Source) -> None:
    body.close()
    body.feed(bytes(DRAIN))
    assert "abort" not in source.asked
    body.feed(b"x")
    assert source.asked[-1] == "abort"


async def test_rule_2_so_does_a_slow_one(body: IncomingBody, source: Source, ends: list[bool]) -> None:
    clock = Clock()
    body.close()
    await clock.advance(DRAIN_TIME - 0.1)
    assert "abort" not in source.asked
    await clock.advance(0.2)
    assert source.asked[-1] == "abort"
    body.fail(ConnectionError("aborted"))
    assert ends == [False]


async def test_rule_2_once_it_has_ended_nothing_is_aborted(body: IncomingBody, source: Source) -> None:
    clock = Clock()
    body.close()
    body.finish()
    body.close()
    await clock.advance(DRAIN_TIME + 1)
    assert "abort" not in source.asked


async def test_rule_3_the_end_is_told_once(body: IncomingBody, ends: list[bool]) -> None:
    body.finish()
    body.fail(ConnectionError("too late"))
    body.finish()
    assert ends == [True]
    assert await body.read() == b""


async def test_closing_lets_a_paused_sender_go_on(body: IncomingBody, source: Source) -> None:
    body.feed(bytes(HIGH_WATER + 1))
    body.close()
    assert source.asked == ["pause", "resume"]
