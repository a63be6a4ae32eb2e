"""Bodies that come and go piece by piece, through `HostClient`; and the limits on sending and reading."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from sleepy.tcp import (
    BodyTooLarge,
    ConnectionClosed,
    HostClient,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    RequestTimeout,
)
from sleepy.tcp.dialing.address import Address
from sleepy.tcp.streams import DRAIN, HIGH_WATER
from tests.sleepy.tcp.helpers import Clock, Peer, soon, turns, turns_until

pytestmark = pytest.mark.usefixtures("tidy")
GET = Request("GET", "/")


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


async def say(peer: Peer, data: bytes, *, close: bool = False) -> None:
    """What the peer sends to its first request, whatever that is."""
    wire = await peer.accept()
    await wire.read_head()
    wire.send(data)
    if close:
        wire.close()


class Tap:
    """A body whose pieces the test gives when it likes."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while (piece := await self.queue.get()) is not None:
                yield piece
        finally:
            self.ended = True


# Answers


async def test_a_streamed_answer_is_there_with_its_head_and_comes_in_pieces() -> None:
    async with Peer() as peer, HostClient(peer.addr) as client:
        playing = asyncio.create_task(say(peer, b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n"))
        async with client.stream(GET) as response:
            await playing
            assert (response.status, response.body, client.pending_requests) == (200, b"", 1)
            assert client.idle_conns_count == 0
            assert response.stream is not None
            body = aiter(response.stream)
            for piece in (b"abc", b"def"):
                peer.wires[0].send(piece)
                assert await soon(anext(body)) == piece
            assert [piece async for piece in body] == []
        assert (client.pending_requests, client.idle_conns_count) == (0, 1)


async def test_a_chunked_answer_streams_and_has_trailers() -> None:
    async with Peer() as peer, HostClient(peer.addr) as client:

        async def play() -> None:
            wire = await peer.accept()
            await wire.read_head()
            wire.send(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nsum: 5\r\n\r\n"
            )
            await wire.read_head()
            wire.answer(b"next")

        playing = asyncio.create_task(play())
        async with client.stream(GET) as response:
            assert response.stream is not None
            assert b"".join([piece async for piece in response.stream]) == b"abcde"
            assert response.trailers["sum"] == "5"
        assert (await soon(client.get("/"))).body == b"next"
        await playing
        assert len(peer.wires) == 1


async def test_an_answer_until_the_end_of_the_connection_streams_too() -> None:
    async with Peer() as peer, HostClient(peer.addr) as client:
        playing = asyncio.create_task(say(peer, b"HTTP/1.1 200 OK\r\n\r\nabc", close=True))
        async with client.stream(GET) as response:
            assert response.stream is not None
            assert b"".join([piece async for piece in response.stream]) == b"abc"
        await playing
        await turns_until(lambda: client.conns_count == 0)


async def test_a_cut_stream_fails_in_the_middle_and_is_not_asked_again() -> None:
    async with Peer() as peer, HostClient(peer.addr) as client:
        playing = asyncio.create_task(say(peer, b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc", close=True))
        async with client.stream(GET) as response:
            assert response.stream is not None
            body = aiter(response.stream)
            assert await soon(anext(body)) == b"abc"
            with pytest.raises(ConnectionClosed):
                await soon(anext(body))
        await playing
        assert len(peer.wires) == 1
        assert (client.pending_requests, client.conns_count) == (0, 0)


async def test_before_its_head_a_streamed_answer_is_asked_for_again() -> None:
    async with Peer() as peer, HostClient(peer.addr) as client:

        async def play() -> None:
            wire = await peer.accept()
            await wire.read_head()
            wire.close()
            wire = await peer.accept()
            await wire.read_head()
            wire.answer(b"again")

        playing = asyncio.create_task(play())
        async with client.stream(GET) as response:
            assert response.stream is not None
            assert b"".join([piece async for piece in response.stream]) == b"again"
        await playing


@pytest.mark.parametrize("rest", [0, DRAIN // 2])
async def test_an_unread_stream_is_drained_if_it_is_short(rest: int) -> None:
    """fasthttp's users got the old body as their next answer (1743, 1603, 2211, 2353)."""
    async with Peer() as peer, HostClient(peer.addr, max_conns=1) as client:

        async def play() -> None:
            wire = await peer.accept()
            await wire.read_head()
            wire.answer(bytes(rest))
            await wire.read_head()
            wire.answer(b"next")

        playing = asyncio.create_task(play())
        async with client.stream(GET):
            pass
        assert (await soon(client.get("/"))).body == b"next"
        await playing
        assert len(peer.wires) == 1


async def test_an_unread_stream_costs_the_connection_if_it_is_long() -> None:
    async with Peer() as peer, HostClient(peer.addr, max_conns=1) as client:

        async def play() -> None:
            wire = await peer.accept()
            await wire.read_head()
            wire.answer(bytes(100 * DRAIN))
            wire = await peer.accept()
            await wire.read_head()
            wire.answer(b"next")

        playing = asyncio.create_task(play())
        async with client.stream(GET):
            pass
        assert (await soon(client.get("/"))).body == b"next"
        await playing


async def test_a_reader_who_does_not_read_holds_the_peer_back() -> None:
    size = 64 * HIGH_WATER
    async with Peer() as peer, HostClient(peer.addr) as client:

        async def play() -> None:
            wire = await peer.accept()
            await wire.read_head()
            wire.answer(bytes(size))

        playing = asyncio.create_task(play())
        async with client.stream(GET) as response:
            await playing
            assert response.stream is not None
            await turns(200)
            held = peer.wires[0].transport.get_write_buffer_size()
            assert held > 0
            await turns(200)
            assert peer.wires[0].transport.get_write_buffer_size() == held  # it does not move
            assert len(b"".join([piece async for piece in response.stream])) == size


async def test_the_deadline_holds_until_the_last_byte() -> None:
    async with Peer() as peer, HostClient(peer.addr) as client:
        clock = Clock()
        playing = asyncio.create_task(say(peer, b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc"))
        async with client.stream(GET, timeout=5.0) as response:
            await playing
            assert response.stream is not None
            body = aiter(response.stream)
            assert await soon(anext(body)) == b"abc"
            late = asyncio.ensure_future(anext(body))
            await clock.advance(5.1)
            with pytest.raises(RequestTimeout, match="read"):
                await soon(late)
        await peer.wires[0].gone()
        assert client.pending_requests == 0


async def test_a_stream_too_large_fails_where_it_passes_the_limit() -> None:
    async with Peer() as peer, HostClient(peer.addr, max_response_body_size=5) as client:
        playing = asyncio.create_task(
            say(peer, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\n")
        )
        async with client.stream(GET) as response:
            assert response.stream is not None
            with pytest.raises(BodyTooLarge):
                async for _ in response.stream:
                    pass
        await playing


# Requests


async def test_a_streamed_request_goes_out_in_chunks_as_they_come() -> None:
    tap = Tap()
    async with Peer() as peer, HostClient(peer.addr) as client:
        asking = asyncio.create_task(client.do(Request("POST", "/", stream=tap)))
        wire = await peer.accept()
        assert b"transfer-encoding: chunked\r\n" in await wire.read_head()
        tap.queue.put_nowait(b"abc")
        assert await wire.read(b"abc\r\n") == b"3\r\nabc\r\n"
        tap.queue.put_nowait(b"")  # which must not look like the end
        tap.queue.put_nowait(b"de")
        assert await wire.read(b"de\r\n") == b"2\r\nde\r\n"
        tap.queue.put_nowait(None)
        assert await wire.read(b"\r\n\r\n") == b"0\r\n\r\n"
        wire.answer(b"thanks")
        assert (await soon(asking)).body == b"thanks"
        assert client.idle_conns_count == 1


async def test_a_stream_of_known_length_is_held_to_it() -> None:
    async with Peer() as peer, HostClient(peer.addr) as client:
        right = Request("PUT", "/", {"content-length": "5"}, stream=pieces(b"ab", b"cde"))
        asking = asyncio.create_task(client.do(right))
        wire = await peer.accept()
        assert b"transfer-encoding" not in await wire.read_head()
        assert await wire.read(b"abcde") == b"abcde"
        wire.answer()
        await soon(asking)
        for body in ((b"abcdef",), (b"abc", b"def"), (b"abcd",)):
            with pytest.raises(LocalProtocolError, match="Content-Length says 5"):
                await soon(client.do(Request("PUT", "/", {"content-length": "5"}, stream=pieces(*body))))
        assert (client.conns_count, client.pending_requests) == (0, 0)


async def test_fasthttp_27_a_streamed_request_is_never_repeated() -> None:
    """fasthttp 27: nobody can read the caller's stream twice."""
    async with Peer() as peer, HostClient(peer.addr) as client:
        request = Request("PUT", "/", stream=pieces(b"abc"), idempotent=True)
        asking = asyncio.create_task(client.do(request))
        wire = await peer.accept()
        await wire.read(b"0\r\n\r\n")
        wire.close()
        with pytest.raises(ConnectionClosed):
            await soon(asking)
        assert len(peer.wires) == 1


async def test_a_stream_that_fails_fails_its_request_with_its_own_error() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"abc"
        raise OSError("disk on fire")

    async with Peer() as peer, HostClient(peer.addr) as client:
        asking = asyncio.create_task(client.do(Request("POST", "/", stream=broken())))
        wire = await peer.accept()
        with pytest.raises(OSError, match="disk on fire"):
            await soon(asking)
        await wire.gone()  # half a request was sent: nothing else can follow
        assert (client.conns_count, client.pending_requests) == (0, 0)


async def test_fasthttp_30_an_early_answer_ends_the_sending() -> None:
    """fasthttp 30: the peer answers and closes while the body is being sent; the answer is seen."""
    tap = Tap()
    async with Peer() as peer, HostClient(peer.addr) as client:
        asking = asyncio.create_task(client.do(Request("POST", "/", stream=tap)))
        wire = await peer.accept()
        await wire.read_head()
        tap.queue.put_nowait(b"abc")
        await wire.read(b"abc\r\n")
        wire.answer(b"too much", "connection: close", status="413 Content Too Large")
        wire.close()
        response = await soon(asking)
        assert (response.status, response.body) == (413, b"too much")
        await turns_until(lambda: tap.ended)
        await turns_until(lambda: client.conns_count == 0)


async def test_an_early_answer_is_seen_though_64_mib_are_on_their_way() -> None:
    """fasthttp: a 413 during a large POST surfaced as "connection reset"."""
    async with Peer() as peer, HostClient(peer.addr) as client:
        asking = asyncio.create_task(client.post("/", bytes(64 << 20)))
        wire = await peer.accept()
        await wire.read_head()
        wire.transport.pause_reading()
        wire.answer(b"too much", "connection: close", status="413 Content Too Large")
        assert (await soon(asking)).status == 413
        await turns_until(lambda: client.conns_count == 0)


async def test_cancelling_stops_the_sending() -> None:
    tap = Tap()
    async with Peer() as peer, HostClient(peer.addr) as client:
        asking = asyncio.create_task(client.do(Request("POST", "/", stream=tap)))
        wire = await peer.accept()
        await wire.read_head()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soon(asking)
        await turns_until(lambda: tap.ended)
        await wire.gone()


# Expect: 100-continue


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_body_waits_until_the_peer_wants_it(streamed: bool) -> None:
    """RFC 9110, section 10.1.1."""
    async with Peer() as peer, HostClient(peer.addr) as client:
        fields = {"expect": "100-continue", "content-length": "4"}
        body = (
            Request("POST", "/", fields, stream=pieces(b"body")) if streamed else Request("POST", "/", fields, b"body")
        )
        asking = asyncio.create_task(client.do(body))
        wire = await peer.accept()
        await wire.read_head()
        await turns(20)
        assert wire.received == b""
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await wire.read(b"body") == b"body"
        wire.answer(b"thanks")
        assert (await soon(asking)).body == b"thanks"
        assert client.idle_conns_count == 1


async def test_a_body_waits_a_second_and_no_longer() -> None:
    """A peer that knows no 100 must not be waited for."""
    async with Peer() as peer, HostClient(peer.addr) as client:
        clock = Clock()
        asking = asyncio.create_task(client.do(Request("POST", "/", {"expect": "100-continue"}, b"body")))
        wire = await peer.accept()
        await wire.read_head()
        await turns(20)
        assert wire.received == b""
        await clock.advance(1.1)
        assert await wire.read(b"body") == b"body"
        wire.answer()
        await soon(asking)


async def test_a_refusal_saves_the_body() -> None:
    async with Peer() as peer, HostClient(peer.addr) as client:
        asking = asyncio.create_task(client.do(Request("POST", "/", {"expect": "100-continue"}, b"body")))
        wire = await peer.accept()
        await wire.read_head()
        wire.answer(b"no", status="417 Expectation Failed")
        assert (await soon(asking)).status == 417
        assert await wire.read_all() == b""  # and where the next request would begin is not clear any more
        assert client.conns_count == 0


# Limits on the phases


async def test_fasthttp_15_the_reading_may_take_its_time_and_no_more() -> None:
    """fasthttp 15: a read timeout is no retry: the request was executed once."""
    async with Peer() as peer, HostClient(peer.addr, read_timeout=2.0) as client:
        clock = Clock()
        asking = asyncio.create_task(client.get("/", timeout=100.0))
        wire = await peer.accept()
        await wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc")
        await clock.advance(1.9)
        assert not asking.done()
        await clock.advance(0.2)
        with pytest.raises(RequestTimeout, match=r"within 2 s.*'read'"):
            await soon(asking)
        await wire.gone()
        assert len(peer.wires) == 1


async def test_the_sending_may_take_its_time_and_no_more() -> None:
    async with Peer() as peer, HostClient(peer.addr, write_timeout=2.0) as client:
        clock = Clock()
        asking = asyncio.create_task(client.do(Request("POST", "/", stream=Tap()), timeout=100.0))
        wire = await peer.accept()
        await wire.read_head()
        await clock.advance(2.1)
        with pytest.raises(RequestTimeout, match=r"within 2 s.*'write'"):
            await soon(asking)
        await wire.gone()


async def test_each_phase_has_its_own_limit() -> None:
    async with Peer() as peer, HostClient(peer.addr, write_timeout=2.0, read_timeout=5.0) as client:
        clock = Clock()
        asking = asyncio.create_task(client.get("/"))
        wire = await peer.accept()
        await wire.read_head()
        await clock.advance(4.0)
        assert not asking.done()
        await clock.advance(1.5)
        with pytest.raises(RequestTimeout, match=r"within 5 s.*'read'"):
            await soon(asking)


async def test_the_wait_in_line_is_no_reading() -> None:
    """The limit counts from the sending."""
    async with Peer() as peer, HostClient(peer.addr, max_conns=1, read_timeout=2.0) as client:
        clock = Clock()
        first = asyncio.create_task(client.get("/1"))
        wire = await peer.accept()
        await wire.read_head()
        second = asyncio.create_task(client.get("/2"))
        await clock.advance(1.5)
        wire.answer()
        await soon(first)
        await wire.read_head()
        await clock.advance(1.5)
        wire.answer()
        await soon(second)


async def test_a_retry_begins_its_phases_anew() -> None:
    """The read limit of the first attempt must not go off while the second is being dialed, or read."""
    may_dial = asyncio.Semaphore(1)

    async def dial(factory: Callable[[], Any], address: Address) -> Any:
        await may_dial.acquire()
        _, protocol = await asyncio.get_running_loop().create_connection(factory, address.host, address.port)
        return protocol

    async with Peer() as peer, HostClient(peer.addr, read_timeout=2.0, dial=dial, dial_timeout=60.0) as client:
        clock = Clock()
        asking = asyncio.create_task(client.get("/"))
        wire = await peer.accept()
        await wire.read_head()
        await clock.advance(1.5)
        wire.close()
        await turns_until(lambda: client.metrics.retries == 1)
        await clock.advance(1.0)
        may_dial.release()
        wire = await peer.accept()
        await wire.read_head()
        await clock.advance(1.5)
        wire.answer(b"again")
        assert (await soon(asking)).body == b"again"


@pytest.mark.parametrize("option", ["read_timeout", "write_timeout"])
def test_limits_that_would_let_nothing_through_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=option):
        HostClient("127.0.0.1:1", **{option: 0.0})


async def test_streams_that_break_the_protocol_fail_with_its_error() -> None:
    async with Peer() as peer, HostClient(peer.addr) as client:
        playing = asyncio.create_task(say(peer, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"))
        async with client.stream(GET) as response:
            assert response.stream is not None
            body = aiter(response.stream)
            assert await soon(anext(body)) == b"abc"
            peer.wires[0].send(b"nonsense\r\n")
            with pytest.raises(RemoteProtocolError, match="not a chunk's size"):
                await soon(anext(body))
        await playing
