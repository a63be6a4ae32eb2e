"""`sleepy.tcp.client`: the right peer for each URL, and its three rules. Where redirects lead: test_redirects."""

import asyncio
import base64
import inspect
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trustme

from sleepy import sim
from sleepy.tcp import (
    BodyTooLarge,
    HostClient,
    LocalProtocolError,
    RemoteProtocolError,
    Request,
    RequestTimeout,
    Response,
    Server,
)
from sleepy.tcp.client import RECYCLE_INTERVAL, Client, HostClientOptions, HostOptions
from sleepy.tcp.errors import TooManyRedirects
from sleepy.tcp.http.redirects import Origin
from sleepy.tcp.options import PeerOptions
from tests.sleepy.tcp.helpers import Peer, Wire, soon, turns, turns_until
from tests.sleepy.tcp.virtual import World, now, on_network

Handler = Callable[[Request], Awaitable[Response]]


async def echo(request: Request) -> Response:
    """What was asked, as it came."""
    lines = [
        f"{request.method} {request.url}",
        *(f"{name.lower()}: {value}" for name, value in request.headers.items()),
    ]
    return Response(200, "\n".join(lines).encode() + b"\n\n" + request.body)


def redirecting(table: dict[str, tuple[int, str]], delay: float = 0.0) -> Handler:
    """A server that redirects some paths, and echoes the rest."""

    async def handler(request: Request) -> Response:
        await asyncio.sleep(delay)
        if request.url not in table:
            return await echo(request)
        status, location = table[request.url]
        return Response(status, b"elsewhere", {"location": location})

    return handler


def told(response: Response) -> tuple[str, dict[str, str], bytes]:
    """What an echoing server was asked: request line, fields, body."""
    head, _, body = response.body.partition(b"\n\n")
    line, *fields = head.decode().split("\n")
    return line, dict(field.split(": ", 1) for field in fields), body


# The right peer


@on_network(*(f"server{number}" for number in range(10)))
async def test_ten_peers_at_once(world: World) -> None:
    """fasthttp 11: ten servers, one client, concurrently: every answer is from the right one."""
    for number in range(10):

        async def handler(request: Request, number: int = number) -> Response:
            await asyncio.sleep(0.001 * (10 - number))
            return Response(200, f"server{number} {request.url}".encode())

        await world.serve(f"server{number}", handler)

    async with Client() as client:
        asked = [(f"server{number % 10}", f"/{number}") for number in range(200)]
        answers = await asyncio.gather(*(client.get(f"http://{name}{path}") for name, path in asked))
        assert [answer.body.decode() for answer in answers] == [f"{name} {path}" for name, path in asked]
        assert client.conns_count == client.idle_conns_count == 200
        assert client.pending_requests == 0
        client.close_idle_connections()
        assert client.idle_conns_count == 0


@on_network("a")
async def test_rule_2_ports_are_peers_of_their_own(world: World) -> None:
    async def other(request: Request) -> Response:
        return Response(200, b"other")

    await world.serve("a", echo)
    await world.serve("a", other, port=81)
    async with Client() as client:
        assert told(await client.get("http://a/x"))[0] == "GET /x"
        assert (await client.get("http://a:81/x")).body == b"other"
        assert told(await client.get("HTTP://A:80/x"))[0] == "GET /x"
        assert set(client._hosts) == {Origin("http", "a", 80), Origin("http", "a", 81)}


