"""`sleepy.tcp.frames`: any bytes in, any bytes out; who lies about lengths is cut off."""

import array
import asyncio
import gc
import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sleepy.tcp.frames as frames_module
from sleepy.tcp import BodyTooLarge, ConnectionClosed, HostClient, LocalProtocolError, PipelineClient
from sleepy.tcp.errors import RemoteProtocolError
from sleepy.tcp.frames import FrameReader, Frames
from sleepy.tcp.lb_client import LBClient
from sleepy.tcp.serving.server import Server
from tests.sleepy.tcp.helpers import Peer, connected, soon, turns_until
from tests.sleepy.tcp.virtual import World, on_network

MEBI = 1024 * 1024
codec = Frames()
messages = st.lists(st.binary(max_size=40), max_size=8)
cuts = st.lists(st.integers(0, 400), max_size=12)


def frames(*payloads: bytes) -> bytes:
    """As the module's table has it."""
    return b"".join(len(payload).to_bytes(4, "big") + payload for payload in payloads)


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """The bytes, cut at these places."""
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return (data[start:end] for start, end in itertools.pairwise(edges))


# Bytes to messages and back


@given(messages=messages, cuts=cuts)
def test_messages_arrive_as_they_were_sent_wherever_the_stream_is_cut(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(codec.encode_request(message, "").data for message in messages)
    assert stream == frames(*messages)
    reader = codec.request_reader()
    assert [message for piece in pieces(stream, cuts) for message in reader.feed(piece)] == messages
    assert reader.between_messages
    assert reader.keep_alive


def test_a_message_is_given_with_its_last_byte_and_not_later() -> None:
    reader = codec.request_reader()
    stream = frames(b"one", b"", b"two")
    given_at = [at for at in range(len(stream)) for _ in reader.feed(stream[at : at + 1])]
    assert given_at == [6, 10, 17]


def test_nothing_is_a_message_too() -> None:
    assert codec.encode_answer(b"", b"", keep_alive=True) == bytes(4)
    assert list(codec.request_reader().feed(bytes(8))) == [b"", b""]


@pytest.mark.parametrize(
    "message",
    [
        b"abcd",
        bytearray(b"abcd"),
        memoryview(b"xabcdx")[1:5],
        array.array("H", b"abcd"),
        memoryview(array.array("H", b"abcd")),
    ],
)
def test_whatever_holds_bytes_can_be_sent(message: Any) -> None:
    assert codec.encode_request(message, "").data == frames(b"abcd")
    assert codec.describe(message) == "4 bytes"


@pytest.mark.parametrize("message", ["text", 4, None, ["a"]])
def test_what_is_not_bytes_is_refused_in_plain_words(message: Any) -> None:
    for encode in (
        lambda: codec.encode_request(message, "").data,
        lambda: codec.encode_answer(message, b"", keep_alive=True),
    ):
        with pytest.raises(TypeError, match=f"a frame carries bytes, not {type(message).__name__}: encode it"):
            encode()


# Limits


def test_a_message_above_the_limit_is_not_sent() -> None:
    small = Frames(max_frame_size=5)
    assert small.encode_request(b"12345", "").data == frames(b"12345")
    with pytest.raises(LocalProtocolError, match="6 bytes, max_frame_size allows 5"):
        small.encode_request(b"123456", "")
    with pytest.raises(LocalProtocolError, match="6 bytes"):
        small.encode_answer(array.array("H", b"123456"), b"", keep_alive=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [0, -1, 1 << 32])
def test_a_limit_that_makes_no_sense_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=f"max_frame_size is {limit} bytes"):
        Frames(max_frame_size=limit)


@pytest.mark.parametrize(("size", "body_size", "limit"), [(5, None, 5), (5, 9, 5), (9, 5, 5), (9, 0, 0)])
def test_the_smaller_of_both_limits_holds_for_what_is_read(size: int, body_size: int | None, limit: int) -> None:
    for reader in (
        Frames(max_frame_size=size).request_reader(body_size),
        Frames(max_frame_size=size).answer_reader(body_size),
    ):
        if hasattr(reader, "expect"):
            reader.expect(b"")
        assert list(reader.feed(frames(bytes(limit)))) == [bytes(limit)]
        if hasattr(reader, "expect"):
            reader.expect(b"")
        with pytest.raises(BodyTooLarge, match=f"limit of {limit} bytes"):
            list(reader.feed((limit + 1).to_bytes(4, "big")))


