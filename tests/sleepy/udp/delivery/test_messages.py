"""Two ends joined by a hostile network: what each kind of channel promises, whatever arrives."""

from collections import defaultdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery
from sleepy.udp.delivery.channels.reliable_receiver import ReliableReceiver
from sleepy.udp.delivery.chunks import (
    ID_MASK,
    LARGEST_WHOLE,
    PING,
    BlockStop,
    Close,
    Credit,
    ProtocolError,
    Run,
    Skip,
    Slice,
)
from sleepy.udp.delivery.messages import Messages
from tests.sleepy.udp.hostile_pipe import ROOM, HostilePipe, ends, read_all

SMALL = {
    "max_message_size": 4000,
    "queue_messages": 40,
    "queue_bytes": 30_000,
    "window_messages": 8,
    "window_bytes": 9000,
}
CHANNELS = tuple(ChannelConfig(delivery, priority=index % 2, **SMALL) for index, delivery in enumerate(Delivery))
ORDERED, UNORDERED, UNRELIABLE, SEQUENCED = range(4)
channels = st.integers(0, 3)
sizes = st.one_of(
    st.integers(0, 40), st.integers(0, 4000), st.sampled_from([127, 128, LARGEST_WHOLE, LARGEST_WHOLE + 1, 4000])
)


