"""sleepy/udp/nat/traversal_config.py: what cannot be is refused at once, and errors are what programs expect."""

from typing import Any

import pytest

from sleepy.errors import SleepyError
from sleepy.udp.nat.traversal_config import PeerAbsent, PeerRefused, TraversalConfig, TraversalError, TraversalTimeout
from sleepy.udp.security.identity import Identity

SERVER = ("198.51.100.1", 9470)


def config(**options: Any) -> TraversalConfig:
    options = {"identity": Identity(bytes([1]) * 32), "server": SERVER, "server_key": bytes(32), **options}
    return TraversalConfig(**options)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"server_key": b"short"}, "a public key has 32 bytes, not 5"),
        ({"relays": (bytes(32), b"")}, "a public key has 32 bytes, not 0"),
        ({"inside": 5 * (("192.168.1.2", 5000),)}, "there are 5 inside addresses; at most 4"),
        ({"inside": (("myhost", 5000),)}, "'myhost' does not appear to be an IPv4 or IPv6 address"),
        ({"server": ("rendezvous.example", 9470)}, "'rendezvous.example' does not appear to be"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        config(**options)


def test_errors_are_what_programs_expect() -> None:
    for error in (PeerAbsent, PeerRefused, TraversalTimeout):
        assert issubclass(error, TraversalError)
    assert issubclass(TraversalError, SleepyError)
    assert issubclass(TraversalTimeout, TimeoutError)
    assert issubclass(PeerRefused, ConnectionRefusedError)
