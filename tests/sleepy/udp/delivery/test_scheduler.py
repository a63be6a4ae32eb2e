"""The rules of sleepy/udp/delivery/scheduler.py."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sleepy.udp.delivery.payload import PacketBuilder
from sleepy.udp.delivery.scheduler import QUANTUM, Scheduler


class Greedy:
    """Has so many chunks of one size."""

    def __init__(self, chunk: int, left: int = 1 << 30) -> None:
        self.chunk, self.left, self.used = chunk, left, 0

    def has_data(self) -> bool:
        return self.left > 0

    def fill(self, packet: PacketBuilder, budget: int) -> None:
        enough = packet.room - budget
        while self.left and packet.room > enough and packet.add(bytes(self.chunk)):
            self.left -= 1
            self.used += self.chunk


@settings(max_examples=40)
@example([20, 539], 1100)
@given(st.lists(st.integers(20, 1100), min_size=2, max_size=6), st.integers(1100, 9000))
def test_equals_get_equal_shares_of_what_they_can_use(chunks: list[int], room: int) -> None:
    """Rules 2, 4 and 5: nobody gets less than its share, but of rests too small for its chunks."""
    scheduler, sources = Scheduler(), [Greedy(chunk) for chunk in chunks]
    for source in sources:
        scheduler.add(source, 1)
    for _ in range(120):
        scheduler.fill(PacketBuilder(room))
    used = [source.used for source in sources]
    rests = 120 * max(chunks)
    assert min(used) >= (sum(used) - rests) / len(used) - 2 * (QUANTUM + 1100)


def test_who_has_large_chunks_gets_no_more() -> None:
    """Rule 2: all chunks fit together in every packet, so there are no rests; shares are equal to within a turn."""
    scheduler, small, large = Scheduler(), Greedy(10), Greedy(1000)
    scheduler.add(large, 1)
    scheduler.add(small, 1)
    for _ in range(200):
        scheduler.fill(PacketBuilder(20_000))
    assert abs(small.used - large.used) <= QUANTUM + 1000


def test_the_better_priority_goes_first() -> None:
    """Rule 1."""
    scheduler, urgent, bulk = Scheduler(), Greedy(100, left=5), Greedy(100)
    scheduler.add(bulk, 1)
    scheduler.add(urgent, 0)
    scheduler.fill(PacketBuilder(400))
    assert (urgent.used, bulk.used) == (400, 0)
    scheduler.fill(PacketBuilder(400))
    assert (urgent.used, bulk.used) == (500, 300)


def test_nothing_is_saved_up() -> None:
    """Rule 3: who was silent gets no more than its turn afterwards."""
    scheduler, early, late = Scheduler(), Greedy(10), Greedy(10, left=0)
    scheduler.add(early, 1)
    scheduler.add(late, 1)
    for _ in range(50):
        scheduler.fill(PacketBuilder(1000))
    late.left = 1 << 30
    before = early.used
    for _ in range(10):
        scheduler.fill(PacketBuilder(1000))
    assert abs(early.used - before - late.used) <= QUANTUM + 10


def test_who_is_removed_has_no_turn() -> None:
    scheduler, source = Scheduler(), Greedy(10)
    scheduler.add(source, 1)
    scheduler.remove(source)
    assert not scheduler.has_data()
