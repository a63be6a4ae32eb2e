"""The rules of sleepy/udp/path/congestion/bbr.py, on a path that is computed: a bottleneck with a queue without end."""

from collections import deque
from random import Random

import pytest

from sleepy.udp.path.congestion.bbr import LEAST_PACKETS, Bbr, State
from sleepy.udp.path.congestion.control import Ack, Loss
from sleepy.udp.path.congestion.delivery_rate import DeliveryRate, Mark

SIZE = 1000
RATE = 1e6  # bytes per second: a packet each millisecond
RTT = 0.05  # so that the path holds 50 packets


class PathModel:
    """A sender that always has data, paced; each packet is acked on its own."""

    def __init__(self, control: Bbr) -> None:
        self.control = control
        self.rate, self.rtt = RATE, RTT
        self.now = 0.0
        self.samples = DeliveryRate()
        self.in_flight = 0
        self.under_way: deque[tuple[float, float, Mark]] = deque()  # acked at, sent at, mark
        self.free = self.next_send = 0.0
        self.states: list[tuple[float, State]] = []
        self.most_in_flight = 0
        self.lose = lambda: False

    def run(self, until: float) -> None:
        while self.now < until:
            can_send = self.in_flight + SIZE <= self.control.window
            ack_time = self.under_way[0][0] if self.under_way else until
            if can_send and max(self.next_send, self.now) <= ack_time:
                self.now = max(self.next_send, self.now)
                self.send()
            else:
                self.now = ack_time
                if self.under_way:
                    self.hear()
            if not self.states or self.states[-1][1] is not self.control.state:
                self.states.append((self.now, self.control.state))

    def pause(self, seconds: float) -> None:
        """Nothing to send, for so long."""
        while self.under_way:
            self.now = self.under_way[0][0]
            self.hear()
        self.samples.on_app_limited(self.in_flight)
        self.now += seconds

    def send(self) -> None:
        mark = self.samples.on_sent(self.in_flight, self.now)
        self.free = max(self.free, self.now) + SIZE / self.rate
        self.under_way.append((self.free + self.rtt - SIZE / self.rate, self.now, mark))
        self.in_flight += SIZE
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.next_send = self.now + SIZE / self.control.pacing_rate

    def hear(self) -> None:
        _, sent, mark = self.under_way.popleft()
        self.in_flight -= SIZE
        if self.lose():
            self.control.on_lost(Loss(self.now, SIZE, sent, self.in_flight))
            return
        rate = self.samples.on_acked(SIZE, sent, mark, self.now)
        rtt = self.now - sent
        self.control.on_acked(
            Ack(self.now, SIZE, sent, rtt, rtt, self.in_flight, mark.app_limited, rate,
                self.samples.delivered, mark.delivered)
        )  # fmt: skip

    def utilisation(self, seconds: float) -> float:
        """The share of the path that is used in the time to come."""
        before, start = self.samples.delivered, self.now
        self.run(start + seconds)
        return (self.samples.delivered - before) / seconds / self.rate


def path(seed: int = 1) -> PathModel:
    return PathModel(Bbr(SIZE, Random(seed).random))


def test_startup_finds_the_bandwidth_in_a_few_round_trips_and_drains_its_queue() -> None:
    """Rules 1 to 4: both figures are found; the states follow each other."""
    world = path()
    world.run(2.0)
    assert world.control.bandwidth == pytest.approx(RATE, rel=0.1)
    assert world.control.rtt == pytest.approx(RTT, rel=0.05)
    assert [state for _, state in world.states][:3] == [State.STARTUP, State.DRAIN, State.PROBE_BANDWIDTH]
    begun = world.states[2][0]
    assert begun < 20 * RTT


def test_the_path_is_used_fully_and_the_queue_stays_short() -> None:
    """Rules 4 and 6: the whole rate, with less than a BDP in the queue."""
    world = path()
    world.run(2.0)
    world.most_in_flight = 0
    assert world.utilisation(6.0) > 0.97
    assert world.most_in_flight < 2 * RATE * RTT


def test_random_losses_do_not_slow_it_down() -> None:
    """What it is for: 5 % of all packets lost, and still all that the path carries is used."""
    world = path()
    chance = Random(7)
    world.lose = lambda: chance.random() < 0.05
    world.run(3.0)
    assert world.utilisation(5.0) > 0.9  # of which 5 % are lost


@pytest.mark.parametrize(("factor", "seconds"), [(2.0, 4.0), (0.5, 4.0)])
def test_a_path_that_changes_is_followed(factor: float, seconds: float) -> None:
    """Rules 1 and 4: more is found by probing, less when the samples of before have grown old."""
    world = path()
    world.run(3.0)
    world.rate = RATE * factor
    world.run(world.now + seconds)
    assert world.control.bandwidth == pytest.approx(RATE * factor, rel=0.12)


