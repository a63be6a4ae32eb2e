"""The rules of sleepy/udp/path/recovery.py."""

from math import inf

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sleepy.udp.path.congestion.control import Ack, Loss
from sleepy.udp.path.congestion.new_reno import NewReno
from sleepy.udp.path.recovery import ACK_BITS, MOST_PROBE_TIMEOUT, PACKET_THRESHOLD, REMEMBERED, Outcome, Recovery

SIZE = 1000


class Notes:
    """A controller that writes down what it hears."""

    def __init__(self) -> None:
        self.packet_size = SIZE
        self.window = 10**9
        self.pacing_rate = 1e9
        self.acks: list[Ack] = []
        self.losses: list[Loss] = []
        self.persistent = 0

    def on_acked(self, ack: Ack) -> None:
        self.acks.append(ack)

    def on_lost(self, loss: Loss) -> None:
        self.losses.append(loss)

    def on_persistent_congestion(self, now: float) -> None:
        self.persistent += 1


def sending(packets: int, *, first: int = 0, spacing: float = 0.001) -> tuple[Recovery[int], Notes]:
    """Packets sent from time 0 on, each with its place as token; a round trip of 100 ms is known."""
    notes = Notes()
    recovery: Recovery[int] = Recovery(notes)
    recovery.round_trip.add(0.1)
    for number in range(packets):
        recovery.on_sent((first + number) & 0xFFFF, SIZE, number * spacing, number)
    return recovery, notes


@pytest.mark.parametrize("first", [0, 0xFFFD])
def test_three_packets_later_is_lost(first: int) -> None:
    """Rule 1: an ack of number 3 says that 0 is lost, and nothing yet of 1 and 2; also where numbers wrap."""
    recovery, notes = sending(4, first=first)
    outcome = recovery.on_acked([(first + 3) & 0xFFFF], 0.1)
    assert outcome == Outcome(acked=[3], lost=[0], late=[])
    assert recovery.in_flight == 2 * SIZE
    assert [(loss.size, loss.in_flight) for loss in notes.losses] == [(SIZE, 2 * SIZE)]


def test_an_eighth_of_a_round_trip_later_is_lost() -> None:
    """Rule 1: by time, when the timer says so and not before."""
    recovery, _ = sending(2)
    assert recovery.on_acked([1], 0.101).lost == []
    due = recovery.next_timeout()
    assert due == pytest.approx(0.1 * 9 / 8)
    assert recovery.on_timeout(due - 0.001) == []
    assert recovery.on_timeout(due) == [0]
    assert recovery.next_timeout() == inf
    assert recovery.in_flight == 0


def test_without_a_later_ack_nothing_is_lost() -> None:
    """Rules 1 and 5: silence makes probes, not losses."""
    recovery, _ = sending(5)
    for _ in range(10):
        assert recovery.on_timeout(recovery.next_timeout()) == []
    assert recovery.in_flight == 5 * SIZE


def test_what_no_ack_can_name_any_more_is_lost() -> None:
    """Rule 2: however patient reordering has made us, 32 behind is the end."""
    recovery, _ = sending(40)
    recovery.packet_threshold, recovery.time_threshold = ACK_BITS, 100.0
    assert recovery.on_acked([38], 0.1).lost == [0, 1, 2, 3, 4, 5, 6]


def test_spurious_losses_raise_the_thresholds() -> None:
    """Rule 3: number 0 comes 6 behind the newest; from then on 6 is not lost, 7 is."""
    recovery, _ = sending(30)
    assert recovery.on_acked([6, 5, 4, 3, 2, 1], 0.106).lost == [0]
    outcome = recovery.on_acked([0], 0.107)
    assert (outcome.acked, outcome.late) == ([], [0])
    assert recovery.spurious == 1
    assert recovery.packet_threshold == 7
    assert recovery.time_threshold == 9 / 8
    assert recovery.on_acked([13], 0.113).lost == []
    assert recovery.on_acked([14], 0.114).lost == [7]


