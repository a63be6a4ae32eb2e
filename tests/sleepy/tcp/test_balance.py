"""`sleepy.tcp.balance`: its seven rules, one by one and in any order."""

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sleepy.tcp.balance import MAX_PENALTY, PENALTY_DURATION, Balancer, Ticket


@dataclass(eq=False)
class Backend:
    """A client, as far as the balancer knows one."""

    name: str = "?"
    pending_requests: int = 0

    def __repr__(self) -> str:
        return self.name


class Longest(Random):
    """Chance that shortens nothing."""

    def random(self) -> float:
        return 1.0


def balancer_of(count: int, **options: Any) -> tuple[Balancer[Backend], list[Backend]]:
    balancer = Balancer[Backend](**{"random": Longest(), **options})
    backends = [Backend(name) for name in "abcdefgh"[:count]]
    for backend in backends:
        balancer.add(backend)
    return balancer, backends


def choose(balancer: Balancer[Backend], now: float, *tried: Backend) -> Ticket[Backend]:
    ticket = balancer.choose(now, tried)
    assert ticket is not None
    return ticket


def serial(balancer: Balancer[Backend], now: float, *, healthy: bool = True) -> Backend:
    """Who gets a request that ends before the next begins."""
    ticket = choose(balancer, now)
    balancer.settle(ticket, now, healthy=healthy)
    return ticket.member.client


def fail(balancer: Balancer[Backend], backend: Backend, now: float, times: int) -> None:
    """So many requests at once are given to one client, by trying all the others first, and fail."""
    others = [client for client in balancer.clients if client is not backend]
    tickets = [choose(balancer, now, *others) for _ in range(times)]
    for ticket in tickets:
        assert ticket.member.client is backend
        balancer.settle(ticket, now, healthy=False)


# Rule 1: the least busy


def test_rule_1_the_least_pending_is_chosen() -> None:
    balancer, (a, b, c) = balancer_of(3)
    a.pending_requests, b.pending_requests, c.pending_requests = 2, 0, 1
    assert [serial(balancer, 0.0) for _ in range(3)] == [b, b, b]
    b.pending_requests = 9
    assert serial(balancer, 0.0) is c


def test_rule_1_equals_take_turns_and_the_first_comes_first() -> None:
    balancer, (a, b, c) = balancer_of(3)
    assert [serial(balancer, 0.0) for _ in range(7)] == [a, b, c, a, b, c, a]


def test_nobody_to_choose_from_is_no_choice() -> None:
    balancer, (a, b) = balancer_of(2)
    assert balancer.choose(0.0, [a, b]) is None
    assert Balancer[Backend]().choose(0.0) is None


# Rule 2: penalties


def test_rule_2_a_failure_weighs_like_a_pending_request_for_some_seconds() -> None:
    balancer, (a, b) = balancer_of(2)
    fail(balancer, a, 0.0, 1)
    fail(balancer, a, 1.0, 1)
    b.pending_requests = 1
    assert serial(balancer, 2.9) is b  # 2 against 1
    assert serial(balancer, PENALTY_DURATION) is b  # 1 against 1, and b has had less
    b.pending_requests = 2
    assert serial(balancer, PENALTY_DURATION) is a
    b.pending_requests = 1
    assert serial(balancer, 1.0 + PENALTY_DURATION) is a  # 0 against 1


def test_rule_2_penalties_have_a_bound() -> None:
    balancer, (a, b) = balancer_of(2, eject_after=1000)
    fail(balancer, a, 0.0, MAX_PENALTY + 50)
    b.pending_requests = MAX_PENALTY + 1
    assert serial(balancer, 0.0) is a


# Rule 3: ejection


def test_rule_3_failures_in_a_row_eject_and_a_success_between_them_counts_anew() -> None:
    balancer, (a, b) = balancer_of(2, eject_after=3)
    fail(balancer, a, 0.0, 2)
    balancer.settle(choose(balancer, 0.0, b), 0.0, healthy=True)
    fail(balancer, a, 0.0, 2)
    assert balancer.ejected == []
    fail(balancer, a, 0.0, 1)
    assert balancer.ejected == [a]
    b.pending_requests = 1000
    assert {serial(balancer, 0.9) for _ in range(100)} == {b}


# Rule 4: probes


