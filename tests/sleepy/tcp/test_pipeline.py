"""`sleepy.tcp.pipeline`: its ten rules, one by one. In any order: test_pipeline_machine."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from sleepy.tcp.backoff import Backoff
from sleepy.tcp.errors import PipelineOverflow
from sleepy.tcp.latency import FIRST, SLACK
from sleepy.tcp.pipeline import Lane, Pipeline


@dataclass(eq=False)
class Ask:
    """A request, as far as the pipeline knows one."""

    name: object = "?"
    idempotent: bool = True
    suspect: bool = False

    def __repr__(self) -> str:
        return f"<{self.name}{'' if self.idempotent else '!'}>"


class Longest(Random):
    """Chance that always draws the most."""

    def random(self) -> float:
        return 1.0


Lanes = Lane[Ask, str]


def make(max_conns: int = 1, max_pending: int = 10, **options: Any) -> Pipeline[Ask, str]:
    return Pipeline(max_conns, max_pending, Backoff(shortest=1.0, longest=4.0, random=Longest()), **options)


def asks(names: str) -> list[Ask]:
    """A request for each letter; the upper-case ones are not idempotent."""
    return [Ask(name, idempotent=name.islower()) for name in names]


def add(pipeline: Pipeline[Ask, str], ask: Ask | None = None, now: float = 0.0) -> Lanes:
    """Add a request that need not wait; its lane is open then."""
    lane = pipeline.add(ask or Ask(), now)
    assert lane is not None
    if lane.connection is None:
        lane.opened("open", now)
    return lane


def lane_of(pipeline: Pipeline[Ask, str], names: str, now: float = 0.0) -> tuple[Lanes, list[Ask]]:
    """Add a request for each letter; they must all go to one lane."""
    added = asks(names)
    lanes = [add(pipeline, ask, now) for ask in added]
    assert all(lane is lanes[0] for lane in lanes)
    return lanes[0], added


def names(requests: Iterable[Ask]) -> str:
    return "".join(str(request.name) for request in requests)


def idempotent(ask: Ask) -> bool:
    return ask.idempotent


def anybody(_: Ask) -> bool:
    return True


def answer(pipeline: Pipeline[Ask, str], lane: Lanes, now: float = 0.0, count: int = 1) -> None:
    for _ in range(count):
        pipeline.answered(lane, now)


# Rule 1: pending means not answered


def test_rule_1_pending_until_answered() -> None:
    pipeline = make()
    lane, added = lane_of(pipeline, "abc")
    assert (pipeline.pending, lane.pending) == (3, 3)
    assert lane.write(0.0) == added
    assert lane.write(0.0) == []
    assert pipeline.pending == 3
    assert [pipeline.answered(lane, 0.0) for _ in added] == added
    assert pipeline.pending == lane.pending == 0


def test_rule_1_the_request_in_service_counts() -> None:
    """In fasthttp it does not: a lane stuck behind a slow answer then looks free."""
    pipeline = make(2)
    slow, _ = lane_of(pipeline, "a")
    slow.write(0.0)
    assert add(pipeline) is not slow


# Rule 2: least pending first


def test_rule_2_a_free_lane_then_a_new_one_then_the_least_pending() -> None:
    pipeline = make(2)
    one = add(pipeline)
    one.write(0.0)
    answer(pipeline, one)
    assert add(pipeline) is one  # it is free
    two = add(pipeline)
    assert two is not one  # no lane is free, and there may be another
    assert pipeline.lanes == [one, two]
    assert add(pipeline) is one  # of equals the oldest
    assert add(pipeline) is two
    assert add(pipeline) is one
    two.write(0.0)
    answer(pipeline, two)
    assert add(pipeline) is two  # 3 pending on one, 1 on two


# Rule 3: the newcomer bears the limit


def test_rule_3_the_newcomer_is_refused_and_the_others_stay() -> None:
    pipeline = make(2, 2)
    lanes = [add(pipeline, ask) for ask in asks("abcd")]
    with pytest.raises(PipelineOverflow, match="4 requests are pending on 2 of 2 connections, 2 are allowed on each"):
        add(pipeline)
    assert pipeline.pending == 4
    assert names(lanes[0].write(0.0) + lanes[1].write(0.0)) == "acbd"
    with pytest.raises(PipelineOverflow):  # written is not answered
        add(pipeline)
    answer(pipeline, lanes[1])
    assert add(pipeline) is lanes[1]


def test_rule_3_the_line_has_the_same_limit() -> None:
    pipeline = make(1, 2)
    lane_of(pipeline, "A")
    assert [pipeline.add(ask, 0.0) for ask in asks("bc")] == [None, None]
    with pytest.raises(PipelineOverflow, match=r"3 requests are pending on 1 of 1 .* 2 of them wait for one"):
        pipeline.add(Ask(), 0.0)
    assert names(pipeline.waiting) == "bc"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"max_conns": 0}, "max_conns of 0"),
        ({"max_pending": 0}, "max_pending_requests of 0"),
        ({"max_idle_duration": 0.0}, "max_idle_conn_duration is 0"),
    ],
)
def test_limits_that_let_nothing_through_are_refused(options: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        make(**options)


# Rule 4: a lost lane loses only what is in doubt


def test_rule_4_the_written_are_in_doubt_and_the_unwritten_are_not() -> None:
    pipeline = make(pipeline_non_idempotent=True)
    lane, written = lane_of(pipeline, "aBcD")
    lane.write(0.0)
    _, unwritten = lane_of(pipeline, "eF")
    survivors, lost = pipeline.remove(lane, idempotent)
    assert survivors == [written[0], written[2], *unwritten]
    assert lost == [written[1], written[3]]
    assert pipeline.lanes == []
    assert lane.pending == 0


def test_rule_4_a_lane_is_lost_once() -> None:
    pipeline = make()
    lane, _ = lane_of(pipeline, "ab")
    pipeline.remove(lane, idempotent)
    assert pipeline.remove(lane, idempotent) == ([], [])


def test_rule_4_survivors_go_first_in_order_and_whatever_the_limit() -> None:
    pipeline = make(1, 2)
    lane, _ = lane_of(pipeline, "A")
    assert [pipeline.add(ask, 0.0) for ask in asks("bc")] == [None, None]
    survivors, _ = pipeline.remove(lane, idempotent)
    pipeline.add_first(survivors)
    assert names(pipeline.waiting) == "Abc"
    pipeline.add_first(asks("xy"))
    assert names(pipeline.waiting) == "xyAbc"


def test_rule_4_survivors_are_spread_as_any_others() -> None:
    pipeline = make(2)
    lost, busy = add(pipeline), add(pipeline)
    survivors, _ = pipeline.remove(lost, idempotent)
    pipeline.add_first(survivors)
    (lane,) = pipeline.settle(0.0)
    assert pipeline.lanes == [busy, lane]
    assert list(lane.unwritten) == survivors


def test_rule_4_who_gave_up_survives_nothing() -> None:
    pipeline = make(pipeline_non_idempotent=True)
    lane, (a, b, c) = lane_of(pipeline, "aBc")
    lane.write(0.0)
    pipeline.give_up(lane, a)
    pipeline.give_up(lane, b)
    assert pipeline.remove(lane, idempotent) == ([c], [])


# Rule 5: a last answer is a last answer


def test_rule_5_behind_a_last_answer_everything_survives() -> None:
    pipeline = make(pipeline_non_idempotent=True)
    lane, added = lane_of(pipeline, "AbC")
    lane.write(0.0)
    _, unwritten = lane_of(pipeline, "D")
    answer(pipeline, lane)
    assert pipeline.remove(lane, anybody) == (added[1:] + unwritten, [])


# Rule 6: what may not be sent twice goes alone


def test_rule_6_it_waits_for_a_lane_with_nothing_pending() -> None:
    pipeline = make()
    lane, _ = lane_of(pipeline, "ab")
    lane.write(0.0)
    assert pipeline.add(Ask("C", idempotent=False), 0.0) is None
    answer(pipeline, lane)
    assert pipeline.settle(0.0) == []
    answer(pipeline, lane)
    assert pipeline.settle(0.0) == [lane]
    assert names(lane.unwritten) == "C"


def test_rule_6_nothing_is_sent_behind_it() -> None:
    pipeline = make()
    lane, _ = lane_of(pipeline, "A")
    assert pipeline.add(Ask("b"), 0.0) is None
    lane.write(0.0)
    assert pipeline.settle(0.0) == []
    answer(pipeline, lane)
    assert pipeline.settle(0.0) == [lane]
    assert add(pipeline) is lane  # and it is a lane like any other again


def test_rule_6_a_lane_of_its_own_if_there_may_be_one() -> None:
    pipeline = make(2)
    lane, _ = lane_of(pipeline, "a")
    own = add(pipeline, Ask("B", idempotent=False))
    assert own is not lane
    assert add(pipeline) is lane
    assert add(pipeline) is lane


def test_rule_6_is_for_those_who_do_not_ask_otherwise() -> None:
    pipeline = make(pipeline_non_idempotent=True)
    lane, added = lane_of(pipeline, "aBCd")
    assert lane.write(0.0) == added


def test_rule_6_a_suspect_goes_alone_whatever_was_asked() -> None:
    pipeline = make(pipeline_non_idempotent=True)
    lane, (one, *_) = lane_of(pipeline, "abc")
    lane.write(0.0)
    survivors, _ = pipeline.remove(lane, anybody)
    one.suspect = True
    pipeline.add_first(survivors)
    (fresh,) = pipeline.settle(0.0)
    fresh.opened("open", 0.0)
    assert fresh.write(0.0) == [one]
    assert pipeline.settle(0.0) == []
    answer(pipeline, fresh)
    assert pipeline.settle(0.0) == [fresh]
    assert names(fresh.unwritten) == "bc"


# Rule 7: a stalled lane gets nothing more


def learn(pipeline: Pipeline[Ask, str], took: float, count: int = 50, start: float = 0.0) -> float:
    """Let answers on a lane with nothing else pending take so long each; give the time afterwards."""
    now = start
    for _ in range(count):
        lane = add(pipeline, now=now)
        lane.write(now)
        now += took
        answer(pipeline, lane, now)
    return now


def test_rule_7_a_lane_is_stalled_when_its_silence_is_unusual() -> None:
    pipeline = make()
    now = learn(pipeline, 0.2)
    lane = add(pipeline, now=now)
    lane.write(now)
    assert not pipeline.is_stalled(lane, now + 0.2)
    assert pipeline.is_stalled(lane, now + 0.2 + 2 * SLACK)
    answer(pipeline, lane, now + 1.0)
    assert not pipeline.is_stalled(lane, now + 100.0)  # nothing is under way


def test_rule_7_newcomers_get_a_new_lane_or_wait_for_the_first_that_moves() -> None:
    pipeline = make(2)
    now = learn(pipeline, 0.01)
    one = add(pipeline, Ask("a"), now)
    one.write(now)
    now += 10.0
    two = add(pipeline, Ask("b"), now)
    assert two is not one
    assert add(pipeline, Ask("c"), now) is two  # though as much is pending there
    two.write(now)
    now += 10.0
    assert pipeline.add(Ask("d"), now) is None
    assert pipeline.settle(now) == []
    answer(pipeline, two, now)
    assert pipeline.settle(now) == [two]
    assert pipeline.waiting == {}
    assert names(two.unwritten) == "d"


def test_rule_7_can_be_turned_off() -> None:
    pipeline = make(stall_guard=False)
    now = learn(pipeline, 0.01)
    lane = add(pipeline, now=now)
    lane.write(now)
    assert add(pipeline, now=now + 10.0) is lane


@pytest.mark.parametrize("service", [0.001, 0.02, 0.3])
@pytest.mark.parametrize("round_trip", [0.0, 0.1])
def test_rule_7_the_queue_behind_a_batch_of_256_is_no_stall(service: float, round_trip: float) -> None:
    """What was usual is one at a time; then come 256 at once, and each waits longer than the one before."""
    pipeline = make(max_pending=1000)
    now = learn(pipeline, round_trip + service)
    for _ in range(5):
        lane, _ = lane_of(pipeline, "a" * 256, now)
        lane.write(now)
        now += round_trip
        for _ in range(256):
            now += service
            assert not pipeline.is_stalled(lane, now)
            answer(pipeline, lane, now)


def test_rule_7_batches_do_not_hide_what_a_round_trip_takes() -> None:
    """255 of 256 answers come in no time at all behind the first; the first of the next batch is still no stall."""
    pipeline = make(max_pending=1000)
    now = 0.0
    for _ in range(20):
        lane, _ = lane_of(pipeline, "a" * 256, now)
        lane.write(now)
        now += 0.5
        assert not pipeline.is_stalled(lane, now)
        answer(pipeline, lane, now, 256)


@pytest.mark.parametrize("slow", [0.2, 2.0, 20.0])
def test_rule_7_a_peer_that_becomes_slow_everywhere_is_soon_usual(slow: float) -> None:
    pipeline = make()
    now = learn(pipeline, 0.01)
    now = learn(pipeline, slow, count=15, start=now)
    for _ in range(20):
        lane = add(pipeline, now=now)
        lane.write(now)
        now += slow
        assert not pipeline.is_stalled(lane, now)
        answer(pipeline, lane, now)


def test_rule_7_one_stall_does_not_hide_the_next() -> None:
    pipeline = make()
    now = learn(pipeline, 0.01)
    for _ in range(5):
        lane = add(pipeline, now=now)
        lane.write(now)
        now += 0.5
        assert pipeline.is_stalled(lane, now)
        answer(pipeline, lane, now)
        now = learn(pipeline, 0.01, count=5, start=now)


def test_rule_7_what_is_written_behind_is_no_movement() -> None:
    pipeline = make(stall_guard=False)
    now = learn(pipeline, 0.01)
    lane = add(pipeline, now=now)
    for _ in range(5):
        lane.write(now)
        now += 0.05
        add(pipeline, now=now)
    assert pipeline.is_stalled(lane, now)


def test_rule_7_a_lane_that_is_never_empty_teaches_too() -> None:
    """A request every 10 ms, answered after 100 ms."""
    pipeline = make(max_pending=20)
    for turn in range(200):
        now = 0.01 * turn
        lane = add(pipeline, now=now)
        lane.write(now)
        if turn >= 10:
            answer(pipeline, lane, now)
    assert not pipeline.is_stalled(lane, now + 0.1)
    assert pipeline.is_stalled(lane, now + 0.1 + 2 * SLACK)


def test_rule_7_before_the_first_answer_there_is_patience() -> None:
    pipeline = make()
    lane = add(pipeline)
    lane.write(0.0)
    assert not pipeline.is_stalled(lane, FIRST)
    assert pipeline.is_stalled(lane, FIRST + 0.1)


# Rule 8: one line, first come, first served


def test_rule_8_nobody_overtakes_the_line() -> None:
    pipeline = make()
    lane, _ = lane_of(pipeline, "a")
    lane.write(0.0)
    assert pipeline.add(Ask("B", idempotent=False), 0.0) is None
    assert pipeline.add(Ask("c"), 0.0) is None  # though it could go with the first
    assert pipeline.settle(0.0) == []
    answer(pipeline, lane)
    assert pipeline.settle(0.0) == [lane]
    assert (names(lane.unwritten), names(pipeline.waiting)) == ("B", "c")


def test_rule_8_who_gives_up_does_not_stand_in_the_way() -> None:
    pipeline = make()
    lane, _ = lane_of(pipeline, "a")
    lane.write(0.0)
    in_the_way = Ask("B", idempotent=False)
    assert pipeline.add(in_the_way, 0.0) is None
    assert pipeline.add(Ask("c"), 0.0) is None
    pipeline.withdraw(in_the_way)
    assert pipeline.settle(0.0) == [lane]
    assert names(lane.unwritten) == "c"


def test_rule_8_the_line_respects_the_limit_of_lanes() -> None:
    pipeline = make(1, 2)
    lane, _ = lane_of(pipeline, "A")
    lane.write(0.0)
    pipeline.add_first(asks("bcde"))
    answer(pipeline, lane)
    assert pipeline.settle(0.0) == [lane]
    assert (names(lane.unwritten), names(pipeline.waiting)) == ("bc", "de")


# Rule 9: a peer that is down


def test_rule_9_dials_pause_longer_and_longer_until_an_answer_comes() -> None:
    pipeline = make(2)
    now = 0.0
    assert pipeline.add(Ask("a"), now) is not None
    for pause in (1.0, 2.0, 4.0, 4.0):
        (lane,) = pipeline.lanes
        pipeline.failed(now)
        survivors, _ = pipeline.remove(lane, idempotent)
        pipeline.add_first(survivors)
        assert pipeline.settle(now) == []
        assert pipeline.next_dial(now) == now + pause
        now += pause
        (lane,) = pipeline.settle(now)
        assert pipeline.add(Ask(), now) is lane  # one dial at a time
        assert pipeline.next_dial(now) == math.inf
    lane.opened("open", now)
    lane.write(now)
    pipeline.failed(now)  # taking a connection is not yet an answer
    pipeline.add_first(pipeline.remove(lane, idempotent)[0])
    assert pipeline.next_dial(now) == now + 4.0
    now += 4.0
    (lane,) = pipeline.settle(now)
    lane.opened("open", now)
    lane.write(now)
    answer(pipeline, lane, now)
    assert add(pipeline, now=now) is not lane  # several at a time again
    pipeline.failed(now)
    assert pipeline._backoff.next_try == now + 1.0  # all is forgotten


def test_rule_9_dials_that_fail_together_are_one_failure() -> None:
    pipeline = make(3)
    lanes = [pipeline.add(Ask(), 0.0) for _ in range(3)]
    for number, lane in enumerate(lanes):
        assert lane is not None
        pipeline.failed(0.1 * number)
        pipeline.add_first(pipeline.remove(lane, idempotent)[0])
    assert pipeline.next_dial(0.3) == 1.0


def test_rule_9_nobody_in_line_needs_no_dial() -> None:
    pipeline = make()
    pipeline.failed(0.0)
    assert pipeline.next_dial(0.0) == math.inf


# Rule 10: a lane nobody waits for


def test_rule_10_a_lane_is_dead_when_it_is_silent_and_nobody_waits() -> None:
    pipeline = make()
    lane, (a, b) = lane_of(pipeline, "ab")
    lane.write(0.0)
    pipeline.give_up(lane, a)
    pipeline.give_up(lane, a)  # twice is once
    late = FIRST + 1.0
    assert pipeline.dead(late) == []
    pipeline.give_up(lane, b)
    assert pipeline.dead(FIRST) == []
    assert pipeline.dead(late) == [lane]
    answer(pipeline, lane, late)
    assert pipeline.dead(late) == []
    assert pipeline.dead(late + 10.0) == [lane]
    answer(pipeline, lane, late)
    assert pipeline.dead(late + 10.0) == []


# Idle lanes


def test_a_lane_is_idle_when_nothing_has_been_pending_for_long() -> None:
    pipeline = make(2, max_idle_duration=10.0)
    assert pipeline.next_idle(0.0) == math.inf
    lane = add(pipeline)
    assert (pipeline.idle(100.0), pipeline.next_idle(100.0)) == ([], 110.0)  # it is busy
    lane.write(0.0)
    answer(pipeline, lane, 5.0)
    assert (pipeline.idle(14.0), pipeline.next_idle(14.0)) == ([], 15.0)
    assert pipeline.idle(15.0) == [lane]
    assert add(pipeline, now=15.0) is lane
    assert pipeline.idle(100.0) == []


def test_a_lane_that_is_being_dialed_for_nobody_is_not_idle_yet() -> None:
    pipeline = make(max_idle_duration=10.0)
    ask = Ask()
    lane = pipeline.add(ask, 0.0)
    assert lane is not None
    pipeline.withdraw(ask)
    assert pipeline.idle(100.0) == []
    lane.opened("open", 100.0)
    assert pipeline.idle(109.0) == []
    assert pipeline.idle(110.0) == [lane]


def test_lanes_stay_idle_for_ever_if_they_may() -> None:
    pipeline = make()
    lane = add(pipeline)
    lane.write(0.0)
    answer(pipeline, lane)
    assert (pipeline.idle(1e9), pipeline.next_idle(1e9)) == ([], math.inf)


# Withdrawing


def test_who_gives_up_before_he_is_written_is_forgotten() -> None:
    pipeline = make(2)
    a, b = asks("ab")
    one, two = add(pipeline, a), add(pipeline, b)
    one.write(0.0)
    pipeline.withdraw(a)  # too late
    pipeline.withdraw(b)
    pipeline.withdraw(b)
    assert (one.pending, two.pending) == (1, 0)
