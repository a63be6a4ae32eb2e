"""Plays small scenarios with the stand-in client and server, and reads what was captured."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from labs import capture
from labs.analysis.transit import Crossing, crossings
from labs.scenario import Scenario
from labs.worlds import Run, find
from sleepy.sim import Link

PORTS = {"first": 8001, "second": 8002}
STAND_IN = "tests.labs.worlds.standin"


@dataclass
class Played:
    """What a run left, and what its captures show."""

    folder: Path
    told: Sequence[object]

    @cached_property
    def left(self) -> Sequence[capture.Segment]:
        """What passed the router's left side."""
        return capture.read(self.folder / "left.pcap")

    @cached_property
    def right(self) -> Sequence[capture.Segment]:
        """What passed the router's right side."""
        return capture.read(self.folder / "right.pcap")

    def to_client(self, port: int) -> list[Crossing]:
        """What the server's port sent, with its times."""
        return crossings(_from(self.right, port), _from(self.left, port))

    def to_server(self, port: int) -> list[Crossing]:
        """What was sent to the server's port, with its times."""
        return crossings(_to(self.left, port), _to(self.right, port))

    def lost_data(self, port: int) -> list[int]:
        """Which of the server's data segments were lost, counted from 1."""
        data = [crossing for crossing in self.to_client(port) if crossing.segment.payload]
        return [index for index, crossing in enumerate(data, 1) if crossing.left is None]


def scenario(to_server: Link | None = None, to_client: Link | None = None, requests: int = 30) -> Scenario:
    figures = {"requests": requests, "interval": 0.002}
    return Scenario("standin", "plain", "for tests", to_server or Link(), to_client or Link(), figures)


def order(folder: Path, played: Scenario, impairment: str, package: str = STAND_IN) -> Run:
    return Run(played, 7, folder / "run", impairment, PORTS, package=package)


def play(world: str, folder: Path, impairment: str, played: Scenario) -> Played:
    probe = find(world).probe(played, impairment)
    if not probe.ok:
        pytest.skip(f"{world}: {probe.reason}")
    told: list[object] = []
    find(world).run(order(folder, played, impairment), told.append)
    return Played(folder / "run", told)


def _from(segments: Sequence[capture.Segment], port: int) -> list[capture.Segment]:
    return [segment for segment in segments if segment.source[1] == port]


def _to(segments: Sequence[capture.Segment], port: int) -> list[capture.Segment]:
    return [segment for segment in segments if segment.destination[1] == port]
