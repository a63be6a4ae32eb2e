"""How long to leave a peer alone that could not be reached? Decisions only.

A peer that is down is not helped by being dialed as often as somebody wants something from it, and one that comes back is
thrown down again if all its clients dial at the same moment. So:

1. After a failure the next try waits, and after each further one twice as long, up to a limit.
2. Chance shortens each wait, by up to half, so that clients who failed together do not come back together.
3. One success and all is forgotten.

Source: "exponential backoff with jitter", as in RFC 8961, section 4, requirement 3, for another purpose.
"""

from random import Random


class Backoff:
    """When one peer may be tried again.

    Args:
        shortest: The first wait, in seconds.
        longest: No wait is longer, in seconds.
        random: Where chance comes from; hand in a seeded one to have the same again.
    """

    __slots__ = ("_failures", "_longest", "_random", "_shortest", "next_try")

    def __init__(self, *, shortest: float = 0.1, longest: float = 5.0, random: Random | None = None) -> None:
        self._shortest = shortest
        self._longest = longest
        self._random = random or Random()
        self._failures = 0
        self.next_try = 0.0  # seconds on the clock of who asks

    def failed(self, now: float) -> None:
        """The peer could not be reached, at ``now`` (seconds)."""
        wait = min(self._longest, self._shortest * 2.0 ** min(self._failures, 62))
        self._failures += 1
        self.next_try = now + wait * self._random.uniform(0.5, 1.0)

    def succeeded(self) -> None:
        """The peer was reached."""
        self._failures = 0
        self.next_try = 0.0
