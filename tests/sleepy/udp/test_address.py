"""`sleepy.udp.address`: where a peer is, in words."""

import pytest

from sleepy.udp.address import Address, in_words


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (("10.0.0.1", 700), "10.0.0.1:700"),
        (("peer.example", 700), "peer.example:700"),
        (("::1", 700), "[::1]:700"),
        (("fe80::1%eth0", 700), "[fe80::1%eth0]:700"),
        (("", 0), ":0"),
    ],
)
def test_an_ipv6_host_stands_in_brackets(address: Address, words: str) -> None:
    """Or nobody could tell its end from the port."""
    assert in_words(address) == words
