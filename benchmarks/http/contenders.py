"""The clients, each as its users get it: deadline on, validation on, pool on.

An asyncio client is a function that opens it and gives the coroutine function of a caller: it asks once for each item that
is left in an iterator which all callers share.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib import import_module
from itertools import cycle
from typing import Any, Protocol

from benchmarks.http.floor import Floor, PipelinedFloor
from benchmarks.http.load import BODY, TIMEOUT, Load
from sleepy import tcp

Caller = Callable[[Iterator[int]], Awaitable[None]]
Open = Callable[[Load], AbstractAsyncContextManager[Caller]]


class Client(Protocol):
    """What takes turns."""

    def ask(self, callers: int, count: int) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Contender:
    """How to make one.

    Attributes:
        make: Makes it.
        needs: The modules that must be there.
        pipelined: Whether many requests share one connection; compared with the pipelined floor.
        compiled: Whether it runs our package compiled by mypyc.
    """

    make: Callable[[Load], Client]
    needs: tuple[str, ...] = ()
    pipelined: bool = False
    compiled: bool = False


class OnLoop:
    """An asyncio client on a loop that stands still between turns."""

    def __init__(self, opening: Open, load: Load, loop: str) -> None:
        factory = import_module("uvloop").new_event_loop if loop == "uvloop" else asyncio.new_event_loop
        self.runner = asyncio.Runner(loop_factory=factory)
        self.client = opening(load)
        self.caller = self.runner.run(self._open())

    async def _open(self) -> Caller:
        return await self.client.__aenter__()

    def ask(self, callers: int, count: int) -> None:
        self.runner.run(self._ask(callers, iter(range(count))))

    async def _ask(self, callers: int, left: Iterator[int]) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(self.caller(left))

    def close(self) -> None:
        self.runner.run(self._close())
        self.runner.close()

    async def _close(self) -> None:
        await self.client.__aexit__(None, None, None)


@asynccontextmanager
async def sleepy_host(load: Load) -> AsyncIterator[Caller]:
    """`tcp.HostClient`, with the load's idle connections in its pool."""
    limit = load.connections + load.idle
    stay: dict[str, Any] = {"max_idle_conn_duration": None, "dial_timeout": 60.0} if load.idle else {}
    async with tcp.HostClient(f"127.0.0.1:{load.port}", max_conns=limit, **stay) as host:
        if load.idle:
            async with asyncio.TaskGroup() as group:  # the server answers when all of them wait
                for _ in range(load.idle):
                    group.create_task(host.get(f"/gate/{load.idle}", timeout=60.0))
            assert host.idle_conns_count == load.idle

        async def caller(left: Iterator[int]) -> None:
            for _ in left:
                response = await host.get("/", timeout=TIMEOUT)
                assert response.body == BODY

        yield caller


@asynccontextmanager
async def sleepy_hosts(load: Load) -> AsyncIterator[Caller]:
    """A `tcp.HostClient` for each of the load's hosts, asked in turn."""
    hosts = [tcp.HostClient(f"{host}:{load.port}", max_conns=load.connections) for host in load.hosts]
    turn = cycle(hosts)

    async def caller(left: Iterator[int]) -> None:
        for _ in left:
            response = await next(turn).get("/", timeout=TIMEOUT)
            assert response.body == BODY

    yield caller
    for host in hosts:
        await host.close()


@asynccontextmanager
async def sleepy_client(load: Load) -> AsyncIterator[Caller]:
    """`tcp.Client`, which finds the `tcp.HostClient` for each URL; the load's hosts are asked in turn."""
    turn = cycle([f"http://{host}:{load.port}/" for host in load.hosts])
    async with tcp.Client(max_conns_per_host=load.connections) as client:

        async def caller(left: Iterator[int]) -> None:
            for _ in left:
                response = await client.get(next(turn), timeout=TIMEOUT)
                assert response.body == BODY

        yield caller


@asynccontextmanager
async def sleepy_pipeline(load: Load) -> AsyncIterator[Caller]:
    """`tcp.PipelineClient` on one connection."""
    async with tcp.PipelineClient(f"127.0.0.1:{load.port}", max_conns=1) as pipe:

        async def caller(left: Iterator[int]) -> None:
            for _ in left:
                response = await pipe.get("/", timeout=TIMEOUT)
                assert response.body == BODY

        yield caller


