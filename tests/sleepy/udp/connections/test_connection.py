"""Two connections over bad networks, in virtual time: messages, blocks, room, silence, the end, other addresses."""

import gc
import tracemalloc
from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepy.sim import Link
from sleepy.udp.connections.connection import Connection
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.connection_errors import (
    CHANNEL_MISMATCH,
    ChannelMismatch,
    ClosedByPeer,
    ClosedLocally,
    PeerProtocolError,
    TimedOut,
    WentAway,
)
from sleepy.udp.connections.connection_events import (
    AddressChanged,
    BlockChanged,
    BlockRoomAgain,
    Closed,
    Established,
    Event,
    RoomAgain,
)
from sleepy.udp.connections.ending import State
from sleepy.udp.connections.plain import PlainPackets, beginning
from sleepy.udp.connections.preface import write_challenge, write_response
from sleepy.udp.delivery.blocks import BlockState, TooManyBlocks
from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery, QueueFull
from sleepy.udp.delivery.chunks import Close, Run
from sleepy.udp.header import read_header
from sleepy.udp.path.congestion.new_reno import NewReno
from sleepy.udp.security.protection import Protection
from tests.sleepy.udp.connecting import ALICE, BOB, ELSEWHERE, Mode, Side, World, sessions
from tests.sleepy.udp.connections.test_packet_exchange import Wide

MODES: tuple[Mode, ...] = ("encrypted", "plain")
BAD = Link(delay=0.03, jitter=0.02, ordered=False, loss=0.25, duplicate=0.1)
DEAD = Link(loss=1.0)


def numbered(count: int, size: int) -> list[bytes]:
    return [number.to_bytes(4, "big").ljust(size, b".") for number in range(count)]


def settled(mode: Mode = "encrypted", **options: object) -> World:
    """Two connections that know of each other."""
    world = World(mode=mode, **options)  # type: ignore[arg-type]
    world.run(1)
    return world


# ---- messages


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("link", [Link(delay=0.01), BAD], ids=["good", "bad"])
def test_reliable_ordered_messages_arrive_once_and_in_order(mode: Mode, link: Link) -> None:
    world = settled(mode, link=link)
    messages = numbered(1500, 100)
    world.send(world.a, *messages)
    world.send(world.b, *messages[:300])
    world.run(120, until=lambda: len(world.b.inbox[0]) == 1500 and len(world.a.inbox[0]) == 300)
    assert world.b.inbox[0] == messages
    assert world.a.inbox[0] == messages[:300]


def test_small_messages_share_packets() -> None:
    """Rule 1: what is sent before a flush leaves in as few packets as hold it."""
    world = settled()
    before = len(world.a.sent)
    world.send(world.a, *numbered(20, 50))
    assert len(world.a.sent) - before == 1


def test_a_message_that_expires_is_given_up() -> None:
    world = settled()
    world.set_link(DEAD)
    world.send(world.a, b"mortal", expires=world.now + 0.5)
    world.send(world.a, b"immortal")
    world.run(1)
    world.set_link(Link(delay=0.01))
    world.run(20)
    assert world.b.inbox[0] == [b"immortal"]
    assert world.a.connection.statistics().channels[0].given_up == 1


def test_one_way_traffic_is_acked_in_time() -> None:
    """A listener answers at least every 24 packets: else acks would be lost, and with them whole packets' worth of work."""
    world = settled(link=Link(delay=0.02, rate=20e6))
    heard = 0
    longest = 0

    def tamper(datagram: bytes, sender: object) -> list[bytes]:
        nonlocal heard, longest
        heard = heard + 1 if sender is world.a else 0
        longest = max(longest, heard)
        return [datagram]

    world.tamper = tamper
    for _ in range(40):
        world.send(world.a, *numbered(100, 1000))
        world.run(0.1)
    assert len(world.b.inbox[0]) == 4000
    assert world.a.connection.statistics().packets_lost == 0


# ---- room


