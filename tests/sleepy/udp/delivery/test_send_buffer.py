"""The rules of sleepy/udp/delivery/send_buffer.py, against one array."""

from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp.delivery.send_buffer import PAGE, SendBuffer

sizes = st.one_of(st.integers(0, 100), st.integers(0, 3 * PAGE), st.sampled_from([PAGE - 1, PAGE, PAGE + 1]))
steps = st.lists(st.tuples(sizes, st.floats(0, 1), st.floats(0, 1), st.integers(0, 9000)), max_size=12)


@given(steps, st.binary(min_size=7, max_size=7))
def test_agrees_with_one_array(steps: list[tuple[int, float, float, int]], seed: bytes) -> None:
    buffer, written, start = SendBuffer(), b"", 0
    for size, dropped, where, most in steps:
        data = (seed * (size // 7 + 1))[:size]
        buffer.write(memoryview(data) if size % 2 else data)
        written += data
        start += int((len(written) - start) * dropped)
        buffer.drop(start)
        assert (buffer.start, buffer.end, len(buffer)) == (start, len(written), len(written) - start)
        at = start + int(len(buffer) * where)
        length = min(most, len(written) - at)
        if length:
            assert buffer.part(at, length) == written[at : at + length]
        assert sum(map(len, buffer._pages)) < len(buffer) + PAGE  # rule 2


def test_who_keeps_little_takes_little() -> None:
    """Rule 1."""
    buffer = SendBuffer()
    buffer.write(b"abc")
    assert [len(page) for page in buffer._pages] == [3]
