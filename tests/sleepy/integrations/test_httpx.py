"""`sleepy.integrations.httpx`, side by side with httpx's own transport: the same program, the same server, the same result.

The cases are those by which httpx and httpcore test their transport (``tests/test_timeouts.py``, ``tests/client/``,
``tests/_async/test_connection_pool.py`` and ``test_http11.py`` there), in our words, and those that their users meet. Where
the two transports differ on purpose, the test is of sleepy's alone, and its name says so.
"""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from sleepy.integrations.httpx import SleepyTransport
from sleepy.tcp import BodyTooLarge, ConnectionClosed
from sleepy.tcp.dialing.dialer import DialFailed
from tests.sleepy.tcp.conftest import tidy  # noqa: F401 -- a fixture
from tests.sleepy.tcp.helpers import Clock, Peer, Watch, Wire, closed_port, soon

pytestmark = pytest.mark.usefixtures("tidy")

NO_LIMITS = httpx.Timeout(None)
Make = Callable[..., httpx.AsyncClient]


@pytest.fixture(params=[SleepyTransport, httpx.AsyncHTTPTransport], ids=["sleepy", "httpx"])
def make(request: pytest.FixtureRequest) -> Make:
    """A client over one of the two transports, with arguments for the transport."""

    def make(timeout: httpx.Timeout = NO_LIMITS, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=request.param(**options), timeout=timeout)

    return make


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer() as peer:
        yield peer


def url(peer: Peer, path: str = "/") -> str:
    return f"http://{peer.addr}{path}"


async def together(request: Awaitable[Any], answering: Awaitable[Any]) -> Any:
    """What the client gets, while the test plays the server."""
    result, _ = await soon(asyncio.gather(request, answering))
    return result


async def asked(peer: Peer) -> Wire:
    """The next connection, when a request has come by it: an answer before that nobody has asked for."""
    wire = await peer.accept()
    await wire.read_head()
    return wire


def answers(peer: Peer, *datas: bytes, close: bool = False) -> Awaitable[list[bytes]]:
    """Play a server that gives these answers on one connection; gives the heads that it has got."""

    async def play() -> list[bytes]:
        wire, heads = await peer.accept(), []
        for data in datas:
            heads.append(await wire.read_head())
            wire.send(data)
        if close:
            wire.close()
        return heads

    return play()


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


# Requests as they are sent


async def heard(peer: Peer, request: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]], make: Make) -> bytes:
    """What a server receives of one request, whole."""

    async def listen() -> bytes:
        wire = await peer.accept()
        head = await wire.read_head()
        if b"chunked" in head.lower():
            head += await wire.read(b"0\r\n\r\n")
        elif b"content-length: " in head.lower():
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await wire.until(lambda: len(wire.received) >= length)
            head += bytes(wire.received)
        wire.send(OK)
        return head

    async with make() as client:
        _, data = await soon(asyncio.gather(request(client), listen()))
    return data


async def pieces(*datas: bytes) -> AsyncIterator[bytes]:
    for data in datas:
        yield data


def nameless(request: httpx.Request) -> httpx.Request:
    del request.headers["user-agent"]
    return request


REQUESTS: dict[str, Callable[[httpx.AsyncClient, str], Awaitable[httpx.Response]]] = {
    "get": lambda client, url: client.get(url),
    "query": lambda client, url: client.get(url, params={"q": "a b&c", "ü": "/"}),
    "path": lambda client, url: client.get(f"{url}a//b/%2e%2E/ü?x=[1]#fragment"),
    "fields": lambda client, url: client.get(url, headers=[("X-Twice", "1"), ("x-twice", "2"), ("Host", "other")]),
    "credentials": lambda client, url: client.get(url.replace("//", "//user:secret@")),
    "head": lambda client, url: client.head(url),
    "options": lambda client, url: client.options(url, extensions={"target": b"*"}),
    "post": lambda client, url: client.post(url, content=b"body"),
    "post nothing": lambda client, url: client.post(url),
    "form": lambda client, url: client.post(url, data={"a": "1"}),
    "stream": lambda client, url: client.post(url, content=pieces(b"one", b"two")),
    "stream of known length": lambda client, url: client.put(
        url, content=pieces(b"one", b"two"), headers={"content-length": "6"}
    ),
    "own method": lambda client, url: client.request("PROPFIND", url, content=b"x"),
    "no user agent": lambda client, url: client.send(nameless(client.build_request("GET", url))),
    "a long body": lambda client, url: client.put(url, content=bytes(200_000)),
}


