"""`sleepy.sim.wire`: one direction of a link."""

from typing import TYPE_CHECKING

from sleepy import sim
from sleepy.sim.packet import Datagram, Packet
from sleepy.sim.wire import ETHERNET_MTU
from tests.sleepy.sim.hosts import arrivals, line

if TYPE_CHECKING:
    from sleepy.trace import Event


def test_rule_3_a_cut_loses_what_is_sent_and_spares_what_is_under_way() -> None:
    events: list[Event] = []
    network = line("client", "server", delay=0.5, trace=events.append)
    network.cut("client", "server", at=1.2, until=3)
    network.cut("client", "server", at=2, until=4)  # cuts may overlap
    assert arrivals(network, [1, 2, 3.5, 4]) == [(1.5, b"0"), (4.5, b"3")]
    assert [event.time for event in events if event.name == "link.lost"] == [2, 3.5]


def test_duplicates_arrive_twice_even_through_routers() -> None:
    network = sim.Network()
    network.link("client", "r1", sim.Link(duplicate=1.0))
    network.link("r1", "server", sim.Link(duplicate=1.0))
    assert [data for _, data in arrivals(network, [0])] == [b"0"] * 4


def packet(size: int, *, dont_fragment: bool = False) -> Packet:
    return Packet("10.0.0.1", "10.0.0.2", Datagram(1, 2, bytes(size - 28)), dont_fragment=dont_fragment)


def test_what_is_as_large_as_the_mtu_goes_in_one_piece_and_what_is_larger_in_parts() -> None:
    """Rule 3 of packets; a wire that was told nothing takes Ethernet's 1500 bytes."""
    network, seen = line("client", "server"), list[int]()
    wire = network.wire("client", "server")
    wire.sent.append(lambda _, packet: seen.append(packet.size))

    async def main() -> None:
        assert wire.send(packet(ETHERNET_MTU))
        assert wire.send(packet(ETHERNET_MTU, dont_fragment=True))
        assert wire.send(packet(ETHERNET_MTU + 1))

    sim.run(main(), network)
    assert seen == [1500, 1500, 1500, 21]


def test_what_must_not_be_taken_apart_goes_no_further() -> None:
    """And whoever sends it is told at once."""
    events: list[Event] = []
    network, seen = line("client", "server", trace=events.append), list[int]()
    wire = network.wire("client", "server")
    wire.sent.append(lambda _, packet: seen.append(packet.size))

    async def main() -> None:
        assert not wire.send(packet(1501, dont_fragment=True))
        network.change("client", "server", sim.Link(mtu=9000))
        assert wire.send(packet(1501, dont_fragment=True))

    sim.run(main(), network)
    assert seen == [1501]
    assert [(event.name, event.fields["cause"]) for event in events if event.name == "link.lost"] == [
        ("link.lost", "mtu")
    ]


def test_those_who_watch_see_a_packet_leave_and_arrive_at_its_times() -> None:
    network, seen = line("client", "server", delay=0.25), list[tuple[str, float, int]]()
    wire = network.wire("client", "server")
    wire.sent.append(lambda time, packet: seen.append(("sent", time, packet.size)))
    wire.arrived.append(lambda time, packet: seen.append(("arrived", time, packet.size)))
    arrivals(network, [1.0])
    assert seen == [("sent", 1.0, 29), ("arrived", 1.25, 29)]


def test_what_a_cut_loses_was_sent_and_did_not_arrive() -> None:
    network, seen = line("client", "server"), list[str]()
    wire = network.wire("client", "server")
    wire.sent.append(lambda _, __: seen.append("sent"))
    wire.arrived.append(lambda _, __: seen.append("arrived"))
    wire.cut()
    assert arrivals(network, [1.0]) == []
    assert seen == ["sent"]
