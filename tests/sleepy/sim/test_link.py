"""`sleepy.sim.link`: each rule, and that chance comes out as asked.

Statistical tests hold a count against Chernoff's bound: if the link is right, a test fails for fewer than one seed in
1 / DOUBT. Hypothesis picks the figures and the seeds.
"""

from itertools import pairwise
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepy.sim import Arrival, Burst, Carrier, Link

DOUBT = 1e-9
MANY = 4000
seeds = st.integers(0, 2**32)
shares = st.floats(0.01, 0.99)


def plausible(count: int, of: int, share: float) -> bool:
    """Whether ``count`` hits in ``of`` independent tries of chance ``share`` is not absurd (Chernoff, both tails)."""
    seen = count / of
    divergence = sum(p * log(p / q) for p, q in ((seen, share), (1 - seen, 1 - share)) if p)
    return of * divergence <= log(2 / DOUBT)


def times(carrier: Carrier, packets: int = MANY, interval: float = 0.001, size: int = 100) -> list[list[float]]:
    return [[a.time for a in carrier.carry(size, i * interval)] for i in range(packets)]


def test_a_perfect_link_delivers_at_once() -> None:
    assert Link().start(1).carry(10**9, 5.0) == (Arrival(5.0, False),)


def test_delay_is_added() -> None:
    assert Link(delay=0.05).start(1).carry(100, 1.0)[0].time == pytest.approx(1.05)


def test_rule_1_too_large_is_lost() -> None:
    carrier = Link(mtu=1500).start(1)
    assert carrier.carry(1500, 0.0)
    assert not carrier.carry(1501, 0.0)
    assert carrier.lost == {"mtu": 1}


@given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=50), queue=st.integers(0, 5000))
def test_rule_2_the_queue_never_holds_more_than_it_may(sizes: list[int], queue: int) -> None:
    """All at once: what passes fits, but for the first, which found the transmitter idle; what was lost did not fit."""
    carrier, waiting = Link(rate=8000, queue=queue).start(1), 0
    for size in sizes:
        fits = not waiting or waiting + size <= queue
        assert bool(carrier.carry(size, 0.0)) == fits
        waiting += size * fits


def test_rule_2_the_queue_empties_with_time() -> None:
    carrier = Link(rate=8000, queue=1000).start(1)  # a byte per millisecond
    assert carrier.carry(1000, 0.0)
    assert not carrier.carry(600, 0.5)  # 500 bytes are left of the first
    assert carrier.carry(500, 0.5)
    assert carrier.cause == "queue"


@given(sizes=st.lists(st.integers(1, 1500), min_size=1, max_size=50))
def test_rule_3_the_transmitter_takes_its_time_for_every_bit(sizes: list[int]) -> None:
    carrier = Link(rate=1e6, delay=0.01).start(1)
    last = [carrier.carry(size, 0.0)[0].time for size in sizes][-1]
    assert last == pytest.approx(sum(sizes) * 8 / 1e6 + 0.01)


def test_rule_3_what_the_wire_loses_was_transmitted() -> None:
    carrier = Link(rate=8000, drop=[1]).start(1)
    assert not carrier.carry(1000, 0.0)
    assert carrier.carry(1000, 0.0)[0].time == pytest.approx(2.0)


@given(drop=st.sets(st.integers(1, 60)), counted=st.lists(st.booleans(), max_size=100), seed=seeds)
def test_rule_4_the_drop_list_is_exact(drop: set[int], counted: list[bool], seed: int) -> None:
    """Exactly the listed packets are lost, by their place among those that count."""
    carrier, index = Link(drop=sorted(drop)).start(seed), 0
    for counts in counted:
        index += counts
        assert bool(carrier.carry(100, 0.0, counts)) == (not counts or index not in drop)
    assert carrier.unreached == [i for i in sorted(drop) if i > index]


