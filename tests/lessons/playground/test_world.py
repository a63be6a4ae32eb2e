"""Programs under step control: rules 1 to 4 of `lessons.playground.world`."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import closing

import pytest

from lessons.playground import World
from sleepy.sim import Link


@pytest.fixture
def world() -> Iterator[World]:
    with closing(World(1)) as made:
        made.network.link("one", "other", Link(delay=0.05))
        yield made


async def diary(world: World, name: str, *times: float) -> None:
    """Tells of these times when they come."""
    for time in times:
        await asyncio.sleep(time - world.now)
        world.tell(f"{name} at {time:g}.")


def test_a_step_ends_with_the_instant_in_which_something_is_told(world) -> None:
    world.start("one", diary(world, "one", 1, 2))
    world.start("other", diary(world, "other", 1, 3))
    assert (world.step(), round(world.now, 9)) == ("one at 1. other at 1.", 1)
    assert (world.step(), round(world.now, 9)) == ("one at 2.", 2)
    assert (world.step(), round(world.now, 9)) == ("other at 3.", 3)
    assert world.step() == "", "nothing will ever be told again"


def test_what_follows_in_the_same_instant_belongs_to_the_step(world) -> None:
    """Rule 1: however many turns of the event loop it takes."""

    async def long_instant() -> None:
        await asyncio.sleep(1)
        world.tell("begun.")
        for _ in range(50):
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        loop.call_at(loop.time(), world.tell, "ended.")
        await asyncio.sleep(1e-6)
        world.tell("later.")

    world.start("one", long_instant())
    assert [world.step(), world.step()] == ["begun. ended.", "later."]


def test_what_is_silent_is_no_step(world) -> None:
    async def silent() -> None:
        for _ in range(20):
            await asyncio.sleep(0.1)

    world.start("one", silent())
    world.start("other", diary(world, "other", 5))
    assert (world.step(), round(world.now, 9)) == ("other at 5.", 5)


def test_a_wish_is_carried_out_in_this_instant(world) -> None:
    """Rule 2: on its host, up to the instant's end; and what is planned for later waits for its step."""
    world.start("other", diary(world, "other", 1, 2))
    world.step()
    assert world.do("one", lambda: world.start("one", diary(world, "one", 1))) == "one at 1."
    assert world.do("one", lambda: None) == ""
    assert round(world.now, 9) == 1
    assert world.step() == "other at 2."


def test_programs_talk_over_the_network(world) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        world.tell(f"heard {(await reader.readline()).decode().strip()}.")
        writer.close()

    async def serve() -> None:
        async with await asyncio.start_server(greet, "other", 80) as server:
            await server.serve_forever()

    async def call() -> None:
        _, writer = await asyncio.open_connection("other", 80)
        writer.write(b"hello\n")
        writer.close()

    world.start("other", serve())
    world.start("one", call())
    assert world.step() == "heard hello."
    assert round(world.now, 9) == 0.15, "there, back, and there again with the line"


def test_a_program_that_crashes_is_heard_of(world) -> None:
    """Rule 3."""

    async def crash() -> None:
        await asyncio.sleep(1)
        raise KeyError("lost")

    world.start("one", crash())
    with pytest.raises(KeyError, match="lost"):
        world.step()


def test_a_callback_that_crashes_is_heard_of(world) -> None:
    world.at(1, lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        world.step()


def test_a_world_that_is_closed_has_ended_its_programs(world) -> None:
    """Rule 4: with `finally` and all."""
    ended = []

    async def program() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.5)
            ended.append(world.now)

    with closing(World(1)) as other:
        other.start("one", program())
        assert other.step() == ""
    assert len(ended) == 1


def test_a_world_that_nobody_closed_is_complained_of() -> None:
    """The guard for whoever forgets it: the suite holds warnings to be errors."""
    gc.collect()
    World(1).step()
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        gc.collect()


def test_it_runs_within_another_loop(world) -> None:
    """As it does in a page, where Python is called by the browser's loop."""
    world.start("one", diary(world, "one", 1))

    async def page() -> str:
        return world.step()

    assert asyncio.run(page()) == "one at 1."