@pytest.mark.parametrize(
    ("url", "origin", "addr"),
    [
        ("http://a/", Origin("http", "a", 80), "a:80"),
        ("https://a/", Origin("https", "a", 443), "a:443"),
        ("http://a:443/", Origin("http", "a", 443), "a:443"),
        ("http://10.0.0.1/", Origin("http", "10.0.0.1", 80), "10.0.0.1:80"),
        ("https://10.0.0.1:8443/", Origin("https", "10.0.0.1", 8443), "10.0.0.1:8443"),
        ("http://[::1]/", Origin("http", "::1", 80), "[::1]:80"),
        ("https://[::1]/", Origin("https", "::1", 443), "[::1]:443"),
    ],
)
@on_network()
async def test_default_ports(world: World, url: str, origin: Origin, addr: str) -> None:
    """fasthttp 54: default ports for IPv4, IPv6, http and https; and TLS is spoken to https alone."""
    configured: list[tuple[Origin, bool]] = []
    async with Client(
        configure=lambda origin, options: configured.append((origin, bool(options.get("tls"))))
    ) as client:
        host = client._host(url)
        assert host._authority == addr
        assert configured == [(origin, origin.scheme == "https")]
        assert client._host(f"{url}other?path#fragment") is host


@on_network("a")
async def test_what_a_peer_is_asked(world: World) -> None:
    await world.serve("a", redirecting({"/r": (302, "/x"), "/raw": (302, "/%7Ez//y")}))
    async with Client() as client:
        line, fields, body = told(await client.post("http://a/%7Ex//y?q#f", b"data", headers={"X": "y"}))
        assert (line, body) == ("POST /~x/y?q", b"data")
        assert (fields["host"], fields["x"]) == ("a", "y")
        response = await client.do(Request("PUT", "http://a/z", body=b"more"))
        assert told(response)[0] == "PUT /z"
        async with client.stream(Request("GET", "http://a/r")) as response:
            assert response.status == 302
    async with Client(normalize_paths=False) as client:
        assert told(await client.get("http://a/%7Ex//y"))[0] == "GET /%7Ex//y"
        assert told(await client.post("http://a/%7Ex//y"))[0] == "POST /%7Ex//y"
        assert told(await client.get("http://a/raw"))[0] == "GET /%7Ez//y"
        assert told(await client.do(Request("GET", "http://a/ü")))[0] == "GET /%C3%BC"  # a request knows for itself


@pytest.mark.usefixtures("tidy")
async def test_a_unix_socket_is_a_peer_too(tmp_path: Path) -> None:
    """fasthttp 12: a Unix socket; here the URL names it, and it may redirect to itself."""
    path, wires = str(tmp_path / "app.sock"), list[Wire]()
    server = await asyncio.get_running_loop().create_unix_server(lambda: Wire(wires.append), path)
    async with Client(dial_timeout=30.0) as client:
        asking = asyncio.create_task(client.get(f"http+unix://{quote(path, safe='')}/x?y"))
        await turns_until(lambda: bool(wires))
        head = await wires[0].read_head()
        assert head.startswith(b"GET /x?y HTTP/1.1\r\n")
        assert b"\r\nhost: localhost\r\n" in head.lower()
        wires[0].answer(b"", "location: /z", status="302 Found")
        assert (await wires[0].read_head()).startswith(b"GET /z ")
        wires[0].answer(b"inside")
        assert (await soon(asking)).body == b"inside"
    server.close()
    wires[0].transport.abort()
    await wires[0].until(lambda: wires[0].lost)


@on_network("a")
async def test_credentials_in_the_url(world: World) -> None:
    """fasthttp 43: user:pass@ becomes Basic authentication, unless there is an Authorization field."""
    await world.serve("a", redirecting({"/r": (302, "/same"), "/away": (302, "http://a:80./away")}))
    basic = "Basic " + base64.b64encode(b"me:se cret").decode()
    async with Client() as client:
        line, fields, _ = told(await client.get("http://me:se%20cret@a/x"))
        assert (line, fields["host"], fields["authorization"]) == ("GET /x", "a", basic)
        _, fields, _ = told(await client.post("http://me:se%20cret@a/x", headers={"X": "y"}))
        assert (fields["authorization"], fields["x"]) == (basic, "y")
        _, fields, _ = told(await client.get("http://me:se%20cret@a/x", headers={"AUTHORIZATION": "mine"}))
        assert fields["authorization"] == "mine"
        line, fields, _ = told(await client.get("http://me:se%20cret@a/r"))
        assert (line, fields["authorization"]) == ("GET /same", basic)
        _, fields, _ = told(await client.get("http://a/x"))
        assert "authorization" not in fields


