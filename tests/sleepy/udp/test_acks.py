"""The rules of sleepy/udp/acks.py: what is kept must be what one would compute anew."""

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, floats, integers, lists, sampled_from, tuples

from sleepy.udp.acks import ReceivedPackets, SentPackets
from sleepy.udp.sequence import SequenceBuffer
from sleepy.udp.statistics import RoundTrips

steps_ahead = integers(-40, 40)


def ack_bits_asked_one_by_one(received: ReceivedPackets) -> int:
    return sum(1 << n for n in range(32) if (received.count - 1 - n) % 65536 in received)


def sent_packets(size: int = 64, ack_limit: int = 1000) -> SentPackets:
    return SentPackets(size, ack_limit, RoundTrips(512, 0.0025))


@pytest.mark.parametrize("size", [2, 16, 32, 256])
def test_in_order_the_bits_fill_up_to_what_is_remembered(size: int) -> None:
    """Rule 1."""
    received = ReceivedPackets(size)
    for sequence in range(40):
        received.insert(sequence, 100, 0.0)
        assert received.ack_bits == (1 << min(sequence + 1, size, 32)) - 1


@pytest.mark.parametrize("age", range(1, 40))
def test_a_late_packet_sets_the_bit_that_is_its_own(age: int) -> None:
    """Rule 1; there are bits for 31 packets before the newest."""
    received = ReceivedPackets(64)
    for sequence in range(60):
        if sequence != 59 - age:
            received.insert(sequence, 100, 0.0)
    assert received.ack_bits == 0xFFFFFFFF & ~(1 << age)
    received.insert(59 - age, 100, 0.0)
    assert received.ack_bits == 0xFFFFFFFF


def test_before_anything_arrived_the_ack_is_65535_and_no_bit_is_set() -> None:
    """Behaviour 2."""
    received = ReceivedPackets(256)
    assert (received.count - 1) % 65536 == 65535
    assert received.ack_bits == 0


def test_bit_n_stands_for_the_ack_minus_n() -> None:
    """Behaviour 3: after 1, 5, 9, 11 the ack is 11, with bits 0, 2, 6 and 10."""
    received = ReceivedPackets(256)
    for sequence in (1, 5, 9, 11):
        received.insert(sequence, 100, 0.0)
    assert received.count - 1 == 11
    assert received.ack_bits == 1 << 0 | 1 << 2 | 1 << 6 | 1 << 10


@given(
    start=sampled_from([0, 1, 65530, 32767]),
    size=sampled_from([2, 16, 32, 256]),
    arrivals=lists(tuples(steps_ahead, booleans()), max_size=80),
)
def test_the_kept_ack_bits_are_those_one_would_compute(start: int, size: int, arrivals: list[tuple[int, bool]]) -> None:
    """Rule 1: through gaps, late packets, partial ones (which only advance), and the wrap."""
    received = ReceivedPackets(size)
    received.restart_at(start)
    model: SequenceBuffer[None] = SequenceBuffer(size)
    model.next = start
    for ahead, partial in arrivals:
        sequence = (received.count + ahead) % 65536
        if partial:
            received.advance(sequence)
            model.advance(sequence)
        elif not received.is_stale(sequence) and sequence not in received:
            received.insert(sequence, 100, 0.0)
            model.insert(sequence, None)
        assert received.count % 65536 == model.next
        assert received.ack_bits == sum(1 << n for n in range(32) if (model.next - 1 - n) % 65536 in model)
        assert received.ack_bits == ack_bits_asked_one_by_one(received)


