"""`sleepy.sim.nat_router`: programs behind NATs on the simulated network."""

import asyncio
from collections.abc import Coroutine
from io import BytesIO
from typing import Any

import pytest

from sleepy import sim
from sleepy.trace import Event

PORT = 9000
NATS = {
    "full cone": sim.Nat.FULL_CONE,
    "restricted cone": sim.Nat.RESTRICTED_CONE,
    "port-restricted cone": sim.Nat.PORT_RESTRICTED_CONE,
    "symmetric": sim.Nat.SYMMETRIC,
}


class Socket(asyncio.DatagramProtocol):
    """A UDP socket that keeps what arrives."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, tuple[str, int]]] = []
        self.errors: list[Exception] = []

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.DatagramTransport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.append((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def take(self) -> list[tuple[bytes, tuple[str, int]]]:
        got, self.got = self.got, []
        return got


async def bind(port: int = PORT, **options: Any) -> Socket:
    local = None if "remote_addr" in options else ("0.0.0.0", port)
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Socket, local, **options)
    return protocol


def house(nat: sim.Nat, link: sim.Link | None = None, trace: list[Event] | None = None) -> sim.Network:
    """Alice and Carol behind the router home; a server and a stranger outside."""
    network = sim.Network(trace=None if trace is None else trace.append)
    network.host("alice", "192.168.1.2")
    network.host("carol", "192.168.1.3")
    for one, other in (("alice", "home"), ("carol", "home"), ("home", "internet")):
        network.link(one, other, link or sim.Link(delay=0.01))
    for outsider in ("server", "stranger"):
        network.link("internet", outsider, sim.Link(delay=0.01))
    network.nat("home", nat, outside="internet")
    return network


def run(network: sim.Network, main: Coroutine[Any, Any, None]) -> None:
    sim.run(main, network, until=100_000)


@pytest.mark.parametrize(
    ("name", "other_port", "other_host"),
    [
        ("full cone", True, True),
        ("restricted cone", True, False),
        ("port-restricted cone", False, False),
        ("symmetric", False, False),
    ],
)
def test_who_may_answer(name: str, other_port: bool, other_host: bool) -> None:
    network = house(NATS[name])

    async def main() -> None:
        alice = await network.host("alice").run(bind())
        server = await network.host("server").run(bind())
        second = await network.host("server").run(bind(PORT + 1))
        stranger = await network.host("stranger").run(bind())
        alice.transport.sendto(b"hello", ("server", PORT))
        await asyncio.sleep(1)
        ((data, outside),) = server.got
        assert data == b"hello"
        assert outside[0] == network.host("home").address
        for socket in (server, second, stranger):
            socket.transport.sendto(b"answer", outside)
        await asyncio.sleep(1)
        server_address = network.host("server").address
        expected = [(b"answer", (server_address, PORT))]
        expected += [(b"answer", (server_address, PORT + 1))] * other_port
        expected += [(b"answer", (network.host("stranger").address, PORT))] * other_host
        assert alice.got == expected

    run(network, main())


@pytest.mark.parametrize(("name", "same"), [(name, name != "symmetric") for name in NATS])
def test_which_port_others_see(name: str, same: bool) -> None:
    network = house(NATS[name])

    async def main() -> None:
        alice = await network.host("alice").run(bind())
        server = await network.host("server").run(bind())
        stranger = await network.host("stranger").run(bind())
        alice.transport.sendto(b"hello", ("server", PORT))
        alice.transport.sendto(b"hello", ("stranger", PORT))
        await asyncio.sleep(1)
        assert (server.got == stranger.got) is same
        assert len(server.got) == len(stranger.got) == 1

    run(network, main())


def test_rule_2_nobody_outside_reaches_an_inside_address() -> None:
    """The packet is dropped, and the trace says so."""
    events: list[Event] = []
    network = house(sim.Nat.FULL_CONE, trace=events)

    async def main() -> None:
        alice = await network.host("alice").run(bind())
        server = await network.host("server").run(bind())
        alice.transport.sendto(b"hello", ("server", PORT))
        await asyncio.sleep(1)
        _, (_, port) = server.got[0]
        server.transport.sendto(b"hello", ("alice", port))
        server.transport.sendto(b"hello", ("home", port - 1))  # rule 3
        await asyncio.sleep(1)
        assert not alice.got

    run(network, main())
    dropped = [event.fields for event in events if event.name == "nat.dropped"]
    source = network.host("server").address
    assert dropped == [
        {"host": "home", "source": source, "destination": "192.168.1.2"},
        {"host": "home", "source": source, "destination": network.host("home").address},
    ]


def test_those_inside_speak_to_each_other_as_they_are() -> None:
    network = house(sim.Nat.SYMMETRIC)

    async def main() -> None:
        alice = await network.host("alice").run(bind())
        carol = await network.host("carol").run(bind())
        alice.transport.sendto(b"hello", ("carol", PORT))
        await asyncio.sleep(1)
        assert carol.got == [(b"hello", ("192.168.1.2", PORT))]

    run(network, main())


@pytest.mark.parametrize("hairpinning", [True, False])
def test_hairpinning(hairpinning: bool) -> None:
    """Carol writes to Alice's outside address, and if it arrives it comes from Carol's (RFC 4787, section 6)."""
    network = house(sim.Nat(filtering=sim.Dependence.ENDPOINT_INDEPENDENT, hairpinning=hairpinning))

    async def main() -> None:
        alice = await network.host("alice").run(bind())
        carol = await network.host("carol").run(bind())
        server = await network.host("server").run(bind())
        for socket in (alice, carol):
            socket.transport.sendto(b"hello", ("server", PORT))
        await asyncio.sleep(1)
        (_, of_alice), (_, of_carol) = server.got
        carol.transport.sendto(b"neighbour", of_alice)
        await asyncio.sleep(1)
        assert alice.got == [(b"neighbour", of_carol)] * hairpinning
        alice.transport.sendto(b"ourselves", of_alice)
        await asyncio.sleep(1)
        assert alice.got[hairpinning:] == [(b"ourselves", of_alice)] * hairpinning

    run(network, main())


def test_a_mapping_times_out_unless_it_is_kept_alive() -> None:
    network = house(sim.Nat(timeout=30.0))

    async def main() -> None:
        alice = await network.host("alice").run(bind())
        server = await network.host("server").run(bind())
        alice.transport.sendto(b"hello", ("server", PORT))
        await asyncio.sleep(20)
        alice.transport.sendto(b"still here", ("server", PORT))
        await asyncio.sleep(29)
        (_, outside), (_, again) = server.take()
        assert again == outside
        server.transport.sendto(b"in time", outside)
        await asyncio.sleep(2)
        server.transport.sendto(b"too late, though you answered a moment ago", outside)
        await asyncio.sleep(1)
        assert [data for data, _ in alice.got] == [b"in time"]
        alice.transport.sendto(b"hello", ("server", PORT))
        await asyncio.sleep(1)
        assert server.got[0][1] != outside

    run(network, main())


def test_rule_4_large_datagrams_pass_both_ways() -> None:
    """Their parts are put together, translated, and taken apart again; a part lost is the whole lost."""
    network = house(sim.Nat.SYMMETRIC)
    network.change("alice", "home", sim.Link(drop=[4]))  # the second datagram's first part

    async def main() -> None:
        alice = await network.host("alice").run(bind())
        server = await network.host("server").run(bind())
        for letter in (b"a", b"b", b"c"):
            alice.transport.sendto(4000 * letter, ("server", PORT))
        await asyncio.sleep(1)
        assert [data for data, _ in server.got] == [4000 * b"a", 4000 * b"c"]
        server.transport.sendto(3000 * b"d", server.got[0][1])
        await asyncio.sleep(1)
        assert alice.got == [(3000 * b"d", (network.host("server").address, PORT))]

    run(network, main())


def test_rule_4_a_damaged_part_spoils_the_whole() -> None:
    network = house(sim.Nat.SYMMETRIC)
    network.change("alice", "home", sim.Link(corrupt=1.0))

    async def main() -> None:
        alice = await network.host("alice").run(bind())
        server = await network.host("server").run(bind())
        alice.transport.sendto(4000 * b"a", ("server", PORT))
        alice.transport.sendto(b"small", ("server", PORT))
        await asyncio.sleep(1)
        assert not server.got

    run(network, main())


def test_rule_5_who_sends_to_a_closed_port_learns_of_it_through_the_nat() -> None:
    network = house(sim.Nat.PORT_RESTRICTED_CONE)

    async def main() -> None:
        alice = await network.host("alice").run(bind(remote_addr=("server", PORT)))
        alice.transport.sendto(b"hello?")
        await asyncio.sleep(1)
        (error,) = alice.errors
        assert isinstance(error, ConnectionRefusedError)

    run(network, main())


def test_rule_5_reports_about_what_came_in_stay_inside() -> None:
    """The stranger's datagram passes the full cone; that nobody listens any more is not for him to know."""
    network = house(sim.Nat.FULL_CONE)

    async def main() -> None:
        alice = await network.host("alice").run(bind())
        server = await network.host("server").run(bind())
        alice.transport.sendto(b"hello", ("server", PORT))
        await asyncio.sleep(1)
        alice.transport.close()
        stranger = await network.host("stranger").run(bind(remote_addr=server.got[0][1]))
        stranger.transport.sendto(b"hello?")
        await asyncio.sleep(1)
        assert not stranger.errors

    run(network, main())


