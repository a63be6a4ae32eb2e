"""The rules of nodes/node.py, mostly on simulated hosts; what the system's sockets add is in test_node_sockets.py."""

import asyncio
import contextlib
from itertools import pairwise
from math import inf
from typing import Any

import pytest

from sleepy import sim
from sleepy.trace import Event, Trace
from sleepy.udp.connections.connection_errors import (
    ChannelMismatch,
    ClosedByPeer,
    ClosedLocally,
    ConnectionClosed,
    TimedOut,
    WentAway,
)
from sleepy.udp.delivery.channels.config import ChannelConfig
from sleepy.udp.nodes.batch import open_socket
from sleepy.udp.nodes.node import DRAIN, GRAIN, LEAVING, Node
from sleepy.udp.nodes.peer import Peer
from sleepy.udp.nodes.plain_node import open_plain_node
from sleepy.udp.nodes.secure_node import open_node
from sleepy.udp.security.session import HandshakeTimeout, Refused, WrongKey
from tests.sleepy.udp.node_worlds import (
    ALICE,
    BOB,
    CAROL,
    PORT,
    bob,
    call,
    config,
    echo,
    node,
    outcome,
    play,
    soon,
    world,
)

both_modes = pytest.mark.parametrize("plain", [False, True], ids=["secure", "plain"])


# --- together, and apart ----------------------------------------------------------------------------------------------


@both_modes
def test_two_nodes_talk(plain: bool) -> None:
    """Each knows where the other is, and who (in plain mode nobody knows); what one says the other hears."""

    async def alice(here: Node) -> None:
        peer = await call(here)
        assert peer.address == ("10.0.0.2", PORT)
        assert peer.public_key == (b"" if plain else BOB.public_key)
        for number in range(20):
            await peer.send(b"%d" % number)
        assert [await peer.receive() for _ in range(20)] == [b"%d" % number for number in range(20)]
        assert here.peers == [peer]
        await peer.close("that was all", code=7)
        assert here.peers == []

    async def answer(there: Node) -> None:
        peer = await there.accept()
        assert peer.public_key == (b"" if plain else ALICE.public_key)
        async for message in peer:
            await peer.send(message)
        assert isinstance(peer.error, ClosedByPeer)
        assert (peer.error.code, peer.error.reason) == (7, "that was all")
        assert there.peers == []

    play(world(), ("bob", bob(plain=plain), answer), ("alice", node(plain=plain), alice))


@both_modes
def test_much_arrives_in_order_over_a_bad_network(plain: bool) -> None:
    """3000 messages each way, a tenth of the packets lost, some doubled and overtaken."""
    link = sim.Link(delay=0.02, jitter=0.005, loss=0.1, duplicate=0.02, reorder=0.02, corrupt=0.01)
    messages = [b"%d" % number * (number % 40) for number in range(3000)]

    async def alice(here: Node) -> None:
        peer = await call(here, timeout=9)

        async def talk() -> None:
            for message in messages:
                await peer.send(message)

        async with asyncio.TaskGroup() as group:
            group.create_task(talk())
            assert [await peer.receive() for _ in messages] == messages
        await peer.close()

    play(world(link), ("bob", bob(plain=plain), echo), ("alice", node(plain=plain), alice))


def test_the_iterator_gives_peers_in_the_order_in_which_they_came() -> None:
    """And it ends when the node is closed."""
    names = ("alice", "carol", "dave")
    keys: list[bytes] = []
    identities = [ALICE, CAROL, None]

    async def serve(there: Node) -> None:
        async def greet() -> None:
            keys.extend([peer.public_key async for peer in there])

        greeter = asyncio.create_task(greet())
        await soon(lambda: len(there.peers) == 3)
        await there.close()
        await greeter
        assert isinstance(await outcome(there.accept()), ClosedLocally)

    def caller(number: int) -> Any:
        async def come(here: Node) -> None:
            await asyncio.sleep(number * 0.5)
            peer = await call(here)
            await peer.wait_closed()
            assert isinstance(peer.error, WentAway)

        return come

    callers = [(name, node(identities[number]), caller(number)) for number, name in enumerate(names)]
    play(world(hosts=names), ("bob", bob(), serve), *callers)
    assert keys[:2] == [ALICE.public_key, CAROL.public_key]
    assert len(set(keys)) == 3


