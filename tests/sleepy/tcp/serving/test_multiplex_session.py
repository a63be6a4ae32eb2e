"""`sleepy.tcp.serving.multiplex_session`: the server's side of many calls on one connection, against raw bytes."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepy.tcp import RemoteProtocolError, Server
from sleepy.tcp.multiplex import Kind, Message, Multiplex, encode
from sleepy.tcp.multiplex_client import MultiplexClient
from tests.sleepy.tcp.helpers import Clock, Wire, connected, soon, turns, turns_until
from tests.sleepy.tcp.test_multiplex_client import read, say
from tests.sleepy.tcp.virtual import World, on_network


class Stage:
    """A handler whose answers wait for the test's cue."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.cancelled: list[bytes] = []
        self.stubborn = False  # answers in spite of being cancelled
        self.cues: dict[bytes, asyncio.Future[Any]] = {}

    async def __call__(self, request: bytes) -> Any:
        self.asked.append(request)
        self.cues[request] = cue = asyncio.get_running_loop().create_future()
        try:
            return await cue
        except asyncio.CancelledError:
            self.cancelled.append(request)
            if self.stubborn:
                return b"in spite of it"
            raise

    async def see(self, *asked: bytes) -> None:
        """Wait until these and only these have been asked."""
        await turns_until(lambda: len(self.asked) >= len(asked))
        await turns()
        assert self.asked == list(asked)

    def answer(self, request: bytes) -> None:
        self.cues[request].set_result(request.upper())


def serve(
    handler: Callable[[bytes], Any], concurrent: int = 64, size: int = 1000, **options: Any
) -> Server[bytes, bytes]:
    return Server(handler, codec=Multiplex(max_concurrent_requests=concurrent, max_frame_size=size), **options)


def ask(wire: Wire, *requests: bytes, first: int = 0) -> None:
    """In one piece, with ids from ``first`` on."""
    wire.send(b"".join(encode(Kind.REQUEST, first + at, request, max_size=1000) for at, request in enumerate(requests)))


def reading(server: Server[bytes, bytes]) -> bool:
    """Whether the server reads from its only connection."""
    (session,) = server._sessions
    transport: Any = session.connection.transport
    return bool(transport.is_reading())


@pytest.mark.usefixtures("tidy")
async def test_requests_are_worked_on_together_and_answered_as_they_are_ready() -> None:
    stage = Stage()
    async with serve(stage) as server, connected(server.address) as wire:
        ask(wire, b"a", b"b", b"c")
        await stage.see(b"a", b"b", b"c")
        for number, request in ((2, b"c"), (0, b"a"), (1, b"b")):
            stage.answer(request)
            assert await read(wire) == (Kind.ANSWER, number, request.upper())
        ask(wire, b"d")  # the id is free again
        await stage.see(b"a", b"b", b"c", b"d")
        stage.answer(b"d")
        assert await read(wire) == (Kind.ANSWER, 0, b"D")


@pytest.mark.usefixtures("tidy")
async def test_a_few_may_wait_and_then_nothing_is_read() -> None:
    stage = Stage()
    async with serve(stage, concurrent=2, max_queued_requests=2) as server, connected(server.address) as wire:
        ask(wire, b"a", b"b", b"c")
        await stage.see(b"a", b"b")
        assert reading(server)
        ask(wire, b"d", first=3)
        await turns_until(lambda: not reading(server))
        stage.answer(b"b")
        await stage.see(b"a", b"b", b"c")
        assert reading(server)
        for request in (b"a", b"c"):
            stage.answer(request)
        await stage.see(b"a", b"b", b"c", b"d")
        stage.answer(b"d")
        assert sorted([await read(wire) for _ in range(4)])[3] == (Kind.ANSWER, 3, b"D")


# Cancels


@pytest.mark.usefixtures("tidy")
async def test_a_cancel_stops_the_handler_and_makes_room() -> None:
    stage = Stage()
    async with serve(stage, concurrent=1) as server, connected(server.address) as wire:
        ask(wire, b"a", b"b")
        await stage.see(b"a")
        say(wire, Kind.CANCEL, 0)
        assert await read(wire) == (Kind.CANCEL, 0, b"")
        assert stage.cancelled == [b"a"]
        await stage.see(b"a", b"b")
        stage.answer(b"b")
        assert await read(wire) == (Kind.ANSWER, 1, b"B")


