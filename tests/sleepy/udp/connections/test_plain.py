"""Packets without an envelope, and who says hello in them."""

from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp import Endpoint
from sleepy.udp.connections.plain import PlainPackets, beginning, begins
from sleepy.udp.connections.preface import Hello, write_hello

HELLO = write_hello(Hello(b"12345678", b"parameters"))


def tagged() -> tuple[PlainPackets, PlainPackets]:
    """Two who have met."""
    one, other = PlainPackets(), PlainPackets()
    one.ours = other.theirs = b"1111"
    one.theirs = other.ours = b"2222"
    return one, other


def test_a_tag_is_added_behind_and_taken_off() -> None:
    """So the packet begins as reliable.io's packets do."""
    one, other = tagged()
    assert one.protect(b"packet", 0.0) == b"packet2222"
    assert other.unprotect(b"packet2222", 0.0) == b"packet"
    assert one.overhead == 4
    assert not one.exhausted


def test_what_bears_another_tag_is_not_read() -> None:
    """Rule 3."""
    one, other = tagged()
    assert one.unprotect(one.protect(b"packet", 0.0), 0.0) is None
    assert other.unprotect(b"", 0.0) is None


def test_a_hello_is_read_from_the_peer_alone_once_it_is_known() -> None:
    """Rules 4 and 5."""
    _, other = tagged()
    [strange] = Endpoint(now=0.0).send(HELLO)
    [known] = Endpoint(now=0.0).send(write_hello(Hello(b"1111....", b"parameters")))
    for nobodys_tag in (b"0000", bytes(4)):
        assert other.unprotect(strange + nobodys_tag, 0.0) is None
        assert other.unprotect(known + nobodys_tag, 0.0) == known
        assert PlainPackets().unprotect(strange + nobodys_tag, 0.0) == strange
    assert other.unprotect(strange + b"2222", 0.0) == strange


def test_a_question_is_read_by_whom_it_is_for() -> None:
    """Rule 4: and is no packet, so whoever else reads it makes nothing of it."""
    one, other = tagged()
    question = one.question(b"2222....")
    assert other.asked(question) == b"1111"
    assert PlainPackets().asked(question) is None
    assert not begins(question)
    endpoint = Endpoint(now=0.0)
    assert endpoint.receive(question) is None
    assert endpoint.receive(question[:-4]) is None


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
