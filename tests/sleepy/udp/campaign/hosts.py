"""One of the two hosts of a node's world: it dials or waits to be called, is killed and started anew, and stands still."""

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any, Final

from sleepy import sim
from sleepy.udp.address import Address
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.connection_errors import ClosedLocally, ConnectionClosed, TimedOut
from sleepy.udp.nodes.node import LEAVING, Node
from sleepy.udp.nodes.peer import Peer
from sleepy.udp.nodes.plain_switchboard import PlainSwitchboard
from sleepy.udp.nodes.secure_switchboard import SecureSwitchboard
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.session import HandshakeConfig, HandshakeError, HandshakeTimeout, Refused, WrongKey
from tests.sleepy.udp.campaign.chatter import Chat
from tests.sleepy.udp.campaign.ledger import Ledger, Voice
from tests.sleepy.udp.campaign.limits import excesses, leftovers, node_excesses

SLACK: Final = 0.01  # seconds
MOST_TURNS: Final = 60_000  # of one node: whoever needs more does not rest
SOCKET_BUFFER: Final = 300  # datagrams that come in while the host stands still
MOST_PEERS: Final = 10
STRANGER: Final = bytes(Identity(b"\x07" * 32).public_key)


class Side:
    """A host and its program.

    Args:
        host: The simulated host.
        port: Where its node listens.
        identity: Who it is, in all its lives; None in plain mode.
        config: The options of connections.
        ledger: Is told.
        random: The source of chance.

    Attributes:
        target: Whom to dial; None for nobody.
        calm: Whether to do nothing odd any more.
        leaving: Whether it dials nobody any more.
        lives: How often it was started.
        ends: When each of its lives ended, and its node left or was killed, in seconds.
        dialled: When it last began to dial, in seconds.
        chats: Its conversations of this life.
        node: Its node.
    """

    def __init__(
        self,
        host: sim.Host,
        port: int,
        identity: Identity | None,
        config: ConnectionConfig,
        ledger: Ledger,
        random: Random,
    ) -> None:
        self.host = host
        self.name = host.name
        self.port = port
        self.target: Address | None = None
        self.calm = self.leaving = False
        self.lives = 0
        self.ends: list[float] = []
        self.dialled = -1.0
        self.chats: list[Chat] = []
        self.node: Node
        self._identity = identity
        self._config = config
        self._ledger = ledger
        self._random = random
        self._tasks: set[asyncio.Task[Any]] = set()
        self._awake = asyncio.Event()
        self._awake.set()
        self._missed: list[tuple[list[bytes], Address]] = []
        self._due = {"flush": False, "timer": False}
        self._turns = 0

    # ---- lives

    async def begin(self) -> None:
        """Start a node, on the host."""
        self.lives += 1
        self.chats = []
        self.node = node = self._make_node()
        receive, flush, on_timer = node._receive, node._flush, node._on_timer
        node._receive = lambda *args: self._on_receive(receive, *args)  # type: ignore[method-assign]
        node._flush = lambda: self._on_turn("flush", flush)  # type: ignore[method-assign]
        node._on_timer = lambda: self._on_turn("timer", on_timer)  # type: ignore[method-assign]
        self._handlers = receive, flush, on_timer
        await node.start()
        self._ledger.note("life", host=self.name, number=self.lives)
        self._spawn(self._accept(node))
        if self.target is not None:
            self._spawn(self._dial(node, self.target))

    def _make_node(self) -> Node:
        random_bytes, identity, config = Random(self._random.random()).randbytes, self._identity, self._config
        if identity is None:
            return Node(("", self.port), lambda _, may: PlainSwitchboard(config, accept=may))
        handshake = HandshakeConfig(identity=identity, parameters=config.parameters(), random_bytes=random_bytes)
        return Node(("", self.port), lambda now, may: SecureSwitchboard(handshake, config, now=now, accept=may))

    def _spawn(self, program: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(program)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def kill(self) -> None:
        """The process dies, and says nothing."""
        self.ends.append(self._ledger.now())
        await self.wake()
        for chat in self.chats:
            if not chat.voice.over:
                chat.voice.over = chat.voice.killed = True
        others = [*self._tasks, *(task for chat in self.chats for task in chat.tasks)]
        self.node._stop()
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self._check_closed()

    async def leave(self, drain: float) -> None:
        """The program closes its node, and ends."""
        self.ends.append(self._ledger.now())
        await self.awake()
        for chat in self.chats:
            chat.voice.closing = True
        begin = self._ledger.now()
        await self.node.close(drain=drain)
        took = self._ledger.now() - begin
        self._ledger.check(took <= drain + LEAVING + SLACK, f"close(drain={drain}) of {self.name} took {took} s")
        while self._tasks:
            await asyncio.wait(self._tasks, timeout=30)
            if self._ledger.now() - begin > 100:
                self._ledger.violate(f"programs of {self.name} do not end after close: {self._tasks}")
                return
        self._check_closed()

    def _check_closed(self) -> None:
        """Nothing is left (rule 8)."""
        for what in leftovers(self.node):
            self._ledger.violate(f"{self.name}: {what}")
        for timer in (self.node._timer, self.node._flush_handle):
            self._ledger.check(timer is None or timer.cancelled(), f"a timer of {self.name} is left: {timer}")

    # ---- standing still

    async def awake(self) -> None:
        """Wait while the host stands still."""
        while not self._awake.is_set():
            await self._awake.wait()

    def pause(self, seconds: float) -> None:
        """The process stands still, as in a debugger; what arrives fills the socket's buffer."""
        if self._awake.is_set():
            self._awake.clear()
            asyncio.get_running_loop().call_later(seconds, self._resume)

    async def wake(self) -> None:
        """Go on at once."""
        if not self._awake.is_set():
            self._resume()

    def _resume(self) -> None:
        if self._awake.is_set():
            return
        self._awake.set()
        receive, flush, on_timer = self._handlers
        missed, self._missed = self._missed, []
        steps: list[Any] = [lambda: [receive(*args) for args in missed]]
        steps += [on_timer] if self._due["timer"] else []
        steps += [flush] if self._due["flush"] else []
        self._due = {"flush": False, "timer": False}
        if self._random.random() < 0.5:  # a loop may look at its clock first
            steps.reverse()
        for step in steps:
            step()

    def _on_receive(self, receive: Any, datagrams: list[bytes], address: Address) -> None:
        if self._awake.is_set():
            receive(datagrams, address)
        elif len(self._missed) < SOCKET_BUFFER:
            self._missed.append((datagrams, address))

    def _on_turn(self, kind: str, turn: Any) -> None:
        if not self._awake.is_set():
            self._due[kind] = True
            return
        turn()
        self._turns += 1
        if self._turns > MOST_TURNS:
            raise RuntimeError(f"{self.name} had {MOST_TURNS} turns: it does not come to rest")
        if self._turns % 8 == 0:
            self._check_limits()

    def _check_limits(self) -> None:
        """Rule 8."""
        for what in node_excesses(self.node, MOST_PEERS):
            self._ledger.violate(f"{self.name}: {what}")
        for line in self.node._board.lines():
            for what in excesses(line.connection, self._config.channels):
                self._ledger.violate(f"{self.name}: {what}")

    # ---- peers

    async def _dial(self, node: Node, target: Address) -> None:
        """Have a connection to the other, whenever there is none."""
        random = self._random
        while not self.leaving:
            await self.awake()
            wrong = self._identity is not None and random.random() < 0.05 and not self.calm
            timeout = random.choice([1.0, 3.0, 8.0]) if self._identity is not None else 8.0
            self.dialled = begin = self._ledger.now()
            try:
                peer = await node.connect(target, expect=STRANGER if wrong else None, timeout=timeout)
            except (HandshakeError, ConnectionClosed) as error:
                self._on_dial_failed(error, wrong=wrong, took=self._ledger.now() - begin, timeout=timeout)
                if isinstance(error, ClosedLocally):
                    return
                await asyncio.sleep(random.choice([0.01, 0.1, 0.5]))
                continue
            self._ledger.check(not wrong, f"{self.name} expected a stranger, and got {peer}")
            await self._meet(peer)

    def _on_dial_failed(self, error: Exception, *, wrong: bool, took: float, timeout: float) -> None:
        """Rule 7, of dials."""
        kind = type(error)
        self._ledger.outcomes[f"dial: {kind.__name__}"] += 1
        self._ledger.note("dial failed", host=self.name, error=repr(error))
        allowed = {HandshakeTimeout, TimedOut, ClosedLocally, WrongKey if wrong else HandshakeTimeout}
        if kind is Refused:
            return  # the other is about to leave; the world knows whether that is so
        self._ledger.check(kind in allowed, f"a dial of {self.name} ended with {error!r}")
        if not self._ledger.faults["pause"]:
            self._ledger.check(took <= timeout + SLACK, f"a dial of {timeout} s took {took} s")

    async def _accept(self, node: Node) -> None:
        async for peer in node:
            self._spawn(self._meet(peer))

    async def _meet(self, peer: Peer) -> None:
        """Talk to a peer until it is gone."""
        if any(chat.peer is peer for chat in self.chats):
            await peer.wait_closed()
            return
        voice = self._ledger.voice(self.name)
        voice.closing = self.node._closing
        chat = Chat(self, peer, voice, self._ledger, self._config, Random(self._random.random()))
        self.chats.append(chat)
        await chat.talk()
        await peer.wait_closed()
        voice.error, voice.over = peer.error, True
        self._ledger.outcomes[f"end: {type(peer.error).__name__}"] += 1
        self._ledger.note("end", voice=voice.number, error=repr(peer.error))

    @property
    def live(self) -> list[Chat]:
        """The conversations that go on."""
        return [chat for chat in self.chats if not chat.voice.over and not chat.peer.is_closing]

    async def hang_up(self, chat: Chat, drain: float) -> None:
        """The program closes a peer (rule 4)."""
        await self.awake()
        voice = chat.voice
        voice.closing = True
        begin = self._ledger.now()
        await chat.peer.close(farewell(voice), code=voice.number, drain=drain)
        took = self._ledger.now() - begin
        voice.drained = isinstance(chat.peer.error, ClosedLocally) and took < drain - SLACK


def farewell(voice: Voice) -> str:
    """What a voice says when it closes."""
    return f"voice {voice.number}"