@asynccontextmanager
async def aiohttp_session(load: Load) -> AsyncIterator[Caller]:
    aiohttp = import_module("aiohttp")
    url = f"http://127.0.0.1:{load.port}/"
    connector, timeout = aiohttp.TCPConnector(limit=load.connections), aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def caller(left: Iterator[int]) -> None:
            for _ in left:
                async with session.get(url) as response:
                    assert await response.read() == BODY

        yield caller


@asynccontextmanager
async def httpx_client(load: Load) -> AsyncIterator[Caller]:
    httpx = import_module("httpx")
    url = f"http://127.0.0.1:{load.port}/"
    limits = httpx.Limits(max_connections=load.connections, max_keepalive_connections=load.connections)
    async with httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(TIMEOUT, pool=None)) as client:

        async def caller(left: Iterator[int]) -> None:
            for _ in left:
                response = await client.get(url)
                assert response.content == BODY

        yield caller


@asynccontextmanager
async def pyreqwest_client(load: Load) -> AsyncIterator[Caller]:
    url = f"http://127.0.0.1:{load.port}/"
    builder = (
        import_module("pyreqwest.client")
        .ClientBuilder()
        .max_connections(load.connections)
        .timeout(timedelta(seconds=TIMEOUT))
    )
    async with builder.build() as client:

        async def caller(left: Iterator[int]) -> None:
            for _ in left:
                response = await client.get(url).build().send()
                assert await response.bytes() == BODY

        yield caller


@asynccontextmanager
async def wreq_client(load: Load) -> AsyncIterator[Caller]:
    wreq = import_module("wreq")
    url = f"http://127.0.0.1:{load.port}/"
    client = wreq.Client(timeout=timedelta(seconds=TIMEOUT))
    room = asyncio.Semaphore(load.connections)  # it has no limit of its own

    async def caller(left: Iterator[int]) -> None:
        for _ in left:
            async with room:
                response = await client.get(url)
                assert await response.bytes() == BODY

    yield caller


def on(loop: str, opening: Open, *needs: str, pipelined: bool = False) -> Contender:
    """An asyncio client on ``loop``."""
    needed = (*needs, "uvloop") if loop == "uvloop" else needs
    return Contender(lambda load: OnLoop(opening, load, loop), needed, pipelined)


def curl(load: Load) -> Client:
    client: Client = import_module("benchmarks.http.curl").Curl(load)
    return client


def with_compiled(contenders: dict[str, Contender]) -> dict[str, Contender]:
    """The contenders, and behind each of ours the same with the compiled package."""
    both: dict[str, Contender] = {}
    for name, contender in contenders.items():
        both[name] = contender
        if name.startswith("sleepy"):
            what, comma, loop = name.partition(", ")
            both[f"{what}, compiled{comma}{loop}"] = replace(contender, compiled=True)
    return both


CONTENDERS = with_compiled(
    {
        "floor": Contender(Floor),
        "sleepy HostClient": on("asyncio", sleepy_host),
        "sleepy HostClient, uvloop": on("uvloop", sleepy_host),
        "sleepy Client": on("asyncio", sleepy_client),
        "sleepy Client, uvloop": on("uvloop", sleepy_client),
        "pycurl multi, no asyncio": Contender(curl, ("pycurl",)),
        "aiohttp": on("asyncio", aiohttp_session, "aiohttp"),
        "aiohttp, uvloop": on("uvloop", aiohttp_session, "aiohttp"),
        "httpx, uvloop": on("uvloop", httpx_client, "httpx"),
        "pyreqwest, uvloop": on("uvloop", pyreqwest_client, "pyreqwest"),
        "wreq, uvloop": on("uvloop", wreq_client, "wreq"),
        "floor, pipelined": Contender(PipelinedFloor, pipelined=True),
        "sleepy PipelineClient": on("asyncio", sleepy_pipeline, pipelined=True),
        "sleepy PipelineClient, uvloop": on("uvloop", sleepy_pipeline, pipelined=True),
    }
)
MAIN = list(CONTENDERS)
AGAINST = {name: "floor, pipelined" if contender.pipelined else "floor" for name, contender in CONTENDERS.items()}
IDLE = ["floor", *(name for name in MAIN if name.startswith("sleepy HostClient"))]
MANY = with_compiled(
    {
        "sleepy HostClients": on("asyncio", sleepy_hosts),
        "sleepy HostClients, uvloop": on("uvloop", sleepy_hosts),
    }
)
HOSTS = ["floor", *MANY, *(name for name in MAIN if name.startswith("sleepy Client"))]
CONTENDERS |= MANY
