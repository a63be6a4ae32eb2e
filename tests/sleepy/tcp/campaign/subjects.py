"""The clients under test: one of a random kind, with random options."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sleepy.tcp import Client, HostClient, LBClient, PipelineClient
from sleepy.tcp.backoff import Backoff
from sleepy.tcp.multiplex_client import MultiplexClient
from sleepy.trace import Event, Trace
from tests.sleepy.tcp.campaign.dialects import WatchedFrames, WatchedHttp
from tests.sleepy.tcp.campaign.ledger import Ledger

KINDS = (
    "HostClient", "HostClient", "PipelineClient", "PipelineClient", "Client", "LBClient of HostClients",
    "LBClient of PipelineClients", "HostClient of frames", "PipelineClient of frames", "MultiplexClient",
)  # fmt: skip


@dataclass
class Subject:
    """A client under test.

    Attributes:
        kind: One of `KINDS`.
        client: It.
        peers: How many hosts it is for.
        most_conns: How many connections it may have open to one host.
        most_executions: How often a request that may be repeated may be executed; infinity if that is not limited.
        limits: All limits it was given on the time of a request, in seconds: no timeout may come sooner.
        idempotent: In frames, whether all requests may be repeated.
        members: The clients that have connections of their own.
        open_conns: How many connections each of them has open, by what it says itself.
    """

    kind: str
    client: Any = None
    peers: int = 1
    most_conns: int = 1
    most_executions: float = math.inf
    limits: list[float] = field(default_factory=list[float])
    idempotent: bool = False
    members: list[Any] = field(default_factory=list[Any])
    open_conns: list[int] = field(default_factory=list[int])

    @property
    def http(self) -> bool:
        """Whether it speaks HTTP."""
        return "frames" not in self.kind and self.kind != "MultiplexClient"

    @property
    def streams(self) -> bool:
        """Whether it has bodies piece by piece."""
        return self.kind in {"HostClient", "Client"}

    def hosts(self) -> list[str]:
        """The names of the hosts it is for."""
        return [f"peer{number}" for number in range(self.peers)]


def draw_subject(random: Random, ledger: Ledger, kinds: tuple[str, ...] = KINDS) -> Subject:
    """A client of a random kind. Call this on the host where it is to live."""
    subject = Subject(random.choice(kinds))
    subject.idempotent = random.random() < 0.5
    if "LB" in subject.kind or subject.kind == "Client":
        subject.peers = random.randint(1, 3)
    elif random.random() < 0.2:
        subject.peers = 2
    addr = ",".join(f"{host}:80" for host in subject.hosts())
    trace = _counter(subject, ledger)
    options: dict[str, Any] = {
        "max_conns": random.choice([1, 1, 2, 4]),
        "max_attempts": random.randint(1, 5),
        "max_idle_conn_duration": random.choice([None, 0.05, 1.0, 10.0]),
        "dial_timeout": random.choice([0.1, 0.5, 2.0]),
        "read_timeout": random.choice([None, None, 0.05, 0.5]),
        "write_timeout": random.choice([None, None, 0.05, 0.5]),
    }
    subject.most_conns = options["max_conns"]
    subject.limits = [options[name] for name in ("read_timeout", "write_timeout", "dial_timeout") if options[name]]
    if subject.kind == "MultiplexClient":
        subject.most_executions = options["max_attempts"] + 1  # the first stale connection does not count
        client = MultiplexClient(
            addr,
            **options,
            max_frame_size=100_000,
            idempotent=subject.idempotent,
            trace=trace(),
            max_pending_requests=20,
        )
        client._backoff = Backoff(random=random)
        subject.client = client
        subject.members = [client]
        return subject
    options["codec"] = WatchedHttp(ledger) if subject.http else WatchedFrames(ledger, idempotent=subject.idempotent)
    options["max_response_body_size"] = random.choice([None, None, 1000])
    if "Pipeline" in subject.kind:
        options |= {
            "max_pending_requests": random.choice([2, 20, 1024]),
            "max_batch_delay": random.choice([0.0, 0.0, 0.005]),
            "pipeline_non_idempotent": random.random() < 0.3,
            "stall_guard": random.random() < 0.7,
        }
    else:
        options |= {
            "max_conn_wait_timeout": random.choice([None, None, 0.0, 0.05, 0.5]),
            "max_conn_duration": random.choice([None, None, 0.3, 2.0]),
            "pool_strategy": random.choice(["lifo", "fifo"]),
        }
        subject.most_executions = options["max_attempts"] + 1

    def member(addr: str) -> Any:
        if "Pipeline" not in subject.kind:
            return HostClient(addr, **options, trace=trace())
        client = PipelineClient(addr, **options, trace=trace())
        client._pipeline._backoff = Backoff(random=random)
        return client

    if "LB" in subject.kind:
        attempts = random.randint(1, 3)
        subject.members = [member(f"{host}:80") for host in subject.hosts()]
        subject.client = LBClient(
            subject.members, timeout=random.choice([0.5, 5.0]), max_attempts=attempts, eject_after=2, random=random
        )
        subject.most_executions *= attempts
    elif subject.kind == "Client":
        max_conns = options.pop("max_conns")

        def configure(_: Any, options: Any) -> None:
            options["trace"] = trace()

        subject.client = Client(max_conns_per_host=max_conns, **options, configure=configure)
    else:
        subject.client = member(addr)
        subject.members = [subject.client]
    return subject


def _counter(subject: Subject, ledger: Ledger) -> Callable[[], Trace]:
    """Traces that count the connections of one member each, and keep what happens."""

    def trace() -> Trace:
        place = len(subject.open_conns)
        subject.open_conns.append(0)

        def record(event: Event) -> None:
            ledger.note(event.name, member=place, **event.fields)
            subject.open_conns[place] += {"connection.dialed": 1, "connection.closed": -1}.get(event.name, 0)
            if subject.open_conns[place] > subject.most_conns:
                ledger.violate(f"{subject.open_conns[place]} connections are open, {subject.most_conns} are allowed")

        return Trace("client", ledger.now, record)

    return trace
