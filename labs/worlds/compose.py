"""Three containers, with real kernels' TCP between them: wherever there is a container engine with compose.

What is in the containers is `labs.worlds.containers`, how they are wired ``docker-compose.yml``. ``docker compose up
lab-hol`` runs a whole lab inside them. This module is for those who start it from outside, by ``python -m labs run``: it
has one run played in the containers, which leave what they captured in the run's folder, and sees that none of them stays.

Within the client's container this is the world too; there, it hands over to `labs.worlds.containers`.
"""

import json
import os
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Timer
from typing import IO, Any, cast

import labs
from labs.impairment.choice import choose
from labs.scenario import Scenario
from labs.worlds import Probe, Progress, Run, WorldError, containers

NOTES: tuple[str, ...] = ()

_COMPOSE = ("docker", "compose", "--file", str(Path(labs.__file__).parents[1] / "docker-compose.yml"))
_NONE = subprocess.DEVNULL
_ANSWER = 20.0  # seconds for an engine to answer a simple question
_BUILD = 1800.0  # seconds; pulling an image through a school's line takes its time
_START = 120.0  # seconds for containers to start, and to end
_OTHER_RUN = "Wait for it to end, or end it: docker compose down"

_IMAGE = "Name a base image that is here by SLEEPY_BASE_IMAGE, or make one: sudo tools/base-image (see Dockerfile)"
_PLUGIN = "Install compose: docker-compose-plugin (Docker's packages) or docker-compose-v2 (Ubuntu)"
_REMEDIES = {  # by what the engine and its tools say, in lower case; the first that fits
    "cannot connect to the docker daemon": "Start the engine: Docker Desktop, or sudo systemctl start docker",
    "permission denied while trying to connect": "Use sudo, or join the group docker: sudo usermod -aG docker $USER",
    "is not a docker command": _PLUGIN,
    "unknown flag: --file": _PLUGIN,
    "pool overlaps": "Choose other addresses for the networks: SLEEPY_LEFT=172.30.1 SLEEPY_RIGHT=172.30.2",
    "address already in use": _OTHER_RUN,
    "registry": _IMAGE,
    "pull access denied": _IMAGE,
    "manifest": _IMAGE,
}


def probe(scenario: Scenario, impairment: str | None = None) -> Probe:
    """Start the router once, and have it try what it can do. Builds the containers' image if need be."""
    if containers.inside():
        return containers.probe(scenario, impairment)
    try:
        found = _findings()
    except WorldError as error:
        return Probe(ok=False, impairment="", reason=error.cause, remedy=error.remedy)
    return choose(scenario, impairment, found, "containers")


def run(run: Run, progress: Progress) -> None:
    """Play it.

    Raises:
        WorldError: It could not be played to its end. Nothing of it remains but the run's folder.
    """
    if containers.inside():
        containers.play(run, progress)
        return
    order = run.order(left="", right="", listen={})  # the addresses are the containers' own affair
    environment = {**os.environ, "SLEEPY_OUT": str(run.folder.resolve())}
    log = run.folder / "compose.log"
    with _no_container_left(), log.open("wb") as complaints:
        command = (*_COMPOSE, "run", "--rm", "--no-TTY", "lab-hol", "collect", order.to_json())
        with subprocess.Popen(
            command, stdin=_NONE, stdout=subprocess.PIPE, stderr=complaints, env=environment
        ) as client:
            _hear_out(client, progress, log, run.patience + _START)
    log.unlink()


def _hear_out(client: subprocess.Popen[bytes], progress: Progress, log: Path, patience: float) -> None:
    """Pass the client's progress on until it ends.

    Raises:
        WorldError: It did not play the run to its end.
    """
    told: dict[str, Any] = {}
    alarm = Timer(patience, client.kill)
    alarm.start()
    try:
        for line in cast("IO[bytes]", client.stdout):
            if line.startswith(b"{"):  # older engines' builders speak here too
                told = json.loads(line)
            if "phase" in told:
                progress(told)
        code = client.wait()
    finally:
        alarm.cancel()
        client.kill()
    if "cause" in told:
        raise WorldError(told["cause"], told["remedy"])
    if code:
        raise explain("the containers did not play the run", log.read_text(encoding="utf-8", errors="replace"))


@cache
def _findings() -> Mapping[str, str]:
    """What is in the way of each impairment in the containers.

    Raises:
        WorldError: There can be no containers.
    """
    _ask("docker", "version", what="no container engine")
    _ask(*_COMPOSE, "version", what="no compose")
    _ask(*_COMPOSE, "build", "--quiet", what="the containers' image cannot be built", patience=_BUILD)
    with _no_container_left():
        command = (*_COMPOSE, "run", "--rm", "--no-TTY", "--no-deps", "router", "findings")
        found: Mapping[str, str] = json.loads(_ask(*command, what="no containers", patience=_START))
    return found


@contextmanager
def _no_container_left() -> Generator[None]:
    """Whatever is started meanwhile is gone afterwards, networks included.

    Raises:
        WorldError: Containers of ours are there already, and are not for us to end.
    """
    if _ask(*_COMPOSE, "ps", "--quiet", what="no compose"):
        raise WorldError("the lab's containers are at work already", _OTHER_RUN)
    try:
        yield
    finally:
        _ask(*_COMPOSE, "down", "--timeout", "2", "--volumes", what="the containers cannot be ended", patience=_START)


def _ask(*command: str, what: str, patience: float = _ANSWER) -> str:
    """What a command says.

    Raises:
        WorldError: It failed; in the way is ``what``.
    """
    try:
        done = subprocess.run(command, stdin=_NONE, capture_output=True, check=False, timeout=patience)
    except FileNotFoundError:
        raise WorldError(
            f"{what}: there is no program {command[0]}", "Install Docker Engine or Docker Desktop"
        ) from None
    except subprocess.TimeoutExpired:
        raise WorldError(
            f"{what}: no answer within {patience:.0f} s", "Look whether the engine is well: docker info"
        ) from None
    if done.returncode:
        raise explain(what, done.stderr.decode(errors="replace"))
    return done.stdout.decode()


def explain(what: str, said: str) -> WorldError:
    """An error, from what the engine's tools said about it; they end with what matters."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["no reason was given"]
    low = said.lower()
    remedy = next(
        (remedy for fragment, remedy in _REMEDIES.items() if fragment in low), "Look at the engine: docker info"
    )
    return WorldError(f"{what}: {lines[-1]}", remedy)
