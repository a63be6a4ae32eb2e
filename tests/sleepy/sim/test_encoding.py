"""`sleepy.sim.encoding`: the bytes of a packet are what another reader reads.

scapy builds every packet anew from its fields, checksums included; ours must be the same bytes.
"""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP

from sleepy.sim.encoding import checksum, encode
from sleepy.sim.packet import Datagram, Packet, Segment, Unreachable
from tests.sleepy.sim.scapys import rebuilt

ports = st.integers(0, 65535)
numbers = st.integers(0, 2**33)
datagrams = st.builds(Datagram, ports, ports, st.binary(max_size=100))
common = {
    "source_port": ports,
    "destination_port": ports,
    "seq": numbers,
    "ack": st.none() | numbers,
    "window": st.integers(0, 1 << 20),
    "data": st.binary(max_size=100),
}
sacks = st.lists(st.tuples(numbers, numbers), max_size=4).map(tuple)
segments = st.builds(Segment, **common, syn=st.just(value=True), mss=st.integers(1, 65535)) | st.builds(
    Segment, **common, fin=st.booleans(), rst=st.booleans(), sacks=sacks
)
addresses = st.ip_addresses(v=4).map(str)


def packets(payloads: st.SearchStrategy[Datagram | Segment | Unreachable]) -> st.SearchStrategy[Packet]:
    numbers = st.integers(0, 1 << 17), st.integers(1, 64)
    return st.builds(Packet, addresses, addresses, payloads, *numbers, dont_fragment=st.booleans())


errors = st.builds(Unreachable, st.integers(0, 15), packets(datagrams | segments), st.integers(0, 65535))


@given(data=st.binary(max_size=200))
def test_the_checksum_is_the_complement_of_the_sum_of_all_words(data: bytes) -> None:
    """RFC 1071, word by word; the receiver's check: data with its checksum sums to all ones."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert checksum(data) == total ^ 0xFFFF


@settings(max_examples=50, deadline=None)
@given(packet=packets(datagrams | segments))
def test_packets_are_as_scapy_would_write_them(packet: Packet) -> None:
    data = encode(packet)
    assert len(data) == packet.size
    assert packet.dont_fragment == IP(data).flags.DF
    assert rebuilt(data) == data


def test_a_udp_checksum_of_zero_is_written_as_all_ones() -> None:
    """RFC 768: all zeros would say that there is none. One in 65,536 payloads is such a case; here it is."""
    fields = set()
    for number in range(1 << 16):
        data = encode(Packet("10.0.0.1", "10.0.0.2", Datagram(1, 2, number.to_bytes(2, "big"))))
        fields.add(data[26:28])
    assert b"\x00\x00" not in fields
    assert b"\xff\xff" in fields


@settings(max_examples=50, deadline=None)
@given(packet=packets(errors))
def test_error_reports_quote_what_they_are_about(packet: Packet) -> None:
    assert isinstance(packet.payload, Unreachable)
    data = encode(packet)
    assert len(data) == packet.size
    about = IP(data)[ICMP].payload
    assert (about.src, about.dst) == (packet.payload.about.source, packet.payload.about.destination)
    assert (IP(data)[ICMP].type, IP(data)[ICMP].code) == (3, packet.payload.code)
    assert IP(data)[ICMP].nexthopmtu == packet.payload.mtu
    assert checksum(data[20:]) == 0


@settings(max_examples=50, deadline=None)
@given(segment=segments)
def test_a_segments_fields_are_read_back(segment: Segment) -> None:
    tcp = IP(encode(Packet("10.0.0.1", "10.0.0.2", segment)))[TCP]
    assert (tcp.sport, tcp.dport) == (segment.source_port, segment.destination_port)
    assert (tcp.seq, tcp.ack) == (segment.seq % 2**32, (segment.ack or 0) % 2**32)
    flags = "F" * segment.fin + "S" * segment.syn + "R" * segment.rst + "P" * bool(segment.data)
    assert str(tcp.flags) == flags + "A" * (segment.ack is not None)
    scale = 0 if segment.syn else 7
    assert tcp.window == min(segment.window >> scale, 0xFFFF)
    assert bytes(tcp.payload) == segment.data
    options = dict(tcp.options)
    assert options.get("MSS") == segment.mss
    sacked = options.get("SAck", ())
    assert sacked == tuple(edge % 2**32 for sack in segment.sacks for edge in sack)


@settings(max_examples=50, deadline=None)
@given(packet=packets(datagrams | segments))
def test_a_damaged_packet_differs_in_one_bit_and_its_checksum_tells(packet: Packet) -> None:
    good = encode(packet)
    packet.damaged = True
    bad = encode(packet)
    assert sum((a ^ b).bit_count() for a, b in zip(good, bad, strict=True)) == 1
    assert rebuilt(bad) != bad
