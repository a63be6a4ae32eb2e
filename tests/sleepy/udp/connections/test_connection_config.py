"""The options of a connection, and what is refused."""

from typing import Any

import pytest

from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.parameters import Parameters
from sleepy.udp.delivery.channels.config import ChannelConfig


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"channels": ()}, "0 channels"),
        ({"channels": (ChannelConfig(),) * 17}, "17 channels"),
        ({"idle_timeout": 10.0, "keep_alive": 5.1}, "keep_alive is 5.1"),
        ({"keep_alive": 0.0}, "keep_alive is 0"),
        ({"idle_timeout": 86401.0}, "idle_timeout is 86401"),
        ({"max_ack_delay": 0.0}, "max_ack_delay is 0"),
        ({"max_ack_delay": 0.6}, "max_ack_delay is 0.6"),
        ({"max_datagram": 1199}, "max_datagram is 1199"),
        ({"max_datagram": 9001}, "max_datagram is 9001"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        ConnectionConfig(**options)


def test_parameters_are_what_is_declared() -> None:
    config = ConnectionConfig(idle_timeout=20.0, max_ack_delay=0.1, max_datagram=1300)
    assert Parameters.decode(config.parameters()).encode() == config.declared.encode()
    assert config.declared.max_ack_delay == 0.1