def ejections(balancer: Balancer[Backend], backend: Backend, count: int) -> list[float]:
    """How long its next ejections last, if every probe fails; it is ejected at 0."""
    (member,) = (member for member in balancer._members if member.client is backend)
    fail(balancer, backend, 0.0, balancer._eject_after)
    durations = [member.ejected_until or 0.0]
    for _ in range(count - 1):
        now = member.ejected_until or 0.0
        assert serial(balancer, now, healthy=False) is backend
        durations.append((member.ejected_until or 0.0) - now)
    return durations


def test_rule_4_ejections_double_up_to_a_bound() -> None:
    balancer, (a, _) = balancer_of(2, min_ejection=1.0, max_ejection=10.0)
    assert ejections(balancer, a, 6) == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_rule_4_a_peer_may_stay_dead_for_ever() -> None:
    """The doubling stops before a float overflows, and the times stay right."""
    balancer, (a, _) = balancer_of(2, min_ejection=1.0, max_ejection=60.0)
    assert ejections(balancer, a, 2000)[-1] == pytest.approx(60.0)


def test_rule_4_ejections_are_shortened_by_a_quarter_at_most_and_differ() -> None:
    balancer, (a, _) = balancer_of(2, min_ejection=8.0, max_ejection=8.0, random=Random(1))
    durations = ejections(balancer, a, 50)
    assert 6.0 <= min(durations) < 6.5
    assert 7.5 < max(durations) <= 8.0
    balancer, (a, _) = balancer_of(2, min_ejection=8.0, max_ejection=8.0, random=Random(1))
    assert ejections(balancer, a, 50) == durations


def test_rule_4_there_is_one_probe_at_a_time() -> None:
    balancer, (a, b) = balancer_of(2)
    fail(balancer, a, 0.0, 5)
    b.pending_requests = 10
    assert choose(balancer, 0.99).member.client is b
    probe = choose(balancer, 1.0)
    assert probe.member.client is a
    assert {choose(balancer, 5.0).member.client for _ in range(10)} == {b}
    balancer.forget(probe)  # its caller gave up: another request may be the probe
    assert choose(balancer, 5.0).member.client is a


def test_rule_4_a_request_that_has_failed_elsewhere_is_no_probe() -> None:
    balancer, (a, b, c) = balancer_of(3)
    fail(balancer, a, 0.0, 5)
    assert choose(balancer, 1.0, b).member.client is c
    assert choose(balancer, 1.0, b, c).member.client is a  # unless nobody else is left


def test_rule_4_who_was_probed_well_is_back_on_parole() -> None:
    balancer, (a, b) = balancer_of(2)
    fail(balancer, a, 0.0, 5)
    b.pending_requests = 10
    assert serial(balancer, 1.0) is a
    assert balancer.ejected == []
    assert serial(balancer, 1.0, healthy=False) is a  # one failure is enough, and the ejection is longer
    assert balancer.ejected == [a]
    assert serial(balancer, 2.9) is b
    assert serial(balancer, 3.0) is a
    assert serial(balancer, 3.0) is a  # this one clears the record
    fail(balancer, a, 10.0, 4)
    assert balancer.ejected == []
    fail(balancer, a, 10.0, 1)
    assert serial(balancer, 11.0) is a  # probed after one second again


# Rule 5: old news


def test_rule_5_what_was_under_way_at_the_ejection_neither_prolongs_nor_ends_it() -> None:
    balancer, (a, b) = balancer_of(2)
    tickets = [choose(balancer, 0.0, b) for _ in range(25)]
    for ticket in tickets[:24]:
        balancer.settle(ticket, 0.5, healthy=False)
    assert balancer.ejected == [a]
    balancer.settle(tickets[24], 0.6, healthy=True)
    assert balancer.ejected == [a]
    b.pending_requests = 100
    assert serial(balancer, 1.5) is a  # as if there had been five failures


def test_rule_5_nor_does_it_count_when_the_client_is_back() -> None:
    balancer, (_, b) = balancer_of(2)
    old = [choose(balancer, 0.0, b) for _ in range(10)]
    for ticket in old[:5]:
        balancer.settle(ticket, 0.5, healthy=False)
    probe = choose(balancer, 1.5)
    balancer.settle(probe, 1.5, healthy=True)
    for ticket in old[5:]:
        balancer.settle(ticket, 1.6, healthy=False)
    assert balancer.ejected == []


# Rule 6: panic


