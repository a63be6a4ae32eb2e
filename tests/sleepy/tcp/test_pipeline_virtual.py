"""`sleepy.tcp.pipeline_client` in virtual time: what takes seconds, or many requests. Step by step: test_pipeline_client."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from sleepy.tcp import (
    BodyTooLarge,
    ConnectionClosed,
    PipelineClient,
    PipelineOverflow,
    Request,
    RequestTimeout,
    Response,
)
from sleepy.tcp.backoff import Backoff
from sleepy.tcp.dialing.dialer import DialFailed
from tests.sleepy.tcp.virtual import World, now, on_network

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


async def echo(request: Request) -> Response:
    return Response(200, request.target.encode())


@asynccontextmanager
async def talking(world: World, name: str, talk: Talk) -> AsyncIterator[None]:
    """A server on the host of that name that plays a script on each connection."""
    ready = asyncio.Event()
    talks: set[asyncio.Task[None]] = set()

    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(begin(reader, writer))
        talks.add(task)
        task.add_done_callback(talks.discard)

    async def program() -> None:
        server = await asyncio.start_server(accept, "0.0.0.0", 80)
        ready.set()
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            for task in talks:
                task.cancel()
            await asyncio.gather(*talks, return_exceptions=True)

    serving = world.network.host(name).start(program())
    await ready.wait()
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.wait([serving])


async def outcomes(*asking: Awaitable[Response]) -> list[Any]:
    return await asyncio.gather(*asking, return_exceptions=True)


# fasthttp's own promises


@pytest.mark.parametrize(("max_conns", "delay"), [(1, 0.0), (1, 0.01), (3, 0.0), (3, 0.01)])
@on_network("server")
async def test_fasthttp_55(world: World, max_conns: int, delay: float) -> None:
    """fasthttp 55: serial, 10 concurrent, batched, 3 connections: all are right, and pending ends at 0."""
    await world.serve("server", echo)
    async with PipelineClient("server:80", max_conns=max_conns, max_batch_delay=delay) as client:

        async def caller(name: int, count: int) -> None:
            for number in range(count):
                response = await client.get(f"/{name}/{number}", timeout=10.0)
                assert response.body == f"/{name}/{number}".encode()

        await caller(0, 20)
        await asyncio.gather(*(caller(name, 20) for name in range(10)))
        assert client.pending_requests == client._pipeline.pending == 0
        assert len(client._connections) == max_conns


@on_network("server")
async def test_fasthttp_56(world: World) -> None:
    """fasthttp 56: ten read timeouts in a row: each returns an error, and it works again after."""
    hang = True

    async def handler(request: Request) -> Response:
        if hang:
            await asyncio.sleep(1000.0)
        return await echo(request)

    await world.serve("server", handler)
    async with PipelineClient("server:80", read_timeout=0.5) as client:
        for number in range(10):
            began = now()
            with pytest.raises(RequestTimeout) as error:
                await client.get(f"/{number}")
            assert error.value.phase == "read"
            assert now() - began < 0.6
            await asyncio.sleep(0.1)
            assert client._connections == {}  # its peer is silent: nothing more is asked there
        hang = False
        assert (await client.get("/")).status == 200


@pytest.mark.parametrize("who", ["client", "server"])
@on_network("server")
async def test_fasthttp_57(world: World, who: str) -> None:
    """fasthttp 57: works again after an idle close, whoever closes."""
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            async with asyncio.timeout(2.0 if who == "server" else None):
                await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)

    async def close_when_idle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except TimeoutError:
            writer.close()

    async with talking(world, "server", close_when_idle), PipelineClient("server:80") as client:
        for number in range(1, 4):
            assert (await client.post("/")).status == 200  # a POST would not survive a connection that is gone
            assert connections == number
            await asyncio.sleep(9.0)
            assert len(client._connections) == (1 if who == "client" else 0)
            await asyncio.sleep(2.0)
            assert client._connections == {}
            assert client._pipeline.lanes == []


@on_network("server")
async def test_fasthttp_58(world: World) -> None:
    """fasthttp 58: an idle limit of 1 ms with 8 concurrent callers: no request is lost."""
    await world.serve("server", echo)
    async with PipelineClient("server:80", max_idle_conn_duration=0.001) as client:

        async def caller(name: int) -> None:
            for number in range(20):
                response = await client.post(f"/{name}/{number}", timeout=60.0)
                assert response.body == f"/{name}/{number}".encode()
                await asyncio.sleep(0.0005 * name)

        await asyncio.gather(*(caller(name) for name in range(8)))
        await asyncio.sleep(0.1)
        assert client._connections == {}


@on_network("server")
async def test_fasthttp_59(world: World) -> None:
    """fasthttp 59: 103 (Early Hints) before two pipelined answers: each gets its own."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
        for body in (b"a", b"b"):
            writer.write(
                b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n" + body
            )
        await reader.read()

    async with talking(world, "server", talk), PipelineClient("server:80") as client:
        assert [answer.body for answer in await outcomes(client.get("/a"), client.get("/b"))] == [b"a", b"b"]


