"""The program's side of a connection, without a network."""

from math import inf

import pytest

from sleepy.udp.connections.connection_errors import ClosedLocally, ConnectionClosed, TimedOut
from sleepy.udp.connections.connection_events import Closed
from sleepy.udp.connections.dialogue import Dialogue
from sleepy.udp.connections.ending import State
from sleepy.udp.delivery.blocks import TooManyBlocks
from sleepy.udp.delivery.channels.config import ChannelConfig, QueueFull


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
    with pytest.raises(QueueFull):
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
