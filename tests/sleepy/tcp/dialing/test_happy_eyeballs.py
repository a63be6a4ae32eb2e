"""`sleepy.tcp.dialing.happy_eyeballs`: the order of addresses, and the race, in virtual time; rules by number."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy import sim
from sleepy.tcp.dialing.happy_eyeballs import ATTEMPT_DELAY, interleave, race


@pytest.mark.parametrize(
    ("addresses", "turn", "order"),
    [
        ("::1 ::2 ::3 1.1.1.1 2.2.2.2", 0, "::1 1.1.1.1 ::2 2.2.2.2 ::3"),
        ("1.1.1.1 ::1", 0, "1.1.1.1 ::1"),
        ("::1 ::2 ::3 1.1.1.1 2.2.2.2", 1, "::2 2.2.2.2 ::3 1.1.1.1 ::1"),
        ("1.1.1.1 2.2.2.2 3.3.3.3", 5, "3.3.3.3 1.1.1.1 2.2.2.2"),
        ("1.1.1.1", 7, "1.1.1.1"),
        ("", 0, ""),
    ],
)
def test_the_order(addresses: str, turn: int, order: str) -> None:
    """Rules 1 and 2."""
    assert interleave(addresses.split(), turn) == order.split()


@given(st.lists(st.ip_addresses().map(str), unique=True), st.integers(0, 1000))
def test_no_address_is_lost(addresses: list[str], turn: int) -> None:
    order = interleave(addresses, turn)
    assert sorted(order) == sorted(addresses)
    if addresses:
        assert (":" in order[0]) == (":" in addresses[0])  # rule 1: the system's favourite family first


class Runner:
    """Attempts that take as long as they are told, and a record of what becomes of them."""

    def __init__(self) -> None:
        self.events: list[tuple[str, float]] = []

    def note(self, event: str) -> None:
        self.events.append((event, round(asyncio.get_running_loop().time(), 6)))

    async def attempt(self, name: str, seconds: float, error: Exception | None) -> str:
        self.note(f"{name} starts")
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.note(f"{name} cancelled")
            raise
        if error is not None:
            raise error
        return name

    def race(self, **attempts: float | tuple[float, Exception]) -> Coroutine[Any, Any, str]:
        starts = list[Callable[[], Coroutine[Any, Any, str]]]()
        for name, plan in attempts.items():
            seconds, error = plan if isinstance(plan, tuple) else (plan, None)
            starts.append(partial(self.attempt, name, seconds, error))
        return race(starts, lambda name: self.note(f"{name} discarded"))


def run(program: Callable[[Runner], Coroutine[Any, Any, None]]) -> list[tuple[str, float]]:
    """What happened, and that nothing goes on afterwards."""
    runner = Runner()

    async def main() -> None:
        unheard = list[Any]()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        await program(runner)
        await asyncio.sleep(100.0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not unheard

    sim.run(main())
    return runner.events


def test_a_fast_one_runs_alone() -> None:
    async def program(runner: Runner) -> None:
        assert await runner.race(a=0.2, b=0.0) == "a"

    assert run(program) == [("a starts", 0.0)]


def test_a_slow_one_gets_a_head_start_and_no_more() -> None:
    """The second wins, the first is cancelled, the third never starts."""

    async def program(runner: Runner) -> None:
        assert await runner.race(a=9.0, b=0.1, c=0.0) == "b"

    assert run(program) == [("a starts", 0.0), ("b starts", ATTEMPT_DELAY), ("a cancelled", 0.35)]


def test_one_that_fails_makes_room_at_once() -> None:
    async def program(runner: Runner) -> None:
        assert await runner.race(a=(0.1, OSError()), b=(0.1, OSError()), c=0.1) == "c"
        assert asyncio.get_running_loop().time() == pytest.approx(0.3)

    assert run(program) == [("a starts", 0.0), ("b starts", 0.1), ("c starts", 0.2)]


def test_a_slow_one_may_still_win() -> None:
    async def program(runner: Runner) -> None:
        assert await runner.race(a=0.3, b=(0.01, OSError()), c=9.0) == "a"

    assert run(program) == [("a starts", 0.0), ("b starts", 0.25), ("c starts", 0.26), ("c cancelled", 0.3)]


def test_of_two_that_succeed_at_once_one_is_discarded() -> None:
    async def program(runner: Runner) -> None:
        ready = asyncio.Event()

        async def attempt(name: str) -> str:
            await ready.wait()
            return name

        asyncio.get_running_loop().call_later(0.5, ready.set)
        winner = await race(
            [partial(attempt, "a"), partial(attempt, "b")], lambda name: runner.note(f"{name} discarded")
        )
        assert winner == "a"

    assert run(program) == [("b discarded", 0.5)]


def test_a_race_that_is_cancelled_ends_when_all_have_ended() -> None:
    """Also those that take a while to tidy up."""

    async def program(runner: Runner) -> None:
        async def attempt(name: str) -> str:
            try:
                return await runner.attempt(name, 9.0, None)
            finally:
                await asyncio.sleep(1.0)
                runner.note(f"{name} ends")

        task = asyncio.create_task(race([partial(attempt, "a"), partial(attempt, "b")], runner.note))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        runner.note("all is over")

    assert run(program) == [("a starts", 0.0), ("a cancelled", 0.1), ("a ends", 1.1), ("all is over", 1.1)]


def test_if_all_fail_the_error_tells_of_all() -> None:
    async def program(runner: Runner) -> None:
        with pytest.raises(ConnectionError, match=r"^no a, no b$"):
            await runner.race(a=(0.1, OSError("no a")), b=(0.1, OSError("no b")))
        with pytest.raises(ConnectionRefusedError, match=r"^no c$"):  # its own error
            await runner.race(c=(0.1, ConnectionRefusedError("no c")))

    run(program)


def test_an_error_that_is_none_of_the_networks_is_raised_at_once() -> None:
    async def program(runner: Runner) -> None:
        with pytest.raises(ZeroDivisionError):
            await runner.race(a=9.0, b=(0.1, ZeroDivisionError()), c=0.1)

    assert run(program) == [("a starts", 0.0), ("b starts", 0.25), ("a cancelled", 0.35)]


@given(
    plans=st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 9.0]), st.booleans()), min_size=1, max_size=5),
    stop=st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.75, 1.0]),
    again=st.booleans(),
)
def test_a_race_that_is_cancelled_discards_whatever_comes_of_it(
    plans: list[tuple[float, bool]], stop: float, again: bool
) -> None:
    """Whoever has succeeded is given or discarded, and nothing else goes on; also if it is cancelled twice."""
    made: list[str] = []

    async def program(runner: Runner) -> None:
        async def attempt(name: str, seconds: float, fails: bool) -> str:
            await asyncio.sleep(seconds)
            if fails:
                raise OSError(name)
            made.append(name)
            return name

        starts = [partial(attempt, str(number), *plan) for number, plan in enumerate(plans)]
        task = asyncio.create_task(race(starts, made.remove))
        await asyncio.sleep(stop)
        task.cancel()
        if again:
            await asyncio.sleep(0)
            task.cancel()
        with suppress(OSError, asyncio.CancelledError):
            made.remove(await task)

    run(program)
    assert not made
