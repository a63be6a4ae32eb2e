"""The rules of sleepy/udp/nodes/wakeups.py, against a dictionary that is searched."""

import random
from math import inf

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.strategies import floats, integers, just, one_of

from sleepy.udp.nodes.wakeups import Wakeups


class AgainstADictionary(RuleBasedStateMachine):
    """Rules 1 and 2: whatever is said in whatever order, the right ones are woken."""

    def __init__(self) -> None:
        super().__init__()
        self.wakeups: Wakeups[int] = Wakeups()
        self.times: dict[int, float] = {}
        self.now = 0.0

    @rule(sleeper=integers(0, 5), delay=one_of(floats(0, 10), just(inf), just(-1.0)))
    def set(self, sleeper: int, delay: float) -> None:
        self.wakeups.set(sleeper, self.now + delay)
        self.times[sleeper] = self.now + delay

    @rule(sleeper=integers(0, 5))
    def discard(self, sleeper: int) -> None:
        self.wakeups.discard(sleeper)
        self.times.pop(sleeper, None)

    @rule(passed=floats(0, 5))
    def wake(self, passed: float) -> None:
        self.now += passed
        woken = []
        while (sleeper := self.wakeups.pop(self.now)) is not None:
            woken.append(sleeper)
        assert sorted(woken) == sorted(sleeper for sleeper, when in self.times.items() if when <= self.now)
        for sleeper in woken:
            del self.times[sleeper]

    @invariant()
    def nobody_oversleeps(self) -> None:
        asleep = [when for when in self.times.values() if when < inf]
        assert self.wakeups.next_time <= min(asleep, default=inf)
        assert (self.wakeups.next_time == inf) == (not asleep)
        assert len(self.wakeups) == len(asleep)


TestAgainstADictionary = AgainstADictionary.TestCase
TestAgainstADictionary.settings = settings(max_examples=100, stateful_step_count=30)


def test_the_earliest_is_first() -> None:
    """Rule 2; and of equal times, the one that was said first."""
    wakeups: Wakeups[str] = Wakeups()
    for sleeper, when in (("c", 3.0), ("a", 1.0), ("d", 3.0), ("b", 2.0)):
        wakeups.set(sleeper, when)
    assert [wakeups.pop(3.0) for _ in range(5)] == ["a", "b", "c", "d", None]


def test_later_and_later_costs_no_entry() -> None:
    """The usual case: a time that moves on with each packet makes no new entry, and rings at last at the right time."""
    wakeups: Wakeups[str] = Wakeups()
    for when in range(10, 1000):
        wakeups.set("peer", float(when))
    assert len(wakeups._heap) == 1
    assert wakeups.pop(998.0) is None
    assert wakeups.pop(999.0) == "peer"


def test_memory_follows_the_sleepers() -> None:
    """Rule 3: a sleeper that wants ever earlier times, and one that comes and goes, leave nothing behind."""
    wakeups: Wakeups[int] = Wakeups()
    for when in range(10_000, 0, -1):
        wakeups.set(1, float(when))
        wakeups.set(2, float(when))
        wakeups.discard(2)
    assert len(wakeups._heap) < 100
    assert len(wakeups) == len(wakeups._entries) == 1
    assert wakeups.pop(1.0) == 1
    assert not wakeups._entries


def test_a_heap_made_anew_is_a_heap() -> None:
    """Rule 3: after the sweep the earliest is still first."""
    randoms = random.Random(1)
    wakeups: Wakeups[int] = Wakeups()
    times: dict[int, float] = {}
    for _ in range(5000):
        sleeper = randoms.randrange(500)
        times[sleeper] = randoms.random()
        wakeups.set(sleeper, times[sleeper])
    woken = []
    while (sleeper := wakeups.pop(wakeups.next_time)) is not None or wakeups:
        woken += [] if sleeper is None else [sleeper]
    assert woken == sorted(times, key=lambda sleeper: times[sleeper])
