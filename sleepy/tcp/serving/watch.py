"""Keeps an eye on one connection of a server: the timer to `sleepy.tcp.serving.patience`.

One timer for each connection is enough, and it is lazy: what happens between two looks moves no timer, unless something
begins whose limit ends before the next look. So a request that comes in one piece costs no more than a glance at the clock.

What begins, its session hears from a `WatchedConnection`.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from sleepy.tcp.codec import Reader
from sleepy.tcp.connection import Connection, M, Owner
from sleepy.tcp.serving.patience import Limits, Patience, Wait


class Watcher(Owner[Connection[M], M], Protocol[M]):
    """Whoever keeps an eye on a connection of his."""

    def heard(self, size: int) -> None:
        """So many bytes have come, and been read."""
        ...

    def stuck(self) -> None:
        """The peer takes less than we write."""
        ...


class WatchedConnection(Connection[M]):
    """Lets its owner know of every byte, and of a peer that takes none.

    Args:
        owner: Hears of messages, of bytes and of the end.
        reader: Cuts what arrives into messages.
        number: Its number with its owner.
    """

    def __init__(self, owner: Watcher[M], reader: Reader[M], number: int) -> None:
        super().__init__(owner, reader, number)
        self._watcher = owner

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        super().data_received(data)
        self._watcher.heard(len(data))

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        super().pause_writing()
        self._watcher.stuck()


class Watch:
    """Judges what a connection waits for, when it is time.

    Args:
        limits: How long each kind of waiting may take.
        state: Tells what is waited for now, and how many bytes have moved so far.
        give_up: Is told what was waited for in vain. Nothing is judged after that, until something begins.
    """

    __slots__ = ("_give_up", "_limits", "_loop", "_patience", "_state", "_timer")

    def __init__(self, limits: Limits, state: Callable[[], tuple[Wait, int]], give_up: Callable[[Wait], None]) -> None:
        self._limits = limits
        self._state = state
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._patience = Patience(limits, self._loop.time())
        self._timer: asyncio.TimerHandle | None = None

    def rest(self) -> None:
        """The connection is idle from now on, as it has been before: there will be a look in time."""
        self._patience.begin(Wait.IDLE, 0, self._loop.time())

    def begin(self, wait: Wait, moved: int = 0) -> None:
        """From now on something else is waited for; ``moved`` bytes have moved so far."""
        now = self._loop.time()
        self._patience.begin(wait, moved, now)
        limit = self._limits.of(wait)
        if limit is not None and (self._timer is None or self._timer.when() > now + limit):
            self._look_in(limit)

    def stop(self) -> None:
        """The connection is no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look_in(self, seconds: float) -> None:
        self.stop()
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        wait, moved = self._state()
        left = self._patience.judge(wait, moved, self._loop.time())
        if left == 0:
            self._give_up(wait)
        elif left is not None:
            self._look_in(left)
