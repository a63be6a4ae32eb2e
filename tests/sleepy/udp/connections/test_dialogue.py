"""The program's side of a connection, without a network."""

from array import array
from math import inf
from typing import Any

import pytest

from sleepy.udp.connections.connection_errors import ClosedLocally, ConnectionClosed, TimedOut
from sleepy.udp.connections.connection_events import Closed
from sleepy.udp.connections.dialogue import Dialogue
from sleepy.udp.connections.ending import State
from sleepy.udp.delivery.blocks import TooManyBlocks
from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery, QueueFull


def test_after_the_end_nothing_is_taken_and_the_reason_is_told_once() -> None:
    dialogue = Dialogue([ChannelConfig()])
    assert dialogue.is_open
    error = TimedOut("silence")
    dialogue._ending.finish(error)
    assert dialogue.take_events() == [Closed(error)]
    assert dialogue.take_events() == []
    assert dialogue.finished
    assert dialogue.state is State.FINISHED
    assert not dialogue.can_send(1)
    assert not dialogue.flush_wanted(inf)
    with pytest.raises(TimedOut):
        dialogue.send(b"late")
    with pytest.raises(TimedOut):
        dialogue.open_block()


def test_before_the_end_there_is_a_reason_too() -> None:
    dialogue = Dialogue([ChannelConfig()])
    dialogue._ending.state = State.CLOSING
    with pytest.raises(ClosedLocally):
        dialogue.send(b"late")
    assert issubclass(ClosedLocally, ConnectionClosed)


def test_what_was_refused_is_waited_for() -> None:
    dialogue = Dialogue([ChannelConfig(queue_messages=1)])
    dialogue.send(b"first")
    assert not dialogue.can_send(1)
    assert dialogue._news.wanted
    with pytest.raises(QueueFull, match="no room for 6 bytes more now"):
        dialogue.send(b"second")
    for _ in range(16):
        dialogue.open_block()
    with pytest.raises(TooManyBlocks):
        dialogue.open_block()


@pytest.mark.parametrize("channel", [-1, 1])
def test_channels_that_do_not_exist(channel: int) -> None:
    """Also if one that exists was used before."""
    dialogue = Dialogue([ChannelConfig()])
    dialogue.send(b"x")
    assert dialogue.read() is None
    for call in (dialogue.send, dialogue.can_send, dialogue.read, dialogue.unread):
        arguments = (
            (b"x", channel) if call == dialogue.send else (1, channel) if call == dialogue.can_send else (channel,)
        )
        with pytest.raises(ValueError, match="does not exist"):
            call(*arguments)  # type: ignore[operator]


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.parametrize("message", ["text", 5, None, [b"x"], ()])
def test_what_is_no_bytes_is_refused_where_it_is_given(delivery: Delivery, message: Any) -> None:
    """It would make every later packet of the whole node fail."""
    dialogue = Dialogue([ChannelConfig(delivery)])
    with pytest.raises(TypeError, match="a message is bytes, not"):
        dialogue.send(message)
    assert dialogue._messages.fill(1088, 0.0)[0] == b""


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.parametrize("size", [3, 3000])
def test_a_message_that_can_change_is_copied(delivery: Delivery, size: int) -> None:
    """As it was when it was given; a view counts with its bytes, whatever its items are."""
    sent: dict[bytes, bytes] = {}
    for make in (bytes, bytearray, memoryview):
        dialogue = Dialogue([ChannelConfig(delivery)])
        original = bytearray(b"a" * size)
        dialogue.send(make(original))
        original[:] = b"b" * size
        sent[make.__name__.encode()] = dialogue._messages.fill(1088, 0.0)[0]
    assert b"aaa" in sent[b"bytes"]
    assert len(set(sent.values())) == 1
    dialogue = Dialogue([ChannelConfig(delivery)])
    dialogue.send(memoryview(array("I", [1, 2])))
    assert dialogue._messages.sender(0).queued_bytes == 8