def test_closing_a_peer_delivers_what_was_sent() -> None:
    """Rule 6, of a peer: with a drain everything arrives; without, what is queued is dropped."""

    def alice(drain: float) -> Any:
        async def alice(here: Node) -> None:
            peer = await call(here)
            for number in range(500):
                await peer.send(b"%d" % number * 100)
            await peer.close(drain=drain)
            assert isinstance(peer.error, ClosedLocally)
            assert isinstance(await outcome(peer.send(b"late")), ClosedLocally)

        return alice

    async def count(there: Node) -> int:
        return len([message async for message in await there.accept()])

    assert play(world(), ("bob", bob(), count), ("alice", node(), alice(5.0)))[0] == 500
    assert play(world(), ("bob", bob(), count), ("alice", node(), alice(0.0)))[0] < 500


def test_closing_a_node_delivers_what_was_sent_and_says_that_it_leaves() -> None:
    """Rule 6: to each of its peers, and whoever waits at it learns it too."""

    async def alice(here: Node) -> None:
        peer = await call(here)
        for number in range(300):
            await peer.send(b"%d" % number * 100)
        waiting = asyncio.create_task(outcome(peer.receive()))
        await asyncio.sleep(0)
        begin = here.now()
        await here.close()
        assert here.now() - begin < 1
        assert isinstance(await waiting, ClosedLocally)
        assert isinstance(await outcome(call(here)), ClosedLocally)

    async def count(there: Node) -> None:
        peer = await there.accept()
        for number in range(300):
            assert await peer.receive() == b"%d" % number * 100
        error = await outcome(peer.receive())
        assert isinstance(error, WentAway), error

    play(world(), ("bob", bob(), count), ("alice", node(), alice))


@pytest.mark.parametrize("delay", [0.02, 0.5])
def test_closing_ends_though_nobody_answers(delay: float) -> None:
    """Rule 6: the cable is out; the drain's time and a little more, and it is over, for whoever waits too.

    On a slow link saying goodbye takes longer than that, so it is cut short.
    """
    network = world(sim.Link(delay=delay))

    async def alice(here: Node) -> None:
        peer = await call(here)
        network.cut("alice", "bob", at=network.now, until=network.now + 100)
        await peer.send(b"into the void")
        waiting = asyncio.create_task(outcome(peer.receive()))
        begin = here.now()
        await here.close()
        assert DRAIN <= here.now() - begin <= DRAIN + LEAVING + GRAIN
        assert here._timer is None or here._timer.cancelled()
        assert isinstance(await waiting, ConnectionClosed)

    async def there(there: Node) -> None:
        peer = await there.accept()
        await peer.wait_closed()
        assert isinstance(peer.error, TimedOut)

    play(network, ("bob", bob(), there), ("alice", node(), alice))


def test_closing_ends_the_dials() -> None:
    async def alice(here: Node) -> None:
        dial = asyncio.create_task(outcome(here.connect(("10.9.9.9", 99), timeout=50.0)))
        await asyncio.sleep(1)
        await here.close()
        assert isinstance(await dial, ClosedLocally)
        assert here.now() < 1.1

    play(world(), ("alice", node(), alice))


@pytest.mark.parametrize("context", ["node", "peer"])
def test_a_node_that_is_left_by_an_error_does_not_drain(context: str) -> None:
    """Rule 6: the error gets out at once; so it does from a peer's context."""
    network = world()
    begin = 0.0

    async def alice() -> None:
        nonlocal begin
        async with node() as here, contextlib.AsyncExitStack() as stack:
            peer = await call(here)
            if context == "peer":
                await stack.enter_async_context(peer)
            network.cut("alice", "bob", at=network.now, until=network.now + 100)
            await peer.send(b"into the void")
            begin = here.now()
            raise KeyError

    async def serve() -> None:
        async with bob() as there:
            await (await there.accept()).wait_closed()

    async def main() -> None:
        serving = network.host("bob").start(serve())
        assert isinstance(await outcome(network.host("alice").run(alice())), KeyError)
        assert network.now - begin <= LEAVING + GRAIN
        await serving

    sim.run(main(), network)