def test_a_full_channel_says_no_and_then_that_it_has_room() -> None:
    """Rule 3, and each RoomAgain is worth a try."""
    channels = (ChannelConfig(queue_messages=10),)
    world = settled(config=ConnectionConfig(channels=channels))
    for message in numbered(10, 10):
        world.a.connection.send(message)
    with pytest.raises(QueueFull):
        world.a.connection.send(b"eleventh")
    assert world.a.of(RoomAgain) == []
    world.a.turn()
    world.run(1)
    assert world.a.of(RoomAgain) == [RoomAgain(0)]
    world.send(world.a, b"eleventh")
    world.run(1)
    assert world.b.inbox[0][-1] == b"eleventh"
    assert world.a.of(RoomAgain) == [RoomAgain(0)], "nobody asked again"


def test_room_comes_with_time_too() -> None:
    """Messages that expire make room, though nothing arrives."""
    world = settled(config=ConnectionConfig(channels=(ChannelConfig(queue_messages=1000, queue_bytes=65536),)))
    world.set_link(DEAD)
    world.send(world.a, bytes(65536), expires=world.now + 2)
    assert not world.a.connection.can_send(100)
    world.run(1.9)
    assert world.a.of(RoomAgain) == []
    world.run(0.2)
    assert world.a.of(RoomAgain) == [RoomAgain(0)]


def test_a_reader_who_does_not_read_slows_the_writer() -> None:
    """Nothing is dropped, memory is bounded on both sides, and all arrives when it is read."""
    channels = (ChannelConfig(queue_messages=50, window_messages=40),)
    world = settled(config=ConnectionConfig(channels=channels))
    world.b.reads = False
    messages, sent = numbered(500, 200), 0
    for _ in range(30):
        while sent < 500 and world.a.connection.can_send(200):
            world.send(world.a, messages[sent])
            sent += 1
        world.run(1)
    assert world.b.connection.unread() == 40
    assert sent == 90
    world.b.reads = True
    for _ in range(30):
        while sent < 500 and world.a.connection.can_send(200):
            world.send(world.a, messages[sent])
            sent += 1
        world.b.read()
        assert world.b.connection.flush_wanted(world.now) or world.b.connection.unread() == 0
        world.b.turn()
        world.run(1)
    assert world.b.inbox[0] == messages


# ---- blocks


@pytest.mark.parametrize("link", [Link(delay=0.02, rate=50e6), BAD], ids=["good", "bad"])
def test_blocks_are_streamed_with_progress(link: Link) -> None:
    world = settled(link=link)
    data = Random(1).randbytes(300_000)
    chunks = iter([data[at : at + 10_000] for at in range(0, len(data), 10_000)])
    block = world.a.connection.open_block(b"name", len(data), chunks)
    world.a.turn()
    taken = bytearray()
    for _ in range(3000):
        world.run(0.05)
        for incoming in world.b.blocks:
            taken += incoming.read()
        world.b.turn()
        if block.state is BlockState.FINISHED:
            break
    world.a.turn()
    assert taken == data
    assert world.b.blocks[0].label == b"name"
    assert block.acked == len(data)
    assert world.a.of(BlockChanged)[-1] == BlockChanged(block)
    assert len(world.a.of(BlockChanged)) > 5
    assert BlockChanged(world.b.blocks[0]) in world.b.events


def test_room_for_another_block_is_told() -> None:
    world = settled()
    blocks = [world.a.connection.open_block(source=iter([b"data"])) for _ in range(16)]
    with pytest.raises(TooManyBlocks):
        world.a.connection.open_block()
    world.a.turn()
    world.run(1)
    assert world.a.of(BlockRoomAgain) == []
    assert [block.read() for block in world.b.blocks] == [b"data"] * 16
    world.b.turn()
    world.run(1)
    assert world.a.of(BlockRoomAgain) == [BlockRoomAgain()]
    assert {block.state for block in blocks} == {BlockState.FINISHED}


# ---- before and after


def test_plain_messages_wait_for_the_hello() -> None:
    """Before the peer's hello nobody knows whether the channels are the same; then what waited leaves."""
    world = World(mode="plain")
    world.b.asleep_until = 103.0
    assert not world.a.connection.established
    world.send(world.a, b"early")
    world.run(2.5)
    assert all(len(datagram) > 30 and datagram[read_header(datagram)[3]] == 6 for _, _, datagram in world.a.sent)
    world.run(3)
    assert world.a.of(Established) == [Established()]
    assert world.a.connection.established
    assert world.b.inbox[0] == [b"early"]


