"""What a congestion control hears, and what it answers.

Nobody tells a sender how fast it may send. The path has a *bottleneck*, its slowest link, with a queue before it; what is
sent faster than the bottleneck carries waits in the queue, and when that is full, is lost. Everybody's packets wait and
are lost alike. So each sender must find out how much to have under way from the only thing it gets: acks, their times, and
their absence.

A *controller* gives two figures. The **window** says how many bytes may be under way, sent and neither acked nor lost. The
**pacing rate** says how fast they leave, for a window sent in one burst would fill the queue by itself.

Rules that hold for all of them:

1. The window begins at ten packets, and never is less than two: with a single packet under way there is nothing that
   could follow a lost one and so reveal the loss.
2. Losses of one round trip are one event, with one answer. What tells: packets that were sent before the answer took
   effect could not heed it.
3. A window that was not used proves nothing about the path. While the sender has too little to send
   (*application-limited*), acks do not make the window grow.
4. Whoever sends a window per round trip should pace a little faster, by a quarter, or small irregularities would leave
   part of the window unused; at twice the rate in slow start, which doubles the window each round trip.

Source: RFC 9002, section 7 (7.2: rule 1; 7.3.2: rule 2; 7.7: rule 4; 7.8: rule 3).
"""

from typing import Final, NamedTuple, Protocol, runtime_checkable

INITIAL_PACKETS: Final = 10
MINIMUM_PACKETS: Final = 2
PACING_GAIN: Final = 1.25
SLOW_START_PACING_GAIN: Final = 2.0


class Ack(NamedTuple):
    """Packets were acked, all by one packet of the peer's.

    Attributes:
        now: The time, in seconds.
        size: Their bytes.
        sent_time: When the newest of them was sent.
        rtt: The round trip that it showed, in seconds; None if it showed none.
        smoothed_rtt: The average round trip.
        in_flight: Bytes still under way.
        app_limited: Whether, when it was sent, the sender lacked data rather than window.
        delivery_rate: Bytes per second that arrived since it was sent; 0 if unknown (see `delivery_rate`).
        delivered: Bytes acked on this connection, these included.
        delivered_before: Bytes that had been acked when it was sent; the round that began then is over now.
    """

    now: float
    size: int
    sent_time: float
    rtt: float | None
    smoothed_rtt: float
    in_flight: int
    app_limited: bool
    delivery_rate: float
    delivered: int
    delivered_before: int


class Loss(NamedTuple):
    """Packets were declared lost.

    Attributes:
        now: The time, in seconds.
        size: Their bytes.
        sent_time: When the newest of them was sent.
        in_flight: Bytes still under way.
    """

    now: float
    size: int
    sent_time: float
    in_flight: int


@runtime_checkable
class Controller(Protocol):
    """Decides how much may be under way, and how fast it leaves.

    Attributes:
        packet_size: Bytes of a full packet; to be set anew when the path turns out to carry more or less.
    """

    packet_size: int

    @property
    def window(self) -> int:
        """How many bytes may be under way."""
        ...

    @property
    def pacing_rate(self) -> float:
        """How fast they may leave, in bytes per second."""
        ...

    def on_acked(self, ack: Ack) -> None:
        """Packets have arrived."""
        ...

    def on_lost(self, loss: Loss) -> None:
        """Packets were lost; told before the acks that showed it."""
        ...

    def on_persistent_congestion(self, now: float) -> None:
        """Nothing has arrived for several probe timeouts: what was known of the path is worth nothing (7.6)."""
        ...


class WindowPacing:
    """The pacing of controllers that think in windows (rule 4).

    Args:
        rtt: What to believe before the first ack, in seconds.
    """

    __slots__ = ("rtt",)

    def __init__(self, rtt: float = 0.333) -> None:
        self.rtt = rtt

    def rate(self, window: float, *, slow_start: bool) -> float:
        """Bytes per second for a window."""
        return (SLOW_START_PACING_GAIN if slow_start else PACING_GAIN) * window / max(self.rtt, 1e-6)
