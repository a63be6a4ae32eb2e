"""The router of a world without a network: passes streams on between client and server on 127.0.0.1, late.

``python -m labs.relay BASE`` attends every run called under ``BASE`` (see `labs.meeting`) in the router's place. What it
can do is what a stream allows: delay, ordered jitter, a rate. What it cannot show is anything that needs a packet to be
missing, for TCP on either side of a relay never misses one.

Rules:

1. A connection costs what a handshake costs. The client's kernel believes itself connected at once; so what it sends is
   held until SYN and SYN+ACK would have crossed.
2. Pieces leave in the order they came.
"""

import asyncio
import selectors
import sys
import time
from collections import deque
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

from labs.ledger import Address, Segment, Side, Way
from labs.meeting import POLL, Meeting, MeetingError, Order, meetings
from sleepy.sim import Carrier

CLIENT, SERVER = "10.77.1.2", "10.77.2.2"  # the addresses in the made-up headers
_CHUNK = 1 << 16
_PATIENCE = 10.0  # seconds to wait for connections to end when the client has done


class _Stream:
    """One direction of one connection: what comes out of ``source`` crosses the link and goes into ``sink``."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._under_way: deque[tuple[Segment, asyncio.StreamWriter | None]] = deque()
        self._empty = asyncio.Event()

    async def cross(self, flags: str, data: bytes = b"", sink: asyncio.StreamWriter | None = None) -> None:
        """Send something, and wait until all of it has crossed."""
        self.send(flags, data, sink)
        await self._empty.wait()

    def send(self, flags: str, data: bytes = b"", sink: asyncio.StreamWriter | None = None) -> None:
        """Send something; it goes into ``sink`` when it has crossed."""
        loop = asyncio.get_running_loop()
        for arrival, segment in self._way.enter(time.time(), flags, data):
            self._under_way.append((segment, sink))
            self._empty.clear()
            loop.call_later(arrival - time.time(), self._arrive)

    async def pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass on all there is, and then the end."""
        while data := await source.read(_CHUNK):
            self.send("PA", data, sink)
        await self.cross("FA", sink=sink)

    def _arrive(self) -> None:
        segment, sink = self._under_way.popleft()  # rule 2: timers of the same time may fire in any order
        self._way.leave(time.time(), segment)
        if sink and segment.payload:
            sink.write(segment.payload)
        elif sink and not sink.is_closing():
            sink.write_eof()
        if not self._under_way:
            self._empty.set()


class Relay:
    """The relay of one contender's port.

    Args:
        listen: The server's real address.
        port: The server's port in the captures.
        up: The link to the server.
        down: The link to the client.
        left: The capture on the client's side.
        right: The capture on the server's side.
    """

    def __init__(self, listen: Address, port: int, up: Carrier, down: Carrier, left: Side, right: Side) -> None:
        self._listen, self._server = listen, (SERVER, port)
        self._up, self._down = up, down
        self._left, self._right = left, right
        self.connections: set[asyncio.Task[Any]] = set()

    async def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keep one connection of the client's."""
        client = (CLIENT, int(writer.get_extra_info("peername")[1]))
        up = _Stream(Way(self._up, self._left, self._right, client, self._server))
        down = _Stream(Way(self._down, self._right, self._left, self._server, client))
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self.connections.add(task)
        try:
            await up.cross("S")  # rule 1
            server_reader, server_writer = await asyncio.open_connection(*self._listen)
            async with asyncio.TaskGroup() as both:
                await down.cross("SA")
                up.send("A")
                both.create_task(up.pump(reader, server_writer))
                both.create_task(down.pump(server_reader, writer))
            server_writer.close()
        except* OSError as errors:  # a side broke off: so do we
            print(f"relay: port {self._server[1]}: {errors.exceptions[0]}", file=sys.stderr)
        finally:
            self.connections.discard(task)
            writer.close()


async def attend(meeting: Meeting) -> None:
    """Be the relay of one run."""
    order = meeting.order
    left, right = Side(), Side()
    async with AsyncExitStack() as stack:
        relays = [_relay(order, contender, left, right) for contender in order.ports]
        for relay, address in zip(relays, order.dial.values(), strict=True):
            await stack.enter_async_context(await asyncio.start_server(relay.welcome, *address))
        meeting.say("router.ready", impairment="relay")
        while meeting.heard("client.done") is None:  # noqa: ASYNC110 - it is another process that says so
            await asyncio.sleep(POLL)
        if connections := [task for relay in relays for task in relay.connections]:
            await asyncio.wait(connections, timeout=_PATIENCE)
    for side, name in ((left, "left"), (right, "right")):
        side.write(meeting.folder / f"{name}.pcap")
    meeting.say("router.done", left=len(left.packets), right=len(right.packets))


def _relay(order: Order, contender: str, left: Side, right: Side) -> Relay:
    up = order.scenario.to_server.start(f"{order.seed} to server")
    down = order.scenario.to_client.start(f"{order.seed} to client")
    return Relay(order.listen[contender], order.ports[contender], up, down, left, right)


def _precise_loop() -> asyncio.AbstractEventLoop:
    """Timers to the microsecond: epoll counts in whole milliseconds, which is a lot on a link of a few; select is finer."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def main() -> int:
    """Attend every run."""
    for meeting in meetings(Path(sys.argv[1])):
        try:
            with meeting.attend("router"), asyncio.Runner(loop_factory=_precise_loop) as runner:
                runner.run(attend(meeting))
        except MeetingError as error:
            print(f"relay: {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
