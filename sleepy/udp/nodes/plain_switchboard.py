"""The switchboard of the plain mode, in which everybody believes everybody.

A peer is its address, and whoever says hello is one. So anybody who can invent addresses can fill such a node up, and
anybody who sees the packets can speak for others: the plain mode is for lessons, captures, and networks on which one
is alone.

Rules:

1. Both sides make a connection and say hello, so it does not matter who began; two who dial each other have one
   connection.
2. A connection counts as soon as we have heard the peer's hello (`Established`). A dial that hears none within its time is
   given up. Who said hello and is not there is gone after the idle timeout.
"""

from collections.abc import Callable, Sequence
from math import inf

from sleepy.udp.address import Address
from sleepy.udp.connections.connection import Connection
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.connection_errors import ClosedLocally, TimedOut
from sleepy.udp.connections.connection_events import Closed, Established, Event
from sleepy.udp.connections.plain import PlainPackets, begins
from sleepy.udp.nodes.switchboard import Dial, Line, Switchboard
from sleepy.udp.nodes.wakeups import Wakeups


class PlainSwitchboard(Switchboard):
    """Lines that begin with a hello.

    Args:
        config: The options of connections.
        accept: Is asked who may call us, with an empty key and the address.
    """

    def __init__(self, config: ConnectionConfig, *, accept: Callable[[bytes, Address], bool] | None = None) -> None:
        super().__init__()
        self._config = config
        self._accept = accept
        self._lines: dict[Address, Line] = {}
        self._opening: dict[Line, Dial | None] = {}  # not established, and whose aim that is
        self._deadlines: Wakeups[Dial] = Wakeups()

    def __len__(self) -> int:
        return len(self._lines)

    def lines(self) -> list[Line]:
        """All lines."""
        return list(self._lines.values())

    def dial(self, address: Address, now: float, *, timeout: float, expect: bytes | None = None) -> Dial:
        """Call a peer; there must be no other dial to its address, nor a line that is established.

        Raises:
            ValueError: ``expect`` is given: nobody can prove a key here.
        """
        if expect is not None:
            raise ValueError("expect is of no use in plain mode, where nobody proves who he is; use open_node()")
        dial = Dial(address, None)
        line = self._open(address, now, dialled=True)
        self._opening[line] = dial
        self._deadlines.set(dial, now + timeout)
        return dial

    def hang_up(self, dial: Dial) -> None:
        """Nobody waits for this dial any more; the half-open connection ends."""
        line = self._lines.get(dial.address)
        if line is not None and self._opening.get(line) is dial:
            self._opening[line] = None
            self._deadlines.set(dial, inf)
            line.connection.abort(ClosedLocally("the dial was given up"))
            self.touch(line)

    def _open(self, address: Address, now: float, *, dialled: bool) -> Line:
        connection = Connection(PlainPackets(), address, self._config, now=now)
        line = Line(connection, address, public_key=b"", dialled=dialled, since=now)
        if (old := self._lines.get(address)) is not None:
            old.connection.abort(ClosedLocally("we called the peer again"))
            self.touch(old)
        self._lines[address] = line
        self._opening[line] = None
        self.touch(line)
        return line

    def _find(self, datagram: bytes, address: Address) -> Line | None:  # noqa: ARG002  # without ids, only this counts
        return self._lines.get(address)

    def _receive_stranger(self, datagram: bytes, address: Address, now: float) -> None:
        if begins(datagram) and (self._accept is None or self._accept(b"", address)):
            self._open(address, now, dialled=False).connection.receive(datagram, address, now)

    def _on_time(self, now: float) -> None:
        while (dial := self._deadlines.pop(now)) is not None:
            line = self._lines[dial.address]
            line.connection.abort(TimedOut("no answer to our hello: is the peer there, and UDP let through?"))  # rule 2
            self.touch(line)

    def _next_timeout(self) -> float:
        return self._deadlines.next_time

    def _on_events(self, line: Line, events: Sequence[Event]) -> None:
        for event in events:
            if line not in self._opening:
                break
            if isinstance(event, Established | Closed):
                dial = self._opening.pop(line)
                if dial is not None:
                    self._deadlines.set(dial, inf)
                if isinstance(event, Established):  # rule 2
                    self._connected(line, dial)
                elif dial is not None:
                    self._failed(dial, event.error)
        super()._on_events(line, events)

    def _forget(self, line: Line) -> None:
        super()._forget(line)
        self._opening.pop(line, None)
        if self._lines.get(line.address) is line:
            del self._lines[line.address]
