"""So much per second, and a little at once.

A bucket of tokens fills at a steady rate up to its brim. Whoever wants to do something takes as many tokens as it costs; if
there are too few it is not done. So in any time ``t`` no more than ``rate * t + burst`` is done, whatever the asker tries.

Source: the token bucket of ITU-T I.371 and RFC 2697.
"""


class RateLimit:
    """A bucket of tokens.

    Args:
        rate: Tokens per second.
        burst: How many it holds; it is full at first.
        now: The time, in seconds on any monotonic clock.
    """

    __slots__ = ("_burst", "_level", "_rate", "_since")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = self._level = burst
        self._since = now

    def take(self, amount: float, now: float) -> bool:
        """Take tokens, if there are enough."""
        self._level = min(self._burst, self._level + (now - self._since) * self._rate)
        self._since = now
        if self._level < amount:
            return False
        self._level -= amount
        return True
