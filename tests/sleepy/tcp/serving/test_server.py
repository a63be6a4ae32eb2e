"""`sleepy.tcp.serving.server`: listens in several ways, limits what all connections do together, and closes well."""

import asyncio
import shutil
import socket
import ssl
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import trustme

from sleepy.tcp import HostClient, PipelineClient, Request, Response, Server
from tests.sleepy.tcp.handlers import GET, Stage, answer, echo, get
from tests.sleepy.tcp.helpers import Clock, Wire, connected, soon, turns, turns_until
from tests.sleepy.tcp.virtual import World, on_network

pytestmark = pytest.mark.usefixtures("tidy")


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
    assert not server._sessions


@on_network("peer")
async def test_connections_are_closed_in_the_order_they_came(world: World) -> None:
    """Else a simulated run would not repeat itself."""
    await world.serve("peer", echo)
    ended: list[int] = []

    async def hear(number: int, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionResetError):
            await reader.read()
        ended.append(number)

    async with AsyncExitStack() as stack:
        hearing: list[asyncio.Task[None]] = []
        for number in range(40):
            reader, writer = await asyncio.open_connection("peer", 80)
            stack.callback(writer.close)
            hearing.append(asyncio.create_task(hear(number, reader)))
        await world.stop("peer")
        await asyncio.gather(*hearing)
    assert ended == list(range(40))


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
    for options in (
        {"max_queued_requests": 0},
        {"max_connections": 0},
        {"max_requests_in_flight": 0},
        {"max_requests_per_connection": 0},
        {"idle_timeout": 0.0},
        {"read_header_timeout": 0.0},
        {"read_timeout": -1.0},
        {"write_timeout": 0.0},
        {"path": "/x", "sock": Mock(socket.socket)},
    ):
        with pytest.raises(ValueError, match=next(iter(options))):
            Server(echo, **options)  # type: ignore[arg-type]


async def test_close_may_be_given_its_own_time() -> None:
    clock, stage = Clock(), Stage()
    server = Server(stage, drain_timeout=500.0)
    async with server, connected(server.address) as wire:
        wire.send(get("/a"))
        await stage.see("/a")
        closing = asyncio.create_task(server.close(timeout=1.0))
        await clock.advance(1.1)
        await soon(closing)
        assert stage.cancelled == ["/a"]


async def test_close_takes_in_a_request_that_has_begun() -> None:
    """To cut it off would leave its sender in doubt; it is answered, and is the last."""
    server = Server(echo)
    async with server, connected(server.address) as wire:
        wire.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbo")
        await turns_until(lambda: any(session._in_body for session in server._sessions))
        closing = asyncio.create_task(server.close())
        await turns()
        wire.send(b"dy")
        assert b"connection: close\r\n" in await answer(wire, b"POST / body")
        wire.end()
        await soon(closing)


async def test_close_lets_a_streamed_body_come_to_its_end() -> None:
    async def handler(request: Request) -> Response:
        assert request.stream is not None
        return Response(200, b"".join([piece async for piece in request.stream]))

    server = Server(handler, stream_request_body=True)
    async with server, connected(server.address) as wire:
        wire.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbo")
        await turns_until(lambda: any(session._stream for session in server._sessions))
        closing = asyncio.create_task(server.close())
        await turns()
        wire.send(b"dy")
        assert b"connection: close\r\n" in await answer(wire, b"body")
        wire.end()
        await soon(closing)


# What all connections do together