def test_the_time_between_probes_is_left_to_chance() -> None:
    """Rule 4: six round trips at the least, ten at the most."""
    for drawn, expected in ((0.0, 6), (1.0, 10)):
        world = PathModel(Bbr(SIZE, lambda drawn=drawn: drawn))
        world.run(2.0)
        while world.control._gain != 0.75:
            world.run(world.now + 0.001)
        while world.control._gain != 1.0:
            world.run(world.now + 0.001)
        start = world.now
        while world.control._gain != 1.25:
            world.run(world.now + 0.001)
        assert world.now - start == pytest.approx(expected * RTT, rel=0.05)


def test_the_round_trip_is_probed_every_ten_seconds() -> None:
    """Rule 5: with four packets under way, briefly; and a path that became longer is believed then."""
    world = path()
    world.run(3.0)
    world.rtt = 2 * RTT
    world.run(20.0)
    probes = [index for index, (_, state) in enumerate(world.states) if state is State.PROBE_RTT]
    assert probes
    index = probes[0]
    assert 9.0 < world.states[index][0] < 12.0
    assert 0.2 <= world.states[index + 1][0] - world.states[index][0] < 0.7
    assert world.control.rtt == pytest.approx(2 * RTT, rel=0.1)


def test_after_a_pause_nobody_is_made_to_wait_for_the_round_trip() -> None:
    """Rule 5: nothing was under way, so the first sample is the least there is; it is believed, even if it grew."""
    world = path()
    world.run(3.0)
    window = world.control.window
    world.pause(12.0)
    world.rtt = 2 * RTT
    world.run(world.now + 2.5 * RTT)
    assert world.control.window > window
    assert world.control.rtt == pytest.approx(2 * RTT, rel=0.05)
    assert State.PROBE_RTT not in [state for _, state in world.states]


def test_probing_the_round_trip_means_four_packets() -> None:
    """Rules 5 and 6."""
    world = path()
    world.run(2.0)
    assert world.control.window > 70 * SIZE
    world.control.state = State.PROBE_RTT
    assert world.control.window == LEAST_PACKETS * SIZE


def test_samples_without_enough_to_send_only_raise_the_bandwidth() -> None:
    """Rule 1: a trickle for many rounds, and the bandwidth is remembered; but a better sample counts."""
    world = path()
    world.run(2.0)
    control, before = world.control, world.control.bandwidth
    delivered = world.samples.delivered
    for step in range(50):
        delivered += SIZE
        now = 2.0 + step * 0.1
        control.on_acked(Ack(now, SIZE, now - RTT, RTT, RTT, 0, True, 20_000.0, delivered, delivered - SIZE))
    assert control.bandwidth == before
    control.on_acked(Ack(8.0, SIZE, 7.9, RTT, RTT, 0, True, 2 * RATE, delivered, delivered))
    assert control.bandwidth == 2 * RATE


def test_startup_ends_where_a_queue_overflows() -> None:
    """Rule 2: a round with more than 15 % lost ends it, one with 10 % does not."""
    for share, expected in ((4, State.DRAIN), (10, State.STARTUP)):
        control = Bbr(SIZE)
        delivered = 0
        control.on_acked(Ack(0.1, SIZE, 0.0, 0.1, 0.1, 0, False, 1e5, SIZE, 0))
        delivered += SIZE
        start = delivered
        for packet in range(100):
            if packet % share == 0:
                control.on_lost(Loss(0.2, SIZE, 0.1, 90 * SIZE))
            delivered += SIZE
            control.on_acked(Ack(0.2, SIZE, 0.1, 0.1, 0.1, 90 * SIZE, False, 1e5, delivered, 0))
        control.on_acked(Ack(0.3, SIZE, 0.2, 0.1, 0.1, 90 * SIZE, False, 2e5, delivered + SIZE, start))
        assert control.state is expected


def test_each_round_is_judged_by_its_own_losses() -> None:
    """Rule 2: 10 % in each of five rounds are not 50 % of the last."""
    control = Bbr(SIZE)
    delivered = 0
    for round_trip in range(5):
        start = delivered
        for packet in range(100):
            if packet % 10 == 0:
                control.on_lost(Loss(0.1 * round_trip, SIZE, 0.0, 90 * SIZE))
            delivered += SIZE
            rate = 1e5 * 2**round_trip  # still growing
            now = 0.1 * (round_trip + 1)
            control.on_acked(Ack(now, SIZE, now - 0.1, 0.1, 0.1, 90 * SIZE, False, rate, delivered, start))
    assert control.state is State.STARTUP


def test_when_the_path_was_dead_the_model_is_forgotten() -> None:
    world = path()
    world.run(2.0)
    world.control.on_persistent_congestion(9.0)
    assert world.control.state is State.STARTUP
    assert world.control.bandwidth == 0
    assert world.control.window == 10 * SIZE


def test_a_round_trip_of_no_time_is_survived() -> None:
    """A coarse clock on a loopback: all figures stay finite."""
    control = Bbr(SIZE)
    for packet in range(1, 100):
        control.on_acked(Ack(1.0, SIZE, 1.0, 0.0, 0.0, 0, False, 0.0, packet * SIZE, (packet - 1) * SIZE))
        assert control.window >= LEAST_PACKETS * SIZE
        assert 0 < control.pacing_rate < 1e12
