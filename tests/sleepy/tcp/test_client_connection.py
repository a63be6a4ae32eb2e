"""`sleepy.tcp.client_connection`: a connection that knows whom it serves."""

import asyncio

import pytest

from sleepy.tcp import ConnectionClosed, HostClient, RemoteProtocolError
from tests.sleepy.tcp.helpers import Peer, soon

pytestmark = pytest.mark.usefixtures("tidy")


async def test_it_knows_its_exchange_from_the_request_to_the_answer() -> None:
    async with Peer() as peer, HostClient(peer.addr, max_conns=1) as client:
        wire = None
        for target in ("/one", "/two"):
            asking = asyncio.ensure_future(client.get(target))
            wire = wire or await peer.accept()
            await wire.read_head()
            (connection,) = client._connections
            assert connection.exchange is not None
            assert connection.exchange.request.target == target
            assert connection.exchange.connection is connection
            wire.answer()
            await soon(asking)
            assert connection.exchange is None


async def test_whoever_gives_up_leaves_it_at_once() -> None:
    async with Peer() as peer, HostClient(peer.addr, max_conns=1) as client:
        asking = asyncio.ensure_future(client.get("/"))
        await (await peer.accept()).read_head()
        (connection,) = client._connections
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert connection.exchange is None
        assert connection.closing  # its answer may still come


@pytest.mark.parametrize(
    ("before", "part", "when", "stale"),
    [
        (False, b"", "before it answered", False),
        (True, b"", "before it answered", True),
        (True, b"HTTP/1.1 2", "in the middle of its answer", False),
        (False, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na", "in the middle of its answer", False),
        (False, b"HTTP/1.1 100 Continue\r\n\r\n", "in the middle of its answer", False),
    ],
)
async def test_its_end_tells_who_waits_how_far_the_answer_had_come(
    before: bool, part: bytes, when: str, stale: bool
) -> None:
    async with Peer() as peer, HostClient(peer.addr, max_attempts=1) as client:
        wire = None
        if before:
            asking = asyncio.ensure_future(client.get("/"))
            wire = await peer.accept()
            await wire.read_head()
            wire.answer()
            await soon(asking)
        asking = asyncio.ensure_future(client.post("/"))
        wire = wire or await peer.accept()
        await wire.read_head()
        wire.send(part)
        wire.close()
        with pytest.raises(ConnectionClosed, match=f"^{peer.addr} closed the connection {when}") as closed:
            await soon(asking)
        assert closed.value.stale == stale


async def test_what_is_no_answer_says_whose_it_was() -> None:
    async with Peer() as peer, HostClient(peer.addr) as client:
        asking = asyncio.ensure_future(client.post("/"))
        wire = await peer.accept()
        wire.send(b"garbage\r\n\r\n")
        with pytest.raises(RemoteProtocolError) as wrong:
            await soon(asking)
        assert wrong.value.__notes__ == [f"it came from {peer.addr}"]