def test_a_loss_by_time_that_was_spurious_raises_the_time_threshold() -> None:
    """Rule 3."""
    recovery, _ = sending(2)
    recovery.on_acked([1], 0.101)
    assert recovery.on_timeout(0.12) == [0]
    assert recovery.on_acked([0], 0.13).late == [0]
    assert recovery.time_threshold == 10 / 8
    assert recovery.packet_threshold == PACKET_THRESHOLD


def test_calm_brings_the_thresholds_back() -> None:
    """Rule 3: 16 losses in different round trips, none of them spurious."""
    recovery, _ = sending(30)
    recovery.on_acked([6], 0.1)
    recovery.on_acked([0], 0.1)
    assert recovery.packet_threshold == 7
    sequence, now, episodes = 30, 1.0, 0
    recovery.on_acked([29], 0.13)
    recovery.detect_lost(now)
    while recovery.packet_threshold != PACKET_THRESHOLD:
        for _ in range(10):
            recovery.on_sent(sequence, SIZE, now, sequence)
            sequence += 1
        now += 0.1
        assert recovery.on_acked([sequence - 1], now).lost
        episodes += 1
        now += 0.1
        recovery.detect_lost(now)
    assert 14 <= episodes <= 17


def test_a_spurious_loss_ends_the_calm() -> None:
    """Rule 3: after 12 calm losses one that was spurious, and the 16 count anew."""
    recovery, _ = sending(30)
    recovery.on_acked([6], 0.1)
    recovery.on_acked([0], 0.1)
    recovery.on_acked([29], 0.13)
    recovery.detect_lost(0.3)
    sequence, now = 30, 1.0
    for episode in range(24):
        for _ in range(10):
            recovery.on_sent(sequence, SIZE, now, sequence)
            sequence += 1
        recovery.on_acked([sequence - 1], now + 0.1)
        if episode == 12:
            assert recovery.on_acked([sequence - 10], now + 0.1).late
        recovery.detect_lost(now + 0.3)
        now += 0.5
    assert recovery.packet_threshold == 10


def test_packets_that_only_carry_acks_are_only_counted() -> None:
    """Rule 4: they set no timer and are never lost, but the numbers go on."""
    recovery, _ = sending(1)
    for sequence in range(1, 100):
        recovery.on_ack_only_sent(sequence)
    assert recovery.in_flight == SIZE
    recovery.on_sent(100, SIZE, 0.1, 100)
    assert recovery.on_acked([50], 0.15) == Outcome([], [0], [])
    assert recovery.on_acked([100], 0.2) == Outcome([100], [], [])
    assert recovery.next_timeout() == inf


def test_probes_back_off_and_an_ack_ends_that() -> None:
    """Rule 5: 325 ms (0.1 + 4 * 0.05 + 0.025), then twice as long each time, up to ten seconds, above any window."""
    recovery, notes = sending(1)
    notes.window = 0
    now, waits = 0.0, []
    for sequence in range(1, 8):
        assert not recovery.can_send(SIZE)
        waits.append(recovery.next_timeout() - now)
        now = recovery.next_timeout()
        assert recovery.on_timeout(now) == []
        assert recovery.probes == 1
        assert recovery.can_send(SIZE)
        assert recovery.oldest == 0
        recovery.on_sent(sequence, SIZE, now, sequence)
    assert waits == pytest.approx([0.325, 0.65, 1.3, 2.6, 5.2, MOST_PROBE_TIMEOUT, MOST_PROBE_TIMEOUT])
    recovery.on_acked([7], now + 0.1)
    recovery.on_sent(8, SIZE, now + 0.1, 8)
    recovery.detect_lost(now + 10.0)
    assert recovery.next_timeout() < now + 0.1 + 0.5


