"""The 26 behaviours that the tests of reliable's family prove about an endpoint, by their numbers."""

import random
from collections.abc import Callable, Iterable

import pytest

from sleepy.udp import Endpoint, EndpointConfig, PacketHeader, SequenceBuffer

SMALL = EndpointConfig(max_packet_size=256, fragment_above=24, fragment_size=16, max_fragments=16)


def pair(config: EndpointConfig | None = None) -> tuple[Endpoint, Endpoint]:
    return Endpoint(config, now=0.0), Endpoint(config, now=0.0)


def deliver(datagrams: Iterable[bytes], to: Endpoint) -> list[bytes]:
    """What comes out at the other end."""
    packets = [to.receive(datagram) for datagram in datagrams]
    return [packet.payload for packet in packets if packet is not None]


def content(number: int, size: int) -> bytes:
    return random.Random(number).randbytes(size)


def test_01_a_sequence_buffer_takes_its_fill_refuses_what_is_older_and_resets() -> None:
    buffer: SequenceBuffer[int] = SequenceBuffer(256)
    for sequence in range(1025):
        assert buffer.insert(sequence, sequence)
        assert buffer.next == sequence + 1
    assert not any(buffer.insert(sequence, 0) for sequence in range(1025 - 256))
    assert [buffer.find(sequence) for sequence in range(1025 - 256, 1025)] == list(range(1025 - 256, 1025))
    buffer.reset()
    assert buffer.next == 0
    assert all(buffer.find(sequence) is None for sequence in range(1025))


def test_02_an_empty_endpoint_acks_65535_with_no_bit_set() -> None:
    endpoint = Endpoint(now=0.0)
    header, _ = PacketHeader.decode(endpoint.send(b"first")[0])
    assert header == PacketHeader(0, 65535, 0)


def test_03_received_1_5_9_11_are_ack_11_with_bits_0_2_6_10() -> None:
    peer, endpoint = pair()
    datagrams = [peer.send(b"packet")[0] for _ in range(12)]
    deliver((datagrams[sequence] for sequence in (1, 5, 9, 11)), endpoint)
    header, _ = PacketHeader.decode(endpoint.send(b"answer")[0])
    assert (header.ack, header.ack_bits) == (11, 1 << 0 | 1 << 2 | 1 << 6 | 1 << 10)


@pytest.mark.parametrize(
    ("ack", "bits", "size"), [(100, 0, 9), (9900, 0, 8), (100, 0xFFFFFFFF, 5), (9900, 0xFFFFFFFF, 4)]
)
def test_04_headers_have_9_8_5_or_4_bytes(ack: int, bits: int, size: int) -> None:
    assert len(PacketHeader(10000, ack, bits).encode()) == size


def test_05_of_256_exchanges_at_least_the_first_128_are_acked_on_both_sides() -> None:
    a, b = pair()
    for _ in range(256):
        to_b, to_a = a.send(b"from a"), b.send(b"from b")
        deliver(to_b, b)
        deliver(to_a, a)
    for endpoint in (a, b):
        assert set(endpoint.take_acks()) >= set(range(128))


def test_06_when_every_other_packet_is_lost_exactly_the_even_ones_are_acked() -> None:
    a, b = pair()
    for number in range(256):
        to_b, to_a = a.send(b"from a"), b.send(b"from b")
        if number % 2 == 0:
            deliver(to_b, b)
            deliver(to_a, a)
    for endpoint in (a, b):
        acks = endpoint.take_acks()
        assert sorted(acks) == list(range(0, max(acks) + 1, 2))
        assert len(acks) >= 64


def test_07_duplicates_are_processed_once_and_counted() -> None:
    a, b = pair()
    for number in range(100):
        datagram = a.send(content(number, 50))[0]
        assert len(deliver([datagram] * 3, b)) == 1
    assert b.counters.packets_duplicate == 200
    assert b.counters.packets_received == 300


