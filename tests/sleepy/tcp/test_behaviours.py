"""What fasthttp's own tests prove of its clients, proved of ours; and that none of it was left out.

Every test whose docstring says "fasthttp N" proves the behaviour of that number in `BEHAVIOURS`. Most stand with the modules
that they test; here are those that are about a client as a whole. All is in virtual time.
"""

import ast
import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sleepy.sim.tcp.transport import TcpTransport
from sleepy.tcp import (
    ConnectionClosed,
    HostClient,
    Http1,
    LBClient,
    NoFreeConnections,
    PipelineClient,
    RemoteProtocolError,
    Request,
    RequestTimeout,
    Response,
)
from sleepy.trace import Event, Trace
from tests.sleepy.tcp.virtual import World, now, on_network

# The numbers are those of a list of everything that fasthttp's tests of its clients assert; those that are missing are about
# what only Go's API has (its allocator, its context, its byte slices).
BEHAVIOURS = {
    1: "closing idle connections leaves none idle",
    2: "one GET makes one connection, which is idle then",
    3: "ten blocked requests are ten pending, and later none",
    4: "one connection, five callers who try again when there is none free: all finish",
    5: "one connection, a wait of 2 s, five POSTs: all succeed, and nobody is left in line",
    6: "a wait that is too short: some find no free connection, and nobody is left in line",
    7: "a deadline shorter than the wait is a timeout, never a lack of connections",
    8: "a connection past its age is closed, and no request fails for it",
    9: "three addresses and nine requests that close: three dials each",
    10: "an unknown pool strategy is an error",
    11: "ten servers, one client, concurrently: every answer is from the right one",
    12: "a dial to a Unix socket",
    13: "a negative timeout, or a deadline that is past, is a timeout at once",
    14: "a retry inside a deadline",
    15: "a read timeout with one attempt",
    16: "1 ms for each of 100 requests to a stuck peer: always a timeout",
    17: "the same concurrently",
    18: "a timeout leaves what the caller has as it was",
    19: "a late answer never touches the caller's data",
    20: "timeouts do no harm where the peer is well",
    21: "a dial is bounded by the request's timeout",
    22: "a peer that is silent in the TLS handshake is a timeout",
    23: "a timeout during redirects",
    24: "a GET over garbage, a write error and a read error succeeds with the fourth connection",
    25: "a POST does not",
    26: "whether to retry may depend on the URL",
    27: "a streamed body is never retried",
    30: "the peer answers and resets while a streamed body is being sent",
    31: "a redirect of two hops",
    32: "a limit of 0 redirects is too many at the first",
    33: "a 303 makes POST a GET",
    34: "a 303 drops Transfer-Encoding and Trailer",
    35: "301 and 302 make POST a GET",
    36: "a 307 repeats the POST with its body",
    37: "which redirects take credentials with them",
    38: "a redirect from http to https",
    39: "a HostClient does not follow to another scheme",
    41: "a line break in URL or method never reaches a handler",
    42: "a line break in a status text is made harmless",
    43: "user:pass@ becomes Basic authentication",
    44: "a GET with a body is sent with it",
    45: "HEAD answered with a body",
    46: "User-Agent: the usual, one's own, none",
    47: "names of fields and paths stay as they are, if asked for",
    49: "which address an answer came from can be known",
    50: "a malformed address with TLS is an error before anything is dialed",
    51: "an untrusted certificate is an error, again and again",
    54: "default ports for IPv4, IPv6, http and https",
    55: "pipelines: serial, 10 concurrent, batched, 3 connections; all are right",
    56: "pipelines: ten read timeouts in a row, and it works again",
    57: "pipelines work again after an idle close",
    58: "pipelines: an idle limit of 1 ms loses no request",
    59: "pipelines: an interim answer before two answers, each gets its own",
    60: "a balancer without clients has none available, and one that is added is used",
    62: "names are remembered until they are flushed",
}
_CLAIM = re.compile(r"fasthttp(?:'s behaviour)? (\d+(?:, \d+)*)(?=[:;,.])")

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def claimed(folder: Path) -> dict[int, list[str]]:
    """Which tests claim to prove which behaviour."""
    tests: dict[int, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for numbers in _CLAIM.findall(ast.get_docstring(node) or ""):
                    for number in numbers.split(", "):
                        tests.setdefault(int(number), []).append(f"{path.name}::{node.name}")
    return tests


def test_every_behaviour_has_a_test_and_every_number_a_behaviour() -> None:
    tests = claimed(Path(__file__).parent)
    assert sorted(BEHAVIOURS.keys() - tests.keys()) == []
    assert {number: tests[number] for number in tests.keys() - BEHAVIOURS.keys()} == {}


def test_a_claim_is_found_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        'def test_a(): """fasthttp 3, 17: both."""\n'
        "class B:\n"
        '    async def test_b(self): """Rule 1, and fasthttp\'s behaviour 17."""\n'
        'def test_c(): """In fasthttp 20 requests are not meant."""\n'
        'def helper(): """fasthttp 5: no test."""\n'
    )
    assert claimed(tmp_path) == {
        3: ["test_x.py::test_a"],
        17: ["test_x.py::test_a", "test_x.py::test_b"],
    }


