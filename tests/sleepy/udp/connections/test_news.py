"""What is new is told once, and only what is."""

from sleepy.udp.connections.connection_events import (
    BlockArrived,
    BlockChanged,
    BlockRoomAgain,
    Established,
    MessagesArrived,
    RoomAgain,
)
from sleepy.udp.connections.news import News
from sleepy.udp.delivery.blocks import BlockState
from tests.sleepy.udp.hostile_pipe import ends, read_all


def test_nothing_new() -> None:
    pipe = ends()
    news = News(pipe.a)
    assert news.take() == []
    news.stale = True
    assert news.take() == []


def test_what_happened_comes_first() -> None:
    pipe = ends()
    pipe.a.sender(0).send(b"message")
    pipe.settle()
    news = News(pipe.b)
    news.add(Established())
    assert news.take() == [Established(), MessagesArrived(0)]
    read_all(pipe.b)
    news.stale = True
    assert news.take() == []


def test_room_is_told_when_there_is_enough() -> None:
    pipe = ends(queue_bytes=1000, max_message_size=1000)
    news = News(pipe.a)
    assert not news.wanted
    pipe.a.sender(0).send(bytes(600))
    pipe.a.sender(0).send(bytes(300))
    news.want_room(0, 500)
    assert news.wanted
    news.stale = True
    assert news.take() == []
    pipe.settle()
    news.stale = True
    assert news.take() == [RoomAgain(0)]
    assert not news.wanted


def test_a_block_is_watched_until_it_is_over() -> None:
    pipe = ends()
    ours, theirs = News(pipe.a), News(pipe.b)
    block = pipe.a.open_block(source=iter([bytes(60_000)]))
    ours.watch(block)
    pipe.settle()
    ours.stale = theirs.stale = True
    [arrived] = theirs.take()
    assert isinstance(arrived, BlockArrived)
    assert ours.take() == [BlockChanged(block)]
    arrived.block.read()
    pipe.settle()
    ours.stale = theirs.stale = True
    assert theirs.take() == [BlockChanged(arrived.block)]
    assert ours.take() == [BlockChanged(block)]
    assert block.state is BlockState.FINISHED
    ours.stale = True
    assert ours.take() == []
    assert not ours._blocks  # or a long connection would remember all that it ever carried
    assert not theirs._blocks


def test_room_for_blocks() -> None:
    pipe = ends()
    news = News(pipe.a)
    blocks = [pipe.a.open_block() for _ in range(16)]
    news.want_block()
    news.stale = True
    assert news.take() == []
    blocks[0].cancel()
    pipe.settle()
    news.stale = True
    assert news.take() == [BlockRoomAgain()]
