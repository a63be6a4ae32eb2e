"""A link's figures in netem's units, and what netem refuses. That netem does as told is proved in a namespace."""

import pytest

from labs.impairment.netem import settings
from sleepy.sim import Burst, Link


def test_times_are_microseconds_and_shares_per_cent() -> None:
    figures = settings(Link(delay=0.025, loss=0.02, duplicate=0.01, corrupt=0.003, reorder=0.5))
    assert figures == {
        "delay": 25000,
        "jitter": 0,
        "loss": 2,
        "duplicate": 1,
        "prob_corrupt": 0.3,
        "prob_reorder": 50,
        "limit": 100_000,
    }


def test_rule_1_ordered_jitter_gets_a_rate_that_does_not_count() -> None:
    assert settings(Link(delay=0.02, jitter=0.01))["rate"] == 2**32 - 1
    assert "rate" not in settings(Link(delay=0.02, jitter=0.01, ordered=False))


def test_rule_2_the_limit_is_the_queue_and_what_is_on_the_wire() -> None:
    figures = settings(Link(delay=0.1, rate=8e6, queue=15140))
    assert figures["rate"] == 1_000_000
    assert figures["limit"] == 10 + 67 + 1  # 0.1 s of a megabyte per second are 66.05 frames


@pytest.mark.parametrize(
    ("link", "what"),
    [
        (Link(burst=Burst(0.1, 3)), "burst"),
        (Link(mtu=1000), "mtu"),
        (Link(delay=0.02, jitter=0.01, ordered=False, rate=1e6), "order"),
    ],
)
def test_rule_4_what_netem_cannot_do_is_refused_by_name(link: Link, what: str) -> None:
    with pytest.raises(ValueError, match=f"{what}.*nfqueue"):
        settings(link)
