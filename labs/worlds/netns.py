"""A network of three namespaces on this machine, with real kernels' TCP between them. Linux only.

What is inside is `labs.worlds.namespaces`; this module starts it, and finds out by `labs.worlds.trial` whether it can.
Root needs nothing more. An ordinary user becomes root of a user namespace, which is enough for everything here, where the
system allows it.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from typing import IO, NamedTuple, cast

from labs.impairment.choice import choose
from labs.scenario import Scenario
from labs.worlds import Probe, Progress, Run, WorldError, carry_out, convene, roles
from labs.worlds.namespaces import LEFT, RIGHT, own_namespace

NOTES: tuple[str, ...] = ()

_INSIDE = "labs.worlds.namespaces"
_TRIAL = "labs.worlds.trial"
_AS_ROOT = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_AS_USER = (*_AS_ROOT, "--user", "--map-root-user")
_PROBE_PATIENCE = 120.0  # seconds; it takes half a second on an idle machine, and twenty on an emulated and busy one

_NO_NAMESPACES = (
    "Run it as root (sudo), or allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 (Debian), "
    "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), user.max_user_namespaces=10000 (RHEL)"
)


class _WayIn(NamedTuple):
    """How to get namespaces here."""

    command: tuple[str, ...]
    how: str
    obstacles: Mapping[str, str]  # by what they are in the way of; empty texts where nothing is


def probe(scenario: Scenario, impairment: str | None = None) -> Probe:
    """Try whether the scenario can be played here; with a certain impairment, if one is wished for."""
    way = _way_in()
    if way.obstacles["network"]:
        return Probe(ok=False, impairment="", reason=way.obstacles["network"], remedy=_NO_NAMESPACES)
    in_the_way = {name: obstacle for name, obstacle in way.obstacles.items() if name != "network"}
    return choose(scenario, impairment, in_the_way, f"network namespaces {way.how}")


def run(run: Run, progress: Progress) -> None:
    """Play it.

    Raises:
        WorldError: It could not be played to its end. Nothing of it remains but the run's folder.
    """
    base = run.folder / ".meeting"
    log = base / "log"
    listen = {contender: (RIGHT.host, port) for contender, port in run.ports.items()}
    order = run.order(left=LEFT.router, right=RIGHT.router, listen=listen)
    way = _way_in()
    if way.obstacles["network"]:  # without a way in, the network would be built in the machine's own namespace
        raise WorldError(f"no network namespaces: {way.obstacles['network']}", _NO_NAMESPACES)
    command = [*way.command, *roles.python(_INSIDE, "stage", base)]
    with ExitStack() as stack:
        meeting = stack.enter_context(convene(base)).call(order)
        complaints = stack.enter_context(log.open("wb"))
        stage = roles.start(command, subprocess.PIPE, complaints)
        stack.callback(roles.end, stage)
        roles.hear_out(meeting, {"router": stage}, progress, cast("IO[bytes]", stage.stdout), log, run.patience)
        carry_out(meeting.folder, run.folder)
    shutil.rmtree(base)


@cache
def _way_in() -> _WayIn:
    """The first command that gives us namespaces, and what was found in them; or what was in the way of each."""
    ways = {"as root": _AS_ROOT, "in a user namespace": _AS_USER}
    if os.geteuid() != 0:
        del ways["as root"]
    refusals: list[str] = []
    for how, command in ways.items():
        obstacles = _try(command)
        if not obstacles["network"]:
            return _WayIn(command, how, obstacles)
        refusals.append(f"{how}: {obstacles['network']}")
    return _WayIn((), "", {"network": "; ".join(refusals)})


def _try(command: Sequence[str]) -> Mapping[str, str]:
    """The obstacles found by trying, by what they are in the way of."""
    try:
        tried = subprocess.run(
            [*command, *roles.python(_TRIAL, own_namespace())],
            capture_output=True,
            check=False,
            env=roles.environment(),
            timeout=_PROBE_PATIENCE,
        )
    except FileNotFoundError:
        return {"network": "there is no program unshare (package util-linux)"}
    except subprocess.TimeoutExpired:
        return {"network": f"no answer within {_PROBE_PATIENCE:.0f} s"}
    if tried.returncode:
        (*_, last) = tried.stderr.decode(errors="replace").splitlines() or ["unshare failed"]
        return {"network": last}
    findings: dict[str, str] = json.loads(tried.stdout)
    return findings