def test_08_replayed_fragments_never_restart_reassembly() -> None:
    a, b = pair(SMALL)
    fragments = a.send(content(1, 100))
    assert len(deliver(fragments, b)) == 1
    received = b.counters.fragments_received
    assert deliver(fragments * 3, b) == []
    assert b.counters.fragments_received == received
    assert b._reassembly.partials == {}


def test_09_a_replay_after_300_packets_is_stale() -> None:
    a, b = pair()
    first = a.send(b"first")
    deliver(first, b)
    for _ in range(300):
        deliver(a.send(b"more"), b)
    assert deliver(first, b) == []
    assert b.counters.packets_stale == 1
    assert b.counters.packets_duplicate == 0


def test_10_an_ack_list_of_16_gives_16_now_and_the_other_16_after_it_was_taken() -> None:
    a, b = pair(EndpointConfig(ack_buffer_size=16))
    for _ in range(32):
        deliver(a.send(b"packet"), b)
    deliver(b.send(b"answer"), a)
    assert a.take_acks() == list(range(31, 15, -1))
    deliver(b.send(b"once more"), a)
    assert a.take_acks() == list(range(15, -1, -1))
    assert a.counters.packets_acked == 32


def test_11_random_sizes_across_fragmentation_arrive_intact() -> None:
    config = EndpointConfig(max_packet_size=4096, fragment_above=500, fragment_size=500, max_fragments=9)
    a, b = pair(config)
    sizes = random.Random(11)
    for number in range(200):
        payload = content(number, sizes.randint(1, 4096))
        assert deliver(a.send(payload), b) == [payload]
    assert a.counters.fragments_sent == b.counters.fragments_received > 500


def test_12_a_payload_of_max_packet_size_arrives_unfragmented() -> None:
    a, b = pair(EndpointConfig(max_packet_size=16384, fragment_above=16384))
    payload = content(12, 16384)
    datagrams = a.send(payload)
    assert len(datagrams) == 1
    assert deliver(datagrams, b) == [payload]


def test_13_of_32769_packets_in_fragments_or_not_all_are_received_and_no_fragment_is_invalid() -> None:
    a, b = pair(SMALL)
    for number in range(32769):
        payload = bytes(17 + number % 2 * 16)
        assert deliver(a.send(payload), b) == [payload]
    assert b.counters.packets_received == 32769
    assert b.counters.fragments_invalid == 0
    assert b.counters.fragments_received > 32769 // 2


def test_14_partials_that_are_given_up_free_their_memory() -> None:
    a, b = pair(SMALL)
    for number in range(1000):
        deliver(a.send(content(number, 100))[:-1], b)
        assert len(b._reassembly.partials) <= SMALL.fragment_reassembly_buffer_size
    for _ in range(64):
        deliver(a.send(b"small"), b)
    assert b._reassembly.partials == {}


def test_15_a_reset_in_the_middle_of_a_reassembly_begins_anew() -> None:
    a, b = pair(SMALL)
    fragments = a.send(content(15, 100))
    deliver(fragments[:3], b)
    a.reset()
    b.reset()
    assert deliver(fragments[3:], b) == []
    b.reset()
    payload = content(16, 200)
    assert deliver(a.send(payload), b) == [payload]
    assert b.counters.packets_received == 1


def test_16_the_round_trip_lies_between_its_least_and_its_greatest() -> None:
    a, b = pair()
    waits = random.Random(16)
    now = 0.0
    for _ in range(300):
        to_b = a.send(b"packet")
        now += waits.uniform(0.010, 0.090)
        a.update(now)
        b.update(now)
        deliver(to_b, b)
        deliver(b.send(b"answer"), a)
    statistics = a.statistics
    assert 10 <= statistics.rtt_min <= statistics.rtt_avg <= statistics.rtt_max <= 90.001
    assert statistics.rtt_min < a.rtt < statistics.rtt_max
    assert 0 < statistics.jitter_avg_vs_min_rtt < statistics.jitter_max_vs_min_rtt