@pytest.mark.parametrize("lost", [1, 3])
def test_nothing_is_read_before_a_plain_peer_says_hello(lost: int) -> None:
    """Found by the campaign: what overtook the hello was told before `Established`, when no program was there to hear it.

    However often the hello is lost, it is repeated rather than what comes after it.
    """
    world = World(mode="plain")
    hellos: list[bytes] = []

    def tamper(datagram: bytes, sender: Side) -> list[bytes]:
        if sender is world.a and beginning(datagram) is not None and len(hellos) < lost:
            hellos.append(datagram)
            return []
        return [datagram]

    def on_event(event: Event) -> None:
        if event == Established():
            world.a.connection.open_block(b"file")

    world.tamper, world.a.on_event = tamper, on_event
    world.send(world.a, *numbered(500, 1000))
    world.run(15)
    assert len(hellos) == lost
    assert world.b.events[0] == Established()
    assert len(world.b.inbox[0]) == 500
    assert [block.label for block in world.b.blocks] == [b"file"]


def test_different_channels_are_refused_at_once_when_encrypted() -> None:
    with pytest.raises(ChannelMismatch, match=r"channel 0 is here reliable-ordered.*there unreliable"):
        World(config_b=ConnectionConfig(channels=(ChannelConfig(Delivery.UNRELIABLE),)))


def test_different_channels_end_a_plain_connection_on_both_sides() -> None:
    world = World(mode="plain", config_b=ConnectionConfig(channels=(ChannelConfig(), ChannelConfig())))
    world.run(10)
    assert isinstance(world.a.error, ChannelMismatch)
    assert isinstance(world.b.error, ChannelMismatch)
    for side in (world.a, world.b):
        said = Close(CHANNEL_MISMATCH, str(side.error)).encode()
        assert any(said in datagram for _, _, datagram in side.sent)
    assert world.a.connection.finished
    assert world.b.connection.finished


def test_a_plain_capture_is_reliable_traffic() -> None:
    """Each datagram begins with a packet header of reliable.io's, and the numbers have no gap."""
    world = settled("plain")
    world.send(world.a, *numbered(100, 100))
    world.run(5)
    headers = [read_header(datagram) for _, _, datagram in world.a.sent]
    assert [sequence for sequence, *_ in headers] == list(range(len(headers)))
    assert all(size for *_, size in headers)


def test_a_plain_peer_that_was_started_anew_is_noticed() -> None:
    world = settled("plain")
    world.send(world.a, b"before")
    world.run(1)
    again = Connection(PlainPackets(), BOB, ConnectionConfig(), now=world.now)
    [(_, [hello])] = again.flush(world.now)
    world.b.receive(hello, ALICE)
    assert world.b.error is None, "the hello may be late"
    question = world.b.sent[-1][2]
    again.receive(question, BOB, world.now)
    [(_, [hello])] = again.flush(world.now)
    world.b.receive(hello, ALICE)
    assert isinstance(world.b.error, WentAway)
    assert world.b.connection.finished
    assert len(question) < len(hello)


