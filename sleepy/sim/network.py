"""Hosts, the links between them, and the ways packets find.

A network is a graph: hosts, and links that join two of them. A link is two wires, one for each direction, each with a
`Link` of its own. A packet goes from host to host along wires; any host passes on what is not for itself, so a router is
just a host in the middle.

Rules:

1. A packet takes the way with the fewest wires; between equals, the one that was linked first. `Network.route` overrules
   that for one host and one destination. Routes do not change when a link fails: that is what partitions are for.
2. An address that belongs to nobody swallows packets, as the internet does. A host that no wires lead to is
   *unreachable*: the sender's call fails, or whoever on the way finds no further wire reports back.
3. A wire that is cut loses what is handed to it. What is already under way arrives.
4. Figures may change, and cuts begin and end, at given times: virtual ones, in seconds from the start of the run.
5. The same seed gives the same run. Every wire and every host draws from sources of its own, so that adding a host
   changes nothing for the others.
"""

import math
import socket
from collections import deque
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address
from typing import IO, Any, Final, TypeVar

from sleepy.sim.capture import Capture
from sleepy.sim.clock import VirtualLoop
from sleepy.sim.host import Host
from sleepy.sim.link import Link
from sleepy.sim.nat import Nat
from sleepy.sim.nat_router import NatRouter
from sleepy.sim.sockets import ANY, LOCALHOST
from sleepy.sim.wire import Wire
from sleepy.trace import Event, Trace

T = TypeVar("T")

FIRST_ADDRESS: Final = IPv4Address("10.0.0.1")  # RFC 1918: a network of nobody's


