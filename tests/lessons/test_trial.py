"""A failure says call, got, expected and why."""

from types import SimpleNamespace

import pytest

from lessons.trial import Mismatch, Told, Trial


class Counter:
    def __init__(self, start: int = 0) -> None:
        self.value = start

    def add(self, number: int) -> int:
        self.value += number
        return self.value

    def leave(self) -> None:
        raise SystemExit(3)


TRIAL = Trial(SimpleNamespace(Counter=Counter, double=lambda number: 2 * number))


def test_what_is_right_passes() -> None:
    TRIAL.gives("double", 2, expected=4)


def test_what_is_wrong_says_call_got_expected_and_why() -> None:
    with pytest.raises(Mismatch) as caught:
        TRIAL.gives("double", 2, expected=5, why="so it is")
    told = caught.value
    assert (told.call, told.got, told.expected, told.why) == ("double(2)", "4", "5", "so it is")


def test_an_objects_failure_tells_the_calls_before_it() -> None:
    counter = TRIAL.new("Counter", 1)
    counter.do("add", 2)
    with pytest.raises(Mismatch) as caught:
        counter.gives("add", 3, expected=7)
    assert caught.value.call == "add(3)   after Counter(1), add(2)"


def test_a_long_history_is_cut() -> None:
    counter = TRIAL.new("Counter")
    for _ in range(20):
        counter.do("add", 1)
    assert counter.history() == "add(1)   after 14 more, " + ", ".join(["add(1)"] * 6)


@pytest.mark.parametrize(
    ("name", "arguments", "got"),
    [
        ("double", (None,), "raised TypeError"),
        ("leave", (), "raised SystemExit: 3"),
        ("away", (), "raised AttributeError"),
    ],
)
def test_what_is_raised_is_an_answer(name, arguments, got) -> None:
    subject = TRIAL.new("Counter") if name == "leave" else TRIAL
    with pytest.raises(Mismatch) as caught:
        subject.gives(name, *arguments, expected=1)
    assert caught.value.got.startswith(got)
    assert caught.value.expected == "1"


def test_a_judgement_names_the_last_call() -> None:
    counter = TRIAL.new("Counter")
    counter.do("add", 1)
    with pytest.raises(Mismatch) as caught:
        counter.judge(False, Told("much"), Told("little"))
    assert (caught.value.call, caught.value.got, caught.value.expected) == (
        "add(1)   after Counter()",
        "much",
        "little",
    )


def test_long_values_are_cut() -> None:
    with pytest.raises(Mismatch) as caught:
        TRIAL.gives("double", b"x" * 5000, expected="y" * 5000)
    assert caught.value.call == "double(<5000 bytes>)"
    assert len(caught.value.got) < 400
    assert len(caught.value.expected) < 400
