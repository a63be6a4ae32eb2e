"""`sleepy.tcp.multiplex_client`: many calls on one connection, against a scripted peer and in virtual time."""

import asyncio
import itertools
from random import Random
from typing import Any

import pytest

from sleepy import sim
from sleepy.tcp import (
    BodyTooLarge,
    ConnectionClosed,
    LocalProtocolError,
    PipelineClient,
    PipelineOverflow,
    RemoteProtocolError,
    RequestTimeout,
)
from sleepy.tcp.errors import RemoteError
from sleepy.tcp.frames import Frames
from sleepy.tcp.lb_client import LBClient
from sleepy.tcp.multiplex import Kind, Message, Multiplex, decode, encode
from sleepy.tcp.multiplex_client import MultiplexClient
from tests.sleepy.tcp.helpers import Clock, Peer, Watch, Wire, closed_port, soon, speaks_first, turns, turns_until
from tests.sleepy.tcp.virtual import World, now, on_network

Asking = asyncio.Task[bytes]


async def ask(client: MultiplexClient, *requests: bytes, timeout: float | None = None) -> list[Asking]:
    tasks = [asyncio.create_task(client.do(request, timeout=timeout)) for request in requests]
    await turns()
    return tasks


async def read(wire: Wire) -> Message:
    """The next message on the wire."""
    got = wire.received

    def whole() -> bool:
        return len(got) >= 4 and len(got) >= 4 + int.from_bytes(got[:4], "big")

    await wire.until(lambda: whole() or wire.ended)
    assert whole(), f"the connection ended with {bytes(got)!r}"
    end = 4 + int.from_bytes(got[:4], "big")
    content = bytes(got[4:end])
    del got[:end]
    return decode(content)


async def read_requests(wire: Wire, *payloads: bytes) -> list[int]:
    """These requests are the next on the wire; give their ids."""
    messages = [await read(wire) for _ in payloads]
    assert [(message.kind, message.payload) for message in messages] == [(Kind.REQUEST, data) for data in payloads]
    return [message.id for message in messages]


def say(wire: Wire, kind: Kind, number: int, payload: bytes = b"") -> None:
    wire.send(encode(kind, number, payload, max_size=1 << 20))


async def errors(tasks: list[Asking]) -> list[type[BaseException]]:
    return [type(result) for result in await soon(asyncio.gather(*tasks, return_exceptions=True))]


# Calls


@pytest.mark.usefixtures("tidy")
async def test_answers_come_in_any_order_and_each_to_its_own_caller() -> None:
    async with Peer() as peer, MultiplexClient(peer.addr) as client:
        tasks = await ask(client, b"a", b"b", b"c")
        wire = await peer.accept()
        a, b, c = await read_requests(wire, b"a", b"b", b"c")
        assert (client.pending_requests, client.conns_count) == (3, 1)
        for number, payload, task in ((c, b"3", tasks[2]), (a, b"1", tasks[0]), (b, b"2", tasks[1])):
            say(wire, Kind.ANSWER, number, payload)
            assert await soon(task) == payload
        assert client.pending_requests == 0


@pytest.mark.usefixtures("tidy")
async def test_an_error_reaches_its_own_caller_only() -> None:
    async with Peer() as peer, MultiplexClient(peer.addr, idempotent=True) as client:
        bad, good, dropped = await ask(client, b"bad", b"good", b"dropped")
        wire = await peer.accept()
        numbers = await read_requests(wire, b"bad", b"good", b"dropped")
        say(wire, Kind.ERROR, numbers[0], "ValueError: naïve \ufffd".encode() + b"\xff")
        say(wire, Kind.CANCEL, numbers[2])
        say(wire, Kind.ANSWER, numbers[1], b"fine")
        with pytest.raises(RemoteError, match=r"^ValueError: naïve \ufffd\ufffd$"):
            await soon(bad)
        with pytest.raises(RemoteError, match="the peer cancelled the call"):
            await soon(dropped)
        assert await soon(good) == b"fine"
        assert len(peer.wires) == 1


