"""`sleepy.integrations.opentelemetry`, seen through the SDK's exporters in memory."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from sleepy.integrations.opentelemetry import Telemetry
from sleepy.tcp import Client, HostClient, LBClient, LocalProtocolError, Request, RequestTimeout
from tests.sleepy.tcp.conftest import tidy  # noqa: F401 -- a fixture
from tests.sleepy.tcp.helpers import Peer, Wire, soon

pytestmark = pytest.mark.usefixtures("tidy")


class Seen:
    """What was exported."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.tracer = tracers.get_tracer("test")
        self.telemetry = Telemetry(tracer_provider=tracers, meter_provider=MeterProvider([self._reader]))

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._spans.get_finished_spans())

    def points(self, metric: str) -> list[Any]:
        data = self._reader.get_metrics_data()
        assert data is not None
        found = [
            metric_data
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric_data in scope.metrics
            if metric_data.name == metric
        ]
        return [point for one in found for point in one.data.data_points]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer() as peer:
        yield peer


async def asked(peer: Peer) -> Wire:
    """The next connection, when a request has come by it: an answer before that nobody has asked for."""
    wire = await peer.accept()
    await wire.read_head()
    return wire


def port(peer: Peer) -> int:
    return int(peer.addr.rpartition(":")[2])


async def test_a_request_is_a_span_by_the_conventions(seen: Seen, peer: Peer) -> None:
    client = seen.telemetry.watch(Client(trace=seen.telemetry.trace))
    url = f"http://user:secret@{peer.addr}/a?b=c"
    request = Request("GET", url, {"traceparent": "made up"})
    with seen.tracer.start_as_current_span("caller") as caller:
        asking = asyncio.ensure_future(client.do(request, timeout=5))
        wire = await peer.accept()
        head = await wire.read_head()
        wire.answer(b"hello")
        assert (await soon(asking)).body == b"hello"
    await client.close()
    span, _ = seen.spans
    assert (span.name, span.kind, span.status.status_code) == ("GET", SpanKind.CLIENT, StatusCode.UNSET)
    assert span.parent == caller.get_span_context()
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": port(peer),
        "url.full": f"http://{peer.addr}/a?b=c",  # without the credentials
        "url.scheme": "http",
    }
    assert [event.name for event in span.events] == ["request.sent", "request.first_byte"]
    assert span.context is not None
    name = f"{span.context.trace_id:032x}-{span.context.span_id:016x}"
    assert head.count(b"traceparent") == 1
    assert f"traceparent: 00-{name}-".encode() in head
    assert request.headers["traceparent"] == "made up"  # the caller's own is his


async def test_clients_of_one_telemetry_are_told_apart(seen: Seen, peer: Peer) -> None:
    """Though each has a first request, and both are under way."""
    clients = [seen.telemetry.watch(Client(trace=seen.telemetry.trace)) for _ in range(2)]
    asking = [
        asyncio.ensure_future(client.do(Request("GET", f"http://{peer.addr}/{name}"), timeout=5))
        for client, name in zip(clients, ("slow", "quick"), strict=True)
    ]
    wires = [await asked(peer) for _ in asking]
    for wire in wires:
        wire.answer(b"hello")
    await soon(asyncio.gather(*asking))
    for client in clients:
        await client.close()
    assert [[event.name for event in span.events] for span in seen.spans] == [
        ["request.sent", "request.first_byte"]
    ] * 2


def test_a_base_that_is_no_url_is_refused_when_it_is_given(seen: Seen) -> None:
    with pytest.raises(LocalProtocolError, match="'nonsense' is no URL"):
        seen.telemetry.watch(HostClient("127.0.0.1:1"), "nonsense")


