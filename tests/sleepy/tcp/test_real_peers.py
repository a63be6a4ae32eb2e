"""Our clients and servers that others have written; clients that others have written and our server."""

import asyncio
import importlib.util
import re
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from sleepy.tcp import Client, HostClient, PipelineClient, Request, Response, Server
from tests.sleepy.tcp.helpers import soon, turns_until
from tests.sleepy.tcp.real_peers import LARGE, PIECES, SERVERS, nginx, running

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
Run = Callable[[Coroutine[Any, Any, None]], None]
KINDS = [HostClient, PipelineClient]


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    if name == "asyncio":
        return asyncio.new_event_loop()
    return pytest.importorskip("uvloop").new_event_loop()  # type: ignore[no-any-return]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a program on an event loop, and see that it leaves no task behind and no error that nobody hears."""

    async def tidy(program: Coroutine[Any, Any, None]) -> None:
        unheard: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        await asyncio.wait_for(program, 40.0)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert unheard == []

    def run(program: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=lambda: new_loop(request.param)) as runner:
            runner.run(tidy(program))

    return run


def connections(client: "HostClient | PipelineClient") -> int:
    return client.conns_count if isinstance(client, HostClient) else len(client._pipeline.lanes)


class Nginx(NamedTuple):
    address: str
    tls_address: str
    folder: Path
    trust: ssl.SSLContext


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module", params=[*SERVERS, pytest.param("nginx", marks=needs_nginx)])
def peer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA
) -> Iterator[str]:
    """The address of a server that somebody else has written."""
    name, folder = request.param, tmp_path_factory.mktemp("peer")
    if name == "nginx":
        assert NGINX is not None
        with nginx(NGINX, folder, authority.issue_cert("127.0.0.1")) as (address, _):
            yield address
    else:
        if importlib.util.find_spec(SERVERS[name][0]) is None:
            pytest.skip(f"{SERVERS[name][0]} is not installed")
        with running(name, folder) as address:
            yield address


@pytest.fixture
def engine_x(request: pytest.FixtureRequest, tmp_path: Path, authority: trustme.CA) -> Iterator[Nginx]:
    """nginx, with the options of the test."""
    assert NGINX is not None
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with nginx(NGINX, tmp_path, authority.issue_cert("127.0.0.1"), **getattr(request, "param", {})) as addresses:
        yield Nginx(*addresses, tmp_path, trust)


# Their servers


@pytest.mark.parametrize("kind", KINDS)
def test_one_connection_serves_many_requests(peer: str, kind: Any, run: Run) -> None:
    """Each says by which connection it was asked; chunked answers, HEAD, 204 and 304 leave the connection in step."""

    async def program() -> None:
        async with kind(peer, max_conns=1) as client:
            first = await client.get("/")
            assert (first.status, first.body.isdigit()) == (200, True)
            for _ in range(3):
                assert (await client.get("/chunked")).body == b"".join(PIECES)
                head = await client.do(Request("HEAD", "/"))
                assert (head.status, head.body) == (200, b"")
                for status in (204, 304):
                    empty = await client.get(f"/{status}")
                    assert (empty.status, empty.body) == (status, b"")
                assert (await client.get("/")).body == first.body

    run(program())


@pytest.mark.parametrize("kind", KINDS)
def test_many_at_once(peer: str, kind: Any, run: Run) -> None:
    async def program() -> None:
        async with kind(peer, max_conns=4) as client:
            answers = await asyncio.gather(*(client.get("/") for _ in range(200)))
            assert len({answer.body for answer in answers}) <= 4

    run(program())


def test_a_large_answer_whole_and_in_pieces(peer: str, run: Run) -> None:
    async def program() -> None:
        async with HostClient(peer) as client:
            assert (await client.get("/large")).body == LARGE
            async with client.stream(Request("GET", "/large")) as response:
                assert response.stream is not None
                size = 0
                async for piece in response.stream:
                    assert piece == LARGE[size : size + len(piece)]
                    size += len(piece)
                assert size == len(LARGE)
            async with client.stream(Request("GET", "/large")) as response:
                assert response.status == 200  # and let go of the rest
            assert (await client.get("/")).status == 200

    run(program())