@pytest.mark.parametrize("url", ["/path", "*", "a/path", "//a/path"])
@on_network()
async def test_a_url_without_a_host_says_what_is_missing(world: World, url: str) -> None:
    async with Client() as client:
        with pytest.raises(LocalProtocolError, match="http://host"):
            await client.get(url)
        with pytest.raises(LocalProtocolError, match="http://host"):
            await client.do(Request("GET", "/path"), max_redirects=1)
        assert not client._hosts


# Options


@pytest.mark.skipif(not inspect.isfunction(HostClient.__init__), reason="compiled, it does not tell its parameters")
def test_the_options_of_a_host_client_are_those_of_a_client() -> None:
    """What HostClient learns, Client must pass on."""
    parameters = inspect.signature(HostClient).parameters.values()
    options = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    options |= set(PeerOptions.__annotations__)
    assert set(HostClientOptions.__annotations__) == options, "HostOptions in sleepy/tcp/client.py must list them"
    mine = {parameter.name for parameter in inspect.signature(Client).parameters.values()}
    assert not mine & set(HostOptions.__annotations__)


@on_network("a")
async def test_options_reach_every_peer(world: World) -> None:
    await world.serve("a", echo)
    async with Client(max_conns_per_host=1, max_response_body_size=10, max_conn_wait_timeout=7.0) as client:
        with pytest.raises(BodyTooLarge):
            await client.get("http://a/")
        host = client._host("http://a/")
        assert (host.max_conns, host._max_conn_wait_timeout) == (1, 7.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_conns_per_host": 0}, "max_conns"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_redirects": -1}, "max_red"),
        ({"max_concurrent_dials": 0}, "max_concurrent_dials"),
    ],
)
def test_wrong_options_are_found_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Client(**options)


@on_network("a", "b")
async def test_it_knows_what_it_has_done_with_all_peers(world: World) -> None:
    for host in ("a", "b"):
        await world.serve(host, echo)
    async with Client() as client:
        await client.get("http://a/")
        client.close_idle_connections()
        await asyncio.sleep(2 * RECYCLE_INTERVAL)  # a is dropped, and not forgotten
        assert client._hosts == {}
        await client.get("http://b/")
        assert (client.metrics.requests, client.metrics.dials, client.metrics.latency.count) == (2, 2, 2)


async def test_one_that_cannot_be_sent_does_not_lose_the_others() -> None:
    async with Client() as client:
        asked = [client.get("no url"), client.post("http://a b/"), client.get("/no-host")]
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(error) for error in errors] == [LocalProtocolError] * 3


@on_network("a", "b")
async def test_configure_is_called_for_each_new_peer_and_may_change_its_options(world: World) -> None:
    await world.serve("a", echo)
    await world.serve("b", echo)
    seen: list[Origin] = []

    def configure(origin: Origin, options: HostClientOptions) -> None:
        seen.append(origin)
        if origin.host == "a":
            options["max_conns"] = 3

    async with Client(max_conns_per_host=9, configure=configure) as client:
        for url in ("http://a/1", "http://b/", "http://a/2"):
            await client.get(url)
        assert seen == [Origin("http", "a", 80), Origin("http", "b", 80)]
        assert [host.max_conns for host in client._hosts.values()] == [3, 9]


@on_network("a")
async def test_an_error_of_configure_fails_the_request_and_nothing_is_stored(world: World) -> None:
    await world.serve("a", echo)
    errors = [KeyError("no such peer")]

    def configure(origin: Origin, options: HostClientOptions) -> None:
        if errors:
            raise errors.pop()

    async with Client(configure=configure) as client:
        with pytest.raises(KeyError, match="no such peer"):
            await client.get("http://a/")
        assert not client._hosts
        assert client._recycler is None
        assert (await client.get("http://a/")).status == 200


# Rule 1: who is dropped


