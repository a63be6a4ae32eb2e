"""An address is what sockets take and give, less what IPv6 adds; it finds a peer in a dictionary."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

import pytest

from sleepy.udp.address import Address, check_address, in_words
from sleepy.udp.nodes.batch import normal_address

HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@contextmanager
def bound(family: int) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((HOSTS[socket.AddressFamily(family)], 0))
        except OSError:
            pytest.skip("this machine has no such loopback")
        sock.settimeout(10)
        yield sock


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_peer_is_answered_at_the_address_that_the_system_gave(family: int) -> None:
    """Two items are enough, of IPv6 too; and where something came from is where it is answered: one key for both."""
    with bound(family) as one, bound(family) as other:
        where = normal_address(other.getsockname())
        assert tuple(map(type, where)) == get_args(Address)
        peers = {where: "other"}
        one.sendto(b"question", where)
        _, asker = other.recvfrom(100)
        other.sendto(b"answer", normal_address(asker))
        answer, source = one.recvfrom(100)
        assert answer == b"answer"
        assert peers[normal_address(source)] == "other"


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


@pytest.mark.parametrize("address", [("", 0), ("10.0.0.1", 65535), ["10.0.0.1", 1], ("::1", "1")])
def test_what_sockets_take_is_an_address(address: Any) -> None:
    """A list is what JSON has for a pair, and a port may be text: the system reads it."""
    check_address(address)


@pytest.mark.parametrize("address", ["10.0.0.1:700", "ab", b"ab", ("10.0.0.1",), ("::1", 700, 0, 0), 700, None])
def test_what_is_no_pair_is_shown(address: Any) -> None:
    with pytest.raises(TypeError, match=r"is no address; give \(host, port\)"):
        check_address(address)


@pytest.mark.parametrize("port", [-1, 65536, 70000])
def test_ports_that_do_not_exist(port: int) -> None:
    """The system would take 70,000 for 4464."""
    with pytest.raises(ValueError, match=f"port {port} of 'peer' does not exist"):
        check_address(("peer", port))
