"""The rules of sleepy/udp/nodes/peer.py: how a program waits for a peer."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest

from sleepy import sim
from sleepy.udp.connections import connection_events as events
from sleepy.udp.connections.connection_errors import ClosedByPeer, ClosedLocally, PeerProtocolError, TimedOut, WentAway
from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery, MessageTooLarge, QueueFull
from sleepy.udp.nodes.node import Node
from sleepy.udp.nodes.peer import Peer
from tests.sleepy.udp.node_worlds import BOB, LINK, bob, call, config, node, outcome, play, world

Half = Callable[[Peer], Awaitable[Any]]
SMALL = ChannelConfig(queue_messages=10, window_messages=10)


def between(alice: Half, serve: Half, *channels: ChannelConfig, link: sim.Link = LINK) -> list[Any]:
    """Run the two halves with each other as peers; alice closes at her end."""
    options = {"config": config(channels=channels or (ChannelConfig(),))}

    async def dialled(here: Node) -> Any:
        async with await call(here, timeout=9) as peer:
            return await alice(peer)

    async def accepted(there: Node) -> Any:
        peer = await there.accept()
        result = await serve(peer)
        await peer.wait_closed()
        return result

    return play(world(link), ("bob", bob(**options), accepted), ("alice", node(**options), dialled))


async def idle(_peer: Peer) -> None:
    """Take no part."""


def test_send_waits_for_room_and_send_nowait_says_no() -> None:
    """Rule 1: a peer that does not read takes its window, our queue fills, and then the program waits; nothing is lost."""
    sent = 0

    async def alice(peer: Peer) -> None:
        nonlocal sent
        for number in range(100):
            await peer.send(b"%d" % number)
            sent += 1
        refused = 0
        while True:
            try:
                peer.send_nowait(b"end")
                break
            except QueueFull:
                refused += 1
                await asyncio.sleep(0.01)
        assert refused

    async def serve(peer: Peer) -> None:
        await asyncio.sleep(20)
        assert sent <= 20
        assert peer.statistics.channels[0].unread_messages == 10
        got = [await peer.receive() for _ in range(100)]
        assert got == [b"%d" % number for number in range(100)]
        assert await peer.receive() == b"end"

    between(alice, serve, SMALL)


def test_those_who_wait_to_send_are_served_in_order() -> None:
    """Rule 2: fifty tasks on a full channel, and one that comes when there is room already."""

    async def alice(peer: Peer) -> None:
        tasks = [asyncio.create_task(peer.send(b"%d" % number)) for number in range(50)]
        await asyncio.gather(*tasks)

    async def serve(peer: Peer) -> None:
        await asyncio.sleep(5)
        assert [await peer.receive() for _ in range(50)] == [b"%d" % number for number in range(50)]

    between(alice, serve, SMALL)


def finishes_at_once(coroutine: Coroutine[Any, Any, Any]) -> bool:
    """Whether it runs to its end without waiting; if not it is dropped."""
    try:
        coroutine.send(None)
    except StopIteration:
        return True
    coroutine.close()
    return False


def test_who_comes_late_does_not_overtake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 2: when there is a message, or room, again, and the one who waits has been woken but has not run yet."""
    on_events = Peer.on_events
    moments: list[str] = []

    def at_that_moment(peer: Peer, happened: Sequence[events.Event]) -> None:
        on_events(peer, happened)
        for event in happened:
            if isinstance(event, events.MessagesArrived) and peer._receiving:
                moments.append("message")
                assert not finishes_at_once(peer.receive())
            elif isinstance(event, events.RoomAgain):
                moments.append("room")
                assert not finishes_at_once(peer.send(b"late"))

    monkeypatch.setattr(Peer, "on_events", at_that_moment)

    async def alice(peer: Peer) -> None:
        for number in range(21):
            await peer.send(b"%d" % number)
        await asyncio.sleep(1)

    async def serve(peer: Peer) -> None:
        await asyncio.sleep(2)
        assert [await peer.receive() for _ in range(21)] == [b"%d" % number for number in range(21)]

    between(alice, serve, SMALL)
    assert set(moments) == {"message", "room"}