@settings(max_examples=30)
@given(seed=seeds, loss=shares)
def test_rule_4_loss_is_the_share_asked_for(seed: int, loss: float) -> None:
    carrier = Link(loss=loss).start(seed)
    times(carrier)
    assert plausible(carrier.lost["loss"], MANY, loss)


@settings(max_examples=30)
@given(seed=seeds, loss=shares)
def test_rule_4_losses_do_not_know_each_other(seed: int, loss: float) -> None:
    """After a loss the next packet is lost no more often than any."""
    lost = [not arrivals for arrivals in times(Link(loss=loss).start(seed))]
    after = [second for first, second in pairwise(lost) if first]
    assert not after or plausible(sum(after), len(after), loss)


@settings(max_examples=30)
@given(seed=seeds, share=st.floats(0.05, 0.6), length=st.floats(2, 20))
def test_rule_4_bad_spells_begin_and_end_as_asked(seed: int, share: float, length: float) -> None:
    """Transitions of the chain are independent tries, so the bound holds for them."""
    burst = Burst(share, length)
    lost = [not arrivals for arrivals in times(Link(burst=burst).start(seed))]
    ends = [not second for first, second in pairwise(lost) if first]
    begins = [second for first, second in pairwise(lost) if not first]
    assert not ends or plausible(sum(ends), len(ends), burst.leave)
    assert plausible(sum(begins), len(begins), burst.enter)


def test_rule_4_the_share_of_bad_spells_and_their_length() -> None:
    """The same in the figures that people ask for: 20 % lost, ten at a time."""
    lost = [not arrivals for arrivals in times(Link(burst=Burst(0.2, 10)).start(7), packets=200_000)]
    spells = sum(second and not first for first, second in pairwise([False, *lost]))
    assert sum(lost) / len(lost) == pytest.approx(0.2, rel=0.05)
    assert sum(lost) / spells == pytest.approx(10, rel=0.05)


