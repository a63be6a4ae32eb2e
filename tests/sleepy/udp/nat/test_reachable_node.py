"""The rules of sleepy/udp/nat/reachable_node.py: whole nodes behind NATs, who reach each other by their keys."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sleepy.udp.connections.connection_errors import ClosedByPeer, ClosedLocally
from sleepy.udp.nat.introductions import Introducer
from sleepy.udp.nat.reachable_node import ReachableNode, open_reachable_node
from sleepy.udp.nat.relay import Relay
from sleepy.udp.nat.traversal import Traversal
from sleepy.udp.nat.traversal_config import PeerAbsent, PeerRefused, TraversalTimeout
from sleepy.udp.nodes.peer import Peer
from sleepy.udp.nodes.secure_node import open_node
from sleepy.udp.rendezvous import open_rendezvous
from sleepy.udp.security.identity import Identity
from tests.sleepy.udp.traversing import PORT, SERVER_IDENTITY, World, identity

ALICE, BOB = identity("alice"), identity("bob")


def node(name: str, **options: Any) -> ReachableNode:
    options = {"rendezvous_key": SERVER_IDENTITY.public_key, **options}
    return open_reachable_node(("", PORT), rendezvous=("server", PORT), identity=identity(name), **options)


def play(
    world: World, programs: dict[ReachableNode, tuple[str, Callable[[ReachableNode], Awaitable[Any]]]], **options: Any
) -> list[Any]:
    """Run a program with each node, on its host."""
    unheard: list[Any] = []

    async def on_host(node: ReachableNode, program: Callable[[ReachableNode], Awaitable[Any]]) -> Any:
        async with node:
            return await program(node)

    async def main() -> list[Any]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        await world.serve(**options)
        tasks = [world.network.host(host).start(on_host(node, program)) for node, (host, program) in programs.items()]
        return await asyncio.gather(*tasks)

    results: list[Any] = world.run(main())
    assert not unheard, unheard
    return results


async def echo(node: ReachableNode) -> Peer:
    peer = await node.accept()
    async for message in peer:
        await peer.send(message)
    return peer


async def registered(node: ReachableNode) -> None:
    while node.outside is None:  # noqa: ASYNC110  # in virtual time looking costs nothing
        await asyncio.sleep(0.01)


async def reach_bob(node: ReachableNode) -> Peer:
    await asyncio.sleep(1)
    peer = await node.reach(BOB.public_key)
    messages = [bytes([number % 256]) * (number % 1500) for number in range(200)]

    async def talk() -> None:
        for message in messages:
            await peer.send(message)

    async with asyncio.TaskGroup() as group:
        group.create_task(talk())
        assert [await peer.receive() for _ in messages] == messages
    assert await node.reach(BOB.public_key) is peer
    await peer.close("that was all")
    return peer


@pytest.mark.parametrize(
    ("one", "other", "relayed"),
    [
        ("port-restricted cone", "port-restricted cone", False),
        ("symmetric", "restricted cone", False),
        ("symmetric", "port-restricted cone", True),
        ("symmetric", "symmetric", True),
        ("open", "symmetric", False),
    ],
)
def test_two_behind_nats_talk(one: str, other: str, relayed: bool) -> None:
    """Messages of every size, both ways; by the relay they need no other treatment (rule 2)."""
    world = World({"alice": one, "bob": other})
    programs = {node("alice"): ("alice", reach_bob), node("bob"): ("bob", echo)}
    ours, theirs = play(world, programs, relay=lambda now: Relay(now=now, rate=1e6))
    assert (ours.public_key, theirs.public_key) == (BOB.public_key, ALICE.public_key)
    assert (ours.address[1] == 0) is (theirs.address[1] == 0) is relayed
    assert isinstance(theirs.error, ClosedByPeer)
    assert theirs.error.reason == "that was all"


def test_a_relayed_peer_is_there_as_long_as_it_lives() -> None:
    """Keep-alives of the connection keep the relay's channel and both legs, for longer than any of them lasts unused."""
    world = World({"alice": "symmetric", "bob": "symmetric"})

    async def alice(node: ReachableNode) -> None:
        await registered(node)
        peer = await node.reach(BOB.public_key)
        await asyncio.sleep(150)
        await peer.send(b"still there?")
        assert await peer.receive() == b"still there?"
        await peer.close()

    play(world, {node("alice"): ("alice", alice), node("bob"): ("bob", echo)}, relay=lambda now: Relay(now=now))


