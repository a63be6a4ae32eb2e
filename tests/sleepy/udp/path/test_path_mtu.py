"""The rules of sleepy/udp/path/path_mtu.py."""

import random
from math import inf

import pytest
from hypothesis import given
from hypothesis.strategies import integers

from sleepy.udp.path.path_mtu import BASE, NEAR_ENOUGH, RAISE_INTERVAL, TOO_NARROW, PathMtuSearch


def search(mtu: PathMtuSearch, carries: int, now: float = 0.0, loss: float = 0.0, seed: int = 1) -> list[int]:
    """Probe over a path that carries so many bytes, until the search rests; the sizes tried."""
    chance, tried = random.Random(seed), []
    while mtu.next_timeout() <= now:
        size = mtu.next_probe(now)
        if size is None:
            break
        tried.append(size)
        assert mtu.next_probe(now) is None  # rule 3: one at a time
        assert mtu.next_timeout() == inf
        if size <= carries and chance.random() >= loss:
            mtu.on_probe_acked(size, now)
        else:
            mtu.on_probe_lost(size, now)
        assert len(tried) < 100
    assert mtu.next_probe(now) is None
    return tried


def test_it_begins_at_1200_and_tries_the_limit_first() -> None:
    """Rules 1 and 2: one probe suffices on an Ethernet."""
    mtu = PathMtuSearch()
    assert mtu.size == BASE
    assert search(mtu, 1500) == [1452]
    assert mtu.size == 1452
    assert mtu.next_timeout() == inf


@given(integers(BASE, 9000), integers(BASE, 9000))
def test_the_search_ends_near_what_the_path_carries(carries: int, limit: int) -> None:
    """Rule 2: never above, and less than 20 bytes below what path and limit allow; after few probes."""
    mtu = PathMtuSearch(limit)
    tried = search(mtu, carries)
    assert mtu.size <= carries
    assert min(carries, limit) - mtu.size < NEAR_ENOUGH
    assert len(tried) <= 30


def test_a_size_fails_only_after_three_lost_probes() -> None:
    """Rule 3: two probes lost by chance change nothing."""
    mtu = PathMtuSearch(1400)
    for _ in range(2):
        assert mtu.next_probe(0.0) == 1400
        mtu.on_probe_lost(1400, 0.0)
    assert mtu.next_probe(0.0) == 1400
    mtu.on_probe_acked(1400, 0.0)
    assert mtu.size == 1400


def test_lost_probes_of_one_size_say_nothing_about_the_next() -> None:
    """Rule 3: two losses, a success, and the next size has its three chances."""
    mtu = PathMtuSearch(1400)
    for _ in range(3):
        mtu.on_probe_lost(mtu.next_probe(0.0) or 0, 0.0)
    for _ in range(2):
        assert mtu.next_probe(0.0) == 1300
        mtu.on_probe_lost(1300, 0.0)
    assert mtu.next_probe(0.0) == 1300
    mtu.on_probe_acked(1300, 0.0)
    for _ in range(3):
        assert mtu.next_probe(0.0) == 1350
        mtu.on_probe_lost(1350, 0.0)
    assert mtu.next_probe(0.0) == 1325


def test_with_losses_it_still_ends_and_never_above() -> None:
    """Rules 2 and 3 at 20 % loss."""
    for seed in range(20):
        mtu = PathMtuSearch(9000)
        search(mtu, 1400, loss=0.2, seed=seed)
        assert BASE <= mtu.size <= 1400


def test_a_path_that_grows_is_noticed_later() -> None:
    """Rule 4."""
    mtu = PathMtuSearch()
    search(mtu, 1300)
    assert 1280 < mtu.size <= 1300
    assert mtu.next_timeout() == RAISE_INTERVAL
    assert search(mtu, 1500, now=RAISE_INTERVAL - 1) == []
    assert search(mtu, 1500, now=RAISE_INTERVAL) == [1452]


def test_a_black_hole_makes_it_fall_back_and_search_anew() -> None:
    """Rule 5: six large packets lost after the last that arrived; small ones that arrive prove nothing."""
    mtu = PathMtuSearch()
    search(mtu, 1500)
    mtu.on_acked(1452, 1.0)
    for number in range(6):
        assert mtu.size == 1452
        mtu.on_acked(1000, 2.0 + number)
        mtu.on_lost(1452, 2.0 + number, 30.0)
    assert mtu.size == BASE
    assert mtu.black_holes == 1
    search(mtu, 1300, now=10.0)
    assert 1280 < mtu.size <= 1300


def test_what_was_under_way_when_it_fell_back_is_no_second_black_hole() -> None:
    """Rule 5: a whole window of large packets is lost; the search that goes on meanwhile is not begun again each time."""
    mtu = PathMtuSearch()
    search(mtu, 1500)
    for number in range(6):
        mtu.on_lost(1452, number / 1000, 30.0)
    assert (mtu.size, mtu.black_holes) == (BASE, 1)
    assert mtu.next_probe(1.0) == 1452
    for number in range(6, 300):
        mtu.on_lost(1452, number / 1000, 30.0)
    assert mtu.black_holes == 1
    assert mtu.next_probe(1.0) is None  # one is under way
    for _ in range(2):
        mtu.on_probe_lost(1452, 1.0)
        assert mtu.next_probe(1.0) == 1452
    mtu.on_probe_lost(1452, 1.0)
    assert mtu.next_probe(1.0) == 1326
    mtu.on_probe_acked(1326, 1.0)
    for number in range(300, 600):
        mtu.on_lost(1452, number / 1000, 30.0)
    assert (mtu.size, mtu.black_holes) == (1326, 1)


