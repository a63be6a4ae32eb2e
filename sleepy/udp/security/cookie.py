"""A cookie proves an address without a byte of memory.

The sender's address in a UDP datagram is whatever the sender wrote there. Who keeps something for every first datagram
can be filled up from a single machine that invents addresses; who sends long answers to short questions can be pointed at
a victim. So before anything else the asker must show that he receives at the address he gives: we send a cookie there,
and he asks again with the cookie.

The trick is not to remember the cookies we gave. A cookie is a keyed hash of all we would have remembered, under a secret
of ours: when it comes back we compute it again, and compare.

Rules:

1. A cookie holds for one address and one subject (the hello, with its connection id and key). At another address, or for
   another hello, it is worth nothing.
2. Its secret is replaced every ``period`` seconds, and the one before is honoured for one period more. So a cookie lives
   between one and two periods, without having its time written on it.
3. There are two secrets, however many cookies there are.

Source: SYN cookies (Bernstein, 1996); DTLS's HelloVerifyRequest (RFC 6347, section 4.2.1), QUIC's Retry (RFC 9000, section
8.1.2), WireGuard's cookies (Donenfeld, 2017, section 5.3).
"""

from hashlib import blake2s
from hmac import compare_digest
from os import urandom

from sleepy.udp.address import Address
from sleepy.udp.security.noise import RandomBytes

COOKIE = 16  # bytes


class CookieJar:
    """Bakes cookies and knows its own again.

    Args:
        now: The time, in seconds on any monotonic clock.
        period: How long a secret is used for new cookies, in seconds (rule 2); longer than the slowest round trip.
        random_bytes: Where secrets come from.
    """

    __slots__ = ("_current", "_period", "_previous", "_random_bytes", "_since")

    def __init__(self, *, now: float, period: float = 10.0, random_bytes: RandomBytes = urandom) -> None:
        self._period = period
        self._random_bytes = random_bytes
        self._since = now
        self._current = random_bytes(32)
        self._previous = self._current

    # --8<-- [start:cookie]
    def bake(self, address: Address, subject: bytes, now: float) -> bytes:
        """The cookie for ``subject`` from ``address``: 16 bytes."""
        self._rotate(now)
        return _mac(self._current, address, subject)

    def check(self, cookie: bytes, address: Address, subject: bytes, now: float) -> bool:
        """Whether we baked this cookie, for that address and subject, lately."""
        self._rotate(now)
        return any(compare_digest(cookie, _mac(key, address, subject)) for key in (self._current, self._previous))

    # --8<-- [end:cookie]

    def _rotate(self, now: float) -> None:
        periods = int((now - self._since) / self._period)
        if periods > 0:
            self._since += periods * self._period
            self._previous = self._current if periods == 1 else self._random_bytes(32)
            self._current = self._random_bytes(32)


def _mac(key: bytes, address: Address, subject: bytes) -> bytes:
    return blake2s(repr((address, subject)).encode(), key=key, digest_size=COOKIE).digest()