@pytest.mark.parametrize("case", REQUESTS)
async def test_the_same_request_is_sent(case: str, peer: Peer) -> None:
    """Field by field and byte by byte, but for upper and lower case in the name of the field that tells of chunks."""
    sent = []
    for transport in (SleepyTransport(), httpx.AsyncHTTPTransport()):
        data = await heard(
            peer,
            lambda client: REQUESTS[case](client, url(peer)),
            lambda transport=transport: httpx.AsyncClient(transport=transport),
        )
        head, _, body = data.partition(b"\r\n\r\n")
        start, *fields = head.split(b"\r\n")
        sent.append((start, sorted(fields, key=bytes.lower), body))
    ours, theirs = sent
    if b"chunked" not in theirs[1]:
        theirs = (theirs[0], [field.replace(b"Transfer-E", b"transfer-e") for field in theirs[1]], theirs[2])
    if case == "stream":  # the end of the chunks is the same; h11 and we may cut them in the same places only
        assert ours[2] == theirs[2] == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    assert ours == theirs


# Answers as they are given


async def test_an_answer_with_all_that_is_known_of_it(make: Make, peer: Peer) -> None:
    data = b"HTTP/1.1 201 Made It\r\nContent-Length: 2\r\nX-A: 1\r\nx-a: 2\r\n\r\nhi"
    async with make() as client:
        response = await together(client.get(url(peer)), answers(peer, data))
    assert (response.status_code, response.content) == (201, b"hi")
    assert response.headers.raw == [(b"Content-Length", b"2"), (b"X-A", b"1"), (b"x-a", b"2")]
    assert (response.http_version, response.reason_phrase) == ("HTTP/1.1", "Made It")
    assert response.extensions["http_version"] == b"HTTP/1.1"
    assert response.extensions["reason_phrase"] == b"Made It"


async def test_an_old_server(make: Make, peer: Peer) -> None:
    """HTTP/1.0: the body ends with the connection."""
    async with make() as client:
        response = await together(client.get(url(peer)), answers(peer, b"HTTP/1.0 200 OK\r\n\r\nold", close=True))
    assert (response.http_version, response.content) == ("HTTP/1.0", b"old")


