"""Packets without an envelope, and who says hello in them."""

from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp import Endpoint
from sleepy.udp.connections.plain import PlainPackets, beginning, begins
from sleepy.udp.connections.preface import Hello, write_hello

HELLO = write_hello(Hello(b"12345678", b"parameters"))


def test_nothing_is_added() -> None:
    packets = PlainPackets()
    assert packets.protect(b"packet", 0.0) == packets.unprotect(b"packet", 0.0) == b"packet"
    assert packets.overhead == 0
    assert not packets.exhausted


def test_a_hello_begins() -> None:
    """However long the packet's header is."""
    endpoint = Endpoint(now=0.0)
    [first] = endpoint.send(HELLO)
    assert begins(first)
    assert beginning(first) == b"12345678"
    assert not begins(endpoint.send(b"\x01")[0])
    assert not begins(endpoint.send(HELLO[:8])[0])


@given(st.binary(max_size=40))
def test_noise_is_read_without_harm(datagram: bytes) -> None:
    nonce = beginning(datagram)
    assert nonce is None or nonce in datagram
