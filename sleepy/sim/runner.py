"""Run a program on a simulated network."""

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from sleepy.sim.clock import PATIENCE, UNTIL, DeadlockError
from sleepy.sim.loop import NetworkLoop
from sleepy.sim.network import Network

T = TypeVar("T")


def run(
    main: Coroutine[Any, Any, T], network: Network | None = None, *, until: float = UNTIL, patience: float = PATIENCE
) -> T:
    """Run a program in virtual time and return its result; what `asyncio.run` is to the real world.

    ``main`` sees the network from outside: it starts programs on hosts and lives on none itself. When it ends, whatever
    still runs is cancelled, as by `asyncio.run`. It may be called while another loop is running, in a notebook or in a
    browser's page, and blocks that loop until it is done.

    Args:
        main: The program.
        network: Its network, which is good for one run; none for programs that only wait.
        until: The virtual time at which the run is given up, in seconds.
        patience: How long it may take in real time, in seconds.

    Raises:
        DeadlockError: The program waits for what can never happen; the message names the tasks, and where they wait. If
            a program on a host has crashed, that is the error's cause.
        RunawayError: A limit was reached.
        RuntimeError: The network has had its run.
        ValueError: A limit is none.
    """
    for name, limit in (("until", until), ("patience", patience)):
        if not limit > 0:  # so is nan
            main.close()
            raise ValueError(f"{name} is {limit!r}, but it is a time in seconds, more than 0")
    network = Network() if network is None else network
    loop = NetworkLoop(until, patience)
    try:
        network.begin(loop)
    except RuntimeError:
        main.close()
        loop.close()
        raise
    with no_running_loop():
        try:
            return loop.run_until_complete(main)
        except DeadlockError as deadlock:
            crashes = [error for host in network.hosts.values() for error in host.crashes()]
            raise deadlock from (crashes[0] if crashes else None)
        finally:
            try:
                cancel_all(loop)
            finally:
                network.end()
                loop.close()


@contextmanager
def no_running_loop() -> Generator[None]:
    """Let a loop run within a callback of another, which stands still meanwhile, and knows nothing of it."""
    outer = asyncio._get_running_loop()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # for writers of loops
    asyncio._set_running_loop(None)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    try:
        yield
    finally:
        asyncio._set_running_loop(outer)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


async def _ended(tasks: list[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def cancel_all(loop: NetworkLoop) -> None:
    """Cancel what still runs on a loop that stands, and let it tidy up."""
    loop.allow_more_time()
    tasks = loop.tasks()
    for last in (False, False, True):
        for task in tasks:
            task.cancel()
        try:
            loop.run_until_complete(_ended(tasks))
            break
        except DeadlockError:  # one waits for what another will not do any more, as in Server.wait_closed(): insist
            if last:
                raise
    for task in tasks:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            loop.call_exception_handler({"message": "error while cancelling a task", "exception": error, "task": task})
    loop.run_until_complete(loop.shutdown_asyncgens())
