"""The options of a connection, and what is refused."""

from typing import Any

import pytest

from sleepy.udp.connections.connection import Connection
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.parameters import Parameters
from sleepy.udp.connections.plain import PlainPackets
from sleepy.udp.delivery.block_memory import FIRST_WINDOW, LEAST_MEMORY
from sleepy.udp.delivery.channels.config import ChannelConfig
from sleepy.udp.path.congestion.bbr import Bbr
from sleepy.udp.path.congestion.cubic import Cubic
from sleepy.udp.path.congestion.good_bad import GoodBad
from sleepy.udp.path.congestion.new_reno import NewReno


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
        ({"block_memory": (1 << 20) - 1}, "block_memory is 1048575"),
        ({"block_memory": (1 << 30) + 1}, "block_memory is 1073741825"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        ConnectionConfig(**options)


@pytest.mark.parametrize("memory", [LEAST_MEMORY, 16 << 20])
def test_blocks_get_the_memory_that_they_may_have(memory: int) -> None:
    connection = Connection(PlainPackets(), ("host", 1), ConnectionConfig(block_memory=memory), now=0.0)
    assert connection.open_block().room == FIRST_WINDOW + (memory - LEAST_MEMORY) // 2


def test_parameters_are_what_is_declared() -> None:
    config = ConnectionConfig(idle_timeout=20.0, max_ack_delay=0.1, max_datagram=1300)
    assert Parameters.decode(config.parameters()).encode() == config.declared.encode()
    assert config.declared.max_ack_delay == 0.1


def test_what_makes_no_congestion_control_is_refused_where_it_is_given() -> None:
    """It would be called with the first peer, and a dial would neither succeed nor fail."""
    for make, what in ((int, "what congestion makes is of type int"), (lambda: Cubic(1, 2, 3), "argument")):
        wrong: Any = make
        with pytest.raises(TypeError, match=what):
            ConnectionConfig(congestion=wrong)


@pytest.mark.parametrize("make", [Bbr, Cubic, NewReno, GoodBad])
def test_each_of_ours_will_do(make: Any) -> None:
    ConnectionConfig(congestion=make)
