"""What stands before a packet's messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp.connections.preface import (
    NO_PREFACE,
    Hello,
    read_preface,
    write_ack_delay,
    write_challenge,
    write_hello,
    write_response,
)
from sleepy.udp.delivery.chunk_reader import read_chunks
from sleepy.udp.delivery.chunks import Ping, ProtocolError

HELLO = Hello(b"12345678", b"parameters")


@given(
    st.lists(
        st.sampled_from(
            [write_ack_delay(0.01), write_challenge(b"c" * 8), write_response(b"r" * 8), write_hello(HELLO)]
        ),
        unique=True,
    )
)
def test_any_parts_in_any_order_are_read_and_the_messages_begin_after_them(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    preface = read_preface(whole + Ping().encode())
    assert preface.size == len(whole)
    assert preface.ack_delay == pytest.approx(0.01 if write_ack_delay(0.01) in parts else 0, abs=2e-5)
    assert preface.challenge == (b"c" * 8 if write_challenge(b"c" * 8) in parts else None)
    assert preface.response == (b"r" * 8 if write_response(b"r" * 8) in parts else None)
    assert preface.hello == (HELLO if write_hello(HELLO) in parts else None)


@pytest.mark.parametrize("part", [write_ack_delay(1), write_challenge(b"c" * 8), write_hello(HELLO)])
def test_what_is_cut_short_is_an_error(part: bytes) -> None:
    """Rule 3."""
    for end in range(1, len(part)):
        with pytest.raises(ProtocolError):
            read_preface(part[:end])


@given(st.binary(max_size=80))
def test_whatever_comes_is_read_or_refused(payload: bytes) -> None:
    try:
        preface = read_preface(payload)
    except ProtocolError:
        return
    assert 0 <= preface.size <= len(payload)


@pytest.mark.parametrize("head", range(256))
def test_no_byte_begins_both(head: int) -> None:
    """Rule 1: what begins a part of the preface begins no chunk of messages."""
    payload = bytes([head]) + bytes(40)
    try:
        preface = read_preface(payload)
    except ProtocolError:
        preface = None
    if preface == NO_PREFACE:
        return
    with pytest.raises(ProtocolError, match="begins no chunk"):
        read_chunks(payload)


def test_a_delay_that_is_too_long_to_tell_is_a_second() -> None:
    assert read_preface(write_ack_delay(100.0)).ack_delay == pytest.approx(1.0, abs=1e-4)
