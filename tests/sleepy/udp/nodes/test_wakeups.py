"""The rules of sleepy/udp/nodes/wakeups.py, against a dictionary that is searched."""

import random
from math import inf

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.strategies import floats, integers, just, one_of

from sleepy.udp.nodes.wakeups import Sleeper, Wakeups


class AgainstADictionary(RuleBasedStateMachine):
    """Rules 1 and 2: whatever is said in whatever order, the right ones are woken."""

    def __init__(self) -> None:
        super().__init__()
        self.wakeups: Wakeups[Sleeper] = Wakeups()
        self.sleepers = [Sleeper() for _ in range(6)]
        self.times: dict[Sleeper, float] = {}
        self.now = 0.0

    @rule(sleeper=integers(0, 5), delay=one_of(floats(0, 10), just(inf), just(-1.0)))
    def set(self, sleeper: int, delay: float) -> None:
        self.wakeups.set(self.sleepers[sleeper], self.now + delay)
        self.times[self.sleepers[sleeper]] = self.now + delay

    @rule(passed=floats(0, 5))
    def wake(self, passed: float) -> None:
        self.now += passed
        woken: list[Sleeper] = []
        while (sleeper := self.wakeups.pop(self.now)) is not None:
            woken.append(sleeper)
        assert set(woken) == {sleeper for sleeper, when in self.times.items() if when <= self.now}
        assert len(woken) == len(set(woken))
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
    wakeups: Wakeups[Sleeper] = Wakeups()
    a, b, c, d = (Sleeper() for _ in range(4))
    for sleeper, when in ((c, 3.0), (a, 1.0), (d, 3.0), (b, 2.0)):
        wakeups.set(sleeper, when)
    assert [wakeups.pop(3.0) for _ in range(5)] == [a, b, c, d, None]


def test_later_and_later_costs_no_entry() -> None:
    """The usual case: a time that moves on with each packet makes no new entry, and rings at last at the right time."""
    wakeups: Wakeups[Sleeper] = Wakeups()
    peer = Sleeper()
    for when in range(10, 1000):
        wakeups.set(peer, float(when))
    assert len(wakeups._heap) == 1
    assert wakeups.pop(998.0) is None
    assert wakeups.pop(999.0) is peer


def test_soon_and_late_again_costs_one_entry() -> None:
    """Rule 3: who is answered wants to be woken as late as before, for which the entry is still there."""
    wakeups: Wakeups[Sleeper] = Wakeups()
    peer = Sleeper()
    wakeups.set(peer, 100.0)
    for number in range(50):
        entered = wakeups._entered
        wakeups.set(peer, number + 0.1)
        wakeups.set(peer, number + 101.0)
        assert wakeups.pop(number + 0.5) is None
        assert (wakeups._entered - entered, len(wakeups._heap)) == (1, 1)
    assert wakeups.pop(149.0) is None
    assert wakeups.pop(150.0) is peer


def test_entries_that_came_up_too_early_become_one() -> None:
    """Rule 3: one that was said to be later than another two is not put back beside them."""
    wakeups: Wakeups[Sleeper] = Wakeups()
    peer = Sleeper()
    for when in (3.0, 2.0, 1.0, 10.0):
        wakeups.set(peer, when)
    assert wakeups.pop(3.5) is None
    assert [entry[0] for entry in wakeups._heap] == [10.0]


def test_memory_follows_the_sleepers() -> None:
    """Rule 4: a sleeper that wants ever earlier times, and one that comes and goes, leave nothing behind."""
    wakeups: Wakeups[Sleeper] = Wakeups()
    one, two = Sleeper(), Sleeper()
    for when in range(10_000, 0, -1):
        wakeups.set(one, float(when))
        wakeups.set(two, float(when))
        wakeups.set(two, inf)
    assert len(wakeups._heap) < 100
    assert len(wakeups) == 1
    assert wakeups.pop(1.0) is one
    assert wakeups.next_time == inf


def test_a_heap_made_anew_is_a_heap() -> None:
    """Rule 4: after the sweep the earliest is still first."""
    randoms = random.Random(1)
    wakeups: Wakeups[Sleeper] = Wakeups()
    sleepers = [Sleeper() for _ in range(500)]
    times: dict[Sleeper, float] = {}
    for _ in range(5000):
        sleeper = randoms.choice(sleepers)
        times[sleeper] = randoms.random()
        wakeups.set(sleeper, times[sleeper])
    woken: list[Sleeper] = []
    while (next_one := wakeups.pop(wakeups.next_time)) is not None or wakeups:
        woken += [] if next_one is None else [next_one]
    assert woken == sorted(times, key=lambda sleeper: times[sleeper])


def test_who_is_forgotten_in_a_sweep_may_come_again() -> None:
    """Rule 4: a sleeper whose entries were swept away gets a new one, though they had come up in time."""
    wakeups: Wakeups[Sleeper] = Wakeups()
    gone, others = Sleeper(), [Sleeper() for _ in range(200)]
    wakeups.set(gone, 1.0)
    wakeups.set(gone, inf)
    for other in others:
        wakeups.set(other, 5.0)
    for other in others:
        wakeups.set(other, inf)
    wakeups.set(others[0], 4.0)
    assert len(wakeups._heap) <= 66
    wakeups.set(gone, 2.0)
    assert wakeups.pop(2.0) is gone