# --- who may, and who is it -------------------------------------------------------------------------------------------


def test_only_the_expected_peer_will_do() -> None:
    async def alice(here: Node) -> None:
        assert isinstance(await outcome(call(here, expect=CAROL.public_key)), WrongKey)
        peer = await call(here, expect=BOB.public_key)
        assert isinstance(await outcome(call(here, expect=CAROL.public_key)), WrongKey)  # though there is a connection
        assert peer.error is None
        await peer.close()

    play(world(), ("bob", bob(), echo), ("alice", node(), alice))


def test_accept_decides_who_enters_and_hears_key_and_address() -> None:
    """Rule 4; a rule that raises lets nobody in, and its error is heard."""
    asked: list[tuple[bytes, str]] = []
    heard: list[dict[str, Any]] = []

    def accept(public_key: bytes, address: tuple[str, int]) -> bool:
        asked.append((public_key, address[0]))
        if len(asked) == 2:
            raise KeyError("a mistake")
        return len(asked) == 3

    async def alice(here: Node) -> None:
        assert isinstance(await outcome(call(here)), Refused)
        loop = asyncio.get_running_loop()
        handler = loop.get_exception_handler()
        loop.set_exception_handler(lambda _, context: heard.append(context))
        assert isinstance(await outcome(call(here)), Refused)
        loop.set_exception_handler(handler)
        await (await call(here)).close()

    play(world(), ("bob", bob(accept=accept), echo), ("alice", node(), alice))
    assert asked == [(ALICE.public_key, "10.0.0.1")] * 3
    assert [type(context["exception"]) for context in heard] == [KeyError]


@both_modes
def test_other_channels_are_an_error_at_the_dial(plain: bool) -> None:
    two = config(channels=(ChannelConfig(), ChannelConfig()))

    async def alice(here: Node) -> None:
        assert isinstance(await outcome(call(here)), ChannelMismatch)

    async def serve(there: Node) -> None:
        await asyncio.sleep(5)
        assert there.peers == []

    play(world(), ("bob", bob(plain=plain, config=two), serve), ("alice", node(plain=plain), alice))


@pytest.mark.parametrize("host", ["bob", "10.9.9.9"])
@both_modes
def test_nobody_there(plain: bool, host: str) -> None:
    """A dial ends in its time, whether the port is closed or the address is nobody's."""

    async def alice(here: Node) -> None:
        error = await outcome(here.connect((host, 99), timeout=3.0))
        assert isinstance(error, TimedOut if plain else HandshakeTimeout)
        assert isinstance(error, TimeoutError)
        assert here.now() == pytest.approx(3.0, abs=0.01)

    play(world(), ("alice", node(plain=plain), alice))


def test_a_full_node_refuses() -> None:
    """Rule 4: no more than ``max_peers``; and no more than ``backlog`` that nobody has looked at."""
    names = ("alice", "carol", "dave", "erin")

    def caller(number: int, until: float) -> Any:
        async def come(here: Node) -> Any:
            await asyncio.sleep(number)
            peer = await outcome(call(here))
            await asyncio.sleep(until - here.now())
            return type(peer)

        return come

    async def look_away(there: Node) -> None:
        await asyncio.sleep(8)

    async def look(there: Node) -> None:
        async with asyncio.timeout(8):
            async for _ in there:
                pass

    def results(program: Any, **options: Any) -> list[type]:
        callers = [(name, node(None), caller(number, 7)) for number, name in enumerate(names)]

        async def serve(there: Node) -> None:
            await outcome(program(there))

        return play(world(hosts=names), ("bob", bob(**options), serve), *callers)[1:]

    assert results(look_away, backlog=2) == [Peer, Peer, Refused, Refused]
    assert results(look, backlog=1) == [Peer] * 4
    assert results(look, max_peers=3) == [Peer, Peer, Peer, Refused]


