"""TODO: what these tests hold the student's code to."""

from random import Random

from lessons.trial import Trial


def test_the_next_is_newer(trial: Trial) -> None:
    """One step up is newer."""
    trial.gives("newer", 8, 7, expected=True)


def test_the_one_before_is_not(trial: Trial) -> None:
    """One step down is not."""
    trial.gives("newer", 7, 8, expected=False, why="8 comes after 7")


def test_after_the_last_number_comes_zero(trial: Trial) -> None:
    """The numbers come round."""
    trial.gives("newer", 3, 65533, expected=True, why="counting up from 65533, 3 is reached in six steps")


def test_exactly_one_of_two_is_newer(trial: Trial, random: Random) -> None:
    """If a is newer than b, b is not newer than a."""
    for _ in range(20):
        b, steps = random.randrange(65536), random.randrange(1, 32768)
        a = (b + steps) & 0xFFFF
        trial.gives("newer", a, b, expected=True, why=f"a is {steps} steps ahead")
        trial.gives("newer", b, a, expected=False, why=f"a is {steps} steps ahead")
