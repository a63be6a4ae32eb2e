"""The promises of sleepy/udp/security/session.py."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists

from sleepy import SleepyError
from sleepy.udp.security.handshake import Initiator
from sleepy.udp.security.listener import Listener
from sleepy.udp.security.session import (
    HandshakeError,
    HandshakeTimeout,
    Refused,
    VersionMismatch,
    WrongKey,
    WrongPreSharedKey,
)
from tests.sleepy.udp.handshaking import GROUP, Network, agree, config

versions = lists(integers(0, 65535) | integers(0, 5), min_size=1, max_size=32).map(tuple)


def test_neither_sessions_nor_configs_print_a_secret() -> None:
    net = Network(Initiator(config(1, psk=GROUP), now=0.0), Listener(config(2, psk=GROUP), now=0.0))
    session = agree(net)
    shown = repr(session) + repr(config(1, psk=GROUP))
    for secret in (session.send_key, session.receive_key, GROUP, config(1).identity.private_key.private_bytes_raw()):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("psk", b"secret", "psk has 6 bytes; it must have 32"),
        ("versions", (), "1 to 32 numbers"),
        ("versions", tuple(range(33)), "1 to 32 numbers"),
        ("versions", (65536,), "0 to 65535"),
        ("versions", (-1,), "0 to 65535"),
        ("features", 2**32, "32 bits"),
        ("features", -1, "32 bits"),
        ("parameters", bytes(513), "513 bytes; at most 512 fit"),
    ],
)
def test_a_config_out_of_range_is_refused_by_name(option: str, value: object, text: str) -> None:
    """And the error never has the key itself."""
    with pytest.raises(ValueError, match=text) as caught:
        replace(config(1), **{option: value})
    assert option in str(caught.value)
    assert "secret" not in str(caught.value)


@given(ours=versions, theirs=versions)
def test_the_best_version_is_the_highest_of_both(ours: tuple[int, ...], theirs: tuple[int, ...]) -> None:
    best = replace(config(1), versions=ours).best_version(theirs)
    common = sorted(set(ours).intersection(theirs))
    assert best == (common[-1] if common else None)


@given(lists(integers(0, 65535), min_size=32, max_size=32))
def test_the_largest_config_makes_a_handshake(versions: list[int]) -> None:
    """All that is allowed fits: 32 versions, 512 bytes of parameters, and no datagram above 1200 bytes."""
    bounds: dict[str, object] = {"versions": tuple(versions), "parameters": bytes(512), "psk": GROUP}
    net = Network(Initiator(config(1, **bounds), now=0.0), Listener(config(2, **bounds), now=0.0))
    assert agree(net).version == max(versions)
    assert max(len(datagram) for _, datagram in net.sent) == 1200


@pytest.mark.parametrize("kind", [Refused, WrongKey, WrongPreSharedKey, VersionMismatch, HandshakeTimeout])
def test_errors_are_caught_by_their_families(kind: type[HandshakeError]) -> None:
    """By sleepy's root, and where Python has a name for it by that too."""
    error = kind("what happened")
    assert isinstance(error, SleepyError)
    assert str(error) == "what happened"
    assert isinstance(error, TimeoutError) is (kind is HandshakeTimeout)
    assert isinstance(error, ConnectionRefusedError) is (kind is Refused)
