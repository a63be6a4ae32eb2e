"""One end of a conversation over UDP: knows which of its packets arrived.

UDP delivers a datagram whole or not at all, perhaps late, twice, or out of order, and never says which. An endpoint
adds the least that everything else can be built on: a number on every packet, and in every packet the numbers of those
that arrived from the other side. It resends nothing. Whoever sends the position of a player wants the next position to
arrive, not the last one again; who wants a message to arrive sends it again in a later packet, when its packet was not
acked.

The endpoint does no I/O and has no clock: it turns payloads into datagrams and datagrams into payloads, and the caller
moves both, and time. So it fits into any event loop, and tests are exact.

Rules:

1. A packet too large is refused before it takes a sequence: a gap would look like a lost packet.
2. A packet is delivered at most once; a stale one (older than we remember) never, since it might be a copy.
3. Acks follow acceptance. If ``accept`` says no, the packet was not received: it is not acked, its own acks are not
   read, and a later copy of it is looked at anew. So an ack means "taken", not "arrived in some buffer".
4. An ack is reported once, of several the newest packet first. Acks travel in packets only, and each names the last
   32: who only listens must still answer, at least every 32 packets.
5. Whatever bytes arrive: `Endpoint.receive` does not raise, keeps no more than the config allows, and counts what it
   refuses. Only copies of fragments are dropped without a count.
6. If more than some 32,500 packets in a row are lost, those after them look *older* than those before: all is stale,
   until the numbers come round. One packet cannot tell this from an old copy; so the endpoint does not guess. It counts
   (`Endpoint.stale_run`), and the caller, who knows that the peer is alive, says `Endpoint.resync`.

Source: reliable 1.4.0, byte for byte; rule 6 is ours, there such an endpoint stays deaf.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from sleepy._mypyc import mypyc_attr
from sleepy.errors import SleepyError
from sleepy.udp.acks import ReceivedPackets, SentPackets
from sleepy.udp.bare_acks import BareReceivedPackets, BareSentPackets
from sleepy.udp.config import EndpointConfig
from sleepy.udp.header import (
    FRAGMENT,
    FRAGMENT_HEADER,
    MAX_PACKET_HEADER,
    read_header,
    write_fragment_header,
    write_header,
)
from sleepy.udp.reassembly import Partial, Reassembly, read_fragment
from sleepy.udp.statistics import Bandwidth, Counters, RoundTrips, Statistics, smooth, smooth_rate

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class PacketTooLarge(SleepyError, ValueError):
    """The payload exceeds what the endpoint may send; the message has the figures."""


@mypyc_attr(acyclic=True, free_list_len=1)  # one is made for each packet, and seldom kept
@final
class Packet:
    """A packet that arrived.

    Attributes:
        sequence: Its number, 0..65535.
        payload: What the peer sent.
    """

    __slots__ = ("payload", "sequence")
    __match_args__ = ("sequence", "payload")

    def __init__(self, sequence: int, payload: bytes) -> None:
        self.sequence = sequence
        self.payload = payload

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packet) and self.sequence == other.sequence and self.payload == other.payload

    def __hash__(self) -> int:
        return hash((self.sequence, self.payload))

    def __repr__(self) -> str:
        return f"Packet({self.sequence}, {self.payload!r})"


class Endpoint:
    """One end of a conversation with one peer.

    Args:
        config: The options; C's defaults if there is none.
        now: The time, in seconds on any monotonic clock.
        accept: Is asked about every new packet, with its sequence and payload; says whether it is taken (rule 3). What
            it raises comes out of `receive`, and the packet is not taken.
        on_ack: Is called by `receive` with the sequence of each packet the peer has, once the packet that says so is
            taken. It should not raise: that would come out of `receive`, in place of the packet. Without it, acks wait
            for `take_acks`.

    Attributes:
        counters: What has happened.
        packet_loss: Share of our packets that were lost, averaged over updates, in percent.
        bandwidth: Averaged over updates, in kilobits per second.
        stale_run: Packets and fragments refused as stale since the last that was not (rule 6).
    """

    __slots__ = (
        "_accept",
        "_config",
        "_fragment_size",
        "_max_datagram",
        "_max_fragments",
        "_max_packet_size",
        "_now",
        "_on_ack",
        "_overhead",
        "_reassembly",
        "_received",
        "_resync",
        "_round_trips",
        "_sent",
        "_unfragmented",
        "bandwidth",
        "counters",
        "packet_loss",
        "stale_run",
    )

    def __init__(
        self,
        config: EndpointConfig | None = None,
        *,
        now: float,
        accept: Callable[[int, bytes], bool] | None = None,
        on_ack: Callable[[int], object] | None = None,
    ) -> None:
        self._config = config = config or EndpointConfig()
        self._now = now
        self._accept = accept
        self._on_ack = on_ack
        self._unfragmented = min(config.fragment_above, config.max_packet_size)
        self._max_packet_size = config.max_packet_size
        self._max_datagram = config.max_packet_size + MAX_PACKET_HEADER + FRAGMENT_HEADER
        self._max_fragments = config.max_fragments
        self._fragment_size = config.fragment_size
        self._overhead = config.packet_header_size
        self._round_trips = RoundTrips(config.rtt_history_size, config.rtt_smoothing_factor)
        sent, received = (SentPackets, ReceivedPackets) if config.measure else (BareSentPackets, BareReceivedPackets)
        self._sent = sent(config.sent_packets_buffer_size, config.ack_buffer_size, self._round_trips)
        self._received = received(config.received_packets_buffer_size)
        self.packet_loss = 0.0
        self.bandwidth = Bandwidth(0.0, 0.0, 0.0)
        self.reset()

    def reset(self) -> None:
        """Begin a new conversation at sequence 0; what is known of the link (round trip, loss, bandwidth) stays."""
        self.counters = Counters()
        self.stale_run = 0
        self._resync = False
        self._sent.reset()
        self._received.restart_at(0)
        self._reassembly = Reassembly(
            self._config.fragment_reassembly_buffer_size, self._config.fragment_reassembly_timeout
        )

    # --8<-- [start:send]
    def send(self, payload: "ReadableBuffer") -> list[bytes]:
        """Turn a payload into datagrams: one, or one per fragment.

        Args:
            payload: Bytes, or anything that holds bytes; it is copied.

        Raises:
            ValueError: The payload is empty.
            PacketTooLarge: It exceeds ``max_packet_size``, or would need more than ``max_fragments`` fragments.
        """
        data = payload if isinstance(payload, bytes) else bytes(memoryview(payload))
        size = len(data)
        if not 0 < size <= self._unfragmented:
            self._check_size(size)
        received = self._received
        sequence = self._sent.record(size + self._overhead, self._now)
        self.counters.packets_sent += 1
        ack = (received.count - 1) & 0xFFFF
        if size <= self._unfragmented:
            return [write_header(sequence, ack, received.ack_bits, data)]
        step = self._fragment_size
        fragments = (size + step - 1) // step
        self.counters.fragments_sent += fragments
        first = write_header(sequence, ack, received.ack_bits, data[:step])
        datagrams = [write_fragment_header(sequence, 0, fragments) + first]
        for fragment_id in range(1, fragments):
            part = data[fragment_id * step : (fragment_id + 1) * step]
            datagrams.append(write_fragment_header(sequence, fragment_id, fragments) + part)
        return datagrams

    # --8<-- [end:send]

    def _check_size(self, size: int) -> None:
        """Refuse a payload that cannot be sent (rule 1)."""
        if size == 0:
            raise ValueError("the payload is empty; a packet carries at least one byte")
        if size > self._max_packet_size:
            self.counters.packets_too_large_to_send += 1
            raise PacketTooLarge(f"the payload has {size} bytes; max_packet_size is {self._max_packet_size}")
        most = self._max_fragments * self._fragment_size
        if size > most:
            self.counters.packets_too_large_to_send += 1
            raise PacketTooLarge(f"the payload has {size} bytes; max_fragments of fragment_size hold {most}")

    # --8<-- [start:receive]
    def receive(self, datagram: bytes | bytearray | memoryview) -> Packet | None:
        """Turn a datagram into a packet, if it completes one that is new, and read the acks it carries.

        Args:
            datagram: Any bytes. Of ``bytes`` only the payload is copied; another buffer is copied whole, and may be used
                again.

        Returns:
            The packet; None for a fragment of an incomplete one, and for all that is refused (see `counters`).

        Raises:
            TypeError: It is not bytes.
        """
        if not isinstance(datagram, bytes):
            datagram = bytes(memoryview(datagram))  # of a number `bytes` would make zeros
        if len(datagram) > self._max_packet_size and self._is_too_large(datagram):
            return None
        sequence, ack, ack_bits, header_size = read_header(datagram)
        if header_size:
            payload = datagram[header_size:]
        else:
            whole = self._reassemble(datagram)
            if whole is None:
                return None
            sequence, ack, ack_bits, header_size = whole.header  # go on as if the packet had come whole
            payload = whole.payload()
        received, counters = self._received, self.counters
        counters.packets_received += 1
        if sequence != received.count & 0xFFFF:  # the next one can be neither stale nor a duplicate
            if received.is_stale(sequence):
                if not self._resync:
                    counters.packets_stale += 1
                    self.stale_run += 1
                    return None
            elif sequence in received:
                counters.packets_duplicate += 1
                return None
        if self._accept is not None and not self._accept(sequence, payload):  # rule 3
            return None
        if self.stale_run:
            self._end_stale_run(sequence)
        received.insert(sequence, header_size + len(payload) + self._overhead, self._now)
        if self._max_fragments > 1 and self._reassembly.partials:
            self._reassembly.advance(received.count)
        counters.packets_acked += self._sent.acknowledge(ack, ack_bits, self._now)
        if self._on_ack is not None:
            self._report_acks(self._on_ack)
        return Packet(sequence, payload)

    # --8<-- [end:receive]

    def _is_too_large(self, datagram: bytes) -> bool:
        """Whether a datagram cannot be right: as a whole, or because of its payload."""
        size = len(datagram)
        if size <= self._max_datagram:
            header_size = read_header(datagram)[3]
            if not header_size or size - header_size <= self._max_packet_size:
                return False
            self.counters.packets_received += 1
        self.counters.packets_too_large_to_receive += 1
        return True

    def _report_acks(self, on_ack: Callable[[int], object]) -> None:
        """Hand on what `acknowledge` collected."""
        acks = self._sent.acks
        while acks:
            on_ack(acks.pop(0))

    # --8<-- [start:fragment]
    def _reassemble(self, datagram: bytes) -> Partial | None:
        """Keep a fragment; the packet, if this was the last one missing."""
        counters, received, reassembly = self.counters, self._received, self._reassembly
        if not datagram or not datagram[0] & FRAGMENT:  # it only looked like one, having no header
            counters.packets_received += 1
            counters.packets_invalid += 1
            return None
        fragment = read_fragment(datagram, self._fragment_size, self._max_fragments)
        if fragment is None:
            counters.fragments_invalid += 1
            return None
        if fragment.least_size(self._fragment_size) > self._max_packet_size:
            counters.packets_too_large_to_receive += 1
            return None
        sequence = fragment.sequence
        if sequence in received:
            return None
        partial = reassembly.partials.get(sequence)
        if partial is None:
            reassembly.advance(received.count)
            if reassembly.is_stale(sequence) and not (self._resync and received.is_stale(sequence)):
                counters.fragments_invalid += 1
                self.stale_run += 1
                return None
            if self.stale_run:
                self._end_stale_run(sequence)
            received.advance(sequence)
            reassembly.advance(received.count)
            partial = reassembly.partials[sequence] = Partial(fragment.fragments, self._now)
        if fragment.fragments != len(partial.parts):
            counters.fragments_invalid += 1
            return None
        if not partial.missing >> fragment.fragment_id & 1:
            return None
        partial.store(fragment)
        counters.fragments_received += 1
        if partial.missing:
            return None
        del reassembly.partials[sequence]
        return partial

    # --8<-- [end:fragment]

    # --8<-- [start:resync]
    def resync(self) -> None:
        """Take the next packet as the newest, even if it looks stale (rule 6).

        To be called by who knows that the peer is alive, yet sees `stale_run` grow: ``received_packets_buffer_size``
        in a row are hardly packets that were merely late. If the last packet was not stale, there is nothing to
        recover from, and nothing happens; and whichever packet is taken next, stale or not, the matter is settled.

        What was received is forgotten in the jump. So this once, a copy of an old packet could be the one that is
        taken, and be delivered again: keep copies out below (as an encrypted connection does), or be sure that they do
            no harm.
        """
        self._resync = self.stale_run > 0

    def _end_stale_run(self, sequence: int) -> None:
        """A packet or fragment is taken after stale ones; if it is stale itself, because of `resync`."""
        if self._resync and self._received.is_stale(sequence):
            self._received.restart_at(sequence)
            self._reassembly.partials.clear()
        self._resync = False
        self.stale_run = 0

    # --8<-- [end:resync]

    def take_acks(self) -> list[int]:
        """The sequences of packets the peer has, as far as not taken before; those of one packet newest first."""
        sent = self._sent
        acks = sent.acks.copy()
        sent.acks.clear()
        return acks

    def update(self, now: float) -> None:
        """Move the time on, and average loss and bandwidth.

        Does not walk over what is remembered: it costs the same each time, and a little per packet since the last.

        Args:
            now: The time, in seconds, on the clock of the constructor.

        Raises:
            ValueError: Time went back.
        """
        if not now >= self._now:
            raise ValueError(f"time went back from {self._now} to {now} s; use a monotonic clock")
        self._now = now
        self._reassembly.expire(now)
        if not self._config.measure:
            return
        packets, share = self._sent, self._config.bandwidth_smoothing_factor
        sent, received = packets.older_half(), self._received.older_half()
        acked = sent.size - packets.older_open_bytes
        self.bandwidth = Bandwidth(
            smooth_rate(self.bandwidth.sent, sent.size, sent.span(), share),
            smooth_rate(self.bandwidth.received, received.size, received.span(), share),
            smooth_rate(self.bandwidth.acked, acked, packets.older_acked_span(), share),
        )
        if packets.older:
            loss = packets.older_open / packets.older * 100
            self.packet_loss = smooth(self.packet_loss, loss, self._config.packet_loss_smoothing_factor)
        else:
            self.packet_loss = 0.0

    @property
    def next_sequence(self) -> int:
        """The sequence the next packet sent will have."""
        return self._sent.count & 0xFFFF

    @property
    def rtt(self) -> float:
        """The round trip, averaged, in milliseconds; 0 before the first ack."""
        return self._round_trips.average

    @property
    def statistics(self) -> Statistics:
        """Everything that is known about the link; looks at the whole history, so ask when you want to see it."""
        return self._round_trips.statistics(self.packet_loss, self.bandwidth)