@settings(max_examples=20)
@given(seed=seeds, inside=shares, outside=shares)
def test_rule_4_a_spell_has_its_own_loss(seed: int, inside: float, outside: float) -> None:
    carrier = Link(burst=Burst(0.5, 1, inside), loss=outside).start(seed)  # every other packet
    times(carrier)
    assert plausible(carrier.lost["burst"], MANY // 2, inside)
    assert plausible(carrier.lost["loss"], MANY // 2, outside)


@settings(max_examples=20)
@given(seed=seeds)
def test_rule_5_jitter_is_even_and_keeps_to_its_bounds(seed: int) -> None:
    carrier = Link(delay=0.05, jitter=0.02).start(seed)
    delays = [carrier.carry(100, float(i))[0].time - i for i in range(MANY)]
    assert min(delays) >= 0.03 - 1e-9
    assert max(delays) <= 0.07 + 1e-9
    for quarter in range(4):
        inside = sum(0.03 + quarter * 0.01 <= delay < 0.04 + quarter * 0.01 for delay in delays)
        assert plausible(inside, MANY, 0.25)


@given(seed=seeds, reordered=st.booleans())
def test_rule_5_only_an_unordered_link_reorders_by_jitter(seed: int, reordered: bool) -> None:
    arrivals = times(Link(delay=0.05, jitter=0.05, ordered=not reordered).start(seed), packets=100)
    flat = [time for packet in arrivals for time in packet]
    assert (flat != sorted(flat)) == reordered


@settings(max_examples=20)
@given(seed=seeds, share=shares)
def test_rule_6_the_share_that_overtakes(seed: int, share: float) -> None:
    arrivals = times(Link(delay=0.05, reorder=share).start(seed))
    assert plausible(sum(packet[0] == i * 0.001 for i, packet in enumerate(arrivals)), MANY, share)


@settings(max_examples=20)
@given(seed=seeds, share=shares)
def test_rule_7_the_share_that_arrives_twice(seed: int, share: float) -> None:
    arrivals = times(Link(duplicate=share).start(seed))
    assert plausible(sum(len(packet) == 2 for packet in arrivals), MANY, share)


@settings(max_examples=20)
@given(seed=seeds, share=shares)
def test_rule_7_the_share_that_arrives_damaged(seed: int, share: float) -> None:
    carrier = Link(corrupt=share).start(seed)
    assert plausible(sum(carrier.carry(100, 0.0)[0].corrupt for _ in range(MANY)), MANY, share)


@given(seed=seeds)
def test_the_same_seed_gives_the_same_fates(seed: int) -> None:
    link = Link(delay=0.1, jitter=0.1, loss=0.2, burst=Burst(0.1, 3), duplicate=0.1, reorder=0.1, corrupt=0.1)
    assert times(link.start(seed), 200) == times(link.start(seed), 200)
    assert times(link.start(seed), 200) != times(link.start(seed + 1), 200)


def test_a_seed_means_the_same_in_every_process() -> None:
    """Known fates, so that a change of the draws does not pass unnoticed."""
    carrier = Link(loss=0.5).start(1)
    fates = "".join(".X"[not carrier.carry(100, 0.0)] for _ in range(24))
    assert fates == "X.XX.XXXX.XX....X.X.XXXX"


def test_the_same_packets_are_lost_whatever_else_is_asked() -> None:
    plain = times(Link(loss=0.3).start(5), 300)
    rich = times(Link(loss=0.3, delay=0.1, jitter=0.1, duplicate=0.5, reorder=0.5, corrupt=0.5).start(5), 300)
    assert [not packet for packet in plain] == [not packet for packet in rich]


def test_figures_may_change_while_the_queue_and_the_count_go_on() -> None:
    carrier = Link(rate=8000).start(1)
    carrier.carry(1000, 0.0)
    carrier.link = Link(rate=16000, drop=[3])
    assert carrier.carry(1000, 0.0)[0].time == pytest.approx(1.5)
    assert not carrier.carry(1000, 0.0)


@pytest.mark.parametrize(
    ("figures", "advice"),
    [
        ({"delay": -1}, "delay is -1, but it is a time in seconds, 0 or more"),
        ({"delay": "50ms"}, "delay is '50ms', but it is a time in seconds"),
        ({"delay": float("nan")}, "delay is nan"),
        ({"delay": float("inf")}, "delay is inf"),
        ({"delay": 0.01, "jitter": 0.02}, "raise delay or lower jitter"),
        ({"loss": 2}, "0.02 is 2 %"),
        ({"duplicate": -0.1}, "share from 0 to 1"),
        ({"corrupt": True}, "share from 0 to 1"),
        ({"reorder": 0.1}, "give the link a delay"),
        ({"rate": 0}, "more than 0"),
        ({"queue": 1000}, "needs a rate"),
        ({"rate": 1e6, "queue": -1}, "0 or more"),
        ({"mtu": 67}, "68 or more"),
        ({"mtu": 1400.5}, "whole bytes"),
        ({"rate": 1e6, "queue": 3e4}, "whole bytes"),
        ({"burst": (0.1,)}, r"\(share, length\)"),
        ({"burst": 0.1}, r"\(share, length\)"),
        ({"burst": (1.0, 5)}, "from 0 to 0.99"),
        ({"burst": (0.1, 0.5)}, "1 or more"),
        ({"burst": (0.1, 5, 7)}, "burst loss"),
        ({"burst": (0.9, 2)}, "at least 9 packets long"),
        ({"drop": [0]}, "the first packet is 1"),
        ({"drop": "12"}, "the first packet is 1"),
        ({"drop": 3}, "the first packet is 1"),
    ],
)
def test_impossible_figures_are_refused_with_advice(figures: dict[str, object], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        Link(**figures)


def test_lists_from_a_scenario_file_will_do() -> None:
    link = Link(burst=[0.1, 4], drop=[3, 1, 3])
    assert link == Link(burst=Burst(0.1, 4), drop=(1, 3))
    assert hash(link) == hash(Link(burst=Burst(0.1, 4), drop=(1, 3)))