@pytest.mark.parametrize("state", ["open", "closing"])
def test_a_late_hello_does_not_end_a_plain_connection(state: str) -> None:
    """Rule 4 of plain: of an earlier conversation between the same addresses, once or many times, to either side."""
    first, second = settled("plain", seed=100), settled("plain", seed=200)
    late = [(side.address, datagram) for side in (first.a, first.b) for _, _, datagram in side.sent]
    late = [(address, datagram) for address, datagram in late if beginning(datagram) is not None]
    assert {address for address, _ in late} == {ALICE, BOB}
    if state == "closing":
        second.tamper = lambda _datagram, _side: []
        second.a.connection.close(second.now, 7, "enough")
        second.a.turn()
        second.tamper = lambda datagram, _side: [datagram]
    for number in range(20):
        source, datagram = late[number % len(late)]
        (second.b if source == ALICE else second.a).receive(datagram, source)
        if state == "open":
            second.send(second.a, b"%d" % number)
        second.run(0.1)
    if state == "open":
        assert second.a.error is None
        assert second.b.error is None
        assert second.b.inbox[0] == [b"%d" % number for number in range(20)]
        assert second.b.connection.statistics().packets_lost == 0
    else:
        assert isinstance(second.b.error, ClosedByPeer)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_late_from_an_earlier_conversation_does_not_enter_the_next(seed: int) -> None:
    """Rule 3 of plain: the same addresses, the same sequence numbers and message ids; nothing of it is read, nor acked."""
    channels = (ChannelConfig(), ChannelConfig(Delivery.RELIABLE_UNORDERED), ChannelConfig(Delivery.UNRELIABLE))
    config = ConnectionConfig(channels=channels)

    def speak(world: World, word: bytes) -> None:
        for _ in range(30):
            for side in (world.a, world.b):
                for channel in range(3):
                    world.send(side, word, channel=channel)
            world.run(0.05)

    first = settled("plain", config=config, seed=100 + seed)
    speak(first, b"before")
    late = [(side.address, datagram) for side in (first.a, first.b) for _, _, datagram in side.sent]
    late = [(address, datagram) for address, datagram in late if beginning(datagram) is None]
    assert len(late) > 60
    second = World(mode="plain", config=config, seed=200 + seed)
    random = Random(seed)
    for source, datagram in late:
        to = second.b if source == ALICE else second.a
        second.at(100 + random.random() * 2, lambda to=to, it=datagram, source=source: to.receive(it, source))
    speak(second, b"after")
    second.run(3)
    for side in (second.a, second.b):
        assert side.error is None
        assert {message for messages in side.inbox.values() for message in messages} == {b"after"}
        assert len(side.inbox[0]) == len(side.inbox[1]) == 30
        assert side.connection.statistics().packets_lost == 0


# ---- silence


def test_an_idle_connection_lives_by_asking() -> None:
    """An hour without a word; a handful of packets per minute."""
    world = settled()
    world.run(3600)
    assert world.a.error is None
    assert world.b.error is None
    assert 360 <= len(world.a.sent) + len(world.b.sent) <= 1800


@pytest.mark.parametrize("mode", MODES)
def test_a_silent_peer_is_gone_after_the_idle_timeout(mode: Mode) -> None:
    """The shorter one of both sides' holds, and it was asked before."""
    world = settled(mode, config=ConnectionConfig(idle_timeout=60), config_b=ConnectionConfig(idle_timeout=20))
    world.run(30)
    world.set_link(DEAD)
    world.run(15)
    before = len(world.a.sent)
    assert world.a.error is None
    world.run(15)
    assert isinstance(world.a.error, TimedOut)
    assert isinstance(world.a.error, TimeoutError)
    assert world.a.connection.finished
    assert world.a.connection.next_wakeup == inf
    assert world.a.connection.flush(world.now) == []
    assert before > 0
    with pytest.raises(TimedOut):
        world.a.connection.send(b"too late")


@given(pause=st.floats(0.5, 1000), when=st.floats(0, 25), mode=st.sampled_from(MODES))
@settings(max_examples=15, deadline=None)
def test_our_own_pauses_kill_nobody(pause: float, when: float, mode: Mode) -> None:
    """However long we are away, the peer is asked before it is given up; B's patience is longer here than the pause."""
    world = World(mode=mode)
    world.run(1)
    world.b.connection._heartbeat.idle_timeout = 1e9
    world.run(when)
    world.a.asleep_until = world.now + pause
    world.run(pause)
    world.send(world.a, b"here again")
    world.run(40)
    assert world.a.error is None
    assert world.b.inbox[0] == [b"here again"]
    assert world.a.connection.statistics().rtt < 2


def test_who_comes_back_and_finds_nobody_gives_up_in_time() -> None:
    world = settled()
    world.a.asleep_until = world.now + 600
    world.run(600)
    assert isinstance(world.b.error, TimedOut)
    world.a.turn()
    assert world.a.error is None
    world.run(31)
    assert isinstance(world.a.error, TimedOut)