async def echo(request: Request) -> Response:
    return Response(200, request.body or request.target.encode())


async def slow_echo(request: Request) -> Response:
    await asyncio.sleep(0.1)
    return await echo(request)


@asynccontextmanager
async def scripted(world: World, *talks: Talk) -> AsyncIterator[None]:
    """A server on the host ``server`` that plays a script on each connection, the last on all that follow."""
    scripts = iter(talks)
    running: set[asyncio.Task[None]] = set()
    ready = asyncio.Event()

    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await next(scripts, talks[-1])(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.get_running_loop().create_task(begin(reader, writer)))

    async def program() -> None:
        server = await asyncio.start_server(accept, "0.0.0.0", 80)
        ready.set()
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    serving = world.network.host("server").start(program())
    await ready.wait()
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.wait([serving])


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def good(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while head := await reader.readuntil(b"\r\n\r\n"):
        writer.write(answer(head.split(b" ")[1]))


async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


async def gather(*asking: Awaitable[Response]) -> list[Any]:
    return await asyncio.gather(*asking, return_exceptions=True)


# Pool and wait


@on_network("server")
async def test_fasthttp_1_and_2(world: World) -> None:
    """fasthttp 1, 2: one GET makes one connection, idle then; and none is idle after closing the idle ones."""
    await world.serve("server", echo)
    async with HostClient("server:80") as client:
        await client.get("/")
        assert (client.conns_count, client.idle_conns_count) == (1, 1)
        client.close_idle_connections()
        assert (client.conns_count, client.idle_conns_count) == (0, 0)
        assert (await client.get("/again")).body == b"/again"


@on_network("server")
async def test_fasthttp_3(world: World) -> None:
    """fasthttp 3: ten blocked requests are ten pending, later none."""
    await world.serve("server", slow_echo)
    async with HostClient("server:80") as client:
        asking = [asyncio.create_task(client.get(f"/{number}")) for number in range(10)]
        await asyncio.sleep(0.05)
        assert client.pending_requests == 10
        assert [response.body for response in await gather(*asking)] == [b"/%d" % number for number in range(10)]
        assert client.pending_requests == 0


@on_network("server")
async def test_fasthttp_4(world: World) -> None:
    """fasthttp 4: one connection, five callers who try again when there is none free: all finish."""
    await world.serve("server", slow_echo)
    refused = 0
    async with HostClient("server:80", max_conns=1, max_conn_wait_timeout=0.0) as client:

        async def insist() -> None:
            nonlocal refused
            while True:
                try:
                    await client.get("/")
                except NoFreeConnections:
                    refused += 1
                    await asyncio.sleep(0.01)
                else:
                    return

        await asyncio.gather(*(insist() for _ in range(5)))
        assert client.conns_count == 1
    assert refused


@on_network("server")
async def test_fasthttp_5(world: World) -> None:
    """fasthttp 5: one connection, a wait of 2 s, five POSTs: all succeed, and nobody is left in line."""
    await world.serve("server", slow_echo)
    async with HostClient("server:80", max_conns=1, max_conn_wait_timeout=2.0) as client:
        responses = await gather(*(client.post("/", b"%d" % number) for number in range(5)))
        assert [response.body for response in responses] == [b"0", b"1", b"2", b"3", b"4"]
        assert (client.conns_count, client.idle_conns_count, client._pool.waiting_count) == (1, 1, 0)


@on_network("server")
async def test_fasthttp_6(world: World) -> None:
    """fasthttp 6: a wait that is too short: some find no free connection, and nobody is left in line."""
    await world.serve("server", slow_echo)
    async with HostClient("server:80", max_conns=1, max_conn_wait_timeout=0.2) as client:
        kinds = [type(result) for result in await gather(*(client.get("/") for _ in range(5)))]
        assert kinds == [Response, Response, NoFreeConnections, NoFreeConnections, NoFreeConnections]
        assert client._pool.waiting_count == 0


@on_network("server")
async def test_fasthttp_7(world: World) -> None:
    """fasthttp 7: a deadline shorter than the wait is a timeout, never a lack of connections."""
    await world.serve("server", slow_echo)
    async with HostClient("server:80", max_conns=1, max_conn_wait_timeout=0.2) as client:
        results = await gather(*(client.get("/", timeout=0.15) for _ in range(5)))
        assert [type(result) for result in results] == [Response] + 4 * [RequestTimeout]
        assert [error.phase for error in results[1:]] == ["read", "queue", "queue", "queue"]


@on_network("server")
async def test_fasthttp_8(world: World) -> None:
    """fasthttp 8: no request fails for a connection's age.

    fasthttp lets it serve once more, with ``Connection: close``; here it is closed when its time has come, and not taken.
    """
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await good(reader, writer)

    async with scripted(world, talk), HostClient("server:80", max_conn_duration=1.0, max_attempts=1) as client:
        for _ in range(50):
            assert (await client.post("/")).status == 200
            await asyncio.sleep(0.09)
        assert client.conns_count <= 1
    assert connections == 5  # 5.5 s, a second each


@on_network("a", "b", "c")
async def test_fasthttp_9(world: World) -> None:
    """fasthttp 9: three addresses and nine requests that close: three dials each."""
    asked = {"a": 0, "b": 0, "c": 0}

    def counting(name: str) -> Callable[[Request], Awaitable[Response]]:
        async def handle(_: Request) -> Response:
            asked[name] += 1
            return Response(200, keep_alive=False)

        return handle

    for name in asked:
        await world.serve(name, counting(name))
    async with HostClient("a:80,b:80,c:80") as client:
        for _ in range(9):
            await client.get("/")
    assert asked == {"a": 3, "b": 3, "c": 3}


def test_fasthttp_10() -> None:
    """fasthttp 10: an unknown strategy is an error."""
    with pytest.raises(ValueError, match="'random'"):
        HostClient("a:80", pool_strategy="random")  # type: ignore[arg-type]


# Timeouts


@pytest.mark.parametrize("timeout", [0.0, -1.0])
@pytest.mark.parametrize("kind", [HostClient, PipelineClient])
@on_network("server")
async def test_fasthttp_13(world: World, kind: Any, timeout: float) -> None:
    """fasthttp 13: a timeout that is past is one at once, and nothing is dialed."""
    await world.serve("server", echo)
    began = now()
    async with kind("server:80") as client:
        with pytest.raises(RequestTimeout):
            await client.get("/", timeout=timeout)
        assert client.metrics.dials == 0
    assert now() == began


@on_network("server")
async def test_fasthttp_14(world: World) -> None:
    """fasthttp 14: a retry inside a deadline; and what the first attempt took is not given again."""

    async def late_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.3)

    async with scripted(world, late_end, good), HostClient("server:80") as client:
        assert (await client.get("/", timeout=0.5)).body == b"/"
    async with scripted(world, late_end, stuck), HostClient("server:80") as client:
        began = now()
        with pytest.raises(RequestTimeout):
            await client.get("/", timeout=0.5)
        assert now() - began == pytest.approx(0.5)
        assert client.metrics.retries == 1


