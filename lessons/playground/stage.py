"""A scenario at work, as the page sees it: an order goes in, what is to be shown comes out, both as JSON.

The same lines run in the page's worker and in the tests: whoever gives the same orders is shown the same.

Orders: ``{"do": "show"}``, ``{"do": "step"}``, ``{"do": "reset"}``, ``{"do": "act", "name": ..., "value": ...}``,
``{"do": "change", "name": ..., "value": ...}``.
"""

import json
from contextlib import closing
from dataclasses import asdict
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from lessons.playground import drawing
from lessons.playground.scenario import SEED, Button, Control, Scenario, Settings, Slider
from lessons.playground.view import View

LESSONS = Path(__file__).parent.parent
STEPS = 2000  # then it has been played enough, and whatever a scenario remembers stays bounded
LINES = 40  # of the log


def load(lesson: str, root: Path = LESSONS) -> type[Scenario]:
    """The scenario of a lesson, such as ``udp/01-acks-by-the-dozen``, below ``root``.

    Raises:
        ValueError: There is none.
    """
    path = root / lesson / "playground.py"
    spec = spec_from_file_location(f"playground_{lesson.replace('/', '_').replace('-', '_')}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(f"no scenario: {path} is not there")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    scenario = getattr(module, "Playground", None)
    if not (isinstance(scenario, type) and issubclass(scenario, Scenario)):
        raise ValueError(f"{path} has no class Playground that derives from lessons.playground.Scenario")
    return scenario


def picture(lesson: str, root: Path = LESSONS) -> str:
    """The part for a lesson's page: the element, and the still picture in it.

    Raises:
        ValueError: The lesson has no scenario.
    """
    scenario = load(lesson, root)
    with closing(Stage(scenario)) as stage:
        return drawing.still(lesson, scenario, stage.view(scenario.still))


class Stage:
    """One scenario, its settings and its log; to be closed in the end.

    Args:
        scenario: The class.
    """

    def __init__(self, scenario: type[Scenario]) -> None:
        self._class = scenario
        self.controls: list[Control] = [*scenario.controls, SEED]
        self._by_name = {control.name: control for control in self.controls}
        self._settings: Settings = {
            control.name: control.value if isinstance(control, Slider) else 0
            for control in self.controls
            if not isinstance(control, Button)
        }
        self._begin()

    def reset(self) -> None:
        """Begin anew, under the settings in force."""
        self.close()
        self._begin()

    def close(self) -> None:
        """Free what the scenario holds."""
        self._scenario.close()

    def _begin(self) -> None:
        self._scenario = self._class(self._settings)
        self._log: list[str] = []
        self._steps = 0
        self._done = False

    def step(self) -> None:
        """Let one thing happen; at the end, nothing."""
        if self._done:
            return
        said = self._scenario.step()
        self._steps += 1
        self._done = not said or self._steps >= STEPS
        self._tell(said or "Nothing more can happen.")
        if said and self._done:
            self._tell(f"{STEPS} steps are enough for one run; Reset begins anew.")

    def view(self, steps: int) -> View:
        """What there is to see after so many more steps."""
        for _ in range(steps):
            self.step()
        return self._scenario.view()

    def act(self, name: str, value: str) -> None:
        """Do what a button, or the dropping of a packet, asks for."""
        self._tell(self._scenario.act(name, value))

    def change(self, name: str, value: float) -> None:
        """Turn a slider or a switch.

        Raises:
            ValueError: There is none of that name, or the value is out of its range.
        """
        control = self._by_name.get(name)
        if control is None or isinstance(control, Button):
            raise ValueError(f"nothing to turn is called {name!r}")
        low, high = (control.low, control.high) if isinstance(control, Slider) else (0, 1)
        if not low <= value <= high:
            raise ValueError(f"{name} of {value:g} is out of its range, {low:g} to {high:g}")
        self._settings[name] = value
        if control.restarts:
            self.reset()
        else:
            self._scenario.settings[name] = value
            self._scenario.changed()

    def shown(self) -> dict[str, Any]:
        """All that the page shows: the view as data and as drawn, the log, how far it is."""
        view = self._scenario.view()
        return {
            "state": asdict(view),
            "html": drawing.draw(view),
            "log": self._log,
            "steps": self._steps,
            "done": self._done,
        }

    def programme(self) -> str:
        """What the page needs to know once, as JSON: the title and the controls."""
        controls = [{"kind": type(control).__name__.lower(), **asdict(control)} for control in self.controls]
        return json.dumps({"title": self._class.title, "controls": controls})

    def obey(self, order: str) -> str:
        """Carry out an order.

        Raises:
            ValueError: It makes no sense; the message says why.
        """
        match json.loads(order):
            case {"do": "show"}:
                pass
            case {"do": "step"}:
                self.step()
            case {"do": "reset"}:
                self.reset()
            case {"do": "act", "name": str(name), "value": str(value)}:
                self.act(name, value)
            case {"do": "change", "name": str(name), "value": int(value) | float(value)}:
                self.change(name, value)
            case _:
                raise ValueError(f"no such order: {order}")
        return json.dumps(self.shown())

    def _tell(self, line: str) -> None:
        self._log = [*self._log, line][-LINES:]
