"""The rules of `labs.hol.schedule`, by number."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.hol.schedule import Target, contenders, parse_target, target, waits
from labs.scenario import Scenario, find


def scenario(figures: Mapping[str, float]) -> Scenario:
    return replace(find("hol", "slow-response"), figures=figures)


def test_each_contender_has_a_port_of_its_own() -> None:
    plans = contenders(find("hol", "slow-response"))
    assert [plan.name for plan in plans] == ["pipeline-1", "pipeline-4", "hostclient-16"]
    assert len({plan.port for plan in plans}) == len(plans)


@given(seed=st.integers(), blocks=st.integers(1, 20), every=st.integers(1, 30))
def test_exactly_one_in_each_run_of_slow_one_in_is_slow(seed: int, blocks: int, every: int) -> None:
    """Rule 3."""
    figures = {"requests": blocks * every, "slow_one_in": every, "slow_time": 0.5}
    drawn = waits(scenario(figures), seed)
    assert [sum(wait > 0 for wait in drawn[i : i + every]) for i in range(0, len(drawn), every)] == [1] * blocks
    assert set(drawn) <= {0.0, 0.5}


@given(seed=st.integers(), count=st.integers(0, 60))
def test_a_last_run_cut_short_loses_its_slow_one_or_keeps_it_but_draws_no_other(seed: int, count: int) -> None:
    """Rule 3: a shorter schedule is the beginning of a longer one."""
    whole, part = (
        waits(scenario({"requests": requests, "slow_one_in": 20, "slow_time": 0.5}), seed) for requests in (60, count)
    )
    assert part == whole[:count]


def test_the_seed_decides_the_places() -> None:
    """Rule 3: the same seed draws the same places, another seed others."""
    slow = find("hol", "slow-response")
    assert waits(slow, 1) == waits(slow, 1)
    assert waits(slow, 1) != waits(slow, 2)


def test_nothing_is_slow_where_the_scenario_does_not_say_so() -> None:
    """Rule 3."""
    lost = find("hol", "lost-segment")
    assert waits(lost, 1) == [0.0] * lost.figures["requests"]


@given(index=st.integers(0, 10**6), milliseconds=st.integers(0, 10_000))
def test_a_path_reads_back_as_it_was_written(index: int, milliseconds: int) -> None:
    """Rule 2."""
    wait = milliseconds / 1000
    assert parse_target(target("pipeline-1", index, wait)) == Target("pipeline-1", index, wait)


@pytest.mark.parametrize(
    "path", ["/", "/pipeline-1/3", "/pipeline-1/x?wait=0", "/pipeline-1/3?wait=-1", "/a/3?wait=0 "]
)
def test_a_path_of_another_form_is_refused(path: str) -> None:
    """Rule 2."""
    with pytest.raises(ValueError, match="is not of the form"):
        parse_target(path)