@pytest.mark.usefixtures("tidy")
async def test_what_cannot_be_sent_costs_nothing() -> None:
    async with Peer() as peer, MultiplexClient(peer.addr, max_frame_size=4) as client:
        with pytest.raises(TypeError, match="a frame carries bytes, not str"):
            await client.do("text")  # type: ignore[arg-type]
        with pytest.raises(LocalProtocolError, match="max_frame_size allows 4"):
            await client.do(b"12345")
        with pytest.raises(RequestTimeout):
            await client.do(b"1", timeout=0.0)
        assert (client.pending_requests, peer.wires) == (0, [])


@pytest.mark.usefixtures("tidy")
async def test_what_is_asked_is_what_was_there_when_it_was_asked() -> None:
    async with Peer() as peer, MultiplexClient(peer.addr) as client:
        changing: Any = bytearray(b"before")
        (task,) = await ask(client, changing)
        changing[:] = b"after!"
        wire = await peer.accept()
        (number,) = await read_requests(wire, b"before")
        say(wire, Kind.ANSWER, number)
        assert await soon(task) == b""


def test_options_that_make_no_sense_are_refused() -> None:
    for options in (
        {"max_conns": 0},
        {"max_pending_requests": 0},
        {"max_frame_size": 0},
        {"max_idle_conn_duration": 0},
        {"max_attempts": 0},
    ):
        with pytest.raises(ValueError, match=next(iter(options))):
            MultiplexClient("a:1", **options)  # type: ignore[arg-type]


# Giving up


@pytest.mark.parametrize("way", ["cancel", "deadline", "read timeout"])
@pytest.mark.usefixtures("tidy")
async def test_promise_1_who_gives_up_is_free_and_the_peer_is_told(way: str) -> None:
    """And the answer that comes in spite of it is nobody's."""
    clock = Clock()
    async with (
        Peer() as peer,
        MultiplexClient(
            peer.addr, max_pending_requests=2, read_timeout=5.0 if way == "read timeout" else None
        ) as client,
    ):
        (slow,) = await ask(client, b"slow", timeout=5.0 if way == "deadline" else None)
        wire = await peer.accept()
        (number,) = await read_requests(wire, b"slow")
        if way == "cancel":
            slow.cancel()
            with pytest.raises(asyncio.CancelledError):
                await soon(slow)
        else:
            await clock.advance(5.1)
            with pytest.raises(RequestTimeout, match="phase 'read'"):
                await soon(slow)
        assert client.pending_requests == 0
        assert await read(wire) == (Kind.CANCEL, number, b"")
        others = await ask(client, b"x", b"y")  # both find room
        x, y = await read_requests(wire, b"x", b"y")
        assert number not in {x, y}
        say(wire, Kind.ANSWER, number, b"late")
        say(wire, Kind.ANSWER, y, b"Y")
        say(wire, Kind.ANSWER, x, b"X")
        assert await soon(asyncio.gather(*others)) == [b"X", b"Y"]
        assert len(peer.wires) == 1


@pytest.mark.usefixtures("tidy")
async def test_who_gives_up_before_it_was_sent_sends_nothing() -> None:
    async with Peer() as peer, MultiplexClient(peer.addr) as client:
        gone, stays = (asyncio.create_task(client.do(request)) for request in (b"gone", b"stays"))
        await asyncio.sleep(0)
        gone.cancel()
        wire = await peer.accept()
        (number,) = await read_requests(wire, b"stays")
        say(wire, Kind.ANSWER, number)
        await soon(stays)
        assert wire.received == b""
        assert gone.cancelled()


@pytest.mark.usefixtures("tidy")
async def test_a_peer_that_does_not_heed_is_left() -> None:
    """Rule 5 of the core: its connection is closed, those who still wait hear of it, and the next call dials."""
    async with Peer() as peer, MultiplexClient(peer.addr, max_pending_requests=3) as client:
        (waiting,) = await ask(client, b"waiting")
        wire = await peer.accept()
        for _ in range(3):
            assert not wire.ended
            (task,) = await ask(client, b"ignored")
            task.cancel()
            await turns()
        await wire.gone()
        with pytest.raises(ConnectionClosed, match="did not heed"):
            await soon(waiting)
        (task,) = await ask(client, b"next")
        wire = await peer.accept()
        (number,) = await read_requests(wire, b"next")
        say(wire, Kind.ANSWER, number, b"fine")
        assert await soon(task) == b"fine"


