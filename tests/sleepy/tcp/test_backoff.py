"""`sleepy.tcp.backoff`: longer and longer pauses, and none after a success."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from sleepy.tcp.backoff import Backoff


def waits(backoff: Backoff, count: int) -> list[float]:
    """How long each of so many failures in a row makes one wait."""
    found: list[float] = []
    now = 100.0
    for _ in range(count):
        backoff.failed(now)
        found.append(backoff.next_try - now)
        now = backoff.next_try
    return found


@given(count=st.integers(1, 100), seed=st.integers())
def test_each_wait_is_twice_the_last_up_to_a_limit_and_shortened_by_half_at_most(count: int, seed: int) -> None:
    """Rules 1 and 2."""
    full = [min(3.0, 0.25 * 2.0**number) for number in range(count)]
    for wait, most in zip(waits(Backoff(shortest=0.25, longest=3.0, random=Random(seed)), count), full, strict=True):
        assert most / 2 - 1e-9 <= wait <= most + 1e-9


def test_chance_keeps_clients_apart() -> None:
    """Rule 2: they failed together, and do not come back together."""
    assert len({tuple(waits(Backoff(), 1)) for _ in range(10)}) == 10


def test_a_success_is_a_new_beginning() -> None:
    """Rule 3."""
    backoff = Backoff(shortest=1.0, longest=60.0)
    waits(backoff, 10)
    backoff.succeeded()
    assert backoff.next_try == 0.0
    assert waits(backoff, 1)[0] <= 1.0


def test_a_peer_that_is_down_for_years_overflows_nothing() -> None:
    assert waits(Backoff(longest=5.0), 3000)[-1] <= 5.0
