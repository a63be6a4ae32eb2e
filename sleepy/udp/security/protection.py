"""Packets that only the peer can have written, read, and sent just once.

After the handshake each direction has a key, and each packet a number that is never used again. ChaCha20-Poly1305 takes
both and makes the payload unreadable, and payload and header unchangeable: who turns one bit gets nothing through but a
counter.

::

    0x40 + key phase u8 | receiver's connection id 8 B | packet number u32, little-endian | ciphertext | tag 16 B

Rules:

1. The number is the nonce, so it must never come twice under one key; it counts to 2**64, which nobody reaches. 32 bits
   of it travel; the receiver completes them to the number nearest to what it expects next (RFC 9000, appendix A.3), right
   unless two billion packets in a row are lost, and if wrong the packet just fails.
2. The header is authenticated with the payload (as *associated data*), so it cannot be changed either.
3. Copies are dropped (`sleepy.udp.security.replay`), as cheaply as possible: before the decryption. They are remembered
   after it.
4. Keys are renewed after so many packets and so many seconds: a key that leaks opens little, for there is no way from the
   next key to the one before (Noise, section 11.3). The *key phase*, one bit in the header, says which key it is.
5. One bit can tell a key from its neighbours only, so nobody may run ahead by two. Therefore the initiator of the
   connection leads: it renews what it sends, and not again before it saw the responder follow; the responder follows at
   the first authentic packet under the new key. (In QUIC both may lead, and need acks to know when: RFC 9001, 6.1.)
6. A packet of the other phase whose number is below the first of this phase was late: it is of the key before, which is
   kept for ``keep_old`` seconds; renewals are at least that far apart, or it would be the key before the one before. Any
   other is of the next key, or forged; trying costs one decryption (RFC 9001, 6.5).
7. Every failed decryption is a free guess for a forger. After 2**36 of them (RFC 9001, 6.6) nothing is read any more, and
   the connection must end.
8. Whatever bytes arrive: `unprotect` does not raise, and each that is no packet raises one counter.

What is not hidden: how long packets are, their numbers and the connection id. So who sees a peer at two addresses can
tell that it is the same one.
"""

import struct
from dataclasses import dataclass
from math import inf
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from sleepy.udp.security.noise import TAG, rekeyed
from sleepy.udp.security.replay import ReplayWindow
from sleepy.udp.security.session import Session

PROTECTED: Final = 0x40
HEADER: Final = struct.Struct("<9sI")
OVERHEAD: Final = HEADER.size + TAG  # bytes that a packet is longer than its payload
MAX_FORGERIES: Final = 2**36
_ZEROS: Final = b"\0\0\0\0"
_LOW: Final = 2**32 - 1
_HALF: Final = 2**31


@dataclass(slots=True)
class ProtectionCounters:
    """Datagrams that were no new packets (rule 8).

    Attributes:
        malformed: Too short, or not for us.
        stale: Too old to tell whether it is a copy, or of a key that is gone.
        replayed: A copy.
        forged: Not authentic: forged, damaged, or from another connection.
    """

    malformed: int = 0
    stale: int = 0
    replayed: int = 0
    forged: int = 0


