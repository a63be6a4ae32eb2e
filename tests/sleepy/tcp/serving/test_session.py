"""`sleepy.tcp.serving.session`: answers in order, pushes back, survives handlers and peers, waits for nobody for ever."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from sleepy.tcp import ConnectionClosed, HostClient, RemoteProtocolError, Request, Response, Server
from sleepy.tcp.frames import Frames
from sleepy.tcp.streams import HIGH_WATER
from tests.sleepy.tcp.handlers import GET, Stage, answer, echo, get
from tests.sleepy.tcp.helpers import Clock, connected, soon, turns, turns_until

pytestmark = pytest.mark.usefixtures("tidy")


# Answering


async def test_a_request_and_its_answer() -> None:
    async with Server(echo, clock=None) as server, connected(server.address) as wire:
        wire.send(b"POST /a?b HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody")
        assert await answer(wire, b"POST /a?b body") == b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n"
        wire.send(b"PUT / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")
        await answer(wire, b"PUT / body")


async def test_pipelined_requests_are_answered_in_order_and_one_at_a_time() -> None:
    stage = Stage()
    async with Server(stage) as server, connected(server.address) as wire:
        wire.send(get("/a") + get("/b") + get("/c"))
        await stage.see("/a")
        stage.answer("/a")
        await answer(wire, b"/a")
        await stage.see("/a", "/b")
        stage.answer("/b")
        await stage.see("/a", "/b", "/c")
        stage.answer("/c")
        await answer(wire, b"/b")
        await answer(wire, b"/c")


async def test_connections_do_not_wait_for_each_other() -> None:
    stage = Stage()
    async with Server(stage) as server, connected(server.address) as one, connected(server.address) as two:
        one.send(get("/slow"))
        await stage.see("/slow")
        two.send(get("/quick"))
        await stage.see("/slow", "/quick")
        stage.answer("/quick")
        await answer(two, b"/quick")
        stage.answer("/slow")
        await answer(one, b"/slow")


async def test_a_last_answer_says_so_and_what_is_behind_it_is_not_handled() -> None:
    """By the wish of the peer, of the handler, or of the handler's own field; and then the connection ends."""
    for request, response in (
        (get("/a", "connection: close"), Response()),
        (get("/a"), Response(keep_alive=False)),
        (get("/a"), Response(headers={"Connection": "close"})),
        (b"GET /a HTTP/1.0\r\n\r\n", Response()),
    ):
        stage = Stage()
        async with Server(stage) as server, connected(server.address) as wire:
            wire.send(request + get("/b"))
            await stage.see("/a")
            stage.answer("/a", response)
            head = await answer(wire)
            assert head.lower().count(b"connection: close\r\n") == 1
            assert await wire.read_all() == b""
            assert stage.asked == ["/a"]


async def test_a_peer_that_has_ended_still_gets_its_answers() -> None:
    stage = Stage()
    async with Server(stage) as server, connected(server.address) as wire:
        wire.send(get("/a") + get("/b"))
        wire.end()
        await stage.see("/a")
        stage.answer("/a")
        await stage.see("/a", "/b")
        stage.answer("/b")
        await answer(wire, b"/a")
        assert b"connection: close" in await answer(wire, b"/b")
        assert await wire.read_all() == b""


async def test_a_peer_that_ends_between_requests_is_let_go() -> None:
    async with Server(echo) as server, connected(server.address) as wire:
        wire.send(GET)
        await answer(wire, b"GET / ")
        wire.send(b"GET / HT")
        wire.end()
        assert await wire.read_all() == b""


async def test_a_peer_that_is_gone_cancels_its_handler() -> None:
    stage = Stage()
    async with Server(stage) as server:
        async with connected(server.address) as wire:
            wire.send(get("/a") + get("/b"))
            await stage.see("/a")
            wire.reset()
        await stage.until(lambda: stage.cancelled == ["/a"])
        assert stage.asked == ["/a"]


# Handlers


