"""`sleepy.tcp.dialing.resolver`: who is asked, and how often; rules by their number, in virtual time."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from sleepy import sim
from sleepy.tcp.dialing.resolver import Resolver


class System:
    """The system's resolver: it takes a second, and says what the test says."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.stopped = 0
        self.addresses: list[Any] = [("1.1.1.1", 0)]
        self.error: OSError | None = None

    async def getaddrinfo(self, host: str, port: None, *, family: int, **options: Any) -> list[Any]:
        assert options == {"type": socket.SOCK_STREAM}
        self.asked.append((host, family))
        try:
            await asyncio.sleep(1.0)
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        if self.error is not None:
            raise self.error
        return [(0, 0, 0, "", address) for address in self.addresses]


def run(program: Callable[[System], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        loop, system, unheard = asyncio.get_running_loop(), System(), list[Any]()
        loop.set_exception_handler(lambda _, context: unheard.append(context))
        loop.getaddrinfo = system.getaddrinfo  # type: ignore[method-assign,assignment]
        await program(system)
        await asyncio.sleep(10.0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not unheard

    sim.run(main())


def test_an_answer_is_good_for_a_minute() -> None:
    """Rule 1."""

    async def program(system: System) -> None:
        resolver = Resolver()
        assert await resolver.resolve("a") == ("1.1.1.1",)
        system.addresses = [("2.2.2.2", 0)]
        await asyncio.sleep(59.9)
        assert await resolver.resolve("a") == ("1.1.1.1",)
        await asyncio.sleep(0.1)
        assert await resolver.resolve("a") == ("2.2.2.2",)
        assert system.asked == [("a", 0), ("a", 0)]

    run(program)


def test_nothing_is_remembered_if_nothing_shall_be() -> None:
    async def program(system: System) -> None:
        resolver = Resolver(ttl=0)
        await resolver.resolve("a")
        await resolver.resolve("a")
        assert len(system.asked) == 2

    run(program)


def test_what_is_over_is_not_kept() -> None:
    """A program that asks for ever new names does not grow."""

    async def program(system: System) -> None:
        resolver = Resolver(ttl=5.0)
        for number in range(20):
            await resolver.resolve(f"a{number % 10}" if number < 10 else f"b{number}")
        assert len(resolver._answers) <= 6
        assert not resolver._questions

    run(program)


def test_names_and_families_have_answers_of_their_own() -> None:
    async def program(system: System) -> None:
        resolver = Resolver()
        for _ in range(2):
            await resolver.resolve("a")
            await resolver.resolve("a", socket.AF_INET)
            await resolver.resolve("b")
        assert system.asked == [("a", socket.AF_UNSPEC), ("a", socket.AF_INET), ("b", socket.AF_UNSPEC)]

    run(program)


def test_addresses_come_once_each_in_the_systems_order_with_their_zone() -> None:
    async def program(system: System) -> None:
        system.addresses = [("fe80::1", 0, 0, 3), ("::1", 0, 0, 0), ("1.1.1.1", 0), ("::1", 0, 0, 0)]
        assert await Resolver().resolve("a") == ("fe80::1%3", "::1", "1.1.1.1")

    run(program)


def test_many_who_ask_at_once_ask_once() -> None:
    """Rule 2."""

    async def program(system: System) -> None:
        resolver = Resolver()
        answers = await asyncio.gather(*(resolver.resolve("a") for _ in range(100)))
        assert answers == [("1.1.1.1",)] * 100
        assert len(system.asked) == 1

    run(program)


def test_one_who_gives_up_does_not_stop_the_others() -> None:
    """Rule 2: not even the one who asked first."""

    async def program(system: System) -> None:
        resolver = Resolver()
        tasks = [asyncio.create_task(resolver.resolve("a")) for _ in range(3)]
        await asyncio.sleep(0.5)
        tasks[0].cancel()
        assert await tasks[1] == await tasks[2] == ("1.1.1.1",)
        assert tasks[0].cancelled()
        assert (len(system.asked), system.stopped) == (1, 0)

    run(program)


def test_when_the_last_gives_up_the_question_ends() -> None:
    """Rule 2: and the next asks a new one."""

    async def program(system: System) -> None:
        resolver = Resolver()
        tasks = [asyncio.create_task(resolver.resolve("a")) for _ in range(3)]
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
        assert await resolver.resolve("a") == ("1.1.1.1",)
        assert all(task.cancelled() for task in tasks)
        assert (len(system.asked), system.stopped) == (2, 1)
        assert await resolver.resolve("a") == ("1.1.1.1",)
        assert len(system.asked) == 2

    run(program)


def test_a_failure_is_told_to_all_and_not_remembered() -> None:
    """Rule 3."""

    async def program(system: System) -> None:
        resolver = Resolver()
        system.error = socket.gaierror(socket.EAI_AGAIN, "try again")
        failures = await asyncio.gather(*(resolver.resolve("a") for _ in range(3)), return_exceptions=True)
        assert all(isinstance(failure, socket.gaierror) for failure in failures)
        system.error = None
        assert await resolver.resolve("a") == ("1.1.1.1",)
        assert len(system.asked) == 2

    run(program)


def test_a_failure_that_nobody_waits_for_is_no_matter() -> None:
    async def program(system: System) -> None:
        system.error = OSError("no")
        task = asyncio.create_task(Resolver().resolve("a"))
        await asyncio.sleep(1.0)  # it fails in the turn in which it is cancelled
        task.cancel()
        await asyncio.wait([task])

    run(program)


def test_no_address_is_an_error() -> None:
    async def program(system: System) -> None:
        system.addresses = []
        with pytest.raises(OSError, match="a has no address"):
            await Resolver().resolve("a")

    run(program)


def test_one_name_can_be_forgotten() -> None:
    """Rule 4."""

    async def program(system: System) -> None:
        resolver = Resolver()
        await resolver.resolve("a")
        await resolver.resolve("a", socket.AF_INET)
        await resolver.resolve("b")
        resolver.forget("a")
        resolver.forget("nobody")
        system.asked.clear()
        await resolver.resolve("b")
        assert not system.asked
        await resolver.resolve("a")
        await resolver.resolve("a", socket.AF_INET)
        assert len(system.asked) == 2

    run(program)


def test_all_can_be_forgotten() -> None:
    """fasthttp's behaviour 62; what was being asked is answered, and not remembered."""

    async def program(system: System) -> None:
        resolver = Resolver()
        await resolver.resolve("a")
        asking = asyncio.create_task(resolver.resolve("b"))
        await asyncio.sleep(0.5)
        resolver.flush()
        system.addresses = [("2.2.2.2", 0)]
        again = asyncio.create_task(resolver.resolve("b"))
        assert await asking == ("2.2.2.2",)  # late enough for the new answer, but asked before
        resolver.flush()
        assert await again == ("2.2.2.2",)
        assert [name for name, _ in system.asked] == ["a", "b", "b"]
        await resolver.resolve("a")
        await resolver.resolve("b")
        assert [name for name, _ in system.asked] == ["a", "b", "b", "a", "b"]

    run(program)


def test_a_time_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="ttl is -1"):
        Resolver(ttl=-1)
