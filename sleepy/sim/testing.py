"""Hypothesis strategies for bad networks: links, and the faults that befall them.

    @given(link=links(), faults=faults("client", "server"))
    def test_my_protocol(link, faults): ...

What is drawn is bad but not hopeless: a protocol that repeats itself gets through. Examples shrink towards a perfect
link without faults, so what is left of a failure is the fault that matters.

This module needs Hypothesis; nothing else of sleepy does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from sleepy.sim.link import Burst, Link
from sleepy.sim.network import Network


@st.composite
def links(
    draw: st.DrawFn, *, most_delay: float = 0.2, most_loss: float = 0.2, least_mtu: int = 576, least_rate: float = 1e6
) -> Link:
    """Links, one way.

    Args:
        draw: Hypothesis's own.
        most_delay: The longest delay, in seconds; jitter may double it.
        most_loss: The largest share of packets that is lost, duplicated, reordered or corrupted, for each of these.
        least_mtu: The smallest MTU, in bytes; 576 is what every IPv4 host has to take.
        least_rate: The lowest rate, in bits per second.
    """
    delay = draw(st.floats(0, most_delay))
    share = st.just(0.0) | st.floats(0, most_loss)
    rate = draw(st.none() | st.floats(least_rate, 1e9))
    return Link(
        delay=delay,
        jitter=draw(st.just(0.0) | st.floats(0, delay)),
        ordered=draw(st.just(value=True) | st.booleans()),
        rate=rate,
        queue=None if rate is None else draw(st.none() | st.integers(20_000, 1_000_000)),
        loss=draw(share),
        burst=draw(
            st.none() | st.tuples(st.floats(0, most_loss), st.floats(1, 8)).map(lambda figures: Burst(*figures))
        ),
        duplicate=draw(share),
        reorder=draw(share) if delay else 0.0,
        corrupt=draw(share),
        mtu=draw(st.none() | st.integers(least_mtu, 9000)),
        drop=draw(st.just(()) | st.lists(st.integers(1, 50), max_size=5)),
    )


@dataclass(frozen=True, slots=True)
class Cut:
    """A link that loses everything for a while.

    Attributes:
        one: One end.
        other: The other.
        at: From when, in seconds from the start of the run.
        until: Until when.
    """

    one: str
    other: str
    at: float
    until: float

    def apply(self, network: Network) -> None:
        """Have it happen."""
        network.cut(self.one, self.other, at=self.at, until=self.until)


@dataclass(frozen=True, slots=True)
class Change:
    """A link that gets other figures, one way.

    Attributes:
        source: From where.
        target: To where.
        at: When, in seconds from the start of the run.
        link: The figures.
    """

    source: str
    target: str
    at: float
    link: Link

    def apply(self, network: Network) -> None:
        """Have it happen."""
        network.change(self.source, self.target, self.link, at=self.at)


Fault = Cut | Change


def faults(one: str, other: str, *, within: float = 10.0, most: int = 3) -> st.SearchStrategy[Sequence[Fault]]:
    """What befalls the link between two hosts during a run; `Fault.apply` has each happen.

    Args:
        one: One end.
        other: The other.
        within: All cuts are healed and all changes made by then, in seconds.
        most: How many there are at most.
    """
    times = st.lists(st.floats(0, within), min_size=2, max_size=2).map(sorted)
    cuts = times.map(lambda pair: Cut(one, other, pair[0], pair[1]))
    ends = st.sampled_from([(one, other), (other, one)])
    changes = st.tuples(ends, st.floats(0, within), links()).map(lambda drawn: Change(*drawn[0], *drawn[1:]))
    return st.lists(cuts | changes, max_size=most)
