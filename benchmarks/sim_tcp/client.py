"""Asks for transfers and times each, from the call to the last byte: ``python -m benchmarks.sim_tcp.client BASE``."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from labs.meeting import Meeting, MeetingError, Order, meetings
from sleepy.trace import Event, Trace


async def play(order: Order, trace: Trace, tell: Callable[[Mapping[str, object]], object]) -> None:
    """Each size as often as the scenario says; each transfer leaves its seconds in the trace."""
    host, port = order.dial["transfers"]
    loop = asyncio.get_running_loop()
    for size, repeats in order.scenario.figures["transfers"]:
        for number in range(repeats):
            start = loop.time()
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"%d\n" % size)
            got = len(await reader.read())
            trace("lab.phase", phase="transfer", size=size, got=got, seconds=loop.time() - start)
            writer.close()
            tell({"done": number + 1, "of": repeats, "phase": f"{size} bytes"})


def _print(told: Mapping[str, object]) -> None:
    print(json.dumps(told), flush=True)


async def ask(meeting: Meeting) -> None:
    for word in ("server.ready", "router.ready"):
        await asyncio.to_thread(meeting.wait, word, 30.0)
    events: list[Event] = []
    await play(meeting.order, Trace("client", time.time, events.append), _print)
    text = "".join(event.to_json() + "\n" for event in events)
    (meeting.folder / "events-client.jsonl").write_text(text, encoding="utf-8")
    meeting.say("client.done")


if __name__ == "__main__":
    for called in meetings(Path(sys.argv[1])):
        try:
            with called.attend("client"):
                asyncio.run(ask(called))
        except MeetingError as error:
            print(f"client: {error}", file=sys.stderr)