def test_tcp_passes_and_nobody_connects_from_outside() -> None:
    network = house(sim.Nat.PORT_RESTRICTED_CONE)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = writer.get_extra_info("peername")[0]
        writer.write(await reader.readexactly(100_000) + seen.encode())
        writer.close()

    async def fetch() -> bytes:
        reader, writer = await asyncio.open_connection("server", PORT)
        writer.write(bytes(100_000))
        answer = await reader.read(-1)
        writer.close()
        return answer

    async def main() -> None:
        for host in ("server", "alice"):
            await network.host(host).run(asyncio.start_server(serve, port=PORT))
        answer = await network.host("alice").run(fetch())
        assert answer == bytes(100_000) + network.host("home").address.encode()
        with pytest.raises(TimeoutError):
            await network.host("stranger").run(asyncio.open_connection("alice", PORT))

    run(network, main())


def test_tcp_has_a_longer_time() -> None:
    """RFC 5382, section 5: a connection may be silent for two hours."""
    network = house(sim.Nat(timeout=30.0))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(7200)
        writer.write(b"good morning")
        await reader.read()
        writer.close()

    async def fetch() -> None:
        reader, writer = await asyncio.open_connection("server", PORT)
        assert await reader.readexactly(12) == b"good morning"
        writer.close()

    async def main() -> None:
        await network.host("server").run(asyncio.start_server(serve, port=PORT))
        await network.host("alice").run(fetch())

    run(network, main())


