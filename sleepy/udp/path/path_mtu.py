"""How large a packet does the path carry?

Large packets carry more for the same price. But a packet larger than some link on the path carries is dropped there, and
the message that should say so is often dropped too. So the sender finds out by trying: with packets that are padded to a
size and hold nothing that matters. What is acked has proved its size; what is lost has proved nothing, unless several are.

Rules:

1. 1200 bytes must always pass; whoever cannot carry them cannot be talked to. The search begins there.
2. First the *limit* is tried, since most paths carry what an Ethernet does. Then the middle between what passed and what
   did not, until they are less than 20 bytes apart.
3. A size has failed after 3 probes of it were lost. One is under way at a time, and its loss is no sign of congestion.
4. After the search, the limit is tried again every 600 seconds: paths change.
5. A *black hole*: the path changed to one that carries less, so every large packet is lost while small ones arrive. It is
   believed after 6 lost packets above 1200 bytes, none of which was sent before one of more than 1200 that arrived. Then it
   is 1200 bytes again, and the search begins anew. What was under way then, and is larger, says nothing new when it is lost.
6. Below 1200 there is no smaller size to fall back to, so a path that carries less is of no use, whatever small packets
   get through: who says nothing about it leaves its program waiting for ever. It is believed after losses in 16 rounds (what
   was sent together may be lost together) with nothing acked in between that was about as large, or larger than what arrived
   before. How long that may go on is for the caller to say: a route may flap.

For rules 5 and 6 somebody must notice losses at all, which needs acks: send probe timeouts' packets with at most 1200 bytes,
and a small one beside them if that does not help.

Sizes are those of the datagram, in bytes, without the headers of UDP and IP.

Source: RFC 8899, sections 4 and 5 (MAX_PROBES, PMTU_RAISE_TIMER, BASE_PLPMTU, MAX_PLPMTU; rule 6 is the state Error, and
MIN_PLPMTU equals BASE_PLPMTU); RFC 9000, sections 14.2 and 14.3.
"""

from math import inf
from typing import Final

BASE: Final = 1200
LIMIT: Final = 1452  # bytes: an Ethernet's 1500, without 40 of IPv6 and 8 of UDP
NEAR_ENOUGH: Final = 20
MAX_PROBES: Final = 3
RAISE_INTERVAL: Final = 600.0  # seconds
BLACK_HOLE: Final = 6  # packets
TOO_NARROW: Final = 16  # rounds; at 40 % loss all are lost by chance once in two million times


class PathMtuSearch:
    """Searches for the largest size that passes.

    Args:
        limit: The largest size to try, at least 1200.

    Attributes:
        size: The largest size that is known to pass.
        black_holes: How often it was taken back.
        narrow_for: For how many seconds the path has seemed to carry less than 1200 bytes (rule 6); 0: it does not.

    Raises:
        ValueError: ``limit`` is below 1200.
    """

    __slots__ = (
        "_failed",
        "_failures",
        "_limit",
        "_lost_large",
        "_newest_large",
        "_next_search",
        "_passed",
        "_probing",
        "_round_end",
        "_rounds",
        "_rounds_begin",
        "_suspects",
        "black_holes",
        "narrow_for",
        "size",
    )

    def __init__(self, limit: int = LIMIT) -> None:
        if limit < BASE:
            raise ValueError(f"limit is {limit}, but every path must carry {BASE} bytes: choose that or more")
        self._limit = limit
        self.size = BASE
        self.black_holes = 0
        self._newest_large = -inf  # when the newest large packet was sent that arrived
        self._suspects = 0  # large packets lost since
        self._probing = False  # whether a probe is under way
        self._begin()
        self._trust()

    def _begin(self) -> None:
        """Let everything up to the limit be possible again."""
        self._failed = self._limit + 1  # the smallest size that is believed not to pass
        self._failures = 0
        self._next_search = inf

    def _trust(self) -> None:
        """Believe that the path carries 1200 bytes (rule 6)."""
        self.narrow_for = 0.0
        self._lost_large = 0  # bytes: the largest packet lost since; 0: none was
        self._passed = 0  # bytes: the largest that arrived since then
        self._rounds = 0
        self._rounds_begin = 0.0  # when the first loss was noticed
        self._round_end = -inf  # when the last one was

    # --8<-- [start:probe]
    def next_timeout(self) -> float:
        """When to ask for a probe: at once (minus infinity), or when the search is to be begun again; or never."""
        if self._probing:
            return inf
        return -inf if self._wanted() else self._next_search

    def next_probe(self, now: float) -> int | None:
        """The size of a probe to be sent now, at ``now`` in seconds; None if there is none."""
        if self._probing:
            return None
        if now >= self._next_search:  # rule 4
            self._begin()
        size = self._wanted()
        self._probing = size is not None
        return size

    def _wanted(self) -> int | None:
        """The size to try next (rule 2)."""
        if self.size == self._limit or self._failed - self.size < NEAR_ENOUGH:
            return None
        return self._limit if self._failed > self._limit else (self.size + self._failed) // 2

    def on_probe_acked(self, size: int, now: float) -> None:
        """A probe of this size has passed."""
        self.size = max(self.size, size)
        self._failures = 0
        self._trust()
        self._go_on(now)

    def on_probe_lost(self, size: int, now: float) -> None:
        """A probe of this size was lost (rule 3)."""
        self._failures += 1
        if self._failures >= MAX_PROBES:
            self._failures = 0
            self._failed = min(self._failed, size)
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        """To the next size; if there is none, wait until it is worth while to look again (rule 4)."""
        self._probing = False
        if self.size < self._limit and self._wanted() is None:
            self._next_search = now + RAISE_INTERVAL

    # --8<-- [end:probe]

    # --8<-- [start:black_hole]
    def on_acked(self, size: int, sent_time: float) -> None:
        """A packet arrived that was no probe; to be told before the losses that the same ack shows."""
        if size > BASE and sent_time > self._newest_large:
            self._newest_large = sent_time
            self._suspects = 0
        if self._passed < size and self._lost_large:
            self._passed, self._rounds = size, 0
            if size > self._lost_large - NEAR_ENOUGH:
                self._trust()

    def on_lost(self, size: int, sent_time: float, now: float) -> None:
        """A packet was lost that was no probe (rules 5 and 6)."""
        if self._passed < size <= BASE:
            self._doubt(size, sent_time, now)
        if not BASE < size <= self.size or sent_time <= self._newest_large:
            return
        self._suspects += 1
        if self._suspects >= BLACK_HOLE:
            self._suspects = 0
            self.size = BASE
            self.black_holes += 1
            self._begin()

    def _doubt(self, size: int, sent_time: float, now: float) -> None:
        """A packet was lost that may have been too large even for this (rule 6)."""
        if not self._lost_large:
            self._rounds_begin = now
        self._lost_large = max(self._lost_large, size)
        if sent_time >= self._round_end:
            self._round_end = now
            self._rounds += 1
            if self._rounds >= TOO_NARROW:
                self.narrow_for = now - self._rounds_begin

    # --8<-- [end:black_hole]
