"""`sleepy.tcp.http.content_coding`: its four rules, and the option of `Http1`. Packed by the libraries themselves."""

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from sleepy.tcp import BodyTooLarge, HostClient, Http1, PipelineClient, RemoteProtocolError, Request, Response, Server
from sleepy.tcp.http.content_coding import ACCEPT_ENCODING, MAX_CODINGS, STEP, ContentDecoder, DecodedStream, codings_of
from tests.sleepy.tcp.helpers import soon

GET, HEAD, GET_BOMB = Request("GET", "/"), Request("HEAD", "/"), Request("GET", "/bomb")


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {  # how it is called, and what does it
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstd.compress),
}
each_kind = pytest.mark.parametrize(("coding", "pack"), PACKED.values(), ids=PACKED)


def unpack(codings: list[str], *pieces: bytes, limit: int | None = None) -> bytes:
    decoder = ContentDecoder(codings, limit)
    body = b"".join([piece for data in pieces for piece in decoder.feed(data)])
    decoder.end()
    return body


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


# Undoing one coding


@each_kind
@given(body=st.binary(max_size=2000), places=st.lists(st.integers(0, 3000), max_size=8))
def test_whatever_was_packed_comes_out_however_it_is_cut(
    coding: str, pack: Any, body: bytes, places: list[int]
) -> None:
    assert unpack([coding], *cut(pack(body), places)) == body


@each_kind
def test_more_than_a_step_comes_out_whole(coding: str, pack: Any) -> None:
    """At sizes around the step, where a library may hold back its last bytes."""
    for size in (STEP - 1, STEP, STEP + 1, 3 * STEP, 3 * STEP + 1):
        body = bytes(index * index % 251 for index in range(size))
        assert unpack([coding], pack(body)) == body


@each_kind
def test_what_a_library_holds_back_comes_out_too(coding: str, pack: Any) -> None:
    """All input may be taken when a step is full, and the rest of the output still be inside."""
    for extra in range(1, 300, 7):
        assert len(unpack([coding], pack(bytes(STEP + extra)))) == STEP + extra


@each_kind
def test_what_ends_too_early_is_an_error(coding: str, pack: Any) -> None:
    """Rule 3, at every place but the front: nothing at all is nothing."""
    packed = pack(b"to be, or not to be" * 5)
    for size in range(1, len(packed)):
        with pytest.raises(RemoteProtocolError):
            unpack([coding], packed[:size])
    assert unpack([coding]) == unpack([coding], b"") == b""


@each_kind
def test_what_goes_on_behind_its_end_is_an_error(coding: str, pack: Any) -> None:
    """Rule 3, in the same piece and in the next."""
    packed = pack(b"that is all")
    with pytest.raises(RemoteProtocolError, match=coding):
        unpack([coding], packed + b"!!!!")
    with pytest.raises(RemoteProtocolError, match=coding):
        unpack([coding], packed, b"!!!!")


@pytest.mark.parametrize("name", ["deflate", "raw deflate", "br"])
def test_what_is_no_row_is_not_read_as_one(name: str) -> None:
    coding, pack = PACKED[name]
    with pytest.raises(RemoteProtocolError, match=coding):
        unpack([coding], pack(b"one") + pack(b"two"))


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd"])  # br and raw deflate have no checksum
def test_what_is_damaged_is_an_error(name: str) -> None:
    coding, pack = PACKED[name]
    packed = bytearray(zstd.compress(b"x1y2" * 9, options={zstd.CompressionParameter.checksum_flag: 1}))
    if name != "zstd":
        packed = bytearray(pack(b"x1y2" * 9))
    packed[-1 if name != "gzip" else -5] ^= 1  # in the checksum
    with pytest.raises(RemoteProtocolError, match=f"not {coding}"):
        unpack([coding], bytes(packed))


@each_kind
def test_what_is_not_packed_is_an_error(coding: str, pack: Any) -> None:
    with pytest.raises(RemoteProtocolError, match=f"not {coding}"):
        unpack([coding], b"\xff\xff\xff\xff plain text")


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_several_in_a_row_are_one(name: str) -> None:
    """RFC 1952, section 2.2, and RFC 8878, section 3.1."""
    coding, pack = PACKED[name]
    packed = pack(b"one ") + pack(b"") + pack(b"two")
    assert unpack([coding], packed) == b"one two"
    assert unpack([coding], *(bytes([byte]) for byte in packed)) == b"one two"


# Bombs (rule 1)

HUGE = 24 * 1024 * 1024