def test_rule_6_if_all_are_ejected_the_least_bad_is_used_and_its_success_ends_it() -> None:
    balancer, (a, b) = balancer_of(2)
    fail(balancer, a, 0.0, 5)
    fail(balancer, b, 0.0, 5)
    assert balancer.ejected == [a, b]
    a.pending_requests = 3
    ticket = choose(balancer, 0.5)
    assert ticket.member.client is b
    balancer.settle(ticket, 0.5, healthy=True)
    assert balancer.ejected == [a]


def test_rule_6_failures_in_panic_prolong_no_ejection() -> None:
    balancer, (a,) = balancer_of(1)
    fail(balancer, a, 0.0, 5)
    fail(balancer, a, 0.5, 50)
    balancer.add(b := Backend("b", pending_requests=99))
    assert [serial(balancer, 0.99), serial(balancer, 1.0)] == [b, a]


def test_rule_6_a_probe_that_hangs_while_its_client_comes_back_by_panic_is_no_hindrance_later() -> None:
    balancer, (a,) = balancer_of(1)
    fail(balancer, a, 0.0, 5)
    hangs = choose(balancer, 1.0)
    panic = choose(balancer, 1.0)
    balancer.settle(panic, 1.0, healthy=True)
    assert balancer.ejected == []
    fail(balancer, a, 1.0, 1)
    assert balancer.ejected == [a]
    probe = choose(balancer, 3.0)
    balancer.settle(hangs, 3.0, healthy=True)  # old news
    assert balancer.ejected == [a]
    balancer.settle(probe, 3.0, healthy=False)
    assert choose(balancer, 6.9).member.probe is None  # ejected for 4 s from then on, so this was panic
    ticket = choose(balancer, 7.0)
    assert ticket.member.probe is ticket


# Rule 7: who comes starts at the average


def test_rule_7_a_newcomer_is_not_flooded() -> None:
    """fasthttp's newcomer took 400 of the next 400 serial requests. Here it takes its share."""
    balancer, (a, b) = balancer_of(2)
    for _ in range(800):
        serial(balancer, 0.0)
    balancer.add(c := Backend("c"))
    taken = [serial(balancer, 0.0) for _ in range(400)]
    assert {backend: taken.count(backend) for backend in (a, b, c)} == {a: 134, b: 133, c: 133}


def test_rule_7_nor_is_one_that_is_back() -> None:
    balancer, (a, b) = balancer_of(2)
    fail(balancer, a, 0.0, 5)
    for _ in range(400):
        assert serial(balancer, 0.5) is b
    taken = [serial(balancer, 60.0) for _ in range(100)]
    assert taken.count(a) == 51  # the probe and its share


def test_rule_7_the_average_is_that_of_the_healthy_or_of_all_if_none_is() -> None:
    balancer, (a, b) = balancer_of(2)
    fail(balancer, a, 0.0, 5)
    for _ in range(35):
        serial(balancer, 0.5)
    balancer.add(Backend("c"))
    assert balancer._members[-1].requests == 35
    balancer.remove(lambda client: client.name == "c")
    fail(balancer, b, 0.5, 5)
    balancer.add(Backend("d"))
    assert balancer._members[-1].requests == (40 + 5) // 2


# Coming and going


def test_who_left_is_not_chosen_and_what_it_had_may_end() -> None:
    balancer, (a, b, c) = balancer_of(3)
    ticket = choose(balancer, 0.0)
    assert balancer.remove(lambda client: client is not b) == [a, c]
    assert balancer.clients == [b]
    assert {serial(balancer, 0.0) for _ in range(5)} == {b}
    balancer.settle(ticket, 1.0, healthy=False)
    assert balancer.clients == [b]