def test_reading_alone_lets_the_peer_go_on() -> None:
    """Rule 1: what is read makes room on the other side, though nothing is sent here, and nobody asks."""

    async def alice(peer: Peer) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(20):
            await peer.send(b"x")
        begin = loop.time()
        await peer.send(b"y")
        assert loop.time() - begin < 5.1

    async def serve(peer: Peer) -> None:
        await asyncio.sleep(5)
        for _ in range(10):
            assert peer.receive_nowait() == b"x"
        await peer.wait_closed()

    between(alice, serve, SMALL)


def test_what_is_sent_or_closed_leaves_at_once() -> None:
    """Nothing waits for another reason to send."""

    async def alice(peer: Peer) -> None:
        await asyncio.sleep(5)
        peer.send_nowait(b"%f" % peer._owner.now())
        await asyncio.sleep(5)
        await peer.send(b"%f" % peer._owner.now())
        await asyncio.sleep(5)
        await peer.close(f"{peer._owner.now()}", drain=100)

    async def serve(peer: Peer) -> None:
        for _ in range(2):
            sent = float(await peer.receive())
            assert peer._owner.now() - sent < 0.03
        await peer.wait_closed()
        assert isinstance(peer.error, ClosedByPeer)
        assert peer._owner.now() - float(peer.error.reason) < 0.03

    between(alice, serve)


def test_streams_after_the_end() -> None:
    """A peer that never had a stream says why there is none any more."""

    async def alice(peer: Peer) -> None:
        await peer.close()
        assert isinstance(await outcome(peer.accept_stream()), ClosedLocally)
        assert isinstance(await outcome(peer.open_stream()), ClosedLocally)

    between(alice, idle)


def test_those_who_wait_to_receive_are_served_in_order() -> None:
    """Rule 2: and each channel by itself."""

    async def alice(peer: Peer) -> None:
        await asyncio.sleep(1)
        for number in range(5):
            await peer.send(b"%d" % number)
            await peer.send(b"other %d" % number, channel=1)

    async def serve(peer: Peer) -> None:
        tasks = [asyncio.create_task(peer.receive()) for _ in range(5)]
        others = [asyncio.create_task(peer.receive(1)) for _ in range(5)]
        assert await asyncio.gather(*tasks) == [b"%d" % number for number in range(5)]
        assert await asyncio.gather(*others) == [b"other %d" % number for number in range(5)]
        assert peer.receive_nowait(1) is None

    between(alice, serve, ChannelConfig(), ChannelConfig())


def test_cancelling_loses_nothing() -> None:
    """Rule 3: a receiver is cancelled again and again, at all kinds of moments; every message is read once."""

    async def alice(peer: Peer) -> None:
        for number in range(200):
            await peer.send(b"%d" % number)
            if number % 3 == 0:
                await asyncio.sleep(0.007)

    async def serve(peer: Peer) -> None:
        got: list[bytes] = []
        step = 0
        while len(got) < 200:
            step += 1
            task = asyncio.create_task(peer.receive())
            await asyncio.sleep(0.0013 * (step % 7))
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                got.append(task.result())
        assert got == [b"%d" % number for number in range(200)]

    between(alice, serve)


def test_a_cancelled_send_sends_nothing() -> None:
    """Rule 3: and those behind it in the queue still get their turn."""

    async def alice(peer: Peer) -> None:
        tasks = [asyncio.create_task(peer.send(b"%d" % number)) for number in range(30)]
        await asyncio.sleep(2)
        assert not tasks[25].done()
        tasks[25].cancel()
        await asyncio.wait(tasks)

    async def serve(peer: Peer) -> None:
        await asyncio.sleep(5)
        assert [await peer.receive() for _ in range(29)] == [b"%d" % number for number in range(30) if number != 25]

    between(alice, serve, SMALL)