@pytest.mark.parametrize("kind", [HostClient, PipelineClient])
@on_network("server")
async def test_fasthttp_16_and_17(world: World, kind: Any) -> None:
    """fasthttp 16, 17: 1 ms for each of 100 requests to a stuck peer, one by one and all at once: always a timeout."""
    async with scripted(world, stuck), kind("server:80") as client:
        began = now()
        for _ in range(100):
            with pytest.raises(RequestTimeout):
                await client.get("/", timeout=0.001)
        assert now() - began == pytest.approx(0.1, abs=0.01)
        results = await gather(*(client.get("/", timeout=0.001) for _ in range(100)))
        assert {type(result) for result in results} == {RequestTimeout}
        assert now() - began == pytest.approx(0.101, abs=0.01)
        assert client.pending_requests == 0


@pytest.mark.parametrize("kind", [HostClient, PipelineClient])
@on_network("server")
async def test_fasthttp_18_and_19(world: World, kind: Any) -> None:
    """fasthttp 18, 19: a timeout leaves the caller's request as it was, and the answer that comes late is nobody's."""
    await world.serve("server", slow_echo)
    async with kind("server:80") as client:
        request = Request("POST", "/", {"a": "b"}, b"body")
        before = dict(vars(request))
        with pytest.raises(RequestTimeout):
            await client.do(request, timeout=0.05)
        assert vars(request) == before
        late = asyncio.create_task(client.get("/next"))
        await asyncio.sleep(0.3)  # the answer to the first would have come meanwhile
        assert (await late).body == b"/next"
        assert (await client.do(request)).body == b"body"
        assert vars(request) == before


