"""The rules of sleepy/udp/nodes/super_packets.py."""

from hypothesis import given
from hypothesis.strategies import binary, integers, lists

from sleepy.udp.nodes.super_packets import MAX_SUPER_PACKET, batches, cut


@given(lists(integers(1, 2000), max_size=200), integers(1, 64))
def test_a_batch_is_of_one_size_but_for_its_end(sizes: list[int], most: int) -> None:
    """Rules 1 and 2, and nothing is left out, repeated or moved."""
    datagrams = [bytes(size) for size in sizes]
    found = batches(datagrams, most)
    assert [datagram for part in found for datagram in part] == datagrams
    for part in found:
        first, *rest = [len(datagram) for datagram in part]
        assert 1 + len(rest) <= most
        assert sum(map(len, part)) <= MAX_SUPER_PACKET
        assert all(size == first for size in rest[:-1])
        assert all(size <= first for size in rest[-1:])


def test_a_batch_is_no_smaller_than_it_must_be() -> None:
    """100 equal datagrams and a shorter one are two super-packets, and 64 KiB is not reached."""
    assert [len(part) for part in batches([*[bytes(100)] * 100, b"end"], 64)] == [64, 37]
    assert [len(part) for part in batches([bytes(1200)] * 60, 64)] == [54, 6]


@given(lists(binary(min_size=10, max_size=10), min_size=1, max_size=20), binary(min_size=1, max_size=10))
def test_what_went_together_is_cut_apart_again(datagrams: list[bytes], end: bytes) -> None:
    """Rule 1."""
    assert cut(b"".join(datagrams) + end, 10) == [*datagrams, end]


def test_a_datagram_alone_is_not_cut() -> None:
    assert cut(b"alone", 0) == cut(b"alone", 5) == cut(b"alone", 9) == [b"alone"]
    assert cut(b"", 0) == []
