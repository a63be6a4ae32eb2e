"""Is the peer still there, and were we?

A silent peer and a dead one look the same. So whoever has heard nothing for a while asks; who does not even answer is
gone after the *idle timeout*. There is a third case: the silence was ours. A debugger, a suspended laptop, a loop that was
busy for minutes: whatever came in meanwhile lies in a buffer, unread. Whoever looked at a clock first would bury a healthy
peer.

Rules:

1. Any packet from the peer proves life.
2. After ``keep_alive`` seconds of silence we ask for an ack (a *ping*): once, for loss recovery asks again, more and more
   slowly. So in an idle connection one side asks and the other answers, and the path's NATs remember it.
3. After ``idle_timeout`` seconds of silence the peer is gone.
4. A connection says when it wants to be woken. What it is woken too late by, if it is much, is time in which we were away:
   it did not pass. So after a pause of minutes the peer has as long to answer as if there had been none, and round trips do
   not contain it.

Rule 4 needs that every other part of the connection lives by this clock.

Source: RFC 9000, section 10.1; rule 4 is ours.
"""

from math import inf
from typing import Final

PATIENCE: Final = 1.0  # seconds by which a wake-up may be late; a busy loop is, and it is no pause


# --8<-- [start:clock]
class AwakeClock:
    """Time, without the time when we were away (rule 4).

    Attributes:
        wanted: When we want to be woken, in real time; infinity before the first `plan`.
    """

    __slots__ = ("_away", "_wanted_awake", "wanted")

    def __init__(self) -> None:
        self._away = 0.0
        self.wanted = self._wanted_awake = inf

    def awake(self, now: float) -> float:
        """What time it is, at ``now`` in real time (both in seconds)."""
        if now < self.wanted:
            return now - self._away if self._away else now
        if now - self.wanted > PATIENCE:
            self._away += now - self.wanted
            self.wanted = now
        return max(now - self._away, self._wanted_awake)  # or a rounding error would have us sleep again, for no time

    def plan(self, awake: float, real: float = inf) -> None:
        """We want to be woken at ``awake``, by this clock, or at ``real``, by the other, whatever comes first."""
        self.wanted = min(awake + self._away, real)
        self._wanted_awake = self.wanted - self._away if real < awake + self._away else awake


# --8<-- [end:clock]


# --8<-- [start:heartbeat]
class Heartbeat:
    """Judges the peer's silence.

    Args:
        keep_alive: Rule 2, in seconds.
        idle_timeout: Rule 3, in seconds.
        now: The time, in seconds.
    """

    __slots__ = ("_asked", "_heard", "_keep_alive", "idle_timeout")

    def __init__(self, keep_alive: float, idle_timeout: float, now: float) -> None:
        self.idle_timeout = idle_timeout
        self._keep_alive = min(keep_alive, idle_timeout / 2)
        self._heard = now
        self._asked = False

    def on_heard(self, now: float) -> None:
        """A packet came (rule 1)."""
        self._heard = now
        self._asked = False

    def must_ask(self, now: float) -> bool:
        """Whether to send a ping now; says so once (rule 2)."""
        if self._asked or now < self._heard + self._keep_alive:
            return False
        self._asked = True
        return True

    def is_gone(self, now: float) -> bool:
        """Whether the peer is gone (rule 3)."""
        return now >= self._heard + self.idle_timeout

    @property
    def next_timeout(self) -> float:
        """When to judge again, in seconds."""
        return self._heard + (self.idle_timeout if self._asked else self._keep_alive)


# --8<-- [end:heartbeat]
