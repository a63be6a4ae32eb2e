"""What an endpoint can be told.

Both sides must agree on the size of fragments, since a fragment's place follows from it. What a side sends must not
exceed what the other takes (packet size, number of fragments). The rest is each side's own affair.

Source: the options of reliable 1.4.0.
"""

from dataclasses import dataclass

from sleepy.udp.sequence import check_size


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """The options of an endpoint, under the names of the C library, with its defaults.

    Args:
        max_packet_size: The largest payload, in bytes, sent or received.
        fragment_above: Payloads of more bytes are sent in fragments.
        max_fragments: The most fragments of a packet, up to 256.
        fragment_size: Bytes of payload in a fragment. With its 14 bytes of headers and 28 of UDP and IP it should fit
            the
            path: IP would fragment what does not, and lose it all with any part.
        ack_buffer_size: How many acks are held until they are taken; more are reported again by later packets, if
            those come within the next 32.
        sent_packets_buffer_size: Sent packets to remember; an ack that comes later than that many packets is not
            noticed.
        received_packets_buffer_size: Received packets to remember; a packet later than that is stale.
        fragment_reassembly_buffer_size: A packet of which fragments are missing is given up when one arrives that is
            newer by as many. So at most that many are kept, and of each at most ``max_packet_size`` bytes.
        fragment_reassembly_timeout: It is also given up after as many seconds; None: never. Not an option of the C
            library, where the parts of a last packet stay in memory as long as nothing newer comes.
        rtt_smoothing_factor: Share by which a sample moves the average round trip.
        rtt_history_size: Round trips to remember.
        packet_loss_smoothing_factor: Share by which an update moves the loss.
        bandwidth_smoothing_factor: Share by which an update moves the bandwidths.
        packet_header_size: Bytes of IP and UDP headers, for the bandwidths; 28 for IPv4, 48 for IPv6.
        measure: Whether to measure the link. Without, its statistics stay as at first, and a packet that is remembered
            takes a bit instead of some 50 bytes. Not an option of the C library.

    Raises:
        ValueError: An option is out of its range; the message says which.
    """

    max_packet_size: int = 16384
    fragment_above: int = 1024
    max_fragments: int = 16
    fragment_size: int = 1024
    ack_buffer_size: int = 256
    sent_packets_buffer_size: int = 256
    received_packets_buffer_size: int = 256
    fragment_reassembly_buffer_size: int = 64
    fragment_reassembly_timeout: float | None = None
    rtt_smoothing_factor: float = 0.0025
    rtt_history_size: int = 512
    packet_loss_smoothing_factor: float = 0.1
    bandwidth_smoothing_factor: float = 0.1
    packet_header_size: int = 28
    measure: bool = True

    def __post_init__(self) -> None:
        positive = ("max_packet_size", "fragment_above", "max_fragments", "fragment_size", "ack_buffer_size")
        for name in (*positive, "rtt_history_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.max_fragments > 256:
            raise ValueError(f"max_fragments is {self.max_fragments}; the header has room for 256")
        check_size(self.sent_packets_buffer_size, "sent_packets_buffer_size", smallest=2)
        check_size(self.received_packets_buffer_size, "received_packets_buffer_size", smallest=2)
        check_size(self.fragment_reassembly_buffer_size, "fragment_reassembly_buffer_size")
        for name in ("rtt_smoothing_factor", "packet_loss_smoothing_factor", "bandwidth_smoothing_factor"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it is a share and must be above 0 and at most 1")
        if self.packet_header_size < 0:
            raise ValueError(f"packet_header_size is {self.packet_header_size}; it must not be negative")
        timeout = self.fragment_reassembly_timeout
        if timeout is not None and not timeout > 0:
            raise ValueError(f"fragment_reassembly_timeout is {timeout} s; it must be above 0, or None for never")