def test_who_leaves_makes_room() -> None:
    """Rule 4; not at once: for a few round trips a connection that has ended still answers."""

    async def alice(here: Node) -> None:
        for _ in range(5):
            await (await call(here)).close()
            await asyncio.sleep(8)

    async def serve(there: Node) -> None:
        for _ in range(5):
            peer = await there.accept()
            await peer.wait_closed()

    play(world(), ("bob", bob(max_peers=1), serve), ("alice", node(), alice))


# --- dials that meet --------------------------------------------------------------------------------------------------


@both_modes
@pytest.mark.parametrize("seed", range(6))
def test_who_dial_each_other_have_one_connection(plain: bool, seed: int) -> None:
    """Rule 5: with a head start or none, on a network that loses a quarter; both dials succeed, and nobody is accepted."""
    head_start = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1)[seed]
    link = sim.Link(delay=0.02, loss=0.25 if seed % 2 else 0.0)

    def dialler(delay: float, other: str) -> Any:
        async def dial(here: Node) -> bytes:
            await asyncio.sleep(delay)
            peer = await here.connect((other, PORT), timeout=9.0)
            await peer.send(b"from here to " + other.encode())
            message = await peer.receive()
            assert len(here.peers) == 1
            assert not here._backlog
            await peer.send(b"bye")
            assert await peer.receive() == b"bye"
            return message

        return dial

    network = world(link, seed=seed)
    assert play(
        network,
        ("alice", node(port=PORT, plain=plain), dialler(0.0, "bob")),
        ("bob", bob(plain=plain), dialler(head_start, "alice")),
    ) == [b"from here to alice", b"from here to bob"]


def test_dialling_twice_brings_the_same_peer() -> None:
    """Rule 5: at once, one after the other, and from the other side; a peer that waits to be accepted counts as dialled."""

    async def alice(here: Node) -> None:
        one, two = await asyncio.gather(call(here), call(here))
        assert one is two
        assert await call(here) is one
        await one.wait_closed()

    async def serve(there: Node) -> None:
        await soon(lambda: there.peers != [])
        peer = await there.connect(there.peers[0].address)
        assert [peer] == there.peers
        assert not there._backlog
        await peer.close()

    play(world(), ("bob", bob(), serve), ("alice", node(), alice))


def test_dialling_a_peer_that_has_called_from_elsewhere_brings_that_peer() -> None:
    """Rule 5: it is known by its key, as soon as that is proved; here by two addresses of one host."""

    async def alice(here: Node) -> None:
        peer = await call(here)
        await peer.wait_closed()
        assert isinstance(peer.error, ClosedByPeer)

    async def serve(there: Node) -> None:
        await soon(lambda: there.peers != [])
        (peer,) = there.peers
        assert peer.address[0] == "10.0.0.2"
        assert await there.connect(("127.0.0.1", 1000)) is peer
        assert not there._backlog
        await peer.close()

    play(world(), ("bob", bob(), serve), ("bob", node(port=1000), alice))


def test_a_closing_node_lets_nobody_in() -> None:
    async def alice(here: Node) -> None:
        peer = await call(here)
        await peer.wait_closed()

    async def carol(here: Node) -> None:
        await asyncio.sleep(2)
        assert isinstance(await outcome(call(here, timeout=2)), Refused)

    async def serve(there: Node) -> None:
        peer = await there.accept()
        network.cut("bob", "alice", at=1.0, until=6.0)
        await asyncio.sleep(1)
        await peer.send(b"a while")
        await there.close()

    network = world(hosts=("alice", "carol"))
    play(network, ("bob", bob(), serve), ("alice", node(), alice), ("carol", node(CAROL), carol))


