"""The rules of sleepy/udp/delivery/chunks.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp.delivery.chunk_reader import read_varint
from sleepy.udp.delivery.chunks import (
    ID_MASK,
    LARGEST_WHOLE,
    MAX_VARINT,
    UNIT,
    BlockCancel,
    BlockCredit,
    BlockData,
    BlockEnd,
    BlockOpen,
    BlockStop,
    Chunk,
    Close,
    Credit,
    Ping,
    Run,
    Skip,
    Slice,
    write_text,
    write_varint,
)

numbers = st.one_of(st.integers(0, 300), st.integers(0, MAX_VARINT))
channels, ids = st.integers(0, 15), st.integers(0, ID_MASK)
texts = st.text(max_size=60)
slices = st.builds(
    lambda channel, id_, unit, count, behind: Slice(
        channel, id_, LARGEST_WHOLE + (unit + count) * UNIT + behind, unit, bytes(count * UNIT)
    ),
    channels,
    ids,
    st.integers(0, 1 << 20),
    st.integers(1, 40),
    st.integers(0, 1 << 20),
)
chunks: st.SearchStrategy[Chunk] = st.one_of(
    st.builds(Run, channels, ids, st.lists(st.binary(max_size=300), min_size=1, max_size=6)),
    slices,
    st.builds(Skip, channels, ids, numbers),
    st.builds(Credit, channels, ids, st.integers(0, (1 << 32) - 1)),
    st.builds(Ping),
    st.builds(Close, numbers, texts),
    st.builds(BlockOpen, numbers, st.one_of(st.none(), st.integers(0, MAX_VARINT - 1)), st.binary(max_size=255)),
    st.builds(BlockData, numbers, numbers, st.binary(min_size=1, max_size=300)),
    st.builds(BlockEnd, numbers, numbers),
    st.builds(BlockCancel, numbers, numbers, texts),
    st.builds(BlockStop, numbers, numbers, texts),
    st.builds(BlockCredit, numbers, numbers),
)


def encode(written: list[Chunk]) -> bytes:
    return b"".join(chunk.encode() for chunk in written)


@given(numbers)
def test_varints(number: int) -> None:
    """Rule 2: seven bits per byte."""
    written = write_varint(number)
    assert read_varint(written, 0) == (number, len(written))
    assert len(written) == max(1, -(-number.bit_length() // 7))


def test_varints_have_an_end() -> None:
    """Rule 2."""
    assert len(write_varint(MAX_VARINT)) == 6
    with pytest.raises(ValueError, match="fit"):
        write_varint(MAX_VARINT + 1)


@pytest.mark.parametrize(
    ("chunk", "written"),
    [
        (Run(3, 0x010203, [b"abc"]), "13030201 03616263"),
        (Run(3, 0x010203, [b"abc", b""]), "2303020102 03616263 00"),
        (Skip(1, 2, 200), "41020000c801"),
        (Credit(0, 5, 0x01020304), "5005000004030201"),
        (Close(1, "é"), "020102c3a9"),
        (BlockOpen(0, None, b"l"), "800000016c"),
        (BlockOpen(0, 0, b""), "80000100"),
        (BlockData(2, 3, b"\xff"), "81020301ff"),
    ],
)
def test_the_bytes_are_those_of_the_table(chunk: Chunk, written: str) -> None:
    assert chunk.encode() == bytes.fromhex(written)


def test_long_reasons_are_cut_between_letters() -> None:
    assert write_text("é" * 200) == b"\xfe\x01" + "é".encode() * 127
