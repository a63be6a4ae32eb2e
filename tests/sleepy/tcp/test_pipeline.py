"""`sleepy.tcp.pipeline`: its five rules, one by one and in any order."""

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sleepy.tcp.errors import PipelineOverflow
from sleepy.tcp.pipeline import Lane, Pipeline


@dataclass(eq=False)
class Ask:
    """A request, as far as the pipeline knows one."""

    name: object = "?"
    idempotent: bool = True

    def __repr__(self) -> str:
        return f"<{self.name}{'' if self.idempotent else '!'}>"


def asks(names: str) -> list[Ask]:
    """A request for each letter; the upper-case ones are not idempotent."""
    return [Ask(name, idempotent=name.islower()) for name in names]


def lane_of(pipeline: Pipeline[Ask], names: str) -> tuple[Lane[Ask], list[Ask]]:
    """Add a request for each letter; they must all go to one lane."""
    added = asks(names)
    lanes = [pipeline.add(ask) for ask in added]
    assert all(lane is lanes[0] for lane in lanes)
    return lanes[0], added


# Rule 1: pending means not answered


def test_rule_1_pending_until_answered() -> None:
    pipeline = Pipeline[Ask](1, 10)
    lane, added = lane_of(pipeline, "abc")
    assert (pipeline.pending, lane.pending) == (3, 3)
    assert lane.write() == added
    assert lane.write() == []
    assert pipeline.pending == 3
    assert [lane.answered() for _ in added] == added
    assert pipeline.pending == lane.pending == 0


def test_rule_1_the_request_in_service_counts() -> None:
    """In fasthttp it does not: a lane stuck behind a slow answer then looks free."""
    pipeline = Pipeline[Ask](2, 10)
    slow, _ = lane_of(pipeline, "a")
    slow.write()
    assert pipeline.add(Ask("b")) is not slow


# Rule 2: least pending first


def test_rule_2_a_free_lane_then_a_new_one_then_the_least_pending() -> None:
    pipeline = Pipeline[Ask](2, 10)
    one = pipeline.add(Ask("a"))
    one.write()
    one.answered()
    assert pipeline.add(Ask("b")) is one  # it is free
    two = pipeline.add(Ask("c"))
    assert two is not one  # no lane is free, and there may be another
    assert pipeline.lanes == [one, two]
    assert pipeline.add(Ask("d")) is one  # of equals the oldest
    assert pipeline.add(Ask("e")) is two
    assert pipeline.add(Ask("f")) is one
    two.write()
    two.answered()
    assert pipeline.add(Ask("g")) is two  # 3 pending on one, 1 on two


# Rule 3: the newcomer bears the limit


def test_rule_3_the_newcomer_is_refused_and_the_others_stay() -> None:
    pipeline = Pipeline[Ask](2, 2)
    lanes = [pipeline.add(ask) for ask in asks("abcd")]
    with pytest.raises(PipelineOverflow, match="4 requests are pending on 2 of 2 connections, 2 are allowed on each"):
        pipeline.add(Ask("e"))
    assert pipeline.pending == 4
    assert [ask.name for ask in lanes[0].write() + lanes[1].write()] == ["a", "c", "b", "d"]
    with pytest.raises(PipelineOverflow):  # written is not answered
        pipeline.add(Ask("e"))
    lanes[1].answered()
    assert pipeline.add(Ask("e")) is lanes[1]


