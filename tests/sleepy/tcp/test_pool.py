"""`sleepy.tcp.pool`: its five rules, one by one and in any order."""

import itertools
import math
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from sleepy.tcp.pool import ConnectionPool, Orders


@dataclass(eq=False)
class Conn:
    """A connection, as far as the pool knows one."""

    name: str = "?"
    closing: bool = False

    def __repr__(self) -> str:
        return self.name


def pool_of(
    max_conns: int, *callers: str, **options: float | str | None
) -> tuple[ConnectionPool[Conn, str], Orders[Conn, str]]:
    """A new pool that ``callers`` have entered, and what it wants done at time 0."""
    pool = ConnectionPool[Conn, str](max_conns, **options)  # type: ignore[arg-type]
    for caller in callers:
        pool.enter(caller)
    return pool, pool.settle(0.0)


def idle_pool(count: int, **options: float | str | None) -> tuple[ConnectionPool[Conn, str], list[Conn]]:
    """A pool with ``count`` idle connections, dialed at 0 and released at 1, 2, 3..."""
    pool, orders = pool_of(count, *(f"first {number}" for number in range(count)), **options)
    assert orders.dials == count
    conns = [Conn(str(number)) for number in range(count)]
    for conn in conns:
        pool.dialed(conn, 0.0)
    pool.settle(0.0)
    for number, conn in enumerate(conns):
        assert pool.release(conn, 1.0 + number)
    return pool, conns


# Rule 1: slots


def test_rule_1_there_are_never_more_slots_than_allowed() -> None:
    pool, orders = pool_of(2, "a", "b", "c")
    assert orders == Orders(serve=[], dials=2, close=[])
    assert (pool.conns_count, pool.dialing_count, pool.idle_count, pool.waiting_count) == (2, 2, 0, 3)
    pool.dialed(Conn(), 0.0)
    assert len(pool.settle(0.0).serve) == 1
    assert (pool.conns_count, pool.dialing_count, pool.idle_count, pool.waiting_count) == (2, 1, 0, 2)


def test_rule_1_a_lowered_limit_closes_what_is_idle_and_the_longest_idle_first() -> None:
    pool, conns = idle_pool(4)
    pool.max_conns = 2
    assert pool.settle(9.0).close == conns[:2]
    assert pool.conns_count == pool.idle_count == 2


def test_rule_1_a_lowered_limit_waits_for_the_busy_and_then_takes_precedence_over_the_line() -> None:
    pool, _ = pool_of(2, "a", "b")
    one, two = Conn("one"), Conn("two")
    pool.dialed(one, 0.0)
    pool.dialed(two, 0.0)
    pool.settle(0.0)
    pool.max_conns = 1
    pool.enter("c")
    assert pool.settle(0.0) == Orders([], 0, [])
    pool.release(one, 1.0)
    assert pool.settle(1.0) == Orders([], 0, [one])
    pool.release(two, 2.0)
    assert pool.settle(2.0) == Orders([("c", two)], 0, [])


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_lets_nobody_through_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=f"max_conns of {limit}"):
        ConnectionPool[Conn, str](limit)
    pool = ConnectionPool[Conn, str](1)
    with pytest.raises(ValueError, match=f"max_conns of {limit}"):
        pool.max_conns = limit
    assert pool.max_conns == 1


@pytest.mark.parametrize("option", ["max_idle_duration", "max_duration"])
def test_durations_that_close_everything_are_refused(option: str) -> None:
    for duration in (0, -1.0):
        with pytest.raises(ValueError, match=option):
            ConnectionPool[Conn, str](1, **{option: duration})


def test_an_unknown_strategy_is_refused_and_the_known_are_named() -> None:
    with pytest.raises(ValueError, match="'random': there are 'lifo' and 'fifo'"):
        ConnectionPool[Conn, str](1, strategy="random")  # type: ignore[arg-type]


# Rule 2: nobody owns a dial


def test_rule_2_a_released_connection_serves_him_who_waits_for_a_dial() -> None:
    pool, _ = pool_of(2, "a")
    one, two = Conn("one"), Conn("two")
    pool.dialed(one, 0.0)
    pool.settle(0.0)
    pool.enter("b")
    assert pool.settle(0.0).dials == 1
    pool.release(one, 1.0)
    assert pool.settle(1.0).serve == [("b", one)]
    pool.dialed(two, 2.0)  # the dial has lost its caller: its connection stays for the next
    assert pool.settle(2.0) == Orders([], 0, [])
    assert pool.idle_count == 1


def test_rule_2_the_dial_of_one_who_left_serves_the_next() -> None:
    pool, orders = pool_of(5, "a")
    assert orders.dials == 1
    assert pool.leave("a")
    pool.enter("b")
    assert pool.settle(0.0).dials == 0  # one is under way, one is in line
    pool.dialed(Conn("one"), 0.0)
    assert [caller for caller, _ in pool.settle(0.0).serve] == ["b"]