async def in_pieces(data: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.parametrize("name", SERVERS)
def test_a_large_body_there_and_back(name: str, run: Run, tmp_path: Path) -> None:
    """As bytes, as a stream with its length, with the go-ahead; and in chunks, except to http.server, which knows none."""
    if importlib.util.find_spec(SERVERS[name][0]) is None:
        pytest.skip(f"{SERVERS[name][0]} is not installed")
    length = ("content-length", str(len(LARGE)))

    async def program(address: str) -> None:
        async with HostClient(address) as client:
            assert (await client.post("/", LARGE)).body == LARGE
            for fields in ([length], [length, ("expect", "100-continue")], [], [("expect", "100-continue")]):
                if length in fields or name != "http.server":
                    request = Request("POST", "/", fields, stream=in_pieces(LARGE))
                    assert (await client.do(request)).body == LARGE

    with running(name, tmp_path) as address:
        run(program(address))


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_ends_with_its_connection(kind: Any, run: Run, tmp_path: Path) -> None:
    async def program(address: str) -> None:
        async with kind(address, max_conns=1) as client:
            for _ in range(3):
                response = await client.get("/until-close")
                assert (response.body, response.keep_alive) == (b"".join(PIECES), False)

    with running("http.server", tmp_path) as address:
        run(program(address))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SERVERS)
def test_a_connection_that_the_peer_closes_while_it_is_idle_is_noticed(
    name: str, kind: Any, run: Run, tmp_path: Path
) -> None:
    if importlib.util.find_spec(SERVERS[name][0]) is None:
        pytest.skip(f"{SERVERS[name][0]} is not installed")

    async def program(address: str) -> None:
        async with kind(address, max_conns=1, max_idle_conn_duration=None) as client:
            first = (await client.get("/")).body
            assert connections(client) == 1
            await turns_until(lambda: connections(client) == 0)
            assert (await client.get("/")).body != first

    with running(name, tmp_path) as address:
        run(program(address))


# nginx in particular


@needs_nginx
@pytest.mark.parametrize("engine_x", [{"keepalive_requests": 3}], indirect=True)
@pytest.mark.parametrize("kind", KINDS)
def test_a_cap_on_requests_per_connection_costs_no_request(engine_x: Nginx, kind: Any, run: Run) -> None:
    """nginx's keepalive_requests; what was pipelined behind the last is asked again by another connection."""

    async def program() -> None:
        async with kind(engine_x.address, max_conns=2) as client:
            answers = [await client.get("/") for _ in range(10)]
            answers += await asyncio.gather(*(client.get("/") for _ in range(50)))
            assert {answer.status for answer in answers} == {200}
            connections = [answer.body for answer in answers]
            assert max(connections.count(each) for each in connections) <= 3

    run(program())


@needs_nginx
@pytest.mark.parametrize("engine_x", [{"keepalive_timeout": "1s"}], indirect=True)
@pytest.mark.parametrize("kind", KINDS)
def test_an_idle_close_of_nginx_is_noticed(engine_x: Nginx, kind: Any, run: Run) -> None:
    async def program() -> None:
        async with kind(engine_x.address, max_conns=1, max_idle_conn_duration=None) as client:
            first = (await client.get("/")).body
            await turns_until(lambda: connections(client) == 0)
            assert (await client.get("/")).body != first

    run(program())


@needs_nginx
def test_an_early_refusal_is_seen_though_we_are_still_sending(engine_x: Nginx, run: Run) -> None:
    """client_max_body_size: nginx answers 413 at the head of 64 MiB; not a reset."""
    size = 64 << 20

    async def program() -> None:
        async with HostClient(engine_x.address) as client:
            for _ in range(3):
                assert (await client.do(Request("PUT", "/small", body=bytes(size)))).status == 413
                for fields in ([("content-length", str(size))], []):
                    request = Request("PUT", "/small", fields, stream=in_pieces(bytes(size)))
                    assert (await client.do(request)).status == 413
            assert (await client.get("/")).status == 200

    run(program())


@needs_nginx
def test_nginx_says_go_ahead_and_takes_what_is_put(engine_x: Nginx, run: Run) -> None:
    async def program() -> None:
        async with HostClient(engine_x.address, max_conns=1) as client:
            for fields in ((), (("expect", "100-continue"),)):
                put = Request("PUT", "/put", fields, stream=in_pieces(LARGE), idempotent=True)
                assert (await client.do(put)).status in {201, 204}
                assert (await client.get("/put")).body == LARGE

    run(program())
    assert (engine_x.folder / "www" / "put").read_bytes() == LARGE


@needs_nginx
def test_nginx_over_tls_and_over_a_unix_socket(engine_x: Nginx, run: Run) -> None:
    async def program() -> None:
        async with HostClient(engine_x.tls_address, tls=engine_x.trust, dial_timeout=30.0) as client:
            first = await client.get("/")
            assert (await client.get("/large")).body == LARGE
            assert (await client.get("/")).body == first.body
        async with HostClient(f"unix:{engine_x.folder}/socket") as client:
            assert (await client.get("/large")).body == LARGE
        async with Client(tls=engine_x.trust, dial_timeout=30.0) as client:
            assert (await client.get(f"https://{engine_x.tls_address}/")).status == 200

    run(program())


# Their clients


async def echo(request: Request) -> Response:
    body = request.body
    if request.stream is not None:
        body = b"".join([piece async for piece in request.stream])
    return Response(200, f"{request.method} {request.url} ".encode() + body)


