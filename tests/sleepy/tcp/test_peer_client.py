"""`sleepy.tcp.peer_client`: what both clients promise, proved on each of them."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import Mock

import pytest

from sleepy.errors import SleepyError
from sleepy.tcp import (
    BodyTooLarge,
    ConnectionClosed,
    HostClient,
    Http1,
    LocalProtocolError,
    PipelineClient,
    RemoteProtocolError,
    Request,
    RequestTimeout,
    Response,
)
from sleepy.tcp.peer_client import PeerClient
from tests.sleepy.tcp.helpers import Clock, Peer, Watch, closed_port, soon, speaks_first, turns

pytestmark = pytest.mark.usefixtures("tidy")
Make = Callable[..., PeerClient]


@pytest.fixture(params=[HostClient, PipelineClient], ids=["host", "pipeline"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes clients of one kind or the other."""
    return request.param  # type: ignore[no-any-return]


# Asking and answering


async def test_a_request_and_its_answer(make: Make) -> None:
    async with Peer() as peer, make(peer.addr) as client:
        asking = asyncio.create_task(client.get("/a?b", headers={"x": "y"}))
        wire = await peer.accept()
        head = await wire.read_head()
        assert head == f"GET /a?b HTTP/1.1\r\nhost: {peer.addr}\r\nuser-agent: sleepy\r\nx: y\r\n\r\n".encode()
        assert client.pending_requests == 1
        wire.answer(b"hello", "x-a: b", status="201 Made")
        response = await soon(asking)
        assert (response.status, response.reason, response.body) == (201, "Made", b"hello")
        assert response.headers["X-A"] == "b"
        assert response.keep_alive
        assert client.pending_requests == 0


async def test_the_connection_is_used_again(make: Make) -> None:
    async with Peer() as peer, make(peer.addr) as client:
        for number in range(3):
            asking = asyncio.create_task(client.post("/", b"%d" % number))
            wire = await peer.accept() if number == 0 else peer.wires[0]
            await wire.read(b"\r\n\r\n%d" % number)
            wire.answer(b"%d" % number)
            assert (await soon(asking)).body == b"%d" % number
        assert len(peer.wires) == 1


async def test_a_peer_that_speaks_before_it_is_asked(make: Make) -> None:
    """As SSH and SMTP do: it was not the peer that closed, and its words tell what it is."""
    async with make("127.0.0.1:1") as client:
        client._dials._dialer.dial = speaks_first(b"SSH-2.0-OpenSSH\r\n\r\n")  # type: ignore[method-assign]
        with pytest.raises(RemoteProtocolError, match="nobody asked for"):
            await soon(client.get("/"))
        assert client._connections == {}