@pytest.mark.parametrize(("limits", "name"), [((0, 1), "max_conns of 0"), ((1, 0), "max_pending_requests of 0")])
def test_limits_that_let_nothing_through_are_refused(limits: tuple[int, int], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Pipeline[Ask](*limits)


# Rule 4: a lost lane loses only what is in doubt


def test_rule_4_the_written_are_in_doubt_and_the_unwritten_are_not() -> None:
    pipeline = Pipeline[Ask](1, 10)
    lane, written = lane_of(pipeline, "aBcD")
    lane.write()
    _, unwritten = lane_of(pipeline, "eF")
    survivors, lost = pipeline.remove(lane)
    assert survivors == [written[0], written[2], *unwritten]
    assert lost == [written[1], written[3]]
    assert pipeline.lanes == []
    assert lane.pending == 0


def test_rule_4_a_lane_is_lost_once() -> None:
    pipeline = Pipeline[Ask](1, 10)
    lane, _ = lane_of(pipeline, "aB")
    pipeline.remove(lane)
    assert pipeline.remove(lane) == ([], [])


def test_rule_4_survivors_go_first_in_order_and_whatever_the_limit() -> None:
    pipeline = Pipeline[Ask](1, 2)
    lost, added = lane_of(pipeline, "ab")
    survivors, _ = pipeline.remove(lost)
    lane, waiting = lane_of(pipeline, "c")  # a newcomer was quicker
    assert pipeline.add_first(survivors) is lane
    assert lane.write() == added + waiting


def test_rule_4_survivors_are_spread_as_any_others() -> None:
    """They go where rule 2 sends them: to a new lane, if there may be one."""
    pipeline = Pipeline[Ask](2, 10)
    lost, busy = pipeline.add(Ask("a")), pipeline.add(Ask("b"))
    survivors, _ = pipeline.remove(lost)
    lane = pipeline.add_first(survivors)
    assert pipeline.lanes == [busy, lane]


def test_no_survivors_need_no_lane() -> None:
    pipeline = Pipeline[Ask](1, 1)
    assert pipeline.add_first([]) is None
    assert pipeline.lanes == []


# Rule 5: a last answer is a last answer


def test_rule_5_behind_a_last_answer_everything_survives() -> None:
    pipeline = Pipeline[Ask](1, 10)
    lane, added = lane_of(pipeline, "AbC")
    lane.write()
    _, unwritten = lane_of(pipeline, "D")
    lane.answered()
    assert pipeline.remove(lane, last_answer=True) == (added[1:] + unwritten, [])


# Withdrawing


def test_who_gives_up_is_forgotten_unless_written() -> None:
    pipeline = Pipeline[Ask](2, 10)
    a, b = asks("ab")
    one, two = pipeline.add(a), pipeline.add(b)
    one.write()
    assert not pipeline.withdraw(a)
    assert pipeline.withdraw(b)
    assert not pipeline.withdraw(b)
    assert (one.pending, two.pending) == (1, 0)


class PipelineMachine(RuleBasedStateMachine):
    """Everything that can happen to a pipeline, in any order, beside a model: a list of requests per lane."""

    @initialize(max_conns=st.integers(1, 3), max_pending=st.integers(1, 4))
    def start(self, max_conns: int, max_pending: int) -> None:
        self.pipeline = Pipeline[Ask](max_conns, max_pending)
        self.max_conns, self.max_pending = max_conns, max_pending
        self.names = itertools.count()
        self.queues: dict[Lane[Ask], list[Ask]] = {}  # what each lane has to answer, in order; the oldest lane first
        self.written: set[Ask] = set()
        self.ended: set[Ask] = set()  # answered, failed, withdrawn or refused: each exactly once

    def end(self, ask: Ask) -> None:
        assert ask not in self.ended
        self.ended.add(ask)

    def choice(self) -> Lane[Ask] | None:
        """Where rule 2 sends the next; None for a new lane."""
        least = min((len(queue) for queue in self.queues.values()), default=1)
        if least > 0 and len(self.queues) < self.max_conns:
            return None
        return next(lane for lane, queue in self.queues.items() if len(queue) == least)

    def draw_lane(self, data: st.DataObject) -> Lane[Ask]:
        return data.draw(st.sampled_from(list(self.queues)))

    @rule(idempotent=st.booleans())
    def add(self, idempotent: bool) -> None:
        ask, choice = Ask(next(self.names), idempotent), self.choice()
        if choice is not None and len(self.queues[choice]) >= self.max_pending:
            with pytest.raises(PipelineOverflow):
                self.pipeline.add(ask)
            self.end(ask)
            return
        lane = self.pipeline.add(ask)
        assert choice is lane or (choice is None and lane not in self.queues)
        self.queues.setdefault(lane, []).append(ask)

    @precondition(lambda self: self.queues)
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        lane = self.draw_lane(data)
        batch = lane.write()
        assert batch == [ask for ask in self.queues[lane] if ask not in self.written]
        self.written.update(batch)

    @precondition(lambda self: any(queue and queue[0] in self.written for queue in self.queues.values()))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        lane = data.draw(st.sampled_from([lane for lane in self.queues if lane.written]))
        ask = lane.answered()
        assert ask is self.queues[lane].pop(0)  # answers come in order
        self.end(ask)

    @precondition(lambda self: any(self.queues.values()))
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        lane = data.draw(st.sampled_from([lane for lane, queue in self.queues.items() if queue]))
        ask = data.draw(st.sampled_from(self.queues[lane]))
        assert self.pipeline.withdraw(ask) == (ask not in self.written)
        if ask not in self.written:
            self.queues[lane].remove(ask)
            self.end(ask)

    @precondition(lambda self: self.queues)
    @rule(data=st.data(), last_answer=st.booleans())
    def lose(self, data: st.DataObject, last_answer: bool) -> None:
        lane = self.draw_lane(data)
        queue = self.queues.pop(lane)
        survivors, lost = self.pipeline.remove(lane, last_answer=last_answer)
        in_doubt = [ask for ask in queue if ask in self.written and not last_answer]
        assert lost == [ask for ask in in_doubt if not ask.idempotent]
        assert survivors == [ask for ask in queue if ask not in lost]  # in their order
        for ask in lost:
            self.end(ask)
        self.written.difference_update(survivors)
        if survivors:
            choice = self.choice()
            new = self.pipeline.add_first(survivors)
            assert new is not None
            assert choice is new or (choice is None and new not in self.queues)
            waiting = self.queues.get(new, [])
            done = [ask for ask in waiting if ask in self.written]
            self.queues[new] = done + survivors + waiting[len(done) :]

    @invariant()
    def nothing_is_lost_or_counted_twice(self) -> None:
        assert self.pipeline.lanes == list(self.queues)
        assert len(self.queues) <= self.max_conns
        assert self.pipeline.pending == sum(map(len, self.queues.values()))
        for lane, queue in self.queues.items():
            assert [*lane.written, *lane.unwritten] == queue
            assert set(lane.written) == self.written.intersection(queue)
            assert not self.ended.intersection(queue)


PipelineMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestPipelineMachine = PipelineMachine.TestCase
