"""`labs.analysis.percentiles` by its definition."""

from hypothesis import given
from hypothesis import strategies as st

from labs.analysis.percentiles import percentile


@given(st.lists(st.floats(0, 10), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_the_least_value_that_covers_its_share(values: list[float], share: float) -> None:
    found = percentile(sorted(values), share)
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values)


def test_of_nothing_it_is_zero() -> None:
    assert percentile([], 0.5) == 0.0