def test_both_reach_for_each_other_at_once() -> None:
    """It becomes one connection."""
    world = World({"alice": "restricted cone", "bob": "port-restricted cone"})

    def program(key: bytes) -> Any:
        async def meet(node: ReachableNode) -> None:
            await asyncio.sleep(1)
            peer = await node.reach(key)
            await peer.send(b"hello")
            assert await peer.receive() == b"hello"
            await asyncio.sleep(5)
            assert len(node.peers) == 1

        return meet

    play(world, {node("alice"): ("alice", program(BOB.public_key)), node("bob"): ("bob", program(ALICE.public_key))})


def test_who_is_found_by_the_peer_searches_no_more() -> None:
    """Our search gets nowhere, since the server is cut off; meanwhile the peer comes of its own accord."""
    world = World({"alice": "open", "bob": "full cone"})
    where = world.network.host("alice").address

    async def alice(node: ReachableNode) -> None:
        await registered(node)
        await asyncio.sleep(3 - world.network.now)
        world.network.cut("internet", "server")
        peer = await node.reach(BOB.public_key)
        assert world.network.now < 4.5
        assert node.peers == [peer]
        await peer.send(b"hello")
        assert await peer.receive() == b"hello"
        await asyncio.sleep(20)
        assert await node.reach(BOB.public_key) is peer
        await peer.close()

    async def bob(node: ReachableNode) -> None:
        await asyncio.sleep(4)
        async with await node.connect((where, PORT), expect=ALICE.public_key) as peer:
            await peer.send(await peer.receive())
            await peer.wait_closed()

    play(world, {node("alice"): ("alice", alice), node("bob"): ("bob", bob)})


