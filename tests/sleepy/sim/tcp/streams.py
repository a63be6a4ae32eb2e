"""A client and a server over simulated TCP: what the tests of transports, servers and stacks have in common."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from sleepy import sim

PORT = 8000


DELAY = 0.05


MINUTE = 60.0


GIVING_UP = 900.0  # seconds that 15 expiries take at least


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def simulate(
    client: Callable[[], Coroutine[Any, Any, Any]],
    handler: Handler | None = None,
    link: sim.Link | None = None,
    seed: int = 0,
    **limits: float,
) -> Any:
    """Run a client against a server that treats each connection by the handler."""
    network = sim.Network(seed)
    network.link("client", "server", sim.Link(delay=DELAY) if link is None else link)

    async def serve() -> None:
        await asyncio.start_server(handler, "0.0.0.0", PORT)

    async def main() -> Any:
        if handler is not None:
            await network.host("server").run(serve())
        return await network.host("client").run(client())

    return sim.run(main(), network, **limits)


def now() -> float:
    return asyncio.get_running_loop().time()


async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each line in capitals."""
    async for line in reader:
        writer.write(line.upper())
        await writer.drain()
    writer.close()


async def count_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with how many bytes came."""
    total = 0
    while data := await reader.read(65536):
        total += len(data)
    writer.write(b"%d" % total)
    writer.close()


class Recorder(asyncio.Protocol):
    """Remembers how it ended."""

    def __init__(self) -> None:
        self.ends: list[Any] = []

    def eof_received(self) -> None:
        self.ends.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.ends.append(exc)


async def record(handler_time: float = 1.0) -> tuple[asyncio.Transport, Recorder]:
    return await asyncio.get_running_loop().create_connection(Recorder, "server", PORT)