# Limits


@pytest.mark.usefixtures("tidy")
async def test_too_much_is_refused_at_once() -> None:
    async with Peer() as peer, MultiplexClient(peer.addr, max_pending_requests=2) as client:
        tasks = await ask(client, b"a", b"b", b"c")
        assert tasks[2].done()
        with pytest.raises(PipelineOverflow, match="2 requests are pending"):
            await tasks[2]
        wire = await peer.accept()
        for number in await read_requests(wire, b"a", b"b"):
            say(wire, Kind.ANSWER, number)
        await soon(asyncio.gather(*tasks[:2]))


@pytest.mark.usefixtures("tidy")
async def test_another_connection_is_opened_when_the_first_is_busy() -> None:
    async with Peer() as peer, MultiplexClient(peer.addr, max_conns=2) as client:
        tasks = await ask(client, b"a", b"b", b"c")
        wires = [await peer.accept(), await peer.accept()]
        for wire, payloads in zip(wires, ([b"a", b"c"], [b"b"]), strict=True):
            for number in await read_requests(wire, *payloads):
                say(wire, Kind.ANSWER, number)
        await soon(asyncio.gather(*tasks))
        assert client.conns_count == 2


# A peer that breaks off, or is confused


@pytest.mark.usefixtures("tidy")
async def test_promise_3_a_lost_connection_fails_what_was_sent() -> None:
    async with Peer() as peer, MultiplexClient(peer.addr) as client:
        tasks = await ask(client, b"a", b"b")
        wire = await peer.accept()
        (a, _) = await read_requests(wire, b"a", b"b")
        say(wire, Kind.ANSWER, a, b"A")
        wire.close()
        assert await soon(tasks[0]) == b"A"
        with pytest.raises(ConnectionClosed, match="before it answered"):
            await soon(tasks[1])
        assert (client.conns_count, client.pending_requests) == (0, 0)


@pytest.mark.usefixtures("tidy")
async def test_promise_3_what_is_idempotent_moves_and_only_so_often() -> None:
    clock = Clock()
    async with Peer() as peer, MultiplexClient(peer.addr, idempotent=True, max_attempts=2) as client:
        tasks = await ask(client, b"a", b"b")
        wire = await peer.accept()
        await read_requests(wire, b"a", b"b")
        wire.close()
        await turns_until(lambda: client.conns_count == 0)
        await clock.advance(10.0)  # nothing came on it, so there is a pause
        wire = await peer.accept()
        (_, b) = await read_requests(wire, b"a", b"b")
        say(wire, Kind.ANSWER, b, b"B")
        wire.close()
        assert await soon(tasks[1]) == b"B"
        wire = await peer.accept()  # the last may have been idle for all its peer knew: that does not count, once
        await read_requests(wire, b"a")
        wire.close()
        with pytest.raises(ConnectionClosed):
            await soon(tasks[0])
        assert len(peer.wires) == 3


@pytest.mark.usefixtures("tidy")
async def test_promise_3_who_may_be_repeated_can_be_told_one_by_one() -> None:
    clock = Clock()
    async with Peer() as peer, MultiplexClient(peer.addr, retry_if=lambda request, _: request == b"again") as client:
        tasks = await ask(client, b"once", b"again")
        wire = await peer.accept()
        await read_requests(wire, b"once", b"again")
        wire.close()
        assert await errors(tasks[:1]) == [ConnectionClosed]
        await clock.advance(10.0)
        wire = await peer.accept()
        (number,) = await read_requests(wire, b"again")
        say(wire, Kind.ANSWER, number, b"fine")
        assert await soon(tasks[1]) == b"fine"