def test_nobody_is_there_twice() -> None:
    balancer, (a,) = balancer_of(1)
    with pytest.raises(ValueError, match="one of the clients already"):
        balancer.add(a)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eject_after": 0}, "eject_after is 0"),
        ({"min_ejection": 0.0}, "from 0.0 s"),
        ({"min_ejection": 2.0, "max_ejection": 1.0}, "from 2.0 s to 1.0 s"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Balancer[Backend](**options)


@given(count=st.integers(1, 6), requests=st.integers(0, 200), callers=st.integers(1, 20))
def test_all_shares_are_even_among_the_healthy(count: int, requests: int, callers: int) -> None:
    """However many callers there are at once, nobody is given more than one request above anybody else."""
    balancer, _ = balancer_of(count)
    under_way: list[Ticket[Backend]] = []
    for _ in range(requests):
        if len(under_way) == callers:
            done = under_way.pop(0)
            done.member.client.pending_requests -= 1
            balancer.settle(done, 0.0, healthy=True)
        ticket = choose(balancer, 0.0)
        ticket.member.client.pending_requests += 1
        under_way.append(ticket)
    given_to = [member.requests for member in balancer._members]
    assert sum(given_to) == requests
    assert max(given_to) - min(given_to) <= 1


# In any order


class AnyOrder(RuleBasedStateMachine):
    """Requests begin, end well or badly or not at all; clients come and go; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.names = 0
        self.under_way: list[Ticket[Backend]] = []

    @initialize(seed=st.integers(0, 3), eject_after=st.integers(1, 3))
    def begin(self, seed: int, eject_after: int) -> None:
        self.balancer = Balancer[Backend](
            eject_after=eject_after, min_ejection=1.0, max_ejection=8.0, random=Random(seed)
        )

    @rule()
    def join(self) -> None:
        healthy = [member for member in self.balancer._members if member.ejected_until is None]
        counts = [member.requests for member in healthy or self.balancer._members]
        self.names += 1
        self.balancer.add(Backend(str(self.names)))
        if counts:
            assert min(counts) <= self.balancer._members[-1].requests <= max(counts)

    @precondition(lambda self: len(self.balancer.clients) > 1)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(self.balancer.clients))
        assert self.balancer.remove(lambda client: client is gone) == [gone]

    @rule(seconds=st.floats(0.01, 10.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        clients = self.balancer.clients
        tried = data.draw(st.just([]) | st.lists(st.sampled_from(clients), unique=True) if clients else st.just([]))
        ejected = set(self.balancer.ejected)
        probes = {member.client: member.probe for member in self.balancer._members}
        until = {member.client: member.ejected_until for member in self.balancer._members}
        ticket = self.balancer.choose(self.now, tried)
        assert (ticket is None) == (set(clients) <= set(tried))  # never nobody while there is somebody
        if ticket is None:
            return
        chosen = ticket.member.client
        assert chosen in clients
        assert chosen not in tried
        if ticket.member.probe is ticket:  # a probe is due, alone, and has not suffered
            assert chosen in ejected
            assert probes[chosen] is None
            assert not tried
            assert (until[chosen] or 0.0) <= self.now
        elif chosen in ejected:  # panic: there is nobody better
            assert set(clients) - set(tried) <= ejected
        chosen.pending_requests += 1
        self.under_way.append(ticket)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), end=st.sampled_from(["well", "badly", "given up"]))
    def end(self, data: st.DataObject, end: str) -> None:
        ticket = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        ticket.member.client.pending_requests -= 1
        if end == "given up":
            ejected = self.balancer.ejected
            self.balancer.forget(ticket)
            assert self.balancer.ejected == ejected
        else:
            self.balancer.settle(ticket, self.now, healthy=end == "well")

    @invariant()
    def nothing_is_out_of_bounds(self) -> None:
        for member in self.balancer._members if hasattr(self, "balancer") else ():
            assert 0 <= len(member.penalties) <= MAX_PENALTY
            assert list(member.penalties) == sorted(member.penalties)
            assert 0 <= member.failures < self.balancer._eject_after or member.ejected_until is not None
            assert (member.ejected_until or 0.0) <= self.now + 8.0
            assert member.probe is None or member.probe in self.under_way  # no probe is lost: the next can come

    def teardown(self) -> None:
        """Whatever has happened: when the peers are well again, all are back, and share evenly."""
        if not hasattr(self, "balancer"):
            return
        for ticket in self.under_way:
            ticket.member.client.pending_requests -= 1
            self.balancer.settle(ticket, self.now, healthy=True)
        self.now += 10.0
        clients = self.balancer.clients
        for _ in clients:
            serial(self.balancer, self.now)
        assert self.balancer.ejected == []
        assert all(client.pending_requests == 0 for client in clients)
        if not clients:
            return
        behind = sum(
            max(member.requests for member in self.balancer._members) - member.requests
            for member in self.balancer._members
        )
        for _ in range(behind):
            serial(self.balancer, self.now)
        taken = [serial(self.balancer, self.now) for _ in range(3 * len(clients))]
        assert {taken.count(client) for client in clients} == {3}


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
