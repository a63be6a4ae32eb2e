"""What a connection tells the program above it.

Events say that it is worth while to look, not what there is to see: a thousand messages that arrived at once are one event.
So nobody has to keep events, and who missed one loses nothing, for the state of things can be asked for at any time.
"""

from typing import NamedTuple, TypeAlias

from sleepy.udp.address import Address
from sleepy.udp.connections.connection_errors import ConnectionClosed
from sleepy.udp.delivery.blocks import OutgoingBlock
from sleepy.udp.delivery.incoming_blocks import IncomingBlock


class Established(NamedTuple):
    """The peer has answered (plain mode only; an encrypted connection begins where the handshake ended)."""


class MessagesArrived(NamedTuple):
    """There is something to read on a channel."""

    channel: int


class RoomAgain(NamedTuple):
    """A channel had no room for a message, and has it now."""

    channel: int


class BlockArrived(NamedTuple):
    """The peer has begun a block."""

    block: IncomingBlock


class BlockChanged(NamedTuple):
    """A block has come further, or to its end."""

    block: IncomingBlock | OutgoingBlock


class BlockRoomAgain(NamedTuple):
    """There were too many blocks to open another, and now there are not."""


class AddressChanged(NamedTuple):
    """The peer is at another address now, and has proved it."""

    address: Address


class Closed(NamedTuple):
    """The connection is no more."""

    error: ConnectionClosed


Event: TypeAlias = (
    Established | MessagesArrived | RoomAgain | BlockArrived | BlockChanged | BlockRoomAgain | AddressChanged | Closed
)
