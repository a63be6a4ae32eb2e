"""`open_plain_node`: a node without keys, for lessons and captures. Anybody can read, forge and end what its peers say."""

from types import NoneType

from sleepy.trace import Trace
from sleepy.udp.address import Address
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.kinds import check_kind
from sleepy.udp.nodes.node import BACKLOG, MAX_PEERS, Accept, Node
from sleepy.udp.nodes.plain_switchboard import PlainSwitchboard

ANYWHERE = ("", 0)


def open_plain_node(
    local: Address = ANYWHERE,
    *,
    accept: Accept | None = None,
    config: ConnectionConfig | None = None,
    max_peers: int = MAX_PEERS,
    backlog: int = BACKLOG,
    trace: Trace | None = None,
) -> Node:
    """A node without encryption and without proof of anything: see `sleepy.udp.connections.plain`. It cannot talk to others.

    Args:
        local: Where to bind, as (host, port); an empty host for all interfaces, port 0 for any.
        accept: Is asked who may enter, with an empty key and an address that may be invented. None: all may.
        config: The options of connections; the channels must be the same on both sides.
        max_peers: How many peers there may be before others are refused; those that we dial are not counted against it.
        backlog: How many of them the program need not have looked at.
        trace: Is told what happens; None for nobody.

    Raises:
        TypeError: An option is of another kind.
    """
    check_kind("config", config, ConnectionConfig, NoneType)
    connections = config or ConnectionConfig()
    return Node(
        local,
        lambda _now, may_enter: PlainSwitchboard(connections, accept=may_enter),
        accept=accept,
        max_peers=max_peers,
        backlog=backlog,
        trace=trace,
    )