@pytest.mark.usefixtures("tidy")
async def test_promise_3_what_was_not_sent_moves_whatever_it_is() -> None:
    """Asked when the connection is going down already."""
    async with Peer() as peer, MultiplexClient(peer.addr) as client:
        (task,) = await ask(client, b"first")
        wire = await peer.accept()
        (number,) = await read_requests(wire, b"first")
        say(wire, Kind.ANSWER, number)
        await soon(task)
        (connection,) = client._connections
        moving = asyncio.create_task(client.do(b"second"))  # runs when we have aborted, and before anybody is told
        connection.abort()
        wire = await peer.accept()
        (number,) = await read_requests(wire, b"second")
        say(wire, Kind.ANSWER, number, b"fine")
        assert await soon(moving) == b"fine"


@pytest.mark.parametrize(
    "lie",
    [
        encode(Kind.ANSWER, 77),
        encode(Kind.REQUEST, 0),
        b"\x00\x00\x00\x05\x09\x00\x00\x00\x00",
        b"\x00\x00\x00\x00",
        b"\x00\x01\x00\x06",
    ],
    ids=["unasked", "a request", "no kind", "empty", "too long"],
)
@pytest.mark.usefixtures("tidy")
async def test_a_peer_that_sends_something_else_is_cut_off(lie: bytes) -> None:
    async with Peer() as peer, MultiplexClient(peer.addr, max_frame_size=1 << 16, idempotent=lie[1] == 1) as client:
        tasks = await ask(client, b"a", b"b")
        wire = await peer.accept()
        await read_requests(wire, b"a", b"b")
        wire.send(lie)
        expected = BodyTooLarge if lie[1] == 1 else RemoteProtocolError
        assert await errors(tasks) == [expected, expected]
        if lie[1] == 1:
            with pytest.raises(BodyTooLarge, match=f"limit of {1 << 16} bytes"):  # as it was set, without the id
                await tasks[0]
        await wire.gone()
        assert len(peer.wires) == 1


@pytest.mark.usefixtures("tidy")
async def test_a_peer_that_speaks_before_it_is_asked() -> None:
    """The first id is no secret: an answer to it may be there before the request."""
    async with MultiplexClient("127.0.0.1:1") as client:
        client._dials._dialer.dial = speaks_first(encode(Kind.ANSWER, 0, b"x", max_size=1))  # type: ignore[method-assign]
        with pytest.raises(RemoteProtocolError, match="before it was asked"):
            await soon(client.do(b""))
        assert client.conns_count == client.pending_requests == 0


async def test_the_longest_message_is_as_long_as_allowed() -> None:
    async with Peer() as peer, MultiplexClient(peer.addr, max_frame_size=100_000) as client:
        (task,) = await ask(client, bytes(100_000))
        wire = await peer.accept()
        (number,) = await read_requests(wire, bytes(100_000))
        say(wire, Kind.ANSWER, number, bytes(100_000))
        assert await soon(task) == bytes(100_000)


@pytest.mark.usefixtures("tidy")
async def test_bytes_that_nobody_asked_for_end_an_idle_connection() -> None:
    async with Peer() as peer, MultiplexClient(peer.addr) as client:
        (task,) = await ask(client, b"a")
        wire = await peer.accept()
        (number,) = await read_requests(wire, b"a")
        say(wire, Kind.ANSWER, number)
        await soon(task)
        say(wire, Kind.ANSWER, number)
        await wire.gone()
        await turns_until(lambda: client.conns_count == 0)


# Idle connections


@pytest.mark.usefixtures("tidy")
async def test_a_connection_is_closed_when_it_was_idle_for_too_long_and_not_before() -> None:
    clock = Clock()
    async with Peer() as peer, MultiplexClient(peer.addr, max_idle_conn_duration=10.0, max_conns=2) as client:
        slow, quick = await ask(client, b"slow", b"quick")
        one, two = await peer.accept(), await peer.accept()
        (first,) = await read_requests(one, b"slow")
        (second,) = await read_requests(two, b"quick")
        say(two, Kind.ANSWER, second)
        await soon(quick)
        await clock.advance(5.0)
        say(one, Kind.ANSWER, first)
        await soon(slow)
        await clock.advance(4.9)
        assert client.conns_count == 2
        await clock.advance(0.2)
        await two.gone()
        assert client.conns_count == 1
        (task,) = await ask(client, b"again")  # whose connection is not idle
        (number,) = await read_requests(one, b"again")
        await clock.advance(30.0)
        assert not one.ended
        say(one, Kind.ANSWER, number)
        await soon(task)
        await clock.advance(10.1)
        await one.gone()
        assert client.conns_count == 0


