"""`sleepy.tcp.pipeline`: everything that can happen to it, in any order."""

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sleepy.tcp.errors import PipelineOverflow
from tests.sleepy.tcp.test_pipeline import Ask, Lanes, make


class PipelineMachine(RuleBasedStateMachine):
    """Requests, dials, answers, losses and second thoughts, beside a model of who has to be where.

    As the client does, it settles whatever happens.
    """

    @initialize(max_conns=st.integers(1, 3), max_pending=st.integers(1, 4), guard=st.booleans(), mixed=st.booleans())
    def start(self, max_conns: int, max_pending: int, guard: bool, mixed: bool) -> None:
        self.pipeline = make(max_conns, max_pending, stall_guard=guard, pipeline_non_idempotent=mixed)
        self.max_conns, self.max_pending, self.guard, self.mixed = max_conns, max_pending, guard, mixed
        self.now = 0.0
        self.numbers = itertools.count()
        self.written: dict[Lanes, list[Ask]] = {}  # what each lane has to answer, in order
        self.line: list[Ask] = []  # who waits, in order
        self.given_up: set[Ask] = set()  # written, and nobody waits
        self.ended: set[Ask] = set()  # answered, failed, withdrawn or refused: each exactly once
        self.there = 0  # accepted and not ended

    def end(self, ask: Ask) -> None:
        assert ask not in self.ended
        self.ended.add(ask)
        self.there -= 1

    def stalled(self) -> dict[Lanes, int]:
        """What is pending on the lanes that may get nothing."""
        lanes = self.pipeline.lanes
        return {lane: lane.pending for lane in lanes if self.guard and self.pipeline.is_stalled(lane, self.now)}

    def settle(self) -> None:
        stalled = self.stalled()
        served = self.pipeline.settle(self.now)
        got = {ask for lane in served for ask in lane.unwritten}
        count = len(self.line) - len(self.pipeline.waiting)
        assert got.issuperset(self.line[:count])  # those at its head
        del self.line[:count]
        assert all(lane.pending == pending for lane, pending in stalled.items())

    def some_lane(self, data: st.DataObject, *, opened: bool) -> Lanes:
        return data.draw(st.sampled_from([lane for lane in self.pipeline.lanes if bool(lane.connection) == opened]))

    def has_open(self) -> bool:
        return any(lane.connection for lane in self.pipeline.lanes)

    def has_dialing(self) -> bool:
        return any(not lane.connection for lane in self.pipeline.lanes)

    @rule(seconds=st.sampled_from([0.001, 0.1, 1.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.settle()  # a pause may be over

    @rule(idempotent=st.booleans())
    def add(self, idempotent: bool) -> None:
        ask, stalled = Ask(next(self.numbers), idempotent), self.stalled()
        try:
            lane = self.pipeline.add(ask, self.now)
        except PipelineOverflow:
            full = [lane for lane in self.pipeline.lanes if lane.pending >= self.max_pending]
            assert full or len(self.line) >= self.max_pending
            self.ended.add(ask)
            return
        self.there += 1
        if lane is None:
            self.line.append(ask)
        else:
            assert not self.line
            assert lane not in stalled
            assert list(lane.unwritten)[-1] is ask
        self.settle()

    @precondition(has_dialing)
    @rule(data=st.data())
    def open(self, data: st.DataObject) -> None:
        self.some_lane(data, opened=False).opened("open", self.now)
        self.settle()

    @precondition(has_dialing)
    @rule(data=st.data())
    def fail_to_open(self, data: st.DataObject) -> None:
        lane = self.some_lane(data, opened=False)
        waiting = list(lane.unwritten)
        self.pipeline.failed(self.now)
        assert self.pipeline.remove(lane, lambda _: False) == (waiting, [])
        self.pipeline.add_first(waiting)
        self.line[:0] = waiting
        self.settle()

    @precondition(has_open)
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        lane = self.some_lane(data, opened=True)
        waiting = list(lane.unwritten)
        assert lane.write(self.now) == waiting
        self.written.setdefault(lane, []).extend(waiting)

    @precondition(lambda self: any(self.written.values()))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        lane = data.draw(st.sampled_from([lane for lane, written in self.written.items() if written]))
        ask = self.pipeline.answered(lane, self.now)
        assert ask is self.written[lane].pop(0)  # answers come in order
        self.end(ask)
        self.given_up.discard(ask)
        self.settle()

    @precondition(lambda self: self.line or any(lane.pending for lane in self.pipeline.lanes))
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        lanes = self.pipeline.lanes
        ask = data.draw(
            st.sampled_from([*self.line, *(ask for lane in lanes for ask in (*lane.unwritten, *lane.written))])
        )
        lane = next((lane for lane, written in self.written.items() if ask in written), None)
        if lane is None:
            self.pipeline.withdraw(ask)
            self.end(ask)
            if ask in self.line:
                self.line.remove(ask)
        else:
            self.pipeline.give_up(lane, ask)
            self.given_up.add(ask)
        self.settle()

    @precondition(has_open)
    @rule(data=st.data(), last_answer=st.booleans())
    def lose(self, data: st.DataObject, last_answer: bool) -> None:
        lane = self.some_lane(data, opened=True)
        written, unwritten = self.written.pop(lane, []), list(lane.unwritten)
        if written and not last_answer:
            written[0].suspect = True
        survivors, lost = self.pipeline.remove(lane, lambda ask: last_answer or ask.idempotent)
        wanted = [ask for ask in written if ask not in self.given_up]
        assert survivors == [ask for ask in wanted if last_answer or ask.idempotent] + unwritten
        assert lost == [ask for ask in wanted if not (last_answer or ask.idempotent)]
        for ask in written:
            if ask not in survivors:
                self.end(ask)
                self.given_up.discard(ask)
        self.pipeline.add_first(survivors)
        self.line[:0] = survivors
        self.settle()

    def alone(self, ask: Ask) -> bool:
        return ask.suspect or not (self.mixed or ask.idempotent)

    @invariant()
    def everybody_is_in_one_place(self) -> None:
        lanes = self.pipeline.lanes
        places = [*self.pipeline.waiting, *(ask for lane in lanes for ask in (*lane.written, *lane.unwritten))]
        assert len(places) == len(set(places)) == self.pipeline.pending == self.there
        assert not self.ended.intersection(places)
        assert list(self.pipeline.waiting) == self.line
        assert all(list(lane.written) == self.written.get(lane, []) for lane in lanes)
        assert all(lane.given_up == self.given_up.intersection(lane.written) for lane in lanes)

    @invariant()
    def limits_hold(self) -> None:
        lanes = self.pipeline.lanes
        assert len(lanes) == len(set(lanes)) <= self.max_conns
        assert all(0 <= lane.pending <= self.max_pending for lane in lanes)

    @invariant()
    def who_must_be_alone_is_alone(self) -> None:
        for lane in self.pipeline.lanes:
            asks = [*lane.written, *lane.unwritten]
            assert len(asks) <= 1 or not any(self.alone(ask) for ask in asks)

    @invariant()
    def nobody_waits_without_need(self) -> None:
        """Not beside a free lane; nor for a new one that may be dialed."""
        if self.line:
            lanes = self.pipeline.lanes
            assert all(lane.pending for lane in lanes)
            pause = self.pipeline.next_dial(self.now) > self.now and self.pipeline._backoff.next_try > 0
            probing = any(lane.connection is None for lane in lanes)
            assert len(lanes) == self.max_conns or pause or probing
            if not self.alone(self.line[0]):
                usable = [lane for lane in lanes if lane not in self.stalled() and lane.pending < self.max_pending]
                assert all(self.alone(ask) for lane in usable for ask in (*lane.written, *lane.unwritten))


PipelineMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
TestPipelineMachine = PipelineMachine.TestCase
