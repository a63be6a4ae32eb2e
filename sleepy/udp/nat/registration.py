"""Keeping in touch with the rendezvous server.

It is to know where we are, and our NAT is to let in what it sends. Both are forgotten by those who hear nothing of us, so we
register again and again, from the very socket on which we want to be reached. `sleepy.udp.nat.introductions` has the
server's side.

Rules:

1. A REGISTER is repeated, after 0.25 s, 0.5 s ... 2 s, until its answer comes; the next is due ``keep_alive`` seconds later.
   Many a NAT forgets after 30 s.
2. Each question is asked once more when a COOKIE comes for it, and once only: no COOKIE can make us send without end.
3. An answer counts if it has the number of our question, which was drawn at random; a copy of an old one does not.
4. If the server falls silent for longer than it promised to remember us, then we are not registered.
"""

from collections import deque
from math import inf
from typing import Final

from sleepy.udp.address import Address
from sleepy.udp.nat.traversal_wire import (
    NO_COOKIE,
    Absent,
    Full,
    Message,
    Register,
    Registered,
    Tell,
    Told,
    decode_cookie,
    decode_notice,
    encode_request,
)
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.noise import RandomBytes
from sleepy.udp.security.sealing import Sealer

FIRST_WAIT: Final = 0.25  # seconds
LONGEST_WAIT: Final = 2.0  # seconds
_REMEMBERED: Final = 16  # questions that may yet get a COOKIE


class Registration:
    """Our side of it.

    Args:
        identity: Who we are.
        server_key: The server's public key: nobody else can answer.
        inside: Where our neighbours behind the same NAT can reach us; at most four.
        now: The time, in seconds on any monotonic clock.
        keep_alive: Seconds between two registrations.
        random_bytes: Where numbers and nonces come from.

    Attributes:
        outside: Where the server sees us; None while we are not registered.
        full: Whether the server said last that it has no room for us.
        next_timeout: When to call `on_time` again, in seconds.
    """

    __slots__ = (
        "_asked",
        "_cookie",
        "_inside",
        "_keep_alive",
        "_key",
        "_lease_ends",
        "_number",
        "_random_bytes",
        "_sealer",
        "_wait",
        "full",
        "next_timeout",
        "outside",
    )

    def __init__(
        self,
        identity: Identity,
        server_key: bytes,
        inside: tuple[Address, ...],
        *,
        now: float,
        keep_alive: float,
        random_bytes: RandomBytes,
    ) -> None:
        self._key = identity.public_key
        self._sealer = Sealer(identity, server_key, random_bytes)
        self._inside = inside
        self._keep_alive = keep_alive
        self._random_bytes = random_bytes
        self._asked: deque[tuple[Register | Tell, bytes]] = deque(maxlen=_REMEMBERED)
        self._cookie = NO_COOKIE
        self._lease_ends = inf
        self._wait = FIRST_WAIT
        self._draw_number()
        self.full = False
        self.outside: Address | None = None
        self.next_timeout = now

    def on_time(self, now: float) -> bytes | None:
        """What to send to the server at ``now``, if anything (rules 1 and 4)."""
        if now >= self._lease_ends:
            self.outside = None
        if now < self.next_timeout:
            return None
        self.next_timeout = now + self._wait
        self._wait = min(2 * self._wait, LONGEST_WAIT)
        return self._ask(Register(self._number, self._inside))

    def tell(self, to: bytes, message: Message) -> bytes:
        """What to send to the server, to have it tell a peer something."""
        return self._ask(Tell(to, message))

    def on_cookie(self, datagram: bytes) -> bytes | None:
        """Take a COOKIE; returns what to send to the server, if it answers a question of ours (rule 2)."""
        for asked in self._asked:
            request, question = asked
            cookie = decode_cookie(question, datagram)
            if cookie is not None:
                self._asked.remove(asked)
                self._cookie = cookie
                return encode_request(self._key, self._sealer, request, cookie)
        return None

    def on_notice(self, datagram: bytes, now: float) -> Told | Absent | None:
        """Take a NOTICE; returns what others have to say, if that is what it is about."""
        notice = decode_notice(self._sealer, datagram)
        if isinstance(notice, Told | Absent):
            return notice
        if notice is not None and notice.number == self._number:  # rule 3
            self._draw_number()
            self.next_timeout, self._wait = now + self._keep_alive, FIRST_WAIT
            self.full = isinstance(notice, Full)
            if isinstance(notice, Registered):
                self.outside = notice.outside
                self._cookie = notice.cookie
                self._lease_ends = now + notice.lease
        return None

    def _ask(self, request: Register | Tell) -> bytes:
        question = encode_request(self._key, self._sealer, request, self._cookie)
        self._asked.append((request, question))
        return question

    def _draw_number(self) -> None:
        self._number = int.from_bytes(self._random_bytes(4), "little")
