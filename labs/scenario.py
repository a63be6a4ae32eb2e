"""A scenario: the figures of an experiment, written down once and read by every world.

A lab's folder holds ``scenario.toml``. Its top says what the lab is about; each table is one scenario. Within a scenario,
``link`` gives the figures of the link in both directions, ``to_server`` and ``to_client`` add to or override them for one
direction, and all the rest belongs to the lab; of that, what makes the server slow has a name that begins with ``slow_``.
Figures of a link are those of `sleepy.sim.Link`: seconds, shares between 0 and 1, bits per second.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sleepy.sim import Link

LABS = Path(__file__).parent


class UnknownNameError(LookupError):
    """A lab, scenario or world that does not exist; the message lists those that do."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One experiment's figures.

    Attributes:
        lab: The lab's name, its folder under ``labs/``.
        name: The scenario's name, its table in ``scenario.toml``.
        summary: What happens, in one line.
        to_server: The link from the client to the server.
        to_client: The link from the server to the client.
        figures: The lab's own figures.
    """

    lab: str
    name: str
    summary: str
    to_server: Link
    to_client: Link
    figures: Mapping[str, Any]

    def without_impairment(self) -> "Scenario":
        """The same experiment on a perfect link to a quick server: what a lab must find no effect in."""
        figures = {name: figure for name, figure in self.figures.items() if not name.startswith("slow_")}
        return replace(self, to_server=Link(), to_client=Link(), figures=figures)


@dataclass(frozen=True, slots=True)
class LabInfo:
    """What a lab is about.

    Attributes:
        name: Its folder under ``labs/``.
        title: Its name for people.
        claim: What it shows, in one sentence.
        scenarios: Its scenarios by name, in the file's order.
    """

    name: str
    title: str
    claim: str
    scenarios: Mapping[str, Scenario]


def load(lab: str) -> LabInfo:
    """Read a lab's ``scenario.toml``.

    Raises:
        UnknownNameError: There is no such lab.
        ValueError: A figure is impossible, or one is not known to `Link`; the message names the scenario.
    """
    known = names()
    if lab not in known:
        raise UnknownNameError(f"no lab {lab!r}; there are: {', '.join(known)}")
    with (LABS / lab / "scenario.toml").open("rb") as file:
        document = tomllib.load(file)
    title, claim = document.pop("title"), document.pop("claim")
    scenarios = {name: _scenario(lab, name, table) for name, table in document.items()}  # the rest are tables
    return LabInfo(lab, title, claim, scenarios)


def names() -> list[str]:
    """The labs there are: every folder with a ``scenario.toml``."""
    return sorted(path.parent.name for path in LABS.glob("*/scenario.toml"))


def find(lab: str, scenario: str) -> Scenario:
    """One scenario of a lab.

    Raises:
        UnknownNameError: There is no such lab or scenario; the message lists those there are.
    """
    scenarios = load(lab).scenarios
    if scenario not in scenarios:
        raise UnknownNameError(f"lab {lab!r} has no scenario {scenario!r}; it has: {', '.join(scenarios)}")
    return scenarios[scenario]


def _scenario(lab: str, name: str, table: Mapping[str, Any]) -> Scenario:
    both = table.get("link", {})
    try:
        to_server = Link(**{**both, **table.get("to_server", {})})
        to_client = Link(**{**both, **table.get("to_client", {})})
    except (TypeError, ValueError) as error:
        raise ValueError(f"labs/{lab}/scenario.toml, [{name}]: {error}") from error
    figures = {key: value for key, value in table.items() if key not in {"link", "to_server", "to_client", "summary"}}
    return Scenario(lab, name, table["summary"], to_server, to_client, figures)
