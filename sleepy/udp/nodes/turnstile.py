"""Tasks that wait for the same thing, one after the other.

A hundred tasks want to send on a channel that is full. When there is room for one message again, one of them should go on,
the one that has waited longest, and the other ninety-nine should not even wake up.

Rules:

1. Whoever comes while others wait goes to the end of the queue, even if there is room just now.
2. Only the first in the queue tries, and again whenever it is told that trying may be worth while.
3. Whoever is cancelled leaves the queue, and the next one tries.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Turnstile:
    """Lets one task through at a time.

    Attributes:
        waiting: How many tasks wait; while there are some, who comes must wait too (rule 1).
    """

    __slots__ = ("_lock", "_signal", "waiting")

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._signal: asyncio.Future[None] | None = None
        self.waiting = 0

    def wake(self) -> None:
        """Have the first one try again."""
        if self._signal is not None and not self._signal.done():
            self._signal.set_result(None)

    async def until(self, attempt: Callable[[], T | None]) -> T:
        """Wait for one's turn, and then until ``attempt`` brings something; what it raises comes out."""
        self.waiting += 1
        try:
            async with self._lock:
                while (success := attempt()) is None:
                    self._signal = asyncio.get_running_loop().create_future()
                    await self._signal
                return success
        finally:
            self.waiting -= 1
