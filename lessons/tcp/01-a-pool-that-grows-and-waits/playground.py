"""A pool that grows and waits: callers come, a HostClient serves them, a server answers; between them a link, and TCP.

Client, server and pool are the library's own, under `sleepy.sim`. What is drawn is what the client tells its trace, the
line of its pool, and the packets on the link.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random

from lessons.playground import (
    Button,
    Cell,
    Cells,
    Lanes,
    Life,
    Lives,
    Row,
    Scenario,
    Slider,
    Stretch,
    Switch,
    Table,
    Traffic,
    View,
    Words,
    World,
)
from sleepy.errors import SleepyError
from sleepy.sim import Link
from sleepy.sim.packet import Packet, Segment
from sleepy.tcp import HostClient, Request, Response, Server
from sleepy.trace import Event, Trace

BURST = 5  # callers at once
RECENT = 6  # callers in the table of those served last
SPAN = 1.2  # seconds of past in the picture of the connections
WIRE_SPAN = 0.3  # and in that of the packets
STRETCHES = 40  # of one connection, for the picture
SHOWN = 14  # callers in line


@dataclass(slots=True)
class Caller:
    """Somebody who has asked; times in seconds."""

    number: int
    came: float
    task: "asyncio.Task[object] | None"
    served: float = 0.0
    connection: str = ""


@dataclass(slots=True)
class Queue:
    """How long the line was, and when."""

    length: int = 0
    since: float = 0.0
    stretches: deque[Stretch] = field(default_factory=partial(deque[Stretch], maxlen=2 * STRETCHES))

    def count(self, length: int, now: float) -> None:
        """It has another length from now on."""
        if self.length and now > self.since:
            self.stretches.append(self.stretch(now))
        self.length, self.since = length, now

    def stretch(self, now: float) -> Stretch:
        """The last one."""
        return Stretch(self.since, now, f"{self.length} in line", str(self.length), "open")

    def life(self, now: float) -> Life:
        """As it is drawn."""
        last = [self.stretch(now)] if self.length else []
        return Life("line", [*self.stretches, *last], f"{self.length} in line")


@dataclass(slots=True)
class Connection:
    """What became of a connection; the last of its stretches goes on until now."""

    name: str
    doing: str
    since: float
    stretches: deque[Stretch] = field(default_factory=partial(deque[Stretch], maxlen=STRETCHES))
    is_open: bool = True

    def turn(self, doing: str, now: float) -> None:
        """It does something else from now on."""
        if now > self.since:
            self.stretches.append(self.stretch(now))
        self.doing, self.since = doing, now

    def stretch(self, now: float) -> Stretch:
        """The last one."""
        if self.doing == "dial":
            return Stretch(self.since, now, "is being dialed", "dial", "open")
        if self.doing:
            return Stretch(self.since, now, f"serves {self.doing}", self.doing, "yes")
        return Stretch(self.since, now, "is idle")

    def life(self, now: float) -> Life:
        """As it is drawn."""
        if not self.is_open:
            return Life(self.name, [*self.stretches], "closed")
        spent = f"{(now - self.since) * 1000:.0f} ms"
        note = {"dial": f"dialing, {spent}", "": f"idle, {spent}"}.get(self.doing, f"serves {self.doing}")
        return Life(self.name, [*self.stretches, self.stretch(now)], note)


class Playground(Scenario):
    """A production client and server, and callers who come one after the other."""

    title = "A connection pool, and the callers in line"
    controls = (
        Slider(name="max_conns", label="max_conns", low=1, high=8, step=1, value=4),
        Slider(name="every", label="A caller every", low=20, high=400, step=10, value=60, unit="ms"),
        Slider(name="work", label="The server takes about", low=10, high=500, step=10, value=160, unit="ms"),
        Slider(name="rtt", label="Round trip", low=10, high=300, step=10, value=50, unit="ms"),
        Slider(name="loss", label="Loss, each way", low=0, high=30, step=1, value=0, unit="%"),
        Slider(name="idle", label="Idle at most", low=100, high=2000, step=100, value=600, unit="ms", restarts=True),
        Slider(
            name="end",
            label="The server ends idle ones after",
            low=100,
            high=2000,
            step=100,
            value=2000,
            unit="ms",
            restarts=True,
        ),
        Slider(name="wait", label="Wait at most", low=100, high=3000, step=100, value=1000, unit="ms", restarts=True),
        Switch(name="fifo", label="FIFO: take the one idle longest", restarts=True),
        Button(name="burst", label=f"{BURST} callers at once"),
        Button(name="leave", label="The last in line gives up"),
    )
    still = 32

    def __init__(self, settings: Mapping[str, float]) -> None:
        super().__init__(settings)
        self.world = World(settings["seed"])
        self.chance = Random(f"{settings['seed']:g} work")  # a text, so that no version of Python sees another number
        self.world.network.link("client", "server")
        self.traffic = Traffic(self.world, "client", "server", self._describe)
        self.line: dict[int, Caller] = {}  # who has asked, and has no connection
        self.served: dict[int, Caller] = {}  # who has one, and no answer
        self.recent: deque[Caller] = deque(maxlen=RECENT)
        self.queue = Queue()
        self.longest = 0.0  # wait, in seconds
        self.numbers = count(1)  # of the callers; the client counts its requests from 0
        self.connections: dict[int, Connection] = {}
        self.ports: dict[int, str] = {}  # whose request a client's port carried last
        self.client = HostClient(
            "server:80",
            max_conns=int(settings["max_conns"]),
            max_idle_conn_duration=settings["idle"] / 1000,
            max_conn_wait_timeout=settings["wait"] / 1000,
            pool_strategy="fifo" if settings["fifo"] else "lifo",
            trace=Trace("client", lambda: self.world.now, self._note),
        )
        self.changed()
        self.world.start("server", self._serve())
        self.world.start("client", self._callers())

    # --- the programs --------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        async with Server(self._answer, "server", 80, idle_timeout=self.settings["end"] / 1000, clock=None):
            await asyncio.Event().wait()

    async def _answer(self, _: Request) -> Response:
        await asyncio.sleep(self.settings["work"] / 1000 * self.chance.uniform(0.5, 1.5))
        return Response(200)

    async def _callers(self) -> None:
        try:
            while True:
                self._call()
                await asyncio.sleep(self.settings["every"] / 1000)
        finally:
            await self.client.close(0)

    def _call(self) -> None:
        self.world.start("client", self._ask(next(self.numbers)))

    def _burst(self) -> None:
        for _ in range(BURST):
            self._call()

    async def _ask(self, number: int) -> None:
        try:
            await self.client.get(f"/{number}")
        except (SleepyError, OSError) as error:
            self.world.tell(f"He is told: {error}.")

    # --- what the reader does ------------------------------------------------------------------------------------------

    def step(self) -> str:
        """The next thing of which the client's trace speaks, and a packet lost."""
        return self._timed(self.world.step())

    def changed(self) -> None:
        """New figures hold at once; with another limit the pool dials or closes."""
        link = Link(delay=self.settings["rtt"] / 2000, loss=self.settings["loss"] / 100)
        self.world.network.change("client", "server", link)
        self.world.network.change("server", "client", link)
        limit = int(self.settings["max_conns"])
        if limit != self.client.max_conns:
            self.world.do("client", lambda: setattr(self.client, "max_conns", limit))

    def act(self, name: str, value: str) -> str:
        """More callers, one less, or a packet less."""
        if name == "burst":
            return self._timed(self.world.do("client", self._burst))
        if name == "drop":
            flight = self.traffic.drop(value)
            gone = "That packet is not in the air any more."
            return self._timed(f"A packet of the {flight.source}’s is lost: you dropped it." if flight else gone)
        if name != "leave":
            return super().act(name, value)
        if not self.line:
            return self._timed("Nobody stands in line.")
        task = list(self.line.values())[-1].task
        return self._timed(self.world.do("client", lambda: task and task.cancel()))

    def close(self) -> None:
        """End client and server."""
        self.world.close()

    def _timed(self, said: str) -> str:
        return said and f"{self.world.now * 1000:.1f} ms: {said}"

    # --- what the client tells -----------------------------------------------------------------------------------------

    def _note(self, event: Event) -> None:
        """What happened, in a sentence."""
        now, fields = event.time, event.fields
        caller, number = fields.get("id", 0) + 1, fields.get("connection", 0)
        name = f"c{number + 1}"
        match event.name:
            case "request.queued":
                self.line[caller] = Caller(caller, now, asyncio.current_task())
                self.world.tell(f"Caller {caller} comes.")
            case "connection.dialing" if number not in self.connections:
                self.connections[number] = Connection(name, "dial", now)
                self.world.tell(f"The pool dials {name}.")
            case "connection.dialed":
                self.connections[number].turn("", now)
                self.world.tell(f"{name} is open.")
            case "request.sent":
                one = self.served[caller] = self.line.pop(caller)
                one.connection, one.served = name, now
                self.longest = max(self.longest, now - one.came)
                self.connections[number].turn(str(caller), now)
                self.world.tell(f"{name} takes {caller}.")
            case "request.done":
                one = self.served.pop(caller)
                self.recent.append(one)
                for each in self.connections.values():
                    if each.doing == str(caller):  # else it has been passed on already
                        each.turn("", now)
                self.world.tell(f"{caller} has the answer.")
            case "request.retried":
                self.line[caller] = self.served.pop(caller)
                self.world.tell(f"{caller} is to be sent once more.")
            case "request.failed":
                gone = self.line.pop(caller, None) or self.served.pop(caller)
                self.world.tell(f"{caller} leaves without an answer, after {(now - gone.came) * 1000:.0f} ms.")
            case "connection.failed" | "connection.closed":
                self.connections[number].turn("", now)
                self.connections[number].is_open = False
                self._forget(now)
                self.world.tell(f"{name} is closed." if event.name == "connection.closed" else f"{name} cannot be had.")
            case _:
                return
        self.queue.count(len(self.line), now)

    def _forget(self, now: float) -> None:
        """Those closed so long ago that the picture does not show them."""
        for number in [number for number, one in self.connections.items() if not one.is_open]:
            if now - self.connections[number].since > SPAN:
                del self.connections[number]

    def _describe(self, packet: Packet) -> Words | None:
        """What a segment says, of those that say more than that others have come."""
        segment = packet.payload
        if not isinstance(segment, Segment):
            return None
        port = segment.source_port if segment.destination_port == 80 else segment.destination_port
        if segment.data:
            if segment.destination_port == 80:
                self.ports[port] = segment.data.split()[1].decode().removeprefix("/")
            who = self.ports[port]
            return Words(who, f"the {'request' if segment.destination_port == 80 else 'answer'} of {who}")
        if segment.syn:
            return Words("S", f"port {port} opens" if segment.ack is None else f"port {port} may open")
        if segment.fin:
            return Words("F", f"port {port} ends")
        return None

    # --- what there is to see ------------------------------------------------------------------------------------------

    def view(self) -> View:
        """The connections, the line, the packets, those served last, and what the client says of itself."""
        client, now = self.client, self.world.now
        shown = [one for one in self.connections.values() if one.is_open or now - one.since < SPAN]
        return View(
            now,
            [
                Lives(
                    title=f"The connections: {client.conns_count} of {client.max_conns}",
                    now=now,
                    span=SPAN,
                    lives=[*(one.life(now) for one in shown), self.queue.life(now)],
                    rows=client.max_conns + 1,
                ),
                Lanes(
                    title="Packets between client and server",
                    hosts=("client", "server"),
                    now=now,
                    span=WIRE_SPAN,
                    packets=self.traffic.packets(now - WIRE_SPAN),
                    drop="drop",
                ),
                Cells("The line: who waits, and how long", self._waiting(now)),
                self._last(),
                self._figures(),
            ],
        )

    def _waiting(self, now: float) -> list[Row]:
        cells = [Cell(str(one.number), f"{(now - one.came) * 1000:.0f} ms") for one in self.line.values()]
        if len(cells) > SHOWN:
            cells[SHOWN:] = [Cell("…", f"{len(cells) - SHOWN} more")]
        rows = [Row("", cells[at : at + 5]) for at in range(0, len(cells), 5)]
        return rows or [Row("", [Cell("–", "nobody waits", "absent")])]

    def _last(self) -> Table:
        rows = [
            (str(one.number), f"{one.came * 1000:.0f} ms", f"{(one.served - one.came) * 1000:.0f} ms", one.connection)
            for one in self.recent
        ]
        return Table("Served last", ("caller", "came", "waited", "by"), rows)

    def _figures(self) -> Table:
        client = self.client
        done = client.metrics.latency
        rows = [
            ("conns_count", str(client.conns_count)),
            ("idle_conns_count", str(client.idle_conns_count)),
            ("pending_requests", str(client.pending_requests)),
            ("dials so far", str(client.metrics.dials)),
            ("answers so far", str(done.count)),
            ("failures so far", str(sum(client.metrics.failures.values()))),
            ("longest wait", f"{self.longest * 1000:.0f} ms"),
            ("latency, p50 and p99", f"{done.quantile(0.5) * 1000:.0f} and {done.quantile(0.99) * 1000:.0f} ms"),
        ]
        return Table("What the client says of itself", ("", ""), rows)
