"""How the link is: round trip, jitter, loss and bandwidth.

Everything here is measured from acks, without a byte on the wire. A single measurement says little, so each figure is
an exponential average: it moves by a fixed share of the way towards each new sample. A small share gives a calm figure
that is slow to see a change; the round trip moves by 1/400 per ack, loss and bandwidth by 1/10 per update.

Rules:

1. The first round trip sample is taken as it is; an average that starts at zero would take hundreds of packets to
   arrive.
2. Beside the average a history of the last samples is kept, one per slot ``sequence % size``. Its minimum is the best
   guess of what the path takes when no queue is on it, and jitter is what comes on top of that.
3. The history is looked at when somebody asks. Nothing else depends on it, and it is long.
4. Packets of a single moment have no bandwidth. What no clock tells apart is a moment: a time that a simulation made up,
   smaller than any clock's tick, would make the bandwidth infinite, and an average that was infinite once is never
   anything else again.

The units are those of the C library, so that figures can be laid side by side: milliseconds, percent, and kilobits
(1000 bits) per second.

Source: reliable 1.4.0.
"""

from collections import deque
from math import sqrt
from typing import Final, NamedTuple

CLOSE: Final = 1e-5
MOMENT: Final = 1e-9  # seconds: the tick of the finest clock that Python has


def smooth(average: float, sample: float, share: float) -> float:
    """Move an average by ``share`` of the way towards a sample; what is nearly there has arrived."""
    return sample if abs(average - sample) < CLOSE else average + (sample - average) * share


def smooth_rate(average: float, size: int, seconds: float, share: float) -> float:
    """Move a bandwidth towards ``size`` bytes in ``seconds`` (rule 4)."""
    return smooth(average, size / seconds * 8 / 1000, share) if seconds >= MOMENT else average


class Bandwidth(NamedTuple):
    """What goes over the link, with the headers of IP and UDP, in kilobits per second.

    Attributes:
        sent: Sent by us.
        received: Received by us.
        acked: Sent by us and known to have arrived.
    """

    sent: float
    received: float
    acked: float


class Statistics(NamedTuple):
    """Everything that is known about the link, under the names of the C library.

    Attributes:
        rtt: Round trip, averaged, in milliseconds; 0 before the first ack.
        rtt_min: The least of the history.
        rtt_max: The greatest.
        rtt_avg: Its mean.
        jitter_avg_vs_min_rtt: By how much the samples exceed the least, on average, in milliseconds.
        jitter_max_vs_min_rtt: At most.
        jitter_stddev_vs_avg_rtt: The standard deviation of the history, in milliseconds.
        packet_loss: Share of our packets that were not acked, averaged, in percent.
        sent_kbps: See `Bandwidth`.
        received_kbps: See `Bandwidth`.
        acked_kbps: See `Bandwidth`.
    """

    rtt: float
    rtt_min: float
    rtt_max: float
    rtt_avg: float
    jitter_avg_vs_min_rtt: float
    jitter_max_vs_min_rtt: float
    jitter_stddev_vs_avg_rtt: float
    packet_loss: float
    sent_kbps: float
    received_kbps: float
    acked_kbps: float


class Counters:
    """What has happened since the start or the last reset, under the names of the C library.

    Attributes:
        packets_sent: Packets, whole or in fragments.
        packets_received: Packets that arrived, whole or put together, whatever became of them.
        packets_acked: Packets of ours that the peer has.
        packets_stale: Refused as older than we remember.
        packets_invalid: Refused for their header.
        packets_too_large_to_send: Refused by `Endpoint.send`.
        packets_too_large_to_receive: Refused for their size, also as soon as a fragment shows that it would be
            exceeded.
        packets_duplicate: Refused as received before.
        fragments_sent: Fragments of our packets.
        fragments_received: Fragments that were taken.
        fragments_invalid: Refused as malformed, stale, or at odds with the fragments before.
    """

    __slots__ = (
        "fragments_invalid",
        "fragments_received",
        "fragments_sent",
        "packets_acked",
        "packets_duplicate",
        "packets_invalid",
        "packets_received",
        "packets_sent",
        "packets_stale",
        "packets_too_large_to_receive",
        "packets_too_large_to_send",
    )

    def __init__(self) -> None:
        self.packets_sent = 0
        self.packets_received = 0
        self.packets_acked = 0
        self.packets_stale = 0
        self.packets_invalid = 0
        self.packets_too_large_to_send = 0
        self.packets_too_large_to_receive = 0
        self.packets_duplicate = 0
        self.fragments_sent = 0
        self.fragments_received = 0
        self.fragments_invalid = 0


