"""Spans and metrics for OpenTelemetry, by its semantic conventions for HTTP clients.

    telemetry = Telemetry()
    client = telemetry.watch(tcp.Client(trace=telemetry.trace))
    response = await client.do(tcp.Request("GET", "http://example.org/"), timeout=2.0)

`Telemetry.watch` wraps any client; what it gives is a client too, fit for an `LBClient`. Around each request there is a
span, a child of the caller's, and the request tells the peer of it (``traceparent``), so that what the peer does becomes
part of the same trace. How long each request takes goes into a histogram, how many are under way into a counter.

`Telemetry.trace` is optional. It takes what the client underneath tells of its inner life (see `sleepy.trace`) and notes on
the request's span when it was sent, when its answer began, and how often it was sent again and why. A request that was slow
in the queue looks different there from one that was slow at the peer.

Who does not use it pays nothing: no other module knows of this one.
"""

import asyncio
import time
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import SpanKind, StatusCode

from sleepy.tcp.http.messages import Headers, Request, Response
from sleepy.tcp.http.url import parse_url
from sleepy.trace import Event, Trace

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from sleepy.tcp.lb_client import AnyClient

    Attributes = dict[str, str | int]

# Others could be anything, and a metric must not have as many series as there are words.
_METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_OTHER: Final = "_OTHER"
_BUCKETS: Final = [
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10,
]  # seconds; the conventions' own
_LABELS: Final = ("http.request.method", "server.address", "server.port", "url.scheme")  # of the metrics


@dataclass(slots=True, eq=False)
class _Noted:
    """A request under way, and how often it was sent again."""

    span: "Span"
    resends: int = 0


# The request that is being asked in this task; a client tells of its start before anything else can happen.
_asking: ContextVar[_Noted | None] = ContextVar("sleepy_asking", default=None)


class Telemetry:
    """Where the spans and metrics of some clients go.

    Args:
        tracer_provider: Makes the spans; the global one if None.
        meter_provider: Makes the instruments; the global one if None.

    Attributes:
        tracer: Makes the spans.
        duration: How long requests took, in seconds.
        active: How many requests are under way.
    """

    def __init__(
        self, *, tracer_provider: "TracerProvider | None" = None, meter_provider: "MeterProvider | None" = None
    ) -> None:
        self._places = count(1)
        self.tracer = trace.get_tracer("sleepy", tracer_provider=tracer_provider)
        meter = metrics.get_meter("sleepy", meter_provider=meter_provider)
        self.duration = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self.active = meter.create_up_down_counter(
            "http.client.active_requests", unit="{request}", description="Number of active HTTP requests."
        )
        self._noted: dict[tuple[str, object], _Noted] = {}  # by the client's place and the request's number

    @property
    def trace(self) -> Trace:
        """To be given to a client that is watched, as its ``trace``.

        Ask for it anew for every client. Each counts its requests for itself: by the numbers alone, what one tells of its
        third request would be noted on the span of another's.
        """
        return Trace(f"client {next(self._places)}", time.monotonic, self._note)

    def watch(self, client: "AnyClient[Request, Response]", base_url: str = "") -> "WatchedClient":
        """Wrap a client.

        Args:
            client: Sends the requests. It belongs to the wrapper, which closes it.
            base_url: Whom it asks, such as ``http://10.0.0.2:8000``: for requests whose URL is a path alone.

        Raises:
            LocalProtocolError: ``base_url`` is no URL.
        """
        if base_url:
            parse_url(base_url)
        return WatchedClient(self, client, base_url)

    def _note(self, event: Event) -> None:
        key = event.where, event.fields.get("id")
        if event.name == "request.queued":
            asking = _asking.get()
            if asking is not None:
                self._noted[key] = asking
        elif event.name in {"request.done", "request.failed"}:
            self._noted.pop(key, None)
        elif (noted := self._noted.get(key)) is not None:
            noted.span.add_event(event.name, {name: value for name, value in event.fields.items() if name != "id"})
            if event.name == "request.retried":
                noted.resends += 1
                noted.span.set_attribute("http.request.resend_count", noted.resends)


class WatchedClient:
    """A client whose requests have spans; a `sleepy.tcp.lb_client.AnyClient`."""

    def __init__(self, telemetry: Telemetry, client: "AnyClient[Request, Response]", base_url: str) -> None:
        self._telemetry = telemetry
        self._client = client
        self._base_url = base_url

    @property
    def pending_requests(self) -> int:
        """See `sleepy.tcp.HostClient`."""
        return self._client.pending_requests

    # --8<-- [start:do]
    async def do(self, request: Request, *, timeout: float | None = None) -> Response:
        """Send a request and wait for its answer, in a span; see `sleepy.tcp.HostClient.do`."""
        attributes = _describe(request, self._base_url)
        labels: Attributes = {name: attributes[name] for name in _LABELS if name in attributes}
        method = attributes["http.request.method"]
        began = time.perf_counter()
        self._telemetry.active.add(1, labels)
        outcome: Attributes = {}
        with self._telemetry.tracer.start_as_current_span(
            "HTTP" if method == _OTHER else str(method),
            kind=SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            token = _asking.set(_Noted(span))
            try:
                response = await self._client.do(_with_context(request), timeout=timeout)
                outcome = _outcome(response)
                if "error.type" in outcome:
                    span.set_status(StatusCode.ERROR)
            except (Exception, asyncio.CancelledError) as error:
                outcome = {"error.type": type(error).__qualname__}
                span.set_status(StatusCode.ERROR, str(error))
                raise
            finally:
                _asking.reset(token)
                span.set_attributes(outcome)
                self._telemetry.active.add(-1, labels)
                self._telemetry.duration.record(time.perf_counter() - began, labels | outcome)
        return response

    # --8<-- [end:do]

    async def close(self, timeout: float = 5.0) -> None:
        """Close the client; see `sleepy.tcp.HostClient.close`."""
        await self._client.close(timeout)


def _describe(request: Request, base_url: str) -> "Attributes":
    url = parse_url(request.url)
    if not url.host and base_url:
        url = parse_url(base_url).join(request.target)
    known = request.method in _METHODS
    attributes: Attributes = {"http.request.method": request.method if known else _OTHER, "url.full": str(url)}
    if not known:
        attributes["http.request.method_original"] = request.method
    if url.host:
        attributes |= {"server.address": url.host, "server.port": url.port, "url.scheme": url.scheme}
    return attributes


def _outcome(response: Response) -> "Attributes":
    attributes: Attributes = {
        "http.response.status_code": response.status,
        "network.protocol.version": response.version.removeprefix("HTTP/"),
    }
    if response.status >= 400:  # for a client both 4xx and 5xx are errors
        attributes["error.type"] = str(response.status)
    return attributes


def _with_context(request: Request) -> Request:
    """The request, with the fields that tell the peer of the current span; the caller's own is left as it is."""
    fields: dict[str, str] = {}
    propagate.inject(fields)
    told = copy(request)
    kept = [field for field in request.headers.items() if field[0].lower() not in fields]
    told.headers = Headers([*kept, *fields.items()])
    return told