def test_a_way_that_the_peers_search_has_found_is_ours_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own questions are lost, the peer has asked for us and the way is open: we need not wait until it calls."""
    world = World({"alice": "port-restricted cone", "bob": "port-restricted cone"})

    async def alice(node: ReachableNode) -> None:
        await registered(node)
        monkeypatch.setattr(Traversal, "ask", lambda *_: None)
        peer = await node.reach(BOB.public_key)
        await peer.send(b"hello")
        assert await peer.receive() == b"hello"
        await peer.close()

    async def bob(node: ReachableNode) -> None:
        await registered(node)
        assert node._traversal is not None
        await asyncio.sleep(2)
        ask(node._traversal, ALICE.public_key, node.now())
        node._on_traversal(node._traversal)
        await echo(node)

    ask = Traversal.ask
    play(world, {node("alice"): ("alice", alice), node("bob"): ("bob", bob)})


def test_who_asks_twice_searches_once() -> None:
    world = World({"alice": "full cone", "bob": "full cone"})

    async def alice(node: ReachableNode) -> None:
        await asyncio.sleep(1)
        peers = await asyncio.gather(*[node.reach(BOB.public_key) for _ in range(5)])
        assert len(set(peers)) == 1
        await peers[0].close()

    play(world, {node("alice"): ("alice", alice), node("bob"): ("bob", echo)})


def test_a_peer_that_is_being_closed_is_reached_anew() -> None:
    world = World({"alice": "full cone", "bob": "full cone"})

    async def alice(node: ReachableNode) -> None:
        await asyncio.sleep(1)
        peer = await node.reach(BOB.public_key)
        leaving = asyncio.create_task(peer.close())
        await asyncio.sleep(0)
        again = await node.reach(BOB.public_key)
        assert again is not peer
        await leaving
        await again.close()

    async def serve(node: ReachableNode) -> None:
        for _ in range(2):
            await echo(node)

    play(world, {node("alice"): ("alice", alice), node("bob"): ("bob", serve)})


def test_rule_1_datagrams_that_arrive_together_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    async def alice(node: ReachableNode) -> None:
        await registered(node)
        assert node._traversal is not None
        before, taken = node._traversal.ignored, []
        monkeypatch.setattr(node._board, "receive", lambda datagrams, *_: taken.extend(datagrams))
        node._receive([bytes([kind]) for kind in (1, 6, 7, 13, 63, 64, 255)], ("10.6.6.6", 6))
        assert taken == [bytes([kind]) for kind in (1, 6, 64, 255)]
        assert node._traversal.ignored == before + 3

    play(World({"alice": "full cone"}), {node("alice"): ("alice", alice)})


async def wait(_: ReachableNode) -> None:
    await asyncio.sleep(30)


@pytest.mark.parametrize(
    "options", [{"introduce": lambda _: False}, {"accept": lambda key, _: key != ALICE.public_key}], ids=str
)
def test_rule_3_who_may_not_enter_is_not_introduced(options: dict[str, Any]) -> None:
    world = World({"alice": "full cone", "bob": "full cone"})

    async def alice(node: ReachableNode) -> None:
        await asyncio.sleep(1)
        with pytest.raises(PeerRefused):
            await node.reach(BOB.public_key)

    play(world, {node("alice"): ("alice", alice), node("bob", **options): ("bob", wait)})


def test_rule_3_a_rule_that_fails_lets_nobody_in() -> None:
    world = World({"alice": "full cone", "bob": "full cone"})

    def introduce(_: bytes) -> bool:
        raise LookupError("no list of friends")

    async def alice(node: ReachableNode) -> None:
        await asyncio.sleep(1)
        with pytest.raises(PeerRefused):
            await node.reach(BOB.public_key)

    with pytest.raises(AssertionError, match=r"introduce\(\) failed for the peer"):
        play(world, {node("alice"): ("alice", alice), node("bob", introduce=introduce): ("bob", wait)})


def test_who_is_not_there_is_absent_and_may_come() -> None:
    async def alice(node: ReachableNode) -> None:
        await asyncio.sleep(1)
        with pytest.raises(PeerAbsent):
            await node.reach(BOB.public_key)
        await asyncio.sleep(5)
        peer = await node.reach(BOB.public_key)
        await peer.close()

    world = World({"alice": "full cone", "bob": "full cone"})

    async def late(_: ReachableNode) -> None:
        await asyncio.sleep(3)
        async with node("bob") as bob:
            await echo(bob)

    another = open_reachable_node(
        ("", 0), rendezvous=("server", PORT), rendezvous_key=SERVER_IDENTITY.public_key, identity=identity("another")
    )
    play(world, {node("alice"): ("alice", alice), another: ("bob", late)})


def test_an_idle_node_says_and_does_little_and_nothing_when_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({"alice": "full cone"})

    async def alice(node: ReachableNode) -> None:
        await registered(node)
        traversal, turns, wire = node._traversal, [], world.network.wire("alice", "router of alice")
        assert traversal is not None
        on_time, packets = traversal.on_time, wire.carrier.packets
        monkeypatch.setattr(Traversal, "on_time", lambda self, now: (turns.append(now), on_time(now)))
        await asyncio.sleep(61)
        assert wire.carrier.packets == packets + 4  # it registers again after 15, 30, 45 and 60 s
        assert len(turns) <= 12
        await node.close()
        turns.clear()
        await asyncio.sleep(60)
        assert not turns

    play(world, {node("alice"): ("alice", alice)})


def test_patience_has_an_end() -> None:
    async def alice(node: ReachableNode) -> None:
        with pytest.raises(TraversalTimeout, match=r"was found within 0\.5 s"):
            await node.reach(BOB.public_key, timeout=0.5)
        with pytest.raises(TraversalTimeout, match=r"the rendezvous server at .* does not answer"):
            await node.reach(BOB.public_key)

    key = identity("another server").public_key
    play(World({"alice": "full cone"}), {node("alice", rendezvous_key=key): ("alice", alice)})


def test_a_search_ends_with_the_node() -> None:
    world = World({"alice": "full cone"})

    async def alice(node: ReachableNode) -> None:
        search = asyncio.create_task(node.reach(BOB.public_key))
        await asyncio.sleep(1)
        await node.close()
        with pytest.raises(ClosedLocally):
            await search
        for key in (BOB.public_key, identity("carol").public_key):
            with pytest.raises(ClosedLocally):
                await node.reach(key)
        assert not asyncio.all_tasks() - {asyncio.current_task()} - world_tasks

    world_tasks: set[Any] = set()

    async def collect(node: ReachableNode) -> None:
        world_tasks.update(asyncio.all_tasks())
        await alice(node)

    play(world, {node("alice", rendezvous_key=identity("nobody").public_key): ("alice", collect)})


def test_neighbours_reach_each_other_inside() -> None:
    """It finds out under which address its neighbours see it."""
    world = World({"alice": "symmetric", "alice/bob": "symmetric"})

    async def alice(node: ReachableNode) -> None:
        await asyncio.sleep(1)
        peer = await node.reach(BOB.public_key)
        assert peer.address == ("192.168.1.3", PORT)
        await peer.close()

    play(world, {node("alice"): ("alice", alice), node("bob"): ("alice/bob", echo)})


def test_what_cannot_be_started_leaves_its_port_free() -> None:
    async def alice(_: ReachableNode) -> None:
        port = PORT + 1
        with pytest.raises(ValueError, match="a public key has 32 bytes, not 5"):
            await open_reachable_node(("", port), rendezvous=("server", PORT), rendezvous_key=b"short").start()
        with pytest.raises(OSError, match="no host is called"):
            await open_reachable_node(("", port), rendezvous=("nowhere", PORT), rendezvous_key=bytes(32)).start()
        async with open_node(("", port)):
            pass

    play(World({"alice": "full cone"}), {node("alice"): ("alice", alice)})


def test_before_it_is_started_it_reaches_nobody() -> None:
    async def main() -> None:
        with pytest.raises(ClosedLocally):
            await node("alice").reach(BOB.public_key)
        assert node("alice").outside is None

    asyncio.run(main())


def has(host: str) -> bool:
    """Whether this machine has the address."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as own:
        try:
            own.bind((host, 0))
        except OSError:
            return False
    return True