@pytest.mark.parametrize("wrong", ["raises", "none", "lies", "answers 100"])
async def test_a_handler_that_fails_is_answered_for(wrong: str, caplog: pytest.LogCaptureFixture) -> None:
    """With 500 and a line in the log; the connection, which is in step, goes on."""

    async def handler(request: Request) -> Response:
        if request.url == "/good":
            return Response(200, b"good")
        if wrong == "raises":
            raise ZeroDivisionError
        if wrong == "none":
            return None  # type: ignore[return-value]
        return Response(200, b"x", {"Content-Length": "2"}) if wrong == "lies" else Response(100)

    async with Server(handler) as server, connected(server.address) as wire:
        with caplog.at_level(logging.ERROR, "sleepy.tcp"):
            wire.send(get("/bad") + get("/good"))
            head = await answer(wire)
            assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
            assert b"connection" not in head
            await answer(wire, b"good")
        assert [record.getMessage() for record in caplog.records] == ["the handler failed on <Request GET /bad>"]
        assert caplog.records[0].exc_info


async def test_a_handler_that_is_cancelled_ends_the_connection() -> None:
    """Its request stays without answer: to go on would give it the answer of the one behind it."""

    async def handler(request: Request) -> Response:
        if request.url == "/cancelled":
            raise asyncio.CancelledError
        return Response(200, b"not yours")

    async with Server(handler) as server, connected(server.address) as wire:
        wire.send(get("/cancelled") + get("/next"))
        assert await wire.read_all() == b""


# What is no request


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET http://u@x/ HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nb\r\n", 413),
        (b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"b" * 70_000, 431),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n", 501),
        (b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n", 501),
    ],
)
async def test_what_is_no_request_is_answered_with_its_fault_and_is_the_last(data: bytes, status: int) -> None:
    """Behind the answers to those before it, and even if the peer goes on talking: it must hear why."""
    async with Server(echo, max_request_body_size=10) as server, connected(server.address) as wire:
        wire.send(GET + GET + data + GET)
        await answer(wire, b"GET / ")
        await answer(wire, b"GET / ")
        head = await wire.read_head()
        assert head.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"connection: close\r\n" in head
        assert b"content-type: text/plain\r\n" in head
        wire.send(b"x" * 100_000)
        assert (await wire.read_all()).count(b"\n") == 1  # a line of explanation
        (session,) = server._sessions
        assert not session.connection.closing
        wire.end()
        await soon(session.connection.wait_closed())


async def test_the_last_word_reaches_a_peer_that_is_still_sending() -> None:
    """A 413 to somebody with 64 MiB to say: closing over unread bytes would reset the connection, and take it away."""
    async with Server(echo) as server, connected(server.address) as wire:
        wire.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 67108864\r\n\r\n")
        wire.send(b"x" * (64 << 20))
        head = await wire.read_head()
        assert head.startswith(b"HTTP/1.1 413 ")
        (session,) = server._sessions
        wire.end()  # once all is sent
        await soon(session.connection.wait_closed())
        assert not wire.lost  # by a reset
        assert wire.transport.get_write_buffer_size() == 0


# Pushing back


async def test_a_full_queue_is_not_read_into() -> None:
    """What more the peer sends stays with the peer, until there is room."""
    stage = Stage()
    async with Server(stage, max_queued_requests=2) as server, connected(server.address) as wire:
        wire.send(get("/0"))
        await stage.see("/0")
        (session,) = server._sessions
        wire.send(get("/1") + get("/2"))
        await turns()
        assert not session.connection.transport.is_reading()
        wire.send(get("/3"))
        await turns()
        assert len(session._queue) == 2
        for number in range(4):
            await stage.see(*(f"/{n}" for n in range(number + 1)))
            stage.answer(f"/{number}")
            await answer(wire, f"/{number}".encode())
        assert session.connection.transport.is_reading()


async def test_a_peer_that_does_not_read_is_not_written_to() -> None:
    """Its requests wait: memory holds a few answers, not all of them."""
    body = b"x" * (1 << 20)
    handled = 0

    async def large(_: Request) -> Response:
        nonlocal handled
        handled += 1
        return Response(200, body)

    async with Server(large) as server, connected(server.address) as wire:
        wire.transport.pause_reading()
        wire.send(GET * 50)
        (session,) = server._sessions
        await turns_until(lambda: not session.connection._writable.is_set())
        await turns(50)
        assert handled < 20
        assert session.connection.unsent < 2 * len(body)
        wire.transport.resume_reading()
        for _ in range(50):
            await wire.read_head()
            await wire.until(lambda: len(wire.received) >= len(body))
            del wire.received[: len(body)]
        assert handled == 50


