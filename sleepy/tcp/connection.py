"""One connection: the asyncio protocol that moves bytes between a transport and a reader. Both ends use it.

It decides nothing. What arrives goes through a reader, and each whole message to the *owner*; when the stream ends or
breaks the owner hears of it, once. What the owner writes within one turn of the event loop goes out in one piece: a write
is a system call, and a hundred small requests cost little more than one (no event loop does this by itself).
"""

import asyncio
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from sleepy.tcp.errors import RemoteProtocolError

M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)


class Reader(Protocol[M_co]):
    """Cuts bytes into messages; see `sleepy.tcp.http1`."""

    def feed(self, data: bytes) -> Iterator[M_co]:
        """Read more, and give the messages that become whole; raises `RemoteProtocolError`."""
        ...

    def end(self) -> Iterator[M_co]:
        """The peer sends no more: give the message that ends like this, if any."""
        ...


class Owner(Protocol[M]):
    """Who a connection belongs to: a client, or a session of a server."""

    def received(self, connection: "Connection[M]", message: M) -> None:
        """A whole message has come."""
        ...

    def confused(self, connection: "Connection[M]", error: RemoteProtocolError) -> None:
        """What came is no message. The owner closes the connection, perhaps after a last word."""
        ...

    def ended(self, connection: "Connection[M]") -> bool:
        """The peer sends no more. True to keep our own direction open, to finish what we have to say."""
        ...

    def lost(self, connection: "Connection[M]", error: Exception | None) -> None:
        """The connection is no more. ``error`` tells why, unless it ended in order. Comes exactly once."""
        ...


class Connection(asyncio.Protocol, Generic[M]):
    """A connection and its reader.

    Args:
        owner: Hears of messages and of the end.
        reader: Cuts what arrives into messages.
        number: Its number with its owner, for traces.

    Attributes:
        number: As given.
        messages: How many whole messages have come.
    """

    def __init__(self, owner: Owner[M], reader: Reader[M], number: int) -> None:
        self.number = number
        self.messages = 0
        self._owner = owner
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        self._error: Exception | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()

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

    # --8<-- [start:write]
    def write(self, data: bytes) -> None:
        """Send ``data``, together with all that is written in this turn of the event loop."""
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(data)

    def _flush(self) -> None:
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        if data and not self.closing:
            self.transport.write(data)

    # --8<-- [end:write]

    async def drain(self) -> None:
        """Wait until the peer has taken enough for more to be written; at once if the connection is gone."""
        await self._writable.wait()

    def close(self) -> None:
        """Send what was written, then close."""
        self._flush()
        self.transport.close()

    def abort(self, error: Exception | None = None) -> None:
        """Close at once; what was not sent is lost. The owner is told of ``error``."""
        self._error = self._error or error
        self.transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the owner has heard of the end."""
        await self._gone.wait()

    # What the event loop calls:

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 -- streams have no others
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        try:
            for message in self._reader.feed(data):
                self.messages += 1
                self._owner.received(self, message)
                if self.closing:
                    return  # what comes behind a last message is nobody's
        except RemoteProtocolError as error:
            self._owner.confused(self, error)

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`."""
        for message in self._reader.end():
            self.messages += 1
            self._owner.received(self, message)
        return self._owner.ended(self)

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._writable.set()
        self._gone.set()
        self._owner.lost(self, self._error or exc)
