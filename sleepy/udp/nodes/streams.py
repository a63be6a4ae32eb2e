"""Streams of bytes to a peer, as asyncio's programs know them.

A stream is two blocks (`sleepy.udp.delivery.blocks`), one in each direction, under an asyncio transport: so what comes out
is a ``StreamReader`` and a ``StreamWriter`` of asyncio's own, and whatever was written for those works here. Several
streams to one peer do not hold each other up: what is lost of one delays that one only.

Rules:

1. Who opens a stream begins a block whose label names it; who accepts it answers with a block of the same name. Each
   end may finish its own direction (``write_eof``) while the other goes on.
2. Back-pressure is asyncio's: ``drain`` waits while more than `HIGH_WATER` bytes wait here. Below that the block's
   window lies with its own: a reader that does not read stops the writer on the other side.
3. ``close`` ends what we send, and takes no more: the peer's writer gets ``ConnectionResetError`` if it had more to
   say. ``wait_closed`` waits until all we sent has arrived.
4. What is written in one turn of the loop is sent together, and at once (`sleepy.udp.nodes.stream_frames`).
5. A stream that nobody accepts costs no more than its block's window; one that was given up before it was accepted is
   forgotten (`sleepy.udp.nodes.block_desk`).
6. If the connection ends, an exchange that was complete stays one: what arrived can still be read, to its end. Any other
   raises the error that says why, and what the reader has not taken of it is gone, as with asyncio's TCP.
"""

import asyncio
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Final, Protocol

from sleepy.udp.address import Address, in_words
from sleepy.udp.connections.connection_errors import ConnectionClosed
from sleepy.udp.delivery.blocks import BlockState, OutgoingBlock
from sleepy.udp.delivery.incoming_blocks import IncomingBlock
from sleepy.udp.nodes.block_desk import GIVEN_UP, BlockDesk
from sleepy.udp.nodes.stream_frames import FrameReader, largest_frame, write_frame

HIGH_WATER: Final = 1 << 16  # bytes (rule 2)
READ_LIMIT: Final = 1 << 16  # bytes that a reader holds before it stops taking more; and the longest line

_CALL: Final = b"\0stream call "
_ANSWER: Final = b"\0stream answer "


class Addressed(Protocol):
    """A peer, as far as a stream has to know it."""

    @property
    def address(self) -> Address:
        """Where it is now."""
        ...


StreamEnds = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Streams:
    """All streams between a peer and us.

    Args:
        desk: Where blocks are had.
        peer: What ``writer.get_extra_info("peer")`` gives.
    """

    def __init__(self, desk: BlockDesk, peer: Addressed) -> None:
        self._desk = desk
        self._peer = peer
        self._numbers = count()
        self._unanswered: dict[bytes, StreamTransport] = {}  # by name
        self._arrivals = desk.queue(_CALL)
        desk.take(_ANSWER, self._on_answer)

    async def open(self) -> StreamEnds:
        """Open a stream (rule 1); waits while there are too many.

        Raises:
            ConnectionClosed: The connection has ended.
        """
        name = next(self._numbers).to_bytes(4, "little")
        reader, writer, transport = self._make(await self._desk.open(_CALL + name))
        self._unanswered[name] = transport
        return reader, writer

    async def accept(self) -> StreamEnds:
        """Wait for a stream that the peer opens, and answer it (rule 1).

        Raises:
            ConnectionClosed: The connection has ended.
        """
        call, answer = await self._arrivals.turnstile.until(self._try_accept)
        reader, writer, transport = self._make(answer)
        self._desk.holders[call] = transport
        transport.begin_reading(call)
        return reader, writer

    def _try_accept(self) -> tuple[IncomingBlock, OutgoingBlock] | None:
        calls, desk = self._arrivals.blocks, self._desk
        if not calls:
            if desk.error is not None:
                raise desk.error
            return None
        name = (calls[0].label or b"").removeprefix(_CALL)
        answer = desk.try_open(_ANSWER + name)
        return (calls.popleft(), answer) if answer is not None else None

    def _on_answer(self, block: IncomingBlock) -> None:
        transport = self._unanswered.pop((block.label or b"").removeprefix(_ANSWER), None)
        if transport is not None:
            self._desk.holders[block] = transport
            transport.begin_reading(block)
        else:
            self._desk.refuse(block)

    def _make(self, block: OutgoingBlock) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, "StreamTransport"]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=READ_LIMIT, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport = StreamTransport(block, protocol, self._desk.touch, self._forget, self._peer)
        self._desk.holders[block] = transport
        self._desk.touch()
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop), transport

    def _forget(self, transport: "StreamTransport") -> None:
        self._desk.forget(transport)
        self._unanswered = {name: other for name, other in self._unanswered.items() if other is not transport}