def test_17_when_a_fifth_of_the_packets_is_lost_the_loss_settles_at_20_percent() -> None:
    a, b = pair()
    for number in range(2000):
        to_b, to_a = a.send(b"packet"), b.send(b"answer")
        if number % 5:
            deliver(to_b, b)
        deliver(to_a, a)
        a.take_acks()
        b.take_acks()
        a.update(number * 0.01)
        b.update(number * 0.01)
        if number < 128:
            assert a.packet_loss == 0, "the older half is empty until the 129th packet"
    assert a.packet_loss == pytest.approx(20, abs=1)
    assert b.packet_loss == 0


def hostile_link(seed: int, lost: float, flipped: float, duplicated: float) -> Callable[[list[bytes]], list[bytes]]:
    fate = random.Random(seed)

    def carry(datagrams: list[bytes]) -> list[bytes]:
        arriving = []
        for datagram in datagrams:
            for _ in range(2 if fate.random() < duplicated else 1):
                if fate.random() < lost:
                    continue
                bits = bytearray(datagram)
                if fate.random() < flipped:
                    bits[fate.randrange(len(bits))] ^= 1 << fate.randrange(8)
                arriving.append(bytes(bits))
        if fate.random() < flipped:
            arriving.append(fate.randbytes(fate.randint(0, 300)))
        fate.shuffle(arriving)
        return arriving

    return carry


def test_18_a_long_run_at_5_percent_loss_keeps_every_content_intact() -> None:
    a, b = pair(SMALL)
    link = hostile_link(18, lost=0.05, flipped=0.0, duplicated=0.05)
    sizes = random.Random(18)
    delivered = 0
    for number in range(5000):
        payload = number.to_bytes(4) + content(number, sizes.randint(1, 250))
        for arrived in deliver(link(a.send(payload)), b):
            delivered += 1
            assert arrived == payload
        deliver(link(b.send(b"answer")), a)
        a.take_acks()
    assert 2500 < delivered < 5000
    assert a.counters.packets_acked > 0.95 * delivered


def test_19_bit_flips_injected_bytes_loss_and_shuffling_crash_nothing_and_are_counted() -> None:
    a, b = pair(SMALL)
    link = hostile_link(19, lost=0.1, flipped=0.2, duplicated=0.05)
    for number in range(5000):
        deliver(link(a.send(content(number, 1 + number % 256))), b)
        deliver(link(b.send(content(number, 1 + number % 100))), a)
        a.update(number * 0.01)
        b.update(number * 0.01)
        a.take_acks()
        b.take_acks()
    counters = b.counters
    assert counters.packets_invalid
    assert counters.packets_stale
    assert counters.packets_duplicate
    assert counters.fragments_invalid
    assert len(b._reassembly.partials) <= SMALL.fragment_reassembly_buffer_size


def test_20_all_of_70000_packets_over_the_wrap_are_delivered_and_acked() -> None:
    a, b = pair()
    acked = 0
    for number in range(70000):
        payload = number.to_bytes(4)
        assert deliver(a.send(payload), b) == [payload]
        deliver(b.send(b"answer"), a)
        assert a.take_acks() == [number % 65536]
        acked += 1
    assert a.counters.packets_acked == acked == 70000
    assert a.next_sequence == 70000 - 65536


def test_21_after_40_packets_one_way_a_single_answer_acks_the_last_32_newest_first() -> None:
    a, b = pair()
    for _ in range(40):
        deliver(a.send(b"packet"), b)
    deliver(b.send(b"answer"), a)
    assert a.take_acks() == list(range(39, 7, -1))


def test_22_a_rejected_packet_is_not_acked_and_may_be_accepted_later() -> None:
    full = True
    a = Endpoint(now=0.0)
    b = Endpoint(now=0.0, accept=lambda _sequence, _payload: not full)
    deliver(b.send(b"before"), a)
    datagrams = a.send(b"packet")
    assert deliver(datagrams, b) == []
    assert b.take_acks() == [], "its acks are not read"
    deliver(b.send(b"answer"), a)
    assert a.take_acks() == []
    full = False
    assert deliver(datagrams, b) == [b"packet"]
    assert b.take_acks() == [0]
    deliver(b.send(b"answer"), a)
    assert a.take_acks() == [0]
    assert b.counters.packets_duplicate == 0