async def test_a_duration_and_a_count(seen: Seen, peer: Peer) -> None:
    client = seen.telemetry.watch(HostClient(peer.addr), base_url=f"http://{peer.addr}")
    asking = asyncio.ensure_future(client.do(Request("BREW", "/pot")))
    wire = await asked(peer)
    (active,) = seen.points("http.client.active_requests")
    assert (active.value, client.pending_requests) == (1, 1)
    wire.answer(status="418 I'm a teapot")
    await soon(asking)
    await client.close()
    labels = {
        "http.request.method": "_OTHER",
        "server.address": "127.0.0.1",
        "server.port": port(peer),
        "url.scheme": "http",
    }
    (active,) = seen.points("http.client.active_requests")
    assert (active.value, dict(active.attributes)) == (0, labels)
    (duration,) = seen.points("http.client.request.duration")
    assert dict(duration.attributes) == labels | {
        "error.type": "418",
        "http.response.status_code": 418,
        "network.protocol.version": "1.1",
    }
    assert (duration.count, 0 < duration.sum < 60) == (1, True)
    assert duration.explicit_bounds[:2] == (0.005, 0.01)
    (span,) = seen.spans
    assert (span.name, span.status.status_code) == ("HTTP", StatusCode.ERROR)
    assert (span.attributes or {})["http.request.method_original"] == "BREW"
    assert (span.attributes or {})["url.full"] == f"http://{peer.addr}/pot"


async def test_an_error_is_named(seen: Seen, peer: Peer) -> None:
    client = seen.telemetry.watch(HostClient(peer.addr))
    with pytest.raises(RequestTimeout):
        await client.do(Request("GET", "/"), timeout=0)
    asking = asyncio.ensure_future(client.do(Request("GET", "/")))
    await soon((await peer.accept()).read_head())
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await client.close()
    assert [(span.attributes or {})["error.type"] for span in seen.spans] == ["RequestTimeout", "CancelledError"]
    assert [span.status.status_code for span in seen.spans] == [StatusCode.ERROR] * 2
    assert "phase 'queue'" in (seen.spans[0].status.description or "")
    assert {point.attributes["error.type"] for point in seen.points("http.client.request.duration")} == {
        "RequestTimeout",
        "CancelledError",
    }
    assert sum(point.value for point in seen.points("http.client.active_requests")) == 0


async def test_a_request_that_is_sent_again_is_one_span(seen: Seen, peer: Peer) -> None:
    client = seen.telemetry.watch(HostClient(peer.addr, trace=seen.telemetry.trace))
    asking = asyncio.ensure_future(client.do(Request("GET", "/")))
    for _ in range(2):
        (await asked(peer)).close()
    (await asked(peer)).answer()
    await soon(asking)
    await client.close()
    (span,) = seen.spans
    assert (span.attributes or {})["http.request.resend_count"] == 2
    retried = [event for event in span.events if event.name == "request.retried"]
    assert len(retried) == 2
    assert "ConnectionClosed" in str((retried[0].attributes or {})["error"])


async def test_requests_at_the_same_time_keep_their_notes_apart(seen: Seen, peer: Peer) -> None:
    """Also of two clients, each of which counts from 0."""
    async with Peer() as other:
        client = seen.telemetry.watch(Client(trace=seen.telemetry.trace))
        asking = [
            asyncio.ensure_future(client.do(Request("GET", f"http://{one.addr}/{number}")))
            for one in (peer, other)
            for number in range(2)
        ]
        wires = [await asked(one) for one in (peer, other) for _ in range(2)]
        for wire in reversed(wires):
            wire.answer()
        await soon(asyncio.gather(*asking))
        await client.close()
    assert len(seen.spans) == 4
    for span in seen.spans:
        assert [event.name for event in span.events] == ["request.sent", "request.first_byte"]
    assert not seen.telemetry._noted


async def test_requests_that_are_not_watched_belong_to_no_span(seen: Seen, peer: Peer) -> None:
    """Also those that the same task asks of the same client later."""
    host = HostClient(peer.addr, trace=seen.telemetry.trace)
    client = seen.telemetry.watch(host)

    async def answer() -> Wire:
        wire = await asked(peer)
        wire.answer()
        return wire

    answering = asyncio.ensure_future(answer())
    await client.do(Request("GET", "/"), timeout=20)
    wire = await answering
    asking = asyncio.ensure_future(host.get("/"))
    await wire.read_head()
    assert not seen.telemetry._noted
    wire.answer()
    await soon(asking)
    await client.close()


async def test_a_watched_client_is_a_client(seen: Seen, peer: Peer) -> None:
    async with LBClient([seen.telemetry.watch(HostClient(peer.addr))]) as spread:
        asking = asyncio.ensure_future(spread.do(Request("GET", "/"), timeout=5))
        (await asked(peer)).answer()
        assert (await soon(asking)).status == 200
    assert len(seen.spans) == 1


def test_who_does_not_use_it_does_not_load_it() -> None:
    program = "import sys, sleepy.tcp; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
