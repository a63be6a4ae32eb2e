"""Is the peer really at the address from which its packet came?

A connection outlives its addresses: a laptop changes networks, a NAT forgets. The peer's packets then come from somewhere
else, and prove by their encryption that the peer wrote them. They do not prove that it is there: whoever sees a packet can
send it on, with any address as its sender, and have us send all we have to a victim. So we ask first: a number that nobody
can guess goes to the new address, encrypted, and only who reads it there can send it back.

Rules:

1. A new address is a *candidate* if the newest packet of all came from it. An older one may have been overtaken by a change
   that is known. A newer candidate takes the place of an older one.
2. Until the answer comes, everything else goes to the old address. If that is dead, it costs a round trip.
3. Not more than three times the bytes that came from the candidate are sent to it (RFC 9000, section 8.1): a challenge that
   may be forged must not make us a weapon.
4. The challenge is sent again, up to `CHALLENGES` times and more and more slowly. A candidate that does not answer is
   forgotten, and may try again.
5. The answer counts wherever it comes from: only at the candidate's address could the challenge be read.

Source: RFC 9000, sections 8.2 and 9.3; rule 2 is stricter, there data goes to the new address meanwhile.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from sleepy.udp.address import Address
from sleepy.udp.connections.preface import NONCE

AMPLIFICATION: Final = 3
CHALLENGES: Final = 5


class PathValidation:
    """Asks at new addresses.

    Args:
        random_bytes: Where challenges come from.

    Attributes:
        candidate: The address that is asked; None if none is.
        next_timeout: When to ask again, in seconds; infinite if never.
    """

    __slots__ = ("_asked", "_first_asked", "_nonce", "_random_bytes", "_room", "candidate", "next_timeout")

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self.give_up()

    def give_up(self) -> None:
        """Ask nobody."""
        self.candidate: Address | None = None
        self.next_timeout = inf
        self._nonce = b""
        self._room = 0
        self._asked = 0
        self._first_asked = 0.0

    # --8<-- [start:validate]
    def on_packet(self, address: Address, size: int, now: float) -> None:
        """The newest packet came from an address that is not the peer's: a datagram of ``size`` bytes."""
        if address != self.candidate:
            self.give_up()
            self.candidate = address
            self._nonce = self._random_bytes(NONCE)
            self.next_timeout = now
        self._room += AMPLIFICATION * size

    def challenge(self, size: int, now: float, patience: float) -> bytes | None:
        """What to send to the candidate now, if anything: a challenge, in a datagram that will have ``size`` bytes.

        Args:
            size: In bytes (rule 3).
            now: The time, in seconds.
            patience: How long an answer may take, in seconds.
        """
        if now < self.next_timeout:
            return None
        if self._asked == CHALLENGES or size > self._room:
            self.give_up()
            return None
        self.next_timeout = now + patience * (1 << self._asked)  # rule 4
        self._first_asked = self._first_asked if self._asked else now
        self._asked += 1
        self._room -= size
        return self._nonce

    def on_response(self, nonce: bytes, now: float) -> tuple[Address, float] | None:
        """Somebody answers; the address that is proved by it, and how long the answer took, in seconds (rule 5)."""
        if self.candidate is None or nonce != self._nonce or not self._asked:
            return None
        proved = self.candidate, now - self._first_asked
        self.give_up()
        return proved

    # --8<-- [end:validate]
