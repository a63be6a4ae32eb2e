"""`sleepy.sim.capture`: a file that another reader reads, here scapy."""

import asyncio
import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.utils import PcapReader

from sleepy import sim
from sleepy.sim.encoding import checksum
from tests.sleepy.sim.scapys import rebuilt

if TYPE_CHECKING:
    from scapy.packet import Packet as ScapyPacket


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