@pytest.mark.usefixtures("tidy")
async def test_what_was_cancelled_before_it_began_never_begins() -> None:
    """While it waits for its turn; and when the cancel comes together with the request."""
    stage = Stage()
    async with serve(stage, concurrent=1) as server, connected(server.address) as wire:
        wire.send(encode(Kind.REQUEST, 7, b"never", max_size=9) + encode(Kind.CANCEL, 7))
        assert await read(wire) == (Kind.CANCEL, 7, b"")
        ask(wire, b"a", b"never")
        await stage.see(b"a")
        say(wire, Kind.CANCEL, 1)
        assert await read(wire) == (Kind.CANCEL, 1, b"")
        stage.answer(b"a")
        assert await read(wire) == (Kind.ANSWER, 0, b"A")
        await stage.see(b"a")


@pytest.mark.usefixtures("tidy")
async def test_every_request_gets_one_last_word_whatever_crosses() -> None:
    """A cancel that comes too late is ignored, and a handler that answers all the same is heard."""
    stage = Stage()
    stage.stubborn = True
    async with serve(stage) as server, connected(server.address) as wire:
        ask(wire, b"a", b"b")
        await stage.see(b"a", b"b")
        stage.answer(b"a")
        assert await read(wire) == (Kind.ANSWER, 0, b"A")
        say(wire, Kind.CANCEL, 0)
        say(wire, Kind.CANCEL, 99)
        say(wire, Kind.CANCEL, 1)
        say(wire, Kind.CANCEL, 1)
        assert await read(wire) == (Kind.ANSWER, 1, b"in spite of it")
        ask(wire, b"c")
        await stage.see(b"a", b"b", b"c")
        stage.answer(b"c")
        assert await read(wire) == (Kind.ANSWER, 0, b"C")


# Handlers that fail


@pytest.mark.usefixtures("tidy")
async def test_what_a_handler_raises_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Without the request's bytes, which may be many and secret; and the others go on."""
    stage = Stage()
    async with serve(stage, size=100) as server, connected(server.address) as wire:
        ask(wire, b"secret", b"text", b"long", b"good")
        await stage.see(b"secret", b"text", b"long", b"good")
        with caplog.at_level(logging.CRITICAL + 1, "sleepy.tcp"):
            stage.cues[b"text"].set_result("text")
            assert await read(wire) == (
                Kind.ERROR,
                1,
                b"TypeError: a frame carries bytes, not str: encode it first",
            )
            stage.cues[b"long"].set_result(bytes(101))
            assert (await read(wire)).payload.startswith(b"LocalProtocolError: the message has 101 bytes")
        stage.cues[b"secret"].set_exception(ValueError("x" * 200))
        assert await read(wire) == (Kind.ERROR, 0, b"ValueError: " + b"x" * 88)
        stage.answer(b"good")
        assert await read(wire) == (Kind.ANSWER, 3, b"GOOD")
    (record,) = caplog.records
    assert record.getMessage() == "the handler failed on 6 bytes"
    assert record.exc_info is not None


@pytest.mark.usefixtures("tidy")
async def test_a_handler_that_cancels_itself_is_a_call_that_was_cancelled() -> None:
    async def handler(request: bytes) -> bytes:
        raise asyncio.CancelledError

    async with serve(handler) as server, connected(server.address) as wire:
        ask(wire, b"a")
        assert await read(wire) == (Kind.CANCEL, 0, b"")


# Peers that lie, break off or do not read


@pytest.mark.parametrize(
    "lie",
    [
        encode(Kind.REQUEST, 0, b"again", max_size=9),
        encode(Kind.ANSWER, 0),
        encode(Kind.ERROR, 1),
        b"\x00\x00\x00\x05\x04\x00\x00\x00\x00",
        b"\x00\x00\x00\x01\x00",
        (1000 + 5 + 1).to_bytes(4, "big"),
    ],
    ids=["id taken", "answer", "error", "no kind", "no id", "too long"],
)
@pytest.mark.usefixtures("tidy")
async def test_who_does_not_speak_the_protocol_is_cut_off(lie: bytes) -> None:
    stage = Stage()
    async with serve(stage) as server, connected(server.address) as wire:
        ask(wire, b"a")
        await stage.see(b"a")
        wire.send(lie)
        assert await soon(wire.read_all()) == b""
        await turns_until(lambda: not server._sessions)
        await turns()
        assert stage.cancelled == [b"a"]
        assert stage.asked == [b"a"]