def test_leaving_twice_or_after_being_served_is_no_leaving() -> None:
    pool, _ = pool_of(1, "a", "b")
    pool.dialed(Conn(), 0.0)
    pool.settle(0.0)
    assert not pool.leave("a")
    assert pool.leave("b")
    assert not pool.leave("b")


def test_a_failed_dial_is_told_to_the_head_of_the_line_only() -> None:
    pool, _ = pool_of(1, "a", "b")
    assert pool.dial_failed() == "a"
    assert pool.settle(0.0).dials == 1
    assert pool.leave("b")
    assert pool.dial_failed() is None
    assert pool.conns_count == 0


# Rule 3: as many dials as callers


def test_rule_3_raising_the_limit_wakes_the_line() -> None:
    pool, _ = pool_of(1, "a", "b", "c")
    pool.max_conns = 3
    assert pool.settle(0.0).dials == 2
    assert pool.settle(0.0).dials == 0


def test_rule_3_a_discarded_connection_gives_its_slot_to_the_line() -> None:
    pool, _ = pool_of(1, "a", "b")
    one = Conn("one")
    pool.dialed(one, 0.0)
    pool.settle(0.0)
    assert pool.discard(one)
    assert not pool.discard(one)
    assert pool.settle(0.0).dials == 1


def test_rule_3_dials_are_for_the_first_in_line() -> None:
    pool, _ = pool_of(2, "a", "b", "c")
    assert [pool.is_dialing_for(caller) for caller in "abc"] == [True, True, False]
    pool.dialed(Conn(), 0.0)
    pool.settle(0.0)
    assert [pool.is_dialing_for(caller) for caller in "abc"] == [False, True, False]


# Rule 4: first come, first served


def test_rule_4_the_line_comes_before_the_newcomer() -> None:
    pool, _ = pool_of(1, "a")
    one = Conn("one")
    pool.dialed(one, 0.0)
    pool.settle(0.0)
    pool.enter("b")
    pool.settle(0.0)
    pool.release(one, 1.0)
    assert pool.acquire(1.0) is None
    pool.enter("c")
    assert pool.settle(1.0).serve == [("b", one)]


# Rule 5: judged when taken


@pytest.mark.parametrize("strategy", ["lifo", "fifo"])
def test_rule_5_who_is_refused_keeps_his_place_and_is_closed_next(strategy: str) -> None:
    pool, _ = pool_of(2, "a", "b", strategy=strategy)
    conns = [Conn("one"), Conn("two")]
    for conn in conns:
        pool.dialed(conn, 0.0)
    pool.settle(0.0)
    for conn in conns:
        pool.release(conn, 1.0)
    refused, other = reversed(conns) if strategy == "lifo" else conns
    refused.closing = True
    assert pool.acquire(2.0) is None
    pool.enter("c")
    orders = pool.settle(2.0)
    assert (orders.close, orders.serve) == ([refused], [("c", other)])


def test_rule_5_a_closing_connection_is_not_handed_out() -> None:
    pool, (one, two) = idle_pool(2)
    two.closing = True
    pool.enter("a")
    assert pool.settle(3.0) == Orders([("a", one)], 0, [two])
    assert pool.conns_count == 1


@pytest.mark.parametrize(("now", "alive"), [(10.999, True), (11.0, False)])
def test_rule_5_idle_too_long(now: float, alive: bool) -> None:
    pool, (one,) = idle_pool(1, max_idle_duration=10.0)
    assert pool.acquire(now) is (one if alive else None)
    pool, (one,) = idle_pool(1, max_idle_duration=10.0)
    pool.enter("a")
    assert pool.settle(now) == (Orders([("a", one)], 0, []) if alive else Orders([], 1, [one]))


@pytest.mark.parametrize(("now", "alive"), [(9.999, True), (10.0, False)])
def test_rule_5_alive_too_long(now: float, alive: bool) -> None:
    pool, (one,) = idle_pool(1, max_duration=10.0)
    assert pool.acquire(now) is (one if alive else None)
    pool, (one,) = idle_pool(1, max_duration=10.0)
    pool.enter("a")
    assert pool.settle(now) == (Orders([("a", one)], 0, []) if alive else Orders([], 1, [one]))


def test_rule_5_too_old_to_come_back() -> None:
    """One that outlives its time while it is busy is not taken back."""
    pool, _ = pool_of(1, "a", max_duration=10.0)
    one = Conn("one")
    pool.dialed(one, 0.0)
    pool.settle(0.0)
    assert not pool.release(one, 10.0)
    assert pool.conns_count == 0


