"""The dials under way: each in a task of its own, because nobody owns it.

A dial is started when somebody waits, and may end when he has given up; then it serves the next, or the pool. So it must not
be his task that dials. What comes of it, a connection or an error, is told once.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from sleepy.tcp.connection import Connection
from sleepy.tcp.dialer import Dialer, Phase
from sleepy.tcp.errors import ConnectionClosed

_log = logging.getLogger("sleepy.tcp")

A = TypeVar("A")


class Dials:
    """The dials of one client.

    Args:
        dialer: Dials.
    """

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._phases: dict[asyncio.Task[None], Phase] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._phases)

    @property
    def phase(self) -> str:
        """What the oldest of them waits for: ``dial-queue``, ``dns``, ``dial`` or ``tls``."""
        return next(iter(self._phases.values()), "dial")

    def start(
        self,
        factory: Callable[[], Connection[A]],
        opened: Callable[[Connection[A]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Dial, and call ``opened`` or ``failed``."""
        task = asyncio.get_running_loop().create_task(self._dial(factory, opened, failed))
        self._phases[task] = "dial-queue"

        def ended(task: asyncio.Task[None]) -> None:
            del self._phases[task]
            if task.cancelled():
                failed(ConnectionClosed("this client was closed before a connection was made"))

        task.add_done_callback(ended)

    async def _dial(
        self,
        factory: Callable[[], Connection[A]],
        opened: Callable[[Connection[A]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        task = asyncio.current_task()

        def progress(phase: Phase) -> None:
            if task in self._phases:
                self._phases[task] = phase

        try:
            connection = await self._dialer.dial(factory, progress=progress)
        except Exception as error:  # noqa: BLE001 -- whatever it is, somebody waits to hear of it
            _log.debug("a dial failed: %s", error)
            failed(error)
            return
        if connection.closing:
            failed(ConnectionClosed("the peer closed the connection as soon as it was made"))
        else:
            opened(connection)

    async def close(self) -> None:
        """End them all."""
        tasks = list(self._phases)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
