"""Leaving: how both sides learn that it is over, and why.

Who leaves says so, with a code and a reason. The packet that says it may be lost like any other; and who has left does not
listen any more, so it cannot hear that it was not understood. So leaving takes a while.

Rules:

1. Who has something under way may *linger* before it leaves: what was taken is delivered, and nothing new is taken.
2. Who leaves says it again and again, `COPIES` times in the *closing period*, or until it is acked. Of everything else that
   was to be sent nothing is.
3. Who hears it answers each copy at once, with an ack, and says nothing else: the *draining period*. What it has received
   stays to be read. Who is about to leave anyway, or to close its socket, answers once and does not wait for copies: if that
   answer is lost, the other side's period ends all the same.
4. Both periods last for `PERIODS` times what an ack may take. Then nothing is left of the connection.
5. There is one reason, the first. Who leaves of its own will has left when the other side knows, or the period is over; in
   all other cases the connection is of no use from the first moment on.

Source: RFC 9000, section 10.2 (there the period is three times that, and copies answer the peer's packets; who closes its
socket may end it early there, too).
"""

from enum import Enum
from math import inf
from typing import Final

from sleepy.udp.connections.connection_errors import APPLICATION_CODES, ClosedLocally, ConnectionClosed, error_for
from sleepy.udp.delivery.chunks import CLOSE, Close
from sleepy.udp.delivery.payload import Token

PERIODS: Final = 4
COPIES: Final = 8


class State(Enum):
    """How far a connection's life has come."""

    OPEN = "open"
    LINGERING = "lingering"  # we want to leave, and wait until what was sent has arrived
    CLOSING = "closing"  # we say that we leave
    DRAINING = "draining"  # the peer said that it leaves
    FINISHED = "finished"


class Ending:
    """The end of a connection, from the wish to leave on.

    Attributes:
        state: How far it is.
        error: Why the connection is of no use any more; None as long as it is.
    """

    __slots__ = (
        "_answer_due",
        "_close",
        "_copy_time",
        "_deadline",
        "_interval",
        "_leaving",
        "_understood",
        "error",
        "state",
    )

    def __init__(self) -> None:
        self.state = State.OPEN
        self.error: ConnectionClosed | None = None
        self._close = Close(0, "")  # what we say
        self._leaving: ConnectionClosed | None = None  # why, when we have left
        self._deadline = inf
        self._copy_time = inf  # of the next copy
        self._interval = 0.0
        self._understood = False
        self._answer_due = False

    @property
    def is_open(self) -> bool:
        """Whether messages are exchanged."""
        return self.state is State.OPEN or self.state is State.LINGERING

    # --8<-- [start:leave]
    def linger(self, close: Close, deadline: float) -> None:
        """We want to leave when everything has arrived, at ``deadline`` (seconds) at the latest (rule 1)."""
        if self.is_open:
            self.state = State.LINGERING
            self._close, self._deadline = close, deadline

    def leave(self, close: Close, now: float, patience: float, error: ConnectionClosed | None = None) -> None:
        """We leave now (rule 2).

        Args:
            close: What to say.
            now: The time, in seconds.
            patience: How long an ack may take, in seconds.
            error: Why, if not of our own will.
        """
        if self.is_open:
            self.state = State.CLOSING
            self.error = error  # rule 5
            self._close = close
            code = close.code if close.code < APPLICATION_CODES else 0
            self._leaving = ClosedLocally(f"we closed the connection{_said(close)}", code=code, reason=close.reason)
            self._interval = PERIODS * patience / COPIES
            self._copy_time = now
            self._deadline = now + PERIODS * patience

    def on_peer_close(self, close: Close, now: float, patience: float) -> None:
        """The peer leaves (rule 3). If we are about to leave too, both know."""
        self._answer_due = True
        if self.is_open:
            self._deadline = now if self.state is State.LINGERING else now + PERIODS * patience
            self.state = State.DRAINING
            self.error = error_for(close)
        self._understood = True

    def cut_short(self, now: float) -> None:
        """Our socket is about to be closed: if the peer has left already, its word is answered once (rule 3)."""
        if self.state is State.DRAINING:
            self._deadline = now

    def finish(self, error: ConnectionClosed | None) -> None:
        """It is over, and nothing more is said."""
        self.state = State.FINISHED
        self.error = self.error or error

    # --8<-- [end:leave]

    def speak(self, now: float) -> bytes | None:
        """The payload that says that we leave, if it is to be sent now (rule 2)."""
        if self.state is not State.CLOSING or self._understood or now < self._copy_time:
            return None
        self._copy_time = now + self._interval
        return self._close.encode()

    def token(self) -> Token:
        """The token of the packet with that payload."""
        return (self, CLOSE, 0, 0)

    def answer(self) -> bool:
        """Whether to send an ack now, whatever else there is (rule 3); says so once."""
        due, self._answer_due = self._answer_due, False
        return due

    def on_time(self, now: float, *, delivered: bool, patience: float) -> None:
        """Go on to the next state, if it is time; ``delivered``: nothing is under way any more."""
        if self.state is State.LINGERING and (delivered or now >= self._deadline):
            self.leave(self._close, now, patience)
        elif self.state is State.CLOSING and (self._understood or now >= self._deadline):
            self.finish(self._leaving)
        elif self.state is State.DRAINING and now >= self._deadline:
            self.finish(None)

    @property
    def next_timeout(self) -> float:
        """When to speak or to go on, in seconds; infinity: never."""
        if self.state is State.CLOSING:
            return min(self._copy_time, self._deadline)
        return self._deadline if self.state in {State.LINGERING, State.DRAINING} else inf

    def on_acked(self, _what: int, _first: int, _count: int, /) -> None:
        """The peer knows that we leave."""
        self._understood = True

    def on_lost(self, _what: int, _first: int, _count: int, /) -> None:
        """It may not; the next copy tells it."""


def _said(close: Close) -> str:
    code = f" with code {close.code}" if close.code < APPLICATION_CODES and (close.code or close.reason) else ""
    return f"{code}: {close.reason}" if close.reason else code
