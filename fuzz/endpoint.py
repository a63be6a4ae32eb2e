"""`sleepy.udp.Endpoint`: no bytes may make it raise, grow, or differ from the naive endpoint.

An input is a little program: what to send, what arrives, what is flipped on the way, when time passes. `run` executes it on
two endpoints, and beside each on `benchmarks.endpoint_naive`, which must deliver, ack and count alike.
"""

from dataclasses import replace

from benchmarks.endpoint_naive import NaiveEndpoint
from sleepy.udp import Counters, Endpoint, EndpointConfig

COUNTERS = [name for name in dir(Counters()) if name.startswith(("packets_", "fragments_"))]
CONFIGS = [
    EndpointConfig(),
    EndpointConfig(max_packet_size=256, fragment_above=24, fragment_size=16, max_fragments=16),
    EndpointConfig(
        max_packet_size=40,
        fragment_above=8,
        fragment_size=8,
        max_fragments=256,
        ack_buffer_size=3,
        sent_packets_buffer_size=16,
        received_packets_buffer_size=16,
        fragment_reassembly_buffer_size=4,
    ),
]


class Program:
    """The bytes of an input, read from the front; 0 when they have run out."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def bytes(self) -> bytes:
        size = self.byte()
        self.at += size
        return self.data[self.at - size : self.at]


class Pair:
    """An endpoint and the naive one beside it."""

    def __init__(self, config: EndpointConfig) -> None:
        self.config = config
        self.fast = Endpoint(config, now=0.0)
        self.naive = NaiveEndpoint(config, now=0.0)
        self.alike = True  # until resync, which the naive one does not know

    def send(self, payload: bytes) -> list[bytes]:
        datagrams = self.fast.send(payload)
        if self.alike:
            assert datagrams == self.naive.send(payload)
        return datagrams

    def receive(self, datagram: bytes) -> None:
        packet = self.fast.receive(datagram)
        assert packet is None or len(packet.payload) <= self.config.max_packet_size
        if self.alike:
            assert packet == self.naive.receive(datagram)

    def check(self) -> None:
        partials = self.fast._reassembly.partials
        assert len(partials) <= self.config.fragment_reassembly_buffer_size
        assert all(len(partial.payload()) <= self.config.max_packet_size for partial in partials.values())
        assert len(self.fast._sent.acks) <= self.config.ack_buffer_size
        if self.alike:
            for name in COUNTERS:
                assert getattr(self.fast.counters, name) == getattr(self.naive.counters, name)
            assert self.fast._sent.acks == self.naive.acks


def run(data: bytes) -> None:
    """Execute one input.

    Raises:
        AssertionError: The endpoint did what it must not.
    """
    program = Program(data)
    kind = program.byte()
    config = replace(CONFIGS[kind % len(CONFIGS)], measure=kind < 128)
    sides = [Pair(config), Pair(config)]
    flying: list[bytes] = [b""]
    now = 0.0
    while program.at < len(data):
        operation = program.byte()
        side, other = sides[operation & 1], sides[operation & 1 ^ 1]
        match operation >> 1 & 7:
            case 0:
                flying += side.send(program.bytes()[: config.max_packet_size] or b"-")
            case 1:
                side.receive(program.bytes())
            case 2:
                side.receive(flying[program.byte() % len(flying)])
            case 3:
                datagram = bytearray(flying[program.byte() % len(flying)] or b"-")
                datagram[program.byte() % len(datagram)] ^= program.byte()
                side.receive(bytes(datagram))
            case 4:
                for number in range(program.byte() % 40):
                    for datagram in side.send(bytes([number])):
                        other.receive(datagram)
            case 5:
                for _ in range(program.byte() % 80):
                    side.send(b"lost")
            case 6:
                now += program.byte() / 16
                side.fast.update(now)
                side.naive.update(now)
                side.fast.take_acks()
                side.naive.take_acks()
            case _:
                if program.byte() & 1:
                    side.fast.resync()
                    side.alike = False
                else:
                    side.fast.reset()
                    side.naive.reset()
                    side.alike = True
        side.check()
        other.check()
