"""`sleepy.tcp.serving.watch`: looks when it is time, and costs nothing in between."""

import asyncio

from sleepy.tcp.serving.patience import Limits, Wait
from sleepy.tcp.serving.watch import Watch
from tests.sleepy.tcp.virtual import now, virtual

LIMITS = Limits(head=10.0, body=20.0, write=30.0, idle=60.0, linger=5.0, min_rate=100.0)


class Watched:
    """A connection that waits for what the test says."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.wait = Wait.IDLE
        self.moved = 0
        self.looks = 0
        self.given_up: list[tuple[float, Wait]] = []
        self.watch = Watch(limits, self._state, lambda wait: self.given_up.append((now(), wait)))
        self.watch.begin(Wait.IDLE)

    def _state(self) -> tuple[Wait, int]:
        self.looks += 1
        return self.wait, self.moved

    def begin(self, wait: Wait) -> None:
        self.wait = wait
        self.watch.begin(wait, self.moved)


@virtual
async def test_it_gives_up_when_the_time_is_up_and_not_before() -> None:
    watched = Watched()
    await asyncio.sleep(59.9)
    assert watched.given_up == []
    await asyncio.sleep(100.0)
    assert watched.given_up == [(60.0, Wait.IDLE)]
    assert watched.looks == 1


@virtual
async def test_what_ends_sooner_is_looked_at_sooner() -> None:
    watched = Watched()
    await asyncio.sleep(5.0)
    watched.begin(Wait.HEAD)
    await asyncio.sleep(100.0)
    assert watched.given_up == [(15.0, Wait.HEAD)]


@virtual
async def test_a_thousand_requests_move_no_timer() -> None:
    watched = Watched()
    for _ in range(1000):
        await asyncio.sleep(0.05)
        watched.watch.rest()
    assert watched.looks == 0
    await asyncio.sleep(59.9)
    assert watched.given_up == []
    await asyncio.sleep(0.2)
    assert watched.given_up[0][1] is Wait.IDLE
    assert watched.looks == 2


@virtual
async def test_what_moves_is_waited_for() -> None:
    watched = Watched()
    watched.begin(Wait.BODY)
    for _ in range(10):
        watched.moved += 2000
        await asyncio.sleep(19.9)
    assert watched.given_up == []
    await asyncio.sleep(45.0)
    assert len(watched.given_up) == 1


@virtual
async def test_a_connection_that_is_no_more_is_not_looked_at() -> None:
    watched = Watched()
    watched.watch.stop()
    await asyncio.sleep(100.0)
    assert watched.looks == 0


@virtual
async def test_without_limits_it_never_looks_until_something_with_a_limit_begins() -> None:
    watched = Watched(Limits(head=None, body=None, write=None, idle=None, linger=5.0, min_rate=0.0))
    watched.begin(Wait.HEAD)
    await asyncio.sleep(3000.0)
    assert watched.looks == 0
    watched.begin(Wait.LINGER)
    await asyncio.sleep(6.0)
    assert watched.given_up == [(3000.0 + 5.0, Wait.LINGER)]
