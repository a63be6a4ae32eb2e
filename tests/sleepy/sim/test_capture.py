"""`sleepy.sim.capture` and `encoding`: what is written is what another reader reads.

scapy builds every packet anew from its fields, checksums included; ours must be the same bytes.
"""

import asyncio
import io
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.utils import PcapReader

from sleepy import sim
from sleepy.sim.encoding import checksum, encode
from sleepy.sim.packet import Datagram, Packet, Segment, Unreachable

if TYPE_CHECKING:
    from scapy.packet import Packet as ScapyPacket

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


def rebuilt(data: bytes) -> bytes:
    """The same packet as scapy writes it, checksums computed by scapy."""
    packet = IP(data)
    for layer in (IP, UDP, TCP, ICMP):
        if packet.haslayer(layer):
            del packet[layer].chksum
    return bytes(packet)


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


# ---------------------------------------------------------------------- files


def captured(link: sim.Link, size: int = 3000) -> tuple[list["ScapyPacket"], list["ScapyPacket"]]:
    """What both ends of a link see of a datagram and a conversation over TCP."""
    files = {"client": io.BytesIO(), "server": io.BytesIO()}
    network = sim.Network(3)
    network.link("client", "server", link)
    captures = [
        network.capture("client", "server", files["client"]),
        network.capture("server", "client", files["server"]),
    ]

    async def serve() -> None:
        await asyncio.start_server(echo, "0.0.0.0", 80)
        await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, ("0.0.0.0", 53))

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    async def talk() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("server", 53))
        transport.sendto(bytes(size))
        reader, writer = await asyncio.open_connection("server", 80)
        writer.write(bytes(size))
        writer.write_eof()
        assert await reader.read() == bytes(size)
        writer.close()
        await asyncio.sleep(10)

    async def main() -> None:
        await network.host("server").run(serve())
        await network.host("client").run(talk())

    sim.run(main(), network)
    seen = []
    for file, capture in zip(files.values(), captures, strict=True):
        file.seek(0)
        seen.append(list(PcapReader(file)))
        assert len(seen[-1]) == capture.packets
    return seen[0], seen[1]


def test_scapy_reads_a_capture_with_all_checksums_right_and_times_to_the_nanosecond() -> None:
    client, server = captured(sim.Link(delay=0.012345678))
    assert {IP, UDP, TCP} <= {type(layer) for packet in client for layer in layers(packet)}
    for packet in client + server:
        if not packet[IP].frag and not packet[IP].flags.MF:
            assert rebuilt(bytes(packet)) == bytes(packet)
    left = next(p for p in client if p.haslayer(TCP))
    right = next(p for p in server if p.haslayer(TCP))
    assert float(right.time - left.time) == pytest.approx(0.012345678, abs=1e-9)


def layers(packet: "ScapyPacket") -> list["ScapyPacket"]:
    found = []
    layer = packet
    while layer:
        found.append(layer)
        layer = layer.payload
    return found


def test_a_capture_shows_each_end_of_the_link_and_so_what_was_lost_between() -> None:
    client, server = captured(sim.Link(delay=0.01, drop=[4]))  # of the datagram's fragments three, then data
    sent = [bytes(p) for p in client if p[IP].src == "10.0.0.1"]
    came = [bytes(p) for p in server if p[IP].src == "10.0.0.1"]
    assert len(sent) == len(came) + 1
    assert set(came) <= set(sent)


def test_fragments_are_written_as_such_and_scapy_puts_them_together() -> None:
    client, _ = captured(sim.Link(mtu=576))
    parts = [p[IP] for p in client if p[IP].proto == 17]
    assert [(p.frag * 8, bool(p.flags.MF)) for p in parts] == [(i * 552, i < 5) for i in range(6)]
    assert len({p.id for p in parts}) == 1
    assert all(checksum(bytes(p)[:20]) == 0 and p.len <= 576 for p in parts)
    assert len(b"".join(bytes(p.payload) for p in parts)) == 3008


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 100))
def test_sequence_numbers_wrap_in_the_capture_as_on_any_wire(seed: int) -> None:
    file = io.BytesIO()
    network = sim.Network(seed)
    network.link("client", "server", sim.Link())
    network.capture("client", "server", file)
    network.host("client").random.getrandbits = lambda _: 2**32 - 10  # type: ignore[method-assign]

    async def serve() -> None:
        await asyncio.get_running_loop().create_server(asyncio.Protocol, "0.0.0.0", 80)

    async def talk() -> None:
        _, writer = await asyncio.open_connection("server", 80)
        writer.write(b"over the top of thirty-two bits")
        writer.close()
        await asyncio.sleep(1)

    async def main() -> None:
        await network.host("server").run(serve())
        await network.host("client").run(talk())

    sim.run(main(), network)
    file.seek(0)
    ours = [p[TCP].seq for p in PcapReader(file) if p[IP].src == "10.0.0.1"]
    assert ours[:3] == [2**32 - 10, 2**32 - 9, 2**32 - 9]
    assert 22 in ours