@pytest.mark.usefixtures("tidy")
async def test_a_connection_is_idle_when_its_last_caller_has_given_up() -> None:
    """Also if the peer has never heeded."""
    clock = Clock()
    async with Peer() as peer, MultiplexClient(peer.addr, max_idle_conn_duration=10.0) as client:
        (task,) = await ask(client, b"a")
        wire = await peer.accept()
        await read_requests(wire, b"a")
        await clock.advance(30.0)
        task.cancel()
        await clock.advance(9.9)
        assert not wire.ended
        await clock.advance(0.2)
        await wire.gone()


@pytest.mark.usefixtures("tidy")
async def test_a_closed_client_leaves_no_timer() -> None:
    async with Peer() as peer:
        client = MultiplexClient(peer.addr)
        (task,) = await ask(client, b"a")
        wire = await peer.accept()
        (number,) = await read_requests(wire, b"a")
        say(wire, Kind.ANSWER, number)
        await soon(task)
        timer = client._cleaner
        assert timer is not None
        await client.close()
        assert timer.cancelled()


# Dialing


def watch_dials(client: MultiplexClient) -> list[float]:
    """When dials begin, in seconds."""
    dials: list[float] = []
    dial = client._dial

    def watched(*arguments: Any) -> None:
        dials.append(now())
        dial(*arguments)

    client._dial = watched  # type: ignore[method-assign]
    return dials


@pytest.mark.usefixtures("tidy")
async def test_promise_4_who_waits_for_a_dial_that_fails_hears_so() -> None:
    async with MultiplexClient(closed_port()) as client:
        tasks = await ask(client, b"a", b"b")
        for task in tasks:
            with pytest.raises(OSError, match="cannot connect"):
                await soon(task)
        assert client.pending_requests == 0


@on_network("server")
async def test_promise_4_a_peer_that_is_down_is_dialed_with_longer_and_longer_pauses(world: World) -> None:
    """Ten callers a second for a minute; and when the peer is there again they are served."""

    async def echo(request: bytes) -> bytes:
        return request

    async with MultiplexClient("server:80") as client:
        dials = watch_dials(client)
        while now() < 60.0:
            asking = asyncio.create_task(client.do(b"x", timeout=0.1))
            await asyncio.wait([asking])
            assert isinstance(asking.exception(), OSError)  # of which a timeout is one
        pauses = [later - earlier for earlier, later in itertools.pairwise(dials)]
        assert all(pause < 5.2 for pause in pauses)
        assert all(pause > 2.4 for pause in pauses[7:])
        assert len(dials) < 30
        await world.serve("server", echo, codec=Multiplex())
        assert await client.do(b"x", timeout=10.0) == b"x"
        await world.stop("server")
        await asyncio.sleep(1.0)
        with pytest.raises(OSError, match="cannot connect"):
            await client.do(b"x", timeout=10.0)
        await world.serve("server", echo, codec=Multiplex())
        began = now()
        assert await client.do(b"x", timeout=10.0) == b"x"
        assert 0.05 < now() - began < 0.15  # what was before the success is forgotten
        assert client._holding == {}


@on_network("server")
async def test_promise_4_so_is_one_that_takes_connections_and_drops_them(world: World) -> None:
    accepted: list[float] = []

    def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(now())
        writer.transport.abort()

    async def program() -> None:
        async with await asyncio.start_server(drop, "0.0.0.0", 80):
            await asyncio.Event().wait()

    serving = world.network.host("server").start(program())
    async with MultiplexClient("server:80", idempotent=True, max_attempts=50) as client:
        with pytest.raises(RequestTimeout, match="phase 'queue'"):
            await client.do(b"x", timeout=59.9)
        assert 10 < len(accepted) < 40
    serving.cancel()
    await asyncio.wait([serving])