@pytest.mark.parametrize("way", ["reset", "close", "end"])
@pytest.mark.usefixtures("tidy")
async def test_who_is_gone_is_not_worked_for_and_the_others_are(way: str) -> None:
    stage = Stage()
    server = serve(stage, concurrent=2)
    async with server, connected(server.address) as other, connected(server.address) as wire:
        ask(other, b"stays")
        await stage.see(b"stays")
        ask(wire, b"a", b"b", b"waits")
        await stage.see(b"stays", b"a", b"b")
        getattr(wire, way)()
        await turns_until(lambda: len(stage.cancelled) == 2)
        await wire.gone()
        await stage.see(b"stays", b"a", b"b")
        stage.answer(b"stays")
        assert await read(other) == (Kind.ANSWER, 0, b"STAYS")


@pytest.mark.usefixtures("tidy")
async def test_handlers_are_cancelled_in_the_order_they_were_asked() -> None:
    """Else a simulated run would not repeat itself."""
    stage = Stage()
    requests = [b"%d" % number for number in range(40)]
    async with serve(stage) as server, connected(server.address) as wire:
        ask(wire, *requests)
        await stage.see(*requests)
        wire.close()
        await turns_until(lambda: len(stage.cancelled) == len(requests))
    assert stage.cancelled == requests


@pytest.mark.usefixtures("tidy")
async def test_a_peer_that_does_not_read_soon_finds_nobody_working() -> None:
    """Answers that it does not take keep their places; cancels are no way round that. When it reads, all goes on."""
    asked = 0

    async def handler(request: bytes) -> bytes:
        nonlocal asked
        asked += 1
        return bytes(1 << 20)

    server = Server(handler, codec=Multiplex(max_concurrent_requests=8), max_queued_requests=4)
    async with server, connected(server.address) as wire:
        wire.transport.pause_reading()
        for number in range(60):
            ask(wire, b"x", first=number)
            await turns()
        await turns_until(lambda: not reading(server))
        await turns(50)
        (session,) = server._sessions
        assert asked < 40  # what the kernel's buffers have taken, and eight
        held = session.connection.unsent
        assert held <= 9 << 20
        for number in range(60):
            say(wire, Kind.CANCEL, number)
            ask(wire, b"x", first=100 + number)
        await turns(50)
        assert session.connection.unsent <= held
        wire.transport.resume_reading()
        answers: list[Message] = [await read(wire) for _ in range(120)]
        assert {message.id for message in answers} == {*range(60), *range(100, 160)}


@pytest.mark.usefixtures("tidy")
async def test_who_is_idle_for_too_long_is_left_and_who_works_is_not() -> None:
    clock, stage = Clock(), Stage()
    async with serve(stage, idle_timeout=10.0) as server, connected(server.address) as wire:
        ask(wire, b"a")
        await stage.see(b"a")
        await clock.advance(60.0)
        stage.answer(b"a")
        assert await read(wire) == (Kind.ANSWER, 0, b"A")
        await clock.advance(9.0)
        assert not wire.ended
        (session,) = server._sessions
        before = session._received
        say(wire, Kind.CANCEL, 5)  # whatever whole message it is
        await turns_until(lambda: session._received > before)
        await clock.advance(9.0)
        assert not wire.ended
        await clock.advance(2.0)
        await wire.gone()


@pytest.mark.usefixtures("tidy")
async def test_the_time_begins_with_the_answer_and_not_with_the_last_look() -> None:
    clock, stage = Clock(), Stage()
    async with serve(stage, idle_timeout=10.0) as server, connected(server.address) as wire:
        ask(wire, b"a")
        await stage.see(b"a")
        await clock.advance(15.0)  # a look: the handler is at work
        await clock.advance(9.0)
        stage.answer(b"a")
        assert await read(wire) == (Kind.ANSWER, 0, b"A")
        await clock.advance(2.0)  # the next look
        await turns()
        (session,) = server._sessions
        assert not session.connection.closing
        await clock.advance(8.1)
        assert session.connection.closing
        await wire.gone()


@pytest.mark.parametrize(("min_rate", "too_slow"), [(1000.0, False), (1e9, True)])
@pytest.mark.usefixtures("tidy")
async def test_slow_readers_are_left_and_those_that_read_at_some_rate_are_not(min_rate: float, too_slow: bool) -> None:
    """A limit on silence alone would let a peer hold 16 MiB of ours for as long as it takes a byte now and then."""
    clock = Clock()

    async def handler(request: bytes) -> bytes:
        return bytes(16 << 20)

    server = Server(handler, codec=Multiplex(max_frame_size=16 << 20), write_timeout=10.0, min_rate=min_rate)
    async with server, connected(server.address) as wire:
        ask(wire, b"a")
        await turns_until(lambda: len(wire.received) > 0)
        (session,) = server._sessions
        for _ in range(1 if too_slow else 5):
            wire.transport.resume_reading()
            before = session.connection.unsent
            await turns_until(lambda before=before: session.connection.unsent < before - 20_000)  # type: ignore[misc]
            wire.transport.pause_reading()
            await turns(50)  # the kernel's buffers fill
            await clock.advance(11.0)
            assert session.connection.closing is too_slow
        await clock.advance(11.0)  # in which nothing was taken
        assert session.connection.closing


