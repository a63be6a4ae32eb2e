"""A peer's last words, and the errors that they stand for."""

import pytest

from sleepy.udp.connections.connection_errors import (
    APPLICATION_CODES,
    CHANNEL_MISMATCH,
    GOING_AWAY,
    PROTOCOL_ERROR,
    UNREACHABLE,
    ChannelMismatch,
    ClosedByPeer,
    ConnectionClosed,
    PeerProtocolError,
    TimedOut,
    WentAway,
    error_for,
)
from sleepy.udp.delivery.chunks import Close


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0, ClosedByPeer),
        (APPLICATION_CODES - 1, ClosedByPeer),
        (PROTOCOL_ERROR, PeerProtocolError),
        (CHANNEL_MISMATCH, ChannelMismatch),
        (GOING_AWAY, WentAway),
        (UNREACHABLE, TimedOut),
        (0x12345, PeerProtocolError),
    ],
)
def test_each_code_has_its_error(code: int, kind: type[ConnectionClosed]) -> None:
    error = error_for(Close(code, "because"))
    assert type(error) is kind
    assert isinstance(error, ConnectionError)
    assert error.reason == "because"
    assert "because" in str(error)
    assert error.code == (code if kind is ClosedByPeer else 0)