def test_dialling_a_peer_that_leaves_waits_for_a_new_one() -> None:
    """Rule 5: a new session with its key would cut off what the old one still delivers."""

    async def alice(here: Node) -> None:
        first = await call(here)
        for number in range(200):
            await first.send(b"%d" % number * 400)
        closing = asyncio.create_task(first.close())
        await asyncio.sleep(0)
        second = await call(here)
        assert first is not second
        assert isinstance(first.error, ClosedLocally)
        assert second.error is None
        await closing

    async def serve(there: Node) -> None:
        assert len([message async for message in await there.accept()]) == 200
        peer = await there.accept()
        await peer.wait_closed()

    play(world(sim.Link(delay=0.02, rate=2e6)), ("bob", bob(), serve), ("alice", node(), alice))


@both_modes
def test_a_dial_may_be_cancelled_at_any_time(plain: bool) -> None:
    """Nothing of it is left on either side, whenever it is; the node dials again afterwards."""

    async def alice(here: Node) -> None:
        for step in range(20):
            dial = asyncio.create_task(call(here))
            await asyncio.sleep(step * 0.01)
            dial.cancel()
            await asyncio.wait([dial])
            if not dial.cancelled():
                await dial.result().close()
            await soon(lambda: here.peers == [])
            assert not here._dials
            assert not here._calls
            await asyncio.sleep(3)
        await (await call(here)).close()

    async def serve(there: Node) -> None:
        async with asyncio.timeout(300):
            async for peer in there:
                await peer.wait_closed()

    async def in_time(there: Node) -> None:
        assert isinstance(await outcome(serve(there)), TimeoutError)
        assert there.peers == []

    play(world(), ("bob", bob(plain=plain), in_time), ("alice", node(plain=plain), alice))


def test_a_cancelled_dial_says_nothing_more() -> None:
    async def alice(here: Node) -> None:
        assert isinstance(await outcome(asyncio.wait_for(here.connect(("10.9.9.9", 99)), 1.0)), TimeoutError)
        before = here.counters.sent
        await asyncio.sleep(5)
        assert here.counters.sent == before

    play(world(), ("alice", node(), alice))


def test_a_dial_that_is_cancelled_too_late_leaves_no_peer() -> None:
    """It has succeeded, and its task is cancelled before it could say so: nobody knows the peer, so it is left."""

    async def alice(here: Node) -> None:
        dial = asyncio.create_task(call(here))
        on_connected = here._on_connected

        def cancel_too(*arguments: Any) -> None:
            on_connected(*arguments)
            assert here.peers
            dial.cancel()

        here._on_connected = cancel_too  # type: ignore[method-assign]
        await asyncio.wait([dial])
        assert dial.cancelled()
        await soon(lambda: here.peers == [])

    async def serve(there: Node) -> None:
        peer = await there.accept()
        await peer.wait_closed()
        assert isinstance(peer.error, ClosedByPeer)

    play(world(), ("bob", bob(), serve), ("alice", node(), alice))


# --- life and death ---------------------------------------------------------------------------------------------------


@both_modes
def test_a_peer_that_was_started_anew_is_noticed(plain: bool) -> None:
    """It proves its key again (in plain mode: says hello again), so what was before has gone away."""
    network = world()

    async def first(ready: asyncio.Event) -> None:
        async with node(port=PORT, plain=plain) as here:
            peer = await call(here)
            await peer.send(b"before")
            ready.set()
            await asyncio.sleep(1)
            here._socket.close()  # the process dies and says nothing
            here._leave_all(0.0)

    async def alice(ready: asyncio.Event) -> None:
        task = network.host("alice").start(first(ready))
        await ready.wait()
        await asyncio.sleep(2)
        async with node(port=PORT, plain=plain) as here:
            peer = await call(here, timeout=9)
            await peer.send(b"after")
            assert await peer.receive() == b"after"
        await task

    async def serve() -> None:
        async with bob(plain=plain) as there:
            old = await there.accept()
            assert await old.receive() == b"before"
            new = await there.accept()
            assert isinstance(await outcome(old.receive()), WentAway)
            assert there.peers == [new]
            await new.send(await new.receive())
            await new.wait_closed()

    async def main() -> None:
        ready = asyncio.Event()
        serving = network.host("bob").start(serve())
        await network.host("alice").run(alice(ready))
        await serving

    sim.run(main(), network)


