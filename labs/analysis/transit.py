"""What became of each segment between the two sides of the router.

A segment *enters* the router on its sender's side and *leaves* on its receiver's. One seen on both sides took the time
between; one that entered and never left was lost. Rules:

1. A segment is known on the other side by everything that a router leaves alone: addresses, sequence and
   acknowledgement number, flags, payload, and IPv4's identification, which is new when TCP sends the same bytes again.
2. Where copies cannot be told apart (a system that leaves the identification zero), a departure belongs to the latest
   entry before it: a retransmission follows its loss by at least a round trip, so it is the earlier copy that is lost.
3. What left more often than it entered was doubled by the link; the last to leave counts as the segment's own.
4. What entered after the last entry that was seen to leave is undecided: it may have been under way when the capture
   ended. TCP sends again what was lost, so a real loss always has something behind it that got through.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from labs.capture import Segment


class Crossing(NamedTuple):
    """One segment's way through the router.

    Attributes:
        segment: As it entered.
        left: When it left, in seconds since 1970; ``None`` if it never did.
    """

    segment: Segment
    left: float | None


def crossings(entering: Sequence[Segment], leaving: Sequence[Segment]) -> list[Crossing]:
    """Find each entering segment among those that left.

    Args:
        entering: The segments of one direction, captured on their sender's side, in order.
        leaving: The same on their receiver's side.

    Returns:
        One crossing per decided segment (rule 4), in the order entered.
    """
    departures = defaultdict[Hashable, list[float]](list)
    for segment in reversed(leaving):
        departures[_identity(segment)].append(segment.time)
    left: list[float | None] = [None] * len(entering)
    for place in reversed(range(len(entering))):  # rule 2: the latest entry chooses first, the latest departure
        segment = entering[place]
        times = departures[_identity(segment)]
        if times and times[0] >= segment.time:
            left[place] = times.pop(0)
    decided = max((place for place, time in enumerate(left) if time is not None), default=-1) + 1
    return [Crossing(segment, time) for segment, time in zip(entering[:decided], left[:decided], strict=True)]


def delays(crossed: Sequence[Crossing]) -> list[float]:
    """The times from side to side of those that left, in seconds, in the order entered."""
    return [crossing.left - crossing.segment.time for crossing in crossed if crossing.left is not None]


def lost(crossed: Sequence[Crossing]) -> list[Segment]:
    """Those that entered and never left, in the order entered."""
    return [crossing.segment for crossing in crossed if crossing.left is None]


def _identity(segment: Segment) -> Hashable:
    return segment._replace(time=0.0)