# Patience


async def test_an_idle_connection_is_closed_after_a_while() -> None:
    clock = Clock()
    async with Server(echo, idle_timeout=10.0) as server, connected(server.address) as wire:
        wire.send(GET)
        await answer(wire, b"GET / ")
        await clock.advance(9.0)
        wire.send(GET)
        await answer(wire, b"GET / ")
        await clock.advance(9.0)
        assert not wire.ended
        await clock.advance(1.1)
        assert await wire.read_all() == b""
        assert not server._sessions


async def test_a_connection_that_is_gone_is_not_watched() -> None:
    async with Server(echo) as server:
        async with connected(server.address) as wire:
            wire.send(GET)
            await answer(wire, b"GET / ")
            (session,) = server._sessions
        await soon(session.wait_closed())
        assert session._watch._timer is not None
        assert session._watch._timer.cancelled()


async def test_half_a_request_now_and_then_is_no_life() -> None:
    """A peer that drips bytes holds no connection."""
    clock = Clock()
    async with Server(echo, read_header_timeout=10.0) as server, connected(server.address) as wire:
        for byte in GET[:9]:
            wire.send(bytes([byte]))
            await turns()
            await clock.advance(1.1)
        assert not wire.ended
        await clock.advance(1.1)
        assert (await wire.read_head()).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        await wire.read_all()


async def test_a_peer_that_has_said_nothing_is_idle_too() -> None:
    clock = Clock()
    async with Server(echo, idle_timeout=10.0) as server, connected(server.address) as wire:
        await turns()
        await clock.advance(10.1)
        await wire.gone()


async def test_a_handler_may_take_its_time() -> None:
    clock, stage = Clock(), Stage()
    async with Server(stage, idle_timeout=10.0) as server, connected(server.address) as wire:
        wire.send(get("/a"))
        await stage.see("/a")
        for _ in range(5):
            await clock.advance(9.0)
        stage.answer("/a")
        await answer(wire, b"/a")
        await clock.advance(9.0)  # and idleness is counted from the answer
        assert not wire.ended


async def test_a_peer_that_takes_nothing_is_idle_and_one_that_takes_little_is_not() -> None:
    clock = Clock()

    async def large(_: Request) -> Response:
        return Response(200, b"x" * (32 << 20))

    async with Server(large, write_timeout=10.0) as server, connected(server.address) as wire:
        wire.transport.pause_reading()
        wire.send(GET)
        await turns_until(lambda: bool(server._sessions))
        (session,) = server._sessions
        await turns_until(lambda: session.connection.unsent > 0)
        for _ in range(3):
            unsent = session.connection.unsent
            assert unsent > 0
            wire.transport.resume_reading()
            await turns_until(lambda unsent=unsent: session.connection.unsent != unsent)  # type: ignore[misc]
            wire.transport.pause_reading()
            await clock.advance(10.1)
            assert not session.connection.closing
        for _ in range(3):
            await clock.advance(10.0)
        assert not server._sessions


async def test_a_finished_connection_is_not_kept_for_ever() -> None:
    """The peer has got its last answer, and does not close."""
    clock = Clock()
    async with Server(echo, idle_timeout=10.0) as server, connected(server.address) as wire:
        wire.send(get("/", "connection: close"))
        await answer(wire, b"GET / ")
        assert await wire.read_all() == b""
        assert len(server._sessions) == 1
        await clock.advance(10.1)
        assert not server._sessions


async def test_patience_without_end_can_be_had() -> None:
    clock = Clock()
    async with Server(echo, idle_timeout=None) as server, connected(server.address) as wire:
        await clock.advance(1e6)
        wire.send(GET)
        await answer(wire, b"GET / ")


def post(url: str, *fields: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"POST {url} HTTP/1.1", "host: x", *fields, "", ""]).encode() + body


# How long a peer may keep us waiting: the attacks, and why they fail


