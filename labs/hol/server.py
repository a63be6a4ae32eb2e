"""The server of the experiment: ``python -m labs.hol.server BASE``.

It listens on a port for each contender, takes as long over each request as the request says, and answers with a body of the
scenario's size, which fits one segment. Nothing is decided here; see `labs.hol.schedule`.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from labs.hol.schedule import parse_target
from labs.meeting import POLL, Meeting, MeetingError, Order, meetings
from sleepy import tcp


def main() -> int:
    """Serve every run called under the folder named on the command line."""
    for meeting in meetings(Path(sys.argv[1])):
        try:
            with meeting.attend("server"):
                asyncio.run(serve(meeting))
        except MeetingError as error:
            print(f"server: {error}", file=sys.stderr)
    return 0


async def serve(meeting: Meeting) -> None:
    """Serve one run, until its client has done.

    Raises:
        OSError: A port is taken; the message says which.
    """
    async with serving(meeting.order):
        meeting.say("server.ready")
        while meeting.heard("client.done") is None:  # noqa: ASYNC110  # another process says it
            await asyncio.sleep(POLL)


@asynccontextmanager
async def serving(order: Order) -> AsyncGenerator[None]:
    """Listen where the order says, and answer.

    Raises:
        OSError: A port is taken; the message says which.
    """
    body = b"z" * int(order.scenario.figures["body"])

    async def answer(request: tcp.Request) -> tcp.Response:
        try:
            target = parse_target(request.target)
        except ValueError as error:
            return tcp.Response(404, f"{error}\n".encode())
        await asyncio.sleep(target.wait)
        return tcp.Response(200, body, {"x-request": str(target.index)})

    async with AsyncExitStack() as stack:
        for host, port in order.listen.values():
            await stack.enter_async_context(tcp.Server(answer, host, port, clock=None))
        yield


if __name__ == "__main__":
    sys.exit(main())
