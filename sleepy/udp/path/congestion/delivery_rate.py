"""How many bytes per second does the path deliver?

Between the sending of a packet and its ack a round trip passes, and in it a certain number of other bytes were acked:
divided by the time, that is the rate at which the path delivers. Each acked packet gives such a sample.

::

    sent   ----P------------------>    when P is sent, note what was delivered, and when
    acked  a---a---a---a---a---P-->    when P is acked: the bytes acked since, by the time since

Rules:

1. Acks come in clumps (an answer for many packets; a queue of acks that drains at once), and a clump looks like a fast
   path. So the time is the longer of two: that in which the bytes were acked, and that in which they were *sent*: nothing
   is delivered faster than it was sent.
2. With nothing under way the clock stands still: time in which nobody sent says nothing about the path.
3. Who sends less than the path carries measures himself. Such samples are marked *application-limited*: from the moment
   the sender has nothing to send though it might, until what was under way then has been delivered.

Source: draft-cheng-iccrg-delivery-rate-estimation-02, sections 2 and 3.
"""

from typing import final


@final
class Mark:
    """What is noted with a packet when it is sent; packets sent between two acks share it.

    Attributes:
        delivered: Bytes delivered until then.
        delivered_time: When the last of them were.
        first_sent_time: When the packet was sent whose ack began the interval.
        app_limited: Rule 3.
    """

    __slots__ = ("app_limited", "delivered", "delivered_time", "first_sent_time")

    def __init__(self, delivered: int, delivered_time: float, first_sent_time: float, app_limited: bool) -> None:
        self.delivered = delivered
        self.delivered_time = delivered_time
        self.first_sent_time = first_sent_time
        self.app_limited = app_limited


class DeliveryRate:
    """Takes samples of the delivery rate.

    Attributes:
        delivered: Bytes acked so far.
    """

    __slots__ = ("_delivered_time", "_first_sent_time", "_limited_until", "_mark", "delivered")

    def __init__(self) -> None:
        self.delivered = 0
        self._delivered_time = 0.0
        self._first_sent_time = 0.0
        self._limited_until = 0
        self._mark: Mark | None = None  # of the last packet, if it holds for the next one too

    def on_sent(self, in_flight: int, now: float) -> Mark:
        """A packet is being sent while ``in_flight`` bytes are under way; what to keep with it."""
        if not in_flight:  # rule 2
            self._delivered_time = self._first_sent_time = now
            self._mark = None
        mark = self._mark
        if mark is None:
            limited = self._limited_until > 0
            mark = Mark(self.delivered, self._delivered_time, self._first_sent_time, limited)
            self._mark = mark
        return mark

    def on_app_limited(self, in_flight: int) -> None:
        """There is room in the window, and nothing to send (rule 3)."""
        self._limited_until = max(self.delivered + in_flight, 1)
        self._mark = None

    # --8<-- [start:sample]
    def on_acked(self, size: int, sent_time: float, mark: Mark, now: float) -> float:
        """``size`` bytes were acked; the newest packet among them was sent at ``sent_time`` with this mark.

        Returns:
            Bytes per second; 0 if no time has passed.
        """
        self._mark = None
        self.delivered += size
        self._delivered_time = now
        self._first_sent_time = sent_time
        if self.delivered > self._limited_until:
            self._limited_until = 0
        interval = max(sent_time - mark.first_sent_time, now - mark.delivered_time)  # rule 1
        return (self.delivered - mark.delivered) / interval if interval > 0 else 0.0

    # --8<-- [end:sample]