async def test_slow_heads_are_cut_off_and_told_why() -> None:
    """Slowloris: a byte now and then. Also behind a request, whose answer comes first."""
    clock = Clock()
    for before in (b"", GET):
        async with Server(echo, read_header_timeout=10.0) as server, connected(server.address) as wire:
            wire.send(before + b"GET / HT")
            await turns_until(lambda server=server: any(session._in_head for session in server._sessions))  # type: ignore[misc]
            if before:
                await answer(wire, b"GET / ")
            for _ in range(9):
                await clock.advance(1.1)
                wire.send(b"T")
            assert not wire.ended
            await clock.advance(1.1)
            assert [session._no_more for session in server._sessions] == [True]
            assert (await wire.read_head()).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            await wire.read_all()


async def test_slow_bodies_are_cut_off_and_those_that_move_are_not() -> None:
    """R.U.D.Y.: the same with a body."""
    clock = Clock()
    async with Server(echo, read_timeout=10.0, min_rate=100.0) as server, connected(server.address) as wire:
        wire.send(post("/", "content-length: 100000"))
        await turns_until(lambda: any(session._in_body for session in server._sessions))
        (session,) = server._sessions
        for _ in range(5):
            wire.send(b"x" * 1100)
            await turns_until(lambda seen=session._received: session._received > seen)  # type: ignore[misc]
            await clock.advance(10.1)
        assert not wire.ended
        wire.send(b"x" * 900)
        await turns_until(lambda seen=session._received: session._received > seen)  # type: ignore[misc]
        await clock.advance(10.1)
        assert (await wire.read_head()).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


async def test_a_long_frame_may_take_its_time_but_not_stand_still() -> None:
    """Frames have no heads: what has begun is judged as a body is."""
    clock = Clock()

    async def handler(request: bytes) -> bytes:
        return request

    server = Server(handler, codec=Frames(), read_header_timeout=5.0, read_timeout=10.0, min_rate=100.0)
    async with server, connected(server.address) as wire:
        wire.send((100_000).to_bytes(4, "big"))
        await turns_until(lambda: any(session._received for session in server._sessions))
        (session,) = server._sessions
        for _ in range(3):
            wire.send(bytes(2000))
            await turns_until(lambda seen=session._received: session._received > seen)  # type: ignore[misc]
            await clock.advance(10.1)
        assert not wire.ended
        await clock.advance(10.1)
        assert session._no_more
        assert await wire.read_all() == b""


async def test_slow_readers_are_cut_off() -> None:
    """They take a little each time, but less than they must."""
    clock = Clock()

    async def large(_: Request) -> Response:
        return Response(200, b"x" * (64 << 20))

    async with Server(large, write_timeout=10.0, min_rate=1e9) as server, connected(server.address) as wire:
        wire.transport.pause_reading()
        wire.send(GET)
        await turns_until(lambda: any(session.connection.held_up for session in server._sessions))
        (session,) = server._sessions
        for _ in range(2):
            unsent = session.connection.unsent
            wire.transport.resume_reading()
            await turns_until(lambda unsent=unsent: session.connection.unsent != unsent)  # type: ignore[misc]
            wire.transport.pause_reading()
            assert session.connection.unsent > 0
            await clock.advance(5.1)
        await soon(session.wait_closed())


async def test_a_peer_that_sends_on_after_the_last_word_is_left() -> None:
    clock = Clock()
    async with Server(echo, max_request_body_size=10) as server, connected(server.address) as wire:
        wire.send(post("/", "content-length: 11"))
        await wire.read_head()
        (session,) = server._sessions
        for _ in range(9):
            wire.send(b"x" * 10_000)
            await clock.advance(1.1)
        assert not session.connection.closing
        await clock.advance(1.1)
        await soon(session.wait_closed())


async def test_a_body_too_large_is_refused_before_it_comes() -> None:
    async with Server(echo, max_request_body_size=10) as server, connected(server.address) as wire:
        wire.send(post("/", "content-length: 11"))
        assert (await wire.read_head()).startswith(b"HTTP/1.1 413 ")


