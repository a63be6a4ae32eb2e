"""`sleepy.tcp.deadlines`: many deadlines, one lazy timer."""

import math

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sleepy.tcp.deadlines import Deadlines


def test_rule_1_the_timer_is_set_to_the_earliest_deadline_and_stays() -> None:
    deadlines = Deadlines[str]()
    assert deadlines.next_check == math.inf
    assert [deadlines.set(*item) for item in (("a", 5.0), ("b", 3.0), ("c", 4.0), ("d", math.inf))] == [
        True,
        True,
        False,
        False,
    ]
    del deadlines.pending["b"]
    assert (deadlines.next_check, len(deadlines.pending)) == (3.0, 3)


def test_rule_2_the_expired_are_given_up_once_and_the_timer_set_again() -> None:
    deadlines = Deadlines[str]()
    for item, deadline in (("a", 5.0), ("b", 3.0), ("c", 3.0), ("d", math.inf)):
        deadlines.set(item, deadline)
    assert deadlines.expired(2.9) == []
    assert deadlines.expired(3.0) == ["b", "c"]
    assert deadlines.next_check == 5.0
    assert deadlines.expired(3.5) == []
    assert deadlines.expired(6.0) == ["a"]
    assert (deadlines.next_check, list(deadlines.pending)) == (math.inf, ["d"])


def test_rule_2_with_quick_answers_the_timer_goes_off_once_per_length_of_a_deadline() -> None:
    """A thousand requests a second for ten seconds, each done after 10 ms, with a deadline of a second."""
    deadlines, checks, now = Deadlines[int](), 0, 0.0
    for number in range(10_000):
        now = number / 1000
        deadlines.set(number, now + 1.0)
        deadlines.pending.pop(number - 10, None)
        if now >= deadlines.next_check:
            checks += 1
            assert deadlines.expired(now) == []
    assert 9 <= checks <= 11


def test_rule_3_a_crowd_of_different_deadlines_is_looked_at_with_rests() -> None:
    deadlines = Deadlines[int]()
    for number in range(1000):
        deadlines.set(number, 1 + number * 1e-5)
    now, checks, latest = 0.0, 0, 0.0
    while deadlines.pending:
        now = deadlines.next_check
        checks += 1
        latest = max([latest, *(now - (1 + number * 1e-5) for number in deadlines.expired(now))])
    assert checks < 100
    assert latest <= 1e-3


class Machine(RuleBasedStateMachine):
    """Against a plain dictionary: nobody is given up early, and nobody is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.deadlines = Deadlines[int]()
        self.model: dict[int, float] = {}
        self.now = 0.0

    @rule(item=st.integers(0, 9), within=st.one_of(st.floats(0, 10), st.just(math.inf)))
    def set(self, item: int, within: float) -> None:
        before = self.deadlines.next_check
        self.model[item] = self.now + within
        assert self.deadlines.set(item, self.now + within) == (self.now + within < before)

    @rule(item=st.integers(0, 9))
    def discard(self, item: int) -> None:
        self.model.pop(item, None)
        self.deadlines.pending.pop(item, None)

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.deadlines.next_check:
            expired = self.deadlines.expired(self.now)
            assert sorted(expired) == sorted(item for item, deadline in self.model.items() if deadline <= self.now)
            for item in expired:
                del self.model[item]

    @invariant()
    def no_deadline_is_missed(self) -> None:
        """The next look comes no later than the earliest deadline, but for the rest of rule 3."""
        earliest = min(self.model.values(), default=math.inf)
        assert self.deadlines.next_check <= max(earliest, self.now) + 1e-5
        assert sorted(self.deadlines.pending) == sorted(self.model)


TestMachine = Machine.TestCase


@given(st.lists(st.floats(0, 1e6), max_size=20), st.floats(0, 1e6))
def test_what_is_left_after_a_look_has_time(times: list[float], now: float) -> None:
    deadlines = Deadlines[int]()
    for number, deadline in enumerate(times):
        deadlines.set(number, deadline)
    expired = deadlines.expired(now)
    assert {number for number, deadline in enumerate(times) if deadline <= now} == set(expired)
    assert len(deadlines.pending) == len(times) - len(expired)
