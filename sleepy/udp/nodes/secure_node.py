"""`open_node`: the usual node, whose peers have keys and whose packets nobody else can read or change."""

from types import NoneType

from sleepy.trace import Trace
from sleepy.udp.address import Address
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.kinds import check_kind
from sleepy.udp.nodes.node import BACKLOG, MAX_PEERS, Accept, Node
from sleepy.udp.nodes.secure_switchboard import SecureSwitchboard
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.session import HandshakeConfig

ANYWHERE = ("", 0)


def open_node(
    local: Address = ANYWHERE,
    *,
    identity: Identity | None = None,
    accept: Accept | None = None,
    psk: bytes | None = None,
    config: ConnectionConfig | None = None,
    max_peers: int = MAX_PEERS,
    backlog: int = BACKLOG,
    trace: Trace | None = None,
) -> Node:
    """A node whose peers prove who they are. ``async with`` binds its socket, and closes it.

    Args:
        local: Where to bind, as (host, port); an empty host for all interfaces, port 0 for any.
        identity: Who we are; None for a new identity that lasts as long as the node.
        accept: Is asked who may enter, with the peer's public key and its address, both proved. None: all may,
            also into a node that only dials; ``lambda key, address: False`` keeps them out.
        psk: The key of a closed group, 32 bytes: who does not have it gets nowhere.
        config: The options of connections; the channels must be the same on both sides.
        max_peers: How many peers there may be before others are refused; those that we dial are not counted against it.
        backlog: How many of them the program need not have looked at.
        trace: Is told what happens; None for nobody.

    Raises:
        TypeError: An option is of another kind.
        ValueError: ``psk`` has not 32 bytes.
    """
    check_kind("config", config, ConnectionConfig, NoneType)
    connections = config or ConnectionConfig()
    handshake = HandshakeConfig(identity=identity or Identity.generate(), psk=psk, parameters=connections.parameters())
    return Node(
        local,
        lambda now, may_enter: SecureSwitchboard(handshake, connections, now=now, accept=may_enter),
        accept=accept,
        max_peers=max_peers,
        backlog=backlog,
        trace=trace,
    )
