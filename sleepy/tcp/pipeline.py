"""Who goes out on which connection, when a connection carries many requests at once? Decisions only, no I/O.

*Pipelining* (RFC 9112, section 9.3.2) sends the next request before the last answer has come. It saves round trips and
system calls, and it has a price: answers come in the order of the requests, so **one slow or lost answer holds up every
answer behind it on the same connection**. This is head-of-line blocking, and no cleverness below removes it; spreading over
several *lanes* divides it, and the stall guard keeps newcomers out of it. These are the ideas of fasthttp's PipelineClient,
with rules against what hurt its users:

1. **Pending means not answered.** A request counts from the moment it is given to a lane until its answer is whole: while
   it waits to be written, while it is under way, and while the peer works on it. (If the one in service is left out, a lane
   stuck behind a slow answer looks free, and gets all that comes.)
2. **Least pending first.** A request goes to a lane with nothing pending, else to a new one while fewer than ``max_conns``
   exist, else to the one with the least pending; of equals to the oldest.
3. **A limit on each lane, and the newcomer bears it.** When even the chosen lane has ``max_pending`` pending, the request is
   refused at once (`PipelineOverflow`); none that was accepted before is thrown out for it. The line of rule 8 has the same
   limit.
4. **A lost lane loses only what is in doubt.** What was not written survives and goes elsewhere. What was written may have
   been executed: it survives only if it is idempotent, or its caller says so. The survivors go first.
5. **A last answer is a last answer.** When the peer says that it will close, the lane takes no more, and what was written
   behind the last answer was never executed (RFC 9112, section 9.6): it survives, whatever its method.
6. **What may not be sent twice goes alone** (RFC 9112, section 9.3.2), unless ``pipeline_non_idempotent``: on a lane with
   nothing pending, and nothing is given to that lane until it is answered. If the connection is lost, it is then surely the
   one whose answer is missing. So does, in any case, a *suspect*: a request that may have been the cause when a connection
   was lost. If it was, those behind it would be lost with it again and again.
7. **A stalled lane gets nothing more**, unless ``stall_guard`` is off. A lane has *moved* when it gave an answer, or was
   written to with nothing under way. It is stalled when something is under way and it has not moved for longer than an
   answer usually takes, on all lanes (`sleepy.tcp.latency`). The sample is the time from writing to answer, and on each
   lane one request is timed at a time, so that a batch of 256 weighs as one, and waiting in that batch is part of what is
   usual; but it is the *silence* that is judged, so a lane that gives one answer after another is never stalled, however
   long its line. A peer that is slow everywhere is slow in the samples too.
8. **Who finds no lane waits in one line**, first come, first served: because all that he may take are stalled, or he must go
   alone, or others are in line. Whatever ends or moves is followed by `settle`, which serves the line.
9. **A peer that is down is dialed with pauses** (`sleepy.tcp.backoff`), and by one lane at a time.
10. **A lane nobody waits for is dead** when it is stalled. So that its peer's silence does not last for ever, it is closed.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from sleepy.tcp.backoff import Backoff
from sleepy.tcp.errors import PipelineOverflow
from sleepy.tcp.latency import Latency


class Pending(Protocol):
    """What the pipeline must know of a request."""

    @property
    def idempotent(self) -> bool:
        """Whether it may be sent twice."""
        ...

    @property
    def suspect(self) -> bool:
        """Whether it may have been the cause when a connection was lost."""
        ...


R = TypeVar("R", bound=Pending)
C = TypeVar("C")  # a connection


class Lane(Generic[R, C]):
    """One connection's part of the pipeline.

    Attributes:
        connection: The connection; None while it is being dialed.
        unwritten: The requests that wait to be written, in order (the keys).
        written: Those that were written and are not answered; the peer works on the first.
        given_up: Those of the written that nobody waits for any more.
        alone: Whether the request given last must be alone (rule 6).
        moved: When the lane last moved (rule 7), in seconds.
        timed: The request that is being timed, if any, and
        timed_since: since when, in seconds.
    """

    __slots__ = ("alone", "connection", "given_up", "moved", "timed", "timed_since", "unwritten", "written")

    def __init__(self) -> None:
        self.connection: C | None = None
        self.unwritten: dict[R, None] = {}
        self.written: deque[R] = deque()
        self.given_up: set[R] = set()
        self.alone = False
        self.moved = 0.0
        self.timed: R | None = None
        self.timed_since = 0.0

    @property
    def pending(self) -> int:
        """Requests that are not answered (rule 1)."""
        return len(self.unwritten) + len(self.written)

    def opened(self, connection: C, now: float) -> None:
        """It was dialed."""
        self.connection = connection
        self.moved = now

    def write(self, now: float) -> list[R]:
        """Everything that waits is written now; give it, in order."""
        batch = list(self.unwritten)
        self.unwritten.clear()
        if not self.written:
            self.moved = now
        if self.timed is None and batch:
            self.timed, self.timed_since = batch[0], now
        self.written += batch
        return batch


class Pipeline(Generic[R, C]):
    """The lanes to one peer.

    Args:
        max_conns: How many lanes there may be (fasthttp: MaxConns).
        max_pending: How many requests may be pending on one lane, and how many may wait for one (MaxPendingRequests).
        backoff: The pauses between dials that fail.
        max_idle_duration: How long a lane may have nothing pending, in seconds (MaxIdleConnDuration); None for ever.
        stall_guard: Whether a stalled lane gets nothing more (rule 7).
        pipeline_non_idempotent: Whether requests that may not be sent twice are pipelined like others (rule 6).

    Attributes:
        lanes: Those that are open or being dialed, the oldest first.
        waiting: The requests in line (rule 8); the keys.

    Raises:
        ValueError: A limit that would let nothing through.
    """

    def __init__(
        self,
        max_conns: int,
        max_pending: int,
        backoff: Backoff,
        *,
        max_idle_duration: float | None = None,
        stall_guard: bool = True,
        pipeline_non_idempotent: bool = False,
    ) -> None:
        for name, limit in (("max_conns", max_conns), ("max_pending_requests", max_pending)):
            if limit < 1:
                raise ValueError(f"{name} of {limit} would let nothing through; the least is 1")
        if max_idle_duration is not None and max_idle_duration <= 0:
            raise ValueError(f"max_idle_conn_duration is {max_idle_duration} s; it must be more than 0, or None")
        self._max_conns = max_conns
        self._max_pending = max_pending
        self._max_idle_duration = math.inf if max_idle_duration is None else max_idle_duration
        self._stall_guard = stall_guard
        self._pipeline_all = pipeline_non_idempotent
        self._latency = Latency()
        self._backoff = backoff
        self.lanes: list[Lane[R, C]] = []
        self.waiting: OrderedDict[R, None] = OrderedDict()

    @property
    def pending(self) -> int:
        """Requests that are not answered."""
        return len(self.waiting) + sum(lane.pending for lane in self.lanes)

    # --8<-- [start:choose]
    def add(self, request: R, now: float) -> Lane[R, C] | None:
        """Give a request to a lane, or let it wait in line. A lane that is new must be dialed.

        Raises:
            PipelineOverflow: Too much is pending already (rule 3).
        """
        lane = None if self.waiting else self._choose(request, now)
        if lane is None:
            if len(self.waiting) >= self._max_pending:
                raise self._overflow()
            self.waiting[request] = None
        else:
            if len(lane.written) + len(lane.unwritten) >= self._max_pending:
                raise self._overflow()
            lane.unwritten[request] = None
        return lane

    def _choose(self, request: R, now: float) -> Lane[R, C] | None:
        """The lane to take now; None to wait."""
        alone = request.suspect or not (self._pipeline_all or request.idempotent)  # rule 6
        best, least = None, 0
        for lane in self.lanes:
            pending = len(lane.written) + len(lane.unwritten)  # rule 1
            barred = pending and (alone or lane.alone or (self._stall_guard and self.is_stalled(lane, now)))
            if not barred and (best is None or pending < least):
                best, least = lane, pending
        if (best is None or least) and len(self.lanes) < self._max_conns and self._may_dial(now):
            best = Lane[R, C]()
            self.lanes.append(best)
        if best is not None:
            best.alone = alone
        return best

    def is_stalled(self, lane: Lane[R, C], now: float) -> bool:
        """Whether a lane has been silent for too long (rule 7)."""
        return bool(lane.written) and now - lane.moved > self._latency.limit

    # --8<-- [end:choose]

    def _may_dial(self, now: float) -> bool:
        """Rule 9."""
        if not self._backoff.next_try:
            return True  # the last dial did not fail
        return now >= self._backoff.next_try and all(lane.connection is not None for lane in self.lanes)

    def _overflow(self) -> PipelineOverflow:
        return PipelineOverflow(
            f"{self.pending} requests are pending on {len(self.lanes)} of {self._max_conns} connections, "
            f"{self._max_pending} are allowed on each, and {len(self.waiting)} of them wait for one: "
            f"ask less at once, or raise max_conns or max_pending_requests"
        )

    def settle(self, now: float) -> list[Lane[R, C]]:
        """Serve the line (rule 8). Give the lanes that got something; those that are new must be dialed."""
        served: dict[Lane[R, C], None] = {}
        while self.waiting:
            request = next(iter(self.waiting))
            lane = self._choose(request, now)
            if lane is None or lane.pending >= self._max_pending:
                break
            del self.waiting[request]
            lane.unwritten[request] = None
            served[lane] = None
        return list(served)

    def next_dial(self, now: float) -> float:
        """When the line wants `settle` called, since a pause ends then (rule 9), in seconds; infinity for never."""
        return self._backoff.next_try if self.waiting and now < self._backoff.next_try else math.inf

    def answered(self, lane: Lane[R, C], now: float) -> R:
        """The next answer is whole: give the request that it answers, the oldest one written."""
        request = lane.written.popleft()
        lane.moved = now
        if request is lane.timed:
            lane.timed = None
            self._latency.add(now - lane.timed_since)
            self._backoff.succeeded()  # not before: a peer may take connections, and drop them
        if lane.given_up:
            lane.given_up.discard(request)
        return request

    def withdraw(self, request: R) -> None:
        """The caller of a request that was not written gave up: it is forgotten."""
        if request in self.waiting:
            del self.waiting[request]
            return
        for lane in self.lanes:
            if request in lane.unwritten:
                del lane.unwritten[request]
                return

    def give_up(self, lane: Lane[R, C], request: R) -> None:
        """The caller of a request that was written gave up. Its answer must still be read, to get at those behind it."""
        lane.given_up.add(request)

    def dead(self, now: float) -> list[Lane[R, C]]:
        """The lanes to close: silent, and nobody waits for what is under way there (rule 10)."""
        return [
            lane for lane in self.lanes if len(lane.given_up) == len(lane.written) > 0 and self.is_stalled(lane, now)
        ]

    def remove(self, lane: Lane[R, C], survives: Callable[[R], bool]) -> tuple[list[R], list[R]]:
        """A lane is gone: its connection was lost, never came, or has given its last answer.

        Args:
            lane: The lane; it may be gone already, and then nothing is left of it.
            survives: Whether a request may be sent again that was written and not answered (rules 4 and 5).

        Returns:
            Those who survive, the first first, to be added again with `add_first`; and those who do not.
        """
        if lane in self.lanes:
            self.lanes.remove(lane)
        survivors: list[R] = []
        lost: list[R] = []
        for request in lane.written:
            if request not in lane.given_up:
                (survivors if survives(request) else lost).append(request)
        survivors += lane.unwritten
        lane.written.clear()
        lane.unwritten.clear()
        lane.given_up.clear()
        return survivors, lost

    def add_first(self, survivors: Sequence[R]) -> None:
        """Put survivors in line, ahead of those who wait there; the limit of rule 3 is not held against them."""
        for request in reversed(survivors):
            self.waiting[request] = None
            self.waiting.move_to_end(request, last=False)

    def failed(self, now: float) -> None:
        """A dial failed, or its connection was lost without one answer (rule 9)."""
        if now >= self._backoff.next_try:  # who fails during a pause was dialed before it, and does not make it longer
            self._backoff.failed(now)

    def idle(self, now: float) -> list[Lane[R, C]]:
        """The lanes to close, because they have had nothing pending for too long."""
        return [lane for lane in self._resting() if lane.moved + self._max_idle_duration <= now]

    def next_idle(self, now: float) -> float:
        """When to ask for `idle` again, in seconds; infinity for never."""
        if not self.lanes:
            return math.inf
        return min((lane.moved for lane in self._resting()), default=now) + self._max_idle_duration

    def _resting(self) -> list[Lane[R, C]]:
        return [lane for lane in self.lanes if lane.connection is not None and not lane.pending]
