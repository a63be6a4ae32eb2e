"""An address is what sockets take and give, less what IPv6 adds; it finds a peer in a dictionary."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import pytest

from sleepy.udp.address import Address
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
