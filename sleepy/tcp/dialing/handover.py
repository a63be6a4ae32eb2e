"""Somebody to hold a connection until its owner is known.

An event loop gives every connection to a protocol as soon as it is made. But while several addresses are raced only one
connection will have an owner, and one that still has to shake hands for TLS has none yet. So all of them are made with a
`Placeholder`, which keeps what comes; the one that is good in the end is handed over, and its owner never hears of the
others. The same way serves plain TCP and TLS, and all event loops.

(To pause the transport instead, so that nothing comes, would be simpler, but uvloop begins to read behind
``connection_made``, whatever was asked for there.)
"""

import asyncio
from typing import TypeVar, cast

P = TypeVar("P", bound=asyncio.BaseProtocol)


class Placeholder(asyncio.Protocol):
    """Holds one connection. Have it made, then call one of `hand_over`, `give_up_for_tls` and `abort`.

    Args:
        half_open: Whether the peer may end its direction first. With TLS it may not.
    """

    def __init__(self, *, half_open: bool = True) -> None:
        self._half_open = half_open
        self._transport: asyncio.Transport | None = None
        self._aborted = False
        self._received: list[bytes] = []
        self._ended = False  # by the peer
        self._error: Exception | None = None  # why it is no more

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hold it; or break it off, if it is nobody's any more."""
        self._transport = cast("asyncio.Transport", transport)
        if self._aborted:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Keep it for the owner."""
        self._received.append(data)

    def eof_received(self) -> bool:
        """Keep that for the owner too."""
        self._ended = True
        return self._half_open

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember why."""
        self._error = exc or ConnectionResetError("it was closed in order")

    def hand_over(self, owner: P) -> P:
        """Give the connection to its owner, with all that has come.

        Raises:
            ConnectionError: There is none any more.
        """
        transport = self._living()
        transport.set_protocol(owner)
        owner.connection_made(transport)
        for data in self._received:
            if not transport.is_closing():
                _feed(owner, data)
        if self._ended and not transport.is_closing():
            protocol = cast("asyncio.Protocol | asyncio.BufferedProtocol", owner)
            if not protocol.eof_received():
                transport.close()
        return owner

    def give_up_for_tls(self) -> asyncio.Transport:
        """The transport, for a handshake. In TLS the client speaks first.

        Raises:
            ConnectionError: The peer did, or it has gone.
        """
        if self._received or self._ended:
            raise ConnectionError("the peer did not wait for the handshake: it does not speak TLS")
        return self._living()

    def abort(self) -> None:
        """Break the connection off; if there is none yet, as soon as there is."""
        self._aborted = True
        if self._transport is not None:
            self._transport.abort()

    def _living(self) -> asyncio.Transport:
        if self._transport is None:
            raise RuntimeError("no connection was made: whoever dials returns when connection_made has been called")
        if self._error is not None or self._transport.is_closing():
            raise ConnectionResetError("the peer closed the connection as soon as it was made") from self._error
        return self._transport


def _feed(protocol: asyncio.BaseProtocol, data: bytes) -> None:
    """What an event loop does with data."""
    if not isinstance(protocol, asyncio.BufferedProtocol):
        cast("asyncio.Protocol", protocol).data_received(data)
        return
    rest = memoryview(data)
    while rest:
        buffer = memoryview(protocol.get_buffer(len(rest)))
        size = min(len(rest), len(buffer))
        buffer[:size] = rest[:size]
        protocol.buffer_updated(size)
        rest = rest[size:]
