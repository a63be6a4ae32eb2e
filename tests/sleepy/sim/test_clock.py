"""`sleepy.sim.clock`: time that jumps, and nothing from outside."""

import asyncio
import gc
import threading
import tracemalloc
from collections.abc import AsyncGenerator, Callable, Coroutine
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.sim.clock import REFUSED, DeadlockError, RunawayError, VirtualLoop


def run(main: Coroutine[Any, Any, Any], **limits: float) -> Any:
    """What `sleepy.sim.run` does, without a network."""
    loop = VirtualLoop(**limits)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.allow_more_time()
        for task in loop.tasks():
            task.cancel()
            loop.run_until_complete(asyncio.wait([task]))
        loop.close()


def test_a_day_of_sleep_takes_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    assert run(main(), until=1e6) == 86_400


def test_asyncio_works_as_it_does() -> None:
    """Time-outs, task groups, events, queues and timers, by their virtual times."""

    async def main() -> list[tuple[float, str]]:
        loop = asyncio.get_running_loop()
        seen: list[tuple[float, str]] = []
        queue: asyncio.Queue[str] = asyncio.Queue()

        async def producer() -> None:
            for word in "ab":
                await asyncio.sleep(1.5)
                await queue.put(word)

        async def consumer() -> None:
            for _ in range(2):
                word = await queue.get()
                seen.append((loop.time(), word))

        loop.call_later(2.25, seen.append, (2.25, "timer"))
        async with asyncio.TaskGroup() as group:
            group.create_task(producer())
            group.create_task(consumer())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.Event().wait()
        seen.append((loop.time(), "timed out"))
        return seen

    assert run(main()) == [(1.5, "a"), (2.25, "timer"), (3.0, "b"), (3.5, "timed out")]


@given(delays=st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3]), max_size=50))
def test_rules_1_and_2_timers_fire_in_order_of_time_and_then_of_making(delays: list[float]) -> None:
    async def main() -> list[tuple[float, int]]:
        loop, fired = asyncio.get_running_loop(), list[tuple[float, int]]()
        for number, delay in enumerate(delays):
            loop.call_later(delay, lambda at=delay, n=number: fired.append((at, n)))
        await asyncio.sleep(1)
        return fired

    fired = run(main())
    assert fired == sorted(fired)
    assert len(fired) == len(delays)


def test_rule_1_time_stands_still_while_there_is_something_to_do() -> None:
    async def main() -> float:
        asyncio.get_running_loop().call_later(0.001, lambda: None)
        for _ in range(1000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run(main()) == 0.0


def test_rule_3_a_cancelled_timer_is_no_event() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(10, lambda: None).cancel()
        await asyncio.sleep(1)
        await loop.create_future()

    with pytest.raises(DeadlockError, match="at 1 s"):
        run(main())


def test_rule_3_cancelled_timers_leave_memory() -> None:
    """A time-out per message, each cancelled at once: what a program does that works well."""

    async def main(times: int) -> int:
        loop = asyncio.get_running_loop()
        tracemalloc.start()
        for _ in range(times):
            loop.call_later(60, bytes(1000).find).cancel()
            await asyncio.sleep(0.0001)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size

    assert run(main(5000)) < 1_000_000


def test_rule_4_a_deadlock_names_who_waits_and_where() -> None:
    async def waits_for_ever(event: asyncio.Event) -> None:
        await event.wait()

    async def main() -> None:
        await asyncio.sleep(3.25)
        async with asyncio.TaskGroup() as group:
            group.create_task(waits_for_ever(asyncio.Event()), name="reader")
            group.create_task(asyncio.sleep(1), name="sleeper")

    with pytest.raises(DeadlockError) as caught:
        run(main())
    text = str(caught.value)
    assert text.startswith("at 4.25 s nothing can ever happen again; waiting:")
    assert "reader waits in test_rule_4" in text
    assert "test_clock.py:" in text
    assert "in Event.wait" in text
    assert "sleeper" not in text


def test_rule_4_a_deadlock_names_what_is_no_plain_coroutine_too() -> None:
    async def items() -> AsyncGenerator[int, None]:
        await asyncio.Event().wait()
        yield 1

    async def main() -> None:
        await asyncio.get_running_loop().create_task(anext(items()), name="reader")  # type: ignore[arg-type]

    with pytest.raises(DeadlockError, match="reader waits in <async_generator_asend"):
        run(main())


def test_rule_5_virtual_time_is_bounded() -> None:
    async def main() -> None:
        for _ in count():
            await asyncio.sleep(1)

    with pytest.raises(RunawayError, match=r"not over after 100 s of virtual time.*more than until=100;.*\n.*main"):
        run(main(), until=100)


def test_rule_5_real_time_is_bounded() -> None:
    async def main() -> None:
        for _ in count():
            await asyncio.sleep(0)

    with pytest.raises(RunawayError, match=r"not over after 0.05 s of real time.*give it more than patience=0.05"):
        run(main(), patience=0.05)


@pytest.mark.parametrize("method", REFUSED)
def test_rule_6_the_outside_world_is_refused_with_a_reason(method: str) -> None:
    async def main() -> None:
        result = getattr(asyncio.get_running_loop(), method)()
        if asyncio.iscoroutine(result):
            await result

    with pytest.raises(NotImplementedError, match=rf"{method}\(\) is not to be had in a simulation: \w+"):
        run(main())


@pytest.mark.parametrize(
    "outside",
    [
        lambda: asyncio.to_thread(print),
        lambda: asyncio.create_subprocess_exec("true"),
        lambda: asyncio.open_connection("127.0.0.1", 1),
        lambda: asyncio.start_server(print, "127.0.0.1", 1),
    ],
)
def test_rule_6_holds_for_what_asyncio_builds_on_it(outside: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    async def main() -> None:
        await outside()

    with pytest.raises(NotImplementedError, match="not to be had in a simulation"):
        run(main())


def test_rule_6_another_thread_may_not_call_in() -> None:
    async def main() -> list[str]:
        loop, errors = asyncio.get_running_loop(), list[str]()

        def outside() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except NotImplementedError as error:
                errors.append(str(error))

        thread = threading.Thread(target=outside)
        thread.start()
        thread.join()
        loop.call_soon_threadsafe(errors.append, "our own thread may")
        await asyncio.sleep(0)
        return errors

    assert run(main()) == [
        "call_soon_threadsafe() from another thread is not to be had in a simulation: threads run in real time",
        "our own thread may",
    ]


def test_an_error_surfaces_with_its_own_traceback() -> None:
    async def breaks() -> None:
        await asyncio.sleep(1)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine") as caught:
        run(breaks())
    assert caught.traceback[-1].name == "breaks"
