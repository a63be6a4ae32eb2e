"""`sleepy.tcp.exchange`: what is known of a request on its way, and what it takes from the loop."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sleepy.tcp.codec import Encoded
from sleepy.tcp.errors import ConnectionClosed
from sleepy.tcp.exchange import Exchange, time_and_answers
from sleepy.tcp.http.messages import Headers, Request, Response

CLOSED, STALE = ConnectionClosed("closed"), ConnectionClosed("closed", stale=True)


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange[Request, Response]]:
    answer = asyncio.get_running_loop().create_future()
    yield Exchange(Request("GET", "/"), Encoded(b"GET / HTTP/1.1\r\n\r\n", idempotent=True), answer, 3.0)
    answer.cancel()


async def test_a_new_one_has_been_nowhere_and_may_take_its_time(exchange: Exchange[Request, Response]) -> None:
    assert (exchange.request.method, exchange.asked_at) == ("GET", 3.0)
    assert (exchange.data, exchange.idempotent, exchange.follows) == (b"GET / HTTP/1.1\r\n\r\n", True, False)
    assert (exchange.id, exchange.failures, exchange.sent_at) == (0, 0, 0.0)
    assert exchange.timeout == exchange.deadline == math.inf
    assert [exchange.streamed, exchange.was_stale, exchange.suspect] == [False, False, False]
    assert exchange.connection is exchange.body is exchange.sender is exchange.go_ahead is exchange.failure is None


@pytest.mark.parametrize(
    ("errors", "failures"),
    [([CLOSED], 1), ([STALE], 0), ([STALE, STALE], 1), ([CLOSED, STALE], 1), ([STALE, OSError(), CLOSED], 2)],
)
async def test_only_the_first_stale_connection_is_not_held_against_it(
    exchange: Exchange[Request, Response], errors: list[Exception], failures: int
) -> None:
    for error in errors:
        exchange.count_failure(error)
    assert exchange.failures == failures
    assert exchange.failure is errors[-1]
    assert exchange.was_stale == (STALE in errors)


async def test_an_error_goes_to_the_caller_unless_he_has_gone(exchange: Exchange[Request, Response]) -> None:
    exchange.fail(CLOSED)
    exchange.fail(STALE)  # he has been told
    with pytest.raises(ConnectionClosed) as caught:
        await exchange.answer
    assert caught.value is CLOSED


async def test_a_100_is_the_go_ahead_and_nothing_else_is(exchange: Exchange[Request, Response]) -> None:
    exchange.interim(100, Headers())  # nobody waits for it
    exchange.go_ahead = asyncio.get_running_loop().create_future()
    exchange.interim(103, Headers())
    assert not exchange.go_ahead.done()
    exchange.interim(100, Headers())
    exchange.interim(100, Headers())
    assert exchange.go_ahead.done()


class Slow(asyncio.SelectorEventLoop):
    """A loop with a clock and futures of its own."""

    def time(self) -> float:
        return super().time() / 10

    def create_future(self) -> asyncio.Future[Any]:
        future = super().create_future()
        future.add_done_callback(print)
        return future


def test_asyncios_own_loops_are_asked_for_nothing() -> None:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        now, answer = time_and_answers(loop)
        assert now is time.monotonic
        made = answer()
        assert (type(made), made.get_loop()) == (asyncio.Future, loop)


def test_a_loop_with_a_time_and_futures_of_its_own_is_asked() -> None:
    with asyncio.Runner(loop_factory=Slow) as runner:
        loop = runner.get_loop()
        now, answer = time_and_answers(loop)
        assert (now, answer) == (loop.time, loop.create_future)


def test_so_is_one_that_was_given_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    with asyncio.Runner() as runner:
        monkeypatch.setattr(runner.get_loop(), "time", lambda: 7.0)
        now, _ = time_and_answers(runner.get_loop())
        assert now() == 7.0


def test_uvloop_is_asked() -> None:
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        loop = runner.get_loop()
        now, answer = time_and_answers(loop)
        assert abs(now() - loop.time()) < 1
        assert answer().get_loop() is loop