class Protection:
    """Encrypts what goes to the peer, and decrypts what comes from it.

    Args:
        session: What the handshake left.
        now: The time, in seconds on any monotonic clock.
        renew_packets: After how many packets, sent or received, keys are renewed (rule 4).
        renew_seconds: After how many seconds.
        keep_old: How long the key before is kept for late packets, in seconds (rule 6).
        max_forgeries: After how many nothing is read any more (rule 7).

    Attributes:
        counters: What was dropped.
        renewals: How often the receiving key was renewed.
        overhead: By how many bytes a datagram is longer than its payload.
    """

    overhead = OVERHEAD

    __slots__ = (
        "_keep_old",
        "_leads",
        "_max_forgeries",
        "_next_number",
        "_next_opener",
        "_not_before",
        "_old_opener",
        "_old_until",
        "_opener",
        "_other_prefix",
        "_phase_start",
        "_prefix",
        "_receive_key",
        "_renew_at_number",
        "_renew_at_received",
        "_renew_at_time",
        "_renew_packets",
        "_renew_seconds",
        "_sealer",
        "_send_key",
        "_send_prefix",
        "_sent_renewals",
        "_window",
        "counters",
        "renewals",
    )

    def __init__(
        self,
        session: Session,
        *,
        now: float,
        renew_packets: int = 2**20,
        renew_seconds: float = 120.0,
        keep_old: float = 3.0,
        max_forgeries: int = MAX_FORGERIES,
    ) -> None:
        self._leads = session.initiator
        self._renew_packets = renew_packets
        self._renew_seconds = renew_seconds
        self._keep_old = keep_old
        self._max_forgeries = max_forgeries
        self._window = ReplayWindow()
        self._next_number = 0
        self._send_key = session.send_key
        self._sealer = ChaCha20Poly1305(session.send_key)
        self._send_prefix = bytes([PROTECTED]) + session.remote_id
        self._sent_renewals = 0
        self._receive_key = session.receive_key
        self._opener = ChaCha20Poly1305(session.receive_key)
        self._prefix = bytes([PROTECTED]) + session.local_id  # of packets in the key phase we receive
        self._other_prefix = bytes([PROTECTED + 1]) + session.local_id
        self._phase_start = 0  # the lowest number received in it
        self._old_opener: ChaCha20Poly1305 | None = None
        self._old_until = -inf
        self._next_opener: ChaCha20Poly1305 | None = None  # made when somebody claims to use the next key
        self.counters = ProtectionCounters()
        self.renewals = 0
        self._schedule(now)

    @property
    def highest(self) -> int:
        """The highest number received, -1 at first. If it grew, `unprotect` returned the newest packet so far."""
        return self._window.highest

    @property
    def exhausted(self) -> bool:
        """Whether so many forgeries were tried that nothing is read any more (rule 7)."""
        return self.counters.forged >= self._max_forgeries

    # --8<-- [start:protect]
    def protect(self, payload: bytes, now: float) -> bytes:
        """The datagram that carries ``payload``, `OVERHEAD` bytes longer; ``now`` in seconds."""
        number = self._next_number
        if number >= self._renew_at_number or now >= self._renew_at_time:
            self._lead(now)
        self._next_number = number + 1
        nonce = number.to_bytes(8, "little")
        header = self._send_prefix + nonce[:4]
        return header + self._sealer.encrypt(_ZEROS + nonce, payload, header)

    # --8<-- [end:protect]

    # --8<-- [start:unprotect]
    def unprotect(self, datagram: bytes, now: float) -> bytes | None:
        """The payload of a datagram, if it is a packet that the peer sent and that was not here before (rule 8)."""
        if len(datagram) < OVERHEAD:
            self.counters.malformed += 1
            return None
        prefix, low = HEADER.unpack_from(datagram)
        window = self._window
        expected = window.highest + 1
        number = expected - (expected & _LOW) + low  # rule 1: of the numbers that end so, the nearest
        if number > expected + _HALF:
            number -= _LOW + 1
        elif number < expected - _HALF:
            number += _LOW + 1
        if prefix == self._prefix:
            opener = self._opener
        elif prefix == self._other_prefix:
            other = self._open_other(number, now)
            if other is None:
                self.counters.stale += 1
                return None
            opener = other
        else:
            self.counters.malformed += 1
            return None
        if number < expected:
            if window.too_old(number):
                self.counters.stale += 1
                return None
            if window.seen(number):
                self.counters.replayed += 1
                return None
        try:
            nonce = _ZEROS + number.to_bytes(8, "little")
            payload = opener.decrypt(nonce, datagram[HEADER.size :], datagram[: HEADER.size])
        except (InvalidTag, OverflowError):  # OverflowError: a number below zero
            self._forged()
            return None
        window.mark(number)
        if opener is self._next_opener:
            self._follow(opener, number, now)
        elif number >= self._renew_at_received:
            self._renew_at_time = now
        return payload

    # --8<-- [end:unprotect]

    # --8<-- [start:renewal]
    def _schedule(self, now: float) -> None:
        """Say when to lead next: who leads and has seen the other follow, after a while; all others never (rule 5)."""
        due = self._leads and self.renewals == self._sent_renewals
        self._renew_at_number = self._next_number + self._renew_packets if due else inf
        self._renew_at_received = self.highest + self._renew_packets if due else inf
        self._renew_at_time = now + self._renew_seconds if due else inf
        self._not_before = now + self._keep_old  # rule 6

    def _lead(self, now: float) -> None:
        """It is time for the next key, if the last time is long enough ago."""
        if now >= self._not_before:
            self._renew(now)

    def _renew(self, now: float) -> None:
        """Send with the next key from now on."""
        self._send_key = rekeyed(self._send_key)
        self._sealer = ChaCha20Poly1305(self._send_key)
        self._sent_renewals += 1
        self._send_prefix = bytes([PROTECTED + self._sent_renewals % 2]) + self._send_prefix[1:]
        self._schedule(now)

    def _open_other(self, number: int, now: float) -> ChaCha20Poly1305 | None:
        """What might open a packet of the other key phase (rule 6)."""
        if number < self._phase_start:
            if now >= self._old_until:
                self._old_opener = None
            return self._old_opener
        if self._next_opener is None:
            self._next_opener = ChaCha20Poly1305(rekeyed(self._receive_key))
        return self._next_opener

    def _follow(self, opener: ChaCha20Poly1305, number: int, now: float) -> None:
        """The peer uses the next key, so from now on we expect it to; if it leads, we send with the next key too."""
        self._receive_key = rekeyed(self._receive_key)
        self._old_opener, self._old_until = self._opener, now + self._keep_old
        self._opener, self._next_opener = opener, None
        self._prefix, self._other_prefix = self._other_prefix, self._prefix
        self._phase_start = number
        self.renewals += 1
        if self._leads:
            self._schedule(now)
        else:
            self._renew(now)

    # --8<-- [end:renewal]

    def _forged(self) -> None:
        self.counters.forged += 1
        if self.exhausted:
            self._prefix = self._other_prefix = b""  # no packet begins so
