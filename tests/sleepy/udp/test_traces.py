"""Everything the C endpoint was recorded to do, done again: bytes, deliveries, acks, counters and statistics."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoint_naive import NaiveEndpoint
from sleepy.udp import Endpoint, EndpointConfig

VECTORS = Path(__file__).parents[2] / "vectors"
TRACES = ["clean", "lossy", "hostile", "tight_buffers"]
TOLERANCE = 1e-5  # C computes in 32-bit floats


def steps(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(VECTORS / f"{name}.jsonl.gz", "rt") as lines:
        for line in lines:
            yield json.loads(line)


@pytest.mark.parametrize("implementation", [Endpoint, NaiveEndpoint])
@pytest.mark.parametrize("name", TRACES)
def test_a_recorded_trace_is_matched(name: str, implementation: type[Endpoint] | type[NaiveEndpoint]) -> None:
    """Also by the yardstick, which so may serve as an oracle elsewhere."""
    trace = steps(name)
    first = next(trace)
    config = EndpointConfig(**first["config"])
    endpoints = {side: implementation(config, now=first["time"]) for side in "ab"}
    done = set()
    for number, step in enumerate(trace, 2):
        endpoint = endpoints[step["ep"]]
        done.add(step["op"])
        where = f"{name}, line {number}"
        match step["op"]:
            case "send":
                assert [datagram.hex() for datagram in endpoint.send(bytes.fromhex(step["data"]))] == step["out"], where
            case "receive":
                packet = endpoint.receive(bytes.fromhex(step["raw"]))
                delivered = [] if packet is None else [[packet.sequence, packet.payload.hex()]]
                assert delivered == step["delivered"], where
            case "acks":
                assert endpoint.take_acks() == step["acks"], where
            case "reset":
                endpoint.reset()
            case "update":
                endpoint.update(step["time"])
                statistics = endpoint.statistics if isinstance(endpoint, Endpoint) else endpoint
                for field, value in step.get("stats", {}).items():
                    assert getattr(statistics, field) == pytest.approx(value, rel=TOLERANCE, abs=1e-6), (where, field)
                for field, value in step.get("counters", {}).items():
                    assert getattr(endpoint.counters, field) == value, (where, field)
            case unknown:
                pytest.fail(f"{where}: no such step: {unknown}")
    assert {"send", "receive", "acks", "update"} <= done
