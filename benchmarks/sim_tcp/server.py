"""Sends as many bytes as it is asked for: ``python -m benchmarks.sim_tcp.server BASE``."""

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from labs.meeting import POLL, Meeting, MeetingError, Order, meetings

TCP_CONGESTION = 13  # linux/tcp.h; the socket module lacks the name on other systems


async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, one transfer."""
    with suppress(OSError, asyncio.CancelledError):
        writer.write(bytes(int(await reader.readline())))
        writer.write_eof()
        await reader.read()
    writer.close()


@asynccontextmanager
async def serving(order: Order) -> AsyncGenerator[None]:
    """Listen, with the congestion control that the scenario names."""
    async with AsyncExitStack() as stack:
        for host, port in order.listen.values():
            server = await stack.enter_async_context(await asyncio.start_server(send, host, port))
            for listener in server.sockets:
                name = str(order.scenario.figures["congestion"]).encode()
                listener.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, name)
        yield


async def serve(meeting: Meeting) -> None:
    async with serving(meeting.order):
        meeting.say("server.ready")
        while meeting.heard("client.done") is None:  # noqa: ASYNC110  # another process says it
            await asyncio.sleep(POLL)


if __name__ == "__main__":
    for called in meetings(Path(sys.argv[1])):
        try:
            with called.attend("server"):
                # Linux remembers a destination's threshold for its next connection. Here each is to stand alone.
                Path("/proc/sys/net/ipv4/tcp_no_metrics_save").write_text("1")
                asyncio.run(serve(called))
        except MeetingError as error:
            print(f"server: {error}", file=sys.stderr)