# A peer that is down


@on_network("server")
async def test_a_peer_that_is_down_is_dialed_with_pauses_and_its_callers_hear_of_it(world: World) -> None:
    """fasthttp dials without a pause (21,600 lines in its log within a second), and never tells."""
    dials: list[float] = []
    async with PipelineClient("server:80", max_conns=4) as client:
        count_dials(client, dials)
        began, ends = now(), list[float]()

        async def caller(method: str) -> None:
            with pytest.raises(DialFailed):
                await client.do(Request(method, "/"))
            ends.append(now() - began)

        await asyncio.gather(*(caller("GET") for _ in range(20)), *(caller("POST") for _ in range(5)))
        assert len(dials) <= 4 + 4  # four at once at first; then one at a time
        assert 0.05 + 0.1 + 0.2 + 0.4 <= min(ends) <= max(ends) <= 0.1 + 0.2 + 0.4 + 0.8 + 0.1
        assert client._pipeline.lanes == []


def count_dials(client: PipelineClient, dials: list[float]) -> None:
    dial = client._dial

    def counted(*arguments: Any) -> None:
        dials.append(now())
        dial(*arguments)

    client._dial = counted  # type: ignore[method-assign]


@on_network("server")
async def test_many_callers_of_a_peer_that_is_down_make_no_busy_loop(world: World) -> None:
    """Fifty requests a second for half a minute: a dial every few seconds, and each caller hears by his deadline."""
    dials: list[float] = []
    async with PipelineClient("server:80") as client:
        count_dials(client, dials)
        asking: list[asyncio.Task[Response]] = []
        for _ in range(30 * 50):
            await asyncio.sleep(0.02)
            asking.append(asyncio.create_task(client.get("/", timeout=10.0)))
        results = await outcomes(*asking)
        assert {type(result) for result in results} <= {DialFailed, RequestTimeout}
        assert 8 <= len(dials) <= 25
        assert client.pending_requests == client._pipeline.pending == 0


@on_network("server")
async def test_who_waits_while_the_peer_is_down_is_served_when_it_comes_back(world: World) -> None:
    async with PipelineClient("server:80", max_attempts=100) as client:
        asking = [asyncio.create_task(client.post(f"/{number}", timeout=60.0)) for number in range(20)]
        await asyncio.sleep(3.0)
        assert not any(task.done() for task in asking)
        await world.serve("server", echo)
        assert [answer.body for answer in await outcomes(*asking)] == [f"/{number}".encode() for number in range(20)]
        assert client._pipeline._backoff.next_try == 0.0


@on_network("server")
async def test_when_the_first_dial_succeeds_others_follow(world: World) -> None:
    """Two POSTs, which must go alone: the second waits for no more than the first's dial."""
    dials: list[float] = []

    async def slow(_: Request) -> Response:
        await asyncio.sleep(10.0)
        return Response(200)

    async with PipelineClient("server:80", max_conns=2, max_attempts=100) as client:
        count_dials(client, dials)
        asking = [asyncio.create_task(client.post("/")) for _ in range(2)]
        await asyncio.sleep(1.0)
        await world.serve("server", slow)
        began = now()
        assert [type(result) for result in await outcomes(*asking)] == [Response] * 2
        assert now() - began < 16.0


