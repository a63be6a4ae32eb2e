"""What a channel promises, and how much memory that may take.

A promise costs something. To deliver all, in order, means to wait for what was lost; to wait means to keep what came
in the meantime. What the memory is bounded by must be known to both sides, or one would send what the other cannot
keep: both ends of a connection must have the same channels.

Memory of one channel, for one peer: at most ``queue_bytes`` in ``queue_messages`` messages to be sent, and
``window_bytes`` in ``window_messages`` that the reader has not read; to that add Python's own, about 150 bytes per
message.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from sleepy.errors import SleepyError
from sleepy.udp.kinds import check_kind


class Delivery(Enum):
    """What a channel promises about its messages."""

    RELIABLE_ORDERED = "reliable-ordered"
    """Each arrives, once, in the order of sending."""
    RELIABLE_UNORDERED = "reliable-unordered"
    """Each arrives, once, as soon as it can."""
    UNRELIABLE = "unreliable"
    """Each arrives once or not at all, in any order."""
    UNRELIABLE_SEQUENCED = "unreliable-sequenced"
    """The latest matters: what is older than one that arrived, or waits while a newer one is sent, is dropped."""

    @property
    def reliable(self) -> bool:
        """Whether each message arrives."""
        return self in {Delivery.RELIABLE_ORDERED, Delivery.RELIABLE_UNORDERED}


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """The options of one channel; the same on both sides.

    Attributes:
        delivery: What it promises.
        priority: Who goes first: 0 before 1 before 2, to 255.
        max_message_size: In bytes.
        queue_messages: How many messages may wait to be sent or acked.
        queue_bytes: How many bytes they may have together.
        window_messages: How many may arrive that the reader has not read, 2 at least.
        window_bytes: How many bytes they may have together. At least two of the largest messages: a receiver gives credit
            when half of its window is free, and the sender may need more than the other half for one message.

    Raises:
        TypeError: An option is of another kind.
        ValueError: An option is out of its range.
    """

    delivery: Delivery = Delivery.RELIABLE_ORDERED
    priority: int = 1
    max_message_size: int = 65536
    queue_messages: int = 4096
    queue_bytes: int = 1 << 20
    window_messages: int = 4096
    window_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        check_kind("delivery", self.delivery, Delivery)
        for name in _NUMBERS:
            check_kind(name, getattr(self, name), int)
        if not 0 <= self.priority <= 255:
            raise ValueError(f"priority is {self.priority}; it must be 0 (first) to 255")
        if (
            not 1 <= self.queue_messages <= 1 << 20 or not 2 <= self.window_messages <= 1 << 20
        ):  # far below half the ids
            raise ValueError("queue_messages must be 1 to 1,048,576, and window_messages 2 to 1,048,576")
        if self.max_message_size < 1:
            raise ValueError(f"max_message_size is {self.max_message_size}; it must be 1 at least")
        if not self.max_message_size <= self.queue_bytes <= 1 << 30:
            raise ValueError(
                f"queue_bytes is {self.queue_bytes}; it must hold a message of {self.max_message_size} bytes"
            )
        if not 2 * self.max_message_size <= self.window_bytes <= 1 << 30:
            raise ValueError(f"window_bytes is {self.window_bytes}; it must hold two of {self.max_message_size} bytes")


_NUMBERS: Final = (
    "priority",
    "max_message_size",
    "queue_messages",
    "queue_bytes",
    "window_messages",
    "window_bytes",
)


class QueueFull(SleepyError):
    """The message was not taken: so much waits to be sent already.

    `sleepy.udp.nodes.peer.Peer.send` waits for room; of a bare connection the event `RoomAgain` tells.
    """


class MessageTooLarge(SleepyError, ValueError):
    """The message exceeds the channel's ``max_message_size``; send it as a block."""