def test_a_probe_that_is_not_sent_is_due_again_later() -> None:
    """Rule 5: asked late, and with nothing sent, the next timeout lies ahead all the same; and an ack needs no probe."""
    recovery, _ = sending(1)
    recovery.on_timeout(100.0)
    assert recovery.next_timeout() == pytest.approx(100.65)
    assert recovery.probes == 1
    recovery.on_acked([0], 100.1)
    assert recovery.probes == 0


def test_the_ack_delay_is_heeded() -> None:
    """As far as it was promised: of a sample of 120 ms, 20 were the peer's."""
    recovery, _ = sending(1)
    recovery.on_acked([0], 0.12, ack_delay=0.02)
    assert recovery.round_trip.smoothed == pytest.approx(0.1)


def test_persistent_congestion() -> None:
    """Rule 6: everything lost over more than three probe timeouts; an ack in between, and it is not persistent."""
    for acked_between in (False, True):
        recovery, notes = sending(16, spacing=0.1)
        if acked_between:
            recovery.on_acked([7], 0.8)
        recovery.on_acked([15], 1.6)
        assert notes.persistent == (0 if acked_between else 1)


def test_a_late_ack_ends_the_row_of_losses() -> None:
    """Rule 6: not everything was lost, as it turns out, though it was said to be."""
    for late in (False, True):
        recovery, notes = sending(6, spacing=0.3)
        recovery.time_threshold = 100.0
        assert recovery.on_acked([5], 1.55).lost == [0, 1, 2]
        if late:
            assert recovery.on_acked([1], 1.56).late == [1]
        recovery.time_threshold = 1.0
        assert recovery.detect_lost(1.6) == [3, 4]
        assert notes.persistent == (0 if late else 1)


def test_a_lost_mtu_probe_is_no_congestion() -> None:
    """Rule 8: it comes back as lost, and the controller does not hear of it."""
    recovery, notes = sending(0)
    recovery.on_sent(0, 1400, 0.0, 0, mtu_probe=True)
    for sequence in range(1, 5):
        recovery.on_sent(sequence, SIZE, 0.0, sequence)
    assert recovery.on_acked([4, 3, 2, 1], 0.1).lost == [0]
    assert notes.losses == []
    assert recovery.in_flight == 0


def test_round_trips_come_from_the_newest_packet_only() -> None:
    """An ack that is named late, or of a packet that overtook the one before it, is no measure of the path."""
    recovery, notes = sending(4, spacing=0.01)
    recovery.on_acked([2], 0.12)
    assert notes.acks[-1].rtt is None  # it may have overtaken 1
    recovery.on_acked([1], 0.121)
    assert notes.acks[-1].rtt is None  # it may have been named before, in a header that was lost
    recovery.on_acked([3], 0.13)
    assert notes.acks[-1].rtt == pytest.approx(0.1)


@pytest.mark.parametrize(("pause", "counts"), [(9.9, True), (10.1, False)])
def test_a_peer_that_was_away_says_nothing_of_the_path(pause: float, counts: bool) -> None:
    """Rule 9: neither of its round trip nor of its rate; what it acks has arrived all the same."""
    recovery, notes = sending(3)
    recovery.on_acked([0, 1], 0.1)
    before, rate = recovery.round_trip.smoothed, recovery.delivery_rate
    assert rate > 0
    assert recovery.on_acked([2], pause + 0.002).acked == [2]
    assert (notes.acks[-1].rtt is not None) is counts
    assert (recovery.round_trip.smoothed > before) is counts
    assert (recovery.delivery_rate != rate) is counts


def test_acks_from_nowhere_do_nothing() -> None:
    """Rule 7: never sent, acked before, forgotten."""
    recovery, notes = sending(2)
    assert recovery.on_acked([0], 0.1).acked == [0]
    assert recovery.on_acked([0, 7, 40_000, 65_535], 0.1) == Outcome([], [], [])
    assert recovery.in_flight == SIZE
    assert len(notes.acks) == 1


