"""What reliable_receiver.py keeps and tells; test_messages.py proves the rest with both ends."""

import pytest

from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery
from sleepy.udp.delivery.channels.reliable_receiver import ReliableReceiver
from sleepy.udp.delivery.chunks import CREDIT, Credit, ProtocolError, Run, Skip, Slice
from sleepy.udp.delivery.payload import PacketBuilder


def receiver_of(delivery: Delivery) -> ReliableReceiver:
    return ReliableReceiver(0, ChannelConfig(delivery, max_message_size=2000, window_messages=6, window_bytes=4000))


def told(receiver: ReliableReceiver) -> bytes:
    packet = PacketBuilder(1162)
    receiver.fill(packet)
    return b"".join(packet.parts)


def test_order_or_none() -> None:
    """Rules of the two kinds: the third waits for the first, or does not."""
    for delivery, early in ((Delivery.RELIABLE_ORDERED, []), (Delivery.RELIABLE_UNORDERED, [b"third"])):
        receiver = receiver_of(delivery)
        receiver.on_run(Run(0, 2, [b"third"]))
        receiver.on_run(Run(0, 2, [b"third"]))
        assert list(iter(receiver.read, None)) == early
        receiver.on_run(Run(0, 0, [b"first", b"second", b"third"]))
        assert list(iter(receiver.read, None)) == [b"first", b"second", b"third"][: 3 - len(early)]


def test_no_credit_beyond_the_first_that_is_missing() -> None:
    """Rule 4: of an unordered channel too, or what is remembered would grow."""
    receiver = receiver_of(Delivery.RELIABLE_UNORDERED)
    for id_ in range(1, 6):
        receiver.on_run(Run(0, id_, [b""]))
        receiver.read()
    assert told(receiver) == b""
    receiver.on_run(Run(0, 0, [b""]))
    receiver.read()
    assert told(receiver) == Credit(0, 12, 4000).encode()


def test_credit_for_bytes_gives_none_for_ids() -> None:
    """Rule 4: half of the bytes were read, but the first message is missing."""
    receiver = receiver_of(Delivery.RELIABLE_UNORDERED)
    receiver.on_run(Run(0, 1, [bytes(1000), bytes(1000)]))
    assert len(list(iter(receiver.read, None))) == 2
    assert told(receiver) == Credit(0, 6, 6000).encode()


def test_credit_at_half_a_window_and_again_if_lost() -> None:
    """Rule 5: by bytes."""
    receiver = receiver_of(Delivery.RELIABLE_ORDERED)
    receiver.on_run(Run(0, 0, [bytes(1999), bytes(1)]))
    receiver.read()
    assert not receiver.has_data()
    receiver.read()
    assert told(receiver) == Credit(0, 8, 6000).encode()
    assert not receiver.has_data()
    receiver.on_lost(CREDIT, 0, 1)
    assert told(receiver) == Credit(0, 8, 6000).encode()


def test_what_is_read_counts_and_what_is_ready_does_not() -> None:
    """Rule 4: of four messages that came together two are read; the others still take room, and come in their order."""
    receiver = receiver_of(Delivery.RELIABLE_ORDERED)
    receiver.on_run(Run(0, 0, [b"1", b"2", b"3", b"4"]))
    assert [receiver.read(), receiver.read()] == [b"1", b"2"]
    assert receiver.unread_messages == 2
    assert not receiver.has_data()
    receiver.on_run(Run(0, 4, [b"5"]))
    assert [receiver.read(), receiver.read(), receiver.read(), receiver.read()] == [b"3", b"4", b"5", None]
    assert told(receiver) == Credit(0, 11, 4005).encode()


def test_each_message_of_a_run_has_its_size() -> None:
    """Two that are too large together are right; one that is too large is not, wherever it stands."""
    receiver_of(Delivery.RELIABLE_ORDERED).on_run(Run(0, 0, [bytes(1500), bytes(1500)]))
    for sizes in ([2001], [1, 2001], [2001, 1]):
        with pytest.raises(ProtocolError, match="2001 bytes"):
            receiver_of(Delivery.RELIABLE_ORDERED).on_run(Run(0, 0, [bytes(size) for size in sizes]))


def test_a_skip_frees_what_had_come() -> None:
    """Rule 6: the parts of a message that is given up are dropped, and the next is delivered."""
    receiver = receiver_of(Delivery.RELIABLE_ORDERED)
    receiver.on_slice(Slice(0, 0, 2000, 0, bytes(32)))
    receiver.on_run(Run(0, 1, [b"next"]))
    receiver.on_skip(Skip(0, 0, 2000))
    receiver.on_skip(Skip(0, 0, 2000))
    receiver.on_slice(Slice(0, 0, 2000, 1, bytes(32)))
    assert receiver.held_bytes == 4
    assert receiver.read() == b"next"
    assert told(receiver) == Credit(0, 8, 6004).encode()
