"""Two connections in whatever network Hypothesis thinks of: what is promised holds, and everything comes to rest."""

from collections import defaultdict
from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sleepy.sim import Link
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.connection_errors import ClosedByPeer, ClosedLocally
from sleepy.udp.delivery.blocks import BlockState, OutgoingBlock
from sleepy.udp.delivery.channels.config import ChannelConfig, Delivery
from sleepy.udp.path.congestion.bbr import Bbr
from sleepy.udp.path.congestion.control import Controller
from sleepy.udp.path.congestion.cubic import Cubic
from sleepy.udp.path.congestion.good_bad import GoodBad
from sleepy.udp.path.congestion.new_reno import NewReno
from tests.sleepy.udp.connecting import Side, World

SMALL = {
    "max_message_size": 4000,
    "queue_messages": 60,
    "queue_bytes": 40_000,
    "window_messages": 16,
    "window_bytes": 9000,
}
CHANNELS = tuple(ChannelConfig(delivery, priority=index % 2, **SMALL) for index, delivery in enumerate(Delivery))
ORDERED, UNORDERED, _, SEQUENCED = range(4)
GOOD = Link(delay=0.02)
NETWORKS = {
    "good": GOOD,
    "lossy": Link(delay=0.04, loss=0.4),
    "bursts": Link(delay=0.04, burst=(0.3, 8)),
    "wild": Link(delay=0.05, jitter=0.05, ordered=False, loss=0.1, duplicate=0.3, corrupt=0.05),
    "slow": Link(delay=0.1, rate=200_000, queue=20_000),
    "small": Link(delay=0.02, mtu=1228),  # 1200 bytes and headers
    "dead": Link(delay=0.02, loss=1.0),
}


def bbr() -> Controller:
    return Bbr(random=Random(1).random)


CONTROLLERS = {"bbr": bbr, "reno": NewReno, "cubic": Cubic, "good/bad": GoodBad}


class Pairs(RuleBasedStateMachine):
    """Both send and read when they like."""

    @initialize(
        mode=st.sampled_from(["encrypted", "plain"]),
        control=st.sampled_from(sorted(CONTROLLERS)),
        seed=st.integers(0, 99),
    )
    def begin(self, mode: str, control: str, seed: int) -> None:
        config = ConnectionConfig(channels=CHANNELS, idle_timeout=1000.0, congestion=CONTROLLERS[control])
        self.world = World(mode=mode, config=config, seed=seed, link=GOOD)  # type: ignore[arg-type]
        self.encrypted = mode == "encrypted"
        self.world.run(0.2)
        self.number = 0
        self.sent: dict[tuple[Side, int], list[bytes]] = defaultdict(list)
        self.mortal: set[bytes] = set()
        self.files: list[tuple[OutgoingBlock, bytes]] = []
        self.taken: dict[int, bytearray] = defaultdict(bytearray)

    def side(self, ours: bool) -> Side:
        return self.world.a if ours else self.world.b

    @rule(
        ours=st.booleans(),
        channel=st.integers(0, 3),
        size=st.sampled_from([4, 60, 127, 128, 1024, 1025, 4000]),
        count=st.integers(1, 20),
        lifetime=st.one_of(st.none(), st.floats(0, 2)),
    )
    def send(self, ours: bool, channel: int, size: int, count: int, lifetime: float | None) -> None:
        side, now = self.side(ours), self.world.now
        for _ in range(count):
            if not side.connection.can_send(size, channel):
                break
            self.number += 1
            message = (self.number.to_bytes(4, "big") * (size // 4 + 1))[:size]
            side.connection.send(message, channel, expires=None if lifetime is None else now + lifetime)
            self.sent[side, channel].append(message)
            if lifetime is not None:
                self.mortal.add(message)
        side.turn()

    @precondition(lambda self: len(self.files) < 6)
    @rule(size=st.integers(0, 60_000))
    def send_file(self, size: int) -> None:
        data = Random(size).randbytes(size)
        block = self.world.a.connection.open_block(
            b"file", size, iter([data[i : i + 7000] for i in range(0, size, 7000)])
        )
        self.files.append((block, data))
        self.world.a.turn()

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.world.run(seconds)
        self.take_files()

    def take_files(self) -> None:
        for block in self.world.b.blocks:
            self.taken[block.number] += block.read()
        self.world.b.turn()

    @rule(name=st.sampled_from(sorted(NETWORKS)), seed=st.integers(0, 99))
    def change_network(self, name: str, seed: int) -> None:
        self.world.set_link(NETWORKS[name], seed)

    @rule(ours=st.booleans(), seconds=st.floats(0.5, 300))
    def sleep(self, ours: bool, seconds: float) -> None:
        self.side(ours).asleep_until = self.world.now + seconds
        self.world.run(seconds)

    @rule(ours=st.booleans(), reads=st.booleans())
    def mind(self, ours: bool, reads: bool) -> None:
        side = self.side(ours)
        side.reads = reads
        if reads:
            for channel in range(4):
                side.read(channel)
        side.turn()

    @precondition(lambda self: self.encrypted)
    @rule(port=st.integers(1, 5))
    def move(self, port: int) -> None:
        self.world.a.address = ("10.7.7.7", port)

    @invariant()
    def nothing_twice_nothing_invented_nothing_out_of_order(self) -> None:
        for reader, writer in ((self.world.a, self.world.b), (self.world.b, self.world.a)):
            for channel, read in reader.inbox.items():
                assert len(set(read)) == len(read)
                assert set(read) <= set(self.sent[writer, channel])
                if channel in {ORDERED, SEQUENCED}:
                    assert read == sorted(read, key=lambda message: message[:4])

    @invariant()
    def memory_is_bounded(self) -> None:
        for side in (self.world.a, self.world.b):
            for channel in side.connection.statistics().channels:
                assert 0 <= channel.held_bytes <= 9000
                assert 0 <= channel.queued_bytes <= 40_000
                assert 0 <= channel.queued_messages <= 60
                assert channel.unread_messages <= 16

    @invariant()
    def nobody_gives_up(self) -> None:
        assert self.world.a.error is None
        assert self.world.b.error is None

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.set_link(GOOD)
        for ours in (True, False):
            self.mind(ours, reads=True)
        for _ in range(40):
            self.wait(5)
        self.nothing_twice_nothing_invented_nothing_out_of_order()
        for writer, reader in ((self.world.a, self.world.b), (self.world.b, self.world.a)):
            for channel in (ORDERED, UNORDERED):
                assert set(self.sent[writer, channel]) - set(reader.inbox[channel]) <= self.mortal
            assert writer.connection.statistics().bytes_under_way < 100, "a ping at most"
        for block, data in self.files:
            assert block.state is BlockState.FINISHED
            assert self.taken[block.number] == data
        before = len(self.world.a.sent) + len(self.world.b.sent)
        self.world.run(60)
        assert len(self.world.a.sent) + len(self.world.b.sent) - before <= 30, (
            "who has nothing to say asks now and then"
        )
        self.world.a.connection.close(self.world.now, 7, "enough")
        self.world.a.turn()
        self.world.run(30)
        assert isinstance(self.world.a.error, ClosedLocally)
        assert isinstance(self.world.b.error, ClosedByPeer)
        assert self.world.a.connection.finished
        assert self.world.b.connection.finished


TestPairs = Pairs.TestCase
TestPairs.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
