"""`labs.capture` against scapy, which builds the packets and can dissect them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Padding, Raw
from scapy.utils import PcapNgWriter, PcapWriter, RawPcapWriter

from labs.capture import CaptureError, Flag, read


def capture(folder: Path, *packets: Packet, nano: bool = False) -> Path:
    path = folder / "some.pcap"
    with PcapWriter(str(path), nano=nano) as writer:
        writer.write(list(packets))
    return path


def segment(**tcp: object) -> Packet:
    return IP(src="10.0.1.2", dst="10.0.2.2", id=7) / TCP(**{"sport": 40000, "dport": 8001, "flags": "A", **tcp})


u16, u32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)


@settings(max_examples=50)
@given(
    identification=u16, source=u16, destination=u16, sequence=u32, acknowledged=u32, flags=st.integers(0, 255),
    options=st.sampled_from([[], [("NOP", None)], [("Timestamp", (1, 2))], [("SAck", (1, 2)), ("NOP", None)]]),
    payload=st.binary(max_size=100), ethernet=st.booleans(), microseconds=st.integers(0, 2 * 10**15),
)  # fmt: skip
def test_every_field_is_what_scapy_wrote(
    tmp_path_factory: pytest.TempPathFactory, identification: int, source: int, destination: int, sequence: int,
    acknowledged: int, flags: int, options: list[tuple[str, object]], payload: bytes, ethernet: bool, microseconds: int,
) -> None:  # fmt: skip
    packet: Packet = IP(src="10.0.1.2", dst="192.168.255.1", id=identification) / TCP(
        sport=source, dport=destination, seq=sequence, ack=acknowledged, flags=flags, options=options
    )
    packet = packet / Raw(payload) if payload else packet
    packet = Ether(src="00:00:00:00:00:01", dst="00:00:00:00:00:02") / packet if ethernet else packet
    packet.time = microseconds / 1e6
    (found,) = read(capture(tmp_path_factory.mktemp("capture"), packet))
    assert found.source == ("10.0.1.2", source)
    assert found.destination == ("192.168.255.1", destination)
    assert (found.sequence, found.acknowledged, found.flags) == (sequence, acknowledged, flags)
    assert (found.identification, found.payload) == (identification, payload)
    assert found.time == pytest.approx(microseconds / 1e6, abs=2e-6)


def test_nanoseconds_are_kept(tmp_path: Path) -> None:
    packet = segment()
    packet.time = 1.000000250
    (found,) = read(capture(tmp_path, packet, nano=True))
    assert found.time == pytest.approx(1.00000025, abs=1e-9)


def test_what_is_not_tcp_over_ipv4_is_skipped(tmp_path: Path) -> None:
    """Rule 1."""
    macs = Ether(src="00:00:00:00:00:01", dst="00:00:00:00:00:02")
    others = [ARP(pdst="10.0.0.1"), IP() / UDP(), IPv6() / TCP(), Raw(b"x")]
    path = capture(tmp_path, *(macs / other for other in others), macs / segment(seq=5))
    assert [found.sequence for found in read(path)] == [5]


def test_segments_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    """Rule 1."""
    packets = [segment(seq=sequence) for sequence in range(3)]
    for packet, time in zip(packets, (2.0, 1.0, 3.0), strict=True):
        packet.time = time
    assert [found.sequence for found in read(capture(tmp_path, *packets))] == [1, 0, 2]


def test_padding_is_no_payload(tmp_path: Path) -> None:
    """Rule 2: a short frame on Ethernet has zeros behind the packet."""
    padded = Ether(src="00:00:00:00:00:01", dst="00:00:00:00:00:02") / segment() / Padding(b"\0" * 6)
    (found,) = read(capture(tmp_path, padded))
    assert found.payload == b""
    assert found.flags == Flag.ACK


def test_a_packet_cut_short_is_an_error(tmp_path: Path) -> None:
    """Rule 3."""
    path = tmp_path / "short.pcap"
    whole = bytes(segment() / Raw(b"x" * 100))
    with RawPcapWriter(str(path), linktype=101) as writer:
        writer.write_header(None)
        writer.write_packet(whole[:60], wirelen=len(whole))
    with pytest.raises(CaptureError, match="holds only 60 of the 140 bytes"):
        read(path)


def test_a_file_that_is_no_capture_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"missing\.pcap"):
        read(tmp_path / "missing.pcap")
    (tmp_path / "text.pcap").write_text("this is not a capture, whatever its name says")
    with pytest.raises(CaptureError, match=r"text\.pcap"):
        read(tmp_path / "text.pcap")
    (tmp_path / "empty.pcap").touch()
    with pytest.raises(CaptureError, match=r"empty\.pcap"):
        read(tmp_path / "empty.pcap")


def test_other_formats_and_link_types_are_refused(tmp_path: Path) -> None:
    with PcapNgWriter(str(tmp_path / "new.pcap")) as writer:
        writer.write(segment())
    with pytest.raises(CaptureError, match="pcapng"):
        read(tmp_path / "new.pcap")
    with PcapWriter(str(tmp_path / "wifi.pcap"), linktype=105) as writer:
        writer.write(segment())
    with pytest.raises(CaptureError, match="link type 105"):
        read(tmp_path / "wifi.pcap")