async def test_connections_beyond_the_limit_hear_that_there_is_no_room() -> None:
    """And a few of those at a time; the rest are just closed. When one leaves there is room again."""
    stage = Stage()
    async with Server(stage, max_connections=2) as server, AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(connected(server.address)) for _ in range(2)]
        wires[0].send(get("/0"))
        await stage.see("/0")
        for _ in range(3):
            async with connected(server.address) as refused:
                head = await refused.read_head()
                assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
                assert b"connection: close\r\n" in head
                refused.send(GET)
                assert b"HTTP/" not in await refused.read_all()
                wires.append(await stack.enter_async_context(connected(server.address)))
        wires += [await stack.enter_async_context(connected(server.address)) for _ in range(100)]
        for wire in wires[2:]:
            await wire.gone()
        assert sum(bool(wire.received) for wire in wires) == 64
        assert len(server._sessions) == 66
        stage.answer("/0")
        await answer(wires[0], b"/0")  # those inside notice nothing
        wires[1].close()
        await turns_until(lambda: len(server._sessions) == 65)
        async with connected(server.address) as welcome:
            welcome.send(get("/1"))
            await stage.see("/0", "/1")
            stage.answer("/1")
            await answer(welcome, b"/1")


async def test_requests_in_flight_are_limited_over_all_connections() -> None:
    """The others wait in the order of their arrival, and who gives up loses nobody's place but its own."""
    stage = Stage()
    async with Server(stage, max_requests_in_flight=2) as server, AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(connected(server.address)) for _ in range(5)]
        for number, wire in enumerate(wires):
            wire.send(get(f"/{number}"))
            await turns_until(lambda number=number: sum(s.busy for s in server._sessions) == number + 1)  # type: ignore[misc]
            await turns()
        assert stage.asked == ["/0", "/1"]
        wires[2].reset()
        await turns_until(lambda: len(server._sessions) == 4)
        stage.answer("/1")
        await answer(wires[1], b"/1")
        await stage.see("/0", "/1", "/3")
        stage.answer("/0")
        stage.answer("/3")
        await stage.see("/0", "/1", "/3", "/4")
        stage.answer("/4")
        await answer(wires[4], b"/4")


# Where it listens


async def test_a_unix_socket_is_served_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with Server(echo, path=str(path)) as server, HostClient(f"unix:{path}") as client:
        assert (await soon(client.get("/a"))).body == b"GET /a "
        with pytest.raises(RuntimeError, match="Unix socket"):
            _ = server.address
    assert not path.exists()


async def test_a_socket_that_is_there_already_is_served() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    async with Server(echo, sock=sock) as server, connected(server.address) as wire:
        assert server.address == sock.getsockname()
        await turns_until(lambda: bool(server._sessions))
        (session,) = server._sessions
        accepted = session.connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        wire.send(GET)
        await answer(wire, b"GET / ")


async def test_a_port_is_shared() -> None:
    async with (
        Server(echo, reuse_port=True) as one,
        Server(echo, port=one.address[1], reuse_port=True) as two,
        connected(two.address) as wire,
    ):
        assert one.address == two.address
        wire.send(GET)
        await answer(wire, b"GET / ")


async def test_tls() -> None:
    authority = trustme.CA()
    there, here = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(there)
    authority.configure_trust(here)
    async with (
        Server(echo, tls=there) as server,
        HostClient("{}:{}".format(*server.address), tls=here, dial_timeout=30.0) as client,
    ):
        for _ in range(2):
            assert (await soon(client.post("/a", b"x" * 100_000))).body == b"POST /a " + b"x" * 100_000
        assert client.conns_count == 1


async def test_a_handshake_is_not_waited_for_for_ever() -> None:
    """The attack: many connections on which TLS never begins. They are not counted, so they must not stay."""
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(there)
    asyncio.get_running_loop().set_debug(False)  # in which asyncio reports handshakes that fail
    async with Server(echo, tls=there, read_header_timeout=10.0) as server, connected(server.address) as wire:
        clock = Clock()
        await turns(50)
        await clock.advance(10.1)
        await wire.gone()


# Real peers


@pytest.mark.parametrize("kind", [HostClient, PipelineClient])
async def test_our_own_clients(kind: Any) -> None:
    async with Server(echo) as server, kind("{}:{}".format(*server.address), max_conns=4) as client:
        answers = await soon(asyncio.gather(*(client.post(f"/{number}", b"x" * number) for number in range(100))))
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