@pytest.mark.parametrize(
    ("method", "data", "content"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", b""),
        (
            "GET",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nx: y\r\n\r\n",
            b"hello",
        ),
        ("GET", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, b"hello"),
        ("GET", b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", b""),
    ],
    ids=["head", "204", "304", "chunked", "early hints", "500"],
)
async def test_where_a_body_ends(make: Make, peer: Peer, method: str, data: bytes, content: bytes) -> None:
    """And the connection is good for another request."""
    async with make() as client:

        async def ask() -> list[httpx.Response]:
            return [await client.request(method, url(peer)), await client.get(url(peer))]

        first, second = await together(ask(), answers(peer, data, OK))
    assert (first.content, second.content) == (content, b"hello")


async def test_a_packed_body_is_unpacked_by_httpx(make: Make, peer: Peer) -> None:
    packed = gzip.compress(b"hello")
    data = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b" % (len(packed), packed)
    async with make() as client:
        response = await together(client.get(url(peer)), answers(peer, data))
    assert response.content == b"hello"
    assert response.headers["content-encoding"] == "gzip"


async def test_redirects_and_cookies_are_httpxs(make: Make, peer: Peer) -> None:
    found = b"HTTP/1.1 302 Found\r\nlocation: /there\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"
    async with make() as client:
        playing = asyncio.ensure_future(answers(peer, found, OK))
        response = await soon(client.get(url(peer), follow_redirects=True))
        _, second = await playing
    assert response.content == b"hello"
    assert second.startswith(b"GET /there")
    assert b"Cookie: a=b" in second


# Streams


async def test_a_body_is_there_as_it_comes(make: Make, peer: Peer) -> None:
    async with make() as client:
        asking = asyncio.ensure_future(client.send(client.build_request("GET", url(peer)), stream=True))
        wire = await asked(peer)
        wire.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        response = await soon(asking)
        parts = response.aiter_raw()
        for part in (b"one", b"two"):
            wire.send(b"3\r\n%b\r\n" % part)
            assert await soon(anext(parts)) == part
        wire.send(b"0\r\n\r\n")
        assert [part async for part in parts] == []
        assert response.is_closed


async def test_a_streamed_request_is_read_as_it_is_sent(make: Make, peer: Peer) -> None:
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        await go_on.wait()
        yield b"two"

    async with make() as client:
        asking = asyncio.ensure_future(client.post(url(peer), content=body()))
        wire = await peer.accept()
        await soon(wire.read(b"3\r\none\r\n"))
        go_on.set()
        await soon(wire.read(b"0\r\n\r\n"))
        wire.send(OK)
        assert (await soon(asking)).content == b"hello"


@pytest.mark.parametrize(
    "error", [LookupError("no more"), FileNotFoundError("no more"), TimeoutError("no more"), ConnectionError("no more")]
)
async def test_what_the_callers_stream_raises_is_the_callers(make: Make, peer: Peer, error: Exception) -> None:
    """Also if it looks like an error of the connection to the peer: it may come from a file, or from another peer."""

    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        raise error

    async with make() as client:
        with pytest.raises(type(error), match="no more") as caught:
            await soon(client.post(url(peer), content=body()))
        assert caught.value is error


async def test_a_stream_that_is_cancelled_leaves_nobody_waiting(peer: Peer) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        cancelled = asyncio.get_running_loop().create_future()
        cancelled.cancel()
        await cancelled  # nobody has cancelled the request

    async with httpx.AsyncClient(transport=SleepyTransport(verify=False), timeout=None) as client:
        with pytest.raises(httpx.LocalProtocolError, match="the stream of the body was cancelled before its end"):
            await soon(client.post(url(peer), content=body()))


async def test_a_response_that_is_closed_early_frees_its_place(make: Make, peer: Peer) -> None:
    async with make(limits=httpx.Limits(max_connections=1)) as client:
        asking = asyncio.ensure_future(client.send(client.build_request("GET", url(peer)), stream=True))
        wire = await asked(peer)
        wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nbeginning")
        response = await soon(asking)
        await soon(response.aclose())
        wire.send(bytes(999_991))  # what is left is thrown away, or the connection is closed
        asking = asyncio.ensure_future(client.get(url(peer)))
        await soon((await peer.accept()).read_head())
        peer.wires[-1].send(OK)
        assert (await soon(asking)).content == b"hello"


# Connections


async def test_a_connection_is_used_again(make: Make, peer: Peer) -> None:
    async with make() as client:
        playing = asyncio.ensure_future(answers(peer, OK, OK, OK))
        for _ in range(3):
            await soon(client.get(url(peer)))
        await playing
    assert len(peer.wires) == 1


async def test_a_connection_that_is_to_be_closed_is_not(make: Make, peer: Peer) -> None:
    closing = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    async with make() as client:
        for _ in range(2):
            assert (await together(client.get(url(peer)), answers(peer, closing))).content == b"hello"
    assert len(peer.wires) == 2


async def test_a_connection_that_the_peer_has_closed_reaches_no_caller(make: Make, peer: Peer) -> None:
    async with make() as client:
        await together(client.get(url(peer)), answers(peer, OK, close=True))
        assert (await together(client.get(url(peer)), answers(peer, OK))).content == b"hello"


@pytest.mark.parametrize("limits", [{"keepalive_expiry": 0.0}, {"max_keepalive_connections": 0}])
async def test_connections_that_may_not_stand_idle(make: Make, peer: Peer, limits: Any) -> None:
    async with make(limits=httpx.Limits(**limits)) as client:
        for _ in range(2):
            await together(client.get(url(peer)), answers(peer, OK))
    assert len(peer.wires) == 2


async def test_no_more_connections_than_allowed(make: Make, peer: Peer) -> None:
    async with make(limits=httpx.Limits(max_connections=2)) as client:
        asking = [asyncio.ensure_future(client.get(url(peer, f"/{number}"))) for number in range(6)]
        first, second = await peer.accept(), await peer.accept()
        for _ in range(3):
            for wire in (first, second):
                await soon(wire.read_head())
                wire.send(OK)
        assert [response.content for response in await soon(asyncio.gather(*asking))] == [b"hello"] * 6
    assert len(peer.wires) == 2


async def test_a_unix_socket(make: Make, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    heads: list[bytes] = []

    def serve() -> Wire:
        return Wire(lambda wire: wires.append(asyncio.ensure_future(play(wire))))

    async def play(wire: Wire) -> None:
        heads.append(await wire.read_head())
        wire.send(OK)
        await wire.gone()
        wire.close()

    wires: list[asyncio.Future[None]] = []
    server = await asyncio.get_running_loop().create_unix_server(serve, path)
    async with server, make(uds=path) as client:
        assert (await soon(client.get("http://example.org/x"))).content == b"hello"
    assert b"Host: example.org\r\n" in heads[0]
    await soon(asyncio.gather(*wires))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def secure(authority: trustme.CA) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
            writer.write(
                b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 8\r\n\r\n" + (chosen or "none").encode()
            )
            await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    loop = asyncio.get_running_loop()
    hear = loop.get_exception_handler()
    assert hear is not None
    # That a client does not trust it is no fault of the server's.
    loop.set_exception_handler(lambda loop, context: "incoming" in context["message"] or hear(loop, context))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    authority.issue_cert("localhost").configure_cert(context)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}/"


async def test_tls_with_a_context_of_ones_own(make: Make, authority: trustme.CA, secure: str) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with make(verify=context) as client:
        assert (await soon(client.get(secure))).text == "http/1.1"


async def test_tls_without_verification(make: Make, secure: str) -> None:
    async with make(verify=False) as client:
        assert (await soon(client.get(secure))).status_code == 200


async def test_who_is_not_trusted_is_not_talked_to(make: Make, secure: str) -> None:
    async with make() as client:
        with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
            await soon(client.get(secure))


# Errors


async def failure(asking: Awaitable[Any]) -> BaseException:
    with pytest.raises(httpx.HTTPError) as caught:
        await soon(asking)
    assert caught.value.request is not None  # it can be asked what failed
    return caught.value


async def test_nobody_listens(make: Make) -> None:
    async with make() as client:
        assert type(await failure(client.get(f"http://{closed_port()}/"))) is httpx.ConnectError


async def test_a_name_that_is_none(make: Make) -> None:
    async with make() as client:
        assert type(await failure(client.get("http://name.invalid/"))) is httpx.ConnectError


async def test_a_scheme_that_is_none(make: Make) -> None:
    async with make() as client:
        assert type(await failure(client.get("ftp://example.org/"))) is httpx.UnsupportedProtocol


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 O",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhe",
    ],
    ids=["nothing", "half a head", "half a body", "half a chunk"],
)
async def test_the_server_closes_too_early(make: Make, peer: Peer, data: bytes) -> None:
    async with make() as client:
        playing = asyncio.ensure_future(answers(peer, data, close=True))
        assert type(await failure(client.get(url(peer)))) is httpx.RemoteProtocolError
        await playing