def test_a_pulled_cable_is_survived() -> None:
    """Twenty seconds without a network: nothing is lost, and it goes on soon after."""
    world = settled()
    messages = numbered(200, 100)
    world.set_link(DEAD)
    world.send(world.a, *messages)
    world.run(20)
    world.set_link(Link(delay=0.01))
    world.run(11)
    assert world.b.inbox[0] == messages


def test_a_probe_carries_what_may_be_lost() -> None:
    """The last message of a burst is lost, and nothing comes after it: the first probe brings it."""
    world = settled()
    world.set_link(DEAD)
    world.send(world.a, b"last")
    world.set_link(Link(delay=0.01))
    sent = len(world.a.sent)
    world.run(10, until=lambda: len(world.a.sent) > sent)
    world.run(0.011)
    assert world.b.inbox[0] == [b"last"]


def test_a_probe_carries_what_is_new_rather_than_what_is_under_way() -> None:
    """RFC 9002, section 6.2.4: what is under way may have arrived."""
    world = settled("plain", config=ConnectionConfig(congestion=NewReno))
    world.set_link(DEAD)
    world.send(world.a, *[b"%03d" % number * 300 for number in range(30)])
    sent = len(world.a.sent)
    world.run(10, until=lambda: len(world.a.sent) > sent)
    fresh = next(number for number in range(30) if not any(b"%03d" % number in it for _, _, it in world.a.sent[:sent]))
    assert 0 < fresh < 30, "the window is full"
    assert b"%03d" % fresh in world.a.sent[sent][2]


def test_a_question_that_is_lost_is_asked_again() -> None:
    """Rule 2 of liveness: a ping holds nothing that could be sent again, so another is sent."""
    config = ConnectionConfig(keep_alive=1.0, idle_timeout=30.0)
    world = World(config=config, config_b=ConnectionConfig(keep_alive=15.0, idle_timeout=30.0))
    world.run(1)
    world.set_link(DEAD)
    before = len(world.a.sent)
    world.run(8)
    assert len(world.a.sent) >= before + 4
    world.set_link(Link(delay=0.01))
    heard = len(world.b.sent)
    world.run(12)
    assert len(world.b.sent) > heard


# ---- the end


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("link", [Link(delay=0.01), Link(delay=0.03, loss=0.4)], ids=["good", "bad"])
def test_both_sides_learn_why(mode: Mode, link: Link) -> None:
    world = settled(mode)
    world.set_link(link, 5)
    world.a.connection.close(world.now, 42, "we are full")
    world.a.turn()
    world.run(20)
    assert isinstance(world.a.error, ClosedLocally)
    assert isinstance(world.b.error, ClosedByPeer)
    assert (world.b.error.code, world.b.error.reason) == (42, "we are full")
    assert world.a.connection.finished
    assert world.b.connection.finished
    with pytest.raises(ClosedByPeer):
        world.b.connection.send(b"too late")


def test_closing_takes_a_round_trip_if_the_peer_hears() -> None:
    world = settled()
    world.a.connection.close(world.now)
    world.a.turn()
    assert world.a.connection.state is State.CLOSING
    world.run(0.03)
    assert world.a.connection.finished
    assert world.b.connection.state is State.DRAINING
    assert isinstance(world.b.error, ClosedByPeer)


def test_closing_ends_though_nobody_hears() -> None:
    world = settled()
    world.set_link(DEAD)
    before = len(world.a.sent)
    world.a.connection.close(world.now)
    world.a.turn()
    world.run(9)
    assert world.a.connection.finished
    assert 4 <= len(world.a.sent) - before <= 9


def test_closing_takes_no_longer_on_a_path_that_is_long() -> None:
    """Rule 4 of ending: four times what an ack may take, and for that at most two seconds count."""
    world = settled(link=Link(delay=2.5), config=ConnectionConfig(idle_timeout=60.0))
    world.send(world.a, b"hello")
    world.run(30)
    assert world.a.connection.statistics().rtt > 4
    world.set_link(DEAD)
    world.a.connection.close(world.now)
    world.a.turn()
    world.run(8.1)
    assert world.a.connection.finished


