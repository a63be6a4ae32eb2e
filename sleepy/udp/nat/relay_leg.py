"""The way from a peer to the relay that passes its datagrams on.

The relay wants to know where we are before it sends anything there, so we *bind*: with a token, again with the cookie that
comes back, and then every 15 s, so that our NAT keeps the mapping. For the node above, the peer behind the relay has an
address like any other, except that no socket can send there: its port is 0.

Rules:

1. Until BOUND comes BIND is repeated, after 0.25 s, 0.5 s ... 2 s. A COOKIE is answered at once, but once per repetition: no
   relay makes us send without end.
2. What comes from elsewhere than the relay is not for us.
"""

from typing import Final

from sleepy.udp.address import Address
from sleepy.udp.nat.traversal_wire import Kind, after_kind, decode_cookie, encode_bind, encode_relayed

FIRST_WAIT: Final = 0.25  # seconds
LONGEST_WAIT: Final = 2.0  # seconds
KEEP_ALIVE: Final = 15.0  # seconds


class Leg:
    """One end's side of a relay's channel.

    Args:
        relay: Where the relay is.
        token: Of our end.
        now: The time, in seconds on any monotonic clock.

    Attributes:
        relay: Where the relay is.
        token: Of our end.
        address: By what our node is to call the peer at the other end.
        bound: Whether the relay has said so at least once.
        used: When a datagram came by this way; at first, the beginning. In seconds.
        next_timeout: When to call `on_time` again, in seconds.
    """

    __slots__ = ("_answered", "_bind", "_wait", "address", "bound", "next_timeout", "relay", "token", "used")

    def __init__(self, relay: Address, token: bytes, *, now: float) -> None:
        self.relay = relay
        self.token = token
        self.address: Address = (f"relay-{token.hex()}", 0)
        self.bound = False
        self.used = now
        self.next_timeout = now
        self._bind = encode_bind(token)
        self._wait = FIRST_WAIT
        self._answered = False

    def on_time(self, now: float) -> bytes | None:
        """What to send to the relay at ``now``, if anything."""
        if now < self.next_timeout:
            return None
        self.next_timeout = now + self._wait
        self._wait = min(2 * self._wait, LONGEST_WAIT)
        self._answered = False
        return self._bind

    def receive(self, datagram: bytes, address: Address, now: float) -> bytes | None:
        """Take COOKIE or BOUND; returns what to send to the relay, if anything."""
        if address != self.relay:  # rule 2
            return None
        if datagram[0] == Kind.BOUND:
            if after_kind(datagram) == self.token:
                self.bound = True
                self.next_timeout, self._wait = now + KEEP_ALIVE, FIRST_WAIT
            return None
        cookie = decode_cookie(self._bind, datagram)
        if cookie is None or self._answered:  # rule 1
            return None
        self._answered = True
        self._bind = encode_bind(self.token, cookie)
        return self._bind

    def wrap(self, datagram: bytes) -> bytes:
        """The datagram that the relay passes on to the peer."""
        return encode_relayed(self.token, datagram)
