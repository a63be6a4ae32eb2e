"""The dials under way: each in a task of its own, because nobody owns it.

A dial is started when somebody waits, and may end when he has given up; then it serves the next, or the pool. So it must not
be his task that dials. What comes of it, a connection or an error, is told once.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

from sleepy.tcp.connection import Connection
from sleepy.tcp.dialing.address import bracketed
from sleepy.tcp.dialing.dialer import Dialer, Phase
from sleepy.tcp.errors import ConnectionClosed
from sleepy.trace import Trace

_log = logging.getLogger("sleepy.tcp")

C = TypeVar("C", bound=Connection[Any])


class Dials:
    """The dials of one client.

    Args:
        dialer: Dials.
        trace: Is told of every dial: what it waits for, and what comes of it.
    """

    def __init__(self, dialer: Dialer, trace: Trace | None = None) -> None:
        self._dialer = dialer
        self._trace = trace
        self._phases: dict[asyncio.Task[None], Phase] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._phases)

    @property
    def phase(self) -> str:
        """What the oldest of them waits for: ``dial-queue``, ``dns``, ``dial`` or ``tls``."""
        return next(iter(self._phases.values()), "dial")

    def start(
        self,
        number: int,
        factory: Callable[[], C],
        opened: Callable[[C], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Dial, and call ``opened`` or ``failed``. The connection will have that number."""
        task = asyncio.get_running_loop().create_task(self._dial(number, factory, opened, failed))
        self._phases[task] = "dial-queue"

        def ended(task: asyncio.Task[None]) -> None:
            del self._phases[task]
            if task.cancelled():
                failed(ConnectionClosed("this client was closed before a connection was made"))

        task.add_done_callback(ended)

    async def _dial(
        self,
        number: int,
        factory: Callable[[], C],
        opened: Callable[[C], None],
        failed: Callable[[Exception], None],
    ) -> None:
        task = asyncio.current_task()

        def progress(phase: Phase) -> None:
            if task in self._phases:
                self._phases[task] = phase
            if self._trace is not None:
                self._trace("connection.dialing", connection=number, phase=phase)

        try:
            protocol = await self._dialer.dial(lambda: factory().protocol, progress=progress)
            connection = cast("C", protocol)
            if connection.closing:
                if connection.error is not None:  # it spoke before it was asked
                    raise connection.error  # noqa: TRY301 -- it failed
                raise ConnectionClosed("the peer closed the connection as soon as it was made")  # noqa: TRY301 -- it failed
        except Exception as error:  # noqa: BLE001 -- whatever it is, somebody waits to hear of it
            _log.debug("a dial failed: %s", error)
            if self._trace is not None:
                self._trace("connection.failed", connection=number, error=repr(error))
            failed(error)
            return
        if self._trace is not None:
            self._trace("connection.dialed", connection=number, address=address_of(connection))
        opened(connection)

    def cancel(self) -> None:
        """End them all, soon."""
        for task in self._phases:
            task.cancel()

    async def close(self) -> None:
        """End them all."""
        self.cancel()
        await asyncio.gather(*self._phases, return_exceptions=True)


def address_of(connection: Connection[Any]) -> str:
    """Where a connection leads, in words."""
    address: tuple[Any, ...] | str | None = connection.transport.get_extra_info("peername")
    if isinstance(address, tuple):
        return f"{bracketed(str(address[0]))}:{address[1]}"
    return address or "an unknown peer"  # if it was reset meanwhile