def test_what_arrived_before_the_end_can_be_read_after_it() -> None:
    """Rule 4; then everything says why it ended."""

    async def alice(peer: Peer) -> None:
        for number in range(5):
            await peer.send(b"%d" % number)
        await peer.close("enough", code=3)

    async def serve(peer: Peer) -> None:
        await peer.wait_closed()
        assert peer.is_closing
        assert [message async for message in peer] == [b"%d" % number for number in range(5)]
        for error in (
            await outcome(peer.receive()),
            await outcome(peer.send(b"late")),
            await outcome(peer.open_stream()),
        ):
            assert isinstance(error, ClosedByPeer)
            assert (error.code, error.reason) == (3, "enough")
        with pytest.raises(ClosedByPeer):
            peer.send_nowait(b"late")
        with pytest.raises(ClosedByPeer):
            peer.receive_nowait()
        await peer.close()
        peer.abandon()
        assert "ended" in repr(peer)

    between(alice, serve)


def test_who_waits_to_send_hears_of_the_end() -> None:
    async def alice(peer: Peer) -> None:
        tasks = [asyncio.create_task(outcome(peer.send(b"%d" % number))) for number in range(40)]
        await peer.wait_closed()
        results = await asyncio.gather(*tasks)
        assert sum(isinstance(result, ClosedByPeer) for result in results) >= 20

    async def serve(peer: Peer) -> None:
        await asyncio.sleep(2)
        await peer.close()

    between(alice, serve, SMALL)


def test_iterating_ends_when_somebody_leaves_and_raises_when_something_broke() -> None:
    """A peer that leaves, or a node that shuts down, is an end; a breach of the protocol is none."""

    async def leaves(peer: Peer) -> None:
        await peer.send(b"one")

    async def goes_away(peer: Peer) -> None:
        await peer.send(b"one")
        await peer._owner.close()  # type: ignore[attr-defined]

    async def breaks(peer: Peer) -> None:
        await peer.send(b"one")
        await asyncio.sleep(1)
        owner: Any = peer._owner
        nonsense = peer._line.connection._exchange.send(b"\xff\xff", [], owner.now())
        owner._socket.send([nonsense], peer.address)
        await peer.wait_closed()
        assert isinstance(peer.error, PeerProtocolError)

    async def read(peer: Peer) -> Any:
        got = [message async for message in peer]
        assert got == [b"one"]
        return type(peer.error)

    async def fail(peer: Peer) -> Any:
        assert await peer.receive() == b"one"
        return type(await outcome(anext(aiter(peer))))

    assert between(leaves, read)[0] is ClosedByPeer
    assert between(goes_away, read)[0] is WentAway
    assert between(breaks, fail)[0] is PeerProtocolError


def test_the_own_end_of_a_closed_peer() -> None:
    """While a peer lingers nothing more can be sent, and those who read have time until it is over."""

    async def alice(peer: Peer) -> None:
        reading = asyncio.create_task(outcome(peer.receive()))
        await asyncio.sleep(0)
        await peer.send(b"last words")
        closing = asyncio.create_task(peer.close())
        await asyncio.sleep(0)
        assert peer.is_closing
        assert isinstance(await outcome(peer.send(b"too late")), ClosedLocally)
        await closing
        assert isinstance(await reading, ClosedLocally)
        assert isinstance(peer.error, ClosedLocally)

    async def serve(peer: Peer) -> None:
        assert [message async for message in peer] == [b"last words"]

    between(alice, serve)


def test_abandoning_does_not_wait() -> None:
    async def alice(peer: Peer) -> None:
        peer.abandon()
        await peer.wait_closed()

    between(alice, idle)


def test_what_cannot_be_sent_at_all_is_an_error_at_once() -> None:
    async def alice(peer: Peer) -> None:
        with pytest.raises(MessageTooLarge):
            await peer.send(bytes(10_000_000))
        with pytest.raises(ValueError, match="channel 5"):
            await peer.send(b"x", channel=5)
        with pytest.raises(ValueError, match="channel 5"):
            await peer.receive(5)
        with pytest.raises(ValueError, match="code"):
            await peer.close(code=70_000)

    between(alice, idle)


