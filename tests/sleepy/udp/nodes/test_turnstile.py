"""The rules of sleepy/udp/nodes/turnstile.py."""

import asyncio

import pytest

from sleepy.udp.nodes.turnstile import Turnstile


class Box:
    """Takes out what was put in; tells how often somebody looked."""

    def __init__(self) -> None:
        self.turnstile = Turnstile()
        self.items: list[int] = []
        self.looks = 0

    def take(self) -> int | None:
        self.looks += 1
        return self.items.pop(0) if self.items else None

    def put(self, *items: int) -> None:
        self.items += items
        self.turnstile.wake()


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_queue_is_served_in_order() -> None:
    """Rules 1 and 2: each gets the next item; and only the first in the queue looks."""
    box = Box()
    waiting = [asyncio.create_task(box.turnstile.until(box.take)) for _ in range(100)]
    await turns(3)
    assert box.looks == 1
    assert box.turnstile.waiting
    box.put(0)
    await turns()
    assert box.looks == 3
    box.put(*range(1, 100))
    assert await asyncio.gather(*waiting) == list(range(100))
    assert not box.turnstile.waiting


async def test_who_comes_late_goes_to_the_end() -> None:
    """Rule 1: though there is something just now."""
    box = Box()
    first = asyncio.create_task(box.turnstile.until(box.take))
    await turns(3)
    box.put(1, 2)
    late = asyncio.create_task(box.turnstile.until(box.take))
    assert (await first, await late) == (1, 2)


async def test_cancelling_the_first_lets_the_next_one_try() -> None:
    """Rule 3: nothing is lost, whenever that is."""
    box = Box()
    waiting = [asyncio.create_task(box.turnstile.until(box.take)) for _ in range(3)]
    await turns(3)
    box.put(1)
    waiting[0].cancel()
    waiting[1].cancel()
    await turns()
    assert waiting[0].cancelled()
    assert waiting[1].cancelled()
    assert await waiting[2] == 1


async def test_errors_come_out_and_the_next_one_tries() -> None:
    turnstile = Turnstile()

    def closed() -> None:
        raise KeyError

    waiting = [asyncio.create_task(turnstile.until(closed)) for _ in range(3)]
    for task in waiting:
        with pytest.raises(KeyError):
            await task


async def test_waking_nobody_does_nothing() -> None:
    box = Box()
    box.turnstile.wake()
    box.items = [1]
    assert await box.turnstile.until(box.take) == 1
    box.turnstile.wake()
    box.turnstile.wake()