async def test_a_connection_has_so_many_requests_and_no_more() -> None:
    async with Server(echo, max_requests_per_connection=3) as server, connected(server.address) as wire:
        wire.send(GET * 5)
        assert b"connection" not in await answer(wire, b"GET / ")
        assert b"connection" not in await answer(wire, b"GET / ")
        assert b"connection: close\r\n" in await answer(wire, b"GET / ")
        assert await wire.read_all() == b""


# Expect: 100-continue

EXPECTS = "expect: 100-continue"
GO_AHEAD = b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_the_go_ahead_comes_with_the_head_and_the_answer_with_the_body() -> None:
    async with Server(echo) as server, connected(server.address) as wire:
        for _ in range(2):
            wire.send(post("/", "content-length: 4", EXPECTS))
            assert await wire.read_head() == GO_AHEAD
            wire.send(b"body")
            await answer(wire, b"POST / body")


async def test_who_does_not_wait_for_the_go_ahead_is_served_without() -> None:
    async with Server(echo) as server, connected(server.address) as wire:
        wire.send(post("/", "content-length: 4", EXPECTS, body=b"body") * 2)
        await answer(wire, b"POST / body")
        await answer(wire, b"POST / body")


async def test_the_go_ahead_waits_for_its_turn() -> None:
    """Before the answer to the one before it would be taken for that one's."""
    stage = Stage()
    async with Server(stage) as server, connected(server.address) as wire:
        wire.send(get("/a") + post("/b", "content-length: 4", EXPECTS))
        await stage.see("/a")
        await turns()
        assert wire.received == b""
        stage.answer("/a")
        await answer(wire, b"/a")
        assert await wire.read_head() == GO_AHEAD
        wire.send(b"body")
        await stage.see("/a", "/b")
        stage.answer("/b")
        await answer(wire, b"/b")


async def test_waiting_for_our_go_ahead_is_not_held_against_the_peer() -> None:
    clock, stage = Clock(), Stage()
    async with Server(stage, read_timeout=10.0) as server, connected(server.address) as wire:
        wire.send(get("/a") + post("/b", "content-length: 4", EXPECTS))
        await stage.see("/a")
        for _ in range(3):
            await clock.advance(9.0)
        stage.answer("/a")
        await answer(wire, b"/a")
        assert await wire.read_head() == GO_AHEAD


@pytest.mark.parametrize(
    ("fields", "status"), [(("content-length: 11", EXPECTS), 413), (("content-length: 1", "expect: miracles"), 417)]
)
async def test_a_head_that_is_refused_gets_no_go_ahead(fields: tuple[str, ...], status: int) -> None:
    async with Server(echo, max_request_body_size=10) as server, connected(server.address) as wire:
        wire.send(post("/", *fields))
        assert (await wire.read_head()).startswith(f"HTTP/1.1 {status} ".encode())


