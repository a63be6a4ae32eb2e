"""One connection: the asyncio protocol that moves bytes between a transport and a reader. Both ends use it.

It decides nothing. What arrives goes through a reader, and each whole message to the *owner*; when the stream ends or
breaks the owner hears of it, once. What the owner writes within one turn of the event loop goes out in one piece: a write
is a system call, and a hundred small requests cost little more than one (no event loop does this by itself).
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Generic, Protocol, Self, TypeVar, cast

from sleepy._mypyc import mypyc_attr
from sleepy.tcp.codec import Reader
from sleepy.tcp.errors import LocalProtocolError, RemoteProtocolError

_ENOUGH = 65536  # bytes worth a system call of their own, whatever else comes in this turn
# Bytes to ask the kernel for at once. asyncio's own 256 KiB come fresh from the system with every read, which costs more
# than the read; 64 KiB come from the heap.
_MAX_READ = 65536

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)
C_contra = TypeVar("C_contra", bound="Connection[Any]", contravariant=True)


class Owner(Protocol[C_contra, M_contra]):
    """Who connections belong to: a client, or a session of a server."""

    def made(self, connection: C_contra) -> None:
        """The connection is there."""
        ...

    def received(self, connection: C_contra, message: M_contra) -> None:
        """A whole message has come."""
        ...

    def confused(self, connection: C_contra, error: RemoteProtocolError) -> None:
        """What came is no message. The owner closes the connection, perhaps after a last word."""
        ...

    def ended(self, connection: C_contra) -> bool:
        """The peer sends no more. True to keep our own direction open, to finish what we have to say."""
        ...

    def lost(self, connection: C_contra, error: Exception | None) -> None:
        """The connection is no more. ``error`` tells why, unless it ended in order. Comes exactly once, after `made`."""
        ...


@mypyc_attr(allow_interpreted_subclasses=True)
class Connection(Generic[M]):
    """A connection and its reader.

    It has the methods of `asyncio.Protocol`, by which event loops know a protocol, and not the class, which no class that
    mypyc compiles can inherit. `protocol` is the same object for type checkers, who ask for the class.

    Args:
        owner: Hears of messages and of the end.
        reader: Cuts what arrives into messages.
        number: Its number with its owner, for traces.

    Attributes:
        number: As given.
        messages: How many whole messages have come.
        held_up: Whether the transport has asked us to write no more for now.
        error: Why we have closed it, if for a reason.
    """

    def __init__(self, owner: Owner[Self, M], reader: Reader[M], number: int) -> None:
        self.number = number
        self.messages = 0
        self.held_up = False
        self.error: Exception | None = None
        self._owner: Owner[Any, M] = owner  # of connections of this kind
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        self._outgoing_size = 0
        self._deaf = False  # we are closing or finishing: no message that still comes is for anybody
        self._finishing = False  # we have said all: what still comes is thrown away
        self._peer_ended = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()

    @property
    def protocol(self) -> asyncio.Protocol:
        """Itself, as what an event loop takes."""
        return cast("asyncio.Protocol", self)

    @property
    def transport(self) -> asyncio.Transport:
        """The transport below, for what it knows of addresses.

        Raises:
            RuntimeError: The connection has not been made.
        """
        if self._transport is None:
            raise RuntimeError("the connection has not been made yet")
        return self._transport

    @property
    def closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._transport is None or self._transport.is_closing()

    @property
    def unsent(self) -> int:
        """Bytes written that the kernel has not taken yet."""
        return self._outgoing_size + self.transport.get_write_buffer_size()

    # --8<-- [start:write]
    def write_through(self, data: bytes) -> None:
        """Send ``data`` now: for who has no more to say in this turn of the event loop."""
        if self._outgoing:
            self._outgoing.append(data)
            self._flush()
        elif self._transport is not None:
            self._transport.write(data)

    def write(self, data: bytes) -> None:
        """Send ``data``, together with all that is written in this turn of the event loop."""
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(data)
        self._outgoing_size += len(data)
        if self._outgoing_size >= _ENOUGH:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        self._outgoing_size = 0
        if data and not self.closing:
            self.transport.write(data)

    # --8<-- [end:write]

    async def write_all(self, body: AsyncGenerator[bytes, None]) -> None:
        """Send a body piece by piece, as fast as the peer takes it.

        Raises:
            LocalProtocolError: The body was cancelled, as by what it awaits, and not the one who sends it.
        """
        try:
            async with aclosing(body):
                async for piece in body:
                    self.write(piece)
                    await self.drain()
        except asyncio.CancelledError as error:
            sending = asyncio.current_task()
            if sending is None or sending.cancelling():
                raise
            raise LocalProtocolError("the stream of the body was cancelled before its end") from error

    async def drain(self) -> None:
        """Wait until the peer has taken enough for more to be written; at once if the connection is gone."""
        await self._writable.wait()

    def pause_reading(self) -> None:
        """Take nothing from the peer for now, so that it is held back."""
        if not self.closing:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take what comes again."""
        if not self.closing:
            self.transport.resume_reading()

    def close(self) -> None:
        """Send what was written, then close."""
        self._deaf = True
        self._flush()
        self.transport.close()

    def finish(self) -> None:
        """Send what was written, say that nothing follows, and close when the peer says so too.

        A connection that is closed while something of the peer's is unread is reset, and a reset can overtake our last words
        (RFC 9112, section 9.6). So what still comes is read, and thrown away. How long that may take is the owner's to say:
        he calls `abort`.
        """
        self._flush()
        self._deaf = self._finishing = True
        if self._peer_ended or not self.transport.can_write_eof():
            self.transport.close()
        else:
            self.transport.write_eof()
            self.transport.resume_reading()

    def abort(self, error: Exception | None = None) -> None:
        """Close at once; what was not sent is lost. The owner is told of ``error``."""
        self._deaf = True
        self.error = self.error or error
        self.transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the owner has heard of the end."""
        await self._gone.wait()

    # What the event loop calls:

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        transport = cast("asyncio.Transport", transport)  # what streams have, if not by this name (uvloop)
        if hasattr(transport, "max_size"):
            transport.max_size = _MAX_READ  # pyright: ignore[reportAttributeAccessIssue] -- we have just looked
        self._transport = transport
        self._owner.made(self)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._finishing:
            return
        try:
            for message in self._reader.feed(data):
                self.messages += 1
                self._owner.received(self, message)
                if self._deaf:
                    return  # what comes behind a last message is nobody's
        except RemoteProtocolError as error:
            self._owner.confused(self, error)

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`."""
        self._peer_ended = True
        if self._finishing:
            return False
        for message in self._reader.end():
            self.messages += 1
            self._owner.received(self, message)
        return self._owner.ended(self)

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self.held_up = True
        self._writable.clear()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self.held_up = False
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._writable.set()
        self._gone.set()
        self._owner.lost(self, self.error or exc)