async def test_an_answer_to_head_and_interim_answers(make: Make) -> None:
    """Neither puts the connection out of step."""
    async with Peer() as peer, make(peer.addr) as client:
        asking = asyncio.create_task(client.do(Request("HEAD", "/")))
        wire = await peer.accept()
        await wire.read_head()
        wire.send(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
        response = await soon(asking)
        assert (response.body, response.headers["content-length"]) == (b"", "5")
        asking = asyncio.create_task(client.get("/"))
        await wire.read_head()
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.answer(b"x")
        assert (await soon(asking)).body == b"x"


async def test_a_connection_that_ends_as_it_is_made(make: Make) -> None:
    """Before the dial could hand it over: nothing is sent on it, and its caller hears."""
    async with make("127.0.0.1:1") as client:

        async def dial(factory: Callable[[], Any], **_: Any) -> Any:
            connection = factory()
            connection.connection_made(transport := Mock(asyncio.Transport))
            transport.is_closing.return_value = True
            connection.connection_lost(None)
            return connection

        client._dials._dialer.dial = dial  # type: ignore[method-assign]
        with pytest.raises(ConnectionClosed, match="as soon as it was made"):
            await soon(client.get("/"))
        assert client._connections == {}


async def test_an_answer_that_ends_with_the_connection(make: Make) -> None:
    async with Peer() as peer, make(peer.addr) as client:
        asking = asyncio.create_task(client.get("/"))
        wire = await peer.accept()
        await wire.read_head()
        wire.send(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        wire.end()
        assert (await soon(asking)).body == b"all of it"
        await wire.gone()


@pytest.mark.parametrize("status", [204, 301, 404, 500])
async def test_any_status_is_an_answer(make: Make, status: int) -> None:
    async with Peer() as peer, make(peer.addr) as client:
        asking = asyncio.create_task(client.get("/"))
        wire = await peer.accept()
        await wire.read_head()
        wire.send(b"HTTP/1.1 %d x\r\ncontent-length: 0\r\n\r\n" % status)
        assert (await soon(asking)).status == status


async def test_a_client_knows_what_it_has_done(make: Make) -> None:
    clock = Clock()
    async with Peer() as peer, make(peer.addr) as client:
        assert client.last_use_time is None
        asking = asyncio.create_task(client.get("/"))
        wire = await peer.accept()
        began = clock.time()
        await clock.advance(2.0)
        wire.answer()
        await soon(asking)
        assert client.last_use_time is not None
        assert began - 1 < client.last_use_time <= began
        late = asyncio.create_task(client.get("/", timeout=1.0))
        await clock.advance(1.5)
        with pytest.raises(RequestTimeout):
            await soon(late)
        metrics = client.metrics
        assert (metrics.requests, metrics.dials, metrics.failed_dials, metrics.retries) == (2, 1, 0, 0)
        assert (metrics.failures, metrics.timeouts) == ({"RequestTimeout": 1}, {"read": 1})
        assert metrics.latency.count == 1
        assert 2.0 <= metrics.latency.mean < 3.0


# What may not be sent


async def test_what_cannot_be_sent_costs_nothing(make: Make) -> None:
    async with Peer() as peer, make(peer.addr) as client:
        with pytest.raises(LocalProtocolError):
            await client.do(Request("CONNECT", "/"))
        assert client.pending_requests == 0
        assert peer.wires == []


async def test_one_that_cannot_be_sent_does_not_lose_the_others(make: Make) -> None:
    async with Peer() as peer, make(peer.addr) as client:
        asking = asyncio.gather(client.get("/"), client.get("no url"), client.post("/\n"), return_exceptions=True)
        wire = await peer.accept()
        await wire.read_head()
        wire.answer(b"here")
        answer, *errors = await soon(asking)
        assert isinstance(answer, Response)
        assert [type(error) for error in errors] == [LocalProtocolError] * 2


async def test_options_that_make_no_sense_are_refused(make: Make) -> None:
    for options in ({"max_attempts": 0}, {"dial_timeout": 0}, {"max_response_body_size": -1}, {"max_conns": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            make("a:1", **options)
    with pytest.raises(ValueError, match="is not host:port"):
        make("a")


async def test_an_option_that_is_misspelt_is_refused(make: Make) -> None:
    """It would be taken for set, and limit nothing."""
    with pytest.raises(TypeError, match="no option of this client: max_conn;"):
        make("a:1", max_conn=5)


# What the peer can do wrong


async def test_nobody_there(make: Make) -> None:
    async with make(closed_port(), max_attempts=2) as client:
        with pytest.raises(OSError, match="cannot connect"):
            await client.get("/")
        assert client.pending_requests == 0
        with pytest.raises(OSError, match="cannot connect"):  # and again: the client goes on
            await client.get("/")
        assert (client.metrics.dials, client.metrics.failed_dials) == (
            0,
            4 if isinstance(client, PipelineClient) else 2,
        )


@pytest.mark.parametrize("answer", [b"garbage\r\n\r\n", b"SSH-2.0-OpenSSH\r\n" * 4, b"HTTP/1.1 101 Switching\r\n\r\n"])
async def test_an_answer_that_is_none(make: Make, answer: bytes) -> None:
    async with Peer() as peer, make(peer.addr, max_attempts=1) as client:
        asking = asyncio.create_task(client.get("/"))
        wire = await peer.accept()
        await wire.read_head()
        wire.send(answer + b"\r\n\r\n")
        with pytest.raises(RemoteProtocolError):
            await soon(asking)
        await wire.gone()


async def test_an_answer_that_is_too_large_is_not_asked_for_again(make: Make) -> None:
    async with Peer() as peer, make(peer.addr, max_response_body_size=4) as client:
        asking = asyncio.create_task(client.get("/"))
        wire = await peer.accept()
        await wire.read_head()
        wire.answer(b"12345")
        with pytest.raises(BodyTooLarge, match="limit of 4 bytes"):
            await soon(asking)
        await wire.gone()
        await turns()
        assert len(peer.wires) == 1


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n1234"])
async def test_a_connection_that_ends_too_early(make: Make, end: str, part: bytes) -> None:
    async with Peer() as peer, make(peer.addr, max_attempts=1) as client:
        asking = asyncio.create_task(client.get("/"))
        wire = await peer.accept()
        await wire.read_head()
        wire.send(part)
        await turns()
        getattr(wire, end)()
        with pytest.raises(ConnectionClosed, match=peer.addr) as closed:
            await soon(asking)
        assert isinstance(closed.value, ConnectionError)
        assert isinstance(closed.value, SleepyError)
        assert not closed.value.stale


# Retries


async def test_what_is_idempotent_is_tried_again_and_only_so_often(make: Make) -> None:
    async with Peer() as peer, make(peer.addr, max_attempts=3) as client:
        asking = asyncio.create_task(client.get("/"))
        for _ in range(3):
            wire = await peer.accept()
            await wire.read_head()
            wire.close()
        with pytest.raises(ConnectionClosed):
            await soon(asking)
        await turns()
        assert len(peer.wires) == 3


async def test_a_retry_can_succeed(make: Make) -> None:
    """Over garbage, an end, a reset: the fourth answer is one."""
    async with Peer() as peer, make(peer.addr) as client:
        asking = asyncio.create_task(client.get("/"))
        for harm in (lambda wire: wire.send(b"x\r\n\r\n"), lambda wire: wire.close(), lambda wire: wire.reset()):
            wire = await peer.accept()
            await wire.read_head()
            harm(wire)
        wire = await peer.accept()
        await wire.read_head()
        wire.answer(b"at last")
        assert (await soon(asking)).body == b"at last"


@pytest.mark.parametrize(("method", "idempotent", "tries"), [("POST", None, 1), ("GET", False, 1), ("POST", True, 2)])
async def test_what_is_not_idempotent_is_never_sent_twice(
    make: Make, method: str, idempotent: bool | None, tries: int
) -> None:
    async with Peer() as peer, make(peer.addr, max_attempts=2) as client:
        asking = asyncio.create_task(client.do(Request(method, "/", body=b"x", idempotent=idempotent)))
        for _ in range(tries):
            wire = await peer.accept()
            await wire.read(b"\r\n\r\nx")
            wire.close()
        with pytest.raises(ConnectionClosed):
            await soon(asking)
        await turns()
        assert len(peer.wires) == tries


async def served_once(client: PeerClient, peer: Peer) -> Any:
    """A connection that has served a request and is idle."""
    asking = asyncio.create_task(client.get("/"))
    wire = await peer.accept()
    await wire.read_head()
    wire.answer()
    await soon(asking)
    return wire


async def test_a_stale_connection_does_not_count_as_an_attempt(make: Make) -> None:
    """The peer closes it just when a request arrives: that goes to a fresh one, even if one attempt is all there is."""
    async with Peer() as peer, make(peer.addr, max_attempts=1) as client:
        wire = await served_once(client, peer)
        asking = asyncio.create_task(client.get("/again"))
        await wire.read_head()
        wire.close()  # without a byte of answer
        fresh = await peer.accept()
        assert (await fresh.read_head()).startswith(b"GET /again ")
        fresh.answer(b"x")
        assert (await soon(asking)).body == b"x"


async def test_a_stale_connection_loses_a_post_and_says_so(make: Make) -> None:
    """The peer may have executed it: the caller must judge, and is told what there is to know."""
    async with Peer() as peer, make(peer.addr) as client:
        wire = await served_once(client, peer)
        asking = asyncio.create_task(client.post("/"))
        await wire.read_head()
        wire.close()
        with pytest.raises(ConnectionClosed) as closed:
            await soon(asking)
        assert closed.value.stale
        assert len(peer.wires) == 1


@pytest.mark.parametrize("way", ["close", "reset", "talk"])
async def test_a_connection_that_ends_while_idle_never_reaches_a_caller(make: Make, way: str) -> None:
    """Its end is noticed at once; so is a byte that nobody asked for. Even a POST goes to a fresh one, and is sent once."""
    watch = Watch()
    async with Peer() as peer, make(peer.addr, trace=watch.trace) as client:
        wire = await served_once(client, peer)
        if way == "talk":
            wire.answer(b"unasked")
        else:
            getattr(wire, way)()
        await watch.see("connection.closed")
        asking = asyncio.create_task(client.post("/again"))
        fresh = await peer.accept()
        assert (await fresh.read_head()).startswith(b"POST /again ")
        fresh.answer(b"x")
        assert (await soon(asking)).body == b"x"
        assert bytes(wire.received) == b""


@pytest.mark.parametrize("way", ["eof", "data"])
async def test_not_even_in_the_turn_in_which_its_end_is_noticed(make: Make, way: str) -> None:
    """Between the notice and the end lies a turn of the event loop; a request of that turn must not be lost."""
    async with Peer() as peer, make(peer.addr) as client:
        wire = await served_once(client, peer)
        (connection,) = client._connections
        asking = asyncio.create_task(client.post("/again"))  # will run before the transport tells of its end
        if way == "eof":
            assert connection.eof_received() is False
            connection.transport.close()  # what asyncio does then, in the same step
        else:
            connection.data_received(b"unasked")
        fresh = await peer.accept()
        await fresh.read_head()
        fresh.answer(b"x")
        assert (await soon(asking)).body == b"x"
        assert await wire.read_all() == b""


async def test_a_last_answer_is_understood(make: Make) -> None:
    async with Peer() as peer, make(peer.addr) as client:
        for number in range(3):
            asking = asyncio.create_task(client.post("/"))
            wire = await peer.accept()
            await wire.read_head()
            wire.answer(b"%d" % number, "connection: close")
            assert (await soon(asking)).body == b"%d" % number
            await wire.gone()  # the client closes it too


# One deadline


@pytest.mark.parametrize("timeout", [0, 0.0, -1])
async def test_a_deadline_that_has_passed_sends_nothing(make: Make, timeout: float) -> None:
    async with Peer() as peer, make(peer.addr) as client:
        with pytest.raises(RequestTimeout):
            await client.get("/", timeout=timeout)
        await turns()
        assert peer.wires == []
        assert client.pending_requests == 0


@pytest.mark.parametrize(
    "part", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n1234"]
)
async def test_a_timeout_while_the_peer_works(make: Make, part: bytes) -> None:
    """At any point of the answer; never tried again, however idempotent."""
    clock = Clock()
    async with Peer() as peer, make(peer.addr) as client:
        asking = asyncio.create_task(client.get("/", timeout=5.0))
        wire = await peer.accept()
        await wire.read_head()
        wire.send(part)
        await turns()
        assert not asking.done()
        await clock.advance(5.1)
        with pytest.raises(RequestTimeout, match=r"no answer within 5 s; the time ran out in phase 'read'") as late:
            await soon(asking)
        assert late.value.phase == "read"
        assert isinstance(late.value, TimeoutError)
        assert client.pending_requests == 0
        await turns()
        assert len(peer.wires) == 1


async def test_a_timeout_while_dialing(make: Make) -> None:
    clock = Clock()
    async with Peer() as peer, make(peer.addr, tls=ssl.create_default_context(), dial_timeout=60.0) as client:
        asking = asyncio.create_task(client.get("/", timeout=5.0))
        await peer.accept()  # and no handshake
        await clock.advance(5.1)
        with pytest.raises(RequestTimeout) as late:
            await soon(asking)
        assert late.value.phase == "tls"


async def test_a_timeout_of_the_dial_itself(make: Make) -> None:
    clock = Clock()
    async with (
        Peer() as peer,
        make(peer.addr, tls=ssl.create_default_context(), dial_timeout=5.0, max_attempts=1) as client,
    ):
        asking = asyncio.create_task(client.get("/", timeout=60.0))
        wire = await peer.accept()
        await wire.until(lambda: len(wire.received) > 0)
        await clock.advance(5.1)
        with pytest.raises(TimeoutError, match="cannot connect"):
            await soon(asking)


async def test_an_answer_in_time_leaves_no_timer(make: Make) -> None:
    """Nothing of it stays in memory until the deadline it no longer needs."""
    clock = Clock()
    async with Peer() as peer, make(peer.addr) as client:
        fired: list[object] = []
        client._time_out = lambda *exchange: fired.append(exchange)  # type: ignore[method-assign]
        asking = asyncio.create_task(client.get("/", timeout=5.0))
        wire = await peer.accept()
        await wire.read_head()
        wire.answer()
        await soon(asking)
        await clock.advance(5.1)
        assert not fired


# Cancellation and closing


async def test_a_cancelled_request_holds_nothing(make: Make) -> None:
    """Before its connection is there, and while the peer works on it."""
    async with Peer() as peer, make(peer.addr) as client:
        early = asyncio.create_task(client.get("/early"))
        await turns(1)
        early.cancel()
        with pytest.raises(asyncio.CancelledError):
            await early
        assert client.pending_requests == 0
        late = asyncio.create_task(client.get("/late"))
        wire = await peer.accept()
        assert b"/late" in await wire.read_head()
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
        assert client.pending_requests == 0


async def test_a_closed_client_takes_no_requests(make: Make) -> None:
    async with make("127.0.0.1:1") as client:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await client.get("/")
    await client.close()  # twice is once


async def test_close_lets_pending_requests_end(make: Make) -> None:
    async with Peer() as peer:
        client = make(peer.addr)
        asking = asyncio.create_task(client.get("/"))
        wire = await peer.accept()
        await wire.read_head()
        closing = asyncio.create_task(client.close())
        await turns()
        assert not closing.done()
        wire.answer(b"in time")
        assert (await soon(asking)).body == b"in time"
        await soon(closing)
        await wire.gone()


async def test_close_ends_what_does_not_end(make: Make) -> None:
    clock = Clock()
    async with Peer() as peer:
        client = make(peer.addr)
        asking = [asyncio.create_task(client.get(f"/{number}")) for number in range(3)]
        wire = await peer.accept()
        await wire.read_head()
        closing = asyncio.create_task(client.close(timeout=5.0))
        await clock.advance(5.1)
        await soon(closing)
        for task in asking:
            with pytest.raises(ConnectionClosed, match="this client was closed"):
                await soon(task)
        await wire.gone()


async def test_close_that_is_cancelled_ends_what_is_pending(make: Make) -> None:
    async with Peer() as peer:
        client = make(peer.addr)
        asking = asyncio.create_task(client.get("/"))
        wire = await peer.accept()
        await wire.read_head()
        closing = asyncio.create_task(client.close(timeout=600.0))
        await turns()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soon(closing)
        await turns()
        assert client._connections == {}
        with pytest.raises(ConnectionClosed, match="this client was closed"):
            await soon(asking)
        await wire.gone()


async def test_close_ends_dials(make: Make) -> None:
    async with Peer() as peer:
        client = make(peer.addr, tls=ssl.create_default_context(), dial_timeout=600.0)
        asking = asyncio.create_task(client.get("/"))
        wire = await peer.accept()
        await soon(client.close(timeout=0))
        with pytest.raises(ConnectionClosed):
            await soon(asking)
        await wire.gone()
        assert len(client._dials) == 0
        if isinstance(client, HostClient):
            assert client.conns_count == 0


async def test_close_starts_nothing_new(make: Make) -> None:
    """With one busy connection and others in line: ending the first must not open a connection for the second."""
    async with Peer() as peer:
        client = make(peer.addr, max_conns=1)
        asking = [asyncio.create_task(client.get(f"/{number}")) for number in range(5)]
        wire = await peer.accept()
        await wire.read_head()
        await client.close(timeout=0)
        assert len(client._dials) == 0
        assert client._connections == {}
        results = await soon(asyncio.gather(*asking, return_exceptions=True))
        assert [type(result) for result in results] == [ConnectionClosed] * 5
        await turns()
        assert len(client._dials) == 0
        assert len(peer.wires) == 1


async def test_an_error_in_the_block_is_not_held_up(make: Make) -> None:
    """``async with`` lets requests end when all is well, and does not when it is not."""
    async with Peer() as peer:
        client = make(peer.addr)
        await client.__aenter__()
        asking = asyncio.create_task(client.get("/"))
        await (await peer.accept()).read_head()
        await soon(client.__aexit__(ZeroDivisionError, ZeroDivisionError(), None))
        with pytest.raises(ConnectionClosed):
            await soon(asking)


# Tracing


async def test_what_happens_is_traced(make: Make) -> None:
    watch = Watch()
    async with Peer() as peer, make(peer.addr, trace=watch.trace) as client:
        asking = asyncio.create_task(client.get("/a?b"))
        wire = await peer.accept()
        await wire.read_head()
        wire.close()  # once more, on another connection
        wire = await peer.accept()
        await wire.read_head()
        wire.answer()
        await soon(asking)
        with pytest.raises(RequestTimeout):
            await client.get("/", timeout=0)  # nothing was begun
        asking = asyncio.create_task(client.post("/c"))
        await wire.read_head()
        wire.close()
        with pytest.raises(ConnectionClosed):
            await soon(asking)
    elsewhere = {"connection.dialing", "request.first_byte"}  # test_traced_connection
    told = [(event.name, dict(event.fields)) for event in watch.events if event.name not in elsewhere]
    names = [name for name, _ in told]
    assert names == [
        "request.queued",
        "connection.dialed",
        "request.sent",
        "connection.closed",
        "request.retried",
        "connection.dialed",
        "request.sent",
        "request.done",
        "request.queued",
        "request.sent",
        "connection.closed",
        "request.failed",
    ]
    fields = [fields for _, fields in told]
    assert fields[0] == {"id": 0, "target": "/a?b"}
    assert fields[1] == {"connection": 0, "address": peer.addr}
    assert fields[2] == {"id": 0, "connection": 0}
    assert fields[3]["connection"] == 0
    assert "ConnectionClosed" in fields[4]["error"]
    assert fields[6] == {"id": 0, "connection": 1}
    assert fields[7] == {"id": 0, "status": 200}
    assert (fields[8]["id"], fields[11]["id"]) == (1, 1)


# A real peer


class Echo(BaseHTTPRequestHandler):
    """CPython's own server: what was asked comes back."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        text = f"{self.command} {self.path} ".encode() + body
        self.send_response(200)
        if self.path.startswith("/chunked"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for byte in text:
                self.wfile.write(b"1\r\n%c\r\n" % byte)
            self.wfile.write(b"0\r\n\r\n")
            return
        if self.path.startswith("/last"):
            self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_HEAD = do_POST = do_GET  # noqa: N815 -- http.server's names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def http_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_against_http_server(make: Make, http_server: str) -> None:
    """CPython's ``http.server``: lengths, chunks, HEAD, last answers; one after another and many at once."""
    async with make(http_server, max_conns=3, codec=Http1(user_agent="test")) as client:
        assert (await client.get("/a")).body == b"GET /a "
        assert (await client.post("/b", b"body")).body == b"POST /b body"
        assert (await client.get("/chunked")).body == b"GET /chunked "
        assert (await client.do(Request("HEAD", "/c"))).headers["content-length"] == "8"
        assert (await client.get("/last")).body == b"GET /last "
        assert (await client.get("/after")).body == b"GET /after "
        answers = await soon(
            asyncio.gather(*(client.get(f"/{['x', 'chunked', 'last'][n % 3]}/{n}", timeout=15.0) for n in range(60)))
        )
        assert [answer.body for answer in answers] == [
            f"GET /{['x', 'chunked', 'last'][n % 3]}/{n} ".encode() for n in range(60)
        ]
