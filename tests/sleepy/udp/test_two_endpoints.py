"""Two endpoints over a hostile link, in any order of events; beside each runs the naive one, which must agree throughout."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from hypothesis.strategies import binary, booleans, floats, integers, sampled_from

from benchmarks.endpoint_naive import NaiveEndpoint
from sleepy.udp import Counters, Endpoint, EndpointConfig

sides = sampled_from([0, 1])


def counters(endpoint: Endpoint | NaiveEndpoint) -> dict[str, int]:
    names = [name for name in dir(Counters()) if name.startswith(("packets_", "fragments_"))]
    assert len(names) == 11
    return {name: getattr(endpoint.counters, name) for name in names}


class HostileLink(RuleBasedStateMachine):
    """Datagrams may be lost (never delivered), late, duplicated (delivered again), reordered, flipped or made up."""

    datagrams: Bundle[bytes] = Bundle("datagrams")

    @initialize(
        buffers=sampled_from([2, 16, 64]),
        acks=sampled_from([1, 5, 256]),
        partials=sampled_from([1, 4, 16]),
        first=sampled_from([0, 65500, 32700]),
        measure=booleans(),
    )
    def start(self, buffers: int, acks: int, partials: int, first: int, measure: bool) -> None:
        config = EndpointConfig(
            max_packet_size=40,
            fragment_above=8,
            fragment_size=8,
            max_fragments=6,
            ack_buffer_size=acks,
            sent_packets_buffer_size=buffers,
            received_packets_buffer_size=buffers,
            fragment_reassembly_buffer_size=partials,
            measure=measure,
        )
        self.config = config
        self.now = 0.0
        self.fast = [Endpoint(config, now=0.0), Endpoint(config, now=0.0)]
        self.naive = [NaiveEndpoint(config, now=0.0), NaiveEndpoint(config, now=0.0)]
        self.expected: dict[tuple[int, int], bytes] = {}
        self.forged = False
        self.first = first
        for fast, naive in zip(self.fast, self.naive, strict=True):  # begin near the wrap, or near half a circle
            fast._sent.count = naive.sequence = naive.sent_packets.next = first
            fast._received.restart_at(first)
            naive.received_packets.next = naive.reassembly.next = first

    def send(self, side: int, payload: bytes) -> list[bytes]:
        sequence = self.fast[side].next_sequence
        datagrams = self.fast[side].send(payload)
        assert datagrams == self.naive[side].send(payload)
        self.expected[side, sequence] = payload
        return datagrams

    def arrive(self, side: int, datagram: bytes) -> None:
        packet = self.fast[side].receive(datagram)
        assert packet == self.naive[side].receive(datagram)
        if packet is not None and not self.forged:
            assert packet.payload == self.expected[1 - side, packet.sequence]

    @rule(target=datagrams, side=sides, size=integers(1, 40), filling=integers(0, 255))
    def send_packet(self, side: int, size: int, filling: int) -> Any:
        return multiple(*self.send(side, bytes([filling]) * size))

    @rule(side=sides, datagram=datagrams)
    def deliver(self, side: int, datagram: bytes) -> None:
        self.forged = True  # may be its own
        self.arrive(side, datagram)

    @rule(side=sides, packets=integers(1, 40), answer=booleans())
    def exchange(self, side: int, packets: int, answer: bool) -> None:
        for number in range(packets):
            for datagram in self.send(side, bytes([number])):
                self.arrive(1 - side, datagram)
            if answer:
                for datagram in self.send(1 - side, b"answer"):
                    self.arrive(side, datagram)

    @rule(side=sides, packets=sampled_from([1, 33, 70]))
    def lose(self, side: int, packets: int) -> None:
        for _ in range(packets):
            self.send(side, b"lost")

    @rule(side=sides, datagram=datagrams, bit=integers(0, 8 * 14))
    def flip_and_deliver(self, side: int, datagram: bytes, bit: int) -> None:
        flipped = bytearray(datagram)
        flipped[bit // 8 % len(flipped)] ^= 1 << bit % 8
        self.forged = True
        self.arrive(side, bytes(flipped))

    @rule(side=sides, datagram=binary(max_size=60))
    def make_up(self, side: int, datagram: bytes) -> None:
        self.forged = True
        self.arrive(side, datagram)

    @rule(side=sides)
    def take_acks(self, side: int) -> None:
        assert self.fast[side].take_acks() == self.naive[side].take_acks()

    @rule(side=sides, wait=floats(0, 2))
    def update(self, side: int, wait: float) -> None:
        self.now += wait
        fast, naive = self.fast[side], self.naive[side]
        fast.update(self.now)
        naive.update(self.now)
        if self.first or not self.config.measure:
            return  # those of the fast one count the packets before the first as sent
        for name, value in fast.statistics._asdict().items():
            expected = getattr(naive, name)
            assert abs(value - expected) <= 1e-4 + 1e-9 * abs(expected), name

    @rule(side=sides)
    def reset(self, side: int) -> None:
        self.forged = True
        self.fast[side].reset()
        self.naive[side].reset()

    @invariant()
    def both_count_alike_and_memory_is_bounded(self) -> None:
        for fast, naive in zip(self.fast, self.naive, strict=True):
            assert counters(fast) == counters(naive)
            partials = fast._reassembly.partials
            assert len(partials) <= self.config.fragment_reassembly_buffer_size
            assert all(len(partial.payload()) <= self.config.max_packet_size for partial in partials.values())
            assert len(fast._sent.acks) <= self.config.ack_buffer_size


# Hypothesis shrinks a failure for up to 300 seconds. To be stopped at that would leave nothing but "timeout" to be read.
TestHostileLink = pytest.mark.timeout(360)(HostileLink.TestCase)
TestHostileLink.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
