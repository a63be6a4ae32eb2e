"""The rules of `labs.analysis.streams`, by number."""

from hypothesis import given
from hypothesis import strategies as st

from labs.analysis.streams import Stream, connections
from labs.capture import Flag, Segment
from tests.labs.wire import CLIENT, SERVER, Wire

WHOLE = bytes(range(60))


def segment(initial: int, start: int, end: int, time: float) -> Segment:
    return Segment(time, (SERVER, 1), (CLIENT, 2), (initial + 1 + start) % 2**32, 0, Flag.ACK, 0, WHOLE[start:end])


ranges = st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, 20)).map(lambda r: (r[0], min(sum(r), len(WHOLE))))


@given(st.integers(0, 2**32 - 1), st.lists(ranges), ranges)
def test_arrival_and_delivery_are_what_a_receiver_byte_by_byte_would_say(
    initial: int, pieces: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    """Rules 2, 3 and 4, with overlaps, gaps, copies, and any initial sequence number."""
    stream = Stream.of(initial, [segment(initial, *piece, float(time)) for time, piece in enumerate(pieces)])
    first_seen: dict[int, float] = {}
    for time, (start, end) in enumerate(pieces):
        for place in range(start, end):
            first_seen.setdefault(place, float(time))

    def complete(start: int, end: int) -> float | None:
        return (
            None if set(range(start, end)) - set(first_seen) else max(first_seen[place] for place in range(start, end))
        )

    start, end = asked
    assert stream.arrived(start, end) == complete(start, end)
    assert stream.delivered(end) == complete(0, end)
    without_gap = next((place for place in range(len(WHOLE) + 1) if place not in first_seen), 0)
    assert stream.data == WHOLE[:without_gap]


def test_data_below_the_highest_byte_is_a_retransmission() -> None:
    """Rule 5."""
    places = [(0, 10), (20, 30), (10, 20), (20, 30), (30, 40), (35, 45)]
    stream = Stream.of(0, [segment(0, *place, float(time)) for time, place in enumerate(places)])
    assert [(chunk.start, chunk.end, chunk.again) for chunk in stream.chunks] == [
        (0, 10, False), (20, 30, False), (10, 20, True), (20, 30, True), (30, 40, False), (35, 45, True)
    ]  # fmt: skip


def test_a_stream_may_be_longer_than_the_sequence_numbers() -> None:
    """Rule 2: eight steps of 1 GiB, each told by a byte before it, pass 2^32 twice."""
    gib = 2**30
    segments = [
        Segment(float(n), (SERVER, 1), (CLIENT, 2), (7 + n * gib) % 2**32, 0, Flag.ACK, 0, b"x") for n in range(9)
    ]
    assert [chunk.start for chunk in Stream.of(6, segments).chunks] == [n * gib for n in range(9)]


def test_a_keep_alive_probe_is_no_data() -> None:
    """It repeats the byte before the next one, here the byte before the stream."""
    stream = Stream.of(0, [segment(0, 0, 1, 0.0)._replace(sequence=0), segment(0, 0, 10, 1.0)])
    assert stream.data == WHOLE[:10]
    assert stream.delivered(10) == 1.0


def test_a_connection_is_seen_from_both_sides_in_both_directions() -> None:
    wire = Wire(delay=0.025)
    flow = wire.connect(0.0, 40000, initial=2**32 - 3)
    flow.to_server(0.1, b"question")
    flow.to_client(0.2, b"first", lost_until=0.5)
    flow.to_client(0.3, b"second")
    (connection,) = connections(wire.left, wire.right)
    assert (connection.client, connection.server) == ((CLIENT, 40000), (SERVER, 8001))
    assert connection.to_server.near.data == connection.to_server.far.data == b"question"
    assert (connection.to_server.near.delivered(8), connection.to_server.far.delivered(8)) == (0.1, 0.125)
    to_client = connection.to_client
    assert to_client.near.data == to_client.far.data == b"firstsecond"
    assert to_client.near.arrived(0, 5) == 0.2
    assert to_client.far.arrived(0, 5) == to_client.far.delivered(11) == 0.525
    assert to_client.far.arrived(5, 11) == 0.325
    assert [(chunk.start, chunk.end, chunk.segment.time) for chunk in to_client.lost()] == [(0, 5, 0.2)]
    assert connection.to_server.lost() == []


def test_connections_come_in_the_order_opened_and_those_without_a_beginning_not_at_all() -> None:
    """Rule 1."""
    wire = Wire()
    for number, port in enumerate((40002, 40001)):
        wire.connect(float(number), port)
    older = wire.connect(2.0, 40000)
    wire.left = [segment for segment in wire.left if older.client not in {segment.source, segment.destination}]
    wire.pass_through(3.0, (CLIENT, 40003), (SERVER, 8001), 0, Flag.SYN)  # and nobody answers
    assert [connection.client[1] for connection in connections(wire.left, wire.right)] == [40002, 40001]
