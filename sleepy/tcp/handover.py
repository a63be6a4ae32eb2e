"""Somebody to hold a connection until its owner is known.

An event loop gives every connection to a protocol as soon as it is made. But while several addresses are raced only one
connection will have an owner, and one that still has to shake hands for TLS has none yet. So all of them are made with a
`Placeholder`, which reads nothing, so that nothing is lost; the one that is good in the end is handed over, and its owner
never hears of the others. The same way serves plain TCP and TLS, and all event loops.
"""

import asyncio
from typing import TypeVar, cast

P = TypeVar("P", bound=asyncio.BaseProtocol)


class Placeholder(asyncio.Protocol):
    """Holds one connection. Wait for `ready`, then call either `hand_over` or `abort`.

    Attributes:
        ready: The transport, once there is one.
    """

    def __init__(self) -> None:
        self.ready: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()
        self._received: list[bytes] = []  # in spite of the pause: a TLS handshake may end with data behind it
        self._end: Exception | None = None  # why it is no more

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hold it; or break it off, if it is nobody's any more."""
        held = cast("asyncio.Transport", transport)
        if self.ready.done():
            held.abort()
        else:
            held.pause_reading()
            self.ready.set_result(held)

    def data_received(self, data: bytes) -> None:
        """Keep what comes for the owner."""
        self._received.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember it."""
        self._end = exc or ConnectionResetError("closed in order")

    def hand_over(self, owner: P) -> P:
        """Give the connection to its owner, with all that has come.

        Raises:
            ConnectionError: There is none any more.
        """
        transport = self.ready.result()
        if self._end is not None or transport.is_closing():
            raise ConnectionResetError("the peer closed the connection as soon as it was made") from self._end
        transport.set_protocol(owner)
        owner.connection_made(transport)
        for data in self._received:
            if not transport.is_closing():
                _feed(owner, data)
        if not transport.is_closing():
            transport.resume_reading()
        return owner

    def abort(self) -> None:
        """Break the connection off; if there is none yet, as soon as there is."""
        if not self.ready.cancel() and not self.ready.cancelled():
            self.ready.result().abort()


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
