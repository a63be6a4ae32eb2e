"""The client of the experiment: ``python -m labs.hol.client BASE``.

The contenders run one after another. Each asks at the scheduled times whether or not earlier requests have been answered,
so that all of them carry the same load. What they do is written down by their own tracing (`sleepy.trace`), in the clock of
the captures; progress is told on standard output, a line of JSON at a time.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from labs.hol.schedule import Kind, Plan, contenders, target, waits
from labs.meeting import Meeting, MeetingError, Order, meetings
from sleepy import tcp
from sleepy.trace import Event, Trace

_READY = 300.0  # seconds to wait for router and server; those who fail say so at once
_TIMEOUT = 20.0  # seconds after which a request is given up; no contender should need it
_REST = 0.2  # seconds between contenders, for the last of one to pass before the first of the next
_TELL_EVERY = 10  # requests

Tell = Callable[[Mapping[str, object]], object]
"""Is told how far the client is: ``{"done": n, "of": n, "phase": text}``."""


def main() -> int:
    """Be the client of every run called under the folder named on the command line."""
    for meeting in meetings(Path(sys.argv[1])):
        try:
            with meeting.attend("client"):
                asyncio.run(ask(meeting))
        except MeetingError as error:
            print(f"client: {error}", file=sys.stderr)
    return 0


async def ask(meeting: Meeting) -> None:
    """Be the client of one run."""
    for word in ("server.ready", "router.ready"):
        await asyncio.to_thread(meeting.wait, word, _READY)
    events: list[Event] = []
    await play(meeting.order, Trace("client", time.time, events.append), _print)
    text = "".join(event.to_json() + "\n" for event in events)
    (meeting.folder / "events-client.jsonl").write_text(text, encoding="utf-8")
    meeting.say("client.done")


async def play(order: Order, trace: Trace, tell: Tell) -> None:
    """Let the contenders ask, one after another."""
    plans = contenders(order.scenario)
    for number, plan in enumerate(plans):
        trace("lab.phase", phase=plan.name)
        await _contend(plan, order, trace, number, len(plans), tell)
        await asyncio.sleep(_REST)


def _print(told: Mapping[str, object]) -> None:
    print(json.dumps(told), flush=True)


async def _contend(plan: Plan, order: Order, trace: Trace, number: int, contestants: int, tell: Tell) -> None:
    """One contender's requests, each at its time."""
    schedule = waits(order.scenario, order.seed)
    interval = float(order.scenario.figures["interval"])
    loop = asyncio.get_running_loop()
    count = len(schedule)

    async def one(client: tcp.PipelineClient | tcp.HostClient, index: int) -> None:
        try:
            await client.get(target(plan.name, index, schedule[index]), timeout=_TIMEOUT)
        except (tcp.ProtocolError, OSError) as error:  # the captures will show it, and the judge will say so
            print(f"client: {plan.name}, request {index}: {error}", file=sys.stderr)

    async with _client(plan, order, trace) as client, asyncio.TaskGroup() as requests:
        start = loop.time()
        for index in range(count):
            await asyncio.sleep(start + index * interval - loop.time())
            requests.create_task(one(client, index))
            if index % _TELL_EVERY == 0 or index == count - 1:
                tell({"done": number * count + index + 1, "of": contestants * count, "phase": plan.label})


def _client(plan: Plan, order: Order, trace: Trace) -> tcp.PipelineClient | tcp.HostClient:
    host, port = order.dial[plan.name]
    match plan.kind:
        case Kind.PIPELINE:
            # Without the guard, which would go round what is to be seen, and of which the model knows nothing.
            return tcp.PipelineClient(f"{host}:{port}", max_conns=plan.connections, stall_guard=False, trace=trace)
        case Kind.HOST:
            return tcp.HostClient(f"{host}:{port}", max_conns=plan.connections, trace=trace)


if __name__ == "__main__":
    sys.exit(main())
