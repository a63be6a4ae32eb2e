"""How long to wait for an ack.

Too short, and what merely took its time is sent twice; too long, and every loss is a pause. So the time-out follows the
measured round trips: their smoothed mean, plus four times their smoothed deviation.

Rules (RFC 6298 unless said otherwise):

1. The first sample R: mean = R, deviation = R / 2. Before it, the time-out is 1 second.
2. Each later sample: deviation += (|mean - R| - deviation) / 4, then mean += (R - mean) / 8.
3. Time-out = mean + max(floor, 4 * deviation). The RFC wants at least a second in all; Linux has found a floor of 0.2 s
   above the mean to do, and we follow Linux.
4. Each expiry doubles it, up to two minutes, until something new is acknowledged.
5. What was sent twice gives no sample, for who knows which copy was acknowledged (Karn). That is the caller's part.
"""

import math
from dataclasses import dataclass
from typing import Final

INITIAL: Final = 1.0  # seconds
FLOOR: Final = 0.2
LONGEST: Final = 120.0


@dataclass(slots=True)
class RoundTrip:
    """Measures round trips and says how long to wait for one.

    Attributes:
        mean: The smoothed round-trip time, in seconds; 0 before the first sample.
        deviation: Its smoothed mean deviation, in seconds.
        latest: The latest sample, in seconds.
        smallest: The smallest sample, in seconds.
        expiries: How often the time-out has expired since something new was acknowledged.
    """

    mean: float = 0.0
    deviation: float = 0.0
    latest: float = 0.0
    smallest: float = math.inf
    expiries: int = 0

    def sample(self, seconds: float) -> None:
        """Take a measured round trip."""
        if not self.mean:  # rule 1
            self.mean, self.deviation = seconds, seconds / 2
        else:  # rule 2
            self.deviation += (abs(self.mean - seconds) - self.deviation) / 4
            self.mean += (seconds - self.mean) / 8
        self.latest = seconds
        self.smallest = min(self.smallest, seconds)

    @property
    def timeout(self) -> float:
        """How long to wait for an ack before sending again, in seconds (rules 3 and 4)."""
        base = self.mean + max(FLOOR, 4 * self.deviation) if self.mean else INITIAL
        return min(math.ldexp(base, self.expiries), LONGEST)
