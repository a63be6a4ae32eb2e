"""Reliable UDP, after reliable.io: who has what, and messages on top of it.

`Endpoint` is the bottom: sequence numbers, acks, fragments, statistics, byte-compatible with reliable 1.4.0. It is there
at once, and needs nothing. `open_node` is the top: messages and streams between peers that prove who they are. What belongs
to it is imported when it is first asked for: it needs asyncio, and most of it the package ``cryptography``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from sleepy.udp.config import EndpointConfig
from sleepy.udp.endpoint import Endpoint, Packet, PacketTooLarge
from sleepy.udp.header import FragmentHeader, InvalidHeader, PacketHeader
from sleepy.udp.sequence import SequenceBuffer, newer
from sleepy.udp.statistics import Bandwidth, Counters, Statistics

if TYPE_CHECKING:
    from sleepy.udp.blocks import BlockState, OutgoingBlock, TooManyBlocks
    from sleepy.udp.channels.config import ChannelConfig, Delivery, MessageTooLarge, QueueFull
    from sleepy.udp.congestion.bbr import Bbr
    from sleepy.udp.congestion.cubic import Cubic
    from sleepy.udp.congestion.good_bad import GoodBad
    from sleepy.udp.congestion.new_reno import NewReno
    from sleepy.udp.connection import Connection
    from sleepy.udp.connection_config import ConnectionConfig
    from sleepy.udp.connection_errors import (
        ChannelMismatch,
        ClosedByPeer,
        ClosedLocally,
        ConnectionClosed,
        PeerProtocolError,
        TimedOut,
        WentAway,
    )
    from sleepy.udp.connection_statistics import ChannelStatistics, ConnectionStatistics
    from sleepy.udp.identity import Identity, parse_key, print_key
    from sleepy.udp.incoming_blocks import IncomingBlock
    from sleepy.udp.node import Node
    from sleepy.udp.peer import Peer
    from sleepy.udp.plain_node import open_plain_node
    from sleepy.udp.reachable_node import ReachableNode, open_reachable_node
    from sleepy.udp.relay import Relay
    from sleepy.udp.secure_node import open_node
    from sleepy.udp.session import (
        HandshakeError,
        HandshakeTimeout,
        Refused,
        VersionMismatch,
        WrongKey,
        WrongPreSharedKey,
    )
    from sleepy.udp.traversal_config import PeerAbsent, PeerRefused, TraversalError, TraversalTimeout

__all__ = [
    "Bandwidth",
    "Bbr",
    "BlockState",
    "ChannelConfig",
    "ChannelMismatch",
    "ChannelStatistics",
    "ClosedByPeer",
    "ClosedLocally",
    "Connection",
    "ConnectionClosed",
    "ConnectionConfig",
    "ConnectionStatistics",
    "Counters",
    "Cubic",
    "Delivery",
    "Endpoint",
    "EndpointConfig",
    "FragmentHeader",
    "GoodBad",
    "HandshakeError",
    "HandshakeTimeout",
    "Identity",
    "IncomingBlock",
    "InvalidHeader",
    "MessageTooLarge",
    "NewReno",
    "Node",
    "OutgoingBlock",
    "Packet",
    "PacketHeader",
    "PacketTooLarge",
    "Peer",
    "PeerAbsent",
    "PeerProtocolError",
    "PeerRefused",
    "QueueFull",
    "ReachableNode",
    "Refused",
    "Relay",
    "SequenceBuffer",
    "Statistics",
    "TimedOut",
    "TooManyBlocks",
    "TraversalError",
    "TraversalTimeout",
    "VersionMismatch",
    "WentAway",
    "WrongKey",
    "WrongPreSharedKey",
    "newer",
    "open_node",
    "open_plain_node",
    "open_reachable_node",
    "parse_key",
    "print_key",
]

_LATER: Final = {
    # module: what is imported from it when it is first asked for
    "blocks": ("BlockState", "OutgoingBlock", "TooManyBlocks"),
    "channels.config": (
        "ChannelConfig",
        "Delivery",
        "MessageTooLarge",
        "QueueFull",
    ),
    "congestion.bbr": ("Bbr",),
    "congestion.cubic": ("Cubic",),
    "congestion.good_bad": ("GoodBad",),
    "congestion.new_reno": ("NewReno",),
    "connection": ("Connection",),
    "connection_config": ("ConnectionConfig",),
    "connection_errors": (
        "ChannelMismatch",
        "ClosedByPeer",
        "ClosedLocally",
        "ConnectionClosed",
        "PeerProtocolError",
        "TimedOut",
        "WentAway",
    ),
    "connection_statistics": ("ChannelStatistics", "ConnectionStatistics"),
    "identity": (
        "Identity",
        "parse_key",
        "print_key",
    ),
    "incoming_blocks": ("IncomingBlock",),
    "node": ("Node",),
    "peer": ("Peer",),
    "plain_node": ("open_plain_node",),
    "reachable_node": ("ReachableNode", "open_reachable_node"),
    "relay": ("Relay",),
    "secure_node": ("open_node",),
    "session": (
        "HandshakeError",
        "HandshakeTimeout",
        "Refused",
        "VersionMismatch",
        "WrongKey",
        "WrongPreSharedKey",
    ),
    "traversal_config": ("PeerAbsent", "PeerRefused", "TraversalError", "TraversalTimeout"),
}
_MODULES: Final = {name: module for module, names in _LATER.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