def message(number: int, size: int) -> bytes:
    """A message that can be told from all others, if it has 4 bytes."""
    return (number.to_bytes(4, "big") * (size // 4 + 1))[:size]


class TwoEnds(RuleBasedStateMachine):
    """A sends, B reads when it likes; windows are so small that they are always full."""

    def __init__(self) -> None:
        super().__init__()
        self.pipe = HostilePipe(CHANNELS)
        self.number = 0
        self.sent: dict[int, list[bytes]] = defaultdict(list)
        self.mortal: set[bytes] = set()
        self.read: dict[int, list[bytes]] = defaultdict(list)

    @rule(channel=channels, size=sizes, lifetime=st.one_of(st.none(), st.floats(0, 5)))
    def send(self, channel: int, size: int, lifetime: float | None) -> None:
        sender = self.pipe.a.sender(channel)
        if sender.can_send(size):
            self.number += 1
            data = message(self.number, max(size, 4))
            if not sender.can_send(len(data)):
                return
            sender.send(data, None if lifetime is None else self.pipe.now + lifetime)
            self.sent[channel].append(data)
            if lifetime is not None:
                self.mortal.add(data)

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds: float) -> None:
        self.pipe.now += seconds

    @rule(ours=st.booleans(), room=st.integers(1100, 1500))
    def fill(self, ours: bool, room: int) -> None:
        end = self.pipe.a if ours else self.pipe.b
        had_data = end.has_data(self.pipe.now)
        assert (self.pipe.fill(end, room) is not None) == had_data

    @precondition(lambda self: self.pipe.under_way)
    @rule(which=st.integers(0, 1 << 30), what=st.sampled_from(["deliver", "deliver", "lose", "ack"]))
    def packet(self, which: int, what: str) -> None:
        packet = self.pipe.under_way[which % len(self.pipe.under_way)]
        getattr(packet, what)()

    @rule(channel=channels, most=st.integers(1, 10))
    def read_some(self, channel: int, most: int) -> None:
        receiver = self.pipe.b.receiver(channel)
        for _ in range(most):
            data = receiver.read()
            if data is None:
                break
            self.read[channel].append(data)

    @invariant()
    def what_was_read_was_sent_and_once(self) -> None:
        for channel, read in self.read.items():
            assert len(set(read)) == len(read)
            assert set(read) <= set(self.sent[channel])

    @invariant()
    def order_is_kept(self) -> None:
        for channel in (ORDERED, SEQUENCED):
            numbers = [int.from_bytes(data[:4], "big") for data in self.read[channel]]
            assert numbers == sorted(numbers)

    @invariant()
    def memory_is_bounded(self) -> None:
        for channel in range(4):
            receiver, sender = self.pipe.b.receiver(channel), self.pipe.a.sender(channel)
            assert 0 <= receiver.held_bytes <= 9000
            assert 0 <= sender.queued_bytes <= 30_000
            assert 0 <= sender.queued_messages <= 40
            assert receiver.unread_messages <= 8
            if isinstance(receiver, ReliableReceiver):
                assert len(receiver._waiting) <= 8

    def teardown(self) -> None:
        for _ in range(60):
            self.pipe.settle()
            for channel in range(4):
                self.read_some(channel, 1000)
        self.what_was_read_was_sent_and_once()
        self.order_is_kept()
        for channel in (ORDERED, UNORDERED):
            missing = set(self.sent[channel]) - set(self.read[channel])
            assert missing <= self.mortal, "a message that does not expire was lost"
            sender, receiver = self.pipe.a.sender(channel), self.pipe.b.receiver(channel)
            assert sender.queued_messages == sender.queued_bytes == 0
            assert receiver.held_bytes == 0


TestTwoEnds = TwoEnds.TestCase
TestTwoEnds.settings = settings(max_examples=120, stateful_step_count=60, deadline=None)


@pytest.mark.parametrize("seed", range(6))
def test_long_storms(seed: int) -> None:
    """yojimbo 27, 31, 39 in kind: thousands of messages on several channels, with loss, reordering and wrong losses."""
    random = Random(seed)
    pipe = HostilePipe(CHANNELS)
    sent, read = defaultdict(list), defaultdict(list)
    waiting = {channel: [message(n, random.choice((4, 100, 100, 1500))) for n in range(400)] for channel in (0, 1)}

    def step() -> None:
        for channel, left in waiting.items():
            sender = pipe.a.sender(channel)
            while left and sender.can_send(len(left[0])):
                sent[channel].append(left[0])
                sender.send(left.pop(0))
            while random.random() < 0.8 and (data := pipe.b.receiver(channel).read()) is not None:
                read[channel].append(data)

    while (
        any(waiting.values()) or any(read[channel] != sent[channel] for channel in [0]) or len(read[1]) < len(sent[1])
    ):
        step()
        pipe.storm(random, loss=0.25, read=step)
        step()
    assert read[0] == sent[0]
    assert sorted(read[1]) == sorted(sent[1])


def test_sixty_four_messages_in_order() -> None:
    """yojimbo 27: 64 messages arrive in order, here in a single packet."""
    pipe = ends()
    sent = [bytes([number]) * (number % 3) for number in range(64)]
    for data in sent:
        pipe.a.sender(0).send(data)
    packet = pipe.fill(pipe.a)
    assert packet is not None
    packet.deliver()
    assert read_all(pipe.b) == sent


def test_a_message_of_100_bytes_costs_five() -> None:
    """Rule 4 of chunks; of ten in a run each costs one, and the run six."""
    pipe = ends()
    pipe.a.sender(0).send(bytes(100))
    assert len(pipe.a.fill(ROOM, 0.0)[0]) == 105
    for _ in range(10):
        pipe.a.sender(0).send(bytes(100))
    assert len(pipe.a.fill(ROOM, 0.0)[0]) == 1000 + 10 + 5


def test_ids_wrap() -> None:
    """Rule 3 of chunks: messages go on past id 2**24, with both ends just before the wrap, positions likewise."""
    pipe = ends(window_messages=8)
    sender, receiver = pipe.a.sender(0), pipe.b.receiver(0)
    start = ID_MASK - 3
    sender._next = sender._fresh = sender._messages.base = receiver._base = receiver._passed = start
    sender._limit = receiver._given = start + 8
    sender._position = receiver._position = receiver._read_position = (1 << 32) - 50
    sender._position_limit = (1 << 32) - 50 + (1 << 20)
    receiver._give(receiver._given, sender._position_limit)
    sent = [message(number, 200) for number in range(60)]
    read = []
    for data in sent:
        sender.send(data)
    while len(read) < 60:
        pipe.settle()
        more = read_all(pipe.b)
        assert more
        read += more
    assert read == sent


def test_a_reader_who_does_not_read_slows_the_writer() -> None:
    """yojimbo 42: it pushes back; nothing is dropped, and all arrives when it reads again."""
    pipe = ends(queue_messages=10, window_messages=6)
    sent = []

    def send_all() -> None:
        while pipe.a.sender(0).can_send(50):
            sent.append(message(len(sent), 50))
            pipe.a.sender(0).send(sent[-1])
            pipe.settle()

    send_all()
    assert len(sent) == 16
    assert pipe.b.receiver(0).unread_messages == 6
    read = read_all(pipe.b)
    pipe.settle()
    send_all()
    for _ in range(10):
        read += read_all(pipe.b)
        pipe.settle()
    assert len(sent) > 16
    assert read == sent


def test_thousands_of_unreliable_messages_between_reliable_ones() -> None:
    """yojimbo 43: they do not break the reliable channel, in whose ids they do not count."""
    pipe = HostilePipe([ChannelConfig(), ChannelConfig(Delivery.UNRELIABLE)])
    pipe.a.sender(0).send(b"before")
    for _ in range(330):
        for _ in range(100):
            pipe.a.sender(1).send(b"")
        pipe.settle()
        read_all(pipe.b, 1)
    pipe.a.sender(0).send(b"after")
    pipe.settle()
    assert read_all(pipe.b) == [b"before", b"after"]


def test_a_bulk_block_delays_an_urgent_message_by_one_packet() -> None:
    """Rule 1 of the scheduler: the message is in the next packet, however much of the block is queued."""
    pipe = HostilePipe([ChannelConfig(priority=0)])
    pipe.a.open_block(source=iter([bytes(1 << 20)]))
    for _ in range(5):
        assert pipe.fill(pipe.a)
    pipe.a.sender(0).send(b"urgent")
    packet = pipe.fill(pipe.a)
    assert packet is not None
    packet.deliver()
    assert read_all(pipe.b) == [b"urgent"]


def test_expired_gap_is_closed() -> None:
    """Rule 6 of reliable: what is behind an expired message does not wait for it, though its packet was lost."""
    pipe = ends()
    pipe.a.sender(0).send(b"mortal", expires=1.0)
    pipe.a.sender(0).send(bytes(3000), expires=1.0)
    pipe.a.sender(0).send(b"next")
    lost = pipe.fill(pipe.a)
    assert lost is not None
    while pipe.fill(pipe.a):
        pass
    pipe.now = 1.0
    pipe.settle()
    assert read_all(pipe.b) == [b"next"]
    assert pipe.a.sender(0).given_up == 2
    lost.deliver()
    assert read_all(pipe.b) == []


def test_next_expiry() -> None:
    """Time alone matters to what expires, until that has happened."""
    pipe = ends()
    assert pipe.a.next_expiry() == float("inf")
    pipe.a.sender(0).send(b"mortal", expires=3.0)
    assert pipe.a.next_expiry() == 3.0
    pipe.fill(pipe.a)
    assert not pipe.a.has_data(2.9)
    assert pipe.a.has_data(3.0)
    assert pipe.a.next_expiry() == float("inf")


def test_undelivered_until_acked() -> None:
    """Messages of every kind of channel, and blocks."""
    pipe = HostilePipe(CHANNELS)
    assert not pipe.a.undelivered
    for channel in range(4):
        pipe.a.sender(channel).send(b"message")
        assert pipe.a.undelivered
        pipe.fill(pipe.a)
        assert pipe.a.undelivered == (channel in {ORDERED, UNORDERED})
        pipe.settle()
        assert not pipe.a.undelivered
    block = pipe.a.open_block()
    assert pipe.a.undelivered
    block.end()
    pipe.settle()
    assert pipe.a.undelivered, "finished only when it was read"
    assert [block.read() for block in pipe.b.take_blocks()] == [b""]
    pipe.settle()
    assert not pipe.a.undelivered


def test_peer_close_is_the_first() -> None:
    """yojimbo 44 in kind: why the peer left."""
    messages = Messages(CHANNELS)
    messages.receive(Close(7, "kicked").encode())
    messages.receive(Close(8, "again").encode())
    assert messages.peer_close == Close(7, "kicked")


def test_readable_channels() -> None:
    pipe = HostilePipe(CHANNELS)
    pipe.a.sender(1).send(b"one")
    pipe.a.sender(3).send(b"other")
    pipe.settle()
    assert sorted(pipe.b.readable()) == [1, 3]
    read_all(pipe.b, 1)
    assert pipe.b.readable() == [3]


def test_ping_once() -> None:
    pipe = ends()
    pipe.a.ping()
    assert pipe.a.fill(ROOM, 0.0)[0] == bytes([PING])
    assert not pipe.a.has_data(0.0)


@pytest.mark.parametrize(
    "payload",
    [
        Run(4, 0, [b"no such channel"]).encode(),
        Run(ORDERED, 0, [b""] * 9).encode(),  # beyond the window
        Run(ORDERED, 8, [b""]).encode(),
        Slice(ORDERED, 0, 4001, 0, bytes(32)).encode(),
        Slice(UNRELIABLE, 0, 4001, 0, bytes(32)).encode(),
        Slice(ORDERED, 0, 3000, 0, bytes(32)).encode() + Slice(ORDERED, 0, 3001, 1, bytes(32)).encode(),
        b"".join(Slice(ORDERED, n, 4000, 0, bytes(32)).encode() for n in range(3)),  # 12,000 bytes, of 9000
        Skip(UNRELIABLE, 0, 0).encode(),
        Skip(ORDERED, 8, 0).encode(),
        Skip(ORDERED, 0, 4001).encode(),
        Credit(ORDERED, 0, 0).encode(),  # we sent nothing
        Credit(4, 0, 0).encode(),  # nor is there such a channel
        BlockStop(0, 0, "").encode(),
    ],
)
def test_what_no_honest_peer_sends(payload: bytes) -> None:
    """Rule 3 of messages; yojimbo 34 and 36: an error of the protocol, before anything is copied."""
    with pytest.raises(ProtocolError):
        Messages(CHANNELS).receive(payload)


def test_a_slice_on_an_unreliable_channel_is_all_right() -> None:
    """yojimbo 34, otherwise than there: large messages may be unreliable."""
    pipe = ends(delivery=Delivery.UNRELIABLE)
    data = Random(1).randbytes(30_001)
    pipe.a.sender(0).send(data)
    pipe.settle()
    assert read_all(pipe.b) == [data]


chunk_bytes = st.one_of(
    st.binary(max_size=200),
    st.builds(Run, channels, st.integers(0, 20), st.lists(st.binary(max_size=300), min_size=1, max_size=12)).map(
        Run.encode
    ),
    st.builds(
        Slice, channels, st.integers(0, 20), st.integers(1025, 5000), st.integers(0, 40), st.binary(max_size=64)
    ).map(Slice.encode),
    st.builds(Skip, channels, st.integers(0, 20), st.integers(0, 1 << 40)).map(Skip.encode),
    st.builds(Credit, channels, st.integers(0, 1 << 24), st.integers(0, 1 << 32)).map(Credit.encode),
)


@settings(max_examples=200)
@given(st.lists(chunk_bytes, max_size=40))
def test_hostile_chunks_end_in_one_error_and_grow_nothing(payloads: list[bytes]) -> None:
    """Rule 3 of messages: a peer that goes on after the error too cannot make a channel hold more than its window."""
    end = Messages(CHANNELS)
    for channel in range(4):
        end.sender(channel).send(b"something")
    for payload in payloads:
        try:
            end.receive(payload)
        except ProtocolError:
            break
        for channel in range(4):
            receiver = end.receiver(channel)
            assert 0 <= receiver.held_bytes <= 9000
            assert receiver.unread_messages <= 8
        end.fill(ROOM, 0.0)
