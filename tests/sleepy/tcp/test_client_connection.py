"""`sleepy.tcp.client_connection`: a connection that knows whom it serves."""

import asyncio

import pytest

from sleepy.tcp import HostClient
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