class Network:
    """A network of simulated hosts.

    Args:
        seed: Whatever is left to chance is drawn from it.
        trace: Is called with every event of the network's own (`sleepy.trace`); ``list.append`` will do.

    Attributes:
        running: Whether a run is under way.
        loop: The run's event loop; there is none before the first.
        hosts: All hosts by name.
        hosts_by_address: All hosts by address.
    """

    loop: VirtualLoop

    def __init__(self, seed: int | str = 0, trace: Callable[[Event], object] | None = None) -> None:
        self.seed = seed
        self.running = False
        self.hosts: dict[str, Host] = {}
        self.hosts_by_address: dict[str, Host] = {}
        self.trace = None if trace is None else Trace("network", lambda: self.now, trace)
        self._informed: set[Host] = set()  # who has asked for a route since the last link was made
        self._planned: list[tuple[float, Callable[[Any], object], Any]] = []

    @property
    def now(self) -> float:
        """The virtual time, in seconds."""
        return self.loop.now if self.running else 0.0

    # ------------------------------------------------------------------ building

    def host(self, name: str, address: str | None = None) -> Host:
        """The host of that name; it is made when first spoken of.

        Args:
            name: Its name, which resolves to its address.
            address: Its IPv4 address, if it is to have a certain one.

        Raises:
            ValueError: It has another address already, or the address belongs to another host or is none; or the name
                means something else.
        """
        host = self.hosts.get(name)
        if host is None:
            _check_name(name)
            host = Host(self, name, self._free_address() if address is None else self._checked(address))
            self.hosts[name] = self.hosts_by_address[host.address] = host
        elif address not in (None, host.address):
            raise ValueError(f"host {name!r} has the address {host.address}; it cannot get {address} as well")
        return host

    def link(self, one: str, other: str, link: Link | None = None, *, back: Link | None = None) -> None:
        """Join two hosts.

        Args:
            one: A host's name.
            other: The other's.
            link: The figures from the one to the other; a perfect link if left out.
            back: The figures for the way back, if they differ.

        Raises:
            ValueError: They are joined already, or are the same.
            TypeError: The figures are no `Link`.
        """
        there = Link() if link is None else _expect(Link, link)
        returning = there if back is None else _expect(Link, back)
        source, target = self.host(one), self.host(other)
        if source is target:
            raise ValueError(f"a link joins two hosts, but both of its ends are {one!r}")
        if other in source.wires:
            raise ValueError(f"{one!r} and {other!r} are linked already: use change() for other figures")
        source.wires[other] = Wire(self, source, target, there)
        target.wires[one] = Wire(self, target, source, returning)
        for host in self._informed:
            host.forget_routes()
        self._informed.clear()

    def route(self, host: str, destination: str, *, via: str) -> None:
        """Let a host send what is for ``destination`` to its neighbour ``via`` (rule 1).

        Raises:
            ValueError: The two are not linked.
        """
        self.host(host).pin_route(self.host(destination).address, self.wire(host, via))

    def nat(self, router: str, nat: Nat, *, outside: str) -> None:
        """Put a NAT on a router: whatever is not reached by way of ``outside`` is behind it.

        Args:
            router: The host in the middle. It runs no programs of its own from now on.
            nat: The NAT's habits, such as ``sim.Nat.SYMMETRIC`` or ``sim.Nat(mapping=..., filtering=...)``.
            outside: Its neighbour outside.

        Raises:
            ValueError: The two are not linked, or there is a NAT on this router already.
            TypeError: Its habits are no `Nat`.
        """
        _expect(Nat, nat)
        self.wire(router, outside)
        host = self.host(router)
        if host.nat is not None:
            raise ValueError(f"{router!r} has a NAT already; for one behind another use a router for each")
        host.nat = NatRouter(host, outside, nat)

    def capture(self, host: str, neighbour: str, file: IO[bytes]) -> Capture:
        """Capture what passes a host's end of a link, both ways, as tcpdump on its interface would.

        Args:
            host: Whose end.
            neighbour: The host at the other end.
            file: Gets a pcap; open it in binary mode, and close it after the run.

        Raises:
            ValueError: The two are not linked.
        """
        capture = Capture(file)
        self.wire(host, neighbour).sent.append(capture)
        self.wire(neighbour, host).arrived.append(capture)
        return capture

    def wire(self, source: str, target: str) -> Wire:
        """One direction of a link.

        Raises:
            ValueError: The two are not linked.
        """
        try:
            return self.host(source).wires[target]
        except KeyError:
            raise ValueError(
                f"{source!r} and {target!r} are not linked: link({source!r}, {target!r}, Link(...))"
            ) from None

    # ------------------------------------------------------------------ changing (rules 3 and 4)

    def change(self, source: str, target: str, link: Link, *, at: float | None = None) -> None:
        """Give one direction of a link other figures, at a time or now.

        Raises:
            ValueError: The two are not linked, or the time is past or none.
            TypeError: The figures are no `Link`.
        """
        self._plan(at, self.wire(source, target).change, _expect(Link, link))

    def cut(self, one: str, other: str, *, at: float | None = None, until: float | None = None) -> None:
        """Let a link lose everything in both directions: from a time or from now, until another or for ever.

        Raises:
            ValueError: The two are not linked, or a time is past or none; or it ends before it begins.
        """
        begin = self.now if at is None else at
        if until is not None and not until >= begin:
            raise ValueError(f"a cut from {begin} s until {until} s ends before it begins")
        for wire in (self.wire(one, other), self.wire(other, one)):
            self._plan(at, Wire.cut, wire)
            if until is not None:
                self._plan(until, Wire.heal, wire)

    # ------------------------------------------------------------------ finding

    def resolve(self, name: str) -> str:
        """The address of a name; an address is its own.

        Raises:
            socket.gaierror: There is no such name.
        """
        if name in self.hosts_by_address:  # so it is for nearly every packet
            return name
        if name in self.hosts:
            return self.hosts[name].address
        if name == "localhost":
            return LOCALHOST
        try:
            return str(IPv4Address(name))
        except AddressValueError:
            known = ", ".join(self.hosts)
            why = "simulated hosts speak IPv4 only" if ":" in name else f"there are: {known}"
            raise socket.gaierror(socket.EAI_NONAME, f"no host is called {name!r}; {why}") from None

    def find_route(self, source: Host, destination: str) -> Wire | None:
        """The first wire of the way to an address (rule 1); none if no wires lead there."""
        self._informed.add(source)
        if destination not in self.hosts_by_address:
            return None
        target = self.hosts_by_address[destination].name
        if target in source.wires:
            return source.wires[target]
        first_wires: dict[str, Wire | None] = {source.name: None, **source.wires}
        reached = deque(wire.target for wire in source.wires.values())
        while reached:
            host = reached.popleft()
            if target in host.wires:
                return first_wires[host.name]
            for name, wire in host.wires.items():
                if name not in first_wires:
                    first_wires[name] = first_wires[host.name]
                    reached.append(wire.target)
        return None

    def path_mtu(self, source: Host, destination: str) -> int:
        """The smallest MTU on the way to an address, in bytes: what path MTU discovery (RFC 1191) would find."""
        mtu, host = 65535, source
        for _ in range(len(self.hosts)):
            wire = host.wire_to(destination)
            if wire is None:
                break
            mtu, host = min(mtu, wire.mtu), wire.target
            if destination in (host.address, LOCALHOST):
                break
        return mtu

    # ------------------------------------------------------------------ running

    def begin(self, loop: VirtualLoop) -> None:
        """Start to run on a loop.

        Raises:
            RuntimeError: It has run before.
        """
        if hasattr(self, "loop"):
            raise RuntimeError("this network has had its run, and its links and ports are not as new: make another")
        self.loop, self.running = loop, True
        for when, act, what in self._planned:
            loop.at(when, act, what)

    def end(self) -> None:
        """The run is over: report crashes that nobody has heard of, and drop lists that it did not reach."""
        for host in self.hosts.values():
            host.end()
            for wire in host.wires.values():
                for index in wire.carrier.unreached:
                    if self.trace is not None:
                        self.trace("link.unreached", link=wire.name, index=index)
        self.running = False

    def _plan(self, at: float | None, act: Callable[[Any], object], what: object) -> None:
        if at is None:
            act(what)
        elif not math.isfinite(at):
            raise ValueError(f"{at} s is no time at which something happens; leave out until=... for a cut without end")
        elif at < self.now:
            raise ValueError(f"at {at} s is past: it is {self.now} s now")
        elif self.running:
            self.loop.at(at, act, what)
        else:
            self._planned.append((at, act, what))

    def _free_address(self) -> str:
        address = FIRST_ADDRESS + len(self.hosts)
        while str(address) in self.hosts_by_address:
            address += 1
        return str(address)

    def _checked(self, address: str) -> str:
        try:
            address = str(IPv4Address(address))
        except AddressValueError as error:
            raise ValueError(f"{address!r} is no IPv4 address: {error}") from None
        if address in (ANY, LOCALHOST) or address in self.hosts_by_address:
            raise ValueError(f"{address} is taken by {self.hosts_by_address.get(address, 'every host')}")
        return address


def _check_name(name: str) -> None:
    """Refuse a name that programs could not reach: it would mean something else, or another host."""
    try:
        IPv4Address(name)
    except AddressValueError:
        if name and name != "localhost":
            return
    raise ValueError(f"{name!r} is no name for a host; for an address of your choice: host('server', '10.0.0.5')")


def _expect(kind: type[T], given: T) -> T:
    """Refuse what is not of a kind: later it would be an error far from the mistake."""
    if not isinstance(given, kind):
        raise TypeError(f"a sim.{kind.__name__} is needed here, not {given!r}")
    return given