def test_a_message_need_not_arrive_after_its_lifetime() -> None:
    """The cable is out for longer than one message lives, and not as long as the other."""
    options = {"config": config(channels=(ChannelConfig(Delivery.RELIABLE_UNORDERED),))}
    network = world()

    async def alice(here: Node) -> None:
        async with await call(here) as peer:
            await asyncio.sleep(20)  # a lifetime counts from now, not from the beginning of the world
            network.cut("alice", "bob", at=network.now, until=network.now + 3)
            await asyncio.sleep(0.1)
            await peer.send(b"short", lifetime=1.0)
            peer.send_nowait(b"also short", lifetime=1.0)
            await peer.send(b"long", lifetime=15.0)
            peer.send_nowait(b"as long", lifetime=15.0)
            await asyncio.sleep(10)
            await peer.send(b"end")

    async def serve(there: Node) -> None:
        peer = await there.accept()
        messages = [message async for message in peer]
        assert sorted(messages) == [b"as long", b"end", b"long"]

    play(network, ("bob", bob(**options), serve), ("alice", node(**options), alice))


def test_a_peer_says_who_and_how_it_is() -> None:
    async def alice(peer: Peer) -> None:
        await peer.send(b"hello")
        await peer.receive()
        assert peer.public_key == BOB.public_key
        assert peer.statistics.rtt == pytest.approx(0.04, abs=0.03)
        assert BOB.public_key.hex()[:8] in repr(peer)
        assert "connected" in repr(peer)
        assert not peer.is_closing

    async def serve(peer: Peer) -> None:
        await peer.send(await peer.receive())

    between(alice, serve)


@pytest.mark.parametrize("words", [{"code": 1.5}, {"code": "1"}, {"reason": b"bye"}, {"reason": OSError("disk full")}])
def test_a_peer_is_left_in_words_that_can_be_sent(words: dict[str, Any]) -> None:
    """What cannot be is told at once, and the connection goes on: it was waited for its end for ever."""

    async def alice(peer: Peer) -> None:
        with pytest.raises(TypeError):  # compiled, in mypyc's words
            await peer.close(**words)
        await peer.send(b"still here")

    async def serve(peer: Peer) -> None:
        assert await peer.receive() == b"still here"

    between(alice, serve)


def test_a_message_whose_time_is_over_is_not_waited_with() -> None:
    """The channel has no room, and nobody reads; the others behind it have their turn, and the end of it all is an error."""

    async def alice(peer: Peer) -> None:
        sent = 20  # what the window and the queue hold
        for number in range(sent):
            await peer.send(b"%d" % number)
        await asyncio.sleep(1)
        with pytest.raises(QueueFull):
            peer.send_nowait(b"more")
        begin = asyncio.get_running_loop().time()
        patient = asyncio.create_task(peer.send(b"last"))
        await asyncio.gather(*(peer.send(b"late", lifetime=lifetime) for lifetime in (1.0, 2.0)))
        assert asyncio.get_running_loop().time() - begin == pytest.approx(2.0, abs=0.01)
        assert not patient.done()
        await peer.send(b"%d" % sent, 1)
        await patient
        for _ in range(3):  # two for the window, one for the queue
            await peer.send(bytes(1000), 2)
        waiting = asyncio.create_task(peer.send(bytes(1000), 2, lifetime=1000.0))
        await asyncio.sleep(1)
        assert not waiting.done()
        peer._line.connection.abort(TimedOut("silence"))
        peer._owner.touch(peer._line)
        assert isinstance(await outcome(waiting), TimedOut)

    async def serve(peer: Peer) -> None:
        count = int(await peer.receive(1))
        got = [await peer.receive() for _ in range(count + 1)]
        assert got == [*(b"%d" % number for number in range(count)), b"last"]

    tiny = ChannelConfig(queue_messages=1, queue_bytes=1000, max_message_size=1000, window_bytes=2000)
    between(alice, serve, SMALL, SMALL, tiny)