@both_modes
def test_silence_ends_in_a_timeout_and_leaves_nothing(plain: bool) -> None:
    network = world()
    options = {"plain": plain, "config": config(idle_timeout=10.0, keep_alive=3.0)}

    async def alice(here: Node) -> None:
        peer = await call(here)
        await asyncio.sleep(120)  # keep-alives: an idle peer stays
        assert peer.error is None
        network.cut("alice", "bob", at=network.now)
        begin = here.now()
        assert isinstance(await outcome(peer.receive()), TimedOut)
        assert 6 <= here.now() - begin <= 11  # the last sign of life was a keep-alive's answer
        assert here.peers == []
        assert len(here._board) == 0
        await asyncio.sleep(20)  # longer than the listener keeps a handshake
        assert here._board.next_wakeup == inf

    play(network, ("bob", bob(**options), alice_too), ("alice", node(**options), alice))


async def alice_too(there: Node) -> None:
    peer = await there.accept()
    assert isinstance(await outcome(peer.receive()), TimedOut)
    assert len(there._board) == 0


def test_a_peer_that_moves_stays_the_same_peer() -> None:
    """Its packets come from another address (behind a router, say); it is asked there, and answered there."""
    network = world()
    events: list[Event] = []

    async def alice(here: Node) -> None:
        peer = await call(here)
        await peer.send(b"from the first port")
        await peer.receive()
        here._socket.close()
        here._socket = await open_socket("", 0, here._receive, here._schedule)
        await peer.send(b"from the second")
        assert await peer.receive() == b"from the second"
        await asyncio.sleep(1)
        await peer.send(b"still")
        assert await peer.receive() == b"still"
        await peer.close()

    async def serve(there: Node) -> None:
        peer = await there.accept()
        before = peer.address
        async for message in peer:
            await peer.send(message)
            if message == b"still":
                assert peer.address != before
                assert peer.address[0] == before[0]

    trace = Trace("bob", lambda: network.now, events.append)
    play(network, ("bob", bob(trace=trace), serve), ("alice", node(), alice))
    names = [event.name for event in events]
    assert names == ["connection.accepted", "connection.moved", "connection.closed"]


def test_what_happens_is_traced() -> None:
    """Each connection has a number, from the dial on."""
    network = world()
    events: list[Event] = []
    trace = Trace("alice", lambda: network.now, events.append)

    async def alice(here: Node) -> None:
        assert isinstance(await outcome(here.connect(("bob", 99), timeout=1.0)), HandshakeTimeout)
        await (await call(here)).close()

    play(network, ("bob", bob(), echo), ("alice", node(trace=trace), alice))
    assert [(event.name, event.fields["connection"]) for event in events] == [
        ("connection.dialing", 1),
        ("connection.failed", 1),
        ("connection.dialing", 2),
        ("connection.dialed", 2),
        ("connection.closed", 2),
    ]
    assert events[3].fields["address"] == f"10.0.0.2:{PORT}"


def test_a_node_is_started_once_and_closed_as_often_as_one_likes() -> None:
    async def alice(here: Node) -> None:
        assert isinstance(await outcome(here.start()), RuntimeError)
        await here.close()
        await here.close()
        assert "closing" in repr(here)

    play(world(), ("alice", node(), alice))
    assert repr(open_node()) == "<Node :0 0 peers>"


async def test_nothing_happens_after_the_end() -> None:
    """Rule 6: whatever is on the switchboard yet, and whoever asks for a turn, no timer is set."""
    async with open_plain_node(("127.0.0.1", 0)) as here, open_plain_node(("127.0.0.1", 0)) as there:
        await here.connect(there.address)
        (line,) = here._board.lines()
    here._board.dial(("127.0.0.1", 9), here.now(), timeout=1.0)
    here.touch(line)
    await asyncio.sleep(0)
    here._on_timer()
    assert here._flush_handle is None
    assert here._timer is None or here._timer.cancelled()


