"""Endpoint, recovery, controllers and pacer together, over links in virtual time: what they achieve, and how fairly."""

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from sleepy.sim import Link
from sleepy.udp.path.congestion.bbr import Bbr
from sleepy.udp.path.congestion.control import Controller
from sleepy.udp.path.congestion.cubic import Cubic
from sleepy.udp.path.congestion.good_bad import GoodBad
from sleepy.udp.path.congestion.new_reno import NewReno
from sleepy.udp.path.recovery import MOST_PROBE_TIMEOUT
from tests.sleepy.udp.bulk import CHUNK, Flow, Path, World, jain, single

RATE = 20e6  # bits per second
BDP = int(RATE * 0.1 / 8)
CHUNKS = CHUNK / (CHUNK + 36)  # the share of the rate that chunks can have, beside headers

FILLING: list[Callable[[], Controller]] = [NewReno, Cubic, lambda: Bbr(random=Random(1).random)]


def link(**figures: object) -> Link:
    """20 Mbit/s, 100 ms there and back, a queue of a BDP."""
    return Link(**{"delay": 0.05, "rate": RATE, "queue": BDP, **figures})  # type: ignore[arg-type]


@pytest.mark.parametrize("make", FILLING)
def test_a_path_without_random_loss_is_filled(make: Callable[[], Controller]) -> None:
    """All three; and no loss is believed in that was none."""
    flow = single(link(), make())
    flow.world.run(8.0)
    assert flow.goodput(4.0, 8.0) > 0.93 * CHUNKS * RATE
    assert flow.recovery.lost <= flow.forth.carrier.lost.total() + 5
    assert flow.recovery.spurious == 0


def test_two_percent_loss() -> None:
    """The target: the model-based control has at least 80 % of the link, and five times what CUBIC has."""
    goodput = {}
    for make in (NewReno, Cubic, Bbr):
        flow = single(link(loss=0.02), make())
        flow.world.run(10.0)
        goodput[make] = flow.goodput(0.0, 10.0)
    assert goodput[Bbr] > 0.8 * RATE
    assert goodput[Bbr] > 5 * goodput[Cubic]
    assert goodput[Bbr] > 5 * goodput[NewReno]


def test_a_queue_of_two_seconds_is_left_empty_by_the_model_and_filled_by_the_others() -> None:
    """Bufferbloat: the same goodput, but 100 ms of round trip against many hundreds."""
    trips = {}
    for make in (Cubic, Bbr):
        flow = single(link(queue=20 * BDP), make())
        flow.world.run(8.0)
        assert flow.goodput(4.0, 8.0) > 0.9 * CHUNKS * RATE
        trips[make] = flow.recovery.round_trip.smoothed
    assert trips[Bbr] < 0.15
    assert trips[Cubic] > 0.5


@pytest.mark.parametrize("gap", [0.1, 2.0])
def test_four_of_a_kind_share_fairly(gap: float) -> None:
    """Jain's index of at least 0.9 for four model-based ones on one bottleneck, wherever they begin."""
    world = World()
    forth, back = Path(world, link(), "forth"), Path(world, Link(delay=0.05), "back")
    flows = [Flow(world, forth, back, Bbr(random=Random(number).random), begin=number * gap) for number in range(4)]
    world.run(36.0)
    rates = [flow.goodput(24.0, 36.0) for flow in flows]
    assert jain(rates) >= 0.9
    assert sum(rates) > 0.9 * CHUNKS * RATE


def test_reordering_is_learnt() -> None:
    """Packets that overtake a few others: some losses are spurious, then the thresholds fit, and hardly any more are."""
    flow = single(Link(delay=0.05, jitter=0.002, ordered=False, rate=RATE, queue=BDP), Bbr(random=Random(1).random))
    flow.world.run(3.0)
    first = flow.recovery.lost
    assert flow.recovery.packet_threshold > 3
    assert flow.recovery.spurious > 0
    flow.world.run(6.0)
    assert flow.recovery.lost - first < 20  # of some 5000 packets, nearly all of them reordered
    assert flow.goodput(3.0, 6.0) > 0.9 * CHUNKS * RATE


def test_a_blackout_is_probed_with_patience_and_survived() -> None:
    """Recovery, rule 5: the pauses between probes double; after the path is back, all goes on within a pause."""
    flow = single(link(), NewReno())
    world = flow.world
    world.run(3.0)
    good = flow.forth.carrier.link
    flow.forth.carrier.link = Link(loss=1.0)
    world.run(3.5)
    in_flight, sent = flow.recovery.in_flight, len(flow.sends)
    world.run(13.0)
    probes = [time for time, _ in flow.sends[sent:]]
    assert 3 <= len(probes) <= 8
    pauses = [later - earlier for earlier, later in pairwise(probes)]
    assert all(later > 1.5 * earlier for earlier, later in pairwise(pauses))
    assert flow.recovery.in_flight == in_flight + sum(size for _, size in flow.sends[sent:])
    flow.forth.carrier.link = good
    world.run(13.0 + MOST_PROBE_TIMEOUT)
    assert flow.goodput(13.0, world.now) > 0.1 * RATE
    assert flow.recovery.in_flight <= flow.controller.window + 1200


def test_a_last_packet_that_is_lost_is_sent_again() -> None:
    """Recovery, rule 5: nothing follows it, so only a probe can bring it over."""
    flow = single(Link(delay=0.05, rate=RATE, drop=(20,)), NewReno())
    flow.supply = lambda _: 20
    flow.world.run(3.0)
    assert flow.arrived == set(range(20))
    assert flow.recovery.in_flight == 0
    assert len(flow.sends) <= 22


@pytest.mark.parametrize("make", FILLING)
def test_who_sends_little_learns_nothing_about_the_path(make: Callable[[], Controller]) -> None:
    """Control, rule 3: a chunk each 20 ms for ten seconds does not open the window."""
    flow = single(link(), make())
    flow.supply = lambda now: now * 50
    flow.world.run(10.0)
    assert flow.controller.window <= 20 * 1200
    assert len(flow.arrived) > 480


def test_good_and_bad() -> None:
    """The lesson's control: 30 packets a second on a good path; on one that carries only 20, fewer than that."""
    flow = single(link(), GoodBad())
    flow.world.run(10.0)
    assert flow.goodput(1.0, 10.0) == pytest.approx(30 * CHUNK * 8, rel=0.1)
    flow = single(Link(delay=0.05, rate=20 * 1200 * 8, queue=50_000), GoodBad())
    flow.world.run(20.0)
    late = [time for time, _ in flow.sends if time > 10]
    assert len(late) < 20 * 10


@pytest.mark.parametrize("loss", [0.02, 0.1])
def test_lost_answers_are_made_up_for_by_the_next(loss: float) -> None:
    """Acks are named in three answers: losses on the way back alone do not look like losses on the way there."""
    flow = single(link(), Bbr(random=Random(1).random), back=Link(delay=0.05, loss=loss))
    flow.world.run(5.0)
    lost_there = flow.forth.carrier.lost.total()
    assert flow.back.carrier.lost["loss"] > 10
    assert flow.recovery.lost - lost_there <= len(flow.sends) * loss**3 * 3 + 10
