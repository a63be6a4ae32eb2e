"""NFQUEUE's messages, taken apart and put together; and a queue that is taken."""

import errno
import struct

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, lists, tuples

from labs.impairment.packet_queue import _attribute, _attributes, _check, _messages, _queued
from tests.labs.inside import inside


@given(lists(tuples(integers(0, 0x3FFF), binary(max_size=70))))
def test_attributes_survive_the_wire(attributes: list[tuple[int, bytes]]) -> None:
    data = b"".join(_attribute(kind, value) for kind, value in attributes)
    assert len(data) % 4 == 0
    assert list(_attributes(data)) == attributes


def test_a_packet_comes_with_its_handle_its_time_and_its_bytes() -> None:
    """Laid out by hand after linux/netfilter/nfnetlink_queue.h."""
    header = struct.pack("=HH", 11, 1) + struct.pack("!IHB", 77, 0x0800, 2) + b"\0"
    stamp = struct.pack("=HH", 20, 4) + struct.pack("!QQ", 1_700_000_000, 250_000)
    payload = struct.pack("=HH", 9, 10) + b"hello" + bytes(3)
    body = struct.pack("!BBH", 2, 0, 0) + header + stamp + payload
    message = struct.pack("=IHHII", 16 + len(body), 3 << 8, 0, 0, 0) + body
    ((kind, found),) = _messages(message)
    assert kind == 3 << 8
    assert _queued(found) == (77, 1_700_000_000.25, b"hello")


def test_an_error_of_the_kernels_is_raised_and_an_acknowledgement_is_not() -> None:
    _check(struct.pack("=i", 0))
    with pytest.raises(PermissionError):
        _check(struct.pack("=i", -errno.EPERM))


@pytest.mark.netns
def test_a_queue_that_is_taken_is_refused_and_is_free_again_when_closed() -> None:
    said = inside("""
        from labs.impairment.packet_queue import PacketQueue
        with PacketQueue(5):
            try:
                PacketQueue(5)
            except OSError as error:
                print(type(error).__name__)
        with PacketQueue(5):
            print("free")
    """)
    assert said.splitlines() == ["PermissionError", "free"]
