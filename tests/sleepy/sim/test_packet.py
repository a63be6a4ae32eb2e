"""`sleepy.sim.packet`: what travels, and how long it is; rules by their number."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepy import sim
from sleepy.sim.packet import Datagram, Fragment, Packet, Reassembly, Segment, Unreachable
from tests.sleepy.sim.datagrams import DELAY, PORT, Inbox, bind, simulate


@settings(max_examples=50)
@given(size=st.integers(1, 20_000), mtu=st.integers(68, 1500), inner=st.integers(68, 1500), seed=st.integers())
def test_fragments_are_put_together_whatever_their_order(size: int, mtu: int, inner: int, seed: int) -> None:
    """Through a router that takes fragments apart again, over wires that reorder and duplicate."""
    network, inbox = sim.Network(seed), Inbox()
    data = bytes(range(256)) * (size // 256 + 1)
    rough = {"delay": 0.1, "jitter": 0.1, "ordered": False, "duplicate": 0.2}
    network.link("client", "router", sim.Link(mtu=mtu, **rough))
    network.link("router", "server", sim.Link(mtu=inner, **rough))

    async def client() -> None:
        (await bind(Inbox(), remote=("server", PORT))).sendto(data[:size])
        await asyncio.sleep(1)

    async def main() -> None:
        await network.host("server").run(bind(inbox, ("0.0.0.0", PORT)))
        await network.host("client").run(client())

    sim.run(main(), network)
    assert inbox.got
    assert {got for got, _ in inbox.got} == {data[:size]}


def test_a_lost_fragment_loses_the_datagram() -> None:
    async def client() -> None:
        transport = await bind(Inbox(), remote=("server", PORT))
        transport.sendto(bytes(4000))  # three fragments
        transport.sendto(bytes(3999))
        await asyncio.sleep(60)

    server = Inbox()
    simulate(client, server, link=sim.Link(delay=DELAY, drop=[2]))
    assert [len(data) for data, _ in server.got] == [3999]


def wrapped(payload: Datagram | Segment | Unreachable | Fragment) -> Packet:
    return Packet("10.0.0.1", "10.0.0.2", payload)


@pytest.mark.parametrize(
    ("payload", "size", "counted"),
    [
        (Datagram(1, 2, b""), 28, True),
        (Datagram(1, 2, b"abc"), 31, True),
        (Segment(1, 2, 0), 40, False),
        (Segment(1, 2, 0, data=b"abc"), 43, True),
        (Segment(1, 2, 0, syn=True, mss=1460), 52, False),
        (Segment(1, 2, 0, 5, sacks=((7, 9),)), 52, False),
        (Segment(1, 2, 0, 5, sacks=((7, 9), (11, 12), (20, 30))), 68, False),
        (Unreachable(3, Packet("10.0.0.2", "10.0.0.1", Datagram(2, 1, bytes(100)))), 56, False),
    ],
)
def test_rules_1_and_2_sizes_and_what_counts(
    payload: Datagram | Segment | Unreachable, size: int, counted: bool
) -> None:
    assert wrapped(payload).size == size
    assert payload.counted is counted


def test_rule_4_a_syn_and_a_fin_count_as_a_byte_each() -> None:
    assert Segment(1, 2, 10).end == 10
    assert Segment(1, 2, 10, data=b"abc").end == 13
    assert Segment(1, 2, 10, data=b"abc", syn=True, fin=True).end == 15


@given(size=st.integers(1, 5000), mtu=st.integers(28, 1500), smaller=st.integers(28, 1500))
def test_rule_3_parts_of_parts_make_the_whole(size: int, mtu: int, smaller: int) -> None:
    """Each is as small as asked, begins at a multiple of 8, and counts as the whole does; the last one alone ends it."""
    whole = wrapped(Datagram(1, 2, bytes(size)))
    parts = [part for first in whole.split(mtu) for part in first.split(smaller)]
    fragments = [part.payload for part in parts]
    assert all(
        isinstance(fragment, Fragment) and fragment.whole is whole and fragment.counted for fragment in fragments
    )
    assert all(part.size <= min(mtu, smaller) for part in parts)
    ends = []
    for fragment in fragments:
        assert isinstance(fragment, Fragment)
        assert fragment.start % 8 == 0
        ends.append((fragment.start, fragment.start + fragment.length))
    assert [start for start, _ in ends] == [0, *(end for _, end in ends[:-1])]
    assert ends[-1][1] == whole.payload.length
    assert [fragment.last for fragment in fragments if isinstance(fragment, Fragment)] == [False] * (len(ends) - 1) + [
        True
    ]


@given(order=st.permutations(range(6)), twice=st.integers(0, 4))
def test_rule_3_it_is_whole_when_all_parts_are_there_in_any_order(order: list[int], twice: int) -> None:
    """And not before, if one comes twice."""
    parts = [part.payload for part in wrapped(Datagram(1, 2, bytes(5 * 48))).split(68)]
    assert len(parts) == 6
    reassembly, told = Reassembly(), list[bool]()
    for number in [order[twice], *order]:
        part = parts[number]
        assert isinstance(part, Fragment)
        told.append(reassembly.add(part))
    assert told == [False] * 6 + [True]
