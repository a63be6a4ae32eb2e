"""The options of a connection: one set for all peers of a node."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sleepy.udp.connections.parameters import Parameters
from sleepy.udp.delivery.block_memory import DEFAULT_MEMORY, LEAST_MEMORY, MOST_MEMORY
from sleepy.udp.delivery.channels.config import ChannelConfig
from sleepy.udp.delivery.chunks import CHANNELS
from sleepy.udp.kinds import check_callable, check_kind
from sleepy.udp.path.congestion.bbr import Bbr
from sleepy.udp.path.congestion.control import Controller
from sleepy.udp.path.path_mtu import BASE, LIMIT

LARGEST_DATAGRAM: Final = 9000  # bytes: a jumbo frame
MOST_ACK_DELAY: Final = 0.5  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionConfig:
    """The options of a connection.

    Attributes:
        channels: Channel 0, 1, ..., as a tuple; the same on both sides.
        idle_timeout: After how many seconds of silence the peer is gone; the shorter one of both sides' holds.
        keep_alive: After how many seconds of silence we ask the peer to speak; at most half of ``idle_timeout``.
        max_ack_delay: How long we may hold an ack back, in seconds.
        max_datagram: The largest datagram to send or take, in bytes; what the path carries is found out.
        block_memory: How many bytes all blocks and streams to a peer may take, and as many all from it; how they share
            them is in `sleepy.udp.delivery.block_memory`. By default a block that is alone has a window of 1 MiB.
        congestion: Makes the congestion control, once for each path to a peer (and once here, to see that it does); its
            class will do.
        random_bytes: Where the challenges to new addresses come from.

    Raises:
        TypeError: An option is of another kind.
        ValueError: An option is out of its range.
    """

    channels: tuple[ChannelConfig, ...] = (ChannelConfig(),)
    idle_timeout: float = 30.0
    keep_alive: float = 10.0
    max_ack_delay: float = 0.025
    max_datagram: int = LIMIT
    block_memory: int = DEFAULT_MEMORY
    congestion: Callable[[], Controller] = Bbr
    random_bytes: Callable[[int], bytes] = field(default=os.urandom, repr=False)

    def __post_init__(self) -> None:
        check_kind("channels", self.channels, tuple, list)
        for number, channel in enumerate(self.channels):
            check_kind(f"item {number} of channels", channel, ChannelConfig)
        for name in ("idle_timeout", "keep_alive", "max_ack_delay"):
            check_kind(name, getattr(self, name), int, float)
        for name in ("max_datagram", "block_memory"):
            check_kind(name, getattr(self, name), int)
        for name in ("congestion", "random_bytes"):
            check_callable(name, getattr(self, name))
        check_kind(
            "what congestion makes", self.congestion(), Controller
        )  # or no connection would come about, nor fail
        if not 1 <= len(self.channels) <= CHANNELS:
            raise ValueError(f"{len(self.channels)} channels; a connection has 1 to {CHANNELS}")
        if not 0 < self.keep_alive <= self.idle_timeout / 2:
            raise ValueError(
                f"keep_alive is {self.keep_alive} s; choose above 0, and at most half of idle_timeout, "
                f"{self.idle_timeout} s, or one lost packet would end a healthy connection"
            )
        if not self.idle_timeout <= 86400:
            raise ValueError(f"idle_timeout is {self.idle_timeout} s; choose a day at most")
        if not 0.001 <= self.max_ack_delay <= MOST_ACK_DELAY:
            raise ValueError(f"max_ack_delay is {self.max_ack_delay} s; choose from 0.001 to {MOST_ACK_DELAY}")
        if not BASE <= self.max_datagram <= LARGEST_DATAGRAM:
            raise ValueError(f"max_datagram is {self.max_datagram}; choose from {BASE} to {LARGEST_DATAGRAM}")
        if not LEAST_MEMORY <= self.block_memory <= MOST_MEMORY:
            raise ValueError(f"block_memory is {self.block_memory}; choose from {LEAST_MEMORY} to {MOST_MEMORY}")

    @property
    def declared(self) -> Parameters:
        """What the peer is to know of it."""
        return Parameters(self.idle_timeout, self.max_ack_delay, self.max_datagram, self.channels)

    def parameters(self) -> bytes:
        """The same in bytes, for the handshake."""
        return self.declared.encode()
