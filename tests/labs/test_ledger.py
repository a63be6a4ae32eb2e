"""What a relay passed on, written as captures that the analysis can read."""

from pathlib import Path

from hypothesis import given
from hypothesis.strategies import binary, lists

from labs import capture
from labs.analysis.transit import crossings, delays
from labs.ledger import MSS, Side, Way
from sleepy.sim import Link

CLIENT, SERVER = ("10.77.1.2", 40000), ("10.77.2.2", 8001)


def test_the_analysis_sees_the_links_delay(tmp_path: Path) -> None:
    left, right = Side(), Side()
    up = Way(Link(delay=0.02).start(1), left, right, CLIENT, SERVER)
    for number in range(5):
        for arrival, segment in up.enter(1e9 + number * 0.001, "PA", b"question"):
            up.leave(arrival, segment)
    left.write(tmp_path / "left.pcap")
    right.write(tmp_path / "right.pcap")
    crossed = crossings(capture.read(tmp_path / "left.pcap"), capture.read(tmp_path / "right.pcap"))
    assert len(crossed) == 5
    assert all(abs(delay - 0.02) < 2e-6 for delay in delays(crossed))  # a capture has microseconds


@given(lists(binary(max_size=4 * MSS), max_size=5))
def test_rule_2_no_segment_is_longer_than_a_wire_would_take_and_nothing_is_lost(chunks: list[bytes]) -> None:
    left, right = Side(), Side()
    up = Way(Link().start(1), left, right, CLIENT, SERVER)
    sent = [segment for chunk in chunks for _, segment in up.enter(0.0, "PA", chunk)]
    assert all(len(segment.payload) <= MSS for segment in sent)
    assert b"".join(segment.payload for segment in sent) == b"".join(chunks)
    position = 0
    for segment in sent:
        assert segment.sequence == position
        position += len(segment.payload)
    assert [segment.number for segment in sent] == list(range(len(sent)))


def test_rule_3_a_segment_acknowledges_what_had_arrived_where_it_was_sent() -> None:
    left, right = Side(), Side()
    up = Way(Link().start(1), left, right, CLIENT, SERVER)
    down = Way(Link().start(1), right, left, SERVER, CLIENT)
    ((_, syn),) = up.enter(0.0, "S")
    ((_, early),) = down.enter(0.0, "SA")
    up.leave(0.1, syn)
    ((_, late),) = down.enter(0.2, "PA", b"data")
    assert (early.acknowledged, late.acknowledged) == (0, 1)
    assert (syn.sequence, early.sequence, late.sequence) == (0, 0, 1)
