"""How a connection is doing, in figures: to be shown, logged, or laid beside a capture."""

from typing import NamedTuple

from sleepy.udp.connections.packet_exchange import PacketExchange
from sleepy.udp.delivery.messages import Messages


class ChannelStatistics(NamedTuple):
    """One channel.

    Attributes:
        queued_messages: To be sent, or (on a reliable channel) acked.
        queued_bytes: Of these.
        unread_messages: Arrived, and not read.
        held_bytes: Of all that has arrived, also of what waits for an earlier message, or is incomplete.
        given_up: Messages of ours that expired, or were overtaken by a newer one.
    """

    queued_messages: int
    queued_bytes: int
    unread_messages: int
    held_bytes: int
    given_up: int


class ConnectionStatistics(NamedTuple):
    """A connection; times in seconds, sizes in bytes.

    Attributes:
        rtt: Round trip, averaged.
        rtt_variation: How far samples stray from it.
        rtt_least: The least sample; infinite before the first.
        bandwidth: Bytes per second that arrived lately, as the last acks showed; 0 before.
        congestion_window: How much may be under way.
        pacing_rate: Bytes per second that may leave.
        bytes_under_way: Sent, and neither acked nor lost.
        packet_size: How large packets are, at most.
        packets_sent: Packets of all kinds.
        packets_received: Packets that arrived, copies too.
        packets_acked: Packets of ours that the peer has.
        packets_lost: Packets of ours that were declared lost.
        spurious_losses: Those of them that arrived after all: their content was sent twice for nothing.
        loss: The share of our packets, of those whose fate is known, that were lost; 0 to 1.
        channels: Each channel.
    """

    rtt: float
    rtt_variation: float
    rtt_least: float
    bandwidth: float
    congestion_window: int
    pacing_rate: float
    bytes_under_way: int
    packet_size: int
    packets_sent: int
    packets_received: int
    packets_acked: int
    packets_lost: int
    spurious_losses: int
    loss: float
    channels: tuple[ChannelStatistics, ...]


def gather(exchange: PacketExchange, messages: Messages, channels: int) -> ConnectionStatistics:
    """Look at everything."""
    recovery, counters = exchange.recovery, exchange.endpoint.counters
    lost = exchange.lost - exchange.spurious
    known = counters.packets_acked + lost
    return ConnectionStatistics(
        rtt=recovery.round_trip.smoothed,
        rtt_variation=recovery.round_trip.variation,
        rtt_least=recovery.round_trip.least,
        bandwidth=recovery.delivery_rate,
        congestion_window=recovery.controller.window,
        pacing_rate=recovery.controller.pacing_rate,
        bytes_under_way=recovery.in_flight,
        packet_size=exchange.mtu.size,
        packets_sent=counters.packets_sent,
        packets_received=counters.packets_received,
        packets_acked=counters.packets_acked,
        packets_lost=exchange.lost,
        spurious_losses=exchange.spurious,
        loss=lost / known if known else 0.0,
        channels=tuple(_channel(messages, channel) for channel in range(channels)),
    )


def _channel(messages: Messages, channel: int) -> ChannelStatistics:
    sender, receiver = messages.sender(channel), messages.receiver(channel)
    return ChannelStatistics(
        sender.queued_messages, sender.queued_bytes, receiver.unread_messages, receiver.held_bytes, sender.given_up
    )