def mortal(deadly: Callable[[bytes], bool], seen: list[list[bytes]]) -> Talk:
    """A peer that dies of some requests, and answers the others; ``seen`` is what it has read, by connection."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        read: list[bytes] = []
        seen.append(read)
        while batch := await reader.read(65536):
            targets = [line.split(b" ")[1] for line in batch.split(b"\r\n") if line.endswith(b" HTTP/1.1")]
            read += targets
            for target in targets:
                if deadly(target):
                    return
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(target), target))

    return talk


@on_network("server")
async def test_a_peer_that_takes_connections_and_drops_them_is_no_better(world: World) -> None:
    """Nobody is tried more often than ``max_attempts``, and the last need not wait for the attempts of all before it."""
    seen: list[list[bytes]] = []
    async with talking(world, "server", mortal(lambda _: True, seen)), PipelineClient("server:80") as client:
        results = await outcomes(*(client.get(f"/{number}") for number in range(20)))
    assert {type(result) for result in results} == {ConnectionClosed}
    assert len(seen) == 5 + 4 + 3 + 2 + 1  # each that fails for good is an attempt of all behind it
    sent = Counter(target for connection in seen for target in connection)
    assert sent == {b"/%d" % number: 5 for number in range(20)}


@on_network("server")
async def test_what_the_peer_cannot_bear_fails_alone(world: World) -> None:
    """Those behind it are answered, however many attempts it has, and are sent with it twice at most."""
    seen: list[list[bytes]] = []
    dead = mortal(lambda target: target.startswith(b"/poison"), seen)
    targets = ["/a", "/poison1", "/b", "/poison2", "/poison3", "/c", "/d"]
    async with talking(world, "server", dead), PipelineClient("server:80", max_attempts=7) as client:
        results = await outcomes(*(client.get(target) for target in targets))
    kinds = [ConnectionClosed if "poison" in target else Response for target in targets]
    assert [type(result) for result in results] == kinds
    sent = Counter(target for connection in seen for target in connection)
    assert sent[b"/poison1"] == 1 + 7  # its first connection had answered before: it may have been stale
    assert sent[b"/b"] <= 1 + 2
    assert sent[b"/d"] <= 1 + 2 * 3


@pytest.mark.parametrize("seed", range(30))
@on_network("server")
async def test_how_often_a_request_is_sent_has_a_bound(world: World, seed: int) -> None:
    """Rule 1: as the first ``max_attempts`` times and once more, behind each of those before it twice.

    The peer dies of some requests nearly always, of others now and then, and says farewell behind some answers.
    """
    chance = Random(seed)
    count, max_attempts = chance.randint(2, 12), chance.randint(1, 8)
    deadly = {b"/%d" % number for number in range(count) if chance.random() < 0.4}
    sent = Counter[bytes]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while batch := await reader.read(65536):
            targets = [line.split(b" ")[1] for line in batch.split(b"\r\n") if line.endswith(b" HTTP/1.1")]
            sent.update(targets)
            for target in targets:
                if chance.random() < (0.95 if target in deadly else 0.1):
                    return
                farewell = b"connection: close\r\n" if chance.random() < 0.1 else b""
                writer.write(b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (farewell, len(target), target))
                if farewell:
                    return

    async with talking(world, "server", talk), PipelineClient("server:80", max_attempts=max_attempts) as client:
        results = await outcomes(*(client.get(f"/{number}") for number in range(count)))
    for number, result in enumerate(results):
        assert sent[b"/%d" % number] <= max_attempts + 1 + 2 * number
        assert isinstance(result, ConnectionClosed) or result.body == b"/%d" % number


@on_network("server")
async def test_an_answer_too_large_is_no_sign_of_a_peer_that_is_down(world: World) -> None:
    """It ends the connection, and is held against nobody else."""

    async def handler(request: Request) -> Response:
        return Response(200, b"x" * int(request.target[1:]))

    await world.serve("server", handler)
    async with PipelineClient("server:80", max_attempts=2, max_response_body_size=100) as client:
        results = await outcomes(*(client.get(f"/{size}") for size in [*range(101, 111), 5]))
    assert [type(result) for result in results] == 10 * [BodyTooLarge] + [Response]


@on_network("server")
async def test_closing_ends_the_pause(world: World) -> None:
    client = PipelineClient("server:80")
    asking = asyncio.create_task(client.get("/"))
    await asyncio.sleep(0.03)
    assert client._redial is not None
    await client.close(timeout=0.0)
    with pytest.raises(ConnectionClosed, match="this client was closed"):
        await asking
    began = now()
    await asyncio.sleep(10.0)
    assert client._redial.cancelled()
    assert now() - began == 10.0


@on_network("server")
async def test_closing_ends_the_gathering_of_a_batch(world: World) -> None:
    """No timer is left of it: the loop may be closed at once, and the client be forgotten."""
    await world.serve("server", echo)
    client = PipelineClient("server:80", max_batch_delay=60.0)
    asking = asyncio.create_task(client.get("/"))
    await asyncio.sleep(0.1)
    assert (await asking).status == 200  # a new connection does not wait for a batch
    asking = asyncio.create_task(client.get("/"))
    await asyncio.sleep(0.1)
    (timer,) = client._gathering.values()
    await client.close(timeout=0.0)
    assert timer is not None
    assert timer.cancelled()
    with pytest.raises(ConnectionClosed, match="this client was closed"):
        await asking


# Peers that close


@pytest.mark.parametrize("farewell", [b"", b"connection: close\r\n"])
@on_network("server")
async def test_a_peer_that_closes_after_every_ten_answers_fails_nobody(world: World, farewell: bytes) -> None:
    """In fasthttp's users' words: EOF after about 100 requests. With a word of farewell or without."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(10):
            await reader.readuntil(b"\r\n\r\n")
            fields = farewell if number == 9 else b""
            writer.write(b"HTTP/1.1 200 OK\r\n" + fields + b"content-length: 0\r\n\r\n")

    async with talking(world, "server", talk), PipelineClient("server:80") as client:
        results = await outcomes(*(client.get("/", timeout=60.0) for _ in range(256)))
        assert [type(result) for result in results] == [Response] * 256


