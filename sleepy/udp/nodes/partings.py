"""Whatever comes from a peer, one by one, until one of the two sides leaves.

To leave is no error for who reads: it is the end of what there is to be read. A connection that breaks is one.

(This is apart from `sleepy.udp.nodes.peer` because mypyc compiles that, and no asynchronous generators.)
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from sleepy.udp.connections.connection_errors import ClosedByPeer, ClosedLocally, WentAway

T = TypeVar("T")


async def until_parted(take: Callable[[], T | None], wait: Callable[[], Awaitable[T]]) -> AsyncIterator[T]:
    """What comes, until one of the two sides leaves.

    Args:
        take: Gives the next at once, or None if it has to be waited for.
        wait: Waits for it.

    Raises:
        ConnectionClosed: Nobody left, but the connection ended.
    """
    while True:
        try:
            item = take()
            if item is None:
                item = await wait()
        except (ClosedByPeer, ClosedLocally, WentAway):
            return
        yield item
