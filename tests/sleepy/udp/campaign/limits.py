"""How large each buffer may be: rule 8 of the ledger, for a connection and for a node.

The limits are those that the modules state themselves: channels their queue and window, blocks their windows, recovery what
the endpoint remembers. What an honest peer can bring about is less than what a hostile one can, so they are never reached
from the outside; a leak exceeds them.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sleepy.udp.connections.packet_exchange import SENT_MEMORY
from sleepy.udp.delivery.block_memory import DEFAULT_MEMORY, MAX_BLOCKS
from sleepy.udp.delivery.channels.config import ChannelConfig
from sleepy.udp.delivery.channels.reliable_receiver import ReliableReceiver
from sleepy.udp.delivery.channels.reliable_sender import ReliableSender
from sleepy.udp.delivery.chunks import LARGEST_WHOLE
from sleepy.udp.delivery.incoming_blocks import MAX_SETTLING
from sleepy.udp.nodes.switchboard import MAX_REPLIES
from sleepy.udp.path.recovery import REMEMBERED

EVENTS: Final = 100  # nobody keeps events: they are taken with every turn


def excesses(connection: Any, channels: Sequence[ChannelConfig]) -> list[str]:
    """What of a connection exceeds its limit."""
    return [
        f"{what} is {value}, and at most {limit} is allowed"
        for what, value, limit in _sizes(connection, channels)
        if not 0 <= value <= limit
    ]


def _sizes(connection: Any, channels: Sequence[ChannelConfig]) -> Iterator[tuple[str, float, float]]:
    messages, recovery = connection._messages, connection._exchange.recovery
    for channel, sender in enumerate(messages.senders):
        if sender is None:
            continue
        config = channels[channel]
        yield f"queued_messages of channel {channel}", sender.queued_messages, config.queue_messages
        yield f"queued_bytes of channel {channel}", sender.queued_bytes, config.queue_bytes
        if isinstance(sender, ReliableSender):
            kept = [message for message in sender._messages.things if message is not None]
            yield f"messages kept by channel {channel}", len(kept), sender.queued_messages
            yield f"bytes kept by channel {channel}", sum(map(_bytes, kept)), sender.queued_bytes
            span = config.queue_messages + config.window_messages
            yield f"messages and gaps of channel {channel}", len(sender._messages.things), 2 * span
            yield f"expiries of channel {channel}", len(sender._expiries), 2 * config.queue_messages + 17
    for channel, receiver in enumerate(messages.receivers):
        if receiver is None:
            continue
        config = channels[channel]
        yield f"unread messages of channel {channel}", receiver.unread_messages, config.window_messages
        yield f"held_bytes of channel {channel}", receiver.held_bytes, config.window_bytes
        yield f"bytes ready on channel {channel}", sum(map(len, _ready(receiver))), receiver.held_bytes
        incomplete = config.window_messages if config.delivery.reliable else config.window_bytes // LARGEST_WHOLE
        yield f"incomplete messages of channel {channel}", len(receiver._assemblies or ()), incomplete
        if isinstance(receiver, ReliableReceiver):
            yield f"ids remembered by channel {channel}", len(receiver._waiting), config.window_messages
    yield "packets under way", len(recovery._outstanding), SENT_MEMORY
    yield "packets under way and gaps", len(recovery._outstanding.things), 2 * SENT_MEMORY
    yield "packets remembered as lost", len(recovery._lost), REMEMBERED
    yield "events", len(connection._news._events), EVENTS
    yield "blocks watched", len(connection._news._blocks), 2 * MAX_BLOCKS + MAX_SETTLING
    if messages._outgoing is not None:
        yield "outgoing blocks", len(messages._outgoing.blocks), MAX_BLOCKS
        kept = sum(len(block._buffer) for block in messages._outgoing.blocks.values())
        yield "bytes of outgoing blocks", kept, DEFAULT_MEMORY
    if messages._incoming is not None:
        yield "incoming blocks", len(messages._incoming.blocks), MAX_BLOCKS
        yield "blocks whose end is not acked", len(messages._incoming._settling), MAX_SETTLING
        yield "blocks announced", len(messages._incoming._announced), MAX_BLOCKS
        kept = sum(len(part) for block in messages._incoming.blocks.values() for part in block._parts.values())
        yield "bytes of incoming blocks", kept, DEFAULT_MEMORY


def _ready(receiver: Any) -> list[bytes]:
    return [*receiver._ready, *(receiver._reading if isinstance(receiver, ReliableReceiver) else ())]


def _bytes(message: Any) -> int:
    if isinstance(message, bytes):
        return len(message)
    return len(message.data) if hasattr(message, "data") else 0


def node_excesses(node: Any, most_peers: int) -> list[str]:
    """What of a node exceeds its limit, its connections left out."""
    board = node._board
    sizes = {
        "peers": (len(node._peers), most_peers),
        "backlog": (len(node._backlog), most_peers),
        "dials": (len(node._dials), most_peers),
        "lines": (len(board), most_peers),
        "addresses": (len(board._by_address), most_peers),
        "wake-ups": (len(board._wakeups), most_peers),
        "replies": (len(board._replies), MAX_REPLIES),
    }
    return [f"{what} of the node: {value}, {most} allowed" for what, (value, most) in sizes.items() if value > most]


def leftovers(node: Any) -> list[str]:
    """What a node that is closed still holds (rule 8)."""
    board = node._board
    names = ("_lines", "_ids", "_by_key", "_dials", "_dials_to", "_dials_for", "_dial_times", "_by_address", "_wakeups")
    held = {name: getattr(board, name) for name in (*names, "_opening", "_deadlines") if hasattr(board, name)}
    held |= {"_peers": node._peers, "_calls": node._calls, "_node_dials": node._dials}
    return [f"{name} of a closed node holds {len(what)}" for name, what in held.items() if len(what)]
