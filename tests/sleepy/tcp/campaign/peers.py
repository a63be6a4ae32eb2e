"""The hosts that serve: scripted peers that do everything wrong, and `sleepy.tcp.Server` with a moody handler.

A peer is bad until it is told to be calm. What it does on purpose is in the ledger.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from random import Random
from typing import Any, Protocol

from sleepy.sim.host import Host
from sleepy.tcp import Request, Response, Server
from sleepy.tcp.codec import Codec
from tests.sleepy.tcp.campaign.dialects import TRUE_ODDITIES, Asked, Dialect, frame_id, http_id, poison
from tests.sleepy.tcp.campaign.ledger import Ledger

PORT = 80
FOR_EVER = 1e6  # seconds
# What a scripted peer does to a request, beside the lies of its dialect.
DEEDS = (
    "slow", "stall", "close before", "reset before", "cut", "cut and reset", "cut and stall", "drip", "close after",
    "reset after", "answer twice", "unasked", "late unasked",
)  # fmt: skip
GREETINGS = ("drop", "greet with an answer", "greet with garbage")


class Moods:
    """How a peer fails, and how often; drawn once per peer, so that some runs show one fault again and again.

    Args:
        random: The source of chance.
        lies: Those of the dialect.
    """

    def __init__(self, random: Random, lies: tuple[str, ...]) -> None:
        self.random = random
        kinds = DEEDS + lies
        self._kinds = random.sample(kinds, random.choice([1, 2, 4, len(kinds)]))
        self._badness = random.choice([0.02, 0.1, 0.3, 0.8])
        self._greeting = random.choice([0.0, 0.0, 0.1, 0.5])
        self._idle = random.choice([FOR_EVER, FOR_EVER, 0.001, 0.05, 0.3])
        self._refusal = random.choice([0.0, 0.5])
        self.calm = False

    def deed(self) -> str | None:
        """What to do to the next request; None to answer it."""
        bad = not self.calm and self.random.random() < self._badness
        return self.random.choice(self._kinds) if bad else None

    def greeting(self) -> str | None:
        """What to do to a new connection; None to serve it."""
        bad = not self.calm and self.random.random() < self._greeting
        return self.random.choice(GREETINGS) if bad else None

    def refuses(self) -> bool:
        """Whether to answer before the body is read."""
        return not self.calm and self.random.random() < self._refusal

    def body(self) -> bytes:
        """The body of an answer."""
        return b"x" * self.random.choice([0, 3, 30] if self.calm else [0, 3, 30, 30, 3000])

    def idle_time(self) -> float:
        """How long to wait for the next request, in seconds."""
        return FOR_EVER if self.calm else self.random.uniform(0.5, 1.5) * self._idle


class Peer(Protocol):
    """A host that serves."""

    async def up(self) -> None:
        """Serve."""
        ...

    async def down(self) -> None:
        """Listen no more, and break off every connection."""
        ...

    def be_calm(self) -> None:
        """Do no more harm."""
        ...


class Counts:
    """How many connections each client has open here, and had at most.

    A client that has said that it will close (by FIN or RST) has one connection less, as soon as that is here.
    """

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    def opened(self, client: str) -> None:
        self.now[client] += 1
        self.most[client] = max(self.most[client], self.now[client])

    def closed(self, client: str) -> None:
        self.now[client] -= 1


class _Line(asyncio.StreamReaderProtocol):
    """One connection to a scripted peer: counts it, and has it talked to."""

    def __init__(self, peer: "ScriptedPeer") -> None:
        super().__init__(asyncio.StreamReader(limit=1 << 20), self._begin)
        self._peer = peer
        self._client = ""

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peer.begin(reader, writer)

    def connection_made(self, transport: Any) -> None:
        self._client = transport.get_extra_info("peername")[0]
        self._peer.counts.opened(self._client)
        super().connection_made(transport)

    def eof_received(self) -> bool | None:
        self._end()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)
        waiter = self._get_close_waiter(None)  # type: ignore[attr-defined]  # whether it is asked for is left to the gc
        if waiter.done() and not waiter.cancelled():
            waiter.exception()

    def _end(self) -> None:
        if self._client:
            self._peer.counts.closed(self._client)
            self._client = ""


class ScriptedPeer:
    """Raw bytes, badly behaved.

    Args:
        host: Where it lives.
        dialect: What it speaks.
        ledger: Is told.
        random: The source of chance.
    """

    def __init__(self, host: Host, dialect: Dialect, ledger: Ledger, random: Random) -> None:
        self._host = host
        self._dialect = dialect
        self._ledger = ledger
        self._moods = Moods(random, dialect.lies)
        self._random = random
        self._talks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None
        self._numbers = 0
        self.counts = Counts()

    async def up(self) -> None:
        """See `Peer`."""

        async def listen() -> asyncio.Server:
            return await asyncio.get_running_loop().create_server(lambda: _Line(self), "0.0.0.0", PORT)

        if self._server is None:
            self._server = await self._host.run(listen())

    async def down(self) -> None:
        """See `Peer`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        talks = dict(self._talks)
        for task, writer in talks.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    def be_calm(self) -> None:
        """See `Peer`."""
        self._moods.calm = True

    def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection has come."""
        self._numbers += 1
        number = self._numbers * 1000 + int(self._host.address.rsplit(".", 1)[1])
        task = asyncio.get_running_loop().create_task(self._talk(reader, writer, number))
        self._talks[task] = writer
        task.add_done_callback(self._talks.pop)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
                if await self._greet(writer, number):
                    while await self._serve(reader, writer, number):
                        pass
        finally:
            writer.close()

    async def _greet(self, writer: asyncio.StreamWriter, number: int) -> bool:
        greeting = self._moods.greeting()
        if greeting is None:
            return True
        self._ledger.fault(greeting, connection=number)
        if greeting == "greet with an answer":
            writer.write(poison(self._dialect, self._ledger, number))
        elif greeting == "greet with garbage":
            self._ledger.liars.add(number)
            writer.write(b"\xfe\xfdhello")
        return greeting != "drop"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        """Serve one request; whether another may follow."""
        try:
            async with asyncio.timeout(self._moods.idle_time()):
                asked = await self._dialect.read(reader, self._moods.refuses, writer.write)
        except TimeoutError:
            self._ledger.fault("idle close", connection=number)
            raise
        token = self._ledger.token(asked.id, number)
        body = self._moods.body()
        if asked.whole:
            self._ledger.execute(asked.id)
            deed = self._moods.deed()
        else:
            deed = "refuse early"
        if deed is None:
            self._ledger.promise(token, body)
            writer.write(self._dialect.answer(token, body, asked))
            return True
        self._ledger.fault(deed, id=asked.id, connection=number)
        if deed in self._dialect.lies:
            return self._lie(deed, writer, token, body, asked, number)
        return await self._do(deed, reader, writer, token, body, asked, number)

    def _lie(
        self, kind: str, writer: asyncio.StreamWriter, token: bytes, body: bytes, asked: Asked, number: int
    ) -> bool:
        if kind in TRUE_ODDITIES:
            self._ledger.promise(token, body)
        else:
            self._ledger.liars.add(number)
        lie = self._dialect.lie(kind, token, body, asked, self._random)
        writer.write(lie.data)
        return not lie.close

    async def _do(
        self,
        deed: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        token: bytes,
        body: bytes,
        asked: Asked,
        number: int,
    ) -> bool:
        self._ledger.promise(token, body)
        answer = self._dialect.answer(token, body, asked)
        part = answer[: self._random.randrange(len(answer))]
        pause = self._random.choice([0.001, 0.05, 0.5, 3.0])
        match deed:
            case "slow":
                await asyncio.sleep(pause)
                writer.write(answer)
            case "stall":
                await self._swallow(reader)
            case "close before":
                return False
            case "reset before":
                writer.transport.abort()
            case "cut" | "refuse early" | "close after":
                writer.write(part if deed == "cut" else answer)
                return False
            case "cut and reset":
                writer.write(part)
                await asyncio.sleep(pause)
                writer.transport.abort()
            case "cut and stall":
                writer.write(part)
                await self._swallow(reader)
            case "drip":
                for start in range(0, len(answer), max(1, len(answer) // 5)):
                    writer.write(answer[start : start + max(1, len(answer) // 5)])
                    await asyncio.sleep(pause / 10)
            case "reset after":
                writer.write(answer)
                await asyncio.sleep(pause)
                writer.transport.abort()
            case "answer twice":
                writer.write(answer + self._dialect.answer(token, body, asked))
                self._ledger.liars.add(number)
            case "unasked":
                writer.write(answer + poison(self._dialect, self._ledger, number))
            case _:  # "late unasked"
                writer.write(answer)
                await asyncio.sleep(pause)
                writer.write(poison(self._dialect, self._ledger, number))
        return not writer.transport.is_closing()

    async def _swallow(self, reader: asyncio.StreamReader) -> None:
        """Read on and answer nothing, until the client leaves."""
        while await reader.read(65536):
            pass
        raise ConnectionError


class Deliberate(Exception):
    """The handler of a `ServerPeer` fails on purpose."""


class ServerPeer:
    """`sleepy.tcp.Server` with a moody handler.

    Args:
        host: Where it lives.
        codec: What it speaks; None for HTTP.
        ledger: Is told.
        random: The source of chance.
    """

    def __init__(self, host: Host, codec: Codec[Any, Any] | None, ledger: Ledger, random: Random) -> None:
        self._host = host
        self._codec = codec
        self._ledger = ledger
        self._random = random
        self._badness = random.choice([0.01, 0.05, 0.3])
        self._idle_timeout = random.choice([None, 0.05, 0.5, 60.0])
        self._queue = random.choice([1, 64])
        self._serving: asyncio.Task[None] | None = None

    async def up(self) -> None:
        """See `Peer`."""
        if self._serving is not None:
            return
        ready = asyncio.Event()

        async def serve() -> None:
            async with Server(
                self._handle,
                "0.0.0.0",
                PORT,
                codec=self._codec,
                idle_timeout=self._idle_timeout,
                max_queued_requests=self._queue,
                drain_timeout=0.0,
            ):
                ready.set()
                await asyncio.Event().wait()

        self._serving = self._host.start(serve())
        await ready.wait()

    async def down(self) -> None:
        """See `Peer`."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving])
            self._serving = None

    def be_calm(self) -> None:
        """See `Peer`."""
        self._badness = 0.0
        self._idle_timeout = None

    async def _handle(self, request: Any) -> Any:
        http = isinstance(request, Request)
        number = http_id(request) if http else frame_id(request)
        self._ledger.execute(number)
        deed = None
        if self._random.random() < self._badness:
            deed = self._random.choice(["slow", "stall", "fail", "farewell", "stream", "leave"])
            self._ledger.fault(f"server: {deed}", id=number)
        token = self._ledger.token(number, 0)
        body = b"x" * self._random.choice([0, 3, 30, 30, 3000 if self._badness else 30])
        self._ledger.promise(token, body)
        match deed:
            case "slow":
                await asyncio.sleep(self._random.choice([0.001, 0.05, 0.5, 3.0]))
            case "stall":
                await asyncio.sleep(FOR_EVER)
            case "fail":
                self._ledger.failed.add(number)
                raise Deliberate
            case "leave":
                raise asyncio.CancelledError  # as when the handler's own work is cancelled
            case _:
                pass
        if not http:
            return token + body
        if deed == "stream":
            return Response(200, headers={}, reason=token.decode(), stream=_pieces(body, self._random.random() * 0.1))
        return Response(200, body, reason=token.decode(), keep_alive=deed != "farewell")


async def _pieces(body: bytes, pause: float) -> Any:
    for start in range(0, len(body), 1000):
        await asyncio.sleep(pause)
        yield body[start : start + 1000]
