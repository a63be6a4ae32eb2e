"""Who asks what, and when: all that the client, the server, the model and the judge must agree on.

Three contenders send the same requests one after another, each to a port of its own, so that each meets the same link
afresh and its packets can be told apart in a capture. Rules:

1. Request ``index`` of a contender is due ``index * interval`` seconds after its first, answered or not: an open loop,
   since a client that waits for answers would slow down together with what it measures.
2. A slow response is named in the request: ``GET /<contender>/<index>?wait=<seconds>``. So the server decides nothing,
   and a capture alone tells the culprits from the innocent.
3. Within each run of ``slow_one_in`` requests exactly one is slow, at a place drawn from the seed: as many culprits
   for every seed, yet nobody can learn their places by heart. The same draw serves all contenders.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from labs.scenario import Scenario

_TARGET = re.compile(r"/(?P<contender>[a-z0-9-]+)/(?P<index>[0-9]+)\?wait=(?P<wait>[0-9]+(\.[0-9]+)?)")


class Kind(StrEnum):
    """How a contender shares connections among requests."""

    PIPELINE = "pipeline"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Plan:
    """One contender of the experiment.

    Attributes:
        name: The first part of its requests' paths.
        label: Its name for people.
        kind: ``pipeline`` for `PipelineClient`, ``host`` for `HostClient`.
        connections: The most connections it may open.
        port: The server's port that it alone talks to.
    """

    name: str
    label: str
    kind: Kind
    connections: int
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """A request's path, read back.

    Attributes:
        contender: Who asked.
        index: The request's place among the contender's, from 0.
        wait: How long the server shall take over it, in seconds.
    """

    contender: str
    index: int
    wait: float


def contenders(_scenario: Scenario) -> list[Plan]:
    """Those who are compared, in the order in which they run; so far every scenario compares the same three."""
    return [
        Plan("pipeline-1", "PipelineClient, 1 connection", Kind.PIPELINE, 1, 8001),
        Plan("pipeline-4", "PipelineClient, 4 connections", Kind.PIPELINE, 4, 8002),
        Plan("hostclient-16", "HostClient, up to 16 connections", Kind.HOST, 16, 8003),
    ]


def waits(scenario: Scenario, seed: int) -> list[float]:
    """How long the server shall take over each request, in seconds (rule 3); all zero where nothing is slow.

    The last run of ``slow_one_in`` may be cut short, and its slow one with it.
    """
    count = int(scenario.figures["requests"])
    result = [0.0] * count
    if "slow_one_in" in scenario.figures:
        every, random = int(scenario.figures["slow_one_in"]), Random(seed)
        for start in range(0, count, every):
            place = start + random.randrange(every)
            if place < count:
                result[place] = float(scenario.figures["slow_time"])
    return result


def target(contender: str, index: int, wait: float) -> str:
    """The path of a request (rule 2); ``wait`` in seconds."""
    return f"/{contender}/{index}?wait={wait:g}"


def parse_target(path: str) -> Target:
    """Read a path back.

    Raises:
        ValueError: It is not one that `target` makes.
    """
    match = _TARGET.fullmatch(path)
    if match is None:
        raise ValueError(f"path {path!r} is not of the form /<contender>/<index>?wait=<seconds>")
    return Target(match["contender"], int(match["index"]), float(match["wait"]))
