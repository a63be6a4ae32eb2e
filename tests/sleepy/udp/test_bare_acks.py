"""The memory that measures nothing: says and hears the same as the one that measures, in less room."""

import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp import Endpoint, EndpointConfig
from sleepy.udp.acks import ReceivedPackets, SentPackets
from sleepy.udp.bare_acks import BareReceivedPackets, BareSentPackets
from sleepy.udp.statistics import RoundTrips

SIZES = st.sampled_from([2, 16, 32, 64, 256])


@given(size=SIZES, steps=st.lists(st.integers(-300, 300), max_size=60), start=st.integers(0, 0xFFFF))
def test_received_packets_are_remembered_alike(size: int, steps: list[int], start: int) -> None:
    """Whatever comes, in whatever order: the same ack bits, the same copies and stale ones."""
    full, bare = ReceivedPackets(size), BareReceivedPackets(size)
    full.restart_at(start)
    bare.restart_at(start)
    for step in steps:
        sequence = (full.count + step) & 0xFFFF
        assert full.is_stale(sequence) == bare.is_stale(sequence)
        assert (sequence in full) == (sequence in bare)
        if step % 7 == 0:
            full.advance(sequence)
            bare.advance(sequence)
        elif not full.is_stale(sequence) and sequence not in full:
            full.insert(sequence, 100, 0.0)
            bare.insert(sequence, 100, 0.0)
        assert (full.count, full.ack_bits) == (bare.count, bare.ack_bits)


@given(
    size=SIZES,
    limit=st.integers(1, 40),
    acks=st.lists(st.tuples(st.integers(0, 40), st.integers(-3, 300), st.integers(0, 0xFFFFFFFF)), max_size=40),
)
def test_acks_are_heard_alike(size: int, limit: int, acks: list[tuple[int, int, int]]) -> None:
    """Packets are sent, and acked late, early, twice, or though they were never sent."""
    full = SentPackets(size, limit, RoundTrips(1, 0.1))
    bare = BareSentPackets(size, limit, RoundTrips(1, 0.1))
    for sent, behind, bits in acks:
        for _ in range(sent):
            assert full.record(100, 0.0) == bare.record(100, 0.0)
        ack = (full.count - 1 - behind) & 0xFFFF
        assert full.acknowledge(ack, bits, 0.0) == bare.acknowledge(ack, bits, 0.0)
        assert full.acks == bare.acks
        if behind % 3 == 0:
            full.acks, bare.acks = [], []


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_an_endpoint_that_measures_nothing_speaks_alike(loss: float) -> None:
    """The same datagrams, byte for byte, and the same packets and acks, for longer than the numbers last."""
    random = Random(1)
    full = [Endpoint(EndpointConfig(), now=0.0) for _ in range(2)]
    bare = [Endpoint(EndpointConfig(measure=False), now=0.0) for _ in range(2)]
    for number in range(70_000):
        sender = number % 2
        one, other = full[sender].send(b"payload")[0], bare[sender].send(b"payload")[0]
        assert one == other
        if random.random() >= loss:
            assert full[1 - sender].receive(one) == bare[1 - sender].receive(other)
            assert full[1 - sender].take_acks() == bare[1 - sender].take_acks()
    bare[0].update(1.0)
    assert bare[0].statistics == Endpoint(now=0.0).statistics


def test_it_takes_little_room() -> None:
    """4096 packets that are all lost and remembered: half a kilobyte, shared if none is."""
    sent = BareSentPackets(4096, 256, RoundTrips(1, 0.1))
    for _ in range(10_000):
        sent.record(1200, 0.0)
    assert sys.getsizeof(sent._open) < 600
    assert not hasattr(sent, "_times")