def test_both_may_close_at_once() -> None:
    world = settled()
    for side in (world.a, world.b):
        side.connection.close(world.now, 1, "I first")
        side.turn()
    world.run(5)
    for side in (world.a, world.b):
        assert isinstance(side.error, ClosedLocally)
        assert side.connection.finished


def test_lingering_delivers_what_was_taken_and_takes_nothing_new() -> None:
    world = settled(link=BAD)
    messages = numbered(500, 100)
    world.send(world.a, *messages)
    world.a.connection.close(world.now, linger=60)
    world.a.turn()
    assert world.a.connection.state is State.LINGERING
    with pytest.raises(ClosedLocally):
        world.a.connection.send(b"new")
    world.run(60)
    assert world.b.inbox[0] == messages
    assert isinstance(world.b.error, ClosedByPeer)


def test_lingering_has_an_end() -> None:
    world = settled(config=ConnectionConfig(channels=(ChannelConfig(window_bytes=600_000),)))
    world.b.reads = False
    world.send(world.a, *numbered(1000, 1000))
    world.a.connection.close(world.now, linger=5)
    world.a.turn()
    world.run(4.9)
    assert world.a.connection.state is State.LINGERING
    world.run(3)
    assert world.a.connection.finished
    assert isinstance(world.b.error, ClosedByPeer)
    assert len(world.b.read()) > 500, "what has arrived stays to be read"


def test_a_node_that_shuts_down_says_so() -> None:
    world = settled()
    world.a.connection.go_away(world.now)
    world.a.turn()
    world.run(1)
    assert isinstance(world.b.error, WentAway)


def test_an_aborted_connection_says_nothing() -> None:
    world = settled()
    world.a.connection.abort(WentAway("the peer was started anew"))
    before = len(world.a.sent)
    world.a.turn()
    assert len(world.a.sent) == before
    assert isinstance(world.a.error, WentAway)
    world.a.connection.close(world.now)
    assert world.a.connection.finished


def test_an_aborted_connection_hears_nothing() -> None:
    """Not even a hello that was on its way."""
    world = World(mode="plain")
    world.run(0.005)
    world.b.connection.abort(ClosedLocally("the dial was given up"))
    world.run(10)
    assert not world.b.connection.established
    assert [type(event) for event in world.b.events] == [Closed]


def test_codes_have_a_range() -> None:
    world = settled()
    with pytest.raises(ValueError, match="choose from 0 to 65535"):
        world.a.connection.close(world.now, 65536)


# ---- peers that break the rules


def inject(world: World, payload: bytes) -> None:
    """A packet with a proper envelope and number, from a peer that writes what it likes."""
    datagram = world.a.connection._exchange.send_unacked(payload, world.now)
    world.b.receive(datagram, ALICE)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "payload",
    [
        b"\xff",
        b"\x04too",
        Run(5, 0, [b"no such channel"]).encode(),
        Run(0, 5000, [b"no credit"]).encode(),
        b"\x02\x00\x05ab",
    ],
)
def test_a_peer_that_breaks_the_protocol_is_left(mode: Mode, payload: bytes) -> None:
    """Rule 2: both sides learn it, at once, and it ends."""
    world = settled(mode)
    inject(world, payload)
    assert isinstance(world.b.error, PeerProtocolError)
    world.run(10)
    assert isinstance(world.a.error, PeerProtocolError)
    assert world.a.connection.finished
    assert world.b.connection.finished


@pytest.mark.parametrize("mode", MODES)
@given(datagrams=st.lists(st.binary(max_size=200), max_size=30))
@settings(max_examples=40, deadline=None)
def test_noise_never_raises(mode: Mode, datagrams: list[bytes]) -> None:
    """Rule 2; encrypted, noise has no effect at all."""
    world = settled(mode)
    for datagram in datagrams:
        world.b.receive(datagram, ELSEWHERE)
    world.run(1)
    if mode == "encrypted":
        assert world.b.error is None
        world.send(world.a, b"still there")
        world.run(1)
        assert world.b.inbox[0] == [b"still there"]