@pytest.mark.parametrize(
    "data", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"], ids=["at once", "in a body"]
)
async def test_the_connection_breaks(make: Make, peer: Peer, data: bytes) -> None:
    async with make() as client:
        asking = asyncio.ensure_future(client.send(client.build_request("POST", url(peer)), stream=True))
        wire = await asked(peer)
        wire.send(data)
        if data:
            response = await soon(asking)
            parts = response.aiter_raw()
            assert await soon(anext(parts)) == b"half"
            wire.reset()
            assert type(await failure(anext(parts))) is httpx.ReadError
            await response.aclose()
        else:
            wire.reset()
            assert type(await failure(asking)) is httpx.ReadError


@pytest.mark.parametrize("data", [b"SSH-2.0-server\r\n\r\n", b"HTTP/1.1 200 OK\r\nbad field\r\n\r\n"])
async def test_what_is_no_answer(make: Make, peer: Peer, data: bytes) -> None:
    """And it is asked for once: httpx repeats nothing that may have been executed."""
    async with make() as client:
        playing = asyncio.ensure_future(answers(peer, data))
        assert type(await failure(client.get(url(peer)))) is httpx.RemoteProtocolError
        await playing
    assert len(peer.wires) == 1


@pytest.mark.parametrize("headers", [{"x": "a\r\nb: c"}, {"na me": "x"}], ids=["value", "name"])
async def test_what_may_not_be_sent(make: Make, peer: Peer, headers: dict[str, str]) -> None:
    async with make() as client:
        assert type(await failure(client.get(url(peer), headers=headers))) is httpx.LocalProtocolError


