"""A node: one socket, many peers, on asyncio.

Everything that can be decided without waiting is decided elsewhere: what arrives and who is to speak in
`sleepy.udp.nodes.switchboard`, how datagrams get through the system in `sleepy.udp.nodes.batch`, how a program waits for a
peer in `sleepy.udp.nodes.peer`. What is left is to bring them together, and to keep time.

Rules:

1. There are no tasks, and one timer. Whatever happens in a turn of the loop (datagrams, calls of the program) only
   marks the peers it concerns, and wakes the program's tasks; at the end of the turn, when these had theirs, all of the
   peers are asked once what they have to send.
2. The timer is set for the earliest of all peers, and not earlier than `GRAIN` from now. Loops wait in whole milliseconds:
   asyncio rounds up, uvloop to the nearest, and would spin if it was asked for less than half of one. What should have left
   meanwhile leaves then; that is allowed for (`sleepy.udp.path.pacing`).
3. While the system's send buffer is full nobody is asked to send.
4. Who knocks is asked for proof first (`sleepy.udp.security.listener`); then there must be room: for `max_peers` peers, and
   for `backlog` of those that the program has not looked at yet. Else they are refused, and learn it.
5. Dialling an address where there is a peer already brings that peer. Two who dial each other become one connection.
6. Closing tells all peers, after what was sent has arrived, or the drain's time is over. It ends in any case.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count
from math import inf
from types import NoneType, TracebackType
from typing import Final, Self

from sleepy.errors import SleepyError
from sleepy.trace import Trace, Value
from sleepy.udp.address import Address, check_address, in_words
from sleepy.udp.connections import connection_events
from sleepy.udp.connections.connection_errors import ClosedLocally, TimedOut
from sleepy.udp.kinds import check_callable, check_kind
from sleepy.udp.nodes.batch import DatagramSocket, SocketCounters, open_socket, resolve
from sleepy.udp.nodes.consent import consents
from sleepy.udp.nodes.peer import Peer
from sleepy.udp.nodes.switchboard import Connected, Dial, DialFailed, Line, Switchboard
from sleepy.udp.nodes.turnstile import Turnstile

GRAIN: Final = 0.0006  # seconds (rule 2)
DRAIN: Final = 5.0  # seconds (rule 6)
LEAVING: Final = 2.0  # seconds for saying that we leave, after the drain
MAX_PEERS: Final = 16_384
BACKLOG: Final = 1_024

Accept = Callable[[bytes, Address], bool]
MakeSwitchboard = Callable[[float, Accept], Switchboard]


class Node:
    """One socket, many peers; `sleepy.udp.open_node` and `sleepy.udp.open_plain_node` make these.

    Use it as a context manager, which binds the socket and closes it (without a drain, if an error leaves it); as an
    asynchronous iterator it gives the peers that have connected to us.

    Args:
        local: Where to bind, as (host, port); an empty host for all interfaces, port 0 for any.
        make_switchboard: Makes it, of the time and of the question who may enter.
        accept: Is asked who may enter, with the key (empty in plain mode) and the address, both proved. None: all may.
        max_peers: How many peers there may be before others are refused; those that we dial are not counted against it.
        backlog: How many of them the program need not have looked at.
        trace: Is told what happens; None for nobody.
    """

    def __init__(
        self,
        local: Address,
        make_switchboard: MakeSwitchboard,
        *,
        accept: Accept | None = None,
        max_peers: int = MAX_PEERS,
        backlog: int = BACKLOG,
        trace: Trace | None = None,
    ) -> None:
        check_address(local)
        check_kind("max_peers", max_peers, int)
        check_kind("backlog", backlog, int)
        check_callable("accept", accept, optional=True)
        check_callable("trace", trace, optional=True)
        self._local = local
        self._make_switchboard = make_switchboard
        self._accept = accept
        self._max_peers = max_peers
        self._max_backlog = backlog
        self._trace = trace
        self._numbers = count(1)
        self._peers: dict[Line, tuple[Peer, int]] = {}
        self._backlog: dict[Peer, None] = {}
        self._accepting = Turnstile()
        self._calls: dict[Address, asyncio.Future[Peer]] = {}
        self._dials: dict[Dial, tuple[asyncio.Future[Peer], int]] = {}
        self._flush_handle: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_time = inf
        self._empty: asyncio.Event | None = None
        self._closing = self._stopped = False
        self._loop: asyncio.AbstractEventLoop
        self._socket: DatagramSocket
        self._clock: Callable[[], float]
        self._board: Switchboard

    def __repr__(self) -> str:
        started = hasattr(self, "_socket")
        where = in_words(self.address if started else self._local)
        return f"<Node {where} {len(self._peers)} peers{', closing' if self._closing else ''}>"

    # ---- its life

    async def start(self) -> None:
        """Bind the socket; ``async with`` does it.

        Raises:
            OSError: The address is not ours, or is taken.
            RuntimeError: It was started before.
        """
        if hasattr(self, "_loop"):
            raise RuntimeError("this node was started before; make another one")
        self._loop = asyncio.get_running_loop()
        self._socket = await open_socket(*self._local, self._receive, self._schedule)
        self._clock = self._socket.clock
        self._board = self._make_switchboard(self._clock(), self._may_enter)

    async def close(self, *, drain: float = DRAIN) -> None:
        """Leave all peers and close the socket (rule 6).

        Args:
            drain: How many seconds what was sent may take to arrive. With 0 what is queued is dropped.
        """
        if not hasattr(self, "_socket"):
            return
        try:
            if not self._closing:
                self._closing = True
                self._leave_all(drain)
            if self._peers or len(self._board):
                self._empty = self._empty or asyncio.Event()
                async with asyncio.timeout(drain + LEAVING):
                    await self._empty.wait()
        except TimeoutError:
            pass
        finally:
            self._stop()

    def _leave_all(self, drain: float) -> None:
        now = self.now()
        for dial, (future, _) in list(self._dials.items()):
            self._board.hang_up(dial)
            if not future.done():
                future.set_exception(ClosedLocally("the node is being closed"))
        self._accepting.wake()
        for line in self._board.lines():
            line.connection.go_away(now, linger=drain)
            self.touch(line)

    def _stop(self) -> None:
        """Nothing happens any more; whoever still waits learns it."""
        self._stopped = True
        self._socket.close()
        for handle in (self._timer, self._flush_handle):
            if handle is not None:
                handle.cancel()
        for line in self._board.lines():
            line.connection.abort(ClosedLocally("the node was closed"))
            self._board.touch(line)
        for _ in self._board.flush(self.now()):
            pass
        self._tell()
        if self._empty is not None:
            self._empty.set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close(drain=DRAIN if error is None else 0.0)

    # ---- for the program

    def _bound(self) -> DatagramSocket:
        """The socket, for those who need one."""
        if not hasattr(self, "_socket"):
            raise RuntimeError("this node has no socket yet: use it in `async with`, or await its start() before")
        return self._socket

    @property
    def address(self) -> Address:
        """Where it is bound, as (host, port)."""
        return self._bound().address

    @property
    def peers(self) -> list[Peer]:
        """All peers we are connected to."""
        return [peer for peer, _ in self._peers.values()]

    @property
    def counters(self) -> SocketCounters:
        """What went through the socket."""
        return self._bound().counters

    async def connect(self, address: Address, *, expect: bytes | None = None, timeout: float = 5.0) -> Peer:
        """Connect to a peer (rule 5).

        Args:
            address: Where it is: host and port.
            expect: Its public key, if you know whom you call: nobody else will do.
            timeout: How long to try, in seconds.

        Raises:
            HandshakeError: The peer does not want us, is somebody else, or does not answer; the subclass says which.
            ConnectionClosed: The two sides' channels differ; the node is being closed; a peer in plain mode does not
                answer.
            OSError: The host's name is unknown, or it has no address that our socket can reach.
            RuntimeError: The node was not started.
            TypeError: An argument is of another kind.
            ValueError: The address or the key cannot be one.
        """
        self._bound()
        check_address(address)
        check_kind("expect", expect, bytes, NoneType)
        check_kind("timeout", timeout, int, float)
        deadline = self.now() + timeout
        try:
            async with asyncio.timeout(timeout):
                where = await self._resolve(address)
                peer = await self._settled(where)
        except TimeoutError:
            raise TimedOut(f"another connection to {address} did not come to its end within {timeout} s") from None
        if self._closing:
            raise ClosedLocally("the node is being closed")
        if peer is not None and expect in {None, peer.public_key}:
            self._backlog.pop(peer, None)
            return peer
        return await self._call(where, expect, deadline)

    async def _settled(self, where: Address) -> Peer | None:
        """The peer at an address, as soon as none is on its way there or about to leave."""
        while True:
            if where in self._calls:
                await asyncio.wait([self._calls[where]])
                continue
            line = self._board.line_to(where)
            if line is None:
                return None
            peer, _ = self._peers[line]
            if not peer.is_closing:
                return peer
            await peer.wait_closed()

    async def _call(self, where: Address, expect: bytes | None, deadline: float) -> Peer:
        now, number = self.now(), next(self._numbers)
        self._record("connection.dialing", connection=number, phase="handshake", address=in_words(where))
        dial = self._board.dial(where, now, timeout=max(0.0, deadline - now), expect=expect)
        future: asyncio.Future[Peer] = self._loop.create_future()
        self._calls[where] = future
        self._dials[dial] = future, number
        self._schedule()
        try:
            return await future
        except asyncio.CancelledError:
            self._board.hang_up(dial)
            if future.done() and not future.cancelled() and future.exception() is None:  # too late, and nobody wants it
                future.result().abandon()
            self._schedule()
            raise
        finally:
            del self._calls[where]
            self._dials.pop(dial, None)

    async def accept(self) -> Peer:
        """The next peer that has connected to us; waits until there is one.

        Raises:
            ClosedLocally: The node is being closed.
            RuntimeError: It was not started.
        """
        self._bound()
        return await self._accepting.until(self._next_peer)

    def _next_peer(self) -> Peer | None:
        if self._closing:
            raise ClosedLocally("the node is being closed")
        if not self._backlog:
            return None
        peer = next(iter(self._backlog))
        del self._backlog[peer]
        return peer

    async def __aiter__(self) -> AsyncIterator[Peer]:
        while True:
            try:
                peer = await self.accept()
            except ClosedLocally:
                return
            yield peer

    async def _resolve(self, address: Address) -> Address:
        mapped = socket.AI_V4MAPPED  # so an IPv6 socket speaks with IPv4 peers, too
        if not address[1]:
            raise ValueError(f"nobody can be at port 0 of {address[0]!r}; ask the peer for its node's address")
        _, resolved = await resolve(*address, family=self._socket.family, flags=mapped)
        return resolved

    # ---- turns

    def now(self) -> float:
        """The time, in seconds."""
        return self._clock()

    def touch(self, line: Line) -> None:
        """A connection may have something to send (rule 1)."""
        self._board.touch(line)
        self._schedule()

    def _schedule(self) -> None:
        if self._flush_handle is None:
            self._flush_handle = self._loop.call_soon(self._flush)

    def _receive(self, datagrams: list[bytes], address: Address) -> None:
        self._board.receive(datagrams, address, self._clock())
        self._tell()  # first: who is woken now has its answer ready when the turn ends (rule 1)
        self._schedule()

    # --8<-- [start:flush]
    def _flush(self) -> None:
        """The end of a turn: send what is to be sent, tell what has happened, and set the timer."""
        self._flush_handle = None
        if self._stopped:
            return
        now = self._clock()
        if not self._socket.blocked:  # rule 3
            for address, datagrams in self._board.flush(now):
                if not self._socket.send(datagrams, address):
                    break
            else:
                self._set_timer(self._board.next_wakeup, now)
        self._tell()

    def _set_timer(self, when: float, now: float) -> None:
        """Rule 2. One that rings too early costs less than one that is set anew with every packet."""
        if when < self._timer_time:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_time = max(when, now + GRAIN)
            self._timer = self._loop.call_later(self._timer_time - now, self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._timer_time = None, inf
        self._flush()

    # --8<-- [end:flush]

    # ---- what has happened

    def _tell(self) -> None:
        for event in self._board.take_events():
            if isinstance(event, Connected):
                self._on_connected(event.line, event.dial)
            elif isinstance(event, DialFailed):
                self._on_failed(event.dial, event.error)
            elif event.line in self._peers:
                peer, number = self._peers[event.line]
                self._trace_events(number, event.events)
                peer.on_events(event.events)
                if event.line.connection.finished or peer.error is not None:
                    del self._peers[event.line]
        if self._empty is not None and not len(self._board):
            self._empty.set()

    def _on_connected(self, line: Line, dial: Dial | None) -> None:
        future, number = self._dials[dial] if dial in self._dials else (None, next(self._numbers))
        if line in self._peers:  # the dial found a peer that had found us
            peer, number = self._peers[line]
            self._backlog.pop(peer, None)
        else:
            peer = Peer(self, line)
            self._peers[line] = peer, number
        name = "connection.accepted" if dial is None else "connection.dialed"
        self._record(name, connection=number, address=in_words(line.address))
        if future is not None and not future.done():
            future.set_result(peer)
        else:
            self._backlog[peer] = None
            self._accepting.wake()

    def _on_failed(self, dial: Dial, error: SleepyError) -> None:
        if dial in self._dials:
            future, number = self._dials[dial]
            self._record("connection.failed", connection=number, error=str(error))
            if not future.done():
                future.set_exception(error)

    def _trace_events(self, number: int, happened: Sequence[connection_events.Event]) -> None:
        if self._trace is None:
            return
        for event in happened:
            if isinstance(event, connection_events.AddressChanged):
                self._record("connection.moved", connection=number, address=in_words(event.address))
            elif isinstance(event, connection_events.Closed):
                self._record("connection.closed", connection=number, reason=str(event.error))

    def _record(self, name: str, **fields: Value) -> None:
        try:
            if self._trace is not None:
                self._trace(name, **fields)
        except Exception as error:  # noqa: BLE001  # a full disk, a closed file: what is traced goes on without
            self._loop.call_exception_handler({"message": f"{name} could not be traced", "exception": error})

    def _may_enter(self, public_key: bytes, address: Address) -> bool:
        """Rule 4."""
        if self._closing or len(self._backlog) >= self._max_backlog or len(self._board) >= self._max_peers:
            return False
        ask, peer = self._accept, f"a peer at {in_words(address)}"
        return ask is None or consents(self._loop, "accept", lambda: ask(public_key, address), peer)