def test_too_many_forgeries_end_it() -> None:
    world = settled()
    world.send(world.a, b"valid")
    protection = world.b.connection._envelope
    assert isinstance(protection, Protection)
    protection._max_forgeries = 3
    valid = world.a.sent[-1][2]
    for number in range(3):
        world.b.receive(valid[:9] + (1000 + number).to_bytes(4, "little") + bytes(30), ALICE)
    assert isinstance(world.b.error, ClosedLocally)
    assert "forged" in str(world.b.error)


# ---- other addresses


def test_a_peer_that_moves_is_followed_once_it_has_proved_it() -> None:
    world = settled()
    world.a.address = ELSEWHERE
    world.send(world.a, b"from elsewhere")
    assert world.b.connection.address == ALICE
    world.run(0.012)
    assert world.b.connection.address == ALICE, "not before it has answered"
    asked = [datagram for _, to, datagram in world.b.sent if to == ELSEWHERE]
    assert len(asked) == 1
    world.run(1)
    assert world.b.connection.address == ELSEWHERE
    assert world.b.of(AddressChanged) == [AddressChanged(ELSEWHERE)]
    world.send(world.b, b"welcome")
    world.run(1)
    assert world.a.inbox[0] == [b"welcome"]


def test_a_new_path_is_measured_anew() -> None:
    """Window and round trip of the old path say nothing about the new one."""
    world = settled(config=ConnectionConfig(congestion=NewReno))
    for _ in range(3):
        world.send(world.b, *numbered(1000, 300))
        world.run(1)
    grown = world.b.connection.statistics()
    assert grown.congestion_window > 40_000
    assert grown.packet_size > 1400
    world.a.address = ELSEWHERE
    world.set_link(Link(delay=0.1))
    world.send(world.a, b"moved")
    world.run(1)
    new = world.b.connection.statistics()
    assert new.congestion_window < 20_000
    assert new.packet_size == 1200
    assert new.rtt == pytest.approx(0.2, rel=0.2)


def test_what_was_under_way_to_the_old_address_arrives_at_the_new_one() -> None:
    world = settled()
    messages = numbered(300, 500)
    world.send(world.b, *messages)
    world.a.address = ELSEWHERE
    world.send(world.a, b"moved")
    world.run(5)
    assert world.a.inbox[0] == messages


def test_a_forwarded_packet_moves_nobody() -> None:
    """Somebody who sees a packet sends it on from a victim's address: the victim gets no more than three times as much."""
    world = settled()
    world.a.address = ELSEWHERE  # the source that the copies bear
    world.send(world.a, b"caught")
    world.a.address = ALICE
    sent = sum(len(datagram) for _, _, datagram in world.a.sent[-1:])
    world.send(world.b, *numbered(500, 1000))
    world.run(20)
    got = sum(len(datagram) for _, to, datagram in world.b.sent if to == ELSEWHERE)
    assert 0 < got <= 3 * sent
    assert sum(to == ELSEWHERE for _, to, _ in world.b.sent) == 1, "a newer packet shows that it is where it was"
    assert world.b.connection.address == ALICE
    assert world.b.of(AddressChanged) == []
    assert len(world.a.inbox[0]) == 500


def test_a_question_at_a_new_address_is_asked_again_in_time() -> None:
    """Though nothing else happens: nobody hears anything any more, and B has nothing to say."""
    world = settled()
    world.a.address = ELSEWHERE
    world.send(world.a, b"moved")
    world.run(0.0101)
    world.set_link(DEAD)
    world.run(3)
    assert sum(to == ELSEWHERE for _, to, _ in world.b.sent) >= 2


def test_who_is_asked_answers_where_the_question_came_from() -> None:
    """It may be the other side's new address, which is not proved yet."""
    world = settled()
    question = world.a.connection._exchange.send_unacked(write_challenge(b"12345678"), world.now)
    world.b.receive(question, ELSEWHERE)
    world.run(1)
    sealed = [it for _, to, it in world.b.sent if to == ELSEWHERE]
    opened = [world.a.connection._envelope.unprotect(datagram, world.now) for datagram in sealed]
    assert any(payload is not None and payload.endswith(write_response(b"12345678")) for payload in opened)


def test_an_answer_to_no_question_proves_nothing() -> None:
    world = settled()
    inject(world, write_response(bytes(8)))
    world.run(1)
    assert world.b.error is None
    assert world.b.of(AddressChanged) == []