async def test_closing_a_node_that_was_never_started_does_nothing() -> None:
    await open_node().close()


# --- turns and time ---------------------------------------------------------------------------------------------------


def test_what_is_sent_in_one_turn_shares_packets() -> None:
    """Rule 1: a hundred small messages in a turn are two packets, not a hundred."""

    async def alice(here: Node) -> None:
        peer = await call(here)
        await asyncio.sleep(1)
        before = here.counters.sent
        for _ in range(100):
            await peer.send(b"0123456789")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert here.counters.sent - before <= 2
        await peer.close()

    play(world(), ("bob", bob(), echo), ("alice", node(), alice))


async def test_an_answer_carries_the_acks_of_what_it_answers() -> None:
    """Rule 1: who is woken by what has come answers in the same turn; no ack goes alone before."""
    async with open_plain_node(("127.0.0.1", 0)) as here, open_plain_node(("127.0.0.1", 0)) as there:
        peer = await here.connect(there.address)
        other = await there.accept()

        async def answer() -> None:
            await other.receive()
            for _ in range(60):
                other.send_nowait(bytes(100))

        answering = asyncio.ensure_future(answer())
        await asyncio.sleep(0)
        sent: list[bytes] = []
        send = there._socket.send
        there._socket.send = lambda datagrams, address: (sent.extend(datagrams), send(datagrams, address))[1]  # type: ignore[method-assign,func-returns-value]
        for _ in range(60):
            peer.send_nowait(bytes(100))
        for _ in range(60):
            await peer.receive()
        await answering
        assert min(map(len, sent)) > 100


def test_an_idle_node_sleeps_and_a_busy_one_does_not_spin() -> None:
    """Rule 2: no turn without a datagram or a time that has come; and timers ring a grain apart at least."""
    turns: list[float] = []
    rings: list[float] = []

    async def alice(here: Node) -> None:
        peer = await call(here)
        flush, ring = here._flush, here._on_timer
        here._flush = lambda: (turns.append(here.now()), flush())[1]  # type: ignore[method-assign,func-returns-value]
        here._on_timer = lambda: (rings.append(here.now()), ring())[1]  # type: ignore[method-assign,func-returns-value]
        await asyncio.sleep(100)
        assert len(turns) < 60  # keep-alives, and the answers to the other's
        turns.clear()
        rings.clear()
        for number in range(800):  # a megabyte, paced at a few packets per millisecond
            await peer.send(b"%d" % number * 400)
        await peer.close(drain=20)
        assert len(rings) > 20
        assert all(two - one > 0.99 * GRAIN for one, two in pairwise(rings))
        assert len(turns) < len(rings) + here.counters.received + 500

    async def read(there: Node) -> None:
        async for _ in await there.accept():
            pass

    play(world(sim.Link(delay=0.02, rate=50e6)), ("bob", bob(), read), ("alice", node(), alice))


def test_the_timer_is_not_set_anew_with_every_turn() -> None:
    """Rule 2: as long as nothing becomes more urgent."""

    async def alice(here: Node) -> None:
        async with await call(here):
            await asyncio.sleep(1)
            timer = here._timer
            assert timer is not None
            for _ in range(10):
                here._schedule()
                await asyncio.sleep(0.001)
            assert here._timer is timer

    play(world(), ("bob", bob(), echo), ("alice", node(), alice))


def test_a_socket_that_fills_up_stops_the_turn() -> None:
    """Rule 3: the first of three peers fills it; the others have their turn when there is room."""

    async def serve(there: Node) -> None:
        peers = [await there.accept() for _ in range(3)]
        await asyncio.sleep(1)
        sock: Any = there._socket
        send = sock.send

        def fills_up(*arguments: Any) -> bool:
            send(*arguments)
            sock.pause_writing()
            return False

        sock.send = fills_up
        for peer in peers:
            await peer.send(b"hello")
        before = there.counters.sent
        for expected in (1, 2, 3):
            await asyncio.sleep(0.001)
            assert there.counters.sent - before == expected
            sock.resume_writing()
        del sock.send
        for peer in peers:
            await peer.wait_closed()

    async def hear(here: Node) -> None:
        async with await call(here) as peer:
            assert await peer.receive() == b"hello"

    names = ("alice", "carol", "dave")
    play(world(hosts=names), ("bob", bob(), serve), *((name, node(None), hear) for name in names))