@pytest.mark.parametrize("length", ["3", "5"])
async def test_a_body_that_is_not_as_long_as_it_says(peer: Peer, length: str) -> None:
    """Sleepy's: httpx's own transport raises an error of h11's here."""
    async with httpx.AsyncClient(transport=SleepyTransport()) as client:
        asking = client.post(url(peer), headers={"content-length": length}, content=pieces(b"four"))
        assert type(await failure(asking)) is httpx.LocalProtocolError


# The four limits


async def test_the_limit_on_reading_a_head(make: Make, peer: Peer) -> None:
    async with make(httpx.Timeout(None, read=0.01)) as client:
        assert type(await failure(client.get(url(peer)))) is httpx.ReadTimeout


async def test_the_limit_on_reading_a_piece(make: Make, peer: Peer) -> None:
    async with make(httpx.Timeout(None, read=0.01)) as client:
        asking = asyncio.ensure_future(client.get(url(peer), timeout=httpx.Timeout(None, read=0.05)))
        wire = await asked(peer)
        wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        assert type(await failure(asking)) is httpx.ReadTimeout


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_limit_on_writing(make: Make, peer: Peer, streamed: bool) -> None:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1_000_000)

    async with make(httpx.Timeout(None, write=0.01)) as client:
        asking = asyncio.ensure_future(client.put(url(peer), content=body() if streamed else bytes(50_000_000)))
        (await peer.accept()).transport.pause_reading()
        assert type(await failure(asking)) is httpx.WriteTimeout


async def test_the_limit_on_connecting(make: Make) -> None:
    """A peer that takes the connection and stays silent in the handshake."""
    async with Peer() as peer, make(httpx.Timeout(None, connect=0.01)) as client:
        assert type(await failure(client.get(f"https://{peer.addr}/"))) is httpx.ConnectTimeout


async def test_the_limit_on_waiting_for_a_place(make: Make, peer: Peer) -> None:
    async with make(httpx.Timeout(None, pool=0.01), limits=httpx.Limits(max_connections=1)) as client:
        asking = asyncio.ensure_future(client.send(client.build_request("GET", url(peer)), stream=True))
        (await asked(peer)).send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
        response = await soon(asking)
        assert type(await failure(client.get(url(peer)))) is httpx.PoolTimeout
        await response.aclose()