class Window:
    """The packets in a window of numbers that slides ahead: their bytes, and the first and the last time among them.

    Packets arrive out of order, so the first packet of the window need not have arrived first. Two queues are kept in
    order of the packets: in one, each time is the least of those from there to the window's end, in the other the
    greatest. A packet that enters at the end makes those before it superfluous that it surpasses, and each is removed
    once. So a step costs the same however long the window is.

    Args:
        length: How many numbers the window spans.

    Attributes:
        size: Bytes of the packets.
    """

    __slots__ = ("_end", "_firsts", "_lasts", "_length", "_sizes", "size")

    def __init__(self, length: int) -> None:
        self._length = length
        self.restart()

    def restart(self) -> None:
        """Let everything enter anew: something has changed within the window."""
        self._end: int | None = None
        self.size = 0
        self._sizes: deque[tuple[int, int]] = deque()
        self._firsts: deque[tuple[int, float]] = deque()
        self._lasts: deque[tuple[int, float]] = deque()

    def slide(self, end: int) -> range:
        """Move the window's end ahead, before this number; the numbers that may enter."""
        start = end - self._length
        while self._sizes and self._sizes[0][0] < start:
            self.size -= self._sizes.popleft()[1]
        for queue in (self._firsts, self._lasts):
            while queue and queue[0][0] < start:
                queue.popleft()
        entering = range(start if self._end is None else max(start, self._end), end)
        self._end = end
        return entering

    def enter(self, number: int, size: int, time: float) -> None:
        """Let a packet enter at the end."""
        self.size += size
        self._sizes.append((number, size))
        while self._firsts and self._firsts[-1][1] >= time:
            self._firsts.pop()
        while self._lasts and self._lasts[-1][1] <= time:
            self._lasts.pop()
        self._firsts.append((number, time))
        self._lasts.append((number, time))

    def span(self) -> float:
        """Seconds between the first and the last time."""
        return self._lasts[0][1] - self._firsts[0][1] if self._firsts else 0.0


class RoundTrips:
    """The round trip time: an average and a history.

    Args:
        size: Number of samples in the history.
        share: By how much of the way a sample moves the average.

    Attributes:
        average: In milliseconds.
    """

    __slots__ = ("_history", "_share", "_size", "average")

    def __init__(self, size: int, share: float) -> None:
        self._size = size
        self._share = share
        self._history: list[float] = [-1.0] * size
        self.average = 0.0

    # --8<-- [start:rtt]
    def add(self, sequence: int, sample: float) -> None:
        """The ack of this packet came after ``sample`` milliseconds."""
        self._history[sequence % self._size] = sample
        average = self.average
        self.average = average + (sample - average) * self._share if average else sample  # rule 1

    # --8<-- [end:rtt]

    def statistics(self, packet_loss: float, bandwidth: Bandwidth) -> Statistics:
        """Look at the history (rules 2 and 3), and put it beside the other figures."""
        history = [sample for sample in self._history if sample >= 0.0] or [0.0]
        least, greatest = min(history), max(history)
        mean = sum(history) / len(history)
        deviation = sqrt(sum((sample - mean) ** 2 for sample in history) / len(history))
        return Statistics(
            rtt=self.average,
            rtt_min=least,
            rtt_max=greatest,
            rtt_avg=mean,
            jitter_avg_vs_min_rtt=mean - least,
            jitter_max_vs_min_rtt=greatest - least,
            jitter_stddev_vs_avg_rtt=deviation,
            packet_loss=packet_loss,
            sent_kbps=bandwidth.sent,
            received_kbps=bandwidth.received,
            acked_kbps=bandwidth.acked,
        )
