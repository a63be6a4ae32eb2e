"""A host: programs that run on it, and the stacks below them.

Every task of a simulated program lives on a host, and so do the tasks and callbacks that it starts: asyncio copies a
task's *context* to its children, and the context says where we are. That is how ``asyncio.open_connection("server", 80)``
knows from where.
"""

import asyncio
import errno
import os
from collections import deque
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sleepy.sim.link import Link
from sleepy.sim.nat_router import NatRouter
from sleepy.sim.packet import Datagram, Fragment, Packet, Reassembly, Segment, Unreachable
from sleepy.sim.sockets import LOCALHOST
from sleepy.sim.tcp.stack import TcpStack
from sleepy.sim.udp import UdpStack
from sleepy.sim.wire import Wire

if TYPE_CHECKING:
    from sleepy.sim.network import Network

REASSEMBLY_TIMEOUT: Final = 30.0  # seconds, as Linux waits for a packet's missing parts
NO_WAY: Final = 1  # RFC 792: codes of *unreachable*
TOO_LARGE: Final = 4
_LAST_TASKS: Final = 100  # how many ended tasks are remembered, so that a deadlock can name a crash behind it

T = TypeVar("T")
_here: ContextVar["Host"] = ContextVar("_here")


def here() -> "Host":
    """The host on which the running code lives.

    Raises:
        RuntimeError: It lives on none.
    """
    try:
        return _here.get()
    except LookupError:
        raise RuntimeError(
            "this task lives on no host, so it has no network: start it with network.host(name).start(...) or .run(...)"
        ) from None