def test_a_late_packet_from_the_old_address_does_not_move_it_back() -> None:
    world = settled()
    late: list[bytes] = []
    world.tamper = lambda datagram, _: late.append(datagram) or []  # type: ignore[func-returns-value]
    world.send(world.a, b"first")
    world.tamper = lambda datagram, _: [datagram]
    world.a.address = ELSEWHERE
    world.send(world.a, b"second")
    world.run(1)
    assert world.b.connection.address == ELSEWHERE
    asked = len(world.b.sent)
    for datagram in late:
        world.b.receive(datagram, ALICE)
    world.run(1)
    assert {to for _, to, _ in world.b.sent[asked:]} <= {ELSEWHERE}, "nor is anybody asked there"
    assert world.b.of(AddressChanged) == [AddressChanged(ELSEWHERE)]


# ---- figures


def test_statistics_tell_how_it_is() -> None:
    world = settled(link=Link(delay=0.05, loss=0.05))
    world.b.reads = False
    world.send(world.a, *numbered(2000, 500))
    world.run(30)
    figures = world.a.connection.statistics()
    assert figures.rtt == pytest.approx(0.1, rel=0.3)
    assert figures.rtt_least == pytest.approx(0.1, rel=0.01)
    assert 0.01 < figures.loss < 0.15
    assert figures.packets_lost >= figures.spurious_losses
    assert figures.bandwidth > 0
    assert figures.bytes_under_way == 0
    theirs = world.b.connection.statistics().channels[0]
    assert theirs.unread_messages == 2000
    assert theirs.held_bytes == 1_000_000


def test_an_idle_peer_takes_little_memory() -> None:
    """Python's objects for one encrypted connection over which something went; the ciphers' own memory comes on top."""
    config = ConnectionConfig()
    pairs = []

    def talk(number: int) -> None:
        ours, theirs = sessions(number, (config.parameters(), config.parameters()))
        one = Connection(Protection(ours, now=0.0), BOB, config, now=0.0, peer_parameters=ours.parameters)
        other = Connection(Protection(theirs, now=0.0), ALICE, config, now=0.0, peer_parameters=theirs.parameters)
        one.send(b"hello")
        other.send(b"hello")
        for turn in range(6):
            for sender, receiver, source in ((one, other, ALICE), (other, one, BOB)):
                for _, datagrams in sender.flush(turn * 0.03):
                    for datagram in datagrams:
                        receiver.receive(datagram, source, turn * 0.03 + 0.01)
        assert (one.read(), other.read()) == (b"hello", b"hello")
        pairs.append((one, other))

    talk(0)
    gc.collect()
    tracemalloc.start()
    for number in range(50):
        talk(number)
    gc.collect()
    size = tracemalloc.get_traced_memory()[0] / 100
    tracemalloc.stop()
    assert size < 9 * 1024


def test_one_close_is_enough() -> None:
    """What comes after the first close of a peer changes nothing."""
    world = settled()
    inject(world, Close(1, "first").encode())
    inject(world, Close(2, "second").encode())
    assert isinstance(world.b.error, ClosedByPeer)
    assert world.b.error.code == 1


def test_of_many_packets_read_in_one_turn_none_seems_lost() -> None:
    """What acks that could not wait say is sent with the rest (`sleepy.udp.path.ack_policy`, rule 4)."""
    config = ConnectionConfig(congestion=Wide)
    ours, theirs = sessions(1, (config.parameters(), config.parameters()))
    alice, bob = (
        Connection(Protection(session, now=0.0), where, config, now=0.0, peer_parameters=session.parameters)
        for session, where in ((ours, BOB), (theirs, ALICE))
    )
    alice.open_block(source=iter([bytes(60_000)]))
    ((_, datagrams),) = alice.flush(0.0)
    assert len(datagrams) > 40
    for datagram in datagrams:
        bob.receive(datagram, ALICE, 0.0)
    ((_, answers),) = bob.flush(0.0)
    for answer in answers:
        alice.receive(answer, BOB, 0.1)
    statistics = alice.statistics()
    assert (statistics.packets_lost, statistics.bytes_under_way) == (0, 0)
