"""Tests in virtual time: alone, or on a host of a simulated network with servers on others."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from sleepy import sim
from sleepy.tcp import Server

Body = Callable[..., Coroutine[Any, Any, None]]


def now() -> float:
    """The virtual time, in seconds."""
    return asyncio.get_running_loop().time()


async def nothing_left(body: Coroutine[Any, Any, None]) -> None:
    """Run a test, and see that it leaves no task behind and no error that nobody hears."""
    loop = asyncio.get_running_loop()
    unheard: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    before = asyncio.all_tasks()
    await body
    await asyncio.sleep(0.001)
    left = asyncio.all_tasks() - before
    assert not unheard
    assert not left


def virtual(test: Body) -> Callable[..., None]:
    """The test runs in virtual time, without a network."""

    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        sim.run(nothing_left(test(**arguments)))

    return run


class World:
    """Servers on hosts of their own; the test is on the host ``client``."""

    def __init__(self) -> None:
        self.network = sim.Network(seed=1)
        self._serving: dict[tuple[str, int], asyncio.Task[None]] = {}

    async def serve(
        self, name: str, handler: Callable[[Any], Awaitable[Any]], port: int = 80, codec: Any = None
    ) -> None:
        """Have a server run on the host of that name, from now on."""
        ready = asyncio.Event()

        async def program() -> None:
            async with Server(handler, "0.0.0.0", port, codec=codec, drain_timeout=0.0):
                ready.set()
                await asyncio.Event().wait()

        self._serving[name, port] = self.network.host(name).start(program())
        await ready.wait()

    async def stop(self, name: str, port: int = 80) -> None:
        """End it: nobody listens there any more."""
        task = self._serving.pop((name, port))
        task.cancel()
        await asyncio.wait([task])

    async def stop_all(self) -> None:
        for name, port in list(self._serving):
            await self.stop(name, port)


def on_network(*servers: str) -> Callable[[Body], Callable[..., None]]:
    """The test runs on a host with links to each of ``servers``, 10 ms away, and is given the `World`."""

    def decorate(test: Body) -> Callable[..., None]:
        @functools.wraps(test)
        def run(**arguments: Any) -> None:
            world = World()
            for server in servers:
                world.network.link("client", server, sim.Link(delay=0.005))

            async def body() -> None:
                try:
                    await world.network.host("client").run(test(world, **arguments))
                finally:
                    await world.stop_all()

            sim.run(nothing_left(body()), world.network)

        signature = inspect.signature(test)
        arguments = [parameter for name, parameter in signature.parameters.items() if name != "world"]  # no fixture
        run.__signature__ = signature.replace(parameters=arguments)  # type: ignore[attr-defined]
        return run

    return decorate
