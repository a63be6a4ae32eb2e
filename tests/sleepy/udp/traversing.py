"""Peers behind NATs, a rendezvous server, and the internet between them: what the tests of traversal have in common."""

import asyncio
import random
from typing import Any

from sleepy import sim
from sleepy.udp.nat.introductions import Introducer
from sleepy.udp.nat.traversal import Traversal
from sleepy.udp.nat.traversal_config import Event, Found, NotFound, Relayed, TraversalConfig
from sleepy.udp.rendezvous import Rendezvous
from sleepy.udp.security.handshake import Initiator
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.listener import Listener
from sleepy.udp.security.session import HandshakeConfig, HandshakeError, Session

PORT = 9000
PATIENCE = 20.0  # seconds for a handshake, on links that lose much
NATS: dict[str, sim.Nat | None] = {
    "open": None,
    "full cone": sim.Nat.FULL_CONE,
    "restricted cone": sim.Nat.RESTRICTED_CONE,
    "port-restricted cone": sim.Nat.PORT_RESTRICTED_CONE,
    "symmetric": sim.Nat.SYMMETRIC,
}
SERVER_IDENTITY = Identity(bytes([200]) * 32)


def identity(name: str) -> Identity:
    """The peer's, by its name."""
    return Identity(random.Random(name).randbytes(32))


