"""Who goes out on which connection, when a connection carries many requests at once? Decisions only, no I/O.

*Pipelining* (RFC 9112, section 9.3.2) sends the next request before the last answer has come. It saves round trips and
system calls, and it has a price: answers come in the order of the requests, so **one slow or lost answer holds up every
answer behind it on the same connection**. This is head-of-line blocking, and no cleverness below removes it; spreading over
several *lanes* divides it. These are the ideas of fasthttp's PipelineClient, with rules against what hurt its users:

1. **Pending means not answered.** A request counts from the moment it is given to a lane until its answer is whole: while
   it waits to be written, while it is under way, and while the peer works on it. (If the one in service is left out, a lane
   stuck behind a slow answer looks free, and gets all that comes.)
2. **Least pending first.** A request goes to a lane with nothing pending, else to a new one while fewer than ``max_conns``
   exist, else to the one with the least pending; of equals to the oldest.
3. **A limit on each lane, and the newcomer bears it.** When even the chosen lane has ``max_pending`` pending, the request is
   refused at once (`PipelineOverflow`); none that was accepted before is thrown out for it.
4. **A lost lane loses only what is in doubt.** What was not written survives and moves to another lane. What was written
   may have been executed: it survives only if it is idempotent. The first of the survivors go first.
5. **A last answer is a last answer.** When the peer says that it will close, the lane takes no more, and what was written
   behind the last answer was never executed (RFC 9112, section 9.6): it survives, whatever its method.
"""

from collections import deque
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from sleepy.tcp.errors import PipelineOverflow


class Pending(Protocol):
    """What the pipeline must know of a request."""

    @property
    def idempotent(self) -> bool:
        """Whether it may be sent twice."""
        ...


R = TypeVar("R", bound=Pending)


class Lane(Generic[R]):
    """One connection's part of the pipeline: its requests, the oldest first.

    Attributes:
        unwritten: Those that wait to be written.
        written: Those that were written and are not answered; the peer works on the first.
    """

    __slots__ = ("unwritten", "written")

    def __init__(self) -> None:
        self.unwritten: deque[R] = deque()
        self.written: deque[R] = deque()

    @property
    def pending(self) -> int:
        """Requests that are not answered (rule 1)."""
        return len(self.unwritten) + len(self.written)

    def write(self) -> list[R]:
        """Everything that waits is written now; give it, in order."""
        batch = list(self.unwritten)
        self.written += batch
        self.unwritten.clear()
        return batch

    def answered(self) -> R:
        """The next answer is whole: give the request that it answers, the oldest one written."""
        return self.written.popleft()


class Pipeline(Generic[R]):
    """The lanes to one peer.

    Args:
        max_conns: How many lanes there may be (fasthttp: MaxConns).
        max_pending: How many requests may be pending on one lane (MaxPendingRequests).

    Raises:
        ValueError: A limit that would let nothing through.
    """

    def __init__(self, max_conns: int, max_pending: int) -> None:
        for name, limit in (("max_conns", max_conns), ("max_pending_requests", max_pending)):
            if limit < 1:
                raise ValueError(f"{name} of {limit} would let nothing through; the least is 1")
        self._max_conns = max_conns
        self._max_pending = max_pending
        self.lanes: list[Lane[R]] = []

    @property
    def pending(self) -> int:
        """Requests on all lanes that are not answered."""
        return sum(lane.pending for lane in self.lanes)

    # --8<-- [start:choose]
    def add(self, request: R) -> Lane[R]:
        """Give a request to a lane (rule 2). A lane that is new must be dialed.

        Raises:
            PipelineOverflow: Too much is pending already (rule 3).
        """
        lane = self._choose()
        if lane.pending >= self._max_pending:
            raise PipelineOverflow(
                f"{self.pending} requests are pending on {len(self.lanes)} of {self._max_conns} connections, "
                f"{self._max_pending} are allowed on each: ask less at once, or raise max_conns or max_pending_requests"
            )
        lane.unwritten.append(request)
        return lane

    def _choose(self) -> Lane[R]:
        lane = min(self.lanes, key=lambda lane: lane.pending, default=None)
        if lane is None or (lane.pending and len(self.lanes) < self._max_conns):
            lane = Lane[R]()
            self.lanes.append(lane)
        return lane

    # --8<-- [end:choose]

    def withdraw(self, request: R) -> bool:
        """A caller gave up. A request that was not written is forgotten; True if so.

        One that was written stays: its answer will come, and must be read to get at those behind it.
        """
        for lane in self.lanes:
            if request in lane.unwritten:
                lane.unwritten.remove(request)
                return True
        return False

    def remove(self, lane: Lane[R], *, last_answer: bool = False) -> tuple[list[R], list[R]]:
        """A lane is gone: its connection was lost, never came, or has given its last answer.

        Args:
            lane: The lane; it may be gone already, and then nothing is left of it.
            last_answer: Whether the peer has said of an answer that it is the last (rule 5).

        Returns:
            Those who survive, the first first, to be added again with `add_first`; and those who do not.
        """
        if lane in self.lanes:
            self.lanes.remove(lane)
        survivors = [request for request in lane.written if last_answer or request.idempotent]
        lost = [request for request in lane.written if not (last_answer or request.idempotent)]
        survivors += lane.unwritten
        lane.written.clear()
        lane.unwritten.clear()
        return survivors, lost

    def add_first(self, survivors: Sequence[R]) -> Lane[R] | None:
        """Give survivors a lane together, ahead of those who wait there; the limit of rule 3 is not held against them."""
        if not survivors:
            return None
        lane = self._choose()
        lane.unwritten.extendleft(reversed(survivors))
        return lane