def test_what_the_pool_has_forgotten_does_not_come_back() -> None:
    pool, (one,) = idle_pool(1)
    pool.discard(one)
    assert not pool.release(one, 5.0)
    assert pool.conns_count == pool.idle_count == 0


def test_an_idle_connection_that_is_used_again_has_its_time_anew() -> None:
    pool, (one,) = idle_pool(1, max_idle_duration=10.0)
    pool.enter("a")
    assert pool.settle(9.0).serve
    pool.release(one, 10.0)
    pool.enter("b")
    assert pool.settle(19.0).serve == [("b", one)]


# Strategies and cleaning


def test_lifo_takes_the_one_used_last_and_fifo_the_one_idle_longest() -> None:
    for strategy, order in (("lifo", [2, 1, 0]), ("fifo", [0, 1, 2])):
        pool, conns = idle_pool(3, strategy=strategy)
        for caller in "abc":
            pool.enter(caller)
        assert [conn for _, conn in pool.settle(5.0).serve] == [conns[number] for number in order]


def test_lifo_is_the_default() -> None:
    pool, conns = idle_pool(3)
    pool.enter("a")
    assert pool.settle(5.0).serve == [("a", conns[2])]


def test_cleaning_takes_the_expired_and_only_them() -> None:
    pool, conns = idle_pool(3, max_idle_duration=10.0)  # released at 1, 2 and 3
    assert pool.next_expiry(3.0) == 11.0
    assert pool.discard_expired(12.0) == conns[:2]
    assert pool.next_expiry(12.0) == 13.0
    assert pool.conns_count == 1


def test_without_limits_nothing_expires() -> None:
    pool, _ = idle_pool(3)
    assert pool.next_expiry(3.0) is None
    assert pool.discard_expired(1e9) == []


def test_the_next_cleaning_comes_before_a_busy_connection_can_be_idle_too_long() -> None:
    """It becomes idle now at the earliest, and may be too old sooner."""
    for options, expiry in (
        ({"max_idle_duration": 10.0}, 15.0),
        ({"max_duration": 7.0}, 7.0),
        ({"max_duration": 4.0}, None),
    ):
        pool, _ = pool_of(1, "a", **options)
        pool.dialed(Conn(), 0.0)
        pool.settle(0.0)
        assert pool.next_expiry(5.0) == expiry


def test_discarding_the_idle_spares_the_busy() -> None:
    pool, conns = idle_pool(3)
    pool.enter("a")
    pool.settle(3.0)
    assert pool.discard_idle() == conns[:2]
    assert (pool.conns_count, pool.idle_count) == (1, 0)


