"""What is urgent does not wait for bulk, whatever is queued: from `send` to the datagram that carries it.

A packet is filled when it may leave, so none is under way to the socket that could be in front of what is said now. What
may go before are packets without anybody's messages: acks, a greeting, a search for the path's MTU.
"""

from dataclasses import dataclass

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sleepy.sim import Link
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.plain import TAG
from sleepy.udp.connections.preface import read_preface
from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery, QueueFull
from sleepy.udp.delivery.chunk_reader import read_chunks
from sleepy.udp.delivery.chunks import BlockData, Run, Slice
from sleepy.udp.header import read_header
from tests.sleepy.udp.connecting import World

FAST = [Phase.reuse, Phase.generate]  # to find a smaller world that fails takes minutes
MARK = b"urgent!%06d"


@dataclass(frozen=True)
class Bulk:
    """What else is to be sent.

    Attributes:
        priority: Later than what is urgent.
        sizes: Of messages, each again and again as there is room; or one number: a block's parts.
        delivery: None: it is a block.
    """

    priority: int
    sizes: list[int]
    delivery: Delivery | None


def bulks(priority: int) -> st.SearchStrategy[Bulk]:
    later = st.integers(priority + 1, priority + 3)
    messages = st.lists(st.sampled_from([0, 20, 100, 1000, 1024, 1025, 4000, 20_000]), min_size=1, max_size=3)
    return st.builds(Bulk, later, messages, st.sampled_from(Delivery)) | st.builds(
        Bulk, later, st.integers(1, 50_000).map(lambda size: [size]), st.none()
    )


@st.composite
def mixes(draw: st.DrawFn) -> tuple[ChannelConfig, list[Bulk]]:
    """An urgent channel, and much that is less urgent."""
    priority = draw(st.integers(0, 2))
    urgent = ChannelConfig(draw(st.sampled_from(Delivery)), priority=priority)
    return urgent, draw(st.lists(bulks(priority), min_size=1, max_size=6))


LINKS = st.builds(
    Link,
    delay=st.sampled_from([0.001, 0.02, 0.1]),
    rate=st.sampled_from([500_000, 5_000_000, 20_000_000]),
    queue=st.sampled_from([10_000, 100_000]),
    loss=st.sampled_from([0.0, 0.0, 0.05, 0.2]),
    mtu=st.sampled_from([1300, 1500]),
)


class Busy(World):
    """Alice always has more to send than the path carries, and Bob reads it all."""

    def __init__(self, urgent: ChannelConfig, bulks: list[Bulk], link: Link, seed: int) -> None:
        others = [ChannelConfig(bulk.delivery, priority=bulk.priority) for bulk in bulks if bulk.delivery is not None]
        super().__init__(mode="plain", link=link, config=ConnectionConfig(channels=(urgent, *others)), seed=seed)
        self._messages = [bulk for bulk in bulks if bulk.delivery is not None]
        self.b.on_event = lambda _: [block.into(lambda *_: None) for block in self.b.blocks]
        for bulk in bulks:
            if bulk.delivery is None:
                part = bytes(bulk.sizes[0])
                self.a.connection.open_block(source=iter(lambda part=part: part, None), priority=bulk.priority)
        self.a.on_event = lambda _: self.fill()

    def fill(self) -> None:
        """Queue messages until there is no room."""
        for channel, bulk in enumerate(self._messages, 1):
            try:
                for _ in range(200):
                    for size in bulk.sizes:
                        self.a.connection.send(bytes(size), channel)
            except QueueFull:
                pass

    def between(self, first: int, mark: bytes) -> list[bytes]:
        """What Alice sends from her packet number ``first`` on before the one with that mark."""
        seen = first
        for _ in range(1000):
            for number, (_, _, datagram) in enumerate(self.a.sent[seen:], seen):
                if mark in datagram:
                    return [before for _, _, before in self.a.sent[first:number]]
            seen = len(self.a.sent)
            self.run(0.02)
        raise AssertionError("it is not sent")


def carries(datagram: bytes) -> bool:
    """Whether there are messages in a packet, or parts of them or of blocks."""
    payload = datagram[read_header(datagram)[3] : -TAG]
    chunks = read_chunks(payload[read_preface(payload).size :])
    return any(isinstance(chunk, Run | Slice | BlockData) for chunk in chunks)


@settings(max_examples=30, deadline=None, phases=FAST)
@given(
    mix=mixes(),
    link=LINKS,
    seed=st.integers(0, 1 << 16),
    pauses=st.lists(st.floats(0.0, 0.1), min_size=1, max_size=10),
    size=st.integers(0, 100),
)
def test_a_small_urgent_message_is_in_the_next_packet_that_carries_anything(
    mix: tuple[ChannelConfig, list[Bulk]], link: Link, seed: int, pauses: list[float], size: int
) -> None:
    """Rule 1 of the scheduler, through everything above and below it: blocks, slices, resent and new, probes, acks."""
    world = Busy(*mix, link, seed)
    world.run(0.3)
    world.fill()
    world.a.turn()
    for number, pause in enumerate(pauses):
        world.run(pause)
        first, mark = len(world.a.sent), MARK % number
        world.send(world.a, mark + bytes(size))
        before = world.between(first, mark)
        assert not any(map(carries, before))
        assert len(before) <= 6
    assert sum(carries(datagram) for _, _, datagram in world.a.sent) > 2  # there was something to wait for