class Used(HostClient[Request, Response]):
    """A HostClient that says of itself what the recycling asks for."""

    def __init__(self, conns: int = 0, pending: int = 0) -> None:
        super().__init__("used:80")
        self.conns, self.pending, self.closed = conns, pending, False

    @property
    def conns_count(self) -> int:
        return self.conns

    @property
    def pending_requests(self) -> int:
        return self.pending

    async def close(self, timeout: float = 5.0) -> None:
        await asyncio.sleep(0.05)
        self.closed = True


@pytest.mark.parametrize(("conns", "pending", "dropped"), [(0, 0, True), (1, 0, False), (0, 1, False), (1, 1, False)])
@on_network()
async def test_rule_1_dropped_is_who_has_neither_connections_nor_requests(
    world: World, conns: int, pending: int, dropped: bool
) -> None:
    async with Client() as client:
        client._host("http://a/")
        origin, used = Origin("http", "a", 80), Used(conns, pending)
        client._hosts[origin] = used
        await asyncio.sleep(RECYCLE_INTERVAL - 0.1)
        assert origin in client._hosts
        await asyncio.sleep(0.2)
        assert (origin not in client._hosts) == used.closed == dropped


@on_network("a", "b")
async def test_peers_come_and_go(world: World) -> None:
    """Idle connections end after ten seconds, their HostClients within ten more; then nothing is left to do."""
    await world.serve("a", echo)
    await world.serve("b", echo)
    async with Client() as client:
        for _ in range(2):
            await client.get("http://a/")
            await client.get("http://b/")
            assert len(client._hosts) == 2
            recycler = client._recycler
            await asyncio.sleep(20.1)
            assert not client._hosts
            assert client._recycler is None
            assert recycler is not None
            assert recycler.done()


@on_network("a")
async def test_rule_1_who_is_used_is_not_dropped(world: World) -> None:
    """A slow answer, over three rounds; and one that is being dialed, by a peer that is silent."""

    async def slow(request: Request) -> Response:
        await asyncio.sleep(35.0)
        return Response(200)

    await world.serve("a", slow)
    world.network.link("client", "silent", sim.Link(loss=1.0))
    async with Client(dial_timeout=25.0) as client:
        tasks = [asyncio.create_task(client.get(f"http://{name}/")) for name in ("a", "silent")]
        await asyncio.sleep(22.0)
        assert len(client._hosts) == 2
        assert (await tasks[0]).status == 200
        with pytest.raises(OSError, match="silent"):
            await tasks[1]