async def output_of(*command: str, body: bytes = b"") -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await soon(process.communicate(body))
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("stream", [False, True])
def test_curl(run: Run, stream: bool, tmp_path: Path, authority: trustme.CA) -> None:
    """The most used client of all: one connection, bodies of each kind, the go-ahead, HEAD, HTTP/1.0, Unix sockets, TLS."""

    async def curl(*arguments: str, body: bytes = b"") -> str:
        return await output_of("curl", "-sS", "--noproxy", "*", "--max-time", "20", *arguments, body=body)

    async def program() -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        authority.cert_pem.write_to_path(tmp_path / "ca")
        path = str(tmp_path / "socket")
        async with (
            Server(echo, stream_request_body=stream) as server,
            Server(echo, tls=tls) as secure,
            Server(echo, path=path),
        ):
            url = "http://{}:{}".format(*server.address)
            connects = ("--write-out", "[%{num_connects}]")
            assert await curl(f"{url}/a", f"{url}/b", *connects) == "GET /a [1]GET /b [0]"
            for kind in ("-0", "--http1.0"):
                keep = ("--header", "Connection: keep-alive")
                assert await curl(kind, *keep, f"{url}/a", f"{url}/b", *connects) == "GET /a [1]GET /b [0]"
            assert await curl(f"{url}/", "--data-binary", "@-", body=b"body") == "POST / body"
            large = b"z" * (3 << 20)
            for field in ("Transfer-Encoding: chunked", "Expect: 100-continue", "Expect:"):
                answer = await curl(f"{url}/", "--upload-file", "-", "--header", field, body=large)
                assert answer == "PUT / " + large.decode()
            trace = await curl(
                f"{url}/", "-v", "-o", "/dev/null", "--data-binary", "@-", "-H", "Expect: 100-continue", body=large
            )
            assert "HTTP/1.1 100 Continue" in trace
            assert "Done waiting for 100-continue" not in trace  # as it says when it has waited in vain
            assert "content-length: 7\r\n" in await curl("--head", f"{url}/")
            status = ("--output", "/dev/null", "--write-out", "%{http_code}")
            too_large = await curl(f"{url}/", "--data-binary", "@-", *status, body=b"z" * (5 << 20))
            assert too_large == "413"
            assert await curl(f"{url}/", "--header", "Expect: miracles", *status) == "417"
            assert await curl("--unix-socket", path, "http://x/unix") == "GET /unix "
            address = "https://{}:{}".format(*secure.address)
            assert await curl("--cacert", str(tmp_path / "ca"), f"{address}/tls") == "GET /tls "

    run(program())


@pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load (nghttp2-client) is not installed")
@pytest.mark.parametrize("pipelined", ["1", "16"])
def test_h2load(run: Run, pipelined: str) -> None:
    async def program() -> None:
        async with Server(echo) as server:
            url = "http://{}:{}/".format(*server.address)
            said = await output_of("h2load", "--h1", "-n", "3000", "-c", "20", "-m", pipelined, url)
            assert "3000 succeeded, 0 failed, 0 errored, 0 timeout" in said
            assert "status codes: 3000 2xx" in said

    run(program())


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_wrk(run: Run) -> None:
    async def program() -> None:
        async with Server(echo) as server:
            said = await output_of("wrk", "-t1", "-c20", "-d1s", "http://{}:{}/".format(*server.address))
            assert "Socket errors" not in said
            assert "Non-2xx" not in said
            found = re.search(r"(\d+) requests in", said)
            assert found is not None
            assert int(found[1]) > 0

    run(program())


# Ours with ours, on each event loop


@pytest.mark.parametrize("kind", KINDS)
def test_our_clients_and_our_server(kind: Any, run: Run) -> None:
    async def program() -> None:
        async with Server(echo) as server, kind("{}:{}".format(*server.address), max_conns=4) as client:
            answers = await asyncio.gather(*(client.post(f"/{number}", b"x" * number) for number in range(200)))
            assert [answer.body for answer in answers] == [f"POST /{n} ".encode() + b"x" * n for n in range(200)]

    run(program())


def test_streams_both_ways_and_one_that_breaks(run: Run) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield PIECES[0]
        raise ZeroDivisionError

    async def handler(request: Request) -> Response:
        return Response(200, stream=breaks() if request.stream is None else request.stream)

    async def program() -> None:
        server = Server(handler, stream_request_body=True, max_request_body_size=None)
        async with server, HostClient("{}:{}".format(*server.address)) as client:
            for fields in ((), (("expect", "100-continue"),)):
                request = Request("POST", "/", fields, stream=in_pieces(LARGE))
                assert (await client.do(request)).body == LARGE
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            with pytest.raises(ConnectionResetError):  # an orderly end would be the end of the body
                await reader.read()
            writer.close()

    run(program())