async def test_http_1_0_knows_no_go_ahead() -> None:
    async with Server(echo) as server, connected(server.address) as wire:
        wire.send(b"POST / HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        await turns_until(lambda: any(session._in_body for session in server._sessions))
        wire.send(b"body")
        assert (await wire.read_head()).startswith(b"HTTP/1.1 200 ")


# Bodies that come piece by piece


class Tap:
    """A handler that gives the pieces of a body to the test."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.request: Request

    async def __call__(self, request: Request) -> Response:
        self.request = request
        if request.stream is None:
            return Response(200, b"no body")
        try:
            async for piece in request.stream:
                self.pieces.put_nowait(piece)
        except Exception as error:
            self.pieces.put_nowait(error)
            raise
        self.pieces.put_nowait(None)
        return Response(200, request.trailers.get("sum").encode())


async def test_a_streamed_body_comes_as_it_comes_with_its_trailers() -> None:
    tap = Tap()
    async with Server(tap, stream_request_body=True) as server, connected(server.address) as wire:
        for _ in range(2):
            wire.send(post("/", "transfer-encoding: chunked"))
            for piece in (b"abc", b"d"):
                wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                assert await soon(tap.pieces.get()) == piece
            wire.send(b"0\r\nsum: 4\r\n\r\n" + GET)
            assert await soon(tap.pieces.get()) is None
            await answer(wire, b"4")
            await answer(wire, b"no body")


async def test_a_streamed_body_that_nobody_takes_is_held_back() -> None:
    """Rule 1: and taken on when somebody does."""
    size, go, came = 64 << 20, asyncio.Event(), 0

    async def slow(request: Request) -> Response:
        nonlocal came
        await go.wait()
        assert request.stream is not None
        async for piece in request.stream:
            came += len(piece)
        return Response(200, str(came).encode())

    server = Server(slow, stream_request_body=True, max_request_body_size=None)
    async with server, connected(server.address) as wire:
        wire.send(post("/", f"content-length: {size}"))
        wire.send(bytes(size))
        await turns_until(lambda: any(session._stream_full for session in server._sessions))
        (session,) = server._sessions
        await turns(50)
        assert session._received < HIGH_WATER * 2
        assert wire.transport.get_write_buffer_size() > 0
        go.set()
        await answer(wire, str(size).encode())


async def test_a_streamed_body_gets_its_go_ahead_when_somebody_reads() -> None:
    """Rule 2: so a handler that answers without reading never asks for it, and that answer is the last (rule 3)."""

    async def handler(request: Request) -> Response:
        if request.url == "/unread":
            return Response(403)
        assert request.stream is not None
        return Response(200, b"".join([piece async for piece in request.stream]))

    async with Server(handler, stream_request_body=True) as server, connected(server.address) as wire:
        wire.send(post("/read", "content-length: 4", EXPECTS))
        assert await wire.read_head() == GO_AHEAD
        wire.send(b"body")
        await answer(wire, b"body")
        wire.send(post("/unread", "content-length: 4", EXPECTS))
        head = await answer(wire)
        assert head.startswith(b"HTTP/1.1 403 ")
        assert b"connection: close\r\n" in head
        assert await wire.read_all() == b""


async def test_an_answer_before_the_end_of_the_body_is_the_last() -> None:
    """Rule 3: it reaches a peer that still sends; if all of the body is there, read or not, the connection goes on."""

    async def never_reads(request: Request) -> Response:
        await turns(30)
        return Response(403)

    options = {"stream_request_body": True, "max_request_body_size": None}
    async with Server(never_reads, **options) as server, connected(server.address) as wire:  # type: ignore[arg-type]
        wire.send(post("/", "content-length: 10000", body=bytes(10000)) * 2)
        assert b"connection" not in await answer(wire)
        assert b"connection" not in await answer(wire)
        wire.send(post("/", f"content-length: {64 << 20}"))
        wire.send(bytes(64 << 20))
        assert b"connection: close\r\n" in await answer(wire)
        (session,) = server._sessions
        wire.end()
        await soon(session.connection.wait_closed())
        assert not wire.lost  # by a reset


async def test_a_handler_that_closes_the_body_has_the_last_word_too() -> None:
    async def closes(request: Request) -> Response:
        async with request.stream as body:  # type: ignore[attr-defined]
            await anext(body)
        await turns(50)
        return Response(200, b"enough")

    options = {"stream_request_body": True, "max_request_body_size": None}
    async with Server(closes, **options) as server, connected(server.address) as wire:  # type: ignore[arg-type]
        wire.send(post("/", f"content-length: {64 << 20}"))
        wire.send(bytes(64 << 20))
        assert b"connection: close\r\n" in await answer(wire, b"enough")


@pytest.mark.parametrize(
    ("rest", "status"), [(b"5\r\nabcdeX", 400), (b"b\r\n", 413), (b"0\r\ncontent-length: 3\r\n\r\n", 400)]
)
async def test_a_streamed_body_that_breaks_is_the_peers_fault(
    rest: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    tap = Tap()
    server = Server(tap, stream_request_body=True, max_request_body_size=10)
    async with server, connected(server.address) as wire:
        wire.send(post("/", "transfer-encoding: chunked"))
        wire.send(rest + GET)
        head = await wire.read_head()
        assert head.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"connection: close\r\n" in head
        assert b"HTTP/1.1" not in await wire.read_all()
    assert caplog.records == []


async def test_a_peer_that_ends_in_the_middle_of_a_streamed_body_is_heard_of() -> None:
    tap = Tap()
    async with Server(tap, stream_request_body=True) as server, connected(server.address) as wire:
        wire.send(post("/", "content-length: 4", body=b"a"))
        assert await soon(tap.pieces.get()) == b"a"
        wire.end()
        assert isinstance(await soon(tap.pieces.get()), RemoteProtocolError)
        assert (await wire.read_head()).startswith(b"HTTP/1.1 400 ")


async def test_a_peer_that_goes_in_the_middle_of_a_streamed_body_cancels_its_handler() -> None:
    """And whoever else reads the body hears of it."""
    tap = Tap()
    async with Server(tap, stream_request_body=True) as server, connected(server.address) as wire:
        wire.send(post("/", "content-length: 4", body=b"a"))
        assert await soon(tap.pieces.get()) == b"a"
        (session,) = server._sessions
        wire.reset()
        await soon(session.wait_closed())
        assert tap.pieces.empty()
        assert tap.request.stream is not None
        with pytest.raises(ConnectionClosed):
            await soon(anext(aiter(tap.request.stream)))


async def test_a_slow_streamed_body_is_cut_off_and_a_slow_handler_is_not() -> None:
    clock, tap, go = Clock(), Tap(), asyncio.Event()

    async def handler(request: Request) -> Response:
        await go.wait()
        return await tap(request)

    options = {"stream_request_body": True, "max_request_body_size": None, "read_timeout": 10.0}
    async with Server(handler, **options) as server, connected(server.address) as wire:  # type: ignore[arg-type]
        wire.send(post("/", "content-length: 1000000", body=bytes(HIGH_WATER + 100_000)))
        await turns_until(lambda: any(session._stream_full for session in server._sessions))
        for _ in range(3):
            await clock.advance(9.0)
        go.set()
        while not isinstance(await soon(tap.pieces.get()), Exception):
            await clock.advance(4.0)
        assert (await wire.read_head()).startswith(b"HTTP/1.1 408 ")


# Answers that go piece by piece


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


@pytest.mark.parametrize(
    ("request_", "fields", "body"),
    [
        (GET, (b"transfer-encoding: chunked",), b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        (b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", (b"connection: close",), b"abcde"),
        (b"HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", (b"transfer-encoding: chunked",), b""),
    ],
)
async def test_a_streamed_answer(request_: bytes, fields: tuple[bytes, ...], body: bytes) -> None:
    async def handler(_: Request) -> Response:
        return Response(200, stream=pieces(b"abc", b"", b"de"))

    async with Server(handler) as server, connected(server.address) as wire:
        wire.send(request_)
        head = await wire.read_head()
        assert all(field + b"\r\n" in head for field in fields)
        assert (b"transfer-encoding" in head) is (b"HTTP/1.1" in request_)  # HTTP/1.0 knows no chunks
        wire.end()
        assert await wire.read_all() == body


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_an_answer_that_breaks_in_the_middle_cannot_be_taken_for_whole(
    version: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Rule 5: with HTTP/1.0 the end of the connection is the end of the body, so it must not end in order."""

    async def breaks() -> AsyncIterator[bytes]:
        yield b"abc"
        await turns()
        raise ZeroDivisionError

    async def handler(_: Request) -> Response:
        return Response(200, stream=breaks())

    async with Server(handler) as server, connected(server.address) as wire:
        wire.send(f"GET / HTTP/{version}\r\nhost: x\r\n\r\n".encode() + GET)
        with caplog.at_level(logging.ERROR, "sleepy.tcp"):
            await wire.until(lambda: wire.lost)
        assert isinstance(wire.error, ConnectionResetError)
        assert b"abc" in wire.received
        assert not wire.received.endswith(b"0\r\n\r\n")
        assert [record.getMessage() for record in caplog.records] == ["an answer broke in its middle"]
    async with Server(handler) as server, HostClient("{}:{}".format(*server.address), max_attempts=1) as client:
        with pytest.raises(ConnectionClosed):
            await soon(client.get("/"))


# HTTP's little things


@pytest.mark.parametrize(
    ("line", "fields", "status", "kept"),
    [
        ("GET http://example.org/a?b HTTP/1.1", ("host: y",), 200, True),
        ("OPTIONS * HTTP/1.1", ("host: x",), 200, True),
        ("HEAD / HTTP/1.1", ("host: x",), 200, True),
        ("GET / HTTP/1.0", ("connection: keep-alive",), 200, True),
        ("GET / HTTP/1.0", (), 200, False),
        ("GET /204 HTTP/1.1", ("host: x",), 204, True),
        ("GET /304 HTTP/1.1", ("host: x",), 304, True),
        ("GET / HTTP/2.0", ("host: x",), 505, False),
    ],
)
async def test_the_forms_of_a_request(line: str, fields: tuple[str, ...], status: int, kept: bool) -> None:
    """And behind each a second request is answered, or the connection ends."""

    async def handler(request: Request) -> Response:
        if request.target in {"/204", "/304"}:
            return Response(int(request.target[1:]))
        return Response(200, f"{request.target} {request.authority}".encode())

    async with Server(handler, clock=lambda: 784111777) as server, connected(server.address) as wire:
        wire.send("\r\n".join([line, *fields, "", ""]).encode())
        head = await wire.read_head()
        assert head.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" in head
        assert (b"content-length" in head) is (status not in {204, 304})
        assert (b"connection: close" in head) is not kept
        if "http:" in line:
            await wire.read(b"/a?b example.org")
        elif status == 200 and not line.startswith("HEAD"):
            await wire.read(line.split(" ")[1].encode() + b" ")
        if kept:
            wire.send(get("/2"))
            await answer(wire, b"/2 ")
        else:
            wire.end()
            assert b"HTTP/1.1 " not in await wire.read_all()


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(
    "attack",
    [
        post("/", "content-length: 4", "transfer-encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED),  # CL.TE
        post("/", "transfer-encoding: chunked", "content-length: 4", body=b"5c\r\n" + SMUGGLED + b"0\r\n\r\n"),  # TE.CL
        post("/", "transfer-encoding: chunked", "transfer-encoding: x", body=b"0\r\n\r\n" + SMUGGLED),  # TE.TE
        post("/", "transfer-encoding: xchunked", body=SMUGGLED),
        post("/", "transfer-encoding:\x0bchunked", body=SMUGGLED),
        post("/", "transfer-encoding : chunked", body=b"0\r\n\r\n" + SMUGGLED),
        post("/", "content-length: 0", "content-length: 40", body=SMUGGLED),
        post("/", "content-length: 0, 40", body=SMUGGLED),
        post("/", "content-length: +5", body=SMUGGLED),
        post("/", "content-length: 0x10", body=SMUGGLED),
        post("/", "content-length: -1", body=SMUGGLED),
        post("/", "a: b", " content-length: 40", body=SMUGGLED),  # obs-fold
        post("/", "a: b\ncontent-length: 40", body=SMUGGLED),  # bare LF
        post("/", "a: b\rcontent-length: 40", body=SMUGGLED),  # bare CR
        post("/", "a: \x00", body=SMUGGLED),
        b"GET / HTTP/1.1\nhost: x\n\n" + SMUGGLED,
        b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n" + SMUGGLED,
        b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n" + SMUGGLED,
        b"GET  / HTTP/1.1\r\nhost: x\r\n\r\n" + SMUGGLED,
        b"POST / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        post("/", "transfer-encoding: chunked", body=b"0;\n\r\n\r\n" + SMUGGLED),
        post("/", "transfer-encoding: chunked", body=b"1\nx\r\n0\r\n\r\n" + SMUGGLED),
        post("/", "transfer-encoding: chunked", body=b"1\r\nxx0\r\n\r\n" + SMUGGLED),
        post("/", "transfer-encoding: chunked", body=b"ffffffffffffffff0\r\n" + SMUGGLED),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_is_smuggled(attack: bytes, stream: bool) -> None:
    """What can be read in two ways is refused, with all that is behind it."""
    asked: list[str] = []

    async def handler(request: Request) -> Response:
        asked.append(request.url)
        if request.stream is not None:
            async for _ in request.stream:
                pass
        return Response(200)

    async with Server(handler, stream_request_body=stream) as server, connected(server.address) as wire:
        wire.send(attack + SMUGGLED)
        head = await wire.read_head()
        assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 ", b"HTTP/1.1 501 "))
        assert b"connection: close\r\n" in head
        assert b"HTTP/1.1 " not in await wire.read_all()
        assert "/smuggled" not in asked
