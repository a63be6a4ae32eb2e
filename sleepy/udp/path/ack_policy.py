"""When must we answer?

Every packet we send carries acks, so who has something to say need not think of them. Who only listens has to send packets
for nothing but their acks: too many are a waste, too few make the sender wait, or believe that packets were lost.

Rules:

1. What wants an ack gets it within ``max_ack_delay``. The sender knows this promise, and is patient for so long.
2. A header's acks reach back 32 packets. So an answer is due after so many packets, of whatever kind, that each of them is
   named in several answers, and no single lost answer looks like lost packets: after 10, each is named in three.
3. A packet out of order (a gap before it, or it fills one) is answered at once: the sender is waiting to hear of it.
4. Who reads many at once, and answers when all is read, must not wait for that: after 16 an answer is to be made as things
   stand, before the 17th is read. One answer for 64 would name 32 of them, and the others would seem lost.
5. What only carries acks never makes us answer. Otherwise two peers with nothing to say would thank each other for ever.

Source: RFC 9000, sections 13.2.1 and 13.2.2 (there every second packet, because TCP does; rules 2 and 4 follow from 32
bits).
"""

from math import inf
from typing import Final

from sleepy.udp.sequence import newer

MOST_PACKETS: Final = 24  # above, a few lost packets of ours would hide what we received

CROWD: Final = 16  # packets: each is named in two answers (rule 4)


class AckPolicy:
    """Decides when an answer is due.

    Args:
        max_ack_delay: Our promise, in seconds.
        packets: After how many packets at the latest, 1 to 24.

    Attributes:
        next_timeout: When an answer is due, in seconds; infinite if none is. A time that has come: answer now.
        waiting_since: When the packet arrived that has waited longest for an answer; None if none waits.
        newest_time: When the newest packet arrived: the one that an ack names first, and of which the peer will want to
            know how long we held the ack back.

    Raises:
        ValueError: ``packets`` is out of its range.
    """

    __slots__ = ("_max_ack_delay", "_newest", "_packets", "_unanswered", "newest_time", "next_timeout", "waiting_since")

    def __init__(self, *, max_ack_delay: float = 0.025, packets: int = 10) -> None:
        if not 1 <= packets <= MOST_PACKETS:
            raise ValueError(f"packets is {packets}; acks reach back 32 packets, so choose from 1 to {MOST_PACKETS}")
        self._max_ack_delay = max_ack_delay
        self._packets = packets
        self._newest = 0xFFFF
        self._unanswered = 0
        self.newest_time = 0.0
        self.next_timeout = inf
        self.waiting_since: float | None = None

    # --8<-- [start:received]
    def on_received(self, sequence: int, now: float, *, ack_eliciting: bool) -> None:
        """A packet was received that was no copy; ``ack_eliciting``: whether it wants an ack."""
        in_order = sequence == (self._newest + 1) & 0xFFFF
        if newer(sequence, self._newest):
            self._newest = sequence
            self.newest_time = now
        self._unanswered += 1
        if ack_eliciting and self.waiting_since is None:
            self.waiting_since = now
            self.next_timeout = now + self._max_ack_delay  # rule 1
        if self.waiting_since is None:  # rule 5
            return
        if self._unanswered >= self._packets or (ack_eliciting and not in_order):  # rules 2 and 3
            self.next_timeout = min(self.next_timeout, now)

    # --8<-- [end:received]

    @property
    def crowded(self) -> bool:
        """Whether an answer is to be made before anything more is received (rule 4)."""
        return self._unanswered >= CROWD and self.waiting_since is not None

    def on_sent(self) -> None:
        """A packet was sent, of any kind: all that was received is answered."""
        self._unanswered = 0
        self.next_timeout = inf
        self.waiting_since = None