def test_rule_1_who_announces_too_much_is_cut_off_with_the_fourth_byte() -> None:
    """And the messages before it are given."""
    reader = Frames(max_frame_size=MEBI).request_reader()
    assert list(reader.feed(frames(b"good") + (MEBI + 1).to_bytes(4, "big")[:3])) == [b"good"]
    with pytest.raises(BodyTooLarge):
        list(reader.feed((MEBI + 1).to_bytes(4, "big")[3:]))
    read = iter(Frames(max_frame_size=MEBI).request_reader().feed(frames(b"good") + b"\xff\xff\xff\xff..."))
    assert next(read) == b"good"
    with pytest.raises(BodyTooLarge):
        next(read)


def peak(work: Callable[[], object]) -> int:
    """The most memory that was taken at once, in bytes."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_rule_2_an_announcement_takes_no_memory() -> None:
    """A hundred peers who announce a gigabyte each, and send a few bytes."""
    readers = [FrameReader(1 << 30) for _ in range(100)]
    assert peak(lambda: [list(reader.feed((1 << 30).to_bytes(4, "big") + b"abc")) for reader in readers]) < 100_000


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_rule_2_what_is_held_is_what_has_come_however_small_the_pieces(step: int) -> None:
    size = 1000 * step if step < 1000 else 300_000
    reader, stream = FrameReader(1 << 30), frames(bytes(size))

    def feed() -> None:
        for at in range(0, len(stream), step):
            list(reader.feed(stream[at : at + step]))

    assert peak(feed) < 3.2 * size + 5000  # the bytes as they came, in one piece, and the payload
    assert reader.between_messages


def test_however_small_the_pieces_no_byte_is_copied_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[int] = []

    def copy(data: bytearray) -> bytes:
        copied.append(len(data))
        return bytes(data)

    monkeypatch.setattr(frames_module, "bytes", copy, raising=False)
    reader, stream = FrameReader(MEBI), frames(bytes(10_000), bytes(10_000))
    assert len([frame for at in range(len(stream)) for frame in reader.feed(stream[at : at + 1])]) == 2
    assert sum(copied) <= len(stream) + 2 * 4  # the lengths once more, to see them


@given(st.lists(st.binary(max_size=30), max_size=30), st.booleans())
def test_hostile_bytes_raise_nothing_else(data: list[bytes], are_answers: bool) -> None:
    reader = Frames(max_frame_size=20).answer_reader() if are_answers else Frames(max_frame_size=20).request_reader()
    fed = 0
    for piece in data:
        fed += len(piece)
        try:
            for message in reader.feed(piece):
                assert len(message) <= 20
        except RemoteProtocolError:
            return
        assert len(getattr(reader, "_begun")) <= min(fed, 24)  # noqa: B009 -- a union of two


# Answers that were asked for


@given(asked=st.integers(0, 4), sent=st.lists(st.binary(max_size=5), max_size=6), cuts=cuts)
def test_rule_3_as_many_answers_as_were_asked_for(asked: int, sent: list[bytes], cuts: list[int]) -> None:
    reader = codec.answer_reader()
    for _ in range(asked):
        reader.expect(b"")
    given: list[bytes] = []

    def feed() -> None:
        for piece in pieces(frames(*sent), cuts):
            for answer in reader.feed(piece):  # one by one: those before the error count
                given.append(answer)  # noqa: PERF402

    if len(sent) > asked:
        with pytest.raises(RemoteProtocolError, match="asked for"):
            feed()
    else:
        feed()
        assert reader.keep_alive
    assert given == sent[:asked]


def test_rule_3_the_first_byte_that_nobody_asked_for_is_enough() -> None:
    with pytest.raises(RemoteProtocolError, match="nobody asked for"):
        list(codec.answer_reader().feed(b"\x00"))


def test_rule_3_who_asks_at_once_does_not_get_what_came_before_he_asked() -> None:
    """The receiver of the last answer asks again while more bytes are there: these cannot be his answer."""
    for surplus in (frames(b"forged"), b"\x00"):
        reader = codec.answer_reader()
        reader.expect(b"")
        read = iter(reader.feed(frames(b"true") + surplus))
        assert next(read) == b"true"
        assert not reader.keep_alive
        reader.expect(b"")
        with pytest.raises(RemoteProtocolError, match="more than was asked for"):
            next(read)


def test_the_end_completes_nothing() -> None:
    reader = codec.request_reader()
    list(reader.feed(b"\x00\x00\x00\x05abc"))
    assert list(reader.end()) == []
    assert not reader.between_messages


def test_whether_requests_may_be_repeated_is_for_the_caller_to_say() -> None:
    assert not Frames().encode_request(b"", "").idempotent
    assert Frames(idempotent=True).encode_request(b"", "").idempotent


# Over the clients and the server


async def backwards(request: bytes) -> bytes:
    """Fails if asked to."""
    if request == b"fail":
        raise ValueError("as you wish")
    await asyncio.sleep(0.001 * len(request))
    return request[::-1]


@on_network("server")
async def test_every_client_speaks_frames(world: World) -> None:
    await world.serve("server", backwards, codec=Frames())
    for client in (
        HostClient("server:80", codec=Frames()),
        PipelineClient("server:80", codec=Frames()),
        LBClient([HostClient("server:80", codec=Frames()), PipelineClient("server:80", codec=Frames())]),
    ):
        async with client:
            asked = [b"%d" % number * number for number in range(20)]
            answers = await asyncio.gather(*(client.do(request, timeout=5.0) for request in asked))
            assert answers == [request[::-1] for request in asked]


@on_network("server")
async def test_rule_4_a_handler_that_fails_closes_the_connection(world: World) -> None:
    """Its caller hears that it was closed; the next is served, on another."""
    await world.serve("server", backwards, codec=Frames())
    async with HostClient("server:80", codec=Frames()) as client:
        for _ in range(2):
            with pytest.raises(ConnectionClosed):
                await client.do(b"fail", timeout=5.0)
            assert await client.do(b"abc", timeout=5.0) == b"cba"


@on_network("server")
async def test_a_handler_that_answers_with_text_closes_the_connection(world: World) -> None:
    async def wrong(request: bytes) -> Any:
        return "text"

    await world.serve("server", wrong, codec=Frames())
    async with HostClient("server:80", codec=Frames()) as client:
        with pytest.raises(ConnectionClosed):
            await client.do(b"x", timeout=5.0)


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("client_type", [HostClient, PipelineClient])
@pytest.mark.usefixtures("tidy")
async def test_a_lost_call_is_repeated_only_if_all_may_be(idempotent: bool, client_type: Any) -> None:
    async with Peer() as peer, client_type(peer.addr, codec=Frames(idempotent=idempotent)) as client:
        asking = asyncio.create_task(client.do(b"once?"))
        wire = await peer.accept()
        assert await wire.read(b"once?") == frames(b"once?")
        wire.send(frames(b"half of an answer")[:-1])
        wire.close()
        if idempotent:
            wire = await peer.accept()
            await wire.read(b"once?")
            wire.send(frames(b"twice"))
            assert await soon(asking) == b"twice"
        else:
            with pytest.raises(ConnectionClosed):
                await soon(asking)
            assert len(peer.wires) == 1


@pytest.mark.parametrize("sent", [frames(b"answer", b"surplus"), b"\x7f\xff\xff\xff"], ids=["unasked", "too long"])
@pytest.mark.usefixtures("tidy")
async def test_a_server_that_lies_is_cut_off(sent: bytes) -> None:
    async with Peer() as peer, HostClient(peer.addr, codec=Frames()) as client:
        asking = asyncio.create_task(client.do(b"?"))
        wire = await peer.accept()
        await wire.read(b"?")
        wire.send(sent)
        if sent.endswith(b"surplus"):
            assert await soon(asking) == b"answer"
        else:
            with pytest.raises(BodyTooLarge):
                await soon(asking)
        await wire.gone()
        assert client.conns_count == 0


@pytest.mark.usefixtures("tidy")
async def test_a_client_that_lies_is_cut_off() -> None:
    """Before it has sent what it announced; and who ends inside a frame was not asking."""
    asked: list[bytes] = []

    async def handler(request: bytes) -> bytes:
        asked.append(request)
        return request

    async with Server(handler, codec=Frames(max_frame_size=10)) as server:
        async with connected(server.address) as wire:
            wire.send(frames(b"good") + b"\x00\x00\x00\x0b")
            assert await soon(wire.read_all()) == frames(b"good")
        async with connected(server.address) as wire:
            wire.send(frames(b"half")[:-1])
            await turns_until(lambda: len(server._sessions) == 1)
            wire.end()
            assert await soon(wire.read_all()) == b""
        assert asked == [b"good"]
