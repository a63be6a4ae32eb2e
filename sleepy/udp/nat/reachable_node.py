"""A node that peers can reach by its key, wherever it is; and that reaches them so.

A `sleepy.udp.nodes.node.Node` calls addresses. Behind a NAT nobody has one that can be called, so this node keeps in touch
with a rendezvous server, and `ReachableNode.reach` asks for a peer by its public key::

    async with open_reachable_node(rendezvous=("203.0.113.9", 9470), rendezvous_key=server_key, identity=me) as node:
        peer = await node.reach(their_key)

`sleepy.udp.nat.traversal` finds the way; what follows is an ordinary connection, whose handshake proves the peer's key. It
all goes through the node's one socket, because the hole in the NAT is that socket's.

Rules:

1. Datagrams of the kinds 7 to 0x3F are for the traversal, all others for the node.
2. A peer behind a relay has an address with port 0. What goes there is wrapped for the relay, and what comes from there is
   given to the node as if it had come from that address; so neither the node nor the connection knows of relays.
3. An IPv6 socket sees IPv4 peers under mapped addresses (RFC 4291, section 2.5.5.2). The traversal does not: what it hears
   of them comes from peers and servers with other sockets.
4. Who asks for us is shown our address only if he may enter, or ``introduce`` says so.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial
from types import NoneType
from typing import Any, Final

from sleepy.trace import Trace
from sleepy.udp.address import Address, check_address
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.connection_errors import ClosedLocally
from sleepy.udp.kinds import check_callable, check_kind
from sleepy.udp.nat.relay import Relay
from sleepy.udp.nat.traversal import Traversal
from sleepy.udp.nat.traversal_config import Found, NotFound, Relayed, TraversalConfig, TraversalTimeout
from sleepy.udp.nat.traversal_wire import Kind
from sleepy.udp.nodes.batch import DatagramSocket, SocketCounters, normal_address
from sleepy.udp.nodes.consent import consents
from sleepy.udp.nodes.node import BACKLOG, GRAIN, MAX_PEERS, Accept, MakeSwitchboard, Node
from sleepy.udp.nodes.peer import Peer
from sleepy.udp.nodes.secure_switchboard import SecureSwitchboard
from sleepy.udp.nodes.switchboard import Dial, Line
from sleepy.udp.security.identity import Identity, print_key
from sleepy.udp.security.protection import PROTECTED
from sleepy.udp.security.session import HandshakeConfig

ANYWHERE: Final = ("", 0)

MayIntroduce = Callable[[bytes], bool]
MakeConfig = Callable[[Address, Address, MayIntroduce, float], TraversalConfig]


MAPPED: Final = "::ffff:"


def mapped(address: Address) -> Address:
    """How an IPv6 socket calls an address (rule 3)."""
    return address if ":" in address[0] else (MAPPED + address[0], address[1])


def unmapped(address: Address) -> Address:
    """What an IPv6 socket calls so (rule 3)."""
    return (address[0].removeprefix(MAPPED), address[1]) if "." in address[0] else address


class RelayingSocket:
    """A socket that also sends to peers behind relays (rule 2).

    Args:
        below: The socket.
        wrap: Says what to send, and where to, for such a peer; None if there is no way.
    """

    def __init__(self, below: DatagramSocket, wrap: Callable[[bytes, Address], tuple[bytes, Address] | None]) -> None:
        self._below = below
        self._wrap = wrap
        self.address: Address = below.address
        self.family: int = below.family
        self.counters: SocketCounters = below.counters
        self.clock: Callable[[], float] = below.clock

    @property
    def blocked(self) -> bool:
        """See `DatagramSocket.blocked`."""
        return self._below.blocked

    def send(self, datagrams: Sequence[bytes], address: Address) -> bool:
        """See `DatagramSocket.send`."""
        if address[1]:
            return self._below.send(datagrams, mapped(address) if self.family == socket.AF_INET6 else address)
        wrapped = [found for datagram in datagrams if (found := self._wrap(datagram, address)) is not None]
        if wrapped:  # all go to the same relay
            self.send([datagram for datagram, _ in wrapped], wrapped[0][1])
        return not self._below.blocked

    def close(self) -> None:
        """See `DatagramSocket.close`."""
        self._below.close()


class ReachableNode(Node):
    """A node that is reached, and reaches others, by public keys; `open_reachable_node` makes it.

    Args:
        local: Where to bind.
        make_switchboard: See `Node`.
        make_config: Makes the traversal's options, of the rendezvous server's address, our own inside address, the question
            who may be shown ours, and the time.
        rendezvous: Where the rendezvous server is.
        introduce: Is asked who may be shown our address; None: those who may enter.
        options: See `Node`.
    """

    def __init__(
        self,
        local: Address,
        make_switchboard: MakeSwitchboard,
        make_config: MakeConfig,
        rendezvous: Address,
        introduce: MayIntroduce | None,
        **options: Any,
    ) -> None:
        check_address(rendezvous)
        check_callable("introduce", introduce, optional=True)
        super().__init__(local, make_switchboard, **options)
        self._introduce = introduce
        self._make_config = make_config
        self._rendezvous = rendezvous
        self._searches: dict[bytes, asyncio.Future[Address]] = {}
        self._traversal_timer: asyncio.TimerHandle | None = None
        self._traversal: Traversal | None = None

    @property
    def outside(self) -> Address | None:
        """Where the rendezvous server sees us; None while we are not registered with it."""
        return None if self._traversal is None else self._traversal.outside

    async def start(self) -> None:
        """Bind the socket and register; ``async with`` does it.

        Raises:
            OSError: The address is not ours, or is taken; or the rendezvous server's name is unknown.
            RuntimeError: It was started before.
            ValueError: The rendezvous server's key, or a relay's, has not 32 bytes; or the server cannot be at port 0.
        """
        await super().start()
        try:
            server = unmapped(await super()._resolve(self._rendezvous))
            inside = await self._inside(server)
            may_introduce = partial(self._may_introduce, server)
            config = self._make_config(server, inside, may_introduce, self.now())
        except BaseException:
            self._socket.close()
            raise
        self._traversal = Traversal(config, now=self.now())
        self._socket = RelayingSocket(self._socket, self._traversal.wrap)
        self._on_traversal(self._traversal)

    async def reach(self, public_key: bytes, *, timeout: float = 15.0) -> Peer:
        """Find a peer, and connect to it; if there is a connection already, that is it.

        Args:
            public_key: Whom to reach.
            timeout: How long to try, in seconds.

        Raises:
            TraversalError: There is no way; the subclass says why.
            HandshakeError: There is a way, but the peer does not want us or does not answer.
            ConnectionClosed: The two sides' channels differ, or the node is being closed.
            TypeError: The key or the timeout is of another kind.
            ValueError: This is no public key, or our own.
        """
        check_kind("public_key", public_key, bytes)
        check_kind("timeout", timeout, int, float)
        if self._traversal is None or self._closing:
            raise ClosedLocally("the node is not open")
        for peer in self.peers:
            if peer.public_key == public_key and not peer.is_closing:
                return peer
        deadline = self.now() + timeout
        search = self._searches.get(public_key)
        if search is None:
            self._traversal.ask(public_key, self.now())
            search = self._searches[public_key] = self._loop.create_future()
            self._on_traversal(self._traversal)
        try:
            async with asyncio.timeout(timeout):
                address = await asyncio.shield(search)
        except TimeoutError as error:
            if isinstance(error, TraversalTimeout):
                raise
            raise TraversalTimeout(f"no way to the peer {print_key(public_key)} was found within {timeout} s") from None
        return await self.connect(address, expect=public_key, timeout=deadline - self.now())

    # ---- between the socket, the node and the traversal

    # --8<-- [start:receive]
    def _receive(self, datagrams: list[bytes], address: Address) -> None:
        """Rule 1."""
        ours = [datagram for datagram in datagrams if Kind.REQUEST <= datagram[0] < PROTECTED]
        others = (
            [datagram for datagram in datagrams if not Kind.REQUEST <= datagram[0] < PROTECTED] if ours else datagrams
        )
        if others:
            super()._receive(others, address)
        if ours and self._traversal is not None:
            now = self.now()
            for datagram in ours:
                self._traversal.receive(datagram, unmapped(address), now)
            self._on_traversal(self._traversal)

    def _on_traversal(self, traversal: Traversal) -> None:
        """Do what the traversal has to do, pass on what it says, and set its timer."""
        traversal.on_time(self.now())
        for event in traversal.take_events():
            if isinstance(event, Relayed):
                if event.datagram:
                    super()._receive([event.datagram], event.address)  # rule 2
            else:
                self._on_search_ended(event)  # also by the peer's own search for us: its way is ours
        for datagram, address in traversal.take_datagrams():
            self._socket.send((datagram,), address)
        if self._traversal_timer is not None:
            self._traversal_timer.cancel()
        pause = max(GRAIN, traversal.next_timeout - self.now())
        self._traversal_timer = self._loop.call_later(pause, self._on_traversal, traversal)

    # --8<-- [end:receive]

    def _on_connected(self, line: Line, dial: Dial | None) -> None:
        """Whom we search for may have found us: that is a way, too, and another connection would end this one."""
        super()._on_connected(line, dial)
        self._on_search_ended(Found(line.public_key, line.address, asked=True))

    def _on_search_ended(self, event: Found | NotFound) -> None:
        search = self._searches.pop(event.public_key, None)
        if search is None or search.done():
            return
        if isinstance(event, Found):
            search.set_result(event.address)
        else:
            search.set_exception(event.error)
            search.exception()  # it counts as heard, even if whoever asked has gone

    async def _resolve(self, address: Address) -> Address:
        return await super()._resolve(address) if address[1] else address  # rule 2

    async def _inside(self, server: Address) -> Address:
        """Our own address on the way to the server; nothing is sent to learn it."""
        host, port = self.address
        if host in ("0.0.0.0", "::"):  # noqa: S104  # as the system says it
            transport, _ = await self._loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=server)
            host, _ = normal_address(transport.get_extra_info("sockname"))
            transport.close()
        return unmapped((host, port))

    def _may_introduce(self, server: Address, public_key: bytes) -> bool:
        """Rule 4."""
        if (introduce := self._introduce) is None:
            return self._may_enter(public_key, server)
        return consents(self._loop, "introduce", lambda: introduce(public_key), f"the peer {print_key(public_key)}")

    def _stop(self) -> None:
        super()._stop()
        if self._traversal_timer is not None:
            self._traversal_timer.cancel()
        for search in self._searches.values():
            if not search.done():
                search.set_exception(ClosedLocally("the node was closed"))
                search.exception()


def open_reachable_node(
    local: Address = ANYWHERE,
    *,
    rendezvous: Address,
    rendezvous_key: bytes,
    identity: Identity | None = None,
    accept: Accept | None = None,
    introduce: MayIntroduce | None = None,
    relays: tuple[bytes, ...] | None = None,
    relayed: bool = True,
    make_relay: Callable[[float], Relay] | None = None,
    psk: bytes | None = None,
    config: ConnectionConfig | None = None,
    max_peers: int = MAX_PEERS,
    backlog: int = BACKLOG,
    trace: Trace | None = None,
) -> ReachableNode:
    """A node like `sleepy.udp.nodes.secure_node.open_node`'s, which can be reached behind NATs, and reaches others.

    Args:
        local: Where to bind, as (host, port); an empty host for all interfaces, port 0 for any.
        rendezvous: Where the rendezvous server is (`sleepy.udp.rendezvous`), as (host, port).
        rendezvous_key: Its public key, 32 bytes.
        identity: Who we are; None for a new identity that lasts as long as the node.
        accept: Is asked who may enter, with the peer's public key and its address, both proved. None: all may.
        introduce: Is asked who may learn our address, with the public key. None: those whom ``accept`` lets in, asked with
            the rendezvous server's address, since theirs is not proved yet.
        relays: Public keys of those whom we ask to relay if there is no other way. None: the server; empty: nobody.
        relayed: Whether others may reach us by way of a relay.
        make_relay: Makes, of the time, what we lend to others. None: nothing.
        psk: The key of a closed group, 32 bytes: who does not have it gets nowhere.
        config: The options of connections; the channels must be the same on both sides.
        max_peers: How many peers there may be before others are refused; those that we dial are not counted against it.
        backlog: How many of them the program need not have looked at.
        trace: Is told what happens; None for nobody.

    Raises:
        TypeError: An option is of another kind.
        ValueError: ``psk`` has not 32 bytes.
    """
    check_kind("config", config, ConnectionConfig, NoneType)
    check_kind("rendezvous_key", rendezvous_key, bytes)
    check_kind("relays", relays, tuple, NoneType)
    check_callable("make_relay", make_relay, optional=True)
    for number, key in enumerate(relays or ()):
        check_kind(f"item {number} of relays", key, bytes)
    connections = config or ConnectionConfig()
    handshake = HandshakeConfig(identity=identity or Identity.generate(), psk=psk, parameters=connections.parameters())

    def make_config(server: Address, inside: Address, may_introduce: MayIntroduce, now: float) -> TraversalConfig:
        return TraversalConfig(
            identity=handshake.identity,
            server=server,
            server_key=rendezvous_key,
            inside=(inside,),
            accept=may_introduce,
            relays=relays,
            relayed=relayed,
            relay=None if make_relay is None else make_relay(now),
        )

    return ReachableNode(
        local,
        lambda now, may_enter: SecureSwitchboard(handshake, connections, now=now, accept=may_enter),
        make_config,
        rendezvous,
        introduce,
        accept=accept,
        max_peers=max_peers,
        backlog=backlog,
        trace=trace,
    )
