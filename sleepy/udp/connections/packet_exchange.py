"""Payloads to one peer and from it, in packets.

Between messages and datagrams stand many parts that do one thing each: numbers and acks (`endpoint`), encryption (the
*envelope*), what is lost (`recovery`), how much may be under way (a congestion control), how fast it leaves (`pacing`), how
large packets may be (`path_mtu`), when an answer is due (`ack_policy`). This is where they meet.

Rules:

1. Nothing is fragmented: a fragment's ack bits would lie. Packets are as large as the path is known to carry.
2. Every packet with something that matters wants an ack. Packets without (acks alone, challenges) are not acked for their
   own sake, so two peers with nothing to say fall silent.
3. Acks ride on whatever is sent. If nothing is, within the delay that we promised or after a few packets, an ack goes alone.
   Who reads many packets at once makes answers in between (`sleepy.udp.path.ack_policy`, rule 4).
4. The endpoint remembers `SENT_MEMORY` packets: with more under way, acks would not be noticed. So no more ever are. (The
   flow control of one busy channel ends at 1 MiB, some 800 packets.)
5. Received packets it remembers 256 of, its default. More would be of no use: 32 ack bits cannot name what is later than 32.
   And ids of messages rely on it (`sleepy.udp.delivery.chunks`, rule 3).
6. A new path is unknown: window, round trip and packet size are found out anew, and what was under way on the old one counts
   as lost (RFC 9000, section 9.4).
7. A larger size is searched for only by who has more to say than a packet holds.

Sizes are those of datagrams, in bytes, without the headers of UDP and IP.
"""

from math import inf
from typing import Final, Protocol, TypeAlias

from sleepy.udp.config import EndpointConfig
from sleepy.udp.connections.connection_config import LARGEST_DATAGRAM, ConnectionConfig
from sleepy.udp.connections.plain import Envelope
from sleepy.udp.connections.preface import HELLO, Preface, read_preface, write_ack_delay
from sleepy.udp.delivery.chunks import PAD, PING
from sleepy.udp.delivery.payload import Token
from sleepy.udp.endpoint import Endpoint
from sleepy.udp.header import MAX_PACKET_HEADER
from sleepy.udp.path.ack_policy import AckPolicy
from sleepy.udp.path.pacing import Pacer
from sleepy.udp.path.path_mtu import BASE, PathMtuSearch
from sleepy.udp.path.recovery import Recovery

SENT_MEMORY: Final = 4096  # packets
ANSWER_AFTER: Final = 4  # packets; who reads many at once answers them once
NOTABLE_DELAY: Final = 0.001  # seconds; a shorter one is not worth 3 bytes
_SHORTEST_HEADER: Final = 4
_HELLO: Final = bytes([HELLO])
_DELAY: Final = 3  # bytes that tell how long an ack was held back
_SPREAD: Final = MAX_PACKET_HEADER - _SHORTEST_HEADER + _DELAY  # by which headers vary
_ENDPOINT: Final = EndpointConfig(
    max_packet_size=LARGEST_DATAGRAM,
    fragment_above=LARGEST_DATAGRAM,
    fragment_size=LARGEST_DATAGRAM,
    max_fragments=1,
    fragment_reassembly_buffer_size=1,
    sent_packets_buffer_size=SENT_MEMORY,
    rtt_history_size=1,
    measure=False,  # the recovery does
)

Tokens: TypeAlias = list[Token]


Arrival: TypeAlias = tuple[bytes, Preface, bool]
"""A packet that came: its messages (may be empty), what stood before them, and whether none newer came before it, as its
envelope proves."""

_Sent: TypeAlias = tuple[Tokens, int, float, int]
"""What to remember of a packet under way: tokens, size, time, and the size of the path that it is to prove (0: none)."""


class Content(Protocol):
    """Who hears what became of packets."""

    def on_packet_acked(self, tokens: Tokens, /) -> None:
        """A packet with these tokens arrived."""

    def on_packet_lost(self, tokens: Tokens, /) -> None:
        """It did not, as far as one knows; `on_packet_acked` may still come for it."""


