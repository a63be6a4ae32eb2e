"""Reliable UDP, after reliable.io: who has what, and messages on top of it.

`Endpoint` is the bottom: sequence numbers, acks, fragments, statistics, byte-compatible with reliable 1.4.0. It is there
at once, and needs nothing. `open_node` is the top: messages, blocks and streams between peers that prove who they are. What
belongs to it is imported when it is first asked for: it needs asyncio, and most of it the package ``cryptography``.

The house: what `Endpoint` is made of stands in front. Behind it are six rooms, from the bottom to the top: `path` is about
the way to a peer (what was lost, how fast, how large), `delivery` about messages and blocks in packets, `security` about
keys and handshakes; `connections` composes them for one peer, all without I/O. `nodes` puts many peers on one socket, and
`nat` lets those meet who are hidden.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from sleepy.udp.config import EndpointConfig
from sleepy.udp.endpoint import Endpoint, Packet, PacketTooLarge
from sleepy.udp.header import FragmentHeader, InvalidHeader, PacketHeader
from sleepy.udp.sequence import SequenceBuffer, newer
from sleepy.udp.statistics import Bandwidth, Counters, Statistics

if TYPE_CHECKING:
    from sleepy.udp.connections.connection import Connection
    from sleepy.udp.connections.connection_config import ConnectionConfig
    from sleepy.udp.connections.connection_errors import (
        ChannelMismatch,
        ClosedByPeer,
        ClosedLocally,
        ConnectionClosed,
        PeerProtocolError,
        TimedOut,
        WentAway,
    )
    from sleepy.udp.connections.connection_statistics import ChannelStatistics, ConnectionStatistics
    from sleepy.udp.delivery.blocks import BlockState, OutgoingBlock, TooManyBlocks
    from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery, MessageTooLarge, QueueFull
    from sleepy.udp.delivery.incoming_blocks import IncomingBlock
    from sleepy.udp.nat.reachable_node import ReachableNode, open_reachable_node
    from sleepy.udp.nat.relay import Relay
    from sleepy.udp.nat.traversal_config import PeerAbsent, PeerRefused, TraversalError, TraversalTimeout
    from sleepy.udp.nodes.node import Node
    from sleepy.udp.nodes.peer import Peer
    from sleepy.udp.nodes.peer_blocks import BlockGivenUp, BlockReader
    from sleepy.udp.nodes.plain_node import open_plain_node
    from sleepy.udp.nodes.secure_node import open_node
    from sleepy.udp.path.congestion.bbr import Bbr
    from sleepy.udp.path.congestion.cubic import Cubic
    from sleepy.udp.path.congestion.good_bad import GoodBad
    from sleepy.udp.path.congestion.new_reno import NewReno
    from sleepy.udp.security.identity import Identity, parse_key, print_key
    from sleepy.udp.security.session import (
        HandshakeError,
        HandshakeTimeout,
        Refused,
        VersionMismatch,
        WrongKey,
        WrongPreSharedKey,
    )

__all__ = [
    "Bandwidth",
    "Bbr",
    "BlockGivenUp",
    "BlockReader",
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
    "delivery.blocks": ("BlockState", "OutgoingBlock", "TooManyBlocks"),
    "delivery.channels.config": (
        "ChannelConfig",
        "Delivery",
        "MessageTooLarge",
        "QueueFull",
    ),
    "path.congestion.bbr": ("Bbr",),
    "path.congestion.cubic": ("Cubic",),
    "path.congestion.good_bad": ("GoodBad",),
    "path.congestion.new_reno": ("NewReno",),
    "connections.connection": ("Connection",),
    "connections.connection_config": ("ConnectionConfig",),
    "connections.connection_errors": (
        "ChannelMismatch",
        "ClosedByPeer",
        "ClosedLocally",
        "ConnectionClosed",
        "PeerProtocolError",
        "TimedOut",
        "WentAway",
    ),
    "connections.connection_statistics": ("ChannelStatistics", "ConnectionStatistics"),
    "security.identity": (
        "Identity",
        "parse_key",
        "print_key",
    ),
    "delivery.incoming_blocks": ("IncomingBlock",),
    "nodes.node": ("Node",),
    "nodes.peer": ("Peer",),
    "nodes.peer_blocks": ("BlockGivenUp", "BlockReader"),
    "nodes.plain_node": ("open_plain_node",),
    "nat.reachable_node": ("ReachableNode", "open_reachable_node"),
    "nat.relay": ("Relay",),
    "nodes.secure_node": ("open_node",),
    "security.session": (
        "HandshakeError",
        "HandshakeTimeout",
        "Refused",
        "VersionMismatch",
        "WrongKey",
        "WrongPreSharedKey",
    ),
    "nat.traversal_config": ("PeerAbsent", "PeerRefused", "TraversalError", "TraversalTimeout"),
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