class Host:
    """A machine on the network; `Network.host` makes them.

    Attributes:
        name: Its name, which resolves to its address.
        address: Its IPv4 address.
        wires: Its wires by the neighbour's name.
        random: Its source of chance.
        nat: Translates what it passes on, if it is a router with a NAT.
    """

    def __init__(self, network: "Network", name: str, address: str) -> None:
        self.network = network
        self.name = name
        self.address = address
        self.random = Random(f"{network.seed} host {name}")
        self.nat: NatRouter | None = None
        self.wires: dict[str, Wire] = {}
        self._pinned: dict[str, Wire | None] = {}
        self._routes: dict[str, Wire | None] = {}  # by destination, as far as they were asked for
        self.udp = UdpStack(self)
        self.tcp = TcpStack(self)
        self._packets = count(1)
        self._loopback = Wire(network, self, self, Link(mtu=65535))
        self._incomplete: dict[Packet, tuple[Reassembly, asyncio.TimerHandle]] = {}
        self._running: set[asyncio.Task[Any]] = set()
        self._ended: deque[asyncio.Task[Any]] = deque(maxlen=_LAST_TASKS)

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.address}>"

    def start(self, program: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
        """Start a task that lives on this host.

        Raises:
            RuntimeError: No run is under way; or the host has a NAT, and so no programs.
        """
        if not self.network.running:
            program.close()
            raise RuntimeError(f"host {self.name!r} runs programs only within sim.run(main(), network)")
        if self.nat is not None:  # whatever came for them would be translated, or end there
            program.close()
            raise RuntimeError(
                f"host {self.name!r} has a NAT and runs no programs of its own: link it to one that does"
            )
        context = copy_context()
        context.run(_here.set, self)
        name = name or f"{self.name}: {getattr(program, '__qualname__', 'task')}"
        task: asyncio.Task[T] = self.network.loop.create_task(program, name=name, context=context)
        self._running.add(task)  # asyncio itself would not keep it alive
        task.add_done_callback(self._running.discard)
        task.add_done_callback(self._ended.append)
        return task

    async def run(self, program: Coroutine[Any, Any, T], *, name: str | None = None) -> T:
        """Run a program on this host and wait for its result; cancelling the call cancels the program."""
        return await self.start(program, name=name)

    def crashes(self) -> list[BaseException]:
        """The errors with which tasks of this host ended lately."""
        errors = [None if task.cancelled() else task.exception() for task in self._ended]
        return [error for error in errors if error is not None]

    def end(self) -> None:
        """The run is over: whoever crashed, and nobody asked, is told of by asyncio when the task is forgotten."""
        self._ended.clear()

    # --8<-- [start:send]
    def send(
        self, source: str, destination: str, payload: Datagram | Segment | Unreachable, *, dont_fragment: bool = False
    ) -> None:
        """Send something to an address.

        Raises:
            OSError: No wires lead there (``ENETUNREACH``); or the first one does not take so much in one piece, and it
                must not be taken apart (``EMSGSIZE``).
        """
        packet = Packet(source, destination, payload, next(self._packets), dont_fragment=dont_fragment)
        wire = self.wire_to(destination)
        if wire is not None:
            if not wire.send(packet):
                raise OSError(
                    errno.EMSGSIZE,
                    f"{os.strerror(errno.EMSGSIZE)}: {packet.size} bytes, and {wire.name} takes {wire.mtu}",
                )
        elif destination in self.network.hosts_by_address:
            self._record_unreachable(destination)
            raise OSError(
                errno.ENETUNREACH, f"{os.strerror(errno.ENETUNREACH)}: {self.name} has no way to {destination}"
            )

    def arrive(self, packet: Packet) -> None:
        """A packet has come out of a wire: pass it on, or take it."""
        if self.nat is not None:
            self._translate(packet, self.nat)
        elif packet.destination not in (self.address, LOCALHOST):
            self._pass_on(packet)
        elif not packet.damaged:  # else its checksum is wrong, and nobody learns of it
            self._take(packet)

    # --8<-- [end:send]

    def wire_to(self, destination: str) -> Wire | None:
        """The wire for what goes to an address; none if no wires lead there."""
        try:
            return self._routes[destination]
        except KeyError:
            own = destination in (self.address, LOCALHOST)
            wire = self._loopback if own else self.network.find_route(self, destination)
            self._routes[destination] = wire
            return wire

    def pin_route(self, destination: str, wire: Wire) -> None:
        """Always take this wire to an address."""
        self._pinned[destination] = self._routes[destination] = wire

    def forget_routes(self) -> None:
        """Look for all ways anew, since there are new links."""
        self._routes = dict(self._pinned)

    def source_for(self, destination: str) -> str:
        """The address from which this host speaks to another."""
        return LOCALHOST if destination == LOCALHOST else self.address

    def refuse(self, packet: Packet, code: int, *, mtu: int = 0) -> None:
        """Report back that a packet could not be delivered; reports about reports are not made (RFC 1122, 3.2.2)."""
        if not isinstance(packet.payload, Unreachable) and self.wire_to(packet.source) is not None:
            self.send(self.source_for(packet.source), packet.source, Unreachable(code, packet, mtu))

    def _pass_on(self, packet: Packet) -> None:
        packet.time_to_live -= 1
        wire = self.wire_to(packet.destination)
        if wire is None:
            self._record_unreachable(packet.destination)
            self.refuse(packet, NO_WAY)
        elif packet.time_to_live > 0 and not wire.send(packet):
            self.refuse(packet, TOO_LARGE, mtu=wire.mtu)

    def _take(self, packet: Packet) -> None:
        payload = packet.payload
        if isinstance(payload, Datagram):
            self.udp.receive(packet, payload)
        elif isinstance(payload, Segment):
            self.tcp.receive(packet, payload)
        elif isinstance(payload, Fragment):
            whole = self._collect(payload)
            if whole is not None:
                self._take(whole)
        elif isinstance(payload.about.payload, Datagram):
            self.udp.unreachable(payload.about.payload, payload.about, too_large=payload.code == TOO_LARGE)
        elif isinstance(payload.about.payload, Segment):
            self.tcp.unreachable(payload.about.payload, payload.about)

    def _translate(self, packet: Packet, nat: NatRouter) -> None:
        """Pass on what a NAT lets through; it reads whole packets only (`sleepy.sim.nat_router`, rule 4)."""
        whole: Packet | None = packet
        if isinstance(packet.payload, Fragment):
            whole = None if packet.damaged else self._collect(packet.payload)
        translated = None if whole is None else nat.translate(whole)
        if translated is not None:
            self._pass_on(translated)

    def _collect(self, part: Fragment) -> Packet | None:
        """Keep a part; the whole, if this was the last one missing."""
        if part.whole not in self._incomplete:
            timer = self.network.loop.call_later(REASSEMBLY_TIMEOUT, self._give_up, part.whole)
            self._incomplete[part.whole] = Reassembly(), timer
        reassembly, timer = self._incomplete[part.whole]
        if not reassembly.add(part):
            return None
        timer.cancel()
        del self._incomplete[part.whole]
        return part.whole

    def _give_up(self, whole: Packet) -> None:
        del self._incomplete[whole]

    def _record_unreachable(self, destination: str) -> None:
        if self.network.trace is not None:
            self.network.trace("host.unreachable", host=self.name, address=destination)
