"""`sleepy.sim.udp` and `sleepy.sim.sockets`: datagrams, ports, and what is reported back."""

import asyncio
import errno
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepy import sim

PORT = 9000
DELAY = 0.1


class Inbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.got: list[tuple[bytes, tuple[str, int]]] = []
        self.errors: list[Exception] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("made")
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.append((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(f"lost {exc}")


class Echo(Inbox):
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data, addr)


async def bind(protocol: Inbox, local: tuple[str, int] | None = None, remote: tuple[str, int] | None = None) -> Any:
    transport, made = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: protocol, local_addr=local, remote_addr=remote
    )
    assert made is protocol
    return transport


def dont_fragment(transport: Any) -> None:
    """Say to a socket that IP must not take its datagrams apart, as the platform wants to be told."""
    option, value = {"linux": (10, 3), "darwin": (28, 1), "win32": (14, 1)}[sys.platform]
    transport.get_extra_info("socket").setsockopt(socket.IPPROTO_IP, option, value)


def simulate(
    client: Callable[[], Coroutine[Any, Any, Any]],
    server: Inbox | None = None,
    address: str = "0.0.0.0",
    link: sim.Link | None = None,
) -> Any:
    network = sim.Network()
    network.link("client", "server", link or sim.Link(delay=DELAY))

    async def main() -> Any:
        if server is not None:
            await network.host("server").run(bind(server, (address, PORT)))
        return await network.host("client").run(client())

    return sim.run(main(), network)


def test_rule_1_there_and_back() -> None:
    async def client() -> tuple[float, Inbox]:
        inbox = Inbox()
        transport = await bind(inbox)
        transport.sendto(b"ping", ("server", PORT))
        assert inbox.got == []
        await asyncio.sleep(2 * DELAY + 0.001)
        return inbox

    inbox = simulate(client, Echo())
    assert inbox.got == [(b"ping", ("10.0.0.2", PORT))]


def test_the_protocol_hears_of_its_life() -> None:
    async def client() -> list[str]:
        inbox = Inbox()
        transport = await bind(inbox)
        assert not transport.is_closing()
        transport.close()
        transport.close()
        transport.sendto(b"", ("server", PORT))  # nothing leaves a closed socket
        assert transport.is_closing()
        await asyncio.sleep(0)
        return inbox.calls

    assert simulate(client) == ["made", "lost None"]


def test_rule_2_ports_keep_apart() -> None:
    async def client() -> list[list[bytes]]:
        one, other = Inbox(), Inbox()
        await bind(one, ("127.0.0.1", 1))
        await bind(other, ("localhost", 2))
        sender = await bind(Inbox())
        sender.sendto(b"one", ("localhost", 1))
        sender.sendto(b"other", ("127.0.0.1", 2))
        await asyncio.sleep(0.001)
        return [[data for data, _ in inbox.got] for inbox in (one, other)]

    assert simulate(client) == [[b"one"], [b"other"]]


@pytest.mark.parametrize(("address", "reached"), [("0.0.0.0", True), ("server", True), ("127.0.0.1", False)])
def test_rule_2_a_socket_takes_what_is_sent_to_its_address(address: str, reached: bool) -> None:
    async def client() -> None:
        transport = await bind(Inbox())
        transport.sendto(b"x", ("server", PORT))
        await asyncio.sleep(1)

    server = Inbox()
    simulate(client, server, address)
    assert bool(server.got) == reached


def test_rule_2_a_connected_socket_takes_only_what_its_peer_sent() -> None:
    async def client() -> Inbox:
        connected, stranger = Inbox(), Inbox()
        transport = await bind(connected, ("0.0.0.0", 700), ("server", PORT))
        other = await bind(stranger)
        other.sendto(b"from a stranger", ("client", 700))
        transport.sendto(b"echo")
        await asyncio.sleep(1)
        return connected

    assert simulate(client, Echo()).got == [(b"echo", ("10.0.0.2", PORT))]


@pytest.mark.parametrize(("size", "error"), [(65507, None), (65508, errno.EMSGSIZE)])
def test_rule_3_the_largest_datagram(size: int, error: int | None) -> None:
    async def client() -> Inbox:
        inbox = Inbox()
        transport = await bind(inbox, remote=("server", PORT))
        transport.sendto(bytes(size))
        await asyncio.sleep(1)
        return inbox

    server = Inbox()
    inbox = simulate(client, server)
    assert [exc.errno for exc in inbox.errors] == [error] * (error is not None)
    assert [len(data) for data, _ in server.got] == [size] * (error is None)