@given(
    size=sampled_from([2, 8, 32]),
    arrivals=lists(tuples(integers(-40, 6), integers(0, 3), integers(1, 999), booleans()), max_size=150),
)
def test_the_older_half_is_what_a_walk_over_it_would_find(
    size: int, arrivals: list[tuple[int, int, int, bool]]
) -> None:
    """Rule 3: bytes and times, with gaps and late arrivals, however seldom somebody asks."""
    received = ReceivedPackets(size)
    arrived: dict[int, tuple[int, float]] = {}  # by unwrapped number
    now = 0.0
    for ahead, wait, length, ask in arrivals:
        now += wait / 4
        number = received.count + ahead
        if not received.is_stale(number % 65536) and number % 65536 not in received:
            received.insert(number % 65536, length, now)
            arrived[number] = (length, now)
        if ask:
            end = received.count - size // 2
            older = [arrived[number] for number in range(end - size // 2, end) if number in arrived]
            times = [time for _, time in older]
            window = received.older_half()
            assert window.size == sum(length for length, _ in older)
            assert window.span() == (max(times) - min(times) if times else 0.0)


@given(
    size=sampled_from([2, 32, 64]),
    limit=sampled_from([3, 1000]),
    steps=lists(
        tuples(integers(0, 20), integers(-70, 40), integers(0, 0xFFFFFFFF) | sampled_from([0xFFFFFFFF])), max_size=40
    ),
)
def test_news_are_what_asking_for_each_bit_would_find(size: int, limit: int, steps: list[tuple[int, int, int]]) -> None:
    """Rule 2, against 32 questions: acks far behind, and ahead of what was sent, and no room for more."""
    sent = sent_packets(size, limit)
    open_numbers: set[int] = set()
    sizes: dict[int, int] = {}
    times: dict[int, float] = {}
    now = 0.0
    for packets, behind, bits in steps:
        for _ in range(packets):
            sizes[sent.count], times[sent.count] = 100 + sent.count, now
            open_numbers.add(sent.count)
            sent.record(sizes[sent.count], now)
        open_numbers = {number for number in open_numbers if number >= sent.count - size}
        now += 0.5
        ack = sent.count - 1 - behind
        named = [ack - n for n in range(32) if bits >> n & 1]
        expected = [number for number in named if number in open_numbers][:limit]
        assert sent.acknowledge(ack % 65536, bits, now) == len(expected)
        assert sent.acks == [number % 65536 for number in expected]
        sent.acks.clear()
        open_numbers -= set(expected)
        older = range(max(sent.count - size, 0), max(sent.count - size // 2, 0))
        acked = [number for number in older if number not in open_numbers]
        assert sent.older == len(older)
        assert sent.older_open == len(older) - len(acked)
        assert sent.older_half().size == sum(sizes[number] for number in older)
        assert sent.older_open_bytes == sum(sizes[number] for number in older if number in open_numbers)
        assert sent.older_half().span() == (times[older[-1]] - times[older[0]] if older else 0.0)
        assert sent.older_acked_span() == (times[acked[-1]] - times[acked[0]] if acked else 0.0)


def test_acks_name_the_right_packets_after_many_rounds_of_the_numbers() -> None:
    """A 16-bit ack means one of the last 65,536 packets, and a late one is not taken for a packet a round later."""
    sent = sent_packets(64)
    for _ in range(3 * 65536 + 10):
        sent.record(100, 0.0)
    sent.acknowledge(9, 0b11, 0.0)
    sent.acknowledge(10, 0b1, 0.0)  # not sent yet in this round
    sent.acknowledge((10 - 65) % 65536, 0b1, 0.0)  # forgotten
    assert sent.acks == [9, 8]


def test_an_ack_of_a_packet_not_sent_yet_acks_those_beside_it_that_were() -> None:
    sent = sent_packets()
    for _ in range(3):
        sent.record(100, 0.0)
    assert sent.acknowledge(4, 0b1100, 0.0) == 2
    assert sent.acks == [2, 1]
    assert sent.acknowledge(40, 0xFFFFFFFF, 0.0) == 0
    assert sent.acknowledge(32, 0xFFFFFFFF, 0.0) == 0, "its last bit is 1, which we know of"
    assert sent.acknowledge(31, 0xFFFFFFFF, 0.0) == 1


@given(wait=floats(0, 1000))
def test_a_round_trip_is_measured_per_ack_in_milliseconds(wait: float) -> None:
    trips = RoundTrips(512, 0.0025)
    sent = SentPackets(64, 256, trips)
    sent.record(100, 5.0)
    sent.acknowledge(0, 1, 5.0 + wait)
    assert trips.average == pytest.approx(wait * 1000)


def test_memory_does_not_grow_with_the_packets_that_were_never_acked() -> None:
    sent = sent_packets(64)
    for _ in range(1000):
        sent.record(100, 0.0)
    assert sent._open == (1 << 64) - 1
