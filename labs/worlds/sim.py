"""A network inside the process (`sleepy.sim`): no privilege, no waiting, the same bytes for the same seed.

Client and server run the code that they run in the other worlds, on simulated hosts and in virtual time. What bends the
link is `sleepy.sim.Link`, and TCP is the simulator's own. Each contender's server is a host of its own behind a link of its
own, so that each meets the same link afresh:

    client --left-- router --the link-- server-8001
                          `--the link-- server-8002 ...

Of a lab's package it asks for the coroutine ``client.play(order, trace, tell)`` and the context ``server.serving(order)``.

The captures are of the router's left side, and of the right ends of all the links. Their time 0, and the events', is the
start of the run.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import replace
from importlib import import_module

from labs.meeting import Order
from labs.scenario import Scenario
from labs.worlds import Probe, Progress, Run
from sleepy import sim
from sleepy.sim.capture import Capture
from sleepy.trace import Event, Trace

NOTE = (
    "The network was simulated: client and server ran as they are, in virtual time; the packets and TCP's doings are the "
    "simulator's (NewReno with selective acknowledgements), not a kernel's."
)
NOTES = (NOTE,)


def probe(scenario: Scenario, impairment: str | None = None) -> Probe:  # noqa: ARG001  # it can play any
    """Whether a simulated link can be had: always."""
    if impairment not in {None, "link", "off"}:
        reason = f"a simulated network has no {impairment}"
        return Probe(ok=False, impairment="", reason=reason, remedy="Leave the impairment to the world.")
    return Probe(ok=True, impairment=impairment or "link", reason="a network inside the process, in virtual time")


def run(run: Run, progress: Progress) -> None:
    """Play it."""
    hosts = {contender: f"server-{port}" for contender, port in run.ports.items()}
    order = run.order(
        left="router",
        right="router",
        listen={contender: (host, run.ports[contender]) for contender, host in hosts.items()},
    )
    network = sim.Network(run.seed)
    network.link("client", "router")
    for host in hosts.values():
        network.link("router", host, order.scenario.to_server, back=order.scenario.to_client)
    events: list[Event] = []
    with ExitStack() as stack:
        left, right = (stack.enter_context((run.folder / f"{side}.pcap").open("wb")) for side in ("left", "right"))
        network.capture("router", "client", left)
        everything_right = Capture(right)
        for host in hosts.values():
            network.wire("router", host).arrived.append(everything_right)
            network.wire(host, "router").sent.append(everything_right)
        sim.run(_play(network, order, events, progress), network, patience=run.patience)
    text = "".join(event.to_json() + "\n" for event in events)
    (run.folder / "events.jsonl").write_text(text, encoding="utf-8")


async def _play(network: sim.Network, order: Order, events: list[Event], progress: Progress) -> None:
    """Start a server for each contender, then let the client ask."""
    client, server = import_module(f"{order.package}.client"), import_module(f"{order.package}.server")
    for contender, place in order.listen.items():
        own = replace(order, listen={contender: place})
        network.host(place[0]).start(_serve(server.serving(own)))
    trace = Trace("client", lambda: network.now, events.append)
    await network.host("client").run(client.play(order, trace, progress))


async def _serve(serving: AbstractAsyncContextManager[None]) -> None:
    async with serving:
        await asyncio.Event().wait()
