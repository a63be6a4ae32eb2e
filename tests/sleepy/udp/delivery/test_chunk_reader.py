"""The rules of sleepy/udp/delivery/chunk_reader.py."""

import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sleepy.udp.delivery.chunk_reader import read_chunks
from sleepy.udp.delivery.chunks import Chunk, ProtocolError
from tests.sleepy.udp.delivery.test_chunks import chunks, encode


@given(st.lists(chunks, max_size=8))
def test_what_is_written_is_read(written: list[Chunk]) -> None:
    """Every chunk, and any sequence of them."""
    assert read_chunks(encode(written)) == written


@given(st.one_of(st.binary(max_size=64), st.lists(chunks, max_size=4).map(encode)), st.data())
@example(b"\x80\x80\x00", None)
def test_hostile_bytes_are_refused_or_in_their_one_right_form(payload: bytes, data: st.DataObject | None) -> None:
    """Rule 1: what is accepted is, byte for byte, what we would have written."""
    if payload and data is not None:
        at = data.draw(st.integers(0, len(payload) - 1))
        payload = payload[:at] + bytes([data.draw(st.integers(0, 255))]) + payload[at + 1 :]
    try:
        read = read_chunks(payload)
    except ProtocolError:
        return
    assert encode(read) == payload


@pytest.mark.parametrize(
    "payload",
    [
        b"\x10\0\0\0\x05four",  # cut short
        b"\x10\0\0\0\x80\0",  # a long form of 0
        b"\x10\0\0\0\xff\xff\xff\xff\xff\xff\x01",
        b"\x20\0\0\0\x01\0",  # a run of one
        b"\x30\0\0\0\x40\0\x20" + bytes(32),  # a slice of what need not be cut
        b"\x30\0\0\0\x81\x10\0\x21" + bytes(33),  # not at a cut
        b"\x30\0\0\0\x81\x10\x7f\x20" + bytes(32),  # behind the end
        b"\x30\0\0\0\x81\x10\0\0",  # nothing
        b"\x00\x00\x01",  # padding that is none
        b"\x02\x00\x01\xff",  # no UTF-8
        b"\x03",
        b"\x60",
        b"\x86\0",
        b"\x81\0\0\0",
    ],
)
def test_each_malformed_form(payload: bytes) -> None:
    """yojimbo 33 and 36: one error, whatever is wrong."""
    with pytest.raises(ProtocolError):
        read_chunks(payload)


def test_claims_cost_nothing() -> None:
    """Rule 2: sizes of gigabytes, in a few bytes."""
    tracemalloc.start()
    try:
        for head in (b"\x10\0\0\0", b"\x81\0\0", b"\x02\0", b"\x80\0\0"):
            with pytest.raises(ProtocolError):
                read_chunks(head + b"\xff\xff\xff\xff\xff\x7f")
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
