"""Switchboards on a network without sockets: what the tests of both kinds of them have in common."""

import heapq
import random
from collections.abc import Callable, Iterable
from itertools import count
from math import inf
from typing import Any

from sleepy.udp.address import Address
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.nodes.plain_switchboard import PlainSwitchboard
from sleepy.udp.nodes.secure_switchboard import SecureSwitchboard
from sleepy.udp.nodes.switchboard import Connected, Dial, DialFailed, Line, Switchboard
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.session import HandshakeConfig

ALICE, BOB, EVE = ("10.0.0.1", 1111), ("10.0.0.2", 2222), ("10.6.6.6", 666)
DELAY = 0.01

Tamper = Callable[[bytes, Address, Address], Iterable[tuple[float, bytes]]]  # what arrives of a datagram, and how late


def secure(
    seed: int, now: float = 0.0, *, life: int = 1, config: ConnectionConfig | None = None, **options: Any
) -> SecureSwitchboard:
    """A switchboard whose identity follows from the seed; in each life it draws other keys and ids."""
    identity = Identity.generate(random.Random(seed).randbytes)
    randoms = random.Random(f"{seed} {life}").randbytes
    connections = config or ConnectionConfig(random_bytes=randoms)
    handshake = HandshakeConfig(identity=identity, random_bytes=randoms, parameters=connections.parameters())
    return SecureSwitchboard(handshake, connections, now=now, **options)


def plain(seed: int, **options: Any) -> PlainSwitchboard:
    return PlainSwitchboard(ConnectionConfig(random_bytes=random.Random(seed).randbytes), **options)


def key(seed: int) -> bytes:
    """The public key of `secure`."""
    return Identity.generate(random.Random(seed).randbytes).public_key


class Exchange:
    """Carries datagrams between switchboards, each after 10 ms; time is virtual.

    Attributes:
        now: The time.
        boards: The switchboards by address.
        aliases: Where a board's datagrams seem to come from, for some destinations: (from, to) -> seen as.
        sent: All datagrams that were sent: (time, from, to, datagram).
        events: What each board has told, but for the lines' own news.
    """

    def __init__(self, **boards: Switchboard) -> None:
        self.now = 0.0
        self.boards: dict[Address, Switchboard] = {}
        self.aliases: dict[tuple[Address, Address], Address] = {}
        self.sent: list[tuple[float, Address, Address, bytes]] = []
        self.events: dict[Address, list[Connected | DialFailed]] = {}
        self.closed: dict[Line, BaseException] = {}
        self.tamper: Tamper = lambda datagram, _here, _there: [(0.0, datagram)]
        self._agenda: list[tuple[float, int, Address, Address, bytes]] = []
        self._order = count()
        for name, board in boards.items():
            self.join({"alice": ALICE, "bob": BOB, "eve": EVE}[name], board)

    def join(self, address: Address, board: Switchboard) -> None:
        self.boards[address] = board
        self.events[address] = []

    def post(self, here: Address, there: Address, datagram: bytes, delay: float = DELAY) -> None:
        """Put a datagram on its way, whoever wrote it."""
        heapq.heappush(self._agenda, (self.now + delay, next(self._order), here, there, datagram))

    def flush(self, address: Address) -> None:
        board = self.boards[address]
        for there, datagrams in board.flush(self.now):
            for datagram in datagrams:
                self.sent.append((self.now, address, there, datagram))
                for late, copy in self.tamper(datagram, address, there):
                    self.post(address, there, copy, DELAY + late)
        for event in board.take_events():
            if isinstance(event, Connected | DialFailed):
                self.events[address].append(event)
            else:
                for news in event.events:
                    if hasattr(news, "error"):
                        self.closed[event.line] = news.error

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        for address in self.boards:
            self.flush(address)
        while True:
            arrival = self._agenda[0][0] if self._agenda else inf
            wake, sleeper = min((board.next_wakeup, address) for address, board in self.boards.items())
            when = max(self.now, min(arrival, wake))
            if when > end:
                break
            self.now = when
            if arrival <= when:
                _, _, here, there, datagram = heapq.heappop(self._agenda)
                sender = self.aliases.get((here, there), here)
                target = next((real for (real, _), alias in self.aliases.items() if alias == there), there)
                if target in self.boards:
                    self.boards[target].receive([datagram], sender, self.now)
                    self.flush(target)
            else:
                self.flush(sleeper)
        self.now = end

    def connected(self, address: Address) -> list[Connected]:
        return [event for event in self.events[address] if isinstance(event, Connected)]

    def failures(self, address: Address) -> list[DialFailed]:
        return [event for event in self.events[address] if isinstance(event, DialFailed)]

    def dial(self, here: Address, there: Address, **options: Any) -> Dial:
        return self.boards[here].dial(there, self.now, **({"timeout": 5.0} | options))

    def talk(self, one: Line, two: Line) -> None:
        """Each hears the other."""
        for line in (one, two):
            line.connection.send(b"hello from " + repr(line.dialled).encode())
            for board in self.boards.values():
                if line in board.lines():
                    board.touch(line)
        self.run(10)
        assert one.connection.read() == b"hello from " + repr(two.dialled).encode()
        assert two.connection.read() == b"hello from " + repr(one.dialled).encode()

    def bytes_between(self, here: Address, there: Address) -> int:
        return sum(len(datagram) for _, one, two, datagram in self.sent if (one, two) == (here, there))
