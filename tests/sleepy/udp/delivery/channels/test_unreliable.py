"""The rules of sleepy/udp/delivery/channels/unreliable.py."""

from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery
from sleepy.udp.delivery.channels.unreliable import UnreliableReceiver
from sleepy.udp.delivery.chunks import Run, Slice
from tests.sleepy.udp.hostile_pipe import ends, read_all


def test_sequenced_keeps_the_latest() -> None:
    """Rule 3 of unreliable, on both sides."""
    pipe = ends(delivery=Delivery.UNRELIABLE_SEQUENCED)
    packets = []
    for number in range(4):
        pipe.a.sender(0).send(b"overtaken")
        pipe.a.sender(0).send(bytes([number]))
        packets.append(pipe.fill(pipe.a))
    for which in (1, 0, 2):
        packets[which].deliver()  # type: ignore[union-attr]
    assert read_all(pipe.b) == [b"\x02"]
    packets[3].deliver()  # type: ignore[union-attr]
    assert read_all(pipe.b) == [b"\x03"]
    assert pipe.a.sender(0).given_up == 4


def test_an_unread_unreliable_channel_drops_the_oldest() -> None:
    """Rule 2 of unreliable."""
    pipe = ends(delivery=Delivery.UNRELIABLE, window_messages=3)
    for number in range(5):
        pipe.a.sender(0).send(bytes([number]))
    pipe.settle()
    assert read_all(pipe.b) == [b"\x02", b"\x03", b"\x04"]


def test_unread_messages_make_room() -> None:
    """Rule 2: of those that nobody reads no more bytes are kept than the window has, the oldest go, one by one."""
    receiver = UnreliableReceiver(0, ChannelConfig(Delivery.UNRELIABLE, max_message_size=4000, window_bytes=9000))
    for number in range(20):
        receiver.on_run(Run(0, number, [bytes([number]) * 2000]))
        assert receiver.held_bytes == 2000 * min(number + 1, 4)
    assert receiver.dropped == 16
    receiver.on_slice(Slice(0, 20, 4000, 0, bytes(32)))
    assert receiver.held_bytes == 8000
    assert [receiver.read(), receiver.read(), receiver.read()] == [b"\x12" * 2000, b"\x13" * 2000, None]


def test_a_part_of_an_overtaken_message_is_not_kept() -> None:
    """Rule 3: nobody would ever read it."""
    receiver = UnreliableReceiver(0, ChannelConfig(Delivery.UNRELIABLE_SEQUENCED, max_message_size=4000))
    receiver.on_run(Run(0, 5, [b"newest"]))
    receiver.on_slice(Slice(0, 4, 4000, 0, bytes(32)))
    assert receiver.held_bytes == len(b"newest")


def test_incomplete_messages_make_room() -> None:
    """Rule 1: of large messages whose rest never comes, no more is kept than the window has."""
    receiver = UnreliableReceiver(0, ChannelConfig(Delivery.UNRELIABLE, max_message_size=4000, window_bytes=9000))
    for number in range(50):
        receiver.on_slice(Slice(0, number, 4000, 0, bytes(32)))
        assert receiver.held_bytes <= 8000
    receiver.on_run(Run(0, 50, [bytes(4000)]))
    assert receiver.read() == bytes(4000)


def test_the_newest_goes_round_with_the_ids() -> None:
    """Rule 5: after id 2**24 - 1 comes 0, and what is a little older is overtaken."""
    receiver = UnreliableReceiver(0, ChannelConfig(Delivery.UNRELIABLE_SEQUENCED))
    for id_, taken in ((0xFFFFFE, True), (1, True), (0xFFFFFF, False), (1, False), (2, True)):
        receiver.on_run(Run(0, id_, [b"x"]))
        assert receiver.read() == (b"x" if taken else None)


def test_an_older_incomplete_message_is_forgotten() -> None:
    """Rule 3: a newer one is there."""
    receiver = UnreliableReceiver(0, ChannelConfig(Delivery.UNRELIABLE_SEQUENCED))
    receiver.on_slice(Slice(0, 5, 4000, 0, bytes(32)))
    receiver.on_run(Run(0, 6, [b"newer"]))
    assert receiver.held_bytes == 5


def test_what_has_begun_is_finished() -> None:
    """Rule 3: large messages in quick succession still arrive."""
    pipe = ends(delivery=Delivery.UNRELIABLE_SEQUENCED)
    for number in range(30):
        pipe.a.sender(0).send(bytes([number]) * 3000)
        packet = pipe.fill(pipe.a)
        assert packet is not None
        packet.deliver()
    assert len(read_all(pipe.b)[0]) == 3000


def test_what_expired_is_not_sent() -> None:
    """Rule 4, also in the midst of a large message."""
    pipe = ends(delivery=Delivery.UNRELIABLE)
    pipe.a.sender(0).send(bytes(3000), expires=1.0)
    pipe.a.sender(0).send(b"next")
    assert pipe.fill(pipe.a)
    pipe.now = 1.0
    packet = pipe.fill(pipe.a)
    assert packet is not None
    packet.deliver()
    assert read_all(pipe.b) == [b"next"]
    assert pipe.a.sender(0).given_up == 1


def test_what_expired_behind_another_is_not_sent_with_it() -> None:
    """Rule 4, found by the campaign: only the first of the queue was looked at, and the others left in the same packet."""
    pipe = ends(delivery=Delivery.UNRELIABLE)
    sender = pipe.a.sender(0)
    for message, expires in ((b"lasts", None), (b"over", 0.5), (b"over too", 0.7), (b"not yet", 1.5)):
        sender.send(message, expires)
    pipe.now = 1.0
    pipe.settle()
    assert read_all(pipe.b) == [b"lasts", b"not yet"]
    assert sender.given_up == 2
    assert sender.queued_bytes == 0
