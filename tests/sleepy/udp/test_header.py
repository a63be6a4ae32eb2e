"""The bytes of sleepy/udp/header.py, against the table of the format and headers recorded from the C library."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, one_of, sampled_from, tuples

from sleepy import SleepyError
from sleepy.udp import FragmentHeader, InvalidHeader, PacketHeader
from sleepy.udp.header import read_header, write_header

VECTORS = Path(__file__).parents[2] / "vectors"

sequences = integers(0, 65535)
ack_bits = one_of(
    integers(0, 0xFFFFFFFF),
    tuples(*[sampled_from([0, 0x5A, 0xFE, 0xFF])] * 4).map(bytes).map(int.from_bytes),
)


def recorded(name: str) -> list[dict[str, object]]:
    with gzip.open(VECTORS / name, "rt") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("sequence", "ack", "bits", "hexadecimal"),
    [
        (0, 65535, 0, "3e00000100000000"),  # the very first header
        (200, 100, 0xFFFFFFFF, "20c80064"),
        (200, 100, 0xFFFEFFFF, "28c80064fe"),
        (10000, 100, 0xFEFEFFFE, "1a10276400fefefe"),
        (10000, 100, 0, "1e1027640000000000"),
        (5, 65530, 0xFFFFFFFF, "2005000b"),
        (255, 0, 1, "3eff00ff01000000"),
        (256, 0, 1, "1e0001000001000000"),
    ],
)
def test_headers_look_as_the_format_says(sequence: int, ack: int, bits: int, hexadecimal: str) -> None:
    header = PacketHeader(sequence, ack, bits)
    assert header.encode().hex() == hexadecimal
    assert PacketHeader.decode(bytes.fromhex(hexadecimal)) == (header, len(hexadecimal) // 2)


def test_every_recorded_header_is_written_and_read_alike() -> None:
    for record in recorded("headers.jsonl.gz"):
        header = PacketHeader(record["seq"], record["ack"], record["bits"])  # type: ignore[arg-type]
        assert header.encode().hex() == record["hex"]
        assert PacketHeader.decode(header.encode() + b"payload") == (header, len(header.encode()))


def test_malformed_headers_are_read_or_refused_as_c_does() -> None:
    outcomes = set()
    for record in recorded("malformed_headers.jsonl.gz"):
        sequence, ack, bits, size = read_header(bytes.fromhex(str(record["hex"])))
        ours = [size, sequence, ack, bits] if size else None
        assert ours == record["decoded"], record
        outcomes.add(ours is None)
    assert outcomes == {True, False}


@given(sequence=sequences, ack=sequences, bits=ack_bits, payload=binary(max_size=4))
def test_every_header_round_trips(sequence: int, ack: int, bits: int, payload: bytes) -> None:
    header = PacketHeader(sequence, ack, bits)
    encoded = header.encode()
    assert 4 <= len(encoded) <= 9
    assert write_header(sequence, ack, bits, payload) == encoded + payload
    assert PacketHeader.decode(encoded + payload) == (header, len(encoded))


@given(sequence=sequences, difference=integers(0, 300), bits=ack_bits)
def test_what_is_usual_is_left_out(sequence: int, difference: int, bits: int) -> None:
    """A byte for a near ack, two for a far one, and none for eight packets that all arrived."""
    ack = (sequence - difference) % 65536
    unusual = sum(byte != 0xFF for byte in bits.to_bytes(4))
    assert len(PacketHeader(sequence, ack, bits).encode()) == 3 + (1 if difference <= 255 else 2) + unusual


def deviations(data: bytes, header: PacketHeader, size: int) -> set[str]:
    """In which of the three known ways an accepted header is not canonical."""
    prefix = data[0]
    found = set()
    if prefix & 0xC0:
        found.add("reserved bits")
    if not prefix & 0x20 and (header.sequence - header.ack) % 65536 <= 255:
        found.add("long ack")
    present = prefix >> 1 & 0x0F
    if 0xFF in data[size - present.bit_count() : size]:
        found.add("byte of all ones")
    return found


@given(
    data=one_of(
        binary(max_size=12),
        tuples(sampled_from(range(0, 256, 2)), binary(min_size=3, max_size=8)).map(lambda t: bytes([t[0]]) + t[1]),
    )
)
def test_every_accepted_non_canonical_form_is_known(data: bytes) -> None:
    """Whatever is accepted is canonical, or deviates in a known way; and then says the same as its canonical form."""
    try:
        header, size = PacketHeader.decode(data)
    except InvalidHeader:
        return
    known = deviations(data, header, size)
    assert (header.encode() == data[:size]) is (not known)
    assert PacketHeader.decode(header.encode()) == (header, len(header.encode()))


@pytest.mark.parametrize(
    ("hexadecimal", "which"),
    [("e0c80064", "reserved bits"), ("00c8006400", "long ack"), ("22c80064ff", "byte of all ones")],
)
def test_the_three_known_deviations_are_accepted(hexadecimal: str, which: str) -> None:
    data = bytes.fromhex(hexadecimal)
    header, size = PacketHeader.decode(data)
    assert header == PacketHeader(200, 100, 0xFFFFFFFF)
    assert deviations(data, header, size) == {which}


@pytest.mark.parametrize("hexadecimal", ["", "20", "20c800", "00c80064", "3ec8006400", "21c80064", "01c8000000"])
def test_what_is_no_header_is_refused_with_a_reason(hexadecimal: str) -> None:
    with pytest.raises(InvalidHeader, match=hexadecimal or "no bytes at all") as caught:
        PacketHeader.decode(bytes.fromhex(hexadecimal))
    assert isinstance(caught.value, SleepyError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("header", [PacketHeader(65536, 0, 0), PacketHeader(0, -1, 0), PacketHeader(0, 0, 1 << 32)])
def test_fields_that_do_not_fit_are_refused(header: PacketHeader) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        header.encode()


@given(sequence=sequences, fragments=integers(1, 256), payload=binary(max_size=3))
def test_every_fragment_header_round_trips(sequence: int, fragments: int, payload: bytes) -> None:
    for fragment_id in {0, fragments - 1}:
        header = FragmentHeader(sequence, fragment_id, fragments)
        assert FragmentHeader.decode(header.encode() + payload) == (header, 5)


def test_a_fragment_header_looks_as_the_format_says() -> None:
    assert FragmentHeader(0x0201, 2, 3).encode().hex() == "0101020202"


@pytest.mark.parametrize("hexadecimal", ["", "01020100", "0302010000", "0001020000", "0101020302"])
def test_what_is_no_fragment_header_is_refused(hexadecimal: str) -> None:
    """Too short, another prefix (reserved bits are not ignored here), and an id beyond the number of fragments."""
    with pytest.raises(InvalidHeader, match=hexadecimal or "no bytes at all"):
        FragmentHeader.decode(bytes.fromhex(hexadecimal))


@pytest.mark.parametrize("header", [FragmentHeader(65536, 0, 1), FragmentHeader(0, 1, 1), FragmentHeader(0, 0, 257)])
def test_fragment_fields_that_do_not_fit_are_refused(header: FragmentHeader) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        header.encode()
