"""When may the next packet leave?

A window sent in one burst arrives in one burst, at a queue that may be shorter than that. Spread over the round trip it
meets no queue at all. So packets leave at a rate: each one takes up ``size / rate`` seconds, and the next leaves after it.

Timers do not allow for that literally. At 100 Mbit/s a packet takes 100 microseconds, and a timer comes a millisecond late.
Waiting in a loop would be exact, and burn a processor. Instead what was missed is made up for: who comes late may send, at
once, what should have left meanwhile, within a bound.

Rules:

1. A packet's time is that of the one before plus what that takes up.
2. A time that has passed is not lost, but only as far back as the *allowance*: what a burst of ten packets takes up (the
   least that everybody must bear, RFC 9002, section 7.7), or two late milliseconds, whichever is longer.
3. So in any stretch of ``t`` seconds no more leaves than ``rate * t``, a burst, and one packet.

This is a token bucket, written the other way round: instead of a sum of tokens that grows with time, the time is kept at
which the bucket will not be overdrawn. So the answer to "when?" is a number that is kept, and exact; nobody wakes up a
rounding error too early, to wait again.

Source: ITU-T I.371 (the "virtual scheduling algorithm" is this one); RFC 9002, section 7.7.
"""

from math import inf
from typing import Final

BURST_PACKETS: Final = 10
LATE_TIMER: Final = 0.002  # seconds
_BURST: Final = BURST_PACKETS - 0.5  # a packet leaves while any of it is left; half, for rounding


class Pacer:
    """Spreads packets over time.

    Args:
        packet_size: Bytes of a full packet.

    Attributes:
        next_time: When the next packet may leave, in seconds; may have passed.
    """

    __slots__ = ("_packet_size", "next_time")

    def __init__(self, packet_size: int = 1200) -> None:
        self._packet_size = packet_size
        self.next_time = -inf

    # --8<-- [start:pace]
    def can_send(self, now: float) -> bool:
        """Whether a packet may leave now."""
        return now >= self.next_time

    def on_sent(self, size: int, now: float, rate: float) -> None:
        """A packet of ``size`` bytes left, at a time when ``rate`` bytes per second may leave."""
        allowance = max(_BURST * self._packet_size / rate, LATE_TIMER)
        self.next_time = max(self.next_time, now - allowance) + size / rate  # rules 1 and 2

    # --8<-- [end:pace]
