"""The rules of sleepy/udp/delivery/channels/reliable_sender.py; test_messages.py proves them with both ends."""

import pytest

from sleepy.udp.delivery.channels.config import ChannelConfig, MessageTooLarge, QueueFull
from sleepy.udp.delivery.channels.reliable_sender import ReliableSender
from sleepy.udp.delivery.channels.unreliable import UnreliableSender
from sleepy.udp.delivery.chunk_reader import read_chunks
from sleepy.udp.delivery.chunks import Chunk, Credit, ProtocolError, Run, Skip
from sleepy.udp.delivery.payload import PacketBuilder

CONFIG = ChannelConfig(max_message_size=2000, queue_messages=20, queue_bytes=9000, window_messages=6, window_bytes=4000)


def filled(sender: ReliableSender) -> tuple[list[Chunk], PacketBuilder]:
    packet = PacketBuilder(1162)
    sender.fill(packet, packet.room)
    payload = b"".join(packet.parts)
    assert len(payload) == 1162 - packet.room
    return read_chunks(payload), packet


def sent_with(count: int, size: int = 10) -> ReliableSender:
    sender = ReliableSender(0, CONFIG)
    for number in range(count):
        sender.send(bytes([number]) * size)
    return sender


def test_the_lost_go_first_and_the_oldest_of_them() -> None:
    """Rule 1."""
    sender = sent_with(4)
    filled(sender)
    sender.send(b"fresh")
    sender.on_lost(0, 2, 1)
    sender.on_lost(0, 0, 1)
    chunks, _ = filled(sender)
    assert [(chunk.first, chunk.messages) for chunk in chunks if isinstance(chunk, Run)] == [
        (0, [bytes(10)]),
        (2, [b"\2" * 10]),
        (4, [b"fresh"]),
    ]


def test_a_late_ack_saves_the_resend() -> None:
    """Rule 2."""
    sender = sent_with(2)
    filled(sender)
    sender.on_lost(0, 0, 2)
    sender.on_acked(0, 0, 2)
    assert not sender.has_data()
    assert sender.queued_bytes == sender.queued_messages == 0


def test_credit_of_ids_and_of_bytes() -> None:
    """Rule 3: the window's 6 ids, or its 4000 bytes, and then what was told."""
    sender = sent_with(10)
    assert [len(chunk.messages) for chunk in filled(sender)[0] if isinstance(chunk, Run)] == [6]
    assert not sender.has_data()
    sender.on_credit(Credit(0, 8, 4000))
    assert [len(chunk.messages) for chunk in filled(sender)[0] if isinstance(chunk, Run)] == [2]
    large = sent_with(5, size=1000)
    for _ in range(4):
        assert filled(large)[0]
    assert not large.has_data()
    large.on_credit(Credit(0, 6, 5000))
    assert large.has_data()


def test_a_run_ends_where_the_credit_for_bytes_ends() -> None:
    """Rule 3: 13 messages of 300 bytes fit in 4000, though 14 would fit in the packets."""
    sender = ReliableSender(0, ChannelConfig(max_message_size=2000, window_bytes=4000))
    for _ in range(14):
        sender.send(bytes(300))
    packet = PacketBuilder(9000)
    sender.fill(packet, packet.room)
    assert packet.tokens[0][2:] == (0, 13)


def test_old_credit_is_ignored_and_absurd_credit_refused() -> None:
    """Rule 7."""
    sender = sent_with(10)
    filled(sender)
    sender.on_credit(Credit(0, 8, 4020))
    sender.on_credit(Credit(0, 7, 4010))
    assert [len(chunk.messages) for chunk in filled(sender)[0] if isinstance(chunk, Run)] == [2]
    for absurd in (Credit(0, 15, 4020), Credit(0, 8, 4081)):
        with pytest.raises(ProtocolError):
            sender.on_credit(absurd)


def test_a_skip_says_what_was_counted() -> None:
    """Rule 6: the bytes of what was sent; none of what never was."""
    sender = ReliableSender(0, CONFIG)
    sender.send(bytes(100), expires=1.0)
    filled(sender)
    sender.send(bytes(100), expires=1.0)
    sender.expire(1.0)
    chunks, packet = filled(sender)
    assert chunks == [Skip(0, 0, 100), Skip(0, 1, 0)]
    sender.on_lost(*packet.tokens[0][1:])
    assert filled(sender)[0] == [Skip(0, 0, 100)]


def test_expiries_of_what_is_acked_do_not_pile_up() -> None:
    """Memory is bounded by the queue, whatever the lifetimes."""
    sender = ReliableSender(0, CONFIG)
    for number in range(500):
        sender.send(b"", expires=1e9)
        sender._limit = number + 2
        filled(sender)
        sender.on_acked(0, number, 1)
    assert len(sender._expiries) <= 20


@pytest.mark.parametrize("kind", [ReliableSender, UnreliableSender])
def test_the_queue_is_bounded_in_bytes(kind: type[ReliableSender | UnreliableSender]) -> None:
    """However few the messages: what fits is taken to the last byte, one more is not, and `can_send` says the same."""
    sender = kind(0, CONFIG)
    for _ in range(4):
        sender.send(bytes(2000))
    assert not sender.can_send(1001)
    with pytest.raises(QueueFull, match="8000 bytes"):
        sender.send(bytes(1001))
    assert sender.can_send(1000)
    sender.send(bytes(1000))
    assert sender.queued_bytes == CONFIG.queue_bytes


def test_no_room_and_too_large() -> None:
    sender = sent_with(20)
    assert not sender.can_send(0)
    with pytest.raises(QueueFull):
        sender.send(b"")
    with pytest.raises(MessageTooLarge):
        sender.send(bytes(2001))
