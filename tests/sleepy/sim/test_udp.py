"""`sleepy.sim.udp`: datagrams, and what is reported back."""

import asyncio
import errno
from typing import Any

import pytest

from sleepy import sim
from tests.sleepy.sim.datagrams import DELAY, PORT, Echo, Inbox, bind, dont_fragment, simulate


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


def test_where_to_must_be_known_and_agree() -> None:
    async def client() -> None:
        with pytest.raises(ValueError, match="not connected, so sendto"):
            (await bind(Inbox())).sendto(b"x")
        with pytest.raises(ValueError, match=r"connected to \('10.0.0.2', 9000\)"):
            (await bind(Inbox(), remote=("server", PORT))).sendto(b"x", ("server", 1))

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


@pytest.mark.parametrize(
    ("data", "address", "error", "text"),
    [
        ("text", ("server", PORT), TypeError, "bytes-like object, not 'str'"),
        (5, ("server", PORT), TypeError, "bytes-like object, not 'int'"),
        (b"x", "server", TypeError, "a pair such as"),
        (b"x", 9000, TypeError, "a pair such as"),
        (b"x", ("server",), TypeError, "a pair such as"),
        (b"x", ("server", "9000"), TypeError, "a pair such as"),
        (b"x", ("server", 65536), OverflowError, "port must be 0-65535"),
    ],
)
def test_what_is_no_datagram_or_no_address_is_the_senders_error(
    data: Any, address: Any, error: type[Exception], text: str
) -> None:
    """Here and now; before, some of it ended the whole run when a capture had to write it down."""

    async def client() -> None:
        transport = await bind(Inbox())
        with pytest.raises(error, match=text):
            transport.sendto(data, address)

    simulate(client)