def test_a_probe_outlives_the_fall_back() -> None:
    """Rules 3 and 5: it is still the only one under way."""
    mtu = PathMtuSearch(9000)
    mtu.on_probe_lost(mtu.next_probe(0.0) or 0, 0.0)
    mtu.on_probe_acked(1400, 0.0)
    assert mtu.next_probe(0.0) == 9000
    for number in range(6):
        mtu.on_lost(1400, number / 1000, 30.0)
    assert mtu.size == BASE
    assert mtu.next_probe(0.0) is None
    mtu.on_probe_lost(9000, 0.0)
    assert mtu.next_probe(0.0) == 9000


def test_losses_among_arrivals_are_no_black_hole() -> None:
    """Rule 5: a queue that drops a hundred packets in a row, and then carries one that was sent later."""
    mtu = PathMtuSearch()
    search(mtu, 1500)
    mtu.on_acked(1452, 3.0)
    for number in range(100):
        mtu.on_lost(1452, 2.0 + number / 1000, 30.0)
    for number in range(5):
        mtu.on_lost(1452, 4.0 + number, 30.0)
    mtu.on_acked(1452, 10.0)
    for number in range(5):
        mtu.on_lost(1452, 11.0 + number, 30.0)
    for number in range(100):
        mtu.on_lost(BASE, 20.0 + number, 30.0)
    assert mtu.size == 1452


def rounds(mtu: PathMtuSearch, count: int, size: int = 1150, begin: float = 0.0) -> None:
    """Lose a packet in each of so many rounds of a second."""
    for number in range(count):
        mtu.on_lost(size, begin + number, begin + number + 0.5)


def test_a_path_below_1200_bytes_is_believed_after_many_rounds() -> None:
    """Rule 6: not for what is lost at one time; and for how long it has been so is told."""
    mtu = PathMtuSearch()
    for number in range(500):
        mtu.on_lost(1150, 0.001 * number, 0.5)
    assert mtu.narrow_for == 0
    mtu.on_acked(60, 0.4)
    rounds(mtu, TOO_NARROW - 1, begin=1.0)
    assert mtu.narrow_for == 0
    rounds(mtu, 1, begin=40.0)
    assert mtu.narrow_for == 40
    rounds(mtu, 1, begin=41.0)
    assert mtu.narrow_for == 41


def test_small_packets_say_nothing_about_large_ones() -> None:
    """Rule 6: neither that they arrive nor that they are lost; a size that arrives is none of those that do not."""
    mtu = PathMtuSearch()
    rounds(mtu, 1)
    mtu.on_acked(600, 1.0)
    rounds(mtu, 100, size=600, begin=2.0)
    assert mtu.narrow_for == 0
    for number in range(TOO_NARROW):
        mtu.on_acked(600, 200.0 + number)
        rounds(mtu, 1, begin=200.0 + number)
    assert mtu.narrow_for > 200
    mtu.on_acked(800, 300.0)
    rounds(mtu, TOO_NARROW - 1, size=900, begin=300.0)
    narrow_for = mtu.narrow_for
    assert narrow_for < 300, "a larger size has arrived: the rounds begin anew"
    rounds(mtu, 1, begin=400.0)
    assert mtu.narrow_for == 400


@pytest.mark.parametrize("size", [1150, 1150 - NEAR_ENOUGH + 1, 1400])
@pytest.mark.parametrize("probe", [False, True])
def test_a_large_packet_that_arrives_ends_all_doubts(size: int, probe: bool) -> None:
    """Rule 6: one is enough; what it is worth to be wrong about 20 bytes is not worth a connection."""
    mtu = PathMtuSearch()
    rounds(mtu, 100)
    assert mtu.narrow_for > 90
    if probe:
        mtu.on_probe_acked(BASE + 1, 100.0)
    else:
        mtu.on_acked(size, 100.0)
    assert mtu.narrow_for == 0
    rounds(mtu, TOO_NARROW - 1, begin=100.0)
    assert mtu.narrow_for == 0


@pytest.mark.parametrize("seed", range(20))
def test_random_loss_makes_no_path_narrow(seed: int) -> None:
    """Rule 6: at 40 % loss, with packets of all sizes."""
    chance, mtu = random.Random(seed), PathMtuSearch()
    for number in range(1000):
        size = chance.choice([30, 60, chance.randint(30, BASE), BASE])
        if chance.random() < 0.4:
            mtu.on_lost(size, number, number + 0.5)
            assert mtu.narrow_for == 0
        else:
            mtu.on_acked(size, number)


def test_a_limit_below_the_base_is_refused() -> None:
    with pytest.raises(ValueError, match="1200"):
        PathMtuSearch(1199)