@on_network("server")
async def test_fasthttp_20(world: World) -> None:
    """fasthttp 20: timeouts do no harm where the peer is well; and leave no timer behind."""
    await world.serve("server", echo)
    async with HostClient("server:80") as client:
        for timeout in (0.05, 1.0, 3600.0):
            assert (await client.get("/", timeout=timeout)).body == b"/"
        assert client.pending_requests == 0


@on_network("server")
async def test_fasthttp_21(world: World) -> None:
    """fasthttp 21: a dial is bounded by the request's timeout, however long it may take itself."""
    world.network.cut("client", "server")
    async with HostClient("server:80", dial_timeout=30.0) as client:
        began = now()
        with pytest.raises(RequestTimeout) as raised:
            await client.get("/", timeout=0.2)
        assert raised.value.phase == "dial"
        assert now() - began == pytest.approx(0.2)


# Retries


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"garbage\r\n\r\n")


async def read_error(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


async def write_error(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    assert isinstance(writer.transport, TcpTransport)
    writer.transport.abort()  # what is written then meets a reset


@on_network("server")
async def test_fasthttp_24(world: World) -> None:
    """fasthttp 24: a GET over garbage, a write error and a read error succeeds with the fourth connection."""
    async with scripted(world, garbage, write_error, read_error, good), HostClient("server:80") as client:
        assert (await client.get("/")).body == b"/"
        assert client.metrics.dials == 4


@pytest.mark.parametrize(
    ("talk", "error"),
    [(garbage, RemoteProtocolError), (write_error, ConnectionClosed), (read_error, ConnectionClosed)],
)
@on_network("server")
async def test_fasthttp_25(world: World, talk: Talk, error: type[Exception]) -> None:
    """fasthttp 25: a POST fails with the first of them."""
    async with scripted(world, talk, good), HostClient("server:80") as client:
        with pytest.raises(error):
            await client.post("/")
        assert client.metrics.dials == 1


@on_network("server")
async def test_fasthttp_26(world: World) -> None:
    """fasthttp 26: whether to retry may depend on the URL, against what the method says."""

    def retry_if(request: Request, _: Exception) -> bool:
        return request.target == "/yes"

    async with scripted(world, read_error, good), HostClient("server:80", retry_if=retry_if) as client:
        assert (await client.post("/yes")).body == b"/yes"
    async with scripted(world, read_error, good), HostClient("server:80", retry_if=retry_if) as client:
        with pytest.raises(ConnectionClosed):
            await client.get("/no")


# Protocol


@on_network("server")
async def test_fasthttp_42(world: World) -> None:
    """fasthttp 42: a line break in a status text is made harmless by the server, and is none for a client."""

    async def handle(_: Request) -> Response:
        return Response(200, b"x", reason="fine\r\nset-cookie: a=b")

    await world.serve("server", handle)
    async with HostClient("server:80") as client:
        response = await client.get("/")
        assert response.reason == "fine  set-cookie: a=b"
        assert "set-cookie" not in response.headers


@on_network("server")
async def test_fasthttp_44(world: World) -> None:
    """fasthttp 44: a GET with a body is sent with it."""
    await world.serve("server", echo)
    async with HostClient("server:80") as client:
        assert (await client.do(Request("GET", "/", body=b"why not"))).body == b"why not"


@on_network("server")
async def test_fasthttp_45(world: World) -> None:
    """fasthttp 45: HEAD answered with a body, against the rules: it is nobody's answer, least of all the next one's."""

    async def with_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(answer(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"))

    async with scripted(world, with_body, good), HostClient("server:80") as client:
        head = await client.do(Request("HEAD", "/"))
        assert (head.status, head.body) == (200, b"")
        assert (await client.get("/next")).body == b"/next"
        assert client.metrics.dials == 2


@pytest.mark.parametrize(
    ("codec", "headers", "sent"),
    [
        (Http1(), {}, "sleepy"),
        (Http1(user_agent="mine"), {}, "mine"),
        (Http1(user_agent="mine"), {"user-agent": "this one's"}, "this one's"),
        (Http1(user_agent=""), {}, None),
    ],
)
@on_network("server")
async def test_fasthttp_46(world: World, codec: Http1, headers: dict[str, str], sent: str | None) -> None:
    """fasthttp 46: User-Agent: the usual, one's own, none."""
    seen: list[list[str]] = []

    async def handle(request: Request) -> Response:
        seen.append(request.headers.get_all("user-agent"))
        return Response()

    await world.serve("server", handle)
    async with HostClient("server:80", codec=codec) as client:
        await client.get("/", headers=headers)
    assert seen == [[] if sent is None else [sent]]


@on_network("server")
async def test_fasthttp_47(world: World) -> None:
    """fasthttp 47: names of fields always stay as they are, and paths if asked for."""
    heads: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            heads.append(head)
            writer.write(b"HTTP/1.1 200 OK\r\nX-oDD: 1\r\ncontent-length: 0\r\n\r\n")

    async with scripted(world, talk), HostClient("server:80") as client:
        response = await client.do(Request("GET", "/a//../b", {"x-MiXeD": "1"}, normalize=False))
        await client.do(Request("GET", "/a//../b"))
    assert heads[0].startswith(b"GET /a//../b HTTP/1.1\r\n")
    assert b"\r\nx-MiXeD: 1\r\n" in heads[0]
    assert heads[1].startswith(b"GET /b HTTP/1.1\r\n")
    assert response.headers.items()[0] == ("X-oDD", "1")


@on_network("a", "b")
async def test_fasthttp_49(world: World) -> None:
    """fasthttp 49: which address an answer came from can be known: by the trace, which costs nothing if nobody asks."""
    await world.serve("a", echo)
    await world.serve("b", echo)
    events: list[Event] = []
    loop = asyncio.get_running_loop()
    async with HostClient("a:80,b:80", trace=Trace("test", loop.time, events.append)) as client:
        await gather(client.get("/0"), client.get("/1"))
    address = {
        event.fields["connection"]: event.fields["address"] for event in events if event.name == "connection.dialed"
    }
    sent = {event.fields["id"]: event.fields["connection"] for event in events if event.name == "request.sent"}
    hosts = world.network.hosts
    assert {address[sent[number]] for number in (0, 1)} == {f"{hosts[name].address}:80" for name in "ab"}


# Balancer


@on_network("server")
async def test_fasthttp_60(world: World) -> None:
    """fasthttp 60: one that is added while the program runs is used; here with a client of HTTP."""
    await world.serve("server", echo)
    async with LBClient[Request, Response]() as spread:
        spread.add_client(HostClient("server:80"))
        assert (await spread.do(Request("GET", "/"))).body == b"/"
