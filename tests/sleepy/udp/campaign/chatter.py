"""What programs say to a peer and hear of it: messages on all channels, blocks and streams. Everything is written down."""

import asyncio
import struct
from collections.abc import AsyncIterator, Coroutine
from random import Random
from typing import Any, Final, Protocol

from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.connection_errors import ConnectionClosed
from sleepy.udp.delivery.channels.config import QueueFull
from sleepy.udp.nodes.peer import Peer
from sleepy.udp.nodes.peer_blocks import BlockGivenUp, BlockReader
from tests.sleepy.udp.campaign.ledger import HEAD, Ledger, Voice

STREAM_HEAD: Final = struct.Struct(">II")  # voice, and how many bytes follow
NAP: Final = 1.0  # seconds: the longest that a reader does not read


class Mind(Protocol):
    """Whose program it is."""

    @property
    def calm(self) -> bool:
        """Whether to do nothing odd any more."""
        ...

    async def awake(self) -> None:
        """Wait while the host stands still."""
        ...


class Chat:
    """A program's conversation with one peer.

    Args:
        mind: Whose it is.
        peer: The peer.
        voice: Our voice.
        ledger: Is told.
        config: The connection's options.
        random: The source of chance.

    Attributes:
        said_all: Whether there is nothing more to say.
        tasks: Those at blocks and streams.
    """

    def __init__(
        self, mind: Mind, peer: Peer, voice: Voice, ledger: Ledger, config: ConnectionConfig, random: Random
    ) -> None:
        self.peer = peer
        self.voice = voice
        self.said_all = False
        self._mind = mind
        self._ledger = ledger
        self._config = config
        self._random = random
        self._open = 0  # blocks and streams
        self.tasks: set[asyncio.Task[None]] = set()

    async def talk(self) -> None:
        """Say and hear all, until the connection ends."""
        tasks = [self._say(), self._accept_streams(), self._accept_blocks()]
        tasks += [self._listen(channel) for channel in range(len(self._config.channels))]
        await asyncio.gather(*map(self._until_the_end, tasks))

    @property
    def settled(self) -> bool:
        """Whether all was said, and blocks and streams are over."""
        return self.said_all and not self._open

    async def _until_the_end(self, doing: Coroutine[Any, Any, None]) -> None:
        """The connection's end is no error here; but it must be the one that the peer tells (rule 7)."""
        try:
            await doing
        except ConnectionClosed as error:
            known = self.peer.error
            self._ledger.check(
                known is not None or self.peer.is_closing, f"voice {self.voice.number}: {error!r} while it is open"
            )
            if known is not None and error is not known:
                self._ledger.violate(f"voice {self.voice.number}: {error!r} is raised, and {known!r} is its end")

    async def _pause(self, *seconds: float) -> None:
        await asyncio.sleep(self._random.choice(seconds) if not self._mind.calm else 0.01)
        await self._mind.awake()

    # ---- messages

    async def _say(self) -> None:
        random, channels = self._random, range(len(self._config.channels))
        reliable = [channel for channel in channels if self._config.channels[channel].delivery.reliable]
        await self._send(random.choice(reliable), 20, None, waits=True)  # so that both voices know each other
        if random.random() < 0.4:
            self._open += 1
            self._begin(self._use_stream(*await self.peer.open_stream()))
        for _ in range(random.choice([0, 0, 1, 3])):
            self._open += 1
            self._begin(self._send_block())
        for _ in range(random.choice([3, 15, 40, 90])):
            size = random.choice([0, 9, 30, 30, 100, 100, 100, 300, 1024, 1025, 4000])
            lifetime = random.choice([None, None, None, 0.0, 0.05, 0.5, 3.0])
            await self._send(random.choice(channels), size, lifetime, waits=random.random() < 0.8)
            if random.random() < 0.2:
                await self._pause(0.0, 0.001, 0.02, 0.3)
        self.said_all = True

    async def _send(self, channel: int, size: int, lifetime: float | None, *, waits: bool) -> None:
        await self._mind.awake()
        voice, ledger = self.voice, self._ledger
        message = ledger.say(voice, channel, size, lifetime)
        number = len(voice.said[channel]) - 1
        try:
            if waits:
                await self.peer.send(message, channel, lifetime=lifetime)
            else:
                self.peer.send_nowait(message, channel, lifetime=lifetime)
        except QueueFull:
            ledger.unsay(voice, channel)
            ledger.outcomes["no room"] += 1
            ledger.check(not waits, "send waits for room, and said that there is none")
        except (ConnectionClosed, asyncio.CancelledError):
            ledger.unsay(voice, channel)
            raise
        assert number == len(voice.said[channel]) - 1

    async def _listen(self, channel: int) -> None:
        random = self._random
        while True:
            await self._mind.awake()
            if random.random() < 0.05 and not self._mind.calm:
                await self._pause(0.05, NAP)  # back-pressure
                self._ledger.longest_way += NAP
            hurry = random.random() < 0.1
            try:
                async with asyncio.timeout(0.02 if hurry else None):
                    message = await self.peer.receive(channel)
            except TimeoutError as error:
                if isinstance(error, ConnectionClosed):
                    raise
                continue
            self._ledger.hear(self.voice, channel, message)

    # ---- streams

    def _begin(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(self._until_the_end(doing))
        self.tasks.add(task)  # asyncio itself would not keep it alive
        task.add_done_callback(self.tasks.discard)

    async def _use_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Write all, and get the number of bytes as an answer."""
        data = stream_bytes(self.voice.number, self._random.choice([0, 1, 500, 6000, 40_000]))
        try:
            for start in range(0, len(data), 3000):
                writer.write(data[start : start + 3000])
                if self._random.random() < 0.5:
                    await writer.drain()
            writer.write_eof()
            answer = await reader.read()
            self._ledger.check(answer == b"%d" % len(data), f"a stream of {len(data)} bytes is answered {answer!r}")
            self._ledger.outcomes["streams whole"] += 1
            writer.close()
            await writer.wait_closed()
        except ConnectionResetError as error:
            self._on_reset(error)
        finally:
            self._open -= 1

    def _on_reset(self, error: ConnectionResetError) -> None:
        """A stream is given up only by the odd (see `_serve_stream`), or with the connection."""
        odd = "takes no more" in str(error) or "given this stream up" in str(error)
        if not self.peer.is_closing and not (odd and self._ledger.faults["stream aborted"]):
            self._ledger.violate(f"voice {self.voice.number}: a stream ended with {error!r}")

    async def _accept_streams(self) -> None:
        while True:
            reader, writer = await self.peer.accept_stream()
            self._open += 1
            self._begin(self._serve_stream(reader, writer))

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read all, and answer (rule 6)."""
        got = b""
        try:
            if self._random.random() < 0.05:
                self._ledger.fault("stream aborted")
                writer.transport.abort()
                return
            while piece := await reader.read(5000):
                got += piece
                self._check_bytes(got)
                if self._random.random() < 0.1:
                    await self._pause(0.0, 0.2)
            self._check_bytes(got, whole=True)
            writer.write(b"%d" % len(got))
            writer.close()
            await writer.wait_closed()
        except ConnectionResetError as error:
            self._on_reset(error)
        finally:
            self._open -= 1

    # ---- blocks

    async def _send_block(self) -> None:
        """All of it is taken, or it is given up by one of the two."""
        data = stream_bytes(self.voice.number, self._random.choice([0, 1, 6000, 60_000]))
        try:
            async with asyncio.timeout(self._random.choice([None, None, None, 0.3])):
                await self.peer.send_block(data if self._random.random() < 0.5 else self._pieces(data))
            self._ledger.outcomes["blocks whole"] += 1
        except BlockGivenUp as error:
            self._ledger.check(error.reason == "enough", f"a block was given up: {error!r}")
        except TimeoutError as error:
            if isinstance(error, ConnectionClosed):
                raise
            self._ledger.fault("block cancelled")
        finally:
            self._open -= 1

    async def _pieces(self, data: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(data), 7000):
            yield data[start : start + 7000]
            await self._pause(0.0, 0.01, 0.3)

    async def _accept_blocks(self) -> None:
        while True:
            block = await self.peer.accept_block()
            self._open += 1
            self._begin(self._take_block(block))

    async def _take_block(self, block: BlockReader) -> None:
        got = b""
        try:
            if self._random.random() < 0.05:
                self._ledger.fault("block stopped")
                block.stop(reason="enough")
                return
            while piece := await block.read(5000):
                got += piece
                self._check_bytes(got)
                if self._random.random() < 0.1:
                    await self._pause(0.0, 0.2)
            self._check_bytes(got, whole=True)
        except BlockGivenUp as error:
            self._ledger.check("its sender" in error.reason, f"a block was given up: {error!r}")
            self._ledger.check(self._ledger.faults["block cancelled"] > 0, "a block was given up, and nobody did it")
        finally:
            self._open -= 1

    def _check_bytes(self, got: bytes, *, whole: bool = False) -> None:
        if len(got) < STREAM_HEAD.size:
            self._ledger.check(not whole, f"a block or stream ends after {len(got)} bytes")
            return
        number, size = STREAM_HEAD.unpack_from(got)
        speaker = self._ledger.voices.get(number)
        expected = stream_bytes(number, size)
        if speaker is None or not expected.startswith(got):
            self._ledger.violate(f"voice {self.voice.number} reads what nobody wrote: {got[:20]!r}")
        elif self._ledger.meet(self.voice, speaker) and whole:
            self._ledger.check(
                len(got) == len(expected), f"a block or stream of {len(expected)} bytes ends after {len(got)}"
            )


def stream_bytes(number: int, size: int) -> bytes:
    """What a voice writes on a stream, or sends as a block."""
    assert HEAD.size > STREAM_HEAD.size
    pattern = bytes((number + i) % 251 for i in range(251))
    return STREAM_HEAD.pack(number, size) + (pattern * (size // 251 + 1))[:size]
