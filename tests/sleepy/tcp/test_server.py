"""`sleepy.tcp.server`: answers in order, pushes back, survives handlers and peers, and closes well."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import Mock

import pytest

from sleepy.tcp import HostClient, PipelineClient, Request, Response, Server
from tests.sleepy.tcp.helpers import Clock, Wire, connected, soon, turns, turns_until

pytestmark = pytest.mark.usefixtures("tidy")
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def echo(request: Request) -> Response:
    """What was asked comes back."""
    return Response(200, f"{request.method} {request.url} ".encode() + request.body)


class Stage:
    """A handler whose answers wait for the test's cue."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cues: dict[str, asyncio.Future[Response]] = {}
        self.cancelled: list[str] = []
        self._changed = asyncio.Event()

    async def __call__(self, request: Request) -> Response:
        cue = self.cues[request.url] = asyncio.get_running_loop().create_future()
        self.asked.append(request.url)
        self._changed.set()
        try:
            return await cue
        except asyncio.CancelledError:
            self.cancelled.append(request.url)
            self._changed.set()
            raise

    async def until(self, ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not ready():
                self._changed.clear()
                await self._changed.wait()

    async def see(self, *asked: str) -> None:
        """Wait until these and only these have been asked."""
        await self.until(lambda: len(self.asked) >= len(asked))
        assert self.asked == list(asked)

    def answer(self, url: str, response: Response | None = None) -> None:
        self.cues[url].set_result(Response(200, url.encode()) if response is None else response)


def get(url: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {url} HTTP/1.1", "host: x", *fields, "", ""]).encode()


async def answer(wire: Wire, body: bytes = b"") -> bytes:
    """Read one answer with that body; give its head."""
    head = await wire.read_head()
    assert f"content-length: {len(body)}\r\n".encode() in head
    if body:
        assert await wire.read(body) == body
    return head


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
        assert server._sessions == set()


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
            await clock.advance(9.0)
            assert not session.connection.closing
        for _ in range(3):
            await clock.advance(10.0)
        assert server._sessions == set()


async def test_a_finished_connection_is_not_kept_for_ever() -> None:
    """The peer has got its last answer, and does not close."""
    clock = Clock()
    async with Server(echo, idle_timeout=10.0) as server, connected(server.address) as wire:
        wire.send(get("/", "connection: close"))
        await answer(wire, b"GET / ")
        assert await wire.read_all() == b""
        assert len(server._sessions) == 1
        await clock.advance(10.1)
        assert server._sessions == set()


async def test_patience_without_end_can_be_had() -> None:
    clock = Clock()
    async with Server(echo, idle_timeout=None) as server, connected(server.address) as wire:
        await clock.advance(1e6)
        wire.send(GET)
        await answer(wire, b"GET / ")


# Closing


async def test_close_answers_what_was_asked_and_then_says_close() -> None:
    stage = Stage()
    server = Server(stage)
    async with server:
        address = server.address
        async with connected(address) as busy, connected(address) as idle:
            busy.send(get("/a") + get("/b"))
            await stage.see("/a")
            closing = asyncio.create_task(server.close())
            await idle.gone()
            busy.send(get("/c"))  # too late
            with pytest.raises(OSError, match=r"refused|Connect call failed"):
                await asyncio.get_running_loop().create_connection(Wire, *address)
            stage.answer("/a")
            await stage.see("/a", "/b")
            stage.answer("/b")
            assert b"connection: close" not in await answer(busy, b"/a")
            assert b"connection: close" in await answer(busy, b"/b")
            assert await busy.read_all() == b""
            assert not closing.done()  # it waits for the peer to have read
            busy.end()
            await soon(closing)
            assert stage.asked == ["/a", "/b"]


async def test_close_cancels_what_does_not_end() -> None:
    clock, stage = Clock(), Stage()
    server = Server(stage, drain_timeout=5.0)
    async with server, connected(server.address) as wire:
        wire.send(get("/a"))
        await stage.see("/a")
        closing = asyncio.create_task(server.close())
        await clock.advance(4.9)
        assert not closing.done()
        await clock.advance(0.2)
        await soon(closing)
        assert stage.cancelled == ["/a"]
        assert await wire.read_all() == b""


async def test_close_does_not_wait_for_a_peer_that_does_not_read() -> None:
    clock = Clock()

    async def large(_: Request) -> Response:
        return Response(200, b"x" * (32 << 20))

    server = Server(large, drain_timeout=5.0)
    async with server, connected(server.address) as wire:
        wire.transport.pause_reading()
        wire.send(get("/", "connection: close"))
        await turns(50)
        closing = asyncio.create_task(server.close())
        await clock.advance(5.1)
        await soon(closing)


async def test_close_reaches_a_connection_that_is_just_being_made() -> None:
    """Its protocol is there and its transport is not: it is ended as soon as it is made."""
    server = Server(echo)
    async with server:
        connection = server._accept()  # as asyncio does
    transport = Mock(asyncio.Transport)
    transport.get_write_buffer_size.return_value = 0
    connection.connection_made(transport)
    transport.abort.assert_called_once_with()
    connection.connection_lost(None)
    assert server._sessions == set()


async def test_a_closed_server_can_be_entered_again() -> None:
    server = Server(echo)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="not listening"):
            _ = server.address
        async with server, connected(server.address) as wire:
            wire.send(GET)
            await answer(wire, b"GET / ")
    await server.close()


async def test_a_port_that_is_taken_is_an_error_that_says_so() -> None:
    async with Server(echo) as server:
        with pytest.raises(OSError, match="address already in use"):
            await Server(echo, port=server.address[1]).__aenter__()


async def test_options_that_make_no_sense_are_refused() -> None:
    for options in ({"max_queued_requests": 0}, {"idle_timeout": 0.0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            Server(echo, **options)  # type: ignore[arg-type]


# Real peers


@pytest.mark.parametrize("kind", [HostClient, PipelineClient])
async def test_our_own_clients(kind: Any) -> None:
    async with Server(echo) as server, kind("{}:{}".format(*server.address), max_conns=4) as client:
        ask: Callable[[int], Awaitable[Response]] = lambda number: client.post(f"/{number}", b"x" * number)  # noqa: E731
        answers = await soon(asyncio.gather(*(ask(number) for number in range(100))))
        assert [answer.body for answer in answers] == [f"POST /{n} ".encode() + b"x" * n for n in range(100)]
        assert (await client.do(Request("HEAD", "/"))).headers["content-length"] == "7"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl() -> None:
    """The most used client of all: several requests on one connection, a body, chunks, HEAD, HTTP/1.0."""

    async def curl(*arguments: str, body: bytes = b"") -> bytes:
        process = await asyncio.create_subprocess_exec(
            "curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20", *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await soon(process.communicate(body))
        assert process.returncode == 0
        return output

    async with Server(echo) as server:
        url = "http://{}:{}".format(*server.address)
        assert await curl(f"{url}/a", f"{url}/b", "--write-out", "[%{num_connects}]") == b"GET /a [1]GET /b [0]"
        assert await curl(f"{url}/", "--data-binary", "@-", body=b"body") == b"POST / body"
        chunked = ("--header", "Transfer-Encoding: chunked", "--header", "Expect:")
        assert await curl(f"{url}/", "--upload-file", "-", *chunked, body=b"z" * 100_000) == b"PUT / " + b"z" * 100_000
        assert b"content-length: 7\r\n" in await curl("--head", f"{url}/")
        assert await curl("--http1.0", f"{url}/") == b"GET / "
        too_large = await curl(
            f"{url}/",
            "--data-binary",
            "@-",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
            body=b"z" * (5 << 20),
        )
        assert too_large == b"413"
