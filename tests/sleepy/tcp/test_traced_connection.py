"""`sleepy.tcp.traced_connection`, and what traces tell of queues, dials and ejections."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sleepy.tcp import Client, HostClient, LBClient, PipelineClient, Request
from sleepy.tcp.client_connection import ClientConnection
from sleepy.trace import Event
from tests.sleepy.tcp.helpers import Clock, Peer, Watch, Wire, closed_port, soon, turns

pytestmark = pytest.mark.usefixtures("tidy")


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer() as peer:
        yield peer


async def asked(peer: Peer) -> Wire:
    """The next connection, when a request has come by it: an answer before that nobody has asked for."""
    wire = await peer.accept()
    await wire.read_head()
    return wire


def story(events: list[Event], number: int = 0) -> list[str]:
    """What happened to one request."""
    return [event.name for event in events if event.name.startswith("request.") and event.fields["id"] == number]


async def test_the_first_byte_is_told_when_it_comes(peer: Peer) -> None:
    clock, watch = Clock(), Watch()  # the watch goes by the clock
    async with HostClient(peer.addr, trace=watch.trace) as client:
        asking = asyncio.ensure_future(client.get("/"))
        wire = await asked(peer)
        await clock.advance(3.0)
        assert story(watch.events) == ["request.queued", "request.sent"]
        wire.send(b"H")
        (first,) = await watch.see("request.first_byte")
        assert first.fields == {"id": 0, "connection": 0}
        await clock.advance(5.0)
        wire.send(b"TTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh")
        await turns()
        wire.send(b"i")
        await soon(asking)
    assert story(watch.events) == ["request.queued", "request.sent", "request.first_byte", "request.done"]
    sent, done = watch.named("request.sent")[0], watch.named("request.done")[0]
    assert first.time - sent.time >= 3.0
    assert done.time - first.time >= 5.0


async def test_an_interim_answer_is_a_beginning(peer: Peer) -> None:
    watch = Watch()
    async with HostClient(peer.addr, trace=watch.trace) as client:
        asking = asyncio.ensure_future(client.get("/"))
        wire = await asked(peer)
        wire.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await watch.see("request.first_byte")
        wire.answer()
        await soon(asking)
    assert len(watch.named("request.first_byte")) == 1


async def test_each_of_many_requests_on_a_connection_has_one(peer: Peer) -> None:
    """Also if its answer follows another in the same read, and if the next request is sent while that is being read."""
    watch = Watch()
    async with HostClient(peer.addr, max_conns=1, trace=watch.trace) as client:
        asking = [asyncio.ensure_future(client.get(f"/{number}")) for number in range(3)]
        wire = await peer.accept()
        for _ in range(3):
            await wire.read_head()
            wire.answer(b"hello")
        await soon(asyncio.gather(*asking))
    for number in range(3):
        assert story(watch.events, number) == ["request.queued", "request.sent", "request.first_byte", "request.done"]


async def test_a_pipelines_answers_in_one_read_and_a_half(peer: Peer) -> None:
    watch = Watch()
    async with PipelineClient(peer.addr, trace=watch.trace) as client:
        asking = [asyncio.ensure_future(client.get(f"/{number}")) for number in range(3)]
        wire = await peer.accept()
        await wire.read(b"GET /2 HTTP/1.1\r\n")
        one = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"
        wire.send(one + one[:20])
        await watch.see("request.first_byte", 2)
        assert [event.fields["id"] for event in watch.named("request.first_byte")] == [0, 1]
        wire.send(one[20:] + one)
        await soon(asyncio.gather(*asking))
    assert [event.fields["id"] for event in watch.named("request.first_byte")] == [0, 1, 2]
    for number in range(3):
        assert story(watch.events, number) == ["request.queued", "request.sent", "request.first_byte", "request.done"]


async def test_a_streamed_answer_begins_once(peer: Peer) -> None:
    watch = Watch()
    async with HostClient(peer.addr, max_conns=1, trace=watch.trace) as client:
        for _ in range(2):
            entering = client.stream(Request("GET", "/"))
            asking = asyncio.ensure_future(entering.__aenter__())
            wire = peer.wires[0] if peer.wires else await peer.accept()
            await wire.read_head()
            wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh")
            response = await soon(asking)
            assert response.stream is not None
            wire.send(b"i")
            assert b"".join([piece async for piece in response.stream]) == b"hi"
            await entering.__aexit__(None, None, None)
    assert [event.fields["id"] for event in watch.named("request.first_byte")] == [0, 1]


async def test_without_a_trace_connections_are_plain(peer: Peer) -> None:
    """So that nobody pays who does not ask."""
    async with HostClient(peer.addr) as client:
        asking = asyncio.ensure_future(client.get("/"))
        (await asked(peer)).answer()
        await soon(asking)
        assert [type(connection) for connection in client._connections] == [ClientConnection]


async def test_queue_and_dial_are_told_apart(peer: Peer) -> None:
    """A dial waits for a slot behind another, then for a name, then for the peer."""
    watch, slot = Watch(), asyncio.Semaphore(1)
    await slot.acquire()
    addr = peer.addr.replace("127.0.0.1", "localhost")
    async with HostClient(addr, dual_stack=False, max_concurrent_dials=slot, trace=watch.trace) as client:
        asking = asyncio.ensure_future(client.get("/"))
        await watch.see("connection.dialing")
        await turns()
        assert [event.fields["phase"] for event in watch.named("connection.dialing")] == ["dial-queue"]
        slot.release()
        (await asked(peer)).answer()
        await soon(asking)
    assert [event.fields for event in watch.named("connection.dialing")] == [
        {"connection": 0, "phase": phase} for phase in ("dial-queue", "dns", "dial")
    ]
    names = [event.name for event in watch.events if event.name.startswith("connection.")]
    assert names == [*["connection.dialing"] * 3, "connection.dialed", "connection.closed"]


async def test_a_dial_that_fails_is_told_of() -> None:
    watch = Watch()
    async with HostClient(closed_port(), trace=watch.trace) as client:
        with pytest.raises(ConnectionError):
            await soon(client.get("/"))
    (failed,) = watch.named("connection.failed")
    assert "DialFailed" in failed.fields["error"]


async def test_ejection_and_readmission(peer: Peer) -> None:
    clock, watch = Clock(), Watch()  # the watch goes by the clock
    host = HostClient(peer.addr)
    async with LBClient([host], eject_after=2, min_ejection=1.0, max_attempts=1, trace=watch.trace) as client:
        for count in (1, 2):
            asking = asyncio.ensure_future(client.do(Request("POST", "/")))
            wire = await asked(peer)
            wire.close()
            with pytest.raises(ConnectionError):
                await soon(asking)
            assert len(watch.events) == count // 2
        (ejected,) = watch.named("client.ejected")
        assert ejected.fields["client"] == repr(host) == f"<HostClient {peer.addr}>"
        assert 0.75 <= ejected.fields["seconds"] <= 1.0
        await clock.advance(1.0)
        asking = asyncio.ensure_future(client.do(Request("GET", "/")))
        (await asked(peer)).answer()
        await soon(asking)
    assert [event.name for event in watch.events] == ["client.ejected", "client.readmitted"]


async def test_a_clients_peers_are_told_apart(peer: Peer) -> None:
    """Each counts its requests and connections from 0: the place says whose they are."""
    watch = Watch()
    async with Peer() as other, Client(trace=watch.trace) as client:
        for one in (peer, other):
            asking = asyncio.ensure_future(client.get(f"http://{one.addr}/"))
            (await asked(one)).answer()
            await soon(asking)
    assert [event.where for event in watch.named("request.done")] == [
        f"test http://{peer.addr}",
        f"test http://{other.addr}",
    ]
