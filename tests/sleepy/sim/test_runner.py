"""`sleepy.sim.runner`: a run, its end, and what it leaves behind."""

import asyncio
import math

import pytest

from sleepy import sim


def test_a_network_is_good_for_one_run() -> None:
    network = sim.Network()
    sim.run(asyncio.sleep(0), network)
    with pytest.raises(RuntimeError, match="make another"):
        sim.run(asyncio.sleep(0), network)


def test_what_still_runs_when_main_ends_is_cancelled_and_tidies_up() -> None:
    network, ended = sim.Network(), list[float]()

    async def program() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)
            ended.append(asyncio.get_running_loop().time())

    async def main() -> None:
        network.host("a").start(program())
        await asyncio.sleep(2)

    sim.run(main(), network)
    assert ended == [3.0]


def test_an_error_surfaces_with_its_own_traceback() -> None:
    network = sim.Network()

    async def breaks() -> None:
        await asyncio.sleep(1)
        raise LookupError("mine")

    async def main() -> None:
        await network.host("a").run(breaks())

    with pytest.raises(LookupError, match="mine") as caught:
        sim.run(main(), network)
    assert caught.traceback[-1].name == "breaks"


def test_a_deadlock_behind_a_crash_names_the_crash() -> None:
    network = sim.Network()

    async def server() -> None:
        raise LookupError("the server's own fault")

    async def client() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        network.host("server").start(server())
        await network.host("client").run(client())

    with pytest.raises(sim.DeadlockError, match=r"client: test_.*client waits in") as caught:
        sim.run(main(), network)
    assert isinstance(caught.value.__cause__, LookupError)


def test_a_run_may_be_nested_in_a_running_program() -> None:
    """As in a notebook, or in a page: the outer loop waits."""

    async def outer() -> float:
        async def inner() -> float:
            await asyncio.sleep(5)
            return asyncio.get_running_loop().time()

        before = asyncio.get_running_loop()
        result = sim.run(inner())
        assert asyncio.get_running_loop() is before
        return result

    assert asyncio.run(outer()) == 5.0


@pytest.mark.parametrize("limit", [0, -1, math.nan])
@pytest.mark.parametrize("name", ["until", "patience"])
def test_a_limit_that_bounds_nothing_is_refused(name: str, limit: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {limit}, but it is a time in seconds, more than 0"):
        sim.run(asyncio.sleep(1), **{name: limit})


def test_a_crash_that_nobody_asked_about_is_told_at_the_end_of_the_run(caplog: pytest.LogCaptureFixture) -> None:
    """The network may live on, in a fixture or for its figures."""
    network = sim.Network()

    async def server() -> None:
        raise LookupError("the server's own fault")

    async def main() -> None:
        network.host("server").start(server())
        await asyncio.sleep(1)

    sim.run(main(), network)
    [told] = caplog.records
    assert told.getMessage().startswith("Task exception was never retrieved")
    assert told.exc_info is not None
    assert str(told.exc_info[1]) == "the server's own fault"