@each_kind
def test_a_bomb_needs_no_more_memory_than_a_step(coding: str, pack: Any) -> None:
    packed = pack(bytes(HUGE))
    tracemalloc.start()
    try:
        size = sum(map(len, ContentDecoder([coding], None).feed(packed)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == HUGE
    assert peak < 8 * STEP


@each_kind
def test_the_limit_is_held_against_the_unpacked_size_at_every_step(coding: str, pack: Any) -> None:
    sizes: list[int] = []
    with pytest.raises(BodyTooLarge):
        sizes.extend(map(len, ContentDecoder([coding], 200_000).feed(pack(bytes(HUGE)))))
    assert 0 < sum(sizes) <= 200_000
    assert len(unpack([coding], pack(bytes(200_000)), limit=200_000)) == 200_000


def test_a_window_of_more_than_eight_megabytes_is_refused() -> None:
    """RFC 9659: what a decoder must keep is memory that the peer chooses."""
    parameter = zstd.CompressionParameter
    wide = zstd.ZstdCompressor(options={parameter.window_log: 25, parameter.enable_long_distance_matching: 1})
    with pytest.raises(RemoteProtocolError):
        unpack(["zstd"], wide.compress(bytes(HUGE)) + wide.flush())


# Several codings (rule 2)


def test_codings_are_undone_in_turn_the_last_first() -> None:
    assert codings_of(["gzip, BR", "zstd"]) == ["gzip", "br", "zstd"]
    packed = zstd.compress(brotli.compress(gzip.compress(b"thrice")))
    assert unpack(["gzip", "br", "zstd"], *(bytes([byte]) for byte in packed)) == b"thrice"


def test_a_bomb_in_a_bomb_is_unpacked_in_steps_too() -> None:
    packed = gzip.compress(gzip.compress(bytes(HUGE)))
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            unpack(["gzip", "gzip"], packed, limit=STEP * 3)
        assert tracemalloc.get_traced_memory()[1] < 12 * STEP
    finally:
        tracemalloc.stop()


def test_what_is_not_known_is_left_alone() -> None:
    assert codings_of(["gzip, aes128gcm"]) == []
    assert codings_of([]) == codings_of(["identity"]) == codings_of([" , "]) == []
    assert codings_of(["X-Gzip, identity"]) == ["gzip"]


def test_too_many_codings_are_an_error() -> None:
    assert len(codings_of(["gzip," * MAX_CODINGS])) == MAX_CODINGS
    with pytest.raises(RemoteProtocolError, match="codings"):
        codings_of(["gzip," * (MAX_CODINGS + 1)])


def test_what_is_offered_is_what_can_be_undone() -> None:
    """Rule 4; the packages are there when these tests run."""
    assert ACCEPT_ENCODING == "gzip, deflate, br, zstd"


# As an option of Http1, without I/O

CODEC = Http1(decode_content=True)


def answer(body: bytes, *fields: str, status: int = 200, close: bool = False) -> bytes:
    length = [] if close else [f"content-length: {len(body)}"]
    return "\r\n".join([f"HTTP/1.1 {status} X", *length, *fields, "", ""]).encode() + body


def read(data: bytes, *requests: Request, limit: int | None = None, codec: Http1 = CODEC, ends: bool = False) -> Any:
    reader = codec.answer_reader(limit)
    for request in requests or (GET,):
        reader.expect(request)
    found = [*reader.feed(data), *(reader.end() if ends else ())]
    return found if len(requests) > 1 or not found else found[0]


def test_a_request_offers_what_can_be_undone_unless_its_caller_speaks_of_it() -> None:
    offer = f"accept-encoding: {ACCEPT_ENCODING}\r\n".encode()
    for request in (GET, Request("GET", "/", {"x": "y"}), Request("POST", "/", (), b"body")):
        assert offer in CODEC.encode_request(request, "h").data
        assert b"accept-encoding" not in Http1().encode_request(request, "h").data
    own = CODEC.encode_request(Request("GET", "/", {"Accept-Encoding": "identity"}), "h").data
    assert b"Accept-Encoding: identity\r\n" in own
    assert offer not in own
    assert offer not in CODEC.encode_request(Request("GET", "/", {"range": "bytes=0-9"}), "h").data


def test_a_packed_answer_comes_unpacked_and_says_no_more_of_it() -> None:
    response = read(answer(gzip.compress(b"hello"), "Content-Encoding: gzip", "etag: x"))
    assert (response.body, response.headers.items()) == (b"hello", (("etag", "x"),))


def test_by_default_nothing_is_undone() -> None:
    packed = gzip.compress(b"hello")
    response = read(answer(packed, "content-encoding: gzip"), codec=Http1())
    assert (response.body, response.headers["content-encoding"]) == (packed, "gzip")


def test_chunks_are_no_steps_of_the_packing() -> None:
    packed = gzip.compress(b"hello")
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in packed) + b"0\r\nx-trailer: y\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-encoding: gzip\r\n\r\n"
    response = read(head + chunks)
    assert (response.body, response.trailers["x-trailer"]) == (b"hello", "y")


def test_what_has_no_body_or_only_a_part_is_left_alone() -> None:
    for request, status in ((HEAD, 200), (GET, 304), (GET, 206)):
        data = answer(b"packed part" if status == 206 else b"", "content-encoding: gzip", status=status)
        response = read(data, request)
        assert (response.headers["content-encoding"], response.body) == ("gzip", data.partition(b"\r\n\r\n")[2])
    assert read(answer(b"", "content-encoding: gzip")).body == b""


def test_what_is_not_known_keeps_its_field() -> None:
    response = read(answer(b"secret", "content-encoding: aes128gcm"))
    assert (response.body, response.headers["content-encoding"]) == (b"secret", "aes128gcm")


def test_the_same_head_again_is_unpacked_again() -> None:
    """Its reader remembers heads: what it remembers of a packed one must not be a plain one."""
    one, two = (answer(zlib.compress(body), "content-encoding: deflate") for body in (b"one", b"two"))
    assert len(one) == len(two)
    assert [response.body for response in read(one + two, GET, GET)] == [b"one", b"two"]
    reader = CODEC.answer_reader()
    reader.expect(GET, Kept())
    list(reader.feed(one))
    reader.expect(GET)
    assert [response.body for response in reader.feed(two)] == [b"two"]


class Kept:
    """A body that has come."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def finish(self) -> None:
        pass

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


def test_the_limit_holds_for_what_is_unpacked() -> None:
    data = answer(gzip.compress(bytes(HUGE)), "content-encoding: gzip")
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            read(data, limit=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert len(read(data, limit=HUGE).body) == HUGE


def test_a_body_cut_or_broken_is_the_peers_error() -> None:
    packed = gzip.compress(b"hello")
    for body in (packed[:-1], packed + b"x", b"\xff" + packed):
        with pytest.raises(RemoteProtocolError):
            read(answer(body, "content-encoding: gzip"))


def test_a_body_that_ends_with_the_connection_is_whole_only_if_its_packing_is() -> None:
    packed = gzip.compress(b"hello")
    assert read(answer(packed, "content-encoding: gzip", close=True), ends=True).body == b"hello"
    assert read(answer(packed[:-1], "content-encoding: gzip", close=True), ends=True) == []


# Through the clients


@pytest.fixture
async def server(tidy: None) -> AsyncIterator[str]:
    async def handle(request: Request) -> Response:
        assert "gzip" in request.headers["accept-encoding"]
        body = {"/short": b"hello", "/bomb": bytes(HUGE), "/broken": b"hello"}[request.target]
        packed = gzip.compress(body, 1)
        return Response(200, packed[:-1] if request.target == "/broken" else packed, {"content-encoding": "gzip"})

    async with Server(handle) as server:
        yield "{}:{}".format(*server.address)


async def test_both_clients_unpack(server: str) -> None:
    async with HostClient(server, codec=CODEC) as host, PipelineClient(server, codec=CODEC) as pipeline:
        for client in (host, pipeline):
            assert [(await soon(client.get("/short"))).body for _ in range(3)] == [b"hello"] * 3


async def test_a_streamed_bomb_is_unpacked_as_it_is_taken(server: str) -> None:
    async with HostClient(server, codec=CODEC, max_conns=1) as client:
        async with client.stream(GET_BOMB, timeout=20) as response:
            assert isinstance(response.stream, DecodedStream)
            assert "content-length" not in response.headers
            assert len(await anext(response.stream)) <= STEP
        assert (await soon(client.get("/short"))).body == b"hello"  # what was left is no longer in the way
        async with client.stream(GET_BOMB, timeout=20) as response:
            assert response.stream is not None
            assert sum([len(piece) async for piece in response.stream]) == HUGE


async def test_a_streamed_body_that_is_broken_ends_in_an_error_and_leaves_the_connection_clean(server: str) -> None:
    """Its end was never in doubt, only its content."""
    async with HostClient(server, codec=CODEC) as client:
        async with client.stream(Request("GET", "/broken"), timeout=20) as response:
            assert response.stream is not None
            with pytest.raises(RemoteProtocolError, match="ends before"):
                [piece async for piece in response.stream]
        assert (await soon(client.get("/short"))).body == b"hello"
        assert client.metrics.dials == 1


async def test_a_limit_holds_for_a_stream(server: str) -> None:
    sizes: list[int] = []

    async def take(stream: Any) -> None:
        async for piece in stream:
            sizes.append(len(piece))  # noqa: PERF401 -- those before the error count

    async with (
        HostClient(server, codec=CODEC, max_response_body_size=1_000_000) as client,
        client.stream(GET_BOMB, timeout=20) as response,
    ):
        with pytest.raises(BodyTooLarge):
            await take(response.stream)
    assert 0 < sum(sizes) <= 1_000_000
