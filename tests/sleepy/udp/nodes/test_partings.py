"""sleepy/udp/nodes/partings.py: leaving is the end of what there is to read, a breach is an error."""

import pytest

from sleepy.udp.connections.connection_errors import ClosedByPeer, ClosedLocally, ConnectionClosed, TimedOut, WentAway
from sleepy.udp.nodes.partings import until_parted


class Source:
    """Has two items at once, a third for who waits, and then an error."""

    def __init__(self, end: ConnectionClosed) -> None:
        self.end = end
        self.ready = [1, 2]
        self.waited = 0

    def take(self) -> int | None:
        return self.ready.pop(0) if self.ready else None

    async def wait(self) -> int:
        self.waited += 1
        if self.waited > 1:
            raise self.end
        return 3


@pytest.mark.parametrize("end", [ClosedByPeer("bye"), ClosedLocally("bye"), WentAway("bye")])
async def test_it_ends_when_a_side_leaves(end: ConnectionClosed) -> None:
    source = Source(end)
    assert [item async for item in until_parted(source.take, source.wait)] == [1, 2, 3]
    assert source.waited == 2


async def test_another_end_is_an_error() -> None:
    """What came before it was given."""
    source = Source(TimedOut("silence"))
    items = until_parted(source.take, source.wait)
    assert [await anext(items) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(TimedOut):
        await anext(items)
