"""Two connections, the links between them, and a clock that jumps: what the tests of connections have in common."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from math import inf
from random import Random
from typing import TYPE_CHECKING, Literal

from sleepy.sim import Link
from sleepy.udp.address import Address
from sleepy.udp.connections.connection import Batch, Connection
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.connection_errors import ConnectionClosed
from sleepy.udp.connections.connection_events import BlockArrived, Closed, Event, MessagesArrived
from sleepy.udp.connections.plain import PlainPackets
from sleepy.udp.security.protection import Protection
from sleepy.udp.security.session import Session

if TYPE_CHECKING:
    from sleepy.udp.delivery.incoming_blocks import IncomingBlock

ALICE, BOB, ELSEWHERE = ("10.0.0.1", 1111), ("10.0.0.2", 2222), ("10.9.9.9", 999)
HEADERS = 28  # of IP and UDP, which the link carries too
Mode = Literal["encrypted", "plain"]


def sessions(seed: int, parameters: tuple[bytes, bytes]) -> tuple[Session, Session]:
    """What a handshake would leave to an initiator and a responder with these parameters."""
    random = Random(seed)
    ids, keys = [random.randbytes(8) for _ in range(2)], [random.randbytes(32) for _ in range(2)]

    def session(ours: int) -> Session:
        theirs = 1 - ours
        return Session(
            initiator=ours == 0,
            local_id=ids[ours],
            remote_id=ids[theirs],
            public_key=bytes(32),
            version=1,
            features=0,
            parameters=parameters[theirs],
            send_key=keys[ours],
            receive_key=keys[theirs],
            transcript=bytes(32),
        )

    return session(0), session(1)


class Side:
    """One connection, what came out of it, and the timer that its owner would have."""

    def __init__(self, world: "World", connection: Connection, address: Address) -> None:
        self.world = world
        self.connection = connection
        self.address = address
        self.inbox: dict[int, list[bytes]] = defaultdict(list)
        self.events: list[Event] = []
        self.blocks: list[IncomingBlock] = []
        self.sent: list[tuple[float, Address, bytes]] = []
        self.reads = True
        self.asleep_until = -inf
        self.on_event: Callable[[Event], None] = lambda _: None
        self._timer = inf
        self.turns = 0

    @property
    def error(self) -> ConnectionClosed | None:
        closed = [event.error for event in self.events if isinstance(event, Closed)]
        assert len(closed) <= 1
        return closed[0] if closed else None

    def receive(self, datagram: bytes, address: Address) -> None:
        if self.world.now < self.asleep_until:  # it lies in the socket's buffer
            self.world.at(self.asleep_until, lambda: self.receive(datagram, address))
            return
        self.connection.receive(datagram, address, self.world.now)
        self.turn()

    def turn(self) -> None:
        """What an owner does after anything: look at events, flush, set the timer."""
        if self.world.now < self.asleep_until:
            self.world.at(self.asleep_until, self.turn)
            return
        now, connection = self.world.now, self.connection
        self.turns += 1
        self._look()
        for batch in connection.flush(now):
            self._carry(batch)
        self._look()
        wakeup = connection.next_wakeup
        assert not (connection.finished and wakeup < inf)
        if wakeup < self._timer:
            self._timer = wakeup
            self.world.at(wakeup, lambda: self._on_timer(wakeup))

    def _on_timer(self, wakeup: float) -> None:
        if self._timer == wakeup:
            self._timer = inf
            self.turn()

    def _carry(self, batch: Batch) -> None:
        to, datagrams = batch
        for datagram in datagrams:
            self.sent.append((self.world.now, to, datagram))
            self.world.carry(self, to, datagram)

    def _look(self) -> None:
        for event in self.connection.take_events():
            self.events.append(event)
            if isinstance(event, MessagesArrived) and self.reads:
                self.read(event.channel)
            if isinstance(event, BlockArrived):
                self.blocks.append(event.block)
            self.on_event(event)

    def read(self, channel: int = 0) -> list[bytes]:
        messages = list(iter(lambda: self.connection.read(channel), None))
        self.inbox[channel] += messages
        return messages

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


class World:
    """Two sides, A and B, and what carries their datagrams.

    ``tamper`` gets each datagram and its sender, and returns what arrives of it.
    """

    def __init__(
        self,
        *,
        mode: Mode = "encrypted",
        link: Link = Link(delay=0.010),  # noqa: B008 - it is frozen
        config: ConnectionConfig | None = None,
        config_b: ConnectionConfig | None = None,
        seed: int = 1,
        start: float = 100.0,
        rtt: float | None = None,
    ) -> None:
        self.now = start
        self._order = count()
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        random = Random(seed)
        config = replace(config or ConnectionConfig(), random_bytes=random.randbytes)
        config_b = replace(config_b, random_bytes=random.randbytes) if config_b else config
        self.tamper: Callable[[bytes, Side], Sequence[bytes]] = lambda datagram, _: [datagram]
        if mode == "plain":
            one = Connection(PlainPackets(), BOB, config, now=start)
            other = Connection(PlainPackets(), ALICE, config_b, now=start)
        else:
            ours, theirs = sessions(seed, (config.parameters(), config_b.parameters()))
            one = Connection(
                Protection(ours, now=start), BOB, config, now=start, peer_parameters=ours.parameters, rtt=rtt
            )
            other = Connection(
                Protection(theirs, now=start), ALICE, config_b, now=start, peer_parameters=theirs.parameters, rtt=rtt
            )
        self.a, self.b = Side(self, one, ALICE), Side(self, other, BOB)
        self.set_link(link, seed)
        self.at(start, self.a.turn)
        self.at(start, self.b.turn)

    def set_link(self, link: Link, seed: int = 1) -> None:
        """From now on the network is this one."""
        self._links = {self.a: link.start(f"{seed} forth"), self.b: link.start(f"{seed} back")}

    def other(self, side: Side) -> Side:
        return self.b if side is self.a else self.a

    def at(self, time: float, action: Callable[[], None]) -> None:
        if time < inf:
            heapq.heappush(self._waiting, (max(time, self.now), next(self._order), action))

    def carry(self, sender: Side, to: Address, datagram: bytes) -> None:
        """From where the sender is now, to ``to``, if anybody is there when it arrives."""
        receiver, source = self.other(sender), sender.address
        for arriving in self.tamper(datagram, sender):
            for arrival in self._links[sender].carry(len(arriving) + HEADERS, self.now):
                damaged = bytes([arriving[0] ^ 0x80]) + arriving[1:] if arrival.corrupt else arriving
                self.at(
                    arrival.time, lambda it=damaged: receiver.receive(it, source) if receiver.address == to else None
                )

    def run(self, seconds: float, *, until: Callable[[], bool] = lambda: False, most: int = 30_000) -> None:
        """Let time pass; the number of things that happen has a bound, so that a timer that never rests is found."""
        end = self.now + seconds
        for _ in range(most):
            if until() or not self._waiting or self._waiting[0][0] > end:
                break
            self.now, _, action = heapq.heappop(self._waiting)
            action()
        else:
            raise AssertionError(f"{most} things happened in less than {seconds} s: who does not rest?")
        if not until():
            self.now = end

    def send(self, side: Side, *messages: bytes, channel: int = 0, expires: float | None = None) -> None:
        for message in messages:
            side.connection.send(message, channel, expires=expires)
        side.turn()
