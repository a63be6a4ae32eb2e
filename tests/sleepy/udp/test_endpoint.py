"""What sleepy/udp/endpoint.py adds to the 26 behaviours: its interface, callbacks, errors, and the way back after a gap."""

import array
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import binary

from sleepy import SleepyError
from sleepy.udp import Endpoint, EndpointConfig, Packet, PacketHeader, PacketTooLarge

SMALL = EndpointConfig(max_packet_size=256, fragment_above=24, fragment_size=16, max_fragments=16)
REFUSALS = [
    "packets_stale",
    "packets_invalid",
    "packets_too_large_to_receive",
    "packets_duplicate",
    "fragments_invalid",
]


def pair(config: EndpointConfig | None = None) -> tuple[Endpoint, Endpoint]:
    return Endpoint(config, now=0.0), Endpoint(config, now=0.0)


def test_a_payload_becomes_a_datagram_becomes_a_packet() -> None:
    a, b = pair()
    (datagram,) = a.send(b"hello")
    packet = b.receive(datagram)
    assert packet == Packet(0, b"hello")
    assert packet != Packet(1, b"hello")
    assert repr(packet) == "Packet(0, b'hello')"
    assert len({packet, Packet(0, b"hello")}) == 1
    assert a.next_sequence == 1


def test_a_packet_is_cut_as_the_format_says() -> None:
    endpoint = Endpoint(EndpointConfig(fragment_above=4, fragment_size=4), now=0.0)
    assert [datagram.hex() for datagram in endpoint.send(b"abcdefghi")] == [
        "01000000023e0000010000000061626364",
        "010000010265666768",
        "010000020269",
    ]


@pytest.mark.parametrize(
    "kind", [bytes, bytearray, memoryview, lambda b: array.array("H", b), lambda b: memoryview(b)[::1]]
)
@pytest.mark.parametrize("size", [20, 200])
def test_send_takes_any_buffer(kind: Callable[[bytes], bytes], size: int) -> None:
    payload = bytes(range(size))
    assert Endpoint(SMALL, now=0.0).send(kind(payload)) == Endpoint(SMALL, now=0.0).send(payload)


@pytest.mark.parametrize("size", [20, 200])
@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_received_buffer_may_be_used_again(kind: Callable[[bytearray], bytearray], size: int) -> None:
    """What comes out is bytes of its own."""
    a, b = pair(SMALL)
    payload = bytes(range(size))
    for datagram in a.send(payload):
        buffer = bytearray(datagram)
        packet = b.receive(kind(buffer))
        buffer[:] = bytes(len(buffer))
    assert packet == Packet(0, payload)
    assert type(packet.payload) is bytes


def test_an_empty_payload_is_refused() -> None:
    endpoint = Endpoint(now=0.0)
    with pytest.raises(ValueError, match="the payload is empty"):
        endpoint.send(b"")
    assert endpoint.next_sequence == 0


def test_a_payload_of_too_many_fragments_is_refused_with_the_figures() -> None:
    endpoint = Endpoint(EndpointConfig(max_packet_size=16384, fragment_above=4, fragment_size=4), now=0.0)
    with pytest.raises(PacketTooLarge, match="65 bytes; max_fragments of fragment_size hold 64") as caught:
        endpoint.send(bytes(65))
    assert isinstance(caught.value, SleepyError)
    assert (endpoint.next_sequence, endpoint.counters.packets_too_large_to_send) == (0, 1)
    assert len(endpoint.send(bytes(64))) == 16


def test_acks_come_by_callback_once_the_packet_is_accepted() -> None:
    """Rule 4: newest first; nothing is left for polling, and a small list is no limit in the long run."""
    acked: list[int] = []
    a = Endpoint(EndpointConfig(ack_buffer_size=4), now=0.0, on_ack=acked.append)
    b = Endpoint(now=0.0)
    for _ in range(3):
        b.receive(a.send(b"packet")[0])
    a.receive(b.send(b"answer")[0])
    assert acked == [2, 1, 0]
    for _ in range(100):
        b.receive(a.send(b"packet")[0])
        a.receive(b.send(b"answer")[0])
    assert acked == [2, 1, 0, *range(3, 103)]
    assert a.take_acks() == []