async def test_limits_that_are_never_reached_change_nothing(make: Make, peer: Peer) -> None:
    async with make(httpx.Timeout(3600)) as client:
        for _ in range(2):
            asking = client.post(url(peer), content=pieces(b"x"))
            assert (
                await together(asking, answers(peer, OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")))
            ).content


async def test_a_slow_stream_is_not_a_slow_peer(peer: Peer) -> None:
    """Sleepy's: the limit on writing stands still while the caller's stream has no piece."""
    clock, go_on = Clock(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        await go_on.wait()
        yield b"two"

    timeout = httpx.Timeout(None, write=5.0, read=5.0)
    async with httpx.AsyncClient(transport=SleepyTransport(), timeout=timeout) as client:
        asking = asyncio.ensure_future(client.post(url(peer), content=body()))
        wire = await peer.accept()
        await soon(wire.read(b"one\r\n"))
        await clock.advance(50.0)
        go_on.set()
        await soon(wire.read(b"0\r\n\r\n"))
        await clock.advance(4.0)
        assert not asking.done()
        wire.send(OK)
        assert (await soon(asking)).content == b"hello"


async def test_each_piece_has_the_whole_limit(peer: Peer) -> None:
    """Sleepy's, by a clock moved by hand: the limit on reading is for a piece, not for the body."""
    clock = Clock()
    timeout = httpx.Timeout(None, read=5.0)
    async with httpx.AsyncClient(transport=SleepyTransport(), timeout=timeout) as client:
        asking = asyncio.ensure_future(client.get(url(peer)))
        wire = await asked(peer)
        wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
        for _ in range(3):
            await clock.advance(4.0)
            wire.send(b"x")
            await clock.advance(0.0)
            assert not asking.done()
        await clock.advance(6.0)
        assert type(await failure(asking)) is httpx.ReadTimeout


# Giving up


async def test_a_caller_that_gives_up_frees_his_place(make: Make, peer: Peer) -> None:
    async with make(limits=httpx.Limits(max_connections=1)) as client:
        asking = asyncio.ensure_future(client.get(url(peer)))
        await soon((await peer.accept()).read_head())
        waiting = asyncio.ensure_future(client.get(url(peer, "/waiting")))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        wire = await peer.accept()
        assert (await soon(wire.read_head())).startswith(b"GET /waiting ")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        last = client.get(url(peer))
        assert (await together(last, answers(peer, OK))).content == b"hello"


# What is sleepy's alone


async def test_an_answer_before_the_request_was_sent_whole(peer: Peer) -> None:
    """Sleepy's: it is given at once, and what is still sent behind it does no harm."""
    go_on, gone_on = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        await go_on.wait()
        yield b"two"
        gone_on.set()
        await asyncio.Event().wait()

    async with httpx.AsyncClient(transport=SleepyTransport(), timeout=httpx.Timeout(60)) as client:
        asking = asyncio.ensure_future(
            client.send(client.build_request("POST", url(peer), content=body()), stream=True)
        )
        wire = await peer.accept()
        await wire.read(b"one\r\n")
        wire.send(b"HTTP/1.1 413 Too Much\r\ncontent-length: 5\r\n\r\n")
        response = await soon(asking)
        assert response.status_code == 413
        go_on.set()
        await soon(gone_on.wait())
        wire.send(b"hello")
        assert await soon(response.aread()) == b"hello"


async def test_the_cause_is_kept(peer: Peer) -> None:
    """Sleepy's: who wants to know more than httpx can say finds it behind."""
    async with httpx.AsyncClient(transport=SleepyTransport(max_response_body_size=3)) as client:
        assert isinstance((await failure(client.get(f"http://{closed_port()}/"))).__cause__, DialFailed)
        playing = asyncio.ensure_future(answers(peer, OK, close=True))
        assert isinstance((await failure(client.get(url(peer)))).__cause__, BodyTooLarge)
        await playing
        playing = asyncio.ensure_future(answers(peer, b"", close=True))
        assert isinstance((await failure(client.get(url(peer)))).__cause__, ConnectionClosed)
        await playing


async def test_options_reach_the_pool(peer: Peer) -> None:
    """Sleepy's: what every HostClient can be told, such as to try again, and whom to tell of it."""
    watch = Watch()
    transport = SleepyTransport(max_attempts=2, trace=watch.trace)
    async with httpx.AsyncClient(transport=transport) as client:

        async def play() -> None:
            await answers(peer, b"", close=True)
            await answers(peer, OK)

        assert (await together(client.get(url(peer)), play())).content == b"hello"
    assert len(watch.named("request.retried")) == 1


async def test_a_stale_connection_does_not_reach_a_caller_who_is_faster_than_the_news(peer: Peer) -> None:
    """Sleepy's: the peer closes while the request is on its way; httpx's own transport raises here."""
    async with httpx.AsyncClient(transport=SleepyTransport()) as client:

        async def play() -> None:
            wire = await peer.accept()
            await wire.read_head()
            wire.send(OK)
            await wire.read_head()
            wire.close()
            await answers(peer, OK)

        playing = asyncio.ensure_future(play())
        for _ in range(2):
            assert (await soon(client.get(url(peer)))).content == b"hello"
        await playing


def test_without_asyncio_it_says_what_it_needs() -> None:
    """As under trio."""
    transport = SleepyTransport(verify=False)
    for call in (transport.handle_async_request(httpx.Request("GET", "http://127.0.0.1/")), transport.aclose()):
        with pytest.raises(RuntimeError, match="SleepyTransport needs asyncio; under trio"):
            call.send(None)