class PoolMachine(RuleBasedStateMachine):
    """Everything that can happen to a pool, in any order, with the obvious model beside it."""

    callers = Bundle("callers")
    served = Bundle("served")  # connections that serve somebody

    @initialize(
        max_conns=st.integers(1, 4),
        max_idle=st.none() | st.integers(1, 8),
        max_life=st.none() | st.integers(1, 12),
        strategy=st.sampled_from(["lifo", "fifo"]),
    )
    def start(self, max_conns: int, max_idle: int | None, max_life: int | None, strategy: str) -> None:
        self.pool = ConnectionPool[Conn, int](
            max_conns,
            max_idle_duration=max_idle,
            max_duration=max_life,
            strategy=strategy,  # type: ignore[arg-type]
        )
        self.max_idle = math.inf if max_idle is None else max_idle
        self.max_life = math.inf if max_life is None else max_life
        self.strategy = strategy
        self.now = 0.0
        self.names = itertools.count()
        self.settled = True
        self.cleaning: float | None = None  # when the cleaner comes next; set only when it was not set, as clients do
        self.line: list[int] = []
        self.dialing = 0
        self.born: dict[Conn, float] = {}
        self.idle: dict[Conn, float] = {}
        self.busy: set[Conn] = set()

    def end(self, conn: Conn) -> float:
        """When an idle connection has outlived its time."""
        return min(self.idle[conn] + self.max_idle, self.born[conn] + self.max_life)

    def settle(self) -> MultipleResults[Conn]:
        """Settle, hold every order against the model, and give the connections that now serve."""
        orders = self.pool.settle(self.now)
        for conn in orders.close:  # KeyError: one that was not idle
            assert conn.closing or self.end(conn) <= self.now or len(self.born) + self.dialing > self.pool.max_conns
            del self.idle[conn], self.born[conn]
        for caller, conn in orders.serve:  # KeyError: one that was not idle
            assert caller == self.line.pop(0)  # rule 4
            assert not conn.closing  # rule 5
            assert self.end(conn) > self.now
            assert conn == list(self.idle)[-1 if self.strategy == "lifo" else 0]
            del self.idle[conn]
            self.busy.add(conn)
        self.dialing += orders.dials
        assert not orders.dials or len(self.born) + self.dialing <= self.pool.max_conns  # rule 1
        self.settled = True
        if self.cleaning is None:
            self.cleaning = self.pool.next_expiry(self.now)
        return multiple(*(conn for _, conn in orders.serve))

    @rule(target=callers)
    def enter(self) -> int:
        self.settled = False
        caller = next(self.names)
        self.pool.enter(caller)
        self.line.append(caller)
        return caller

    @rule(target=served)
    def nothing_else(self) -> MultipleResults[Conn]:
        return self.settle()

    @rule(target=served, caller=consumes(callers))
    def leave(self, caller: int) -> MultipleResults[Conn]:
        assert self.pool.leave(caller) == (caller in self.line)
        if caller in self.line:
            self.line.remove(caller)
        return self.settle()

    @precondition(lambda self: self.dialing)
    @rule(target=served, closing=st.booleans())
    def dial_succeeds(self, closing: bool) -> MultipleResults[Conn]:
        conn = Conn(f"c{next(self.names)}", closing)
        self.pool.dialed(conn, self.now)
        self.dialing -= 1
        self.born[conn] = self.idle[conn] = self.now
        return self.settle()

    @precondition(lambda self: self.dialing)
    @rule(target=served)
    def dial_fails(self) -> MultipleResults[Conn]:
        self.dialing -= 1
        assert self.pool.dial_failed() == (self.line.pop(0) if self.line else None)
        return self.settle()

    @rule(target=served, conn=consumes(served))
    def release(self, conn: Conn) -> MultipleResults[Conn]:
        self.busy.remove(conn)
        kept = self.pool.release(conn, self.now)
        assert kept == (self.born[conn] + self.max_life > self.now)
        if kept:
            self.idle[conn] = self.now
        else:
            del self.born[conn]
        return self.settle()

    @rule(target=served, conn=consumes(served))
    def lose_a_busy_one(self, conn: Conn) -> MultipleResults[Conn]:
        self.busy.remove(conn)
        del self.born[conn]
        assert self.pool.discard(conn)
        assert not self.pool.discard(conn)
        assert not self.pool.release(conn, self.now)
        return self.settle()

    @precondition(lambda self: self.idle)
    @rule(target=served, data=st.data(), forgotten=st.booleans())
    def an_idle_one_ends(self, data: st.DataObject, forgotten: bool) -> MultipleResults[Conn]:
        """The peer closes it: that is noticed now, and told to the pool now or later."""
        conn = data.draw(st.sampled_from(list(self.idle)))
        conn.closing = True
        if forgotten:
            del self.idle[conn], self.born[conn]
            assert self.pool.discard(conn)
        return self.settle()

    @rule(target=served, limit=st.integers(1, 4))
    def change_limit(self, limit: int) -> MultipleResults[Conn]:
        self.pool.max_conns = limit
        return self.settle()

    @rule(target=served)
    def close_idle(self) -> MultipleResults[Conn]:
        assert self.pool.discard_idle() == list(self.idle)
        for conn in self.idle:
            del self.born[conn]
        self.idle.clear()
        return self.settle()

    @rule(target=served, seconds=st.sampled_from([0.5, 1.0, 5.0]))
    def time_passes(self, seconds: float) -> MultipleResults[Conn]:
        end = self.now + seconds
        while self.cleaning is not None and self.cleaning <= end:
            assert self.cleaning > self.now  # it does not come again and again
            self.now = self.cleaning
            expired = [conn for conn in self.idle if self.end(conn) <= self.now]
            assert self.pool.discard_expired(self.now) == expired
            for conn in expired:
                del self.idle[conn], self.born[conn]
            self.cleaning = self.pool.next_expiry(self.now)
        self.now = end
        assert all(
            self.end(conn) > self.now for conn in self.idle
        )  # a cleaner that comes when it is told to is never late
        return self.settle()

    @invariant()
    def counts_are_what_is_there(self) -> None:
        """Rule 1."""
        assert self.pool.conns_count == len(self.born) + self.dialing
        assert self.pool.idle_count == len(self.idle)
        assert self.pool.dialing_count == self.dialing
        assert self.pool.waiting_count == len(self.line)
        assert set(self.born) == set(self.idle) | self.busy

    @invariant()
    def nobody_starves(self) -> None:
        """Rule 3: once settled, nobody waits while a connection is idle, and free slots are being dialed for the line."""
        if self.settled:
            assert not (self.idle and self.line)
            assert self.dialing >= min(len(self.line), self.pool.max_conns - len(self.born))
            assert not self.idle or len(self.born) + self.dialing <= self.pool.max_conns
        assert [self.pool.is_dialing_for(caller) for caller in self.line] == [
            place < self.dialing for place in range(len(self.line))
        ]


PoolMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestPoolMachine = PoolMachine.TestCase