def test_callbacks_may_send() -> None:
    """A reply from within receive already carries the ack of what it answers, if sent from on_ack."""
    replies: list[bytes] = []
    b = Endpoint(now=0.0, on_ack=lambda _sequence: replies.extend(b.send(b"thanks")))
    a = Endpoint(now=0.0)
    a.receive(b.send(b"first")[0])
    b.receive(a.send(b"second")[0])
    header, _ = PacketHeader.decode(replies[0])
    assert (header.ack, header.ack_bits) == (0, 1)


def test_what_accept_raises_comes_out_and_the_packet_is_not_taken() -> None:
    """Rule 3."""
    broken = True

    def accept(_sequence: int, _payload: bytes) -> bool:
        if broken:
            raise OSError("disk full")
        return True

    a, b = Endpoint(now=0.0), Endpoint(now=0.0, accept=accept)
    datagram = a.send(b"packet")[0]
    with pytest.raises(OSError, match="disk full"):
        b.receive(datagram)
    broken = False
    assert b.receive(datagram) == Packet(0, b"packet")


def test_accept_sees_the_whole_packet_once_it_is_put_together() -> None:
    seen: list[tuple[int, bytes]] = []

    def accept(sequence: int, payload: bytes) -> bool:
        seen.append((sequence, payload))
        return len(seen) > 1

    a, b = Endpoint(SMALL, now=0.0), Endpoint(SMALL, now=0.0, accept=accept)
    fragments = a.send(bytes(100))
    assert [b.receive(fragment) for fragment in fragments] == [None] * 7
    assert [b.receive(fragment) for fragment in fragments][-1] == Packet(0, bytes(100))
    assert seen == [(0, bytes(100))] * 2


def test_time_does_not_go_back() -> None:
    endpoint = Endpoint(now=5.0)
    endpoint.update(5.0)
    for now in (4.9, float("nan")):
        with pytest.raises(ValueError, match=f"time went back from 5.0 to {now} s; use a monotonic clock"):
            endpoint.update(now)


def test_a_reset_forgets_the_conversation_and_keeps_what_is_known_of_the_link() -> None:
    a, b = pair()
    for number in range(300):
        datagram = a.send(bytes(100))[0]
        a.update(number * 0.01 + 0.005)
        b.update(number * 0.01 + 0.005)
        b.receive(datagram)
        if number % 2:
            a.receive(b.send(b"answer")[0])
            a.take_acks()
    known = a.statistics
    assert known.rtt > 0
    assert known.sent_kbps > known.acked_kbps * 0.9 > 0
    assert known.received_kbps > 0
    a.reset()
    assert a.statistics == known
    assert (a.next_sequence, a.counters.packets_sent, a.take_acks()) == (0, 0, [])
    header, _ = PacketHeader.decode(a.send(b"first")[0])
    assert header == PacketHeader(0, 65535, 0)
    a.update(3.0)
    assert a.packet_loss == 0.0
    assert a.bandwidth == (known.sent_kbps, known.received_kbps, known.acked_kbps), "nothing was measured since"


@given(datagram=binary(max_size=400))
def test_any_bytes_are_taken_or_counted_and_never_raise(datagram: bytes) -> None:
    """Rule 5."""
    endpoint = Endpoint(SMALL, now=0.0)
    packet = endpoint.receive(datagram)
    counters = endpoint.counters
    refused = sum(getattr(counters, name) for name in REFUSALS)
    assert refused + counters.fragments_received + (packet is not None and not counters.fragments_received) == 1


def after_a_gap(lost: int, config: EndpointConfig | None = None) -> tuple[Endpoint, Endpoint]:
    """Two endpoints, between which 100 packets arrived and the next were lost."""
    a, b = pair(config)
    for _ in range(100):
        b.receive(a.send(b"before")[0])
    for _ in range(lost):
        a.send(b"lost")
    return a, b


def test_a_gap_of_up_to_32511_packets_is_no_matter() -> None:
    a, b = after_a_gap(32511)
    assert b.receive(a.send(b"after")[0]) == Packet(100 + 32511, b"after")
    assert b.stale_run == 0


def test_after_a_larger_gap_everything_is_stale_until_somebody_says_resync() -> None:
    """Rule 6."""
    a, b = after_a_gap(32512)
    for run in range(1, 300):
        assert b.receive(a.send(b"stale")[0]) is None
        assert b.stale_run == b.counters.packets_stale == run
    b.resync()
    after = a.send(b"after")[0]
    assert b.receive(after) == Packet(100 + 32512 + 299, b"after")
    assert b.stale_run == 0
    assert b.receive(after) is None
    assert b.counters.packets_duplicate == 1
    a.receive(b.send(b"answer")[0])
    assert a.take_acks() == [100 + 32512 + 299]
    for number in range(70_000):
        assert b.receive(a.send(b"on")[0]) == Packet((100 + 32512 + 300 + number) % 65536, b"on")


