"""A relay: who can be reached by two that cannot reach each other passes their datagrams on.

It is the last resort: every datagram takes a detour, and somebody else pays for it. So it is done by consent only, for so
many, so much per second, and for as long as it is used. What is passed on is opaque: the two have keys that the relay has
not, so it can delay, drop and count, like any router, and nothing else.

A *channel* has two ends. For each there is a token, eight random bytes: whoever shows the token of one end is passed on to
the other. The asker is told both, and has the rendezvous server pass the other's on. An end first has to *bind*: to show, by
a stateless cookie (`sleepy.udp.security.cookie`), that it receives at the address that it gives.

Rules:

1. A channel is opened only if ``lends`` says so, and while there are fewer than ``max_channels``, and fewer than
   ``max_per_asker`` of this asker's.
2. A datagram is passed on only from the bound address of one end to the bound address of the other. So nobody is sent
   anything who has not asked for it from that address.
3. What is passed on is as long as what came: no amplification. Each channel passes ``rate`` bytes per second on, and what is
   beyond is dropped, as on any narrow link; congestion control at the ends finds that rate.
4. A channel that has passed nothing on for ``idle`` seconds is closed. To bind keeps a NAT's mapping alive, not a channel.

Source: TURN (RFC 8656), whose permissions and channels these are, with tokens instead of accounts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from os import urandom
from typing import Final

from sleepy.udp.address import Address
from sleepy.udp.kinds import check_callable
from sleepy.udp.nat.rate_limit import RateLimit
from sleepy.udp.nat.traversal_wire import (
    BIND_SIZE,
    TOKEN,
    Kind,
    after_kind,
    bind_cookie,
    encode_bound,
    encode_cookie,
    encode_relayed,
)
from sleepy.udp.security.cookie import CookieJar
from sleepy.udp.security.noise import RandomBytes

FRAME: Final = 1 + TOKEN  # bytes by which a datagram is longer on its way through a relay


@dataclass(slots=True)
class RelayCounters:
    """What became of what came.

    Attributes:
        relayed: Datagrams passed on.
        relayed_bytes: Their bytes.
        throttled: Datagrams beyond the channel's rate.
        stray: Datagrams from an address that is not bound, or for an end that is not.
        malformed: Neither RELAYED nor BIND.
        refused: Channels that were asked for and not opened.
    """

    relayed: int = 0
    relayed_bytes: int = 0
    throttled: int = 0
    stray: int = 0
    malformed: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Channel:
    conversation: bytes
    asker: bytes
    tokens: tuple[bytes, bytes]
    limit: RateLimit
    expires: float
    ends: dict[bytes, Address] = field(default_factory=dict[bytes, Address])  # by token, once they are bound

    def other(self, token: bytes) -> bytes:
        return self.tokens[self.tokens[0] == token]


class Relay:
    """Passes datagrams on.

    Args:
        now: The time, in seconds on any monotonic clock.
        lends: Is asked whether to relay, with the public keys of who asks and of whom he wants to reach. None: for all.
        rate: Bytes per second, for each channel.
        burst: Bytes at once, for each channel.
        max_channels: Number of channels; times ``rate`` it is what we may have to carry.
        max_per_asker: Number of channels that one peer may have asked for.
        idle: After how many seconds without traffic a channel is closed.
        random_bytes: Where tokens come from.

    Attributes:
        counters: What became of what came.

    Raises:
        TypeError: ``lends`` cannot be called, or would have to be awaited.
    """

    __slots__ = (
        "_burst",
        "_by_conversation",
        "_by_token",
        "_cookies",
        "_idle",
        "_lends",
        "_max_channels",
        "_max_per_asker",
        "_random_bytes",
        "_rate",
        "counters",
    )

    def __init__(
        self,
        *,
        now: float,
        lends: Callable[[bytes, bytes], bool] | None = None,
        rate: float = 125_000.0,
        burst: float = 64_000.0,
        max_channels: int = 64,
        max_per_asker: int = 4,
        idle: float = 60.0,
        random_bytes: RandomBytes = urandom,
    ) -> None:
        check_callable("lends", lends, optional=True)
        self._lends = lends
        self._rate = rate
        self._burst = burst
        self._max_channels = max_channels
        self._max_per_asker = max_per_asker
        self._idle = idle
        self._random_bytes = random_bytes
        self._cookies = CookieJar(now=now, random_bytes=random_bytes)
        self._by_conversation: dict[tuple[bytes, bytes], _Channel] = {}  # the one longest unused first
        self._by_token: dict[bytes, _Channel] = {}
        self.counters = RelayCounters()

    def __len__(self) -> int:
        """Number of channels, among them some whose time may be over."""
        return len(self._by_conversation)

    def lend(self, conversation: bytes, asker: bytes, other: bytes, now: float) -> tuple[bytes, bytes] | None:
        """Open a channel, if we want to (rule 1); asked again, it is the same.

        Returns:
            The tokens of the asker's end and of the other's.
        """
        self._expire(now)
        key = asker, conversation
        channel = self._by_conversation.get(key)
        if channel is None:
            theirs = sum(channel.asker == asker for channel in self._by_conversation.values())
            room = len(self._by_conversation) < self._max_channels and theirs < self._max_per_asker
            if not room or not (self._lends is None or self._lends(asker, other)):
                self.counters.refused += 1
                return None
            tokens = self._random_bytes(TOKEN), self._random_bytes(TOKEN)
            limit = RateLimit(self._rate, self._burst, now)
            channel = _Channel(conversation, asker, tokens, limit, now + self._idle)
            self._by_conversation[key] = channel
            self._by_token |= dict.fromkeys(tokens, channel)
        return channel.tokens

    # --8<-- [start:receive]
    def receive(self, datagram: bytes, address: Address, now: float) -> tuple[bytes, Address] | None:
        """Take RELAYED or BIND; returns what to send, and where to. Never raises, whatever the bytes."""
        self._expire(now)
        if len(datagram) == BIND_SIZE and datagram[0] == Kind.BIND:
            return self._on_bind(datagram, address, now)
        if len(datagram) < FRAME or datagram[0] != Kind.RELAYED:
            self.counters.malformed += 1
            return None
        token = after_kind(datagram)
        channel = self._by_token.get(token)
        if channel is None or channel.ends.get(token) != address or len(channel.ends) < 2:  # rule 2
            self.counters.stray += 1
            return None
        if not channel.limit.take(len(datagram), now):  # rule 3
            self.counters.throttled += 1
            return None
        self.counters.relayed += 1
        self.counters.relayed_bytes += len(datagram)
        channel.expires = now + self._idle
        key = channel.asker, channel.conversation
        self._by_conversation[key] = self._by_conversation.pop(key)  # to the end: it is the last used now
        other = channel.other(token)
        return encode_relayed(other, datagram[FRAME:]), channel.ends[other]

    # --8<-- [end:receive]

    def _on_bind(self, datagram: bytes, address: Address, now: float) -> tuple[bytes, Address] | None:
        token = after_kind(datagram)
        if not self._cookies.check(bind_cookie(datagram), address, token, now):
            return encode_cookie(datagram, self._cookies.bake(address, token, now)), address
        channel = self._by_token.get(token)
        if channel is None:
            self.counters.stray += 1
            return None
        channel.ends[token] = address
        return encode_bound(token), address

    def _expire(self, now: float) -> None:
        """Rule 4."""
        while self._by_conversation:
            key, channel = next(iter(self._by_conversation.items()))
            if now < channel.expires:
                break
            del self._by_conversation[key]
            for token in channel.tokens:
                del self._by_token[token]