@on_network("server")
async def test_a_deadline_says_that_it_ended_in_the_dial(world: World) -> None:
    world.network.cut("client", "server")
    async with MultiplexClient("server:80") as client:
        with pytest.raises(RequestTimeout, match="phase 'dial'"):
            await client.do(b"x", timeout=0.5)


@on_network("server")
async def test_each_connection_is_idle_for_as_long_as_it_may(world: World) -> None:
    """In whichever order they became idle."""
    await world.serve("server", after_a_while, codec=Multiplex())
    async with MultiplexClient("server:80", max_conns=3, max_idle_conn_duration=10.0) as client:
        began = now()
        await asyncio.gather(*map(client.do, (b"8000", b"5000", b"1")))
        for ends, left in ((9.9, 3), (10.1, 2), (14.9, 2), (15.1, 1), (17.9, 1), (18.1, 0)):
            await asyncio.sleep(began + ends - now())
            assert client.conns_count == left


@on_network("server")
async def test_who_gives_up_during_a_pause_is_not_dialed_for(world: World) -> None:
    async with MultiplexClient("server:80") as client:
        dials = watch_dials(client)
        client._backoff.failed(now() + 1.0)
        with pytest.raises(RequestTimeout, match="phase 'queue'"):
            await client.do(b"x", timeout=0.5)
        await asyncio.sleep(5.0)
        assert dials == []
        assert list(client._lanes) == []


@on_network("server")
async def test_closing_during_a_pause_leaves_nothing(world: World) -> None:
    client = MultiplexClient("server:80")
    dials = watch_dials(client)
    client._backoff.failed(now() + 1.0)
    asking = asyncio.create_task(client.do(b"x"))
    await asyncio.sleep(0.1)
    (timer,) = client._holding.values()
    await client.close(timeout=0.1)
    with pytest.raises(ConnectionClosed, match="client was closed"):
        await asking
    assert timer.cancelled()
    await asyncio.sleep(5.0)
    assert dials == []


# Closing


@pytest.mark.usefixtures("tidy")
async def test_close_lets_calls_end_and_then_ends_them() -> None:
    async with Peer() as peer:
        client = MultiplexClient(peer.addr)
        quick, slow = await ask(client, b"quick", b"slow")
        wire = await peer.accept()
        (number, _) = await read_requests(wire, b"quick", b"slow")
        closing = asyncio.create_task(client.close(timeout=0.2))
        await turns()
        say(wire, Kind.ANSWER, number, b"fine")
        assert await soon(quick) == b"fine"
        with pytest.raises(ConnectionClosed, match="client was closed"):
            await soon(slow)
        await soon(closing)
        with pytest.raises(RuntimeError, match="closed"):
            await client.do(b"x")


@pytest.mark.usefixtures("tidy")
async def test_a_trace_tells_of_every_step() -> None:
    watch = Watch()
    async with Peer() as peer, MultiplexClient(peer.addr, idempotent=True, trace=watch.trace) as client:
        (task,) = await ask(client, b"four")
        wire = await peer.accept()
        await read_requests(wire, b"four")
        wire.close()
        wire = await peer.accept()
        (number,) = await read_requests(wire, b"four")
        say(wire, Kind.ANSWER, number, b"fives")
        await soon(task)
    requests = [event.name for event in watch.events if event.name.startswith("request.")]
    assert requests == ["request.queued", "request.sent", "request.retried", "request.sent", "request.done"]
    assert watch.named("request.queued")[0].fields["target"] == "4 bytes"
    assert watch.named("request.done")[0].fields["bytes"] == 5


# With a server, in virtual time


async def after_a_while(request: bytes) -> bytes:
    """Answers after as many milliseconds as the request says."""
    await asyncio.sleep(int(request.split()[0]) / 1000)
    return request