class StreamTransport(asyncio.Transport):
    """What asyncio's reader and writer hold of a stream: two blocks under a transport.

    Args:
        outgoing: What we send.
        protocol: Whom it serves.
        touch: Is called when the connection may have something to send.
        forget: Is called with this transport when it is closed.
        peer: What ``get_extra_info("peer")`` gives.
    """

    def __init__(
        self,
        outgoing: OutgoingBlock,
        protocol: asyncio.StreamReaderProtocol,
        touch: Callable[[], object],
        forget: "Callable[[StreamTransport], object]",
        peer: Addressed,
    ) -> None:
        super().__init__({"peer": peer, "block": outgoing})
        self._peer = peer
        self._outgoing = outgoing
        self._incoming: IncomingBlock | None = None
        self._protocol = protocol
        self._touch = touch
        self._forget = forget
        self._frames = FrameReader()
        self._buffer = bytearray()
        self._written = 0  # bytes that the block was given
        self._push_due = False
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._paused_protocol = False
        self._reading = True
        self._eof_sent = self._eof_seen = self._closing = self._lost = False
        protocol.connection_made(self)

    def __repr__(self) -> str:
        return f"<StreamTransport {in_words(self._peer.address)}{', closing' if self._closing else ''}>"

    # ---- for the program

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; they wait here as long as the block has no room."""
        if self._lost:
            return  # as asyncio has it: `drain` will tell
        if self._eof_sent:
            raise RuntimeError("this stream was closed for writing, by write_eof() or close()")
        self._buffer += data
        self._check_water()
        self._push_soon()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send several pieces, one after the other."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Each direction has an end of its own."""
        return True

    def write_eof(self) -> None:
        """Say that no more comes from us; the peer may go on."""
        if not self._eof_sent:
            self._eof_sent = True
            self._push_soon()

    def close(self) -> None:
        """End what we send, and take no more (rule 3)."""
        if not self._closing:
            self._closing = self._eof_sent = True
            self._stop_incoming("the reader has closed the stream")
            self._push_soon()

    def abort(self) -> None:
        """Give both directions up."""
        self._closing = self._eof_sent = True
        self._buffer.clear()
        self._outgoing.cancel(GIVEN_UP, "the stream was aborted")
        self._stop_incoming("the stream was aborted")
        self._lose(None)

    def is_closing(self) -> bool:
        """Whether it was closed, by whom ever."""
        return self._closing

    def pause_reading(self) -> None:
        """Take no more for now: the window fills, and the peer has to wait."""
        self._reading = False

    def resume_reading(self) -> None:
        """Take again, from the next turn on: whoever asks for it does so just before it begins to wait."""
        self._reading = True
        asyncio.get_running_loop().call_soon(self._pull)

    def is_reading(self) -> bool:
        """Whether it takes what comes."""
        return self._reading and not self._closing

    def get_write_buffer_size(self) -> int:
        """Bytes that wait here."""
        return len(self._buffer)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Where ``drain`` stops to wait, and begins to."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set these, in bytes.

        Raises:
            ValueError: They are not in order.
        """
        high = high if high is not None else HIGH_WATER if low is None else 4 * low
        low = low if low is not None else high // 4
        if not 0 <= low <= high:
            raise ValueError(f"low is {low} and high {high}; choose 0 <= low <= high")
        self._low, self._high = low, high
        self._check_water()

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whom it serves."""
        return self._protocol

    # ---- for the blocks

    def begin_reading(self, incoming: IncomingBlock) -> None:
        """The peer's direction is there."""
        self._incoming = incoming
        if self._closing:
            self._stop_incoming("the reader has closed the stream")
        else:
            self.on_change()

    def on_change(self) -> None:
        """A block has come further, or to its end."""
        if self._outgoing.state is BlockState.STOPPED and self._outgoing.acked < self._written:
            self._lose(self._refusal())
        elif self._incoming is not None and self._incoming.state is BlockState.CANCELLED:
            self._lose(ConnectionResetError(f"the peer has given this stream up: {self._incoming.reason}"))
        else:
            self._push()
            self._pull()
            self._check_end()

    def on_connection_closed(self, error: ConnectionClosed) -> None:
        """No more will come or go; that is an error, unless the peer had ended, and has all that was written (rule 6)."""
        self._reading = True  # nobody can be slowed down any more, and what has arrived is in memory anyway
        self._pull()
        unsent = self._buffer or self._outgoing.acked < self._written
        self._lose(error if unsent or not self._eof_seen else None)

    def _push_soon(self) -> None:
        """Rule 4."""
        if not self._push_due:
            self._push_due = True
            asyncio.get_running_loop().call_soon(self._push)

    def _push(self) -> None:
        """Hand the block what it takes."""
        self._push_due = False
        buffer, outgoing = self._buffer, self._outgoing
        if buffer and outgoing.state is BlockState.STOPPED:
            self._lose(self._refusal())
        while buffer and (size := largest_frame(outgoing.room)) > 0:
            with memoryview(buffer) as view:
                frame = write_frame(view[:size])
            del buffer[:size]
            outgoing.write(frame)
            self._written += len(frame)
            self._touch()
        if self._eof_sent and not buffer and outgoing.state is BlockState.OPEN:
            outgoing.end()
            self._touch()
        self._check_water()
        self._check_end()

    def _check_water(self) -> None:
        """Rule 2."""
        if not self._paused_protocol and len(self._buffer) > self._high:
            self._paused_protocol = True
            self._protocol.pause_writing()
        elif self._paused_protocol and len(self._buffer) <= self._low:
            self._paused_protocol = False
            self._protocol.resume_writing()

    def _pull(self) -> None:
        """Hand the reader what it takes."""
        incoming = self._incoming
        if incoming is None or self._lost or self._closing or self._eof_seen:
            return
        while self._reading and (data := incoming.read()):
            self._touch()
            self._protocol.data_received(self._frames.read(data))
        if incoming.state is BlockState.FINISHED:
            self._eof_seen = True
            self._touch()
            self._protocol.eof_received()

    def _stop_incoming(self, reason: str) -> None:
        if self._incoming is not None and not self._eof_seen:
            self._incoming.stop(GIVEN_UP, reason)
        self._touch()

    def _refusal(self) -> ConnectionResetError:
        return ConnectionResetError(f"the peer takes no more of this stream: {self._outgoing.reason}")

    def _check_end(self) -> None:
        """Rule 3: closed is what was closed by us, and of which all has arrived."""
        outgoing = self._outgoing
        if self._closing and not self._buffer and (outgoing.state is not BlockState.OPEN or self._all_arrived()):
            self._lose(None)

    def _all_arrived(self) -> bool:
        return self._outgoing.size is not None and self._outgoing.acked >= self._outgoing.size

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = self._closing = self._eof_sent = True
            self._buffer.clear()
            self._forget(self)
            self._protocol.connection_lost(error)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``peername``: where the peer is now; ``peer``: the `Peer`; ``block``: ours, whose ``acked`` is the progress."""
        return self._peer.address if name == "peername" else super().get_extra_info(name, default)