def test_23_fragments_may_come_in_any_order_256_of_them() -> None:
    config = EndpointConfig(max_packet_size=256 * 8, fragment_above=8, fragment_size=8, max_fragments=256)
    a, b = pair(config)
    for seed in range(20):
        payload = content(seed, 256 * 8 - seed % 8)
        fragments = a.send(payload)
        assert len(fragments) == 256
        random.Random(seed).shuffle(fragments)
        assert deliver(fragments, b) == [payload]


MALFORMED = {
    "empty": (b"", "packets_invalid"),
    "no whole header": (bytes.fromhex("3e0000"), "packets_invalid"),
    "ack bits missing": (bytes.fromhex("3e0000010000"), "packets_invalid"),
    "larger than any datagram": (bytes(256 + 15), "packets_too_large_to_receive"),
    "payload too large": (bytes.fromhex("20000001") + bytes(257), "packets_too_large_to_receive"),
    "fragment of 4 bytes": (bytes.fromhex("01000000"), "fragments_invalid"),
    "fragment with reserved bits": (bytes.fromhex("0305000101") + bytes(4), "fragments_invalid"),
    "too many fragments": (bytes.fromhex("0105000110") + bytes(16), "fragments_invalid"),
    "id beyond the count": (bytes.fromhex("0105000201") + bytes(16), "fragments_invalid"),
    "fragment 0 without header": (bytes.fromhex("0105000001") + b"\x3e\x05", "fragments_invalid"),
    "fragment 0 of another packet": (
        bytes.fromhex("0105000001") + bytes.fromhex("20060001") + bytes(16),
        "fragments_invalid",
    ),
    "fragment 0 not canonical": (
        bytes.fromhex("0105000001") + bytes.fromhex("e0050001") + bytes(16),
        "fragments_invalid",
    ),
    "more than a fragment's size": (bytes.fromhex("0105000101") + bytes(17), "fragments_invalid"),
    "less, and not the last": (bytes.fromhex("0105000102") + bytes(15), "fragments_invalid"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_24_every_malformed_case_hits_its_counter_and_no_other(case: str) -> None:
    datagram, counter = MALFORMED[case]
    endpoint = Endpoint(SMALL, now=0.0)
    assert endpoint.receive(datagram) is None
    counters = endpoint.counters
    assert getattr(counters, counter) == 1
    assert counters.packets_invalid + counters.packets_too_large_to_receive + counters.fragments_invalid == 1
    assert counters.packets_acked == counters.fragments_received == 0
    header, _ = PacketHeader.decode(endpoint.send(b"next")[0])
    assert header.ack_bits == 0


def test_24_fragments_that_disagree_or_come_too_late_hit_their_counter() -> None:
    a, b = pair(SMALL)
    three, four = a.send(bytes(48)), bytes.fromhex("0100000103") + bytes(16)
    deliver(three[:1], b)
    assert b.receive(four) is None
    assert b.counters.fragments_invalid == 1
    b.receive(three[0])
    assert b.counters.fragments_invalid == 1, "a copy is dropped without a count"
    for _ in range(65):
        deliver(a.send(b"newer"), b)
    assert b.receive(three[1]) is None
    assert b.counters.fragments_invalid == 2, "stale"


def test_25_a_payload_too_large_to_send_consumes_no_sequence() -> None:
    endpoint = Endpoint(SMALL, now=0.0)
    with pytest.raises(ValueError, match="257 bytes; max_packet_size is 256"):
        endpoint.send(bytes(257))
    assert endpoint.next_sequence == 0
    assert endpoint.counters.packets_too_large_to_send == 1
    assert endpoint.counters.packets_sent == 0


def test_26_a_peer_with_another_fragment_size_is_noticed() -> None:
    a = Endpoint(SMALL, now=0.0)
    b = Endpoint(EndpointConfig(max_packet_size=256, fragment_above=24, fragment_size=32), now=0.0)
    fragments = a.send(bytes(96))
    assert deliver(fragments, b) == []
    assert b.counters.fragments_invalid == len(fragments) - 1, "the last may be shorter"
