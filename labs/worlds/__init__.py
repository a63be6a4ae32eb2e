"""Worlds: the places where a scenario can be played.

A world takes a `Run` and leaves in its folder what was seen: ``left.pcap`` and ``right.pcap``, the captures of the router's
two sides, and ``events.jsonl``, what the programs themselves saw. What that means is for the lab's analysis to say; to it,
all worlds look alike.

Whether a world can be had on this machine is found out by trying (`World.probe`): a small version of the real thing, thrown
away at once. Reading kernel versions and configurations would be guessing.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from labs.meeting import Convener, MeetingError, Order
from labs.scenario import Scenario, UnknownNameError
from sleepy import trace

CAPTURES = ("left.pcap", "right.pcap")

_WORLDS = ("netns", "compose", "loopback", "sim")  # in order of preference
Progress = Callable[[Mapping[str, object]], None]
"""Is told how far the client is: ``{"done": n, "of": n, "phase": text}``."""


class WorldError(Exception):
    """A run that could not be made.

    Args:
        cause: What happened and where, in one line.
        remedy: What to do about it, in one line.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}. {remedy}" if remedy else cause)
        self.cause = cause
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a world can play a scenario here.

    Attributes:
        ok: It can.
        impairment: With what it would bend the link; empty if it cannot.
        reason: Why, or why not, in one line.
        remedy: What would make it possible, in one line; empty if nothing need be done.
    """

    ok: bool
    impairment: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a scenario.

    Attributes:
        scenario: What is to be played.
        seed: What its choices are drawn from.
        folder: Where the captures and events are left; made if need be.
        impairment: What bends the link: one that the world's probe named, or ``off``.
        ports: The server's port for each contender.
        patience: How long nothing may be heard of the run, in seconds.
        package: Where the lab's programs are, if not in the lab's own package.
    """

    scenario: Scenario
    seed: int
    folder: Path
    impairment: str
    ports: Mapping[str, int]
    patience: float = 300.0
    package: str = ""

    def order(
        self,
        *,
        left: str,
        right: str,
        listen: Mapping[str, tuple[str, int]],
        dial: Mapping[str, tuple[str, int]] | None = None,
    ) -> Order:
        """The run as an order to the roles, in a world of these addresses; the client dials where the server listens."""
        off = self.impairment == "off"
        return Order(
            scenario=self.scenario.without_impairment() if off else self.scenario,
            seed=self.seed,
            impairment=self.impairment,
            package=self.package or f"labs.{self.scenario.lab}",
            ports=self.ports,
            listen=listen,
            dial=dial or listen,
            left=left,
            right=right,
        )


class World(Protocol):
    """A place where scenarios are played. Modules of this package are such places."""

    NOTES: tuple[str, ...]
    """What cannot be shown there, or not quite: a sentence each."""

    def probe(self, scenario: Scenario, impairment: str | None = None) -> Probe:
        """Try whether the scenario can be played here; with a certain impairment, if one is wished for."""
        ...

    def run(self, run: Run, progress: Progress) -> None:
        """Play it.

        Raises:
            WorldError: It could not be played to its end. Nothing of it remains but the run's folder.
        """
        ...


def names() -> tuple[str, ...]:
    """The worlds there are, the best first."""
    return _WORLDS


def find(name: str) -> World:
    """A world by name.

    Raises:
        UnknownNameError: There is no such world; the message lists those there are.
    """
    if name not in _WORLDS:
        raise UnknownNameError(f"no world {name!r}; there are: {', '.join(_WORLDS)}")
    return cast("World", import_module(f"labs.worlds.{name}"))


def convene(base: Path) -> Convener:
    """Call a meeting in ``base``.

    Raises:
        WorldError: Another run is at work there.
    """
    try:
        return Convener(base)
    except MeetingError as error:
        raise WorldError(
            str(error), "Wait for it to end, or let this one leave its results elsewhere: --out FOLDER."
        ) from error


def carry_out(meeting: Path, folder: Path) -> None:
    """Carry what a run left from its meeting place into the run's folder: the captures, and all events as one trace.

    Raises:
        WorldError: Something that should be there is not.
    """
    for name in CAPTURES:
        if not (meeting / name).exists():
            raise WorldError(f"the run left no {name}", "This is a fault of the lab; please report it.")
        shutil.move(meeting / name, folder / name)
    events: list[trace.Event] = []
    for part in sorted(meeting.glob("events-*.jsonl")):
        with part.open(encoding="utf-8") as lines:
            events.extend(trace.read(lines))
    events.sort(key=lambda event: event.time)
    text = "".join(event.to_json() + "\n" for event in events)
    (folder / "events.jsonl").write_text(text, encoding="utf-8")