@pytest.mark.parametrize(
    ("local", "server_host", "peer_host"),
    [("127.0.0.1", "127.0.0.1", "127.0.0.1"), ("::1", "::1", "::1"), ("::", "127.0.0.1", "::ffff:127.0.0.1")],
)
async def test_on_the_systems_sockets(local: str, server_host: str, peer_host: str) -> None:
    """On loopback, with sockets that the system offers. In the last case, rule 3: an IPv6 socket and an IPv4 server."""
    if not has(local):
        pytest.skip(f"no {local} here")
    server_identity = Identity.generate()

    def reachable(name: str, server: tuple[str, int], key: bytes) -> ReachableNode:
        return open_reachable_node((local, 0), rendezvous=server, rendezvous_key=key, identity=identity(name))

    async with open_rendezvous((server_host, 0), lambda now: Introducer(server_identity, now=now)) as server:
        where = server.address, server_identity.public_key
        async with reachable("alice", *where) as alice, reachable("bob", *where) as bob:
            serving = asyncio.create_task(echo(bob))
            await asyncio.gather(registered(alice), registered(bob))
            peer = await alice.reach(BOB.public_key)
            assert peer.address == (peer_host, bob.address[1])
            await peer.send(b"hello")
            assert await peer.receive() == b"hello"
            await peer.close()
            await serving


async def test_what_reach_is_given_is_looked_at() -> None:
    here = open_reachable_node(("127.0.0.1", 0), rendezvous=("127.0.0.1", 9), rendezvous_key=SERVER_IDENTITY.public_key)
    wrong: Any
    async with here:
        for wrong in (str(BOB), bytearray(BOB.public_key), None):
            with pytest.raises(TypeError, match="public_key is of type"):
                await here.reach(wrong)
        wrong = None
        with pytest.raises(TypeError, match="timeout is of type NoneType"):
            await here.reach(BOB.public_key, timeout=wrong)


async def test_no_rendezvous_server_is_at_port_0() -> None:
    """Port 0 is for peers behind relays (rule 2); nobody would ever answer."""
    there = open_reachable_node(
        ("127.0.0.1", 0), rendezvous=("127.0.0.1", 0), rendezvous_key=SERVER_IDENTITY.public_key
    )
    with pytest.raises(ValueError, match="port 0"):
        await there.start()
