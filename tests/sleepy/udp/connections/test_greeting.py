"""The first words of a plain connection."""

from random import Random

from sleepy.udp.connections.greeting import Greeting
from sleepy.udp.connections.plain import NO_TAG, PlainPackets
from sleepy.udp.connections.preface import read_preface
from sleepy.udp.endpoint import Endpoint


def test_it_is_said_until_it_is_heard() -> None:
    """Rule 1; a late loss of an earlier copy changes nothing any more."""
    greeting = Greeting(b"parameters", Random(1).randbytes, PlainPackets())
    assert greeting.due
    carrier, *what = greeting.token()
    assert not greeting.due
    carrier.on_lost(*what)
    assert greeting.due
    carrier.on_acked(*what)
    assert not greeting.due
    carrier.on_lost(*what)
    assert not greeting.due
    hello = read_preface(greeting.payload).hello
    assert hello is not None
    assert hello.parameters == b"parameters"


def test_another_number_is_another_peer() -> None:
    """Rule 3."""
    greeting = Greeting(b"", Random(1).randbytes, PlainPackets())
    assert not greeting.is_another(b"whoever.")
    greeting.meet(b"12345678")
    assert not greeting.is_another(b"12345678")
    assert not greeting.is_another(None)
    assert greeting.is_another(b"whoever.")


def test_before_the_peers_hello_nothing_else_is_read() -> None:
    """Rule 2; it is repeated if nobody answers, until it is acked."""
    greeting = Greeting(b"", Random(1).randbytes, PlainPackets())
    hello = Endpoint(now=0.0).send(greeting.payload)[0]
    assert greeting.may_read(hello)
    assert not greeting.may_read(Endpoint(now=0.0).send(b"anything else")[0])
    assert not greeting.may_read(b"")
    greeting.meet(b"12345678")
    assert greeting.may_read(b"anything")
    carrier, *what = greeting.token()
    assert greeting.repeat()
    assert greeting.due
    carrier.on_acked(*what)
    assert not greeting.repeat()


def test_numbers_become_tags() -> None:
    """Rule 3 of plain: ours from the start, the peer's when it has said hello."""
    packets = PlainPackets()
    greeting = Greeting(b"", Random(1).randbytes, packets)
    hello = read_preface(greeting.payload).hello
    assert hello is not None
    assert (packets.ours, packets.theirs) == (hello.nonce[:4], NO_TAG)
    greeting.meet(b"12345678")
    assert (packets.ours, packets.theirs) == (hello.nonce[:4], b"1234")