class MiniNode(asyncio.DatagramProtocol):
    """A node as far as it takes to meet: it hosts a `Traversal`, and shakes hands by the way that was found."""

    def __init__(self, name: str, server: tuple[str, int], local: tuple[str, int], **options: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.name = name
        random_bytes = random.Random(f"bytes of {name}").randbytes
        options = {"inside": (local,), "server_key": SERVER_IDENTITY.public_key, **options}
        self.config = TraversalConfig(identity=identity(name), server=server, random_bytes=random_bytes, **options)
        now = self.loop.time()
        self.traversal = Traversal(self.config, now=now)
        handshake = HandshakeConfig(identity=identity(name), random_bytes=random_bytes)
        self.listener = Listener(handshake, now=now, lifetime=PATIENCE)
        self.handshake = handshake
        self.dials: dict[bytes, Initiator] = {}
        self.events: list[Event] = []
        self.sessions: dict[bytes, tuple[Session, tuple[str, int]]] = {}
        self.failed: dict[bytes, Exception] = {}
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.received: list[tuple[bytes, tuple[str, int]]] = []
        self.changed = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.DatagramTransport = transport
        self.timer = self.loop.call_soon(self.turn)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.append((data, addr))
        if 7 <= data[0] < 0x40:
            self.traversal.receive(data, addr, self.loop.time())
        else:
            self.take(data, addr)
        self.turn()

    def take(self, data: bytes, addr: tuple[str, int]) -> None:
        now = self.loop.time()
        if data[0] in (1, 5):
            self.send(self.listener.receive(data, addr, now), addr)
            for session, where in self.listener.take_sessions():
                self.sessions[session.public_key] = session, where
        elif data[1:9] in self.dials:
            self.send(self.dials[data[1:9]].receive(data, now), addr)

    def send(self, datagram: bytes | None, address: tuple[str, int]) -> None:
        if datagram is None:
            return
        if not address[1]:
            wrapped = self.traversal.wrap(datagram, address)
            if wrapped is None:
                return
            datagram, address = wrapped
        self.sent.append((datagram, address))
        self.transport.sendto(datagram, address)

    def turn(self) -> None:
        self.timer.cancel()
        now = self.loop.time()
        self.traversal.on_time(now)
        for event in self.traversal.take_events():
            self.events.append(event)
            if isinstance(event, Found) and event.asked:
                dial = Initiator(self.handshake, now=now, timeout=PATIENCE, expect=event.public_key)
                self.dials[dial.connection_id] = dial
                self.ways[dial.connection_id] = event.address
            elif isinstance(event, NotFound):
                self.failed[event.public_key] = event.error
            elif isinstance(event, Relayed):
                self.take(event.datagram, event.address)
        for number, dial in list(self.dials.items()):
            self.send(dial.on_time(now), self.ways[number])
            if isinstance(dial.outcome, Session):
                self.sessions[dial.outcome.public_key] = dial.outcome, self.ways[number]
            elif isinstance(dial.outcome, HandshakeError) and dial.expect is not None:
                self.failed[dial.expect] = dial.outcome
            if dial.outcome is not None:
                del self.dials[number]
        for datagram, address in self.traversal.take_datagrams():
            self.sent.append((datagram, address))
            self.transport.sendto(datagram, address)
        timeouts = [self.traversal.next_timeout, *(dial.next_timeout for dial in self.dials.values())]
        self.timer = self.loop.call_at(min(timeouts), self.turn)
        self.changed.set()

    @property
    def ways(self) -> dict[bytes, tuple[str, int]]:
        return self.__dict__.setdefault("_ways", {})

    async def until(self, condition: Any) -> None:
        """Wait until something is so; the run's own limit ends it otherwise."""
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    async def registered(self) -> None:
        await self.until(lambda: self.traversal.outside)

    async def meet(self, other: "MiniNode") -> tuple[str, int]:
        """Ask for another, shake hands; where it was found."""
        key = other.config.identity.public_key
        self.failed.pop(key, None)
        self.traversal.ask(key, self.loop.time())
        self.turn()
        await self.until(lambda: key in self.sessions or key in self.failed)
        if key in self.failed:
            raise self.failed[key]
        session, address = self.sessions[key]
        own = self.config.identity.public_key
        await other.until(lambda: own in other.sessions)
        theirs, _ = other.sessions[own]
        assert session.transcript == theirs.transcript
        return address


class World:
    """The network, and who lives on it.

    Args:
        nats: For each peer, the NAT that it is behind, by name or as it is; "open": none. Peers called "x/y" live behind the
            router of "x", with x.
        link: Every link's figures.
        seed: The network's.
    """

    def __init__(self, nats: dict[str, str | sim.Nat], link: sim.Link | None = None, seed: int | str = 1) -> None:
        self.network = sim.Network(seed=seed)
        self.link = link or sim.Link(delay=0.02)
        self.network.link("internet", "server", self.link)
        for number, (name, nat) in enumerate(nats.items()):
            self.network.host(name, f"192.168.1.{number + 2}")
            behind = NATS[nat] if isinstance(nat, str) else nat
            home, _, guest = name.partition("/")
            router = f"router of {home}"
            if behind is None:
                self.network.link(name, "internet", self.link)
            elif guest:
                self.network.link(name, router, self.link)
            else:
                self.network.link(name, router, self.link)
                self.network.link(router, "internet", self.link)
                self.network.nat(router, behind, outside="internet")

    def run(self, main: Any, **options: Any) -> Any:
        return sim.run(main, self.network, until=300.0, **options)

    async def serve(self, **options: Any) -> Rendezvous:
        def make(now: float) -> Introducer:
            made = {name: option(now) if name == "relay" else option for name, option in options.items()}
            random_bytes = random.Random("server").randbytes
            return Introducer(SERVER_IDENTITY, now=now, random_bytes=random_bytes, **made)

        async def bind() -> Rendezvous:
            loop = asyncio.get_running_loop()
            _, server = await loop.create_datagram_endpoint(lambda: Rendezvous(make), ("0.0.0.0", PORT))
            return server

        return await self.network.host("server").run(bind())

    async def peer(self, name: str, wait: bool = True, **options: Any) -> MiniNode:
        host = self.network.host(name)
        server = self.network.host("server").address, PORT

        async def bind() -> MiniNode:
            if "relay" in options:
                options["relay"] = options["relay"](asyncio.get_running_loop().time())
            loop = asyncio.get_running_loop()
            local = (host.address, PORT)
            _, node = await loop.create_datagram_endpoint(lambda: MiniNode(name, server, local, **options), local)
            if wait:
                await node.registered()
            return node

        return await host.run(bind())

    def meet(self, asker: MiniNode, asked: MiniNode) -> Any:
        return self.network.host(asker.name).run(asker.meet(asked))