@pytest.mark.usefixtures("tidy")
async def test_half_a_frame_must_move_even_while_a_handler_is_at_work() -> None:
    """Slow bodies (R.U.D.Y.): an announced frame that comes in drips is left, one that comes at some rate is not."""
    clock, stage = Clock(), Stage()
    async with (
        serve(stage, read_timeout=10.0, min_rate=10.0) as server,
        connected(server.address) as honest,
        connected(server.address) as drips,
    ):
        await turns_until(lambda: len(server._sessions) == 2)

        async def hear(wire: Wire, size: int) -> None:
            address = wire.transport.get_extra_info("sockname")
            (session,) = (
                session
                for session in server._sessions
                if session.connection.transport.get_extra_info("peername") == address
            )
            before = session._received
            wire.send(bytes(size))
            await turns_until(lambda: session._received >= before + size)

        for wire in (honest, drips):
            ask(wire, b"at work")
            wire.send((900).to_bytes(4, "big"))  # of what follows
        await turns_until(lambda: stage.asked == [b"at work", b"at work"])
        for _ in range(3):
            await hear(honest, 150)
            await hear(drips, 20)
            await clock.advance(11.0)
            if drips.ended:
                break
        assert drips.ended
        assert not honest.ended
        await turns_until(lambda: len(stage.cancelled) == 1)


@pytest.mark.usefixtures("tidy")
async def test_what_we_do_not_read_is_not_held_against_the_peer() -> None:
    """Half a frame that stands still because our places are taken: the time begins when we read again."""
    clock, stage = Clock(), Stage()
    options: dict[str, Any] = {"read_timeout": 10.0, "max_queued_requests": 1, "idle_timeout": None}
    async with serve(stage, concurrent=1, **options) as server, connected(server.address) as wire:
        half = encode(Kind.REQUEST, 2, b"third", max_size=9)
        wire.send(
            encode(Kind.REQUEST, 0, b"first", max_size=9) + encode(Kind.REQUEST, 1, b"second", max_size=9) + half[:9]
        )
        await stage.see(b"first")
        assert not reading(server)
        await clock.advance(11.0)
        stage.answer(b"first")
        await stage.see(b"first", b"second")
        await clock.advance(9.0)
        (session,) = server._sessions
        assert not session.connection.closing
        await clock.advance(1.1)
        assert session.connection.closing


@pytest.mark.usefixtures("tidy")
async def test_a_lost_connection_leaves_no_timer() -> None:
    async with serve(Stage()) as server:
        async with connected(server.address):
            await turns_until(lambda: len(server._sessions) == 1)
            timer = next(iter(server._sessions))._watch._timer
            assert timer is not None
            assert not timer.cancelled()
        await turns_until(lambda: not server._sessions)
        assert timer.cancelled()


@pytest.mark.usefixtures("tidy")
async def test_no_idle_timeout_is_for_ever() -> None:
    clock = Clock()
    async with serve(Stage(), idle_timeout=None) as server, connected(server.address) as wire:
        await turns_until(lambda: len(server._sessions) == 1)
        await clock.advance(1e6)
        assert not wire.ended


# Stopping


@pytest.mark.usefixtures("tidy")
async def test_a_graceful_stop_lets_those_end_that_were_asked_before() -> None:
    """Cancels are still heard, requests are not."""
    stage = Stage()
    server = serve(stage, concurrent=2, drain_timeout=1000.0)
    await server.__aenter__()
    async with connected(server.address) as wire, connected(server.address) as idle:
        ask(wire, b"a", b"b", b"c")
        await stage.see(b"a", b"b")
        closing = asyncio.create_task(server.close())
        await idle.gone()
        ask(wire, b"late", first=9)
        say(wire, Kind.CANCEL, 0)
        assert await read(wire) == (Kind.CANCEL, 0, b"")
        await stage.see(b"a", b"b", b"c")
        stage.answer(b"b")
        assert await read(wire) == (Kind.ANSWER, 1, b"B")
        assert not wire.ended
        stage.answer(b"c")
        assert await read(wire) == (Kind.ANSWER, 2, b"C")
        assert await soon(wire.read_all()) == b""
        wire.close()
        await soon(closing)
    assert stage.asked == [b"a", b"b", b"c"]


