"""Nodes on simulated hosts: what the tests of nodes, peers and streams have in common."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from sleepy import sim
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.nodes.node import Node
from sleepy.udp.nodes.peer import Peer
from sleepy.udp.nodes.plain_node import open_plain_node
from sleepy.udp.nodes.secure_node import open_node
from sleepy.udp.security.identity import Identity

PORT = 700
ALICE, BOB, CAROL = (Identity.generate(random.Random(name).randbytes) for name in ("alice", "bob", "carol"))
LINK = sim.Link(delay=0.02)

Program = Callable[[Node], Coroutine[Any, Any, Any]]
Half = Callable[[Peer], Awaitable[Any]]


def world(link: sim.Link = LINK, *, seed: int = 1, hosts: tuple[str, ...] = ("alice",)) -> sim.Network:
    """Each of the hosts has a link to bob."""
    network = sim.Network(seed)
    for host in hosts:
        network.link(host, "bob", link)
    return network


def play(network: sim.Network, *programs: tuple[str, Node, Program], until: float = 3600.0) -> list[Any]:
    """Run a program with each node, on its host, to the end; then the node is closed. Returns what they return.

    Nothing may be left behind: no task, and no error that nobody hears.
    """
    unheard: list[dict[str, Any]] = []

    async def on_host(node: Node, program: Program) -> Any:
        async with node:
            return await program(node)

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unheard.append(context))
        tasks = [network.host(host).start(on_host(node, program)) for host, node, program in programs]
        results = await asyncio.gather(*tasks)
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left
        return results

    results = sim.run(main(), network, until=until)
    assert not unheard, unheard
    return results


def node(identity: Identity | None = ALICE, *, port: int = 0, plain: bool = False, **options: Any) -> Node:
    """A node of the usual kind, or a plain one."""
    if plain:
        return open_plain_node(("", port), **options)
    return open_node(("", port), identity=identity, **options)


def bob(**options: Any) -> Node:
    """The node that the others call."""
    return node(BOB, port=PORT, **options)


def config(**options: Any) -> ConnectionConfig:
    return ConnectionConfig(**options)


async def echo(node: Node) -> None:
    """Serve one peer until it leaves."""
    peer = await node.accept()
    async for message in peer:
        await peer.send(message)


async def call(node: Node, **options: Any) -> Peer:
    """Connect to bob."""
    return await node.connect(("bob", PORT), **options)


async def wait(_node: Node) -> None:
    """Do nothing, for a long time."""
    await asyncio.sleep(1000)


def between(alice: Half, serve: Half, link: sim.Link = LINK, *, seed: int = 1) -> list[Any]:
    """Run the two halves with each other as peers; alice closes at her end. Returns what bob's half does, and hers."""

    async def dialled(here: Node) -> Any:
        async with await call(here, timeout=9) as peer:
            return await alice(peer)

    async def accepted(there: Node) -> Any:
        peer = await there.accept()
        result = await serve(peer)
        await peer.wait_closed()
        return result

    return play(world(link, seed=seed), ("bob", bob(), accepted), ("alice", node(), dialled))


async def idle(_peer: Peer) -> None:
    """Take no part."""


async def soon(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait in virtual time until something is so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # in virtual time looking costs nothing
            await asyncio.sleep(0.01)


async def outcome(awaitable: Awaitable[Any]) -> Any:
    """What it returns, or the error that it raises."""
    try:
        return await awaitable
    except Exception as error:  # noqa: BLE001  # it is what the test asks for
        return error
