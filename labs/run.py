"""One run from beginning to end: choose a world, play the scenario there, judge what was captured, leave the report.

A lab is a package of its own (`labs.hol`); what this module needs of it is small: ``schedule.contenders`` says who is
compared and on which ports, ``judge.judge`` makes a `Summary` of what the world left in the run's folder.

No verdict is better than a wrong one. The folder is cleared of an earlier run's files before anything starts, so that a run
which dies half-way leaves no old PASS behind; and whatever a world cannot do ends in an error that says what would help.
"""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from labs import artist, worlds
from labs.results import Summary
from labs.scenario import Scenario
from labs.worlds import Probe, Progress, Run, WorldError

ARTEFACTS = ("left.pcap", "right.pcap", "events.jsonl", "summary.json", "report.html")
OUT = Path("out")


@dataclass(frozen=True, slots=True)
class Choice:
    """A world looked at for a scenario.

    Attributes:
        world: Its name.
        probe: What it said.
    """

    world: str
    probe: Probe


def choose(scenario: Scenario, world: str | None, impairment: str | None) -> Iterator[Choice]:
    """Look at the worlds, the best first, until one can play the scenario; it is the last one given.

    Args:
        scenario: What is to be played.
        world: The only world to look at; None for all.
        impairment: What is to bend the link; None for the best the world has.

    Raises:
        UnknownNameError: There is no such world.
    """
    for name in worlds.names() if world is None else (world,):
        probe = worlds.find(name).probe(scenario, impairment)
        yield Choice(name, probe)
        if probe.ok:
            return


def folder_of(scenario: Scenario, seed: int, out: Path = OUT) -> Path:
    """Where a run leaves its files."""
    return out / scenario.lab / f"{scenario.name}-{seed}"


def play(
    scenario: Scenario,
    seed: int,
    world: str,
    impairment: str,
    progress: Progress,
    out: Path = OUT,
    notes: Sequence[str] = (),
    draw: Callable[[Path], None] = artist.draw,
) -> Summary:
    """Play a scenario and judge it. Its files are in `folder_of` afterwards.

    Args:
        scenario: What to play.
        seed: What its choices are drawn from.
        world: Where to play it.
        impairment: What bends the link: what the world's probe named, or ``off``.
        progress: Is told how far it is.
        out: Where the folders of runs are.
        notes: What else the summary is to say, beside what the world cannot show.
        draw: Writes the report into the run's folder.

    Raises:
        WorldError: It could not be played to its end, or its folder is not to be had; the message says why and what to do.
        OSError: The results cannot be written, as when the disk is full.
    """
    folder = folder_of(scenario, seed, out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ARTEFACTS:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise WorldError(
            f"the results cannot be written to {folder}: {error.strerror}",
            "Name a folder in which you may write: --out FOLDER.",
        ) from error
    schedule = import_module(f"labs.{scenario.lab}.schedule")
    ports = {plan.name: plan.port for plan in schedule.contenders(scenario)}
    worlds.find(world).run(Run(scenario, seed, folder, impairment, ports), progress)
    summary: Summary = import_module(f"labs.{scenario.lab}.judge").judge(
        folder,
        scenario.without_impairment() if impairment == "off" else scenario,
        seed,
        world=world,
        impairment=impairment,
        command=command_of(scenario, seed, world, impairment),
        environment=environment(world),
        notes=[*worlds.find(world).NOTES, *notes],
    )
    summary.write(folder / "summary.json")
    draw(folder)
    return summary


def command_of(scenario: Scenario, seed: int, world: str, impairment: str) -> str:
    """What to type to run it again."""
    where = f"--world {world} --impairment {impairment}"
    return f"python -m labs run {scenario.lab} --scenario {scenario.name} {where} --seed {seed}"


def environment(world: str) -> dict[str, str]:
    """What the run runs on, as far as it bears on the result."""
    control = Path("/proc/sys/net/ipv4/tcp_congestion_control")
    facts = {
        "system": f"{platform.system()} {platform.release()}",
        "processor": f"{os.cpu_count()} x {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    if control.exists() and world != "sim":  # there TCP is not the kernel's
        facts["congestion control"] = control.read_text(encoding="ascii").strip()
    return facts