def test_a_peer_that_sends_only_fragments_recovers_too() -> None:
    a, b = after_a_gap(40000, SMALL)
    fragments = a.send(bytes(50))
    assert [b.receive(fragment) for fragment in fragments] == [None] * 4
    assert b.counters.fragments_invalid == b.stale_run == 4
    b.resync()
    assert [b.receive(fragment) for fragment in fragments][-1] == Packet(40100, bytes(50))
    assert b.receive(a.send(b"on")[0]) == Packet(40101, b"on")


def test_the_partials_from_before_a_gap_are_given_up() -> None:
    a, b = after_a_gap(0, SMALL)
    b.receive(a.send(bytes(50))[0])
    for _ in range(40000):
        a.send(b"lost")
    b.receive(a.send(b"stale")[0])
    b.resync()
    b.receive(a.send(b"after")[0])
    assert b._reassembly.partials == {}


def test_resync_does_nothing_while_nothing_is_stale() -> None:
    """An old copy that comes later is stale as ever."""
    a, b = pair()
    old = a.send(b"old")[0]
    for _ in range(300):
        b.receive(a.send(b"new")[0])
    b.resync()
    assert b.receive(old) is None
    assert b.counters.packets_stale == 1


def test_a_packet_in_order_settles_the_matter() -> None:
    """After resync and a packet that was not stale, an old copy is stale again."""
    a, b = pair()
    old = a.send(b"old")[0]
    for _ in range(300):
        b.receive(a.send(b"new")[0])
    b.receive(old)
    assert b.stale_run == 1
    b.resync()
    assert b.receive(a.send(b"new")[0]) is not None
    assert b.stale_run == 0
    assert b.receive(old) is None
    assert b.counters.packets_stale == 2


def test_a_rejected_packet_does_not_move_a_resynced_endpoint() -> None:
    """Rule 3 comes before rule 6."""
    a = Endpoint(now=0.0)
    b = Endpoint(now=0.0, accept=lambda _sequence, payload: payload != b"forged")
    b.receive(a.send(b"first")[0])
    for _ in range(40000):
        a.send(b"lost")
    b.receive(a.send(b"stale")[0])
    b.resync()
    assert b.receive(PacketHeader(50000, 0, 0).encode() + b"forged") is None
    assert b.receive(a.send(b"after")[0]) is not None


def test_the_partials_are_given_up_also_if_the_jump_seems_to_go_back() -> None:
    """Rule 6, across the wrap: the sequence after the gap is smaller than the one before."""
    a, b = after_a_gap(32000, SMALL)
    b.receive(a.send(b"on the way")[0])
    for _ in range(32000):
        a.send(b"lost")
    b.receive(a.send(bytes(50))[0])
    assert len(b._reassembly.partials) == 1
    for _ in range(40000):
        a.send(b"lost")
    b.receive(a.send(b"stale")[0])
    b.resync()
    after = a.next_sequence
    assert b.receive(a.send(b"after")[0]) == Packet(after, b"after")
    assert after < 64000
    assert b._reassembly.partials == {}


def test_a_late_fragment_does_not_move_a_resynced_endpoint_back() -> None:
    """Rule 6: of what is remembered as received or not, a fragment too late stays too late."""
    a, b = pair(SMALL)
    old, late = a.send(b"old")[0], a.send(bytes(50))[0]
    for _ in range(200):
        b.receive(a.send(b"new")[0])
    b.stale_run = 1
    b.resync()
    assert b.receive(late) is None
    assert b.counters.fragments_invalid == 1
    header, _ = PacketHeader.decode(b.send(b"answer")[0])
    assert header.ack == a.next_sequence - 1
    assert b.receive(old) == Packet(0, b"old"), "late, and remembered as missing"


@pytest.mark.parametrize("datagram", [5, "text", None, [1, 2]])
def test_what_is_no_bytes_is_no_datagram(datagram: Any) -> None:
    """Of 5 five zeros were made, which are a packet."""
    endpoint = Endpoint(now=0.0)
    with pytest.raises(TypeError):
        endpoint.receive(datagram)
    assert endpoint.counters.packets_received == 0
