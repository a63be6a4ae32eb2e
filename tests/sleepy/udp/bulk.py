"""A bulk transfer in virtual time: endpoints, recovery, a controller and a pacer, over links that decide without I/O.

This is a Connection with everything left out but what the tests of these modules need: chunks of equal size, numbered, sent
until acked.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from math import inf

from sleepy.sim import Link
from sleepy.udp import Endpoint, EndpointConfig
from sleepy.udp.path.ack_policy import AckPolicy
from sleepy.udp.path.congestion.control import Controller
from sleepy.udp.path.pacing import Pacer
from sleepy.udp.path.recovery import Recovery

CONFIG = EndpointConfig(sent_packets_buffer_size=4096, received_packets_buffer_size=4096, fragment_above=1500)
HEADERS = 28  # of IP and UDP, which the link carries too
CHUNK = 1150  # bytes of payload, so that packets have at most 1200 with a header and encryption


class World:
    """A clock that jumps, and what is to happen."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = count()
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, time: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._waiting, (max(time, self.now), next(self._order), action))

    def run(self, until: float) -> None:
        while self._waiting and self._waiting[0][0] <= until:
            self.now, _, action = heapq.heappop(self._waiting)
            action()
        self.now = until


class Path:
    """One way over a link, to whoever is at its end. Several flows may share it."""

    def __init__(self, world: World, link: Link, seed: int | str) -> None:
        self._world = world
        self.carrier = link.start(seed)

    def carry(self, datagram: bytes, receive: Callable[[bytes], None]) -> None:
        for arrival in self.carrier.carry(len(datagram) + HEADERS, self._world.now):
            self._world.at(arrival.time, lambda: receive(datagram))


@dataclass
class Flow:
    """A sender, a receiver, and the paths between them.

    ``supply`` says how many chunks the application has offered by a time; by default more than can be sent.
    """

    world: World
    forth: Path
    back: Path
    controller: Controller
    begin: float = 0.0
    supply: Callable[[float], float] = lambda _: inf
    arrived: set[int] = field(default_factory=set)
    arrivals: list[float] = field(default_factory=list)
    acked: set[int] = field(default_factory=set)
    sends: list[tuple[float, int]] = field(default_factory=list)
    answers: int = 0

    def __post_init__(self) -> None:
        self.recovery: Recovery[int] = Recovery(self.controller)
        self.pacer = Pacer()
        self.policy = AckPolicy()
        self._acks: list[int] = []
        self._sender = Endpoint(CONFIG, now=0.0, on_ack=self._acks.append)
        self._receiver = Endpoint(CONFIG, now=0.0)
        self._again: deque[int] = deque()
        self._next = 0
        self._wake_at = self._answer_at = inf
        self.world.at(self.begin, self._pump)

    def goodput(self, since: float, until: float) -> float:
        """Bits per second of chunks that arrived in this time, copies apart."""
        return sum(since <= time < until for time in self.arrivals) * CHUNK * 8 / (until - since)

    # The sender.

    def _pump(self) -> None:
        """Send what may be sent; then wait for whatever comes first."""
        world, recovery = self.world, self.recovery
        while recovery.can_send(CHUNK):
            if not self._again and self._next >= self.supply(world.now) and not recovery.probes:
                recovery.on_app_limited()
                break
            if not self.pacer.can_send(world.now):
                break
            self._send(self._chunk())
        self._wake(self._deadline())

    def _chunk(self) -> int:
        """What to send: what was lost, else something new, else, as a probe, the oldest again."""
        while self._again:
            chunk = self._again.popleft()
            if chunk not in self.acked:
                return chunk
        if self._next < self.supply(self.world.now):
            self._next += 1
            return self._next - 1
        return self.recovery.oldest or 0

    def _send(self, chunk: int) -> None:
        now = self.world.now
        sequence = self._sender.next_sequence
        datagrams = self._sender.send(chunk.to_bytes(4, "big").ljust(CHUNK, b"."))
        assert len(datagrams) == 1
        size = len(datagrams[0])
        self.recovery.on_sent(sequence, size, now, chunk)
        self.pacer.on_sent(size, now, self.controller.pacing_rate)
        self.sends.append((now, size))
        self.forth.carry(datagrams[0], self._arrive)

    def _deadline(self) -> float:
        recovery, now = self.recovery, self.world.now
        deadline = recovery.next_timeout()
        if recovery.can_send(CHUNK):
            if self._again or self._next < self.supply(now):
                deadline = min(deadline, self.pacer.next_time)
            else:
                deadline = min(deadline, now + 0.001)  # ask the application again
        return deadline

    def _wake(self, deadline: float) -> None:
        if deadline < self._wake_at:
            self._wake_at = deadline
            self.world.at(deadline, lambda: self._on_wake(deadline))

    def _on_wake(self, deadline: float) -> None:
        if deadline == self._wake_at:
            self._wake_at = inf
            self._again.extend(self.recovery.on_timeout(self.world.now))
            self._pump()

    def _hear(self, datagram: bytes) -> None:
        """An answer has come."""
        if self._sender.receive(datagram) is None or not self._acks:
            return
        outcome = self.recovery.on_acked(self._acks, self.world.now)
        self._acks.clear()
        self.acked.update(outcome.acked, outcome.late)
        self._again.extend(outcome.lost)
        self._pump()

    # The receiver.

    def _arrive(self, datagram: bytes) -> None:
        packet = self._receiver.receive(datagram)
        if packet is None:
            return
        chunk = int.from_bytes(packet.payload[:4], "big")
        if chunk not in self.arrived:
            self.arrived.add(chunk)
            self.arrivals.append(self.world.now)
        self.policy.on_received(packet.sequence, self.world.now, ack_eliciting=True)
        self._answer()

    def _answer(self) -> None:
        due = self.policy.next_timeout
        if due <= self.world.now:
            self.policy.on_sent()
            self.answers += 1
            self.back.carry(self._receiver.send(b"a")[0], self._hear)
        elif due < self._answer_at:
            self._answer_at = due
            self.world.at(due, self._on_answer_time)

    def _on_answer_time(self) -> None:
        self._answer_at = inf
        self._answer()


def single(link: Link, controller: Controller, *, seed: int = 1, back: Link | None = None) -> Flow:
    """One flow on a link of its own; the way back is as long, and loses as much."""
    world = World()
    if back is None:
        back = Link(delay=link.delay, loss=link.loss)
    return Flow(world, Path(world, link, f"{seed} forth"), Path(world, back, f"{seed} back"), controller)


def jain(rates: list[float]) -> float:
    """Jain's index of fairness: 1 if all are equal, 1/n if one has all."""
    return sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates))
