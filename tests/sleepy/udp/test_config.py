"""What an endpoint can be told, and what it cannot."""

from typing import Any

import pytest

from sleepy.udp import EndpointConfig


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max_packet_size": 0}, "max_packet_size is 0; it must be at least 1"),
        ({"fragment_above": -1}, "fragment_above is -1"),
        ({"fragment_size": 0}, "fragment_size is 0"),
        ({"max_fragments": 0}, "max_fragments is 0"),
        ({"max_fragments": 257}, "max_fragments is 257; the header has room for 256"),
        ({"ack_buffer_size": 0}, "ack_buffer_size is 0"),
        ({"rtt_history_size": 0}, "rtt_history_size is 0"),
        (
            {"sent_packets_buffer_size": 100},
            "sent_packets_buffer_size is 100; it must be a power of two from 2 to 16384",
        ),
        ({"received_packets_buffer_size": 1}, "received_packets_buffer_size is 1"),
        ({"fragment_reassembly_buffer_size": 65536}, "fragment_reassembly_buffer_size is 65536"),
        ({"rtt_smoothing_factor": 0.0}, "rtt_smoothing_factor is 0.0; it is a share"),
        ({"packet_loss_smoothing_factor": 1.5}, "packet_loss_smoothing_factor is 1.5"),
        ({"bandwidth_smoothing_factor": float("nan")}, "bandwidth_smoothing_factor is nan"),
        ({"packet_header_size": -1}, "packet_header_size is -1"),
        ({"fragment_reassembly_timeout": 0.0}, "fragment_reassembly_timeout is 0.0 s"),
    ],
)
def test_what_cannot_work_is_refused_by_name(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        EndpointConfig(**options)


def test_the_defaults_are_those_of_c() -> None:
    config = EndpointConfig()
    assert (config.max_packet_size, config.fragment_above, config.max_fragments, config.fragment_size) == (
        16384,
        1024,
        16,
        1024,
    )
    assert (config.ack_buffer_size, config.sent_packets_buffer_size, config.received_packets_buffer_size) == (
        256,
        256,
        256,
    )
    assert (config.fragment_reassembly_buffer_size, config.rtt_history_size, config.packet_header_size) == (64, 512, 28)
    assert (config.rtt_smoothing_factor, config.packet_loss_smoothing_factor) == (0.0025, 0.1)
    assert config.bandwidth_smoothing_factor == 0.1
    assert config.fragment_reassembly_timeout is None