@pytest.mark.usefixtures("tidy")
async def test_rule_1_look_up_and_count_are_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the unused are dropped in every turn of the loop, so also in the one after the look-up.

    An await between look-up and counting, and the request would be with a client that is dropped, and closed if it came a
    little later still. (fasthttp's users met this.)
    """
    monkeypatch.setattr("sleepy.tcp.client.RECYCLE_INTERVAL", 0.0)
    async with Peer() as peer, Client() as client:
        client._host("http://always/")
        client._hosts[Origin("http", "always", 80)] = Used(conns=1)
        await turns()
        for _ in range(2):
            asking = asyncio.create_task(client.get(f"http://{peer.addr}/"))
            wire = await peer.accept()
            await wire.read_head()
            assert len(client._hosts) == 2
            wire.answer(b"found", "connection: close")
            assert (await soon(asking)).body == b"found"
            await turns_until(lambda: len(client._hosts) == 1)


# What all peers share


@on_network("a", "b", "c")
async def test_dials_are_limited_for_all_peers_together(world: World) -> None:
    """Each peer's client with a limit of its own would let a crawler dial all its peers at once."""
    dialing = most = 0

    async def dial(factory: Any, address: Any) -> Any:
        nonlocal dialing, most
        dialing += 1
        most = max(most, dialing)
        await asyncio.sleep(0.1)
        _, protocol = await asyncio.get_running_loop().create_connection(factory, address.host, address.port)
        dialing -= 1
        return protocol

    for name in "abc":
        await world.serve(name, echo)
    async with Client(max_concurrent_dials=1, dial=dial) as client:
        responses = await asyncio.gather(*(client.get(f"http://{name}/") for name in "abc"))
    assert [response.status for response in responses] == [200] * 3
    assert most == 1


# Rule 3: redirects


@on_network("a", "b")
async def test_a_redirect_of_two_hops(world: World) -> None:
    """fasthttp 31: a 302 to a 302 to the answer; here over two peers."""
    await world.serve("a", redirecting({"/1": (302, "/2"), "/2": (302, "http://b/3")}))
    await world.serve("b", echo)
    async with Client() as client:
        line, fields, _ = told(await client.get("http://a/1"))
        assert (line, fields["host"]) == ("GET /3", "b")
        assert (await client.do(Request("GET", "http://a/1"))).status == 302  # unless asked, none is followed
        assert told(await client.do(Request("GET", "http://a/1"), max_redirects=2))[0] == "GET /3"
    async with Client(max_redirects=None) as client:
        assert (await client.get("http://a/1")).headers["location"] == "/2"


@on_network("a")
async def test_too_many_redirects(world: World) -> None:
    """fasthttp 32: a limit of 0 is too many at the first; sixteen are followed by default."""
    table = {f"/{number}": (301, f"/{number - 1}") for number in range(1, 18)}
    await world.serve("a", redirecting(table))
    async with Client() as client:
        with pytest.raises(TooManyRedirects):
            await client.do(Request("GET", "http://a/1"), max_redirects=0)
        assert told(await client.get("http://a/16"))[0] == "GET /0"
        with pytest.raises(TooManyRedirects):
            await client.get("http://a/17")
        with pytest.raises(ValueError, match="max_redirects is -1"):
            await client.do(Request("GET", "http://a/0"), max_redirects=-1)


@pytest.mark.parametrize(("status", "method", "body"), [(301, "GET", b""), (303, "GET", b""), (307, "POST", b"data")])
@on_network("a")
async def test_what_becomes_of_a_post(world: World, status: int, method: str, body: bytes) -> None:
    """fasthttp 33, 34, 35, 36: 301, 302, 303 ask with GET and without the body and its fields; 307 and 308 post again."""
    await world.serve("a", redirecting({"/1": (status, "/2")}))
    async with Client() as client:
        headers = {"Content-Type": "text/plain"}
        line, fields, received = told(await client.post("http://a/1", b"data", headers=headers))
        assert (line, received) == (f"{method} /2", body)
        assert fields.get("content-type") == ("text/plain" if body else None)
        assert fields.get("content-length") == ("4" if body else None)


@on_network("a", "b")
async def test_credentials_stay_home(world: World) -> None:
    """fasthttp 37: what the first peer may know goes to no other, nor to another port of its own."""
    await world.serve("a", redirecting({"/b": (302, "http://b/"), "/81": (302, "http://a:81/"), "/a": (302, "/")}))
    await world.serve("a", echo, port=81)
    await world.serve("b", echo)
    async with Client() as client:
        for path, stay in (("/a", True), ("/b", False), ("/81", False)):
            _, fields, _ = told(await client.get(f"http://me:secret@a{path}", headers={"Cookie": "id=1", "X": "y"}))
            assert fields["x"] == "y"
            assert ("authorization" in fields, "cookie" in fields) == (stay, stay)


@pytest.mark.usefixtures("tidy")
async def test_from_http_to_https() -> None:
    """fasthttp 38: a redirect from http to https is followed, and TLS is spoken there, with a certificate that holds."""
    authority = trustme.CA()
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(secure)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    loop, wires = asyncio.get_running_loop(), list[Wire]()
    plain = await loop.create_server(lambda: Wire(wires.append), "127.0.0.1", 0)
    https = await loop.create_server(lambda: Wire(wires.append), "127.0.0.1", 0, ssl=secure)
    ports = [server.sockets[0].getsockname()[1] for server in (plain, https)]
    async with Client(tls=trusting, dial_timeout=30.0) as client:
        asking = asyncio.create_task(client.get(f"http://me:secret@127.0.0.1:{ports[0]}/1"))
        await turns_until(lambda: len(wires) == 1)
        assert b"authorization" in (await wires[0].read_head()).lower()
        wires[0].answer(b"", f"location: https://127.0.0.1:{ports[1]}/2", status="301 Moved Permanently")
        await turns_until(lambda: len(wires) == 2)
        head = await wires[1].read_head()
        assert head.startswith(b"GET /2 ")
        assert b"authorization" not in head.lower()  # another scheme, another port
        wires[1].answer(b"safe")
        assert (await soon(asking)).body == b"safe"
        assert [origin.scheme for origin in client._hosts] == ["http", "https"]
    plain.close()
    https.close()
    for wire in wires:
        wire.transport.abort()
        await wire.until(lambda wire=wire: wire.lost)  # type: ignore[misc]


@on_network("a", "b")
async def test_a_host_client_goes_nowhere_else(world: World) -> None:
    """fasthttp 39: a redirect to another scheme cannot take a HostClient with it; nor can one to another host or port."""
    elsewhere = {"/scheme": "https://a/2", "/host": "http://b/", "/port": "http://a:81/"}
    await world.serve("a", redirecting({path: (302, location) for path, location in elsewhere.items()}))
    async with HostClient("a:80") as host:
        for path, location in elsewhere.items():
            assert (await host.get(path)).status == 302  # unless asked, none is followed
            with pytest.raises(LocalProtocolError, match=f"http://a{path} redirects to {location}, .* use a Client"):
                await host.do_redirects(Request("GET", path))
        assert host.conns_count == 1


@on_network("a")
async def test_a_host_client_follows_what_stays_with_its_peer(world: World) -> None:
    """Asked by a path or by a whole URL; and whatever host that names, it is asked for there too."""
    table = {"/1": (302, "/2"), "/2": (307, "http://a/3"), "/v1": (303, "http://virtual/v2")}
    await world.serve("a", redirecting(table))
    async with HostClient("a:80") as host:
        for url in ("/1", "http://a/1", "http://a:80/1"):
            line, fields, body = told(await host.do_redirects(Request("PUT", url, body=b"data")))
            assert (line, fields["host"], body) == ("PUT /3", "a", b"data")
        line, fields, body = told(await host.do_redirects(Request("POST", "http://virtual/v1", body=b"data")))
        assert (line, fields["host"], body) == ("GET /v2", "virtual", b"")
        with pytest.raises(TooManyRedirects):
            await host.do_redirects(Request("GET", "/1"), 1)
        assert host.conns_count == 1


@on_network("a")
async def test_one_deadline_over_all_redirects_of_a_host_client(world: World) -> None:
    await world.serve("a", redirecting({f"/{number}": (302, f"/{number + 1}") for number in range(5)}, delay=0.080))
    async with HostClient("a:80") as host:
        began = now()
        with pytest.raises(RequestTimeout):
            await host.do_redirects(Request("GET", "/0"), timeout=0.25)
        assert now() - began == pytest.approx(0.25, abs=0.001)


@on_network("a")
async def test_rule_3_one_deadline_over_all_redirects(world: World) -> None:
    """fasthttp 23: a timeout during redirects; and 100 ms over five hops of 80 ms are too little, however they are cut."""
    table = {f"/{number}": (302, f"/{number + 1}") for number in range(5)}
    await world.serve("a", redirecting(table, delay=0.080))
    async with Client() as client:
        began = now()
        with pytest.raises(RequestTimeout) as caught:
            await client.get("http://a/0", timeout=0.25)
        assert now() - began == pytest.approx(0.25, abs=0.001)
        assert caught.value.phase == "read"
        assert caught.value.__notes__ == ["it came after 2 redirects, and 0.25 s were for all"]
        assert (await client.get("http://a/0", timeout=0.7)).status == 200
        with pytest.raises(RequestTimeout) as caught:
            await client.get("http://a/5", timeout=0.05)
        assert not hasattr(caught.value, "__notes__")


@pytest.mark.usefixtures("tidy")
async def test_a_host_client_that_speaks_tls_follows_to_https() -> None:
    """A path names no scheme: it is the client's own."""
    authority = trustme.CA()
    secure, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(secure)
    authority.configure_trust(trusting)

    async def handler(request: Request) -> Response:
        host = request.headers["host"]
        locations = {"/1": f"https://{host}/2", "/2": f"http://{host}/3"}
        return Response(302, headers={"location": locations[request.target]})

    async with (
        Server(handler, tls=secure) as server,
        HostClient(f"127.0.0.1:{server.address[1]}", tls=trusting, dial_timeout=30.0) as host,
    ):
        with pytest.raises(LocalProtocolError, match=r"https://.*/2 redirects to http://"):
            await soon(host.do_redirects(Request("GET", "/1")))


@on_network("a")
async def test_rule_3_when_the_time_is_over_between_two_hops_no_more_is_asked(world: World) -> None:
    """Also when the loop was late, and what is left is less than nothing."""
    await world.serve("a", redirecting({"/1": (302, "/2")}))
    async with Client() as client:
        loop = asyncio.get_running_loop()
        time, late = loop.time, 0.0
        loop.time = lambda: time() + late  # type: ignore[method-assign]
        asking = asyncio.create_task(client.get("http://a/1", timeout=1.0))
        await asyncio.sleep(0.001)
        late = 5.0
        try:
            with pytest.raises(RequestTimeout, match="within 0 s"):
                await asking
        finally:
            loop.time = time  # type: ignore[method-assign]


@on_network("a")
async def test_a_redirect_to_nowhere_is_the_peers_error(world: World) -> None:
    await world.serve("a", redirecting({"/1": (302, "ftp://a/")}))
    async with Client() as client:
        with pytest.raises(RemoteProtocolError, match="http://a/1 redirects to"):
            await client.get("http://a/1")


# Closing


@on_network("a")
async def test_close_lets_pending_requests_end_and_takes_no_more(world: World) -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(1.0)
        return Response(200, b"done")

    await world.serve("a", slow)
    client = Client()
    asking = asyncio.create_task(client.get("http://a/"))
    await asyncio.sleep(0.1)
    assert client.pending_requests == 1
    recycler = client._recycler
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0.1)
    for request in (client.get("http://a/"), client.get("http://b/"), client.do(Request("GET", "http://a/"))):
        with pytest.raises(RuntimeError, match="closed"):
            await request
    assert (await asking).body == b"done"
    await closing
    assert client.conns_count == 0
    assert recycler is not None
    assert recycler.done()
    await client.close()


