"""`sleepy.sim.tcp.receiver`: order, room, and acks."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.sim.tcp.receiver import ACK_DELAY, BUFFER, MOST_RANGES, Receiver

MSS = 10
FIRST = 1000
STREAM = bytes(range(250))
SEGMENTS = [(FIRST + start, STREAM[start : start + MSS]) for start in range(0, len(STREAM), MSS)]


def receiver() -> Receiver:
    return Receiver(FIRST, MSS)


@given(order=st.permutations(range(len(SEGMENTS))), again=st.lists(st.integers(0, len(SEGMENTS) - 1)))
def test_rule_1_all_is_handed_on_in_order_and_once(order: list[int], again: list[int]) -> None:
    """Whatever the order, and whatever comes again in between."""
    receiving, handed_on, came = receiver(), b"", set[int]()
    for index in [index for pair in zip(order, again + order, strict=False) for index in pair]:
        seq, data = SEGMENTS[index]
        handed_on += receiving.receive(seq, data, index == len(SEGMENTS) - 1, 0.0)
        came.add(index)
        gapless = next((i for i in range(len(SEGMENTS)) if i not in came), len(SEGMENTS))
        assert handed_on == STREAM[: gapless * MSS]
        assert receiving.fin == (gapless == len(SEGMENTS))


def test_rule_1_a_fin_before_its_turn_waits() -> None:
    receiving = receiver()
    assert receiving.receive(FIRST + 10, b"", True, 0.0) == b""
    assert not receiving.fin
    assert receiving.ranges == ((FIRST + 10, FIRST + 11),)
    assert receiving.receive(*SEGMENTS[0], False, 0.0) == STREAM[:10]
    assert receiving.fin
    assert receiving.next == FIRST + 11
    assert receiving.ranges == ()


def test_rule_1_a_segment_that_begins_with_old_bytes_gives_its_new_ones() -> None:
    receiving = receiver()
    receiving.receive(FIRST, STREAM[:10], False, 0.0)
    assert receiving.receive(FIRST + 5, STREAM[5:20], False, 0.0) == STREAM[10:20]


@pytest.mark.parametrize(
    ("indexes", "at_once"),
    [
        ([0], False),
        ([0, 1], True),  # rule 3: the second full segment
        ([1], True),  # rule 2: leaves a hole
        ([0, 2, 1], True),  # fills it
        ([0, 3, 1], True),  # fills a part of it
        ([0, 0], True),  # was there already
    ],
)
def test_rules_2_and_3_when_an_ack_is_due_at_once(indexes: list[int], at_once: bool) -> None:
    receiving = receiver()
    for index in indexes:
        receiving.must_ack = False
        receiving.receive(*SEGMENTS[index], False, 0.0)
    assert receiving.must_ack == at_once


def test_rule_3_a_lone_segment_is_acknowledged_within_40_ms_of_the_first() -> None:
    receiving = receiver()
    receiving.receive(FIRST, b"abc", False, 1.0)
    receiving.receive(FIRST + 3, b"def", False, 1.03)
    assert receiving.ack_at == 1.0 + ACK_DELAY
    receiving.acked()
    assert receiving.ack_at == math.inf


@given(order=st.lists(st.integers(1, len(SEGMENTS) - 1), min_size=1, max_size=30))
def test_rule_4_ranges_tell_what_came_early_the_last_change_first(order: list[int]) -> None:
    receiving, came = receiver(), set[int]()
    for index in order:
        receiving.receive(*SEGMENTS[index], False, 0.0)
        came.add(index)
        first, *others = receiving.ranges
        assert first[0] <= SEGMENTS[index][0] < first[1]
        told = {i for start, end in receiving.ranges for i in range((start - FIRST) // MSS, (end - FIRST) // MSS)}
        assert told <= came
        assert len(others) == MOST_RANGES - 1 or told == came


def test_rule_5_the_window_shuts_on_who_does_not_read_and_its_edge_never_moves_back() -> None:
    receiving = Receiver(FIRST, 1000)
    edges = []
    for _ in range(BUFFER // 1000):
        receiving.receive(receiving.next, bytes(1000), False, 0.0)
        edges.append(receiving.next + receiving.advertise())
    assert edges == sorted(edges)
    assert receiving.advertise() == BUFFER % 1000
    assert receiving.receive(receiving.next, bytes(1000), False, 0.0) == b""  # there is no room for it


def test_rule_5_the_window_opens_by_a_segment_or_not_at_all() -> None:
    receiving = Receiver(FIRST, 1000)
    while receiving.receive(receiving.next, bytes(1000), False, 0.0):
        receiving.advertise()
    shut = receiving.advertise()
    receiving.must_ack = False
    receiving.read(600)
    assert (receiving.must_ack, receiving.advertise()) == (False, shut)
    receiving.read(400)
    assert (receiving.must_ack, receiving.advertise()) == (True, shut + 1000)
