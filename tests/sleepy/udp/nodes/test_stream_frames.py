"""The rules of sleepy/udp/nodes/stream_frames.py."""

from hypothesis import given
from hypothesis.strategies import binary, integers, lists

from sleepy.udp.delivery.chunks import UNIT
from sleepy.udp.nodes.stream_frames import MAX_FRAME, FrameReader, largest_frame, write_frame


@given(lists(binary(max_size=200)), lists(integers(1, 20), min_size=1))
def test_what_goes_in_comes_out_however_it_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    """Rule 2: units arrive in any portions, and nothing is kept that could be handed on."""
    sent = [write_frame(piece) for piece in pieces]
    assert all(len(frame) % UNIT == 0 for frame in sent)
    stream, reader, got, at = b"".join(sent), FrameReader(), b"", 0
    while at < len(stream):
        portion = cuts[at % len(cuts)] * UNIT
        got += reader.read(stream[at : at + portion])
        at += portion
        whole = sum(len(piece) for piece, end in zip(pieces, ends(sent), strict=True) if end <= at)
        assert len(got) >= whole
    assert got == b"".join(pieces)


def ends(frames: list[bytes]) -> list[int]:
    """Where each frame ends."""
    return [sum(map(len, frames[: number + 1])) for number in range(len(frames))]


@given(integers(0, 100_000))
def test_the_largest_frame_fits_and_no_larger_one(room: int) -> None:
    """Rule 1."""
    size = largest_frame(room)
    if size > 0:
        assert len(write_frame(bytes(size))) <= room
    if size < MAX_FRAME:
        assert len(write_frame(bytes(max(0, size + 1)))) > room
    assert size <= MAX_FRAME


def test_the_end_of_a_large_frame_is_no_header() -> None:
    reader = FrameReader()
    frame = write_frame(b"\xff" * MAX_FRAME)
    assert len(frame) == 512 * UNIT
    assert reader.read(frame[:UNIT]) == b"\xff" * 30
    assert reader.read(frame[UNIT:] + write_frame(b"next")) == b"\xff" * (MAX_FRAME - 30) + b"next"
