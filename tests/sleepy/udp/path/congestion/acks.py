"""Acks and losses as a controller hears them, with the figures that a test does not care for filled in."""

from sleepy.udp.path.congestion.control import Ack, Loss


def ack(
    now: float,
    packets: float = 1,
    *,
    sent_time: float | None = None,
    rtt: float = 0.1,
    app_limited: bool = False,
    packet_size: int = 1200,
) -> Ack:
    """Some packets were acked, a round trip after they were sent."""
    size = round(packets * packet_size)
    sent = now - rtt if sent_time is None else sent_time
    return Ack(now, size, sent, rtt, rtt, 0, app_limited, 0.0, size, 0)


def loss(now: float, packets: int = 1, *, sent_time: float | None = None, packet_size: int = 1200) -> Loss:
    """Some packets were lost, sent a round trip ago."""
    return Loss(now, packets * packet_size, now - 0.1 if sent_time is None else sent_time, 0)
