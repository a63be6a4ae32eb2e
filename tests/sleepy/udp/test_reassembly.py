"""The rules of sleepy/udp/reassembly.py."""

import random

from hypothesis import given
from hypothesis.strategies import integers, lists

from sleepy.udp import Endpoint, EndpointConfig
from sleepy.udp.header import NO_HEADER
from sleepy.udp.reassembly import Partial, Reassembly, read_fragment

CONFIG = EndpointConfig(max_packet_size=100, fragment_above=8, fragment_size=8, max_fragments=16)


def fragments(size: int) -> list[bytes]:
    return Endpoint(CONFIG, now=0.0).send(bytes(range(size)))


def test_a_fragment_is_read_with_the_packet_header_it_carries() -> None:
    first, second, last = (read_fragment(datagram, 8, 16) for datagram in fragments(20))
    assert first is not None
    assert (first.sequence, first.fragment_id, first.fragments, first.data) == (0, 0, 3, bytes(range(8)))
    assert first.header == (0, 65535, 0, 8)
    assert second is not None
    assert (second.header, second.data) == (NO_HEADER, bytes(range(8, 16)))
    assert last is not None
    assert (last.fragment_id, last.data) == (2, bytes(range(16, 20)))


@given(size=integers(9, 100))
def test_each_fragment_knows_the_least_total_and_the_last_the_total(size: int) -> None:
    """Rule 1."""
    read = [read_fragment(datagram, 8, 16) for datagram in fragments(size)]
    totals = [fragment.least_size(8) for fragment in read if fragment is not None]
    assert len(totals) == -(-size // 8)
    assert set(totals[:-1]) == {(len(totals) - 1) * 8}
    assert totals[-1] == size


def test_what_would_exceed_the_largest_packet_is_refused_at_its_first_fragment() -> None:
    """Rule 1: 14 fragments of 8 are over 100 bytes, so are 12 and a last one of 5; 12 and one of 4 are not."""
    endpoint = Endpoint(CONFIG, now=0.0)
    endpoint.receive(bytes.fromhex("010000010d") + bytes(8))
    endpoint.receive(bytes.fromhex("0101000c0c") + bytes(5))
    assert endpoint.counters.packets_too_large_to_receive == 2
    assert endpoint._reassembly.partials == {}
    endpoint.receive(bytes.fromhex("0102000c0c") + bytes(4))
    assert endpoint.counters.packets_too_large_to_receive == 2
    assert set(endpoint._reassembly.partials) == {2}


def test_memory_is_what_arrived_and_never_more_than_the_config_allows() -> None:
    """Rule 5: a flood of forged fragments, each of another packet of the largest count."""
    endpoint = Endpoint(CONFIG, now=0.0)
    forger = random.Random(5)
    for _ in range(20_000):
        sequence, fragments_less_1 = forger.randrange(65536), forger.randrange(12)
        header = (
            bytes([1]) + sequence.to_bytes(2, "little") + bytes([forger.randint(0, fragments_less_1), fragments_less_1])
        )
        endpoint.receive(header + bytes(8))
        partials = endpoint._reassembly.partials
        assert len(partials) <= CONFIG.fragment_reassembly_buffer_size
    assert sum(len(partial.payload()) for partial in partials.values()) <= len(partials) * CONFIG.max_packet_size
    assert endpoint.counters.fragments_received > 100


@given(counts=lists(integers(0, 12), min_size=1, max_size=40))
def test_a_partial_lives_until_a_packet_newer_by_the_limit_arrives(counts: list[int]) -> None:
    """Rule 5, with a limit of 8: 7 newer, it is still there."""
    reassembly = Reassembly(8, None)
    alive: set[int] = set()
    count = 65530
    reassembly.advance(count)
    for steps in counts:
        count += steps
        reassembly.advance(count)
        alive = {number for number in alive if count - number <= 8}
        if steps:
            reassembly.partials[(count - 1) % 65536] = Partial(2, 0.0)
            alive.add(count - 1)
        assert set(reassembly.partials) == {number % 65536 for number in alive}


def test_plus_63_survives_and_plus_64_does_not() -> None:
    """Rule 5 as C has it, with its 64."""
    for newer, delivered in ((63, True), (64, False)):
        a, b = Endpoint(CONFIG, now=0.0), Endpoint(CONFIG, now=0.0)
        first, last = a.send(bytes(16))
        b.receive(first)
        for _ in range(newer):
            datagram = a.send(b"newer")[0]
        b.receive(datagram)
        assert (b.receive(last) is not None) is delivered


def test_a_partial_is_given_up_after_its_time_if_wished() -> None:
    """Rule 5: in the order in which they were started."""
    config = EndpointConfig(
        max_packet_size=100, fragment_above=8, fragment_size=8, max_fragments=16, fragment_reassembly_timeout=2.0
    )
    a, b = Endpoint(config, now=0.0), Endpoint(config, now=0.0)
    early, late = a.send(bytes(16)), a.send(bytes(16))
    b.receive(late[0])
    b.update(1.0)
    b.receive(early[0])
    b.update(1.999)
    assert len(b._reassembly.partials) == 2
    b.update(2.0)
    assert set(b._reassembly.partials) == {0}
    assert b.receive(early[1]) is not None
    b.receive(late[1])
    b.update(100.0)
    assert b._reassembly.partials == {}


def test_without_the_wish_a_partial_waits_for_ever() -> None:
    a, b = Endpoint(CONFIG, now=0.0), Endpoint(CONFIG, now=0.0)
    first, last = a.send(bytes(16))
    b.receive(first)
    b.update(1e9)
    assert b.receive(last) is not None


def test_of_fragments_that_change_their_content_the_first_is_kept() -> None:
    """Rule 4."""
    a, b = Endpoint(CONFIG, now=0.0), Endpoint(CONFIG, now=0.0)
    first, last = a.send(bytes(16))
    b.receive(first)
    b.receive(first[:-1] + b"\xff")
    packet = b.receive(last)
    assert packet is not None
    assert packet.payload == bytes(16)


def test_an_empty_last_fragment_and_a_packet_of_one_fragment_are_accepted() -> None:
    """As C accepts them, though nobody sends them."""
    endpoint = Endpoint(CONFIG, now=0.0)
    assert endpoint.receive(bytes.fromhex("0100000001 3e00000100000000".replace(" ", "")) + bytes(8)) is None
    packet = endpoint.receive(bytes.fromhex("0100000101"))
    assert packet is not None
    assert packet.payload == bytes(8)
    packet = endpoint.receive(bytes.fromhex("0101000000 20010001".replace(" ", "")))
    assert packet is not None
    assert packet.payload == b""