@pytest.mark.usefixtures("tidy")
async def test_who_is_refused_is_closed() -> None:
    """Whatever has filled the server; there is no word for it."""
    async with serve(Stage()) as server, connected(server.address) as wire:
        await turns_until(lambda: len(server._sessions) == 1)
        next(iter(server._sessions)).refuse(RemoteProtocolError("full"))
        assert await soon(wire.read_all()) == b""


@pytest.mark.usefixtures("tidy")
async def test_a_stop_waits_only_so_long() -> None:
    stage = Stage()
    async with serve(stage, drain_timeout=0.01) as server, connected(server.address) as wire:
        ask(wire, b"a")
        await stage.see(b"a")
        await soon(server.close())
        assert stage.cancelled == [b"a"]


@pytest.mark.usefixtures("tidy")
async def test_a_stop_waits_until_handlers_have_tidied_up() -> None:
    tidy = False

    async def handler(request: bytes) -> bytes:
        nonlocal tidy
        try:
            return await asyncio.Event().wait() and b""
        finally:
            await turns(5)
            tidy = True

    async with serve(handler, drain_timeout=0.01) as server, connected(server.address) as wire:
        ask(wire, b"a")
        await turns_until(lambda: bool(server._sessions) and bool(next(iter(server._sessions))._tasks))
        await turns()
        await soon(server.close())
        assert tidy


# Anything at all


@given(
    st.lists(
        st.one_of(
            st.builds(
                lambda kind, number, payload: encode(kind, number, payload, max_size=9),
                st.sampled_from(Kind),
                st.integers(0, 3),
                st.binary(max_size=9),
            ),
            st.binary(max_size=12),
        ),
        max_size=12,
    ),
    st.lists(st.integers(0, 100), max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_whatever_a_peer_sends_nothing_breaks_and_nothing_is_left(messages: list[bytes], cuts: list[int]) -> None:
    """In virtual time; and somebody else is served all the while."""

    async def slow_echo(request: bytes) -> bytes:
        await asyncio.sleep(0.001 * len(request))
        return request

    @on_network("server")
    async def test(world: World) -> None:
        await world.serve("server", slow_echo, codec=Multiplex(max_concurrent_requests=2, max_frame_size=9))
        async with MultiplexClient("server:80") as client:
            _, writer = await asyncio.open_connection("server", 80)
            stream, at = b"".join(messages), 0
            for cut in [*sorted(cuts), len(stream)]:
                writer.write(stream[at:cut])
                at = max(at, cut)
                await asyncio.sleep(0.002)
                assert await client.do(b"well?", timeout=1.0) == b"well?"
            writer.transport.abort()

    test()


# Both ends, over a real socket


@pytest.mark.usefixtures("tidy")
async def test_a_client_and_a_server_over_a_real_socket() -> None:
    """Large and small messages, some given up; each answer is its own."""

    async def backwards(request: bytes) -> bytes:
        await asyncio.sleep(request[0] / 10_000)
        return request[::-1]

    async def call(client: MultiplexClient, number: int) -> None:
        request = bytes([number % 50]) * (1 + number * 1000) + b"%d" % number
        assert await client.do(request, timeout=20.0) == request[::-1]

    async with (
        serve(backwards, concurrent=8, size=300_000) as server,
        MultiplexClient("{}:{}".format(*server.address), max_conns=2, max_frame_size=300_000) as client,
    ):
        calls = [asyncio.create_task(call(client, number)) for number in range(250)]
        await turns()
        for giving_up in calls[::7]:
            giving_up.cancel()
        ends = await soon(asyncio.gather(*calls, return_exceptions=True))
        assert [type(end) for end in ends] == [type(None) if at % 7 else asyncio.CancelledError for at in range(250)]
        assert client.conns_count == 2


@pytest.mark.parametrize("begin", [0.7238934260356286, 0.1, 2.3])
@on_network("server")
async def test_the_end_of_idleness_comes_whatever_floats_make_of_it(world: World, begin: float) -> None:
    """At the first of these times 0.5 s later is 0.5 s later, and not yet 0.5 s ago: so no difference may be waited for."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(begin - loop.time())
    codec = Multiplex()

    async def answer(request: bytes) -> bytes:
        return request

    async with Server(answer, "0.0.0.0", 80, codec=codec, idle_timeout=0.5):
        opened = loop.time()
        _, wire = await loop.create_connection(Wire, "localhost", 80)
        await wire.gone()
        assert loop.time() == pytest.approx(opened + 0.5)
        wire.transport.abort()
