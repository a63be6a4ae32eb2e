"""NFQUEUE's packets, taken out of their messages; and a queue that is taken."""

import struct

import pytest

from labs.impairment.netlink import messages
from labs.impairment.packet_queue import _queued
from tests.labs.inside import inside


def test_a_packet_comes_with_its_handle_its_time_and_its_bytes() -> None:
    """Laid out by hand after linux/netfilter/nfnetlink_queue.h."""
    header = struct.pack("=HH", 11, 1) + struct.pack("!IHB", 77, 0x0800, 2) + b"\0"
    stamp = struct.pack("=HH", 20, 4) + struct.pack("!QQ", 1_700_000_000, 250_000)
    payload = struct.pack("=HH", 9, 10) + b"hello" + bytes(3)
    body = struct.pack("!BBH", 2, 0, 0) + header + stamp + payload
    message = struct.pack("=IHHII", 16 + len(body), 3 << 8, 0, 0, 0) + body
    ((kind, found),) = messages(message)
    assert kind == 3 << 8
    assert _queued(found) == (77, 1_700_000_000.25, b"hello")


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