def test_rule_4_nobody_there_is_reported_to_a_connected_socket_a_round_trip_later() -> None:
    async def client() -> list[int]:
        connected, unconnected = Inbox(), Inbox()
        (await bind(connected, remote=("server", PORT))).sendto(b"x")
        (await bind(unconnected)).sendto(b"x", ("server", PORT))
        counts = []
        for _ in range(2):
            await asyncio.sleep(2 * DELAY - 0.001)
            counts.append(len(connected.errors))
            assert not unconnected.errors
        assert isinstance(connected.errors[0], ConnectionRefusedError)
        return counts

    assert simulate(client) == [0, 1]


def test_an_unknown_name_is_an_error() -> None:
    async def client() -> Inbox:
        inbox = Inbox()
        (await bind(inbox)).sendto(b"x", ("srever", PORT))
        with pytest.raises(socket.gaierror, match="no host is called 'srever'; there are: client, server"):
            await bind(Inbox(), remote=("srever", PORT))
        return inbox

    assert [type(error) for error in simulate(client).errors] == [socket.gaierror]


def test_where_to_must_be_known_and_agree() -> None:
    async def client() -> None:
        with pytest.raises(ValueError, match="not connected, so sendto"):
            (await bind(Inbox())).sendto(b"x")
        with pytest.raises(ValueError, match=r"connected to \('10.0.0.2', 9000\)"):
            (await bind(Inbox(), remote=("server", PORT))).sendto(b"x", ("server", 1))

    simulate(client)


def test_a_port_has_one_owner_until_it_is_closed() -> None:
    async def client() -> None:
        first = await bind(Inbox(), ("0.0.0.0", 5))
        for address in ("0.0.0.0", "127.0.0.1", "client"):
            with pytest.raises(OSError, match=r":5 on <Host client") as caught:
                await bind(Inbox(), (address, 5))
            assert caught.value.errno == errno.EADDRINUSE
        first.close()
        await bind(Inbox(), ("127.0.0.1", 5))
        with pytest.raises(OSError, match=r"0\.0\.0\.0:5"):
            await bind(Inbox(), ("0.0.0.0", 5))
        await bind(Inbox(), ("client", 5))
        with pytest.raises(OSError, match="is not <Host client") as caught:
            await bind(Inbox(), ("server", 5))
        assert caught.value.errno == errno.EADDRNOTAVAIL

    simulate(client)


def test_ports_for_clients_are_given_out_in_turn_and_run_out() -> None:
    async def client() -> None:
        transports = [await bind(Inbox()) for _ in range(65536 - 49152)]
        assert len({t.get_extra_info("sockname") for t in transports}) == len(transports)
        with pytest.raises(OSError, match="all 16384 ports"):
            await bind(Inbox())
        transports[77].close()
        assert (await bind(Inbox())).get_extra_info("sockname")[1] == 49152 + 77

    simulate(client)


def test_what_programs_ask_of_a_transport_and_its_socket() -> None:
    async def client() -> None:
        inbox = Inbox()
        transport = await bind(inbox, remote=("server", PORT))
        info = transport.get_extra_info("socket")
        assert info.getsockname() == transport.get_extra_info("sockname") == ("10.0.0.1", 49152)
        assert info.getpeername() == transport.get_extra_info("peername") == ("10.0.0.2", PORT)
        assert (info.family, info.type) == (socket.AF_INET, socket.SOCK_DGRAM)
        info.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        assert info.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 1 << 20
        assert transport.get_write_buffer_size() == 0
        assert transport.get_protocol() is inbox
        with pytest.raises(NotImplementedError, match="no file descriptor"):
            info.fileno()
        with pytest.raises(OSError, match="not connected"):
            (await bind(Inbox())).get_extra_info("socket").getpeername()

    simulate(client)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"sock": object()}, NotImplementedError),
        ({"reuse_port": True}, NotImplementedError),
        ({"local_addr": "/run/socket"}, NotImplementedError),
        ({"tpyo": 1}, TypeError),
    ],
)
def test_options_that_cannot_be_heeded_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    async def client() -> None:
        with pytest.raises(error, match="create_datagram_endpoint"):
            await asyncio.get_running_loop().create_datagram_endpoint(Inbox, **options)

    simulate(client)


def test_an_error_in_a_callback_goes_where_asyncio_sends_it() -> None:
    class Broken(Inbox):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            raise LookupError(data)

    async def client() -> list[str]:
        seen: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: seen.append(repr(context["exception"])))
        transport = await bind(Inbox(), remote=("server", PORT))
        transport.sendto(b"1")
        transport.sendto(b"2")
        await asyncio.sleep(1)
        return seen

    assert simulate(client, Broken()) == ["LookupError(b'1')", "LookupError(b'2')"]


# ---------------------------------------------------------------------- fragments (rule 3 of sleepy.sim.packet)