def test_app_limited_samples_are_marked() -> None:
    """Control, rule 3: from the moment there is nothing to send."""
    recovery, notes = sending(2)
    recovery.on_app_limited()
    recovery.on_sent(2, SIZE, 0.01, 2)
    recovery.on_acked([1, 0], 0.1)
    recovery.on_acked([2], 0.11)
    assert [ack.app_limited for ack in notes.acks] == [False, True]


def test_memory_is_bounded() -> None:
    """A hundred thousand packets, all lost but each fiftieth: over the wrap, and nothing is kept."""
    recovery: Recovery[int] = Recovery(NewReno())
    for number in range(100_000):
        now = number * 0.001
        recovery.on_sent(number & 0xFFFF, SIZE, now, number)
        if number % 50 == 49:
            recovery.on_acked([number & 0xFFFF], now + 0.0005)
    recovery.detect_lost(1000.0)
    assert len(recovery._lost) <= REMEMBERED
    assert recovery.in_flight == 0
    assert recovery.lost == 98_000


class RecoveryMachine(RuleBasedStateMachine):
    """A peer that acks what it likes, when it likes, and a clock that is not always asked in time."""

    @initialize(first=st.sampled_from([0, 65_500]))
    def begin(self, first: int) -> None:
        self.recovery: Recovery[int] = Recovery(NewReno())
        self.now = 0.0
        self.next = first
        for sequence in range(0, first, 30_000):  # walk up to where the numbers wrap
            self.recovery.on_ack_only_sent(sequence)
        self.open: dict[int, int] = {}
        self.settled: dict[int, str] = {}
        self.spurious = 0

    def settle(self, outcome: Outcome[int]) -> None:
        for fate, tokens in (("acked", outcome.acked), ("lost", outcome.lost)):
            for token in tokens:
                assert token not in self.settled
                del self.open[token]
                self.settled[token] = fate
        for token in outcome.late:
            assert self.settled[token] == "lost"
            self.settled[token] = "late"
            self.spurious += 1

    @rule(size=st.integers(1, 1200), count=st.integers(1, 40))
    def send(self, size: int, count: int) -> None:
        for _ in range(count):
            self.recovery.on_sent(self.next & 0xFFFF, size, self.now, self.next)
            self.open[self.next] = size
            self.next += 1

    @rule(count=st.integers(1, 40))
    def send_acks_only(self, count: int) -> None:
        for _ in range(count):
            self.recovery.on_ack_only_sent(self.next & 0xFFFF)
            self.next += 1

    @rule(back=st.integers(0, 60), bits=st.integers(1, 2**32 - 1), delay=st.floats(0, 1))
    def hear(self, back: int, bits: int, delay: float) -> None:
        newest = self.next - 1 - back
        acked = [newest - bit for bit in range(32) if bits >> bit & 1 and newest - bit >= 0]
        acked = [number for number in acked if self.settled.get(number) not in {"acked", "late"}]
        self.settle(self.recovery.on_acked([number & 0xFFFF for number in acked], self.now, delay))

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.open)
    @rule()
    def time_out(self) -> None:
        self.now = max(self.now, self.recovery.next_timeout())
        lost = self.recovery.on_timeout(self.now)
        assert lost or self.recovery.probes
        self.settle(Outcome([], lost, []))

    @invariant()
    def the_books_agree(self) -> None:
        if not hasattr(self, "open"):
            return
        assert self.recovery.in_flight == sum(self.open.values()) >= 0
        assert (self.recovery.next_timeout() < inf) == bool(self.open)
        assert self.recovery.spurious == self.spurious
        assert PACKET_THRESHOLD <= self.recovery.packet_threshold <= ACK_BITS

    def teardown(self) -> None:
        """Rule 7: one more packet and its ack, and all that was sent has met its fate."""
        if not hasattr(self, "open"):
            return
        self.send(1, 1)
        last = self.next - 1
        self.settle(self.recovery.on_acked([last & 0xFFFF], self.now))
        while self.open:
            self.time_out()


TestRecoveryMachine = RecoveryMachine.TestCase
TestRecoveryMachine.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
