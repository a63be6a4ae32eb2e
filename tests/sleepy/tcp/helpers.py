"""A peer that plays by the test's script, a clock that moves by hand, and eyes for what a client does.

Everything awaited here gives up after `PATIENCE`, so that what should happen and does not is a failure and no hang.
"""

import asyncio
import atexit
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Self, TypeVar
from unittest.mock import Mock

from sleepy.trace import Event, Trace

T = TypeVar("T")
PATIENCE = 20.0  # seconds


async def soon(awaitable: Awaitable[T]) -> T:
    """What is awaited, if it comes before patience ends."""
    return await asyncio.wait_for(awaitable, PATIENCE)


async def turns(count: int = 10) -> None:
    """Let the event loop turn: whatever is ready, and what that makes ready, happens."""
    for _ in range(count):
        await asyncio.sleep(0)


async def turns_until(ready: Callable[[], bool]) -> None:
    """Let the event loop turn until something is so, for what nobody tells of."""
    async with asyncio.timeout(PATIENCE):
        while not ready():  # noqa: ASYNC110 -- nobody would set an event
            await asyncio.sleep(0)


class Clock:
    """The loop's clock, which can be moved on: what is due in a minute is due now.

    By itself it goes at a tenth of its pace: what is due in two seconds is not due because the machine was busy for so long.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._time = loop.time
        self._began = loop.time()
        self._moved = 0.0
        loop.time = self.time  # type: ignore[method-assign]

    def time(self) -> float:
        return self._began + (self._time() - self._began) / 10 + self._moved

    async def advance(self, seconds: float) -> None:
        await turns()  # what was begun first is begun before
        self._moved += seconds
        await turns()


class Watch:
    """A trace that can be awaited."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self.trace = Trace("test", asyncio.get_running_loop().time, self._record)

    def _record(self, event: Event) -> None:
        self.events.append(event)
        for ready, future in self._waiters:
            if ready() and not future.done():
                future.set_result(None)

    def named(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]

    async def see(self, name: str, count: int = 1) -> list[Event]:
        """Wait until ``count`` events of that name have been seen; give them."""

        def ready() -> bool:
            return len(self.named(name)) >= count

        if not ready():
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((ready, future))
            await soon(future)
        return self.named(name)


def speaks_first(words: bytes) -> Callable[..., Awaitable[Any]]:
    """A dial to a peer whose first words are there before its connection is handed over."""

    async def dial(factory: Callable[[], Any], **_: object) -> Any:
        connection = factory()
        connection.connection_made(transport := Mock(asyncio.Transport))
        transport.is_closing.side_effect = lambda: transport.abort.called
        connection.data_received(words)
        if transport.abort.called:
            connection.connection_lost(None)
        return connection

    return dial


class Wire(asyncio.Protocol):
    """One connection in the hands of the test: raw bytes both ways."""

    def __init__(self, made: Callable[["Wire"], None] = lambda wire: None) -> None:
        self.received = bytearray()
        self.transport: asyncio.Transport
        self.ended = False  # the other side has said that nothing follows, or the connection is gone
        self.lost = False
        self.error: Exception | None = None
        self._made = made
        self._changed = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._made(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._changed.set()

    def eof_received(self) -> bool:
        self.ended = True
        self._changed.set()
        return True  # we close when the test says so

    def connection_lost(self, exc: Exception | None) -> None:
        self.error, self.ended, self.lost = exc, True, True
        self._changed.set()

    async def until(self, ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not ready():
                self._changed.clear()
                await self._changed.wait()

    async def read(self, end: bytes) -> bytes:
        """Everything up to and with ``end``."""
        await self.until(lambda: end in self.received or self.ended)
        assert end in self.received, f"the connection ended with {bytes(self.received)!r}, without {end!r}"
        size = self.received.index(end) + len(end)
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    async def read_head(self) -> bytes:
        return await self.read(b"\r\n\r\n")

    async def read_all(self) -> bytes:
        """All that is left until the other side ends."""
        await self.until(lambda: self.ended)
        data = bytes(self.received)
        self.received.clear()
        return data

    async def gone(self) -> None:
        """Wait until the other side has ended or is gone."""
        await self.until(lambda: self.ended)

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def answer(self, body: bytes = b"", *fields: str, status: str = "200 OK") -> None:
        lines = [f"HTTP/1.1 {status}", *fields, f"content-length: {len(body)}", "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def end(self) -> None:
        """Say that nothing follows, and go on reading."""
        self.transport.write_eof()

    def close(self) -> None:
        self.transport.close()

    def reset(self) -> None:
        """Break it off: the other side gets an error, not an end."""
        sock: socket.socket = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Peer:
    """A server whose connections are played by the test."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []  # every connection there was
        self._new: asyncio.Queue[Wire] = asyncio.Queue()
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Wire(self._made), "127.0.0.1", 0)
        self.addr = "{}:{}".format(*self._server.sockets[0].getsockname())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        for wire in self.wires:
            wire.transport.abort()
            await wire.until(lambda wire=wire: wire.lost)  # type: ignore[misc]

    def _made(self, wire: Wire) -> None:
        self.wires.append(wire)
        self._new.put_nowait(wire)

    def stop(self) -> None:
        """Listen no more; the connections stay."""
        self._server.close()

    async def accept(self) -> Wire:
        """The next connection, in the order in which they came."""
        return await soon(self._new.get())


@asynccontextmanager
async def connected(address: tuple[str, int]) -> AsyncIterator[Wire]:
    """A raw connection to a server."""
    _, wire = await asyncio.get_running_loop().create_connection(Wire, *address)
    try:
        yield wire
    finally:
        wire.transport.abort()
        await wire.until(lambda: wire.lost)


@cache
def closed_port() -> str:
    """An address on this machine where nobody listens.

    The port is taken, by a socket that does not listen and stays for as long as the tests run: so nobody else can, and no
    dial is given it as its own port and finds itself there.
    """
    sock = socket.socket()
    atexit.register(sock.close)
    sock.bind(("127.0.0.1", 0))
    host, port = sock.getsockname()
    return f"{host}:{port}"