# POSTs


@on_network("server")
async def test_posts_go_alone_and_nobody_is_sent_behind_them(world: World) -> None:
    """fasthttp pipelines them like GETs; then a lost connection leaves any number of them in doubt."""
    batches: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while batch := await reader.read(65536):
            methods = batch.count(b"GET /"), batch.count(b"POST /")
            batches.append(b"G" * methods[0] + b"P" * methods[1])
            await asyncio.sleep(0.1)
            writer.write(ANSWER * sum(methods))

    async with talking(world, "server", talk), PipelineClient("server:80") as client:
        plan = "GGPPGGG"
        results = await outcomes(*(client.get("/") if letter == "G" else client.post("/") for letter in plan))
        assert [type(result) for result in results] == [Response] * 7
        assert batches == [b"GG", b"P", b"P", b"GGG"]


@on_network("server")
async def test_a_turn_brings_no_more_than_the_limit(world: World) -> None:
    """Asked for in one turn of the event loop, before anything could be written."""
    await world.serve("server", echo)
    async with PipelineClient("server:80", max_pending_requests=100) as client:
        for ask in (client.get, client.post):
            results = await outcomes(*(ask("/") for _ in range(300)))
            kinds = [type(result) for result in results]
            allowed = 100 if ask == client.get else 101  # one on the connection, the others in line
            assert kinds == [Response] * allowed + [PipelineOverflow] * (300 - allowed)


# Stalls


async def slow_at_times(request: Request) -> Response:
    await asyncio.sleep(float(request.target[1:]))
    return Response(200)


@on_network("server")
async def test_who_gives_up_behind_a_stall_was_never_sent(world: World) -> None:
    """In fasthttp 20 requests behind a slow one time out, and the server still works for every one of them."""
    served: list[str] = []

    async def handler(request: Request) -> Response:
        served.append(request.target)
        return await slow_at_times(request)

    await world.serve("server", handler)
    async with PipelineClient("server:80") as client:
        for _ in range(20):
            await client.get("/0")
        slow = asyncio.create_task(client.get("/1.0"))
        await asyncio.sleep(0.2)
        assert [type(result) for result in await outcomes(*(client.get("/0.0", timeout=0.3) for _ in range(20)))] == [
            RequestTimeout
        ] * 20
        waits = asyncio.create_task(client.get("/0.00"))
        assert (await slow).status == (await waits).status == 200
        assert served[20:] == ["/1.0", "/0.00"]


def held_up_in_bursts(*, guard: bool) -> int:
    """Forty requests every 100 ms over four connections; of 400 one takes 0.5 s, the others 1 ms. How many take long?"""
    held: list[float] = []
    draw = Random(1)
    waits = [0.5 if slow == number else 0.001 for slow in draw.choices(range(400), k=10) for number in range(400)]

    async def ask(client: PipelineClient, wait: float) -> None:
        began = now()
        await client.get(f"/{wait}")
        if wait < 0.5 and now() - began > 0.15:
            held.append(began)

    @on_network("server")
    async def run(world: World) -> None:
        await world.serve("server", slow_at_times)
        async with (
            PipelineClient("server:80", max_conns=4, stall_guard=guard) as client,
            asyncio.TaskGroup() as requests,
        ):
            for number, wait in enumerate(waits):
                if number % 40 == 0:
                    await asyncio.sleep(0.1)
                requests.create_task(ask(client, wait))

    run()
    return len(held)


def test_the_guard_spares_those_who_come_later() -> None:
    """Least pending alone sends them to a stalled connection, if many come at once; lesson 2 tells of it."""
    guarded, unguarded = held_up_in_bursts(guard=True), held_up_in_bursts(guard=False)
    assert 0 < guarded < unguarded / 2


