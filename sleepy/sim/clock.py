"""An event loop whose clock jumps.

An asyncio program does nothing while it waits. If all it waits for is inside the process, there is no need to wait with
it: when nothing is left to do now, set the clock to the next thing that is to happen, and go on. A minute of waiting then
takes as long as the work in it, and no two runs differ, since nothing from outside has a say.

`VirtualLoop` is asyncio's own loop but for the one place where it would sleep. There asyncio asks a selector to wait for
sockets; ours looks at an agenda.

Rules:

1. Time stands still while anything is ready to run. It moves only by jumping to the next entry of the agenda.
2. Entries due at the same time happen in the order in which they were made. (asyncio leaves that open; a network where
   packets sent together arrive in any order would be another network.)
3. A cancelled timer is no event: the clock does not jump to it, and it does not stay in memory until its time comes.
4. When nothing is ready and the agenda is empty, nothing can ever happen again. That is an error, which names who waits.
5. What runs for ever is stopped: by a limit in virtual time, and by one in real time for what never lets time move.
6. The outside world is out of bounds: sockets, threads, subprocesses and signals would bring its time in. Asking for them
   is an error that says so.

Source of the idea: trio's ``MockClock`` with autojump, and the simulation at the bottom of FoundationDB.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Final, Never, TypeVarTuple
from weakref import WeakValueDictionary

from sleepy.errors import SleepyError

_Ts = TypeVarTuple("_Ts")

UNTIL: Final = 3600.0  # seconds of virtual time: longer than any time-out of TCP's (924 s)
PATIENCE: Final = 60.0  # seconds of real time


class DeadlockError(SleepyError):
    """Nothing can ever happen again, and the program has not ended (rule 4)."""


class RunawayError(SleepyError):
    """The program has used up the time it was given, virtual or real (rule 5)."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An asyncio event loop in virtual time, which starts at 0.

    Args:
        until: The virtual time at which the run is given up, in seconds.
        patience: How long the run may take in real time, in seconds.
    """

    _ready: deque[asyncio.Handle]  # asyncio's own queue of what is to run now

    def __init__(self, until: float = UNTIL, patience: float = PATIENCE) -> None:
        super().__init__()
        self.now = 0.0
        self._until = until
        self._patience = patience
        self._selector = self  # asyncio calls select() where it would wait for sockets
        self._agenda: list[tuple[float, int, Callable[[Any], object], Any]] = []
        self._order = count()
        self._created: WeakValueDictionary[int, asyncio.Task[Any]] = WeakValueDictionary()
        self._wake = self._ready.append
        self._cancelled = 0  # timers on the agenda that no longer count
        self._steps = 0
        self._thread = threading.get_ident()
        self.allow_more_time()

    # --8<-- [start:select]
    def select(self, timeout: float | None) -> tuple[()]:
        """Jump to what happens next, unless something is ready now (rule 1).

        Raises:
            DeadlockError: There is nothing on the agenda.
            RunawayError: The next entry lies beyond the limit, or the patience is used up.
        """
        self._count_step()
        if timeout is not None:
            return ()
        agenda, ready = self._agenda, self._ready
        while not ready:
            if not agenda:  # rule 4
                raise DeadlockError(f"at {self.now:.6g} s nothing can ever happen again{self.describe_tasks()}")
            when, _, act, what = heappop(agenda)
            if act is self._wake and what.cancelled():  # rule 3
                self._cancelled -= 1
                continue
            if when > self._end:
                raise self._out_of_time()
            self.now = max(self.now, when)
            act(what)
            self._count_step()
        return ()

    # --8<-- [end:select]

    def time(self) -> float:
        """The virtual time, in seconds."""
        return self.now

    def at(self, when: float, act: Callable[[Any], object], what: object) -> None:
        """Put ``act(what)`` on the agenda at ``when`` (seconds). It cannot be cancelled, and its errors end the run."""
        heappush(self._agenda, (when, next(self._order), act, what))

    def call_out(self, context: Context, callback: Callable[[*_Ts], object], *args: *_Ts) -> None:
        """Call a program's code from the agenda, in its own context; its errors go where asyncio's callbacks' go."""
        try:
            context.run(callback, *args)
        except Exception as error:  # noqa: BLE001  # programs' callbacks may raise anything
            self.call_exception_handler({"message": f"Exception in callback {callback!r}", "exception": error})

    def call_at(
        self, when: float, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As in asyncio, but rule 2 holds."""
        self._check_open()
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self.at(when, self._wake, timer)
        return timer

    def call_soon_threadsafe(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As `call_soon`; from another thread it is refused (rule 6)."""
        if threading.get_ident() != self._thread:
            refuse("call_soon_threadsafe() from another thread", "threads run in real time")
        return self.call_soon(callback, *args, context=context)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """As in asyncio; the loop remembers its tasks in the order of their creation."""
        task = super().create_task(coro, **options)
        self._created[next(self._order)] = task
        return task

    def tasks(self) -> list[asyncio.Task[Any]]:
        """The tasks that have not ended, oldest first."""
        return [task for task in self._created.values() if not task.done()]

    def describe_tasks(self) -> str:
        """Who waits, and where, a line each."""
        waiting = "".join(f"\n  {task.get_name()} waits in {_position(task)}" for task in self.tasks())
        return f"; waiting:{waiting}" if waiting else ""

    def allow_more_time(self) -> None:
        """Grant the limits of rule 5 anew, counted from now."""
        self._end = self.now + self._until
        self._deadline = time.monotonic() + self._patience

    def _out_of_time(self) -> RunawayError:
        return RunawayError(
            f"the run is not over after {self._until:.6g} s of virtual time; if it should take longer, "
            f"give it more than until={self._until:.6g}{self.describe_tasks()}"
        )

    def _count_step(self) -> None:
        self._steps += 1
        if self._steps & 63 == 0 and time.monotonic() > self._deadline:
            raise RunawayError(
                f"the run is not over after {self._patience:.6g} s of real time and stands at {self.now:.6g} s of "
                f"virtual time; if it should take longer, give it more than patience={self._patience:.6g}"
                f"{self.describe_tasks()}"
            )

    def _check_open(self) -> None:
        if self.is_closed():
            raise RuntimeError("Event loop is closed")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A timer tells us that it was cancelled. When most are, sweep (rule 3)."""
        self._cancelled += handle.when() >= self.now
        if self._cancelled > 100 and self._cancelled * 2 > len(self._agenda):
            self._agenda[:] = [
                entry for entry in self._agenda if entry[2] is not self._wake or not entry[3].cancelled()
            ]
            heapify(self._agenda)
            self._cancelled = 0

    def _process_events(self, event_list: object) -> None:
        """There are no sockets, so there are no events of theirs."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken: nobody sleeps."""

    def close(self) -> None:
        """Forget what was to happen."""
        super().close()
        self._agenda.clear()


REFUSED: Final[Mapping[str, str]] = {
    # rule 6: the loop's method, and what to do instead
    "run_in_executor": "threads run in real time; call the function directly, or hand in its result",
    "subprocess_exec": "a subprocess runs in real time; run its work as a task of a simulated host",
    "subprocess_shell": "a subprocess runs in real time; run its work as a task of a simulated host",
    "connect_read_pipe": "a pipe belongs to the real world",
    "connect_write_pipe": "a pipe belongs to the real world",
    "add_signal_handler": "signals come from the real world",
    "add_reader": "a real socket knows nothing of virtual time; use create_connection or create_datagram_endpoint",
    "remove_signal_handler": "signals come from the real world",
    "remove_reader": "a real socket knows nothing of virtual time; use create_connection or create_datagram_endpoint",
    "remove_writer": "a real socket knows nothing of virtual time; use create_connection or create_datagram_endpoint",
    "add_writer": "a real socket knows nothing of virtual time; use create_connection or create_datagram_endpoint",
    "sock_accept": "a real socket knows nothing of virtual time; use create_server",
    "sock_connect": "a real socket knows nothing of virtual time; use create_connection",
    "sock_recv": "a real socket knows nothing of virtual time; use create_connection",
    "sock_recv_into": "a real socket knows nothing of virtual time; use create_connection",
    "sock_recvfrom": "a real socket knows nothing of virtual time; use create_datagram_endpoint",
    "sock_recvfrom_into": "a real socket knows nothing of virtual time; use create_datagram_endpoint",
    "sock_sendall": "a real socket knows nothing of virtual time; use create_connection",
    "sock_sendto": "a real socket knows nothing of virtual time; use create_datagram_endpoint",
    "connect_accepted_socket": "a real socket knows nothing of virtual time; use create_server",
    "create_unix_connection": "a Unix socket belongs to the real world; use create_connection",
    "create_unix_server": "a Unix socket belongs to the real world; use create_server",
    "getaddrinfo": "names are known to a simulated network only: sim.run(main(), network)",
    "getnameinfo": "names are known to a simulated network only: sim.run(main(), network)",
    "create_connection": "there is no network: sim.run(main(), network)",
    "create_server": "there is no network: sim.run(main(), network)",
    "create_datagram_endpoint": "there is no network: sim.run(main(), network)",
    "start_tls": "TLS draws on real randomness and real clocks; leave it out of the simulation",
}


def refuse(method: str, reason: str) -> Never:
    """Say that something is not to be had in a simulation, and why (rule 6)."""
    raise NotImplementedError(f"{method} is not to be had in a simulation: {reason}")


def _refusing(method: str, reason: str) -> Callable[..., Never]:
    def refusing(*_args: object, **_options: object) -> Never:
        refuse(f"{method}()", reason)

    return refusing


for _method, _reason in REFUSED.items():
    setattr(VirtualLoop, _method, _refusing(_method, _reason))


def _position(task: asyncio.Task[Any]) -> str:
    """The line in which a task's own code waits, and what it waits for, innermost."""
    coroutine: Any = task.get_coro()
    frame = getattr(coroutine, "cr_frame", None)
    if frame is None:  # of a generator, or of what others wrote in another language
        return repr(coroutine)
    place = f"{coroutine.__qualname__} ({frame.f_code.co_filename}:{frame.f_lineno})"
    innermost = coroutine
    while hasattr(innermost.cr_await, "cr_await"):
        innermost = innermost.cr_await
    return place if innermost is coroutine else f"{place}, in {innermost.__qualname__}"
