"""What two peers tell each other of their options."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.connection_errors import ChannelMismatch, PeerProtocolError
from sleepy.udp.connections.parameters import Parameters
from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery
from sleepy.udp.security.session import MAX_PARAMETERS

CHANNELS = (ChannelConfig(), ChannelConfig(Delivery.UNRELIABLE, max_message_size=500, window_messages=9))
OURS = ConnectionConfig(channels=CHANNELS, idle_timeout=12.5, keep_alive=3, max_datagram=1400).declared


def test_what_is_written_is_read() -> None:
    theirs = Parameters.decode(OURS.encode())
    assert (theirs.idle_timeout, theirs.max_ack_delay, theirs.max_datagram) == (12.5, 0.025, 1400)
    OURS.check_channels(theirs)
    theirs.check_channels(OURS)


def test_the_most_channels_fit_in_a_handshake() -> None:
    assert len(replace(OURS, channels=(ChannelConfig(),) * 16).encode()) <= MAX_PARAMETERS


@pytest.mark.parametrize(
    "other",
    [
        CHANNELS[:1],
        (*CHANNELS, ChannelConfig()),
        (CHANNELS[1], CHANNELS[0]),
        (CHANNELS[0], replace(CHANNELS[1], delivery=Delivery.UNRELIABLE_SEQUENCED)),
        (CHANNELS[0], replace(CHANNELS[1], max_message_size=501)),
        (CHANNELS[0], replace(CHANNELS[1], window_messages=10)),
        (CHANNELS[0], replace(CHANNELS[1], window_bytes=1 << 19)),
    ],
)
def test_channels_must_be_equal(other: tuple[ChannelConfig, ...]) -> None:
    """Rule 1, and the message says where they differ."""
    theirs = Parameters.decode(replace(OURS, channels=other).encode())
    with pytest.raises(ChannelMismatch, match="channel") as caught:
        OURS.check_channels(theirs)
    assert "both sides need the same" in str(caught.value)


def test_what_is_each_sides_own_affair_may_differ() -> None:
    """Priorities and queues are not seen by the other side."""
    other = (CHANNELS[0], replace(CHANNELS[1], priority=7, queue_messages=3, queue_bytes=4096))
    OURS.check_channels(Parameters.decode(replace(OURS, channels=other).encode()))


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda data: OURS.encode()[:10] + data)))
def test_noise_is_an_error_and_nothing_else(data: bytes) -> None:
    try:
        Parameters.decode(data)
    except PeerProtocolError:
        return
    assert Parameters.decode(data).encode() == data


@pytest.mark.parametrize("end", range(len(OURS.encode())))
def test_what_is_cut_short_is_an_error(end: int) -> None:
    with pytest.raises(PeerProtocolError):
        Parameters.decode(OURS.encode()[:end])