async def times(client: Any, requests: list[bytes]) -> list[float]:
    """When the answers to requests asked together came, in seconds from then; each is checked."""
    began = now()

    async def timed(request: bytes) -> float:
        assert await client.do(request, timeout=30.0) == request
        return round(now() - began, 3)

    return await asyncio.gather(*map(timed, requests))


@on_network("server")
async def test_one_slow_answer_holds_up_nobody(world: World) -> None:
    """One connection, a round trip of 10 ms; the same requests pipelined all wait for the slow one."""
    requests = [b"500 slow", *(b"1 quick %d" % number for number in range(8))]  # so few that slow start holds up none
    await world.serve("server", after_a_while, codec=Multiplex())
    async with MultiplexClient("server:80") as client:
        await client.do(b"0 warm")
        slow, *quick = await times(client, requests)
        assert slow == pytest.approx(0.510, abs=0.002)
        assert max(quick) == pytest.approx(0.011, abs=0.002)
        assert client.conns_count == 1
    await world.serve("server", after_a_while, 81, codec=Frames())
    async with PipelineClient("server:81", codec=Frames()) as pipeline:
        await pipeline.do(b"0 warm")
        slow, *quick = await times(pipeline, requests)
        assert min(quick) > slow >= 0.510


@pytest.mark.parametrize("lost", [False, True])
def test_a_lost_segment_still_holds_up_everybody(lost: bool) -> None:
    """That is TCP. Ten answers, one every 5 ms, each in a segment of its own; the first segment is lost.

    Those behind it arrive in time, and wait in the kernel until it was sent again.
    """
    network = sim.Network(seed=1)
    network.link("client", "server", sim.Link(delay=0.005))
    world = World()
    world.network = network

    async def test() -> None:
        await world.serve("server", after_a_while, codec=Multiplex())
        async with MultiplexClient("server:80") as client:
            await client.do(b"0 warm")
            if lost:
                network.change("server", "client", sim.Link(delay=0.005, drop=[2]))  # the first is behind us
            came = await times(client, [b"%d" % (5 * number) for number in range(10)])
        if lost:
            assert came[0] > 0.020  # instead of 0.010
            assert came[:4] == [came[0]] * 4
            assert came[4:] == pytest.approx([0.005 * number + 0.010 for number in range(4, 10)])
        else:
            assert came == pytest.approx([0.005 * number + 0.010 for number in range(10)])
        await world.stop_all()

    async def main() -> None:
        await network.host("client").run(test())

    sim.run(main(), network)


@on_network("server")
async def test_a_crowd_that_gives_up_at_random_gets_its_own_answers(world: World) -> None:
    """A thousand calls of random lengths; some are cancelled, some have deadlines that they miss."""
    random = Random(1)
    working = most = 0

    async def handler(request: bytes) -> bytes:
        nonlocal working, most
        working += 1
        most = max(most, working)
        try:
            return await after_a_while(request)
        finally:
            working -= 1

    await world.serve("server", handler, codec=Multiplex(max_concurrent_requests=16))
    async with MultiplexClient("server:80", max_conns=2) as client:

        async def call(number: int) -> str:
            request = b"%d %d" % (random.randrange(100), number)
            await asyncio.sleep(random.random())
            try:
                async with asyncio.timeout(0.05 if number % 3 == 0 else None):
                    assert await client.do(request, timeout=0.07 if number % 3 == 1 else None) == request
            except TimeoutError:
                return "given up"
            return "answered"

        ends = await asyncio.gather(*map(call, range(1000)))
        assert ends.count("answered") > 300
        assert ends.count("given up") > 100
        assert 8 < most <= 32  # on two connections
        assert client.pending_requests == 0
        assert client._lane_for == {}
        await asyncio.sleep(1.0)
        assert working == 0
        assert [lane.unheeded for lane in client._lanes] == [0, 0]


@on_network("one", "two")
async def test_calls_are_spread_and_fail_over(world: World) -> None:
    await world.serve("one", after_a_while, codec=Multiplex())  # nobody is on the other
    async with LBClient([MultiplexClient("one:80"), MultiplexClient("two:80")]) as client:
        assert await times(client, [b"1 %d" % number for number in range(10)])
