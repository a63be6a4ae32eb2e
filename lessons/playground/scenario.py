"""What a lesson's scenario is: what the reader may turn, what a step does, what there is to see."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lessons.playground.view import View

Settings = dict[str, float]
"""The value of each slider and switch (0 or 1) by name; ``seed`` is always among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slider:
    """A figure to turn.

    Attributes:
        name: Its key in the settings.
        label: What the reader sees.
        low: The least.
        high: The most.
        step: From one value to the next.
        value: The first one.
        unit: Such as ``ms``.
        restarts: Whether a change begins the scenario anew; else it holds from now on.
    """

    name: str
    label: str
    low: float
    high: float
    step: float
    value: float
    unit: str = ""
    restarts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """Something to turn on, off at first.

    Attributes:
        name: Its key in the settings.
        label: What the reader sees.
        restarts: Whether a change begins the scenario anew; else it holds from now on.
    """

    name: str
    label: str
    restarts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """Something to do: pressing it calls `Scenario.act` with its name."""

    name: str
    label: str


Control = Slider | Switch | Button
SEED = Slider(name="seed", label="Seed", low=1, high=99, step=1, value=1, restarts=True)


class Scenario(ABC):
    """A lesson's scenario; the class in ``playground.py`` is called ``Playground``.

    Args:
        settings: A value for each slider and switch.

    Attributes:
        title: What is on show, in a few words.
        controls: What the reader may turn and press; a slider for the seed is added to them.
        still: How many steps to take for the still picture.
        settings: The values in force.
    """

    title: ClassVar[str]
    controls: ClassVar[Sequence[Control]] = ()
    still: ClassVar[int] = 0

    def __init__(self, settings: Mapping[str, float]) -> None:
        self.settings: Settings = dict(settings)

    @abstractmethod
    def step(self) -> str:
        """Let the next thing happen; say in a sentence what it was, or nothing (``""``) if nothing can happen any more."""

    @abstractmethod
    def view(self) -> View:
        """What there is to see now. Changes nothing."""

    def changed(self) -> None:  # noqa: B027  most scenarios look at their settings when they need them
        """A setting has a new value, which is to hold from now on."""

    def close(self) -> None:  # noqa: B027  most scenarios hold nothing
        """Nobody plays with it any more: free what it holds."""

    def act(self, name: str, value: str) -> str:
        """The reader pressed a button, or dropped packet ``value``; say in a sentence what came of it.

        Raises:
            ValueError: There is no such action.
        """
        raise ValueError(f"{type(self).__name__} has no action {name!r} (for {value!r})")