@on_network()
async def test_close_in_the_middle_of_the_recycling_leaves_no_task(world: World) -> None:
    client = Client()
    client._host("http://a/")
    client._hosts[Origin("http", "a", 80)] = Used()
    recycler = client._recycler
    await asyncio.sleep(RECYCLE_INTERVAL + 0.01)
    assert not client._hosts
    await client.close()
    assert recycler is not None
    assert recycler.done()


@on_network("a", "b")
async def test_leaving_with_an_error_does_not_wait(world: World) -> None:
    async def never(request: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    await world.serve("a", never)
    await world.serve("b", never)

    async def use(client: Client, error: Exception | None) -> None:
        async with client:
            asking.extend(asyncio.create_task(client.get(f"http://{name}/")) for name in "ab")
            await asyncio.sleep(0.1)
            if error is not None:
                raise error

    for error, patience in ((KeyError("x"), 0.0), (None, 5.0)):
        asking, began = list[asyncio.Task[Response]](), now()
        outcome = await asyncio.gather(use(Client(), error), return_exceptions=True)
        assert outcome == [error]
        assert now() - began == pytest.approx(0.1 + patience, abs=0.05)  # both peers at the same time
        for failure in await asyncio.gather(*asking, return_exceptions=True):
            assert isinstance(failure, ConnectionError)
