"""`sleepy.sim.testing`: what is drawn is possible, varied, and shrinks to nothing."""

import asyncio

from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from sleepy import sim
from sleepy.sim.testing import Change, Cut, Fault, faults, links

FIRST = settings(phases=[Phase.generate], database=None)  # the first that is found will do


@given(link=links(most_delay=0.1, most_loss=0.3, least_mtu=1000))
def test_links_keep_to_what_was_asked(link: sim.Link) -> None:
    assert link.delay <= 0.1
    assert max(link.loss, link.duplicate, link.reorder, link.corrupt, link.burst.share if link.burst else 0) <= 0.3
    assert link.mtu is None or link.mtu >= 1000


def test_links_shrink_to_a_perfect_one() -> None:
    assert find(links(), lambda _: True) == sim.Link()


def test_links_can_be_bad_in_every_way() -> None:
    for figure in (
        "delay",
        "jitter",
        "rate",
        "queue",
        "loss",
        "burst",
        "duplicate",
        "reorder",
        "corrupt",
        "mtu",
        "drop",
    ):
        find(links(), lambda link, figure=figure: bool(getattr(link, figure)), settings=FIRST)
    find(links(), lambda link: not link.ordered, settings=FIRST)


@given(chosen=faults("a", "b", within=5.0), seed=st.integers())
def test_faults_happen_and_are_over_in_time(chosen: list[Fault], seed: int) -> None:
    network = sim.Network(seed)
    network.link("a", "b")
    for fault in chosen:
        fault.apply(network)
    seen: list[int] = []

    async def main() -> None:
        for cut in (fault for fault in chosen if isinstance(fault, Cut) and fault.until > fault.at):
            network.loop.at(cut.at, lambda _: seen.append(network.wire("a", "b").cuts), None)
        network.loop.at(5.0, lambda _: seen.append(-network.wire("b", "a").cuts), None)
        await asyncio.sleep(5.1)

    sim.run(main(), network)
    assert all(cuts >= 1 for cuts in seen[:-1])
    assert seen[-1] == 0
    last = [fault for fault in chosen if isinstance(fault, Change) and (fault.source, fault.target) == ("a", "b")]
    if last:
        assert network.wire("a", "b").carrier.link == max(last, key=lambda change: change.at).link or len(last) > 1
