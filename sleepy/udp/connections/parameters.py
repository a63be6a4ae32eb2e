"""What two peers must know of each other's options before the first message.

Most options are each side's own affair. These are not:

1. The *channels* must be equal, as far as the other side relies on them: what a channel promises, how large its messages may
   be, and how much its receiver keeps (the first credit follows from it). One peer with other channels would be one that
   breaks the rules, at some later time, for no reason that anybody could see. So they are compared at the beginning.
2. The *idle timeout* is the shorter one of the two: who waits longer would wait for somebody who has left.
3. How long the other side may hold an ack back, and how large a datagram it takes.

In an encrypted connection they travel in the handshake, in plain mode in the first packets. Numbers are little-endian.

::

    format 1 u8 | idle timeout in ms u32 | ack delay in ms u16 | largest datagram u16 | number of channels u8
    | for each: delivery u8, largest message u32, window in messages u32, window in bytes u32

Source: the transport parameters of QUIC (RFC 9000, section 18); rule 2 is its section 10.1.
"""

import struct
from dataclasses import dataclass
from typing import Final

from sleepy.udp.connections.connection_errors import ChannelMismatch, PeerProtocolError
from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery

FORMAT: Final = 1
_HEAD: Final = struct.Struct("<BIHHB")
_CHANNEL: Final = struct.Struct("<BIII")
_DELIVERIES: Final = tuple(Delivery)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What one side says of itself.

    Attributes:
        idle_timeout: In seconds.
        max_ack_delay: In seconds.
        max_datagram: In bytes.
        channels: Channel 0, 1, ...; of each only what rule 1 names.
    """

    idle_timeout: float
    max_ack_delay: float
    max_datagram: int
    channels: tuple[ChannelConfig, ...]

    def encode(self) -> bytes:
        """The bytes for the peer."""
        idle, delay = round(self.idle_timeout * 1000), round(self.max_ack_delay * 1000)
        parts = [_HEAD.pack(FORMAT, idle, delay, self.max_datagram, len(self.channels))]
        parts += (_CHANNEL.pack(_DELIVERIES.index(one.delivery), *_sizes(one)) for one in self.channels)
        return b"".join(parts)

    @staticmethod
    def decode(data: bytes) -> "Parameters":
        """Read a peer's.

        Raises:
            PeerProtocolError: The bytes are not what `encode` makes.
        """
        try:
            form, idle, delay, datagram, count = _HEAD.unpack_from(data)
            channels = tuple(_channel(*fields) for fields in _CHANNEL.iter_unpack(data[_HEAD.size :]))
        except (struct.error, ValueError, IndexError) as error:
            raise PeerProtocolError(f"the peer's parameters cannot be read: {error}") from error
        if form != FORMAT or len(channels) != count:
            raise PeerProtocolError(
                f"the peer's parameters are of format {form}, with {count} channels in {len(data)} bytes"
            )
        return Parameters(idle / 1000, delay / 1000, datagram, channels)

    def check_channels(self, theirs: "Parameters") -> None:
        """Compare the channels (rule 1).

        Raises:
            ChannelMismatch: They are not equal; the message says where.
        """
        if len(self.channels) != len(theirs.channels):
            raise ChannelMismatch(
                f"we have {len(self.channels)} channels and the peer {len(theirs.channels)}; {_EQUAL}"
            )
        for number, (one, other) in enumerate(zip(self.channels, theirs.channels, strict=True)):
            ours, others = _promises(one), _promises(other)
            if ours != others:
                raise ChannelMismatch(f"channel {number} is here {ours}, and there {others}; {_EQUAL}")


_EQUAL: Final = "both sides need the same channels"


def _sizes(config: ChannelConfig) -> tuple[int, int, int]:
    return config.max_message_size, config.window_messages, config.window_bytes


def _promises(config: ChannelConfig) -> str:
    """What the other side relies on, for people too."""
    size, messages, window = _sizes(config)
    return f"{config.delivery.value}, max_message_size={size}, window_messages={messages}, window_bytes={window}"


def _channel(delivery: int, size: int, messages: int, window: int) -> ChannelConfig:
    return ChannelConfig(
        _DELIVERIES[delivery], max_message_size=size, queue_bytes=1 << 30, window_messages=messages, window_bytes=window
    )
