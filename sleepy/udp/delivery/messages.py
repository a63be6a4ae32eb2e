"""All that one peer and we tell each other: channels, blocks, and a few words about the connection.

Below are packets, each of which is acked or lost as a whole. Above are programs, which want to send messages and read
them. This is the one place that knows both: it fills packets with chunks, takes packets apart, and hands each chunk,
and what became of it, to whom it belongs.

Rules:

1. What tells the peer something small that it may wait for (ping, credit, the end of a block) goes before messages. It
   is small and rare, so messages hardly wait for it.
2. The halves of a channel are made when they are first needed: a peer that is idle costs little.
3. A payload has no effect unless all of it can be read. What can be read and breaks a channel's or a block's rules is
   a `ProtocolError` too, but what came before it stands. Either way the connection should be closed.

Memory for one peer: the sums of what `ChannelConfig` and `sleepy.udp.delivery.block_memory` state, in both directions.
Packets under way are kept by others; their tokens are about 100 bytes for each chunk.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Final

from sleepy.udp.delivery.block_memory import DEFAULT_MEMORY
from sleepy.udp.delivery.blocks import OutgoingBlock, OutgoingBlocks
from sleepy.udp.delivery.channels.config import ChannelConfig
from sleepy.udp.delivery.channels.reliable_receiver import ReliableReceiver
from sleepy.udp.delivery.channels.reliable_sender import ReliableSender
from sleepy.udp.delivery.channels.unreliable import UnreliableReceiver, UnreliableSender
from sleepy.udp.delivery.chunk_reader import read_chunks
from sleepy.udp.delivery.chunks import (
    CHANNELS,
    MIN_ROOM,
    PING,
    BlockCredit,
    BlockData,
    BlockStop,
    Chunk,
    Close,
    Credit,
    Pad,
    Ping,
    ProtocolError,
    Run,
    Skip,
    Slice,
)
from sleepy.udp.delivery.incoming_blocks import IncomingBlock, IncomingBlocks
from sleepy.udp.delivery.payload import PacketBuilder, Token
from sleepy.udp.delivery.scheduler import Scheduler

DEFAULT_CHANNELS: Final = (ChannelConfig(),)
BLOCK_PRIORITY: Final = 2  # after the channels' default


class Messages:
    """The messages between us and one peer.

    Args:
        channels: The options of channel 0, 1, ...; the same on both sides.
        block_memory: How many bytes blocks may take, in each direction.

    Attributes:
        receivers: The receiving half of each channel; None as long as it was not made (rule 2).
        senders: The sending halves, likewise.
        peer_close: What the peer said when it left; None as long as it has not.

    Raises:
        ValueError: There are no channels, or more than 16.
    """

    __slots__ = (
        "_block_memory",
        "_configs",
        "_incoming",
        "_outgoing",
        "_ping_due",
        "_scheduler",
        "peer_close",
        "receivers",
        "senders",
    )

    def __init__(
        self, channels: Sequence[ChannelConfig] = DEFAULT_CHANNELS, block_memory: int = DEFAULT_MEMORY
    ) -> None:
        if not 1 <= len(channels) <= CHANNELS:
            raise ValueError(f"{len(channels)} channels; a connection has 1 to {CHANNELS}")
        self._configs = tuple(channels)
        self._block_memory = block_memory
        self.senders: tuple[ReliableSender | UnreliableSender | None, ...] = (None,) * len(channels)
        self.receivers: tuple[ReliableReceiver | UnreliableReceiver | None, ...] = (None,) * len(channels)
        self._scheduler = Scheduler()
        self._outgoing: OutgoingBlocks | None = None
        self._incoming: IncomingBlocks | None = None
        self._ping_due = False
        self.peer_close: Close | None = None

    # ---- for the program above

    def sender(self, channel: int) -> ReliableSender | UnreliableSender:
        """The sending half of a channel: `send`, `can_send`, and how much is queued.

        Raises:
            ValueError: There is no such channel.
        """
        if not 0 <= channel < len(self._configs):
            raise ValueError(f"channel {channel} does not exist; there are {len(self._configs)}, from 0 on")
        sender = self.senders[channel]
        if sender is None:
            config = self._configs[channel]  # rule 2
            sender = (ReliableSender if config.delivery.reliable else UnreliableSender)(channel, config)
            self.senders = (*self.senders[:channel], sender, *self.senders[channel + 1 :])
            self._scheduler.add(sender, config.priority)
        return sender

    def receiver(self, channel: int) -> ReliableReceiver | UnreliableReceiver:
        """The receiving half of a channel: `read`, and how much is unread.

        Raises:
            ValueError: There is no such channel.
        """
        if not 0 <= channel < len(self._configs):
            raise ValueError(f"channel {channel} does not exist; there are {len(self._configs)}, from 0 on")
        receiver = self.receivers[channel]
        if receiver is None:
            config = self._configs[channel]  # rule 2
            receiver = (ReliableReceiver if config.delivery.reliable else UnreliableReceiver)(channel, config)
            self.receivers = (*self.receivers[:channel], receiver, *self.receivers[channel + 1 :])
        return receiver

    def open_block(
        self,
        label: bytes = b"",
        size: int | None = None,
        source: Iterator[bytes] | None = None,
        priority: int = BLOCK_PRIORITY,
    ) -> OutgoingBlock:
        """Begin a block; see `OutgoingBlocks.open` for what it takes and raises."""
        if self._outgoing is None:
            self._outgoing = OutgoingBlocks(self._block_memory)
        block = self._outgoing.open(label, size, source)
        self._scheduler.add(block, priority)
        return block

    @property
    def can_open_block(self) -> bool:
        """Whether a block may be opened now."""
        return self._outgoing is None or self._outgoing.can_open

    def take_blocks(self) -> list[IncomingBlock]:
        """The blocks that the peer has begun, once each."""
        return self._incoming.take_announced() if self._incoming else []

    def ping(self) -> None:
        """Have the next packet want an ack, whatever is in it."""
        self._ping_due = True

    # ---- for the packets below

    def has_data(self, now: float) -> bool:
        """Whether a packet filled at ``now`` (seconds) would have something in it."""
        self._expire(now)
        if self._ping_due or self._scheduler.has_data() or (self._incoming is not None and self._incoming.has_data()):
            return True
        return any(isinstance(receiver, ReliableReceiver) and receiver.has_data() for receiver in self.receivers)

    def next_expiry(self) -> float:
        """When time alone changes what is to be sent, in seconds; infinity if never."""
        return min((sender.next_expiry() for sender in self.senders if sender is not None), default=inf)

    @property
    def undelivered(self) -> bool:
        """Whether anything is to be sent or acked, blocks too."""
        if self._outgoing is not None and self._outgoing.blocks:
            return True
        if self._incoming is not None and self._incoming.unsettled:
            return True
        return any(sender is not None and sender.queued_messages > 0 for sender in self.senders)

    def readable(self) -> list[int]:
        """The channels on which there is something to read."""
        return [
            channel
            for channel, receiver in enumerate(self.receivers)
            if receiver is not None and receiver.unread_messages
        ]

    def _expire(self, now: float) -> None:
        for sender in self.senders:
            if sender is not None:
                sender.expire(now)

    # --8<-- [start:fill]
    def fill(self, room: int, now: float) -> tuple[bytes, list[Token]]:
        """Fill a packet.

        Args:
            room: For how many bytes; at least 1,088, or large messages might never fit.
            now: The time, in seconds.

        Returns:
            The payload, empty if there is nothing to send, and the tokens for `on_acked` and `on_lost`.

        Raises:
            ValueError: The room is too small.
        """
        if room < MIN_ROOM:
            raise ValueError(f"a packet with room for {room} bytes; it must be {MIN_ROOM} at least")
        packet = PacketBuilder(room)
        self._expire(now)
        self._fill_control(packet)
        self._scheduler.fill(packet)
        return b"".join(packet.parts), packet.tokens

    def _fill_control(self, packet: PacketBuilder) -> None:
        """Rule 1."""
        if self._ping_due:
            self._ping_due = not packet.add(bytes([PING]))
        for receiver in self.receivers:
            if isinstance(receiver, ReliableReceiver):
                receiver.fill(packet)
        if self._incoming is not None and self._incoming.has_data():
            self._incoming.fill(packet)

    # --8<-- [end:fill]

    # --8<-- [start:receive]
    def receive(self, payload: bytes) -> None:
        """Take a packet's payload apart.

        Raises:
            ProtocolError: The peer breaks the rules (rule 3).
        """
        for chunk in read_chunks(payload):
            if isinstance(chunk, Run):
                self._receiver(chunk.channel).on_run(chunk)
            elif isinstance(chunk, BlockData) and self._incoming is not None:
                self._incoming.receive(chunk)
            else:
                self._receive_other(chunk)
        if self._outgoing is not None:
            self._remove_settled(self._outgoing)

    def _receive_other(self, chunk: Chunk) -> None:
        if isinstance(chunk, Slice):
            self._receiver(chunk.channel).on_slice(chunk)
        elif isinstance(chunk, Skip):
            receiver = self._receiver(chunk.channel)
            if not isinstance(receiver, ReliableReceiver):
                raise ProtocolError(f"a message given up on channel {chunk.channel}, where none is waited for")
            receiver.on_skip(chunk)
        elif isinstance(chunk, Credit):
            sender = self.senders[chunk.channel] if chunk.channel < len(self._configs) else None
            if not isinstance(sender, ReliableSender):
                raise ProtocolError(f"credit for channel {chunk.channel}, where we sent nothing that needs it")
            sender.on_credit(chunk)
        elif isinstance(chunk, Close):
            self.peer_close = self.peer_close or chunk
        elif isinstance(chunk, BlockStop | BlockCredit):
            if self._outgoing is None:
                raise ProtocolError(f"block {chunk.block} was never opened")
            self._outgoing.receive(chunk)
        elif not isinstance(chunk, Ping | Pad | Run):
            if self._incoming is None:
                self._incoming = IncomingBlocks(self._block_memory)
            self._incoming.receive(chunk)

    def _receiver(self, channel: int) -> ReliableReceiver | UnreliableReceiver:
        if channel >= len(self._configs):
            raise ProtocolError(f"a message on channel {channel}; there are {len(self._configs)}")
        return self.receivers[channel] or self.receiver(channel)

    # --8<-- [end:receive]

    def _remove_settled(self, outgoing: OutgoingBlocks) -> None:
        for block in outgoing.take_settled():
            self._scheduler.remove(block)

    def on_packet_acked(self, tokens: Iterable[Token]) -> None:
        """A packet arrived: hand its tokens back."""
        for carrier, what, first, count in tokens:
            carrier.on_acked(what, first, count)
        if self._outgoing is not None:
            self._remove_settled(self._outgoing)

    def on_packet_lost(self, tokens: Iterable[Token]) -> None:
        """A packet did not arrive, as far as one knows; `on_packet_acked` may still come for it."""
        for carrier, what, first, count in tokens:
            carrier.on_lost(what, first, count)