@on_network("server")
async def test_a_silent_connection_that_nobody_waits_for_is_closed(world: World) -> None:
    """However short the deadlines are: a peer that will never answer does not keep a client for ever."""
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        silent = connections == 1
        while await reader.readuntil(b"\r\n\r\n"):
            if not silent:
                writer.write(ANSWER)

    async with talking(world, "server", talk), PipelineClient("server:80") as client:
        for _ in range(5):
            with pytest.raises(RequestTimeout):
                await client.get("/", timeout=0.1)
        await asyncio.sleep(2.0)
        assert (await client.get("/", timeout=1.0)).status == 200
        assert connections == 2


@on_network("server")
async def test_it_is_closed_at_once_when_the_last_who_waited_gives_up(world: World) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with talking(world, "server", talk), PipelineClient("server:80") as client:
        assert await outcomes(client.get("/", timeout=2.0), client.get("/", timeout=3.0)) != []
        await asyncio.sleep(0.0)
        assert client._connections == {}
        assert now() < 3.1


@on_network("server")
async def test_a_read_timeout_of_the_first_moves_those_behind(world: World) -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        silent = connections == 1
        while await reader.readuntil(b"\r\n\r\n"):
            if not silent:
                writer.write(ANSWER)

    async with (
        talking(world, "server", talk),
        PipelineClient("server:80", read_timeout=1.0, stall_guard=False) as client,
    ):
        first = asyncio.create_task(client.get("/"))
        await asyncio.sleep(0.5)
        second = asyncio.create_task(client.get("/"))
        assert [type(result) for result in await outcomes(first, second)] == [RequestTimeout, Response]
        assert now() < 1.2
        assert connections == 2


@on_network("server")
async def test_each_attempt_has_its_own_read_timeout(world: World) -> None:
    """What is left of the first attempt's does not cut short the second."""
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.9)
        if connections == 2:
            writer.write(ANSWER)
            await reader.read()

    async with talking(world, "server", talk), PipelineClient("server:80", read_timeout=1.0) as client:
        client._pipeline._backoff = Backoff(shortest=2.0)  # it runs out while the request waits for the next dial
        assert (await client.get("/")).status == 200
        assert now() > 2.8


@on_network("server")
async def test_only_what_was_sent_counts_as_a_retry(world: World) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    async with talking(world, "server", talk), PipelineClient("server:80") as client:
        assert [answer.status for answer in await outcomes(*(client.post("/") for _ in range(3)))] == [200] * 3
        assert client.metrics.retries == 0
        assert [answer.status for answer in await outcomes(*(client.get("/") for _ in range(3)))] == [200] * 3
        assert client.metrics.retries == 2 + 1


# Chaos


@pytest.mark.parametrize("seed", range(10))
@on_network("server")
async def test_whatever_the_peer_does_every_caller_gets_his_answer_or_one_error_in_time(
    world: World, seed: int
) -> None:
    """It answers at once, slowly, never; it closes, resets, or sends the answer in two halves."""
    draw = Random(seed)
    calm = False

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            target = head.split(b" ")[1]
            whims = draw.choices(["at once", "slowly", "never", "close", "reset", "halves"], [90, 5, 1, 1, 1, 2])
            match "at once" if calm else whims[0]:
                case "slowly":
                    await asyncio.sleep(draw.random())
                case "never":
                    await asyncio.sleep(1000.0)
                case "close":
                    return
                case "reset":
                    writer.transport.abort()
                    return
                case "halves":
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-le")
                    await asyncio.sleep(0.05)
                    writer.write(b"ngth: %d\r\n\r\n%b" % (len(target), target))
                    continue
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(target), target))

    async with (
        talking(world, "server", talk),
        PipelineClient("server:80", max_conns=3, max_pending_requests=50) as client,
    ):
        client._pipeline._backoff = Backoff(random=draw)
        ended: list[str] = []

        async def caller(name: int) -> None:
            for number in range(30):
                method = draw.choice(["GET", "GET", "POST"])
                target, timeout = f"/{name}/{number}", draw.choice([0.05, 0.5, 5.0])
                began = now()
                try:
                    async with asyncio.timeout(draw.choice([None, None, 0.1])):
                        response = await client.do(Request(method, target), timeout=timeout)
                except (RequestTimeout, ConnectionClosed, PipelineOverflow, TimeoutError):
                    pass
                else:
                    assert response.body == target.encode()
                assert now() - began <= timeout + 0.001
                ended.append(target)
                await asyncio.sleep(draw.random() * 0.02)

        await asyncio.gather(*(caller(name) for name in range(20)))
        assert len(ended) == len(set(ended)) == 20 * 30
        assert client.pending_requests == 0
        calm = True
        for _ in range(10):  # and when all is well again it is well at once, but for a pause
            assert (await client.get("/", timeout=6.0)).status == 200
