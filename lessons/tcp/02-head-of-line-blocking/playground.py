"""Head-of-line blocking: the same requests through a `PipelineClient` and through a `HostClient`, towards one `Server`.

All three are the library's own; below them is `sleepy.sim`'s TCP. Each client has a link of its own, so that neither is in
the other's way. What becomes of a request is read from its segments, as in the lab: each names it, and fits into one.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from statistics import median
from typing import TYPE_CHECKING

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
from sleepy.sim import Link
from sleepy.sim.packet import Packet, Segment
from sleepy.tcp import HostClient, PipelineClient, Request, Response, Server
from sleepy.tcp.exchange import Exchange

if TYPE_CHECKING:
    from lessons.playground.view import Tone

BODY = bytes(943)  # of a response: with its head it is SEGMENT bytes
SEGMENT = 1000  # bytes of payload; what a segment can carry, so that each response has one to itself
HEADERS = 40  # bytes of IP and TCP before it
RATE = 2e6  # bits per second
BURST = 6  # requests at once
SPAN, LIVES_SPAN = 0.26, 0.7  # seconds in the pictures
SHOWN, SHOWN_PENDING = 13, 9  # requests in a picture, and in a row
TICK = 1e-6  # seconds; who waits no longer does not wait
NAMES = {"pi": "pipeline", "po": "pool"}  # as long as each other, so that both clients' segments travel alike
NUMBER = re.compile(rb"^(?:GET /p[io]/|x-request: )(\d+)", re.MULTILINE)


@dataclass(slots=True)
class Course:
    """What becomes of a request; times in seconds, None for not yet."""

    number: int
    work: float  # how long the server takes over it
    asked: float
    port: int = 0  # of its connection, at the client
    sent: float | None = None
    at_server: float | None = None
    begun: float | None = None
    made: float | None = None
    answered: float | None = None
    arrived: float | None = None
    done: float | None = None
    lost: bool = False

    @property
    def innocent(self) -> bool:
        """Whether neither the server nor the link was slow about this one."""
        return not self.work and not self.lost

    @property
    def held(self) -> bool:
        """Whether it lay somewhere, complete, for the sake of another."""
        return _late(self.at_server, self.begun) or _late(self.arrived, self.done)

    def life(self, now: float, culprit: int) -> Life:
        """As it is drawn; ``culprit`` is the number of who made it wait, if any did."""
        behind = f"behind {culprit}" if culprit else ""
        stages: tuple[tuple[float | None, float | None, str, str, Tone], ...] = (
            (self.asked, self.sent, "waits for a connection", "", "open"),
            (self.sent, self.at_server, "is on its way to the server", "", "plain"),
            (self.at_server, self.begun, f"lies at the server {behind}", behind, "open"),
            (self.begun, self.made, "the server works on it", "works", "yes"),
            (self.made, self.answered, "its response waits for TCP’s window", "", "plain"),
            (self.answered, self.arrived, "its response is on its way back", "", "plain"),
            (self.arrived, self.done, f"its response lies in the kernel {behind}", behind, "open"),
        )
        stretches = [
            Stretch(start, now if end is None else end, what, text, tone)
            for start, end, what, text, tone in stages
            if start is not None and (end is None or end - start > TICK)
        ]
        return Life(str(self.number), stretches, self._note())

    def _note(self) -> str:
        """How long it took, and what was the matter; nothing before it is done."""
        if self.done is None:
            return ""
        why = "slow" if self.work else "lost" if self.lost else "held" if self.held else ""
        return _ms(self.done - self.asked) + (f", {why}" if why else "")


def _late(ready: float | None, taken: float | None) -> bool:
    return ready is not None and taken is not None and taken - ready > TICK


class Playground(Scenario):
    """Two production clients, a production server, and a link to each client."""

    title = "The same requests through a pipeline and through a pool"
    controls = (
        Slider(name="pipeline", label="Pipeline: max_conns", low=1, high=4, step=1, value=1, restarts=True),
        Slider(name="pool", label="Pool: max_conns", low=1, high=16, step=1, value=16, restarts=True),
        Slider(name="rtt", label="Round trip", low=40, high=200, step=10, value=100, unit="ms"),
        Slider(name="every", label="A request every", low=20, high=200, step=5, value=30, unit="ms"),
        Slider(name="one_in", label="Slow: one in (0: none)", low=0, high=40, step=1, value=20),
        Slider(name="work", label="A slow one takes", low=100, high=1000, step=50, value=300, unit="ms"),
        Switch(name="guard", label="Pipeline: stall_guard", restarts=True),
        Switch(name="acks", label="Draw bare acks, too"),
        Button(name="slow", label="The next is slow"),
        Button(name="burst", label=f"{BURST} at once"),
    )
    still = 103

    def __init__(self, settings: Mapping[str, float]) -> None:
        super().__init__(settings)
        self.world = World(settings["seed"])
        self.chance = Random(f"{settings['seed']:g} slow")  # a text, so that no version of Python sees another number
        self.works: list[float] = []  # how long the server takes over each request
        self.slow_next = False
        self.courses: dict[str, list[Course]] = {"pipeline": [], "pool": []}
        self.lines: dict[tuple[str, int], list[Course]] = {}  # by client and port
        conns, guard = int(settings["pipeline"]), bool(settings["guard"])
        self.pipeline = PipelineClient("server:80", max_conns=conns, stall_guard=guard)
        self.pool = HostClient("server:80", max_conns=int(settings["pool"]))
        self.clients = {"pipeline": self.pipeline, "pool": self.pool}
        self.traffic: dict[str, Traffic] = {}
        for name in self.courses:
            network = self.world.network
            network.link(name, "server")
            self.traffic[name] = Traffic(self.world, name, "server", partial(self._describe, name))
            there, back = network.wire(name, "server"), network.wire("server", name)
            there.sent.append(partial(self._request_sent, name))
            there.arrived.append(partial(self._request_arrived, name))
            back.sent.append(partial(self._response_sent, name))
            back.arrived.append(partial(self._response_arrived, name))
        self.changed()
        self.world.start("server", self._serve())
        for name in self.courses:
            self.world.start(name, self._callers(name))

    # --- the programs --------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        async with Server(self._answer, "server", 80, clock=None):
            await asyncio.Event().wait()

    async def _answer(self, request: Request) -> Response:
        _, short, number = request.target.split("/")
        course = self.courses[NAMES[short]][int(number) - 1]
        course.begun = self.world.now
        if course.work:
            self.world.tell(f"The server begins {course.number} ({NAMES[short]}), which takes {_ms(course.work)}.")
            await asyncio.sleep(course.work)
        course.made = self.world.now
        return Response(200, BODY, {"x-request": f"{course.number:04d}"})

    async def _callers(self, name: str) -> None:
        async with self.clients[name]:
            while True:
                self._call(name)
                await asyncio.sleep(self.settings["every"] / 1000)

    def _call(self, name: str) -> None:
        courses = self.courses[name]
        course = Course(len(courses) + 1, self._work(len(courses)), self.world.now)
        courses.append(course)
        if name == "pipeline":  # both get the same
            self.world.tell(f"Request {course.number} comes{', a slow one' if course.work else ''}.")
        self.world.start(name, self._ask(name, course))

    async def _ask(self, name: str, course: Course) -> None:
        await self.clients[name].get(f"/{name[:2]}/{course.number:04d}")
        course.done = self.world.now
        self.world.tell(f"{course.number} is done, after {_ms(course.done - course.asked)} ({name}).")

    def _work(self, index: int) -> float:
        """How long the server takes over a request, the same for both clients: one in so many is slow, or a wished one."""
        every = int(self.settings["one_in"])
        while len(self.works) <= index:
            slow = self.chance.randrange(every) if every else -1
            self.works += [self.settings["work"] / 1000 * (place == slow) for place in range(every or 1)]
        if self.slow_next:
            self.works[index] = self.settings["work"] / 1000
            self.slow_next = False
        return self.works[index]

    # --- what the reader does ------------------------------------------------------------------------------------------

    def step(self) -> str:
        """The next instant in which a request comes, moves on or is done."""
        return self._timed(self.world.step())

    def changed(self) -> None:
        """The links take their figures from the slider."""
        link = Link(delay=self.settings["rtt"] / 2000, rate=RATE, mtu=HEADERS + SEGMENT)
        for name in self.courses:
            self.world.network.change(name, "server", link)
            self.world.network.change("server", name, link)

    def act(self, name: str, value: str) -> str:
        """A packet less; a slow request next; or several at once."""
        if name == "drop":
            client, _, key = value.partition(" ")
            flight = self.traffic[client].drop(key)
            if flight is None:
                return "That packet is not in the air any more."
            for course in self._carried(client, flight.datagram):
                course.lost = course.lost or (course.arrived if flight.source == "server" else course.at_server) is None
            return self._timed(f"{flight.detail} is lost: you dropped it.")
        if name == "slow":
            self.slow_next = True
            return self._timed("The next request will be a slow one.")
        if name != "burst":
            return super().act(name, value)
        said = [self.world.do(client, partial(self._burst, client)) for client in self.courses]
        return self._timed(" ".join(filter(None, said)))

    def _burst(self, name: str) -> None:
        for _ in range(BURST):
            self._call(name)

    def close(self) -> None:
        """End clients and server."""
        self.world.close()

    def _timed(self, said: str) -> str:
        return said and f"{self.world.now * 1000:.1f} ms: {said}"

    # --- what the wires tell -------------------------------------------------------------------------------------------

    def _carried(self, name: str, packet: Packet) -> list[Course]:
        """Whose requests or responses a packet carries."""
        data = packet.payload.data if isinstance(packet.payload, Segment) else b""
        return [self.courses[name][int(number) - 1] for number in NUMBER.findall(data)]

    def _describe(self, name: str, packet: Packet) -> Words | None:
        assert isinstance(packet.payload, Segment)  # noqa: S101  nothing else is sent here
        segment, carried = packet.payload, self._carried(name, packet)
        if carried:
            what = "response" if segment.source_port == 80 else "request"
            numbers = ", ".join(str(course.number) for course in carried)
            return Words(f"{carried[0].number}{'+' if carried[1:] else ''}", f"{what} {numbers}")
        if segment.syn:
            return Words("syn", "opens a connection")
        return Words("ack", f"ack {segment.ack}, sacks {segment.sacks or 'none'}") if self.settings["acks"] else None

    def _request_sent(self, name: str, now: float, packet: Packet) -> None:
        for course in self._carried(name, packet):
            if course.sent is not None:
                self.world.tell(f"TCP at the {name} sends request {course.number} again.")
                continue
            assert isinstance(packet.payload, Segment)  # noqa: S101  it carries something
            course.sent, course.port = now, packet.payload.source_port
            line = self.lines.setdefault((name, course.port), [])
            pending = sum(one.done is None for one in line)
            line.append(course)
            behind = (
                f"behind {pending} that are pending" if name == "pipeline" and pending else "with nothing before it"
            )
            self.world.tell(f"{course.number} goes out on {self._wire(name, course)}, {behind} ({name}).")

    def _request_arrived(self, name: str, now: float, packet: Packet) -> None:
        for course in self._carried(name, packet):
            if not packet.damaged and course.at_server is None:
                course.at_server = now
                self.world.tell(f"Request {course.number} is at the server ({name}).")

    def _response_sent(self, name: str, now: float, packet: Packet) -> None:
        for course in self._carried(name, packet):
            if course.answered is None:
                course.answered = now
            else:
                self.world.tell(f"TCP at the server sends response {course.number} again ({name}).")

    def _response_arrived(self, name: str, now: float, packet: Packet) -> None:
        for course in self._carried(name, packet):
            if packet.damaged or course.arrived is not None:
                continue
            course.arrived = now
            line = self.lines[name, course.port]
            missing = [one.number for one in line[: line.index(course)] if one.arrived is None]
            if missing:
                self.world.tell(
                    f"Response {course.number} is here, whole; TCP keeps it, for {missing[0]} is missing ({name})."
                )

    def _wire(self, name: str, course: Course) -> str:
        """The name of its connection: they are counted as they come."""
        return f"c{[port for client, port in self.lines if client == name].index(course.port) + 1}"

    def _culprit(self, name: str, course: Course) -> int:
        """Who makes it wait: of those before it on its connection the last one that was slow or lost; 0 for nobody."""
        line = self.lines.get((name, course.port), [])
        before = line[: line.index(course)] if course in line else []
        return next((one.number for one in reversed(before) if not one.innocent), 0)

    # --- what there is to see ------------------------------------------------------------------------------------------

    def view(self) -> View:
        """The packets, what becomes of the requests, what is pending on the pipeline's connections, who was held up."""
        now = self.world.now
        packets = [
            replace(packet, key=f"{name} {packet.key}")
            for name, traffic in self.traffic.items()
            for packet in traffic.packets(now - SPAN)
        ]
        lanes = Lanes(
            title="One server, two clients",
            hosts=("pipeline", "server", "pool"),
            now=now,
            span=SPAN,
            packets=sorted(packets, key=lambda packet: packet.sent),
            drop="drop",
        )
        lives = [
            Lives(
                title=f"Requests through the {name}",
                now=now,
                span=LIVES_SPAN,
                lives=[one.life(now, self._culprit(name, one)) for one in courses[-SHOWN:]],
                rows=SHOWN,
            )
            for name, courses in self.courses.items()
        ]
        return View(now, [lanes, *lives, self._lanes(), self._held()])

    def _lanes(self) -> Cells:
        """The pipeline's own books."""
        pipeline = self.pipeline._pipeline  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  to be shown
        rows: list[Row] = []
        for number, lane in enumerate(pipeline.lanes, 1):
            note = (
                "being dialed"
                if lane.connection is None
                else "stalled"
                if pipeline.is_stalled(lane, self.world.now)
                else ""
            )
            rows.append(Row(f"c{number}", _pending([*lane.written, *lane.unwritten]), note))
        rows.append(Row("in line", _pending(pipeline.waiting)))
        return Cells("What is pending on the pipeline’s connections", rows)

    def _held(self) -> Table:
        told: dict[str, list[str]] = {}
        for name, courses in self.courses.items():
            done = [course for course in courses if course.done is not None and course.innocent]
            took = [course.done - course.asked for course in done if course.done is not None]
            by = [self._is_slow(name, course) for course in done if course.held]
            figures = {
                "answered": str(len(took)),
                "held up by a slow one": str(sum(by)),
                "held up by a lost one": str(len(by) - sum(by)),
                "median": _ms(median(took)) if took else "–",
                "longest": _ms(max(took)) if took else "–",
                "connections": str(sum(client == name for client, _ in self.lines)),
            }
            for figure, value in figures.items():
                told.setdefault(figure, [figure]).append(value)
        return Table("The innocent: neither slow nor lost themselves", ("", *self.courses), list(told.values()))

    def _is_slow(self, name: str, course: Course) -> bool:
        culprit = self._culprit(name, course)
        return bool(culprit and self.courses[name][culprit - 1].work)


def _pending(exchanges: Iterable[Exchange[Request, Response]]) -> list[Cell]:
    """The numbers of requests, as many as there is room for; at least one cell."""
    numbers = [str(int(exchange.request.target.rpartition("/")[2])) for exchange in exchanges]
    cells = [Cell(number) for number in numbers[:SHOWN_PENDING]]
    rest = len(numbers) - len(cells)
    return [*cells, *([Cell(f"+{rest}")] if rest else [])] or [Cell("–", "", "absent")]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