def test_one_nat_behind_another() -> None:
    """As at a provider who is short of addresses: the outer NAT sees but the inner one's address."""
    network = house(sim.Nat.FULL_CONE)
    network.nat("internet", sim.Nat.SYMMETRIC, outside="server")

    async def main() -> None:
        alice = await network.host("alice").run(bind())
        server = await network.host("server").run(bind())
        alice.transport.sendto(b"hello", ("server", PORT))
        await asyncio.sleep(1)
        ((_, outside),) = server.got
        assert outside[0] == network.host("internet").address
        server.transport.sendto(b"answer", outside)
        await asyncio.sleep(1)
        assert alice.got == [(b"answer", (network.host("server").address, PORT))]

    run(network, main())


def test_a_capture_shows_the_translated_addresses() -> None:
    network = house(sim.Nat.FULL_CONE)
    inside, outside = BytesIO(), BytesIO()
    network.capture("home", "alice", inside)
    network.capture("home", "internet", outside)

    async def main() -> None:
        alice = await network.host("alice").run(bind())
        alice.transport.sendto(b"hello", ("server", PORT))
        await asyncio.sleep(1)

    run(network, main())
    own = bytes([192, 168, 1, 2])
    assert own in inside.getvalue()
    assert own not in outside.getvalue()


def test_what_cannot_be_is_refused() -> None:
    network = house(sim.Nat.FULL_CONE)
    with pytest.raises(ValueError, match="has a NAT already"):
        network.nat("home", sim.Nat.SYMMETRIC, outside="internet")
    with pytest.raises(ValueError, match="not linked"):
        network.nat("server", sim.Nat.SYMMETRIC, outside="home")
