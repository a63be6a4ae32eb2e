"""`benchmarks.arguments`: what would be measured as nothing is refused."""

from argparse import ArgumentTypeError

import pytest

from benchmarks.arguments import count, duration


def test_a_count_is_one_or_more() -> None:
    assert [count("1"), count("64")] == [1, 64]


@pytest.mark.parametrize("text", ["0", "-3", "1.5", "many", "", "nan"])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="1 or more"):
        count(text)


def test_a_duration_is_more_than_none() -> None:
    assert [duration("0.15"), duration("2")] == [0.15, 2.0]


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "soon", ""])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="more than 0"):
        duration(text)