def test_nobody_is_asked_to_send_while_the_socket_is_full() -> None:
    """Rule 3: what a program sends meanwhile waits in its queue, and leaves when there is room."""

    async def alice(here: Node) -> None:
        peer = await call(here)
        await asyncio.sleep(1)
        here._socket.pause_writing()  # type: ignore[attr-defined]
        before = here.counters.sent
        await peer.send(b"patience")
        await asyncio.sleep(1)
        assert here.counters.sent == before
        here._socket.resume_writing()  # type: ignore[attr-defined]
        assert await peer.receive() == b"patience"
        await peer.close()

    play(world(), ("bob", bob(), echo), ("alice", node(), alice))


@both_modes
@pytest.mark.parametrize("leaves_first", [True, False])
def test_a_node_whose_peer_has_left_closes_at_once(plain: bool, leaves_first: bool) -> None:
    """Rule 6: who only listened knows no round trip, so waiting for copies of the goodbye would take four seconds."""

    async def alice(here: Node) -> float:
        peer = await call(here)
        await peer.send(b"all that I wanted to say")
        if leaves_first:
            await peer.close()
        begin = here.now()
        await here.close()
        return here.now() - begin

    async def serve(there: Node) -> float:
        peer = await there.accept()
        await peer.receive()
        if leaves_first:
            await peer.wait_closed()
        begin = there.now()
        await there.close()
        return there.now() - begin

    assert max(play(world(), ("bob", bob(plain=plain), serve), ("alice", node(plain=plain), alice))) < 0.5


# --- misuse -----------------------------------------------------------------------------------------------------------


async def test_a_node_that_was_not_started_says_so() -> None:
    """Instead of an attribute that is missing, or of waiting for ever."""
    here = open_node(("127.0.0.1", 0))
    message = "async with"
    for ask in (lambda: here.address, lambda: here.counters):
        with pytest.raises(RuntimeError, match=message):
            ask()
    with pytest.raises(RuntimeError, match=message):
        await here.accept()
    with pytest.raises(RuntimeError, match=message):
        await here.connect(("127.0.0.1", 9))
    with pytest.raises(RuntimeError, match=message):
        await anext(aiter(here))
    await here.close()


@both_modes
async def test_addresses_at_which_nobody_can_be(plain: bool) -> None:
    """A port is no other one, whatever the system makes of it; and there is no waiting for what cannot answer."""
    async with asyncio.timeout(10), node(plain=plain) as here:
        with pytest.raises(ValueError, match="port 70000"):
            await here.connect(("127.0.0.1", 70000))
        with pytest.raises(ValueError, match="port 0"):
            await here.connect(("127.0.0.1", 0))
        bad: Any = "127.0.0.1:9"
        with pytest.raises(TypeError, match=r"127\.0\.0\.1:9"):
            await here.connect(bad)


async def test_a_trace_that_fails_is_reported_and_stops_nothing() -> None:
    """A full disk would have kept from peers that they were dialled, accepted and left; they waited for ever."""
    told: list[BaseException] = []

    def fail(name: str, **_fields: object) -> None:
        raise OSError(name)

    trace: Any = fail
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    async with asyncio.timeout(10), node(trace=trace) as here, node(BOB, trace=trace) as there:
        peer = await here.connect(("127.0.0.1", there.address[1]))
        other = await there.accept()
        await peer.close()
        await other.wait_closed()
        with pytest.raises(HandshakeTimeout):
            await here.connect(("127.0.0.1", 9), timeout=0.01)
    names = ("dialing", "accepted", "dialed", "closed", "closed", "dialing", "failed")
    assert sorted(map(str, told)) == sorted(f"connection.{name}" for name in names)
