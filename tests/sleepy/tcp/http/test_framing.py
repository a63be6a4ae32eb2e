"""`sleepy.tcp.http.framing`: where bodies end, and what is refused because nobody can be sure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.tcp.errors import BodyTooLarge, RemoteProtocolError
from sleepy.tcp.http import framing
from sleepy.tcp.http.control import Control
from sleepy.tcp.http.framing import BodyDecoder, ChunkedDecoder, LengthDecoder, UntilCloseDecoder, decoder_for


def choose(
    content_length: list[str] | None = None,
    transfer_encoding: list[str] | None = None,
    *,
    is_request: bool = True,
    bodiless: bool = False,
    http10: bool = False,
    limit: int | None = None,
) -> BodyDecoder:
    """`decoder_for` with what is usual."""
    lines = [("Content-Length", value) for value in content_length or []]
    lines += [("Transfer-Encoding", value) for value in transfer_encoding or []]
    block = "".join(f"{name}:{value}\r\n" for name, value in lines).encode("latin-1")
    return decoder_for(Control(block, http10=http10), is_request=is_request, bodiless=bodiless, limit=limit)


def pour(decoder: BodyDecoder, *pieces: bytes) -> tuple[bytes | None, bytes]:
    """Show a decoder the pieces as they come; give the body, if it was whole, and what was left behind it."""
    buffer = bytearray()
    body = b""
    for piece in pieces:
        buffer += piece
        if not decoder.whole:
            body += decoder.take(buffer)
    return body if decoder.whole else None, bytes(buffer)


def each_byte(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


# The rules of choice


def test_rule_1_what_has_no_body_has_none_whatever_it_says() -> None:
    for lengths, codings in (
        ([], []),
        (["5"], []),
        (["5", "6"], []),
        (["x"], []),
        (["5"], ["chunked"]),
        ([], ["gzip"]),
    ):
        assert pour(choose(lengths, codings, is_request=False, bodiless=True), b"left") == (b"", b"left")


@pytest.mark.parametrize("coding", ["chunked", "Chunked", " chunked\t", "CHUNKED"])
def test_rule_2_chunked(coding: str) -> None:
    assert isinstance(choose(transfer_encoding=[coding]), ChunkedDecoder)


@pytest.mark.parametrize(
    "codings",
    [
        ["chunked, identity"],
        ["identity, chunked"],
        ["gzip, chunked"],
        ["chunked", "chunked"],
        ["chunked", "identity"],
        ["identity"],
        ["gzip"],
        ["xchunked"],
        ["chunked;q=1"],
        ["chunked,"],
        [",chunked"],
        ['"chunked"'],
        ["\x0bchunked"],
        ["chunked\xa0"],
        [""],
    ],
)
def test_rule_2_other_codings_are_refused(codings: list[str]) -> None:
    """Who reads a coding that another passes over ends the body elsewhere."""
    for is_request in (True, False):
        with pytest.raises(RemoteProtocolError, match="not known") as refused:
            choose(transfer_encoding=codings, is_request=is_request)
        assert refused.value.status == 501


@pytest.mark.parametrize(("lengths", "http10"), [(["5"], False), (["0"], False), ([], True)])
def test_rule_2_two_opinions_about_the_end_are_refused(lengths: list[str], http10: bool) -> None:
    """RFC 9112, section 6.1: the classic of request smuggling."""
    for is_request in (True, False):
        with pytest.raises(RemoteProtocolError, match="in doubt") as refused:
            choose(lengths, ["chunked"], is_request=is_request, http10=http10)
        assert refused.value.status == 400


@pytest.mark.parametrize("lengths", [["5"], [" 5\t"], ["5", "5"], ["5", " 5"], ["05"], ["0000000000000000005"]])
def test_rule_3_lengths(lengths: list[str]) -> None:
    assert pour(choose(lengths), b"12345left") == (b"12345", b"left")


@pytest.mark.parametrize(
    "lengths",
    [
        ["+5"],
        ["-5"],
        ["-0"],
        ["0x5"],
        ["5.0"],
        ["5e0"],
        ["5_0"],
        ["5 5"],
        ["5,5"],
        ["5, 5"],
        ["5", "6"],
        ["5", "05"],
        ["5", ""],
        [""],
        [" "],
        ["five"],
        ["\xb2"],  # str.isdigit() says yes
        ["\x0b5"],
        ["5\xa0"],
        ["9" * 20],
        ["0" * 20],
    ],
)
def test_rule_3_what_is_no_length_is_refused(lengths: list[str]) -> None:
    for is_request in (True, False):
        with pytest.raises(RemoteProtocolError, match="is not a length"):
            choose(lengths, is_request=is_request)


def test_rule_3_a_body_may_come_in_pieces() -> None:
    assert pour(choose(["5"]), *each_byte(b"1234")) == (None, b"")
    assert pour(choose(["5"]), *each_byte(b"12345left")) == (b"12345", b"left")


def test_rule_4_without_length_a_request_has_no_body_and_a_response_all_that_comes() -> None:
    assert pour(choose(is_request=True), b"left") == (b"", b"left")
    decoder = choose(is_request=False)
    assert [decoder.take(bytearray(piece)) for piece in (b"12", b"", b"345")] == [b"12", b"", b"345"]
    assert not decoder.whole
    assert decoder.may_end()


@given(st.lists(st.binary(max_size=9), max_size=6))
def test_what_a_decoder_has_given_it_does_not_keep(pieces: list[bytes]) -> None:
    """A body can be streamed: each byte of it is given when it comes, and nothing of it stays in the buffer."""
    body = b"".join(pieces)
    for decoder in (LengthDecoder(len(body) + 1), UntilCloseDecoder(None)):
        buffer = bytearray()
        for piece in pieces:
            buffer += piece
            assert decoder.take(buffer) == piece
            assert not buffer


def test_only_what_ends_with_the_connection_may_end_with_it() -> None:
    for decoder in (LengthDecoder(5), ChunkedDecoder(None)):
        pour(decoder, b"3\r\n")
        assert not decoder.whole
        assert not decoder.may_end()


# Limits


def test_a_body_that_says_it_is_too_long_is_refused_before_it_comes() -> None:
    choose(["5"], limit=5)
    with pytest.raises(BodyTooLarge, match="longer than the limit of 4 bytes") as refused:
        choose(["5"], limit=4)
    assert refused.value.status == 413


def test_a_chunk_that_says_it_is_too_long_is_refused_before_it_comes() -> None:
    for size in (b"3", b"ffffffffffffffff"):
        with pytest.raises(BodyTooLarge):
            pour(ChunkedDecoder(4), b"2\r\n12\r\n" + size + b"\r\n")
    assert pour(ChunkedDecoder(4), b"2\r\n12\r\n2\r\n34\r\n0\r\n\r\n") == (b"1234", b"")


def test_a_body_until_the_end_is_refused_when_it_grows_too_long() -> None:
    decoder = UntilCloseDecoder(4)
    assert [decoder.take(bytearray(piece)) for piece in (b"12", b"34")] == [b"12", b"34"]
    with pytest.raises(BodyTooLarge):
        pour(decoder, b"5")


# Chunks

chunk_lists = st.lists(st.binary(min_size=1, max_size=20), max_size=5)
extensions = st.sampled_from([b"", b";", b";a", b";a=b", b' ; a="b;c"', b"\t;x"])
trailers = st.sampled_from([b"", b"a: b\r\n", b"a:\r\nb: c\r\n"])


@given(chunk_lists, extensions, trailers, st.booleans(), st.binary(max_size=5))
def test_chunks_become_a_body_however_they_come(
    chunks: list[bytes], extension: bytes, trailer: bytes, upper: bool, left: bytes
) -> None:
    """Whole or byte by byte, with extensions and trailers: the body is what the chunks hold, and what follows stays."""
    size = "%X" if upper else "%x"
    data = b"".join((size % len(chunk)).encode() + extension + b"\r\n" + chunk + b"\r\n" for chunk in chunks)
    data += b"000" + extension + b"\r\n" + trailer + b"\r\n"
    expected = b"".join(chunks)
    assert pour(ChunkedDecoder(None), data + left) == (expected, left)
    assert pour(ChunkedDecoder(len(expected)), *each_byte(data + left)) == (expected, left)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b" 5\r\n",
        b"5 \r\n",
        b"+5\r\n",
        b"-5\r\n",
        b"0x5\r\n",
        b"5,\r\n",
        b"5\x0b\r\n",
        b"5_0\r\n",
        b"\xb2\r\n",
        b"g\r\n",
        b"5;a\x00\r\n",
        b"5;a\rb\r\n",
        b"5;a\nb\r\n",
        b"5\n12345\r\n",
        b"5;\n12345\r\n",
        b"11111111111111111\r\n",
        b"00000000000000005\r\n",
        b"3\r\n12345\r\n",
        b"3\r\n123\n0\r\n",
        b"3\r\n123\r\r\n",
        b"3\r\n1230\r\n\r\n",
        b"0\r\nx\r\n\r\n",
        b"0\r\nx : y\r\n\r\n",
        b"0\r\n x: y\r\n\r\n",
        b"0\r\nx: y\r\n z\r\n\r\n",
        b"0\r\nx: y\nz: a\r\n\r\n",
        b"0\r\nx: \x00\r\n\r\n",
        b"0\r\n: y\r\n\r\n",
        b"0\r\nx: y\r\nContent-Length: 5\r\n\r\n",
        b"0\r\ntransfer-encoding: chunked\r\n\r\n",
        b"0\r\n\n\r\n\r\n",
    ],
)
def test_what_is_no_chunk_is_refused(data: bytes) -> None:
    """No sign, no prefix, no blank, no bare line feed, no length but the exact one; and trailers are fields like others."""
    with pytest.raises(RemoteProtocolError):
        pour(ChunkedDecoder(None), data)
    with pytest.raises(RemoteProtocolError):
        pour(ChunkedDecoder(None), *each_byte(data))


@pytest.mark.parametrize(
    ("start", "line", "status"),
    [(b"", b"1;" + b"x" * 5000, 400), (b"", b"\n" * 5000, 400), (b"0\r\n", b"x: " + b"y" * 17000, 431)],
)
def test_lines_without_end_are_refused(start: bytes, line: bytes, status: int) -> None:
    """What does not count as body has limits too."""
    for pieces in ([start + line], [start, *each_byte(line)]):
        with pytest.raises(RemoteProtocolError) as refused:
            pour(ChunkedDecoder(None), *pieces)
        assert refused.value.status == status


def test_trailers_have_a_limit_of_their_own() -> None:
    """Just short of it they are taken, even when they all come at once."""
    fits = b"x: " + b"y" * (framing._MAX_TRAILERS - 7) + b"\r\n\r\n"
    assert pour(ChunkedDecoder(None), b"0\r\n" + fits) == (b"", b"")
    with pytest.raises(RemoteProtocolError):
        pour(ChunkedDecoder(None), b"0\r\n" + b"y" + fits)


def test_chunk_lines_have_a_limit() -> None:
    fits = b"0;" + b"y" * (framing._MAX_CHUNK_LINE - 4) + b"\r\n"
    assert pour(ChunkedDecoder(None), fits + b"\r\n") == (b"", b"")
    with pytest.raises(RemoteProtocolError):
        pour(ChunkedDecoder(None), b"0" + fits + b"\r\n")


@given(st.binary(max_size=60), st.integers(0, 30) | st.none())
def test_hostile_bytes_raise_nothing_else(data: bytes, limit: int | None) -> None:
    for decoder in (ChunkedDecoder(limit), UntilCloseDecoder(limit), LengthDecoder(7)):
        for pieces in ([data], each_byte(data)):
            try:
                pour(decoder, *pieces)
            except RemoteProtocolError:
                break


@given(st.text('0123456789abcdefABCDEF \t;=\r\nxyz:"', max_size=30))
def test_all_at_once_or_byte_by_byte_is_the_same(text: str) -> None:
    """Where the network cuts must not matter: the same body, the same rest, the same refusal."""

    def outcome(pieces: list[bytes]) -> object:
        try:
            return pour(ChunkedDecoder(100), *pieces)
        except RemoteProtocolError as error:
            return type(error)

    data = text.encode()
    assert outcome([data]) == outcome(each_byte(data))