class PacketExchange:
    """The packets between us and one peer.

    Args:
        envelope: What goes round each packet.
        config: Our options.
        now: The time, in seconds.
        content: Whose payloads these are.
        rtt: The round trip, as the handshake measured it, in seconds; None if nobody has.

    Attributes:
        busy: Whether there was more to send lately than a packet holds (rule 7).
        endpoint: The numbers and acks.
        recovery: What is under way, and the round trip.
        mtu: How large packets may be.
    """

    __slots__ = (
        "_answers",
        "_config",
        "_content",
        "_envelope",
        "_limit",
        "_lost_before",
        "_pacer",
        "_policy",
        "_rate",
        "_spurious_before",
        "_window",
        "busy",
        "endpoint",
        "mtu",
        "recovery",
    )

    def __init__(
        self,
        envelope: Envelope,
        config: ConnectionConfig,
        content: Content,
        *,
        now: float,
        rtt: float | None = None,
    ) -> None:
        self._envelope = envelope
        self._config = config
        self._content = content
        self._answers: tuple[bytes, ...] = ()
        self.endpoint = Endpoint(_ENDPOINT, now=now)
        self._policy = AckPolicy(max_ack_delay=config.max_ack_delay, packets=ANSWER_AFTER)
        self._lost_before = self._spurious_before = 0
        self._limit = config.max_datagram
        self._begin_path(config.max_ack_delay, rtt)

    def _begin_path(self, max_ack_delay: float, rtt: float | None) -> None:
        """Know nothing of the path (rule 6)."""
        controller = self._config.congestion()
        if rtt is None:
            self.recovery: Recovery[_Sent] = Recovery(controller, max_ack_delay=max_ack_delay)
        else:
            self.recovery = Recovery(controller, max_ack_delay=max_ack_delay, initial_rtt=rtt)
        self._search_size()

    def _search_size(self) -> None:
        self.mtu = PathMtuSearch(max(BASE, self._limit - _SPREAD))
        self._pacer = Pacer(BASE)
        self.busy = False
        self._ask_controller()

    def _ask_controller(self) -> None:
        """Ask how much may be under way, and how fast it leaves: when it has heard something, not for every packet."""
        controller = self.recovery.controller
        self._window, self._rate = controller.window, controller.pacing_rate

    def agree(self, max_ack_delay: float, max_datagram: int) -> None:
        """The peer says how long it may hold an ack back, in seconds, and how large a datagram it takes."""
        self.recovery.round_trip.max_ack_delay = max_ack_delay
        self._limit = min(self._config.max_datagram, max_datagram)
        self._search_size()

    def change_path(self, rtt: float) -> None:
        """The peer is somewhere else, ``rtt`` seconds away (rule 6)."""
        old = self.recovery
        self._lost_before += old.lost
        self._spurious_before += old.spurious
        self._begin_path(old.round_trip.max_ack_delay, rtt)
        for tokens, *_ in old.under_way():
            self._content.on_packet_lost(tokens)

    # ---- to the peer

    @property
    def room(self) -> int:
        """How many bytes the next packet's messages may have."""
        size = BASE if self.recovery.probes else self.mtu.size
        return size - self._envelope.overhead - MAX_PACKET_HEADER - _DELAY

    def may_send(self, now: float) -> bool:
        """Whether a packet may leave now: its size fits the window, its time has come, and it will be remembered."""
        return self._has_room() and self._pacer.can_send(now)

    def _has_room(self) -> bool:
        recovery = self.recovery
        fits = recovery.in_flight + self.mtu.size <= self._window or recovery.probes > 0
        return fits and recovery.span < SENT_MEMORY

    def next_send(self) -> float:
        """When a packet may leave that has to wait for its time only; infinity if it waits for acks."""
        return self._pacer.next_time if self._has_room() else inf

    # --8<-- [start:send]
    def send(self, payload: bytes, tokens: Tokens, now: float, *, probed: int = 0) -> bytes:
        """The datagram for a payload that wants an ack; ``tokens`` come back when its fate is known."""
        sequence = self.endpoint.next_sequence
        datagram = self._seal(payload, now)
        size = len(datagram)
        recovery = self.recovery
        recovery.on_sent(sequence, size, now, (tokens, size, now, probed), mtu_probe=probed > 0)
        self._pacer.on_sent(size, now, self._rate)
        return datagram

    def send_unacked(self, payload: bytes, now: float) -> bytes:
        """The datagram for a payload that wants no ack (rule 2)."""
        self.recovery.on_ack_only_sent(self.endpoint.next_sequence)
        return self._seal(payload, now)

    def send_ack(self, now: float) -> bytes:
        """The datagram for nothing but acks (rule 3)."""
        return self.send_unacked(b"" if self._held_back(now) else write_ack_delay(0.0), now)

    def take_answers(self) -> list[bytes]:
        """Datagrams with acks that could not wait until all was read (rule 3)."""
        answers, self._answers = self._answers, ()
        return list(answers)

    def _seal(self, payload: bytes, now: float) -> bytes:
        if self._held_back(now) and payload[:1] != _HELLO:  # by which a packet with a hello is known, if it comes first
            payload = write_ack_delay(now - self._policy.newest_time) + payload
        self._policy.on_sent()
        return self._envelope.protect(self.endpoint.send(payload)[0], now)

    def _held_back(self, now: float) -> bool:
        """Whether an ack waits for so long already that the peer should know."""
        return self._policy.waiting_since is not None and now - self._policy.newest_time >= NOTABLE_DELAY

    # --8<-- [end:send]

    def ack_is_due(self, now: float) -> bool:
        """Whether an ack must leave now, if need be alone (rule 3)."""
        return self._policy.next_timeout <= now

    def size_probe(self, now: float) -> bytes | None:
        """A packet that finds out whether the path carries more, if that is worth while now (rule 7)."""
        recovery = self.recovery
        if not self.busy or recovery.probes or not recovery.can_send(self._limit) or not self._pacer.can_send(now):
            return (
                None  # what probes for lost packets must be small, or the two searches would hide each other's losses
            )
        size = self.mtu.next_probe(now)
        if size is None:
            return None
        padding = size - self._envelope.overhead - _SHORTEST_HEADER - 1
        return self.send(bytes([PING]) + bytes(padding), [], now, probed=size)

    def on_idle(self) -> None:
        """There is nothing to send, though there may be room in the window."""
        if self.recovery.can_send(self.mtu.size):
            self.recovery.on_app_limited()

    # ---- from the peer

    # --8<-- [start:receive]
    def receive(self, datagram: bytes, now: float) -> Arrival | None:
        """Open a datagram, and read the acks in it; None if it is not the peer's, or was here before.

        Raises:
            ProtocolError: The peer wrote it, and it cannot be read.
        """
        highest = self._envelope.highest
        opened = self._envelope.unprotect(datagram, now)
        packet = self.endpoint.receive(opened) if opened is not None else None
        if packet is None:
            return None
        preface = read_preface(packet.payload)
        payload = packet.payload[preface.size :] if preface.size else packet.payload
        wants_ack = preface.hello is not None or (payload != b"" and payload[0] != PAD)  # rule 2
        self._policy.on_received(packet.sequence, now, ack_eliciting=wants_ack)
        if self._policy.crowded:
            self._answers += (self.send_ack(now),)
        acks = self.endpoint.take_acks()
        if acks:
            self._on_acks(acks, preface.ack_delay, now)
        return payload, preface, self._envelope.highest > highest

    def _on_acks(self, acks: list[int], ack_delay: float, now: float) -> None:
        acks.reverse()  # oldest first: what was sent in order is easier to tick off in order
        outcome = self.recovery.on_acked(acks, now, ack_delay)
        for packet in outcome.acked:
            self._settle(packet, now)
        for packet in outcome.late:
            self._settle(packet, now)
        if outcome.lost:
            self._lose(outcome.lost, now)
        self._ask_controller()

    def _settle(self, packet: _Sent, now: float) -> None:
        """A packet arrived."""
        tokens, size, time, probed = packet
        if probed:
            self.mtu.on_probe_acked(probed, now)
            self._use_size()
        else:
            self.mtu.on_acked(size, time)
            self._content.on_packet_acked(tokens)

    def _lose(self, packets: list[_Sent], now: float) -> None:
        """Packets did not arrive."""
        for tokens, size, time, probed in packets:
            if probed:
                self.mtu.on_probe_lost(probed, now)
            else:
                self.mtu.on_lost(size, time, now)
                self._content.on_packet_lost(tokens)
        self._use_size()

    # --8<-- [end:receive]

    def _use_size(self) -> None:
        self.recovery.controller.packet_size = self.mtu.size
        self._ask_controller()

    # ---- time

    def next_timeout(self) -> float:
        """When to call `on_timeout`, or to send an ack, in seconds."""
        return min(self.recovery.next_timeout(), self._policy.next_timeout)

    def on_timeout(self, now: float) -> bool:
        """Find what is lost by now; whether a packet must be sent to find out more (`Recovery`, rule 5)."""
        recovery = self.recovery
        if recovery.next_timeout() <= now:
            self._lose(recovery.on_timeout(now), now)
        return recovery.probes > 0

    def send_small_probe(self, now: float) -> bytes | None:
        """A ping for the case that it is their size that keeps packets from arriving; None if nothing speaks for that."""
        recovery = self.recovery
        if recovery.timeouts < 2 or recovery.probes:
            return None
        return self.send(bytes([PING]), [], now)

    def repeat_oldest(self) -> None:
        """Have what is longest under way sent again: if there is nothing new, it is the best thing to probe with."""
        if self.recovery.oldest is not None:
            self._content.on_packet_lost(self.recovery.oldest[0])

    # ---- to look at

    @property
    def lost(self) -> int:
        """Packets declared lost."""
        return self._lost_before + self.recovery.lost

    @property
    def spurious(self) -> int:
        """Those of them that arrived after all."""
        return self._spurious_before + self.recovery.spurious
