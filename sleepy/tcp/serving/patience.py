"""How long may a peer keep us waiting?

A connection costs its owner memory and a place, and nothing is cheaper than to hold it: say nothing, or send a byte of a
request now and then (the attack *Slowloris*), or a byte of a body (*R.U.D.Y.*), or ask for much and take it in drips (*slow
read*). A limit on silence does not help against drips, and a limit on the whole time cuts off honest peers with much to say
over a thin line. So what is waited for decides:

1. While the work is ours the peer owes nothing. A handler may take as long as it likes.
2. A head is short. All of it must be there within a time that runs from its first byte, however it drips.
3. A body may be long, and so may an answer. They must move: in each period at least ``min_rate`` bytes per second.
4. Between requests there is a limit on silence.
5. After our last word the peer has a fixed time to hear it, whatever it still sends.

The module decides and does nothing: its callers bring ``now``, in seconds, and count the bytes.
"""

from dataclasses import dataclass
from enum import Enum


class Wait(Enum):
    """What is waited for."""

    OURS = "our own work"
    HEAD = "the rest of a request's head"
    BODY = "the rest of a request's body"
    WRITE = "the peer, to take its answer"
    IDLE = "a request"
    LINGER = "the peer, to close"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long each may take, in seconds; None for ever.

    Attributes:
        head: A head, from its first byte (rule 2).
        body: The period in which a body must move (rule 3).
        write: The period in which an answer must move (rule 3).
        idle: The silence between requests (rule 4).
        linger: What a peer has to hear our last word (rule 5).
        min_rate: What must move in those periods, in bytes per second. With 0 any byte will do.
    """

    head: float | None
    body: float | None
    write: float | None
    idle: float | None
    linger: float
    min_rate: float

    def of(self, wait: Wait) -> float | None:
        """The limit of one kind of waiting."""
        return {
            Wait.OURS: None,
            Wait.HEAD: self.head,
            Wait.BODY: self.body,
            Wait.WRITE: self.write,
            Wait.IDLE: self.idle,
            Wait.LINGER: self.linger,
        }[wait]


class Patience:
    """Watches what one connection waits for.

    Args:
        limits: How long each kind of waiting may take.
        now: The time of the connection's start.
    """

    __slots__ = ("_limits", "_moved", "_since", "_wait")

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self.begin(Wait.IDLE, 0, now)

    def begin(self, wait: Wait, moved: int, now: float) -> None:
        """From now on ``wait`` is what is waited for; ``moved`` bytes have moved so far."""
        self._wait = wait
        self._moved = moved
        self._since = now

    # --8<-- [start:judge]
    def judge(self, wait: Wait, moved: int, now: float) -> float | None:
        """For how many seconds to wait on.

        Args:
            wait: What is waited for. If it is not what was begun, it begins now.
            moved: How many bytes have moved so far: in with a body, out with an answer.
            now: The time.

        Returns:
            The time to judge again, in seconds from now; 0 if patience is at its end; None if there is nothing to judge.
        """
        if wait is not self._wait:
            self.begin(wait, moved, now)
        limit = self._limits.of(wait)
        if limit is None:
            return self._limits.idle  # whatever comes next is noticed in time
        left = self._since + limit - now
        if left <= 0 and wait in {Wait.BODY, Wait.WRITE} and self._moves(moved, now):
            self.begin(wait, moved, now)
            left = limit
        return max(left, 0.0)

    def _moves(self, moved: int, now: float) -> bool:  # rule 3
        return moved - self._moved >= max(1.0, self._limits.min_rate * (now - self._since))

    # --8<-- [end:judge]
