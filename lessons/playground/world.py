"""asyncio programs under step control: they run on a simulated network, an instant at a time.

For scenarios that show whole programs of `sleepy` at work: a client, a server, and TCP between them. The programs are those
that are shipped; clock, hosts and wires are `sleepy.sim`'s.

Rules:

1. A step runs everything up to the end of the next instant at which something is *told*. It never stops within an instant:
   things that happen at the same time have no order to be learned from, and versions of asyncio differ in it.
2. Between steps nothing runs. What the reader wishes is done in the instant at which the world stands, up to its end.
3. An error of a program's is the scenario's: it comes out of the step.
4. Who is done with a world closes it. Then every program ends in order, as under `sleepy.sim.run`.
"""

import math
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Coroutine
from typing import Any

from sleepy.sim import Network
from sleepy.sim.loop import NetworkLoop
from sleepy.sim.runner import cancel_all, no_running_loop
from sleepy.trace import Event

PATIENCE = 120.0  # seconds of virtual time: if nothing was told for as long, nothing will be


class World:
    """A network of simulated hosts that stands still between steps.

    Args:
        seed: The same seed, programs and wishes give the same course.

    Attributes:
        network: The network; hosts and links are made as usual.
        watchers: Called with every event of the network's own.
    """

    def __init__(self, seed: float) -> None:
        self.watchers: list[Callable[[Event], object]] = []
        self.network = Network(f"{seed:g}", self._watch)
        self._loop = NetworkLoop()
        self._loop.set_exception_handler(self._note_error)
        self.network.begin(self._loop)
        self._told: list[str] = []
        self._errors: list[BaseException] = []
        self._end: TimerHandle | None = None  # of the instant in which something was told

    @property
    def now(self) -> float:
        """The virtual time, in seconds."""
        return self._loop.now

    def start(self, host: str, program: Coroutine[Any, Any, object]) -> None:
        """Start a program on a host; it begins to run with the next step."""
        self.network.host(host).start(program)

    def at(self, time: float, act: Callable[[], object]) -> None:
        """Have something done at a time, in seconds, outside of all hosts."""
        self._loop.call_at(time, act)

    def tell(self, what: str) -> None:
        """Say in a sentence what happens now: the step ends with this instant (rule 1)."""
        self._told.append(what)
        self._stop_after_this_instant()

    def step(self) -> str:
        """Run on to the end of the next instant at which something is told; what that is, or nothing if nothing comes.

        Raises:
            Exception: What a program ended with.
        """
        patience = self._loop.call_later(PATIENCE, self._loop.stop)
        try:
            return self._run()
        finally:
            patience.cancel()

    def do(self, host: str, act: Callable[[], object]) -> str:
        """Let a host do something now, and see this instant to its end (rule 2); what was told of it.

        Raises:
            Exception: What a program ended with.
        """

        async def doing() -> None:
            act()

        self.start(host, doing())
        self._stop_after_this_instant()
        return self._run()

    def close(self) -> None:
        """End all programs."""
        with no_running_loop():
            cancel_all(self._loop)
        self.network.end()
        self._loop.close()

    def _stop_after_this_instant(self) -> None:
        if self._end is None:  # the next moment that a clock can show comes after all that is due now
            self._end = self._loop.call_at(math.nextafter(self._loop.now, math.inf), self._loop.stop)

    def _run(self) -> str:
        self._loop.allow_more_time()
        with no_running_loop():
            self._loop.run_forever()
        if self._end is not None:
            self._end.cancel()
            self._end = None
        crashes = (error for host in self.network.hosts.values() for error in host.crashes())
        for error in (*self._errors, *crashes):
            raise error
        told, self._told = self._told, []
        return " ".join(told)

    def _watch(self, event: Event) -> None:
        for watcher in self.watchers:
            watcher(event)

    def _note_error(self, _: AbstractEventLoop, context: dict[str, Any]) -> None:
        self._errors.append(context.get("exception") or RuntimeError(context["message"]))
