"""The first words of a plain connection."""

from random import Random

from sleepy.udp.connections.greeting import Greeting
from sleepy.udp.connections.plain import NO_TAG, PlainPackets
from sleepy.udp.connections.preface import Hello, read_preface, write_hello
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


def test_another_hello_is_asked_about_and_ends_it_only_with_our_tag() -> None:
    """Rule 3."""
    packets = PlainPackets()
    greeting = Greeting(b"", Random(1).randbytes, packets)
    greeting.meet(b"12345678")
    other = Endpoint(now=0.0).send(write_hello(Hello(b"87654321", b"")))[0]
    own = Endpoint(now=0.0).send(write_hello(Hello(b"12345678", b"")))[0]
    for harmless in (b"", b"anything", own + packets.ours, packets.question(b"5555....")):
        assert not greeting.is_over(harmless)
        assert greeting.question is None
    assert not greeting.is_over(other + NO_TAG)
    assert greeting.question == b"\x07" + packets.ours + b"8765"
    assert greeting.is_over(other + packets.ours)


def test_who_is_asked_says_hello_again_with_the_tag_that_was_told() -> None:
    """Rule 4: but not if the question is for another, nor if another peer is known than the one that asks."""
    packets = PlainPackets()
    greeting = Greeting(b"", Random(1).randbytes, packets)
    greeting.token()
    ours = packets.ours
    for other in (b"\x07oldone", b"\x07....oldx", b"\x06old." + ours, b"\x07old." + ours + ours):
        assert not greeting.may_read(other)
        assert not greeting.due
    assert not greeting.may_read(b"\x07old." + ours)
    assert greeting.due
    assert packets.theirs == b"old."
    greeting.token()
    greeting.meet(b"12345678")
    assert not greeting.is_over(b"\x07old." + ours)
    assert (greeting.due, packets.theirs) == (False, b"1234")
    assert not greeting.is_over(b"\x071234" + ours)
    assert (greeting.due, packets.theirs) == (True, b"1234")


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


def test_who_has_said_hello_reads_none_that_answers_somebody_else() -> None:
    """Rule 2: two dials behind each other, and the peer has heard the first one's hello."""
    packets = PlainPackets()
    greeting = Greeting(b"", Random(1).randbytes, packets)
    hello = Endpoint(now=0.0).send(write_hello(Hello(b"12345678", b"")))[0]
    assert greeting.may_read(hello + b"else")  # it began, and may know us from before
    greeting.token()
    assert not greeting.may_read(hello + b"else")
    assert greeting.may_read(hello + packets.ours)
    assert greeting.may_read(hello + NO_TAG)  # both began


def test_numbers_become_tags() -> None:
    """Rule 3 of plain: ours from the start, the peer's when it has said hello."""
    packets = PlainPackets()
    greeting = Greeting(b"", Random(1).randbytes, packets)
    hello = read_preface(greeting.payload).hello
    assert hello is not None
    assert (packets.ours, packets.theirs) == (hello.nonce[:4], NO_TAG)
    greeting.meet(b"12345678")
    assert (packets.ours, packets.theirs) == (hello.nonce[:4], b"1234")