@settings(max_examples=50)
@given(size=st.integers(1, 20_000), mtu=st.integers(68, 1500), inner=st.integers(68, 1500), seed=st.integers())
def test_fragments_are_put_together_whatever_their_order(size: int, mtu: int, inner: int, seed: int) -> None:
    """Through a router that takes fragments apart again, over wires that reorder and duplicate."""
    network, inbox = sim.Network(seed), Inbox()
    data = bytes(range(256)) * (size // 256 + 1)
    rough = {"delay": 0.1, "jitter": 0.1, "ordered": False, "duplicate": 0.2}
    network.link("client", "router", sim.Link(mtu=mtu, **rough))
    network.link("router", "server", sim.Link(mtu=inner, **rough))

    async def client() -> None:
        (await bind(Inbox(), remote=("server", PORT))).sendto(data[:size])
        await asyncio.sleep(1)

    async def main() -> None:
        await network.host("server").run(bind(inbox, ("0.0.0.0", PORT)))
        await network.host("client").run(client())

    sim.run(main(), network)
    assert inbox.got
    assert {got for got, _ in inbox.got} == {data[:size]}


def test_a_lost_fragment_loses_the_datagram() -> None:
    async def client() -> None:
        transport = await bind(Inbox(), remote=("server", PORT))
        transport.sendto(bytes(4000))  # three fragments
        transport.sendto(bytes(3999))
        await asyncio.sleep(60)

    server = Inbox()
    simulate(client, server, link=sim.Link(delay=DELAY, drop=[2]))
    assert [len(data) for data, _ in server.got] == [3999]


def test_once_all_fragments_are_there_nobody_waits_for_them() -> None:
    async def client() -> None:
        (await bind(Inbox(), remote=("server", PORT))).sendto(bytes(4000))
        await asyncio.Event().wait()

    with pytest.raises(sim.DeadlockError, match=r"at 0\.1 s"):
        simulate(client, Inbox())


def test_an_incomplete_datagram_does_not_stay_in_memory() -> None:
    network = sim.Network()
    network.link("client", "server", sim.Link(drop=[1]))
    kept = []

    async def client() -> None:
        (await bind(Inbox(), remote=("server", PORT))).sendto(bytes(4000))
        for _ in range(2):
            await asyncio.sleep(20)
            kept.append(len(network.host("server")._incomplete))

    async def main() -> None:
        await network.host("client").run(client())

    sim.run(main(), network)
    assert kept == [1, 0]


# ---------------------------------------------------------------------- what must not be taken apart


def test_rule_3_what_the_first_link_does_not_carry_in_one_piece_fails_at_once() -> None:
    """To the byte: 28 of them are the headers'. Who did not ask for that has his datagrams taken apart."""
    server = Inbox()

    async def client() -> Inbox:
        inbox = Inbox()
        transport = await bind(inbox)
        transport.sendto(bytes(1273), ("server", PORT))
        dont_fragment(transport)
        transport.sendto(bytes(1272), ("server", PORT))
        transport.sendto(bytes(1273), ("server", PORT))
        assert len(inbox.errors) == 1
        await asyncio.sleep(1)
        return inbox

    inbox = simulate(client, server, link=sim.Link(delay=DELAY, mtu=1300))
    assert [len(data) for data, _ in server.got] == [1273, 1272]
    [error] = inbox.errors
    assert isinstance(error, OSError)
    assert error.errno == errno.EMSGSIZE
    assert "1301 bytes, and client->server takes 1300" in str(error)


@pytest.mark.parametrize("connected", [True, False])
def test_rule_4_what_a_later_link_does_not_carry_is_reported_to_who_is_connected(connected: bool) -> None:
    """A round trip to the router later; whoever is not connected learns nothing, as on Linux."""
    events: list[Any] = []
    network = sim.Network(trace=events.append)
    network.link("client", "router", sim.Link(delay=DELAY))
    network.link("router", "server", sim.Link(delay=DELAY, mtu=1300))
    server = Inbox()

    async def client() -> None:
        inbox = Inbox()
        transport = await bind(inbox, remote=("server", PORT) if connected else None)
        dont_fragment(transport)
        for size in (1273, 1272):
            transport.sendto(bytes(size), None if connected else ("server", PORT))
        assert not inbox.errors
        await asyncio.sleep(2 * DELAY + 0.001)
        assert [getattr(error, "errno", 0) for error in inbox.errors] == [errno.EMSGSIZE] * connected

    async def main() -> None:
        await network.host("server").run(bind(server, ("0.0.0.0", PORT)))
        await network.host("client").run(client())
        await asyncio.sleep(1)

    sim.run(main(), network)
    assert [len(data) for data, _ in server.got] == [1272]
    lost = [(event.fields["link"], event.fields["cause"]) for event in events if event.name == "link.lost"]
    assert lost == [("router->server", "mtu")]
