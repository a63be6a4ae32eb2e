"""`sleepy.sim.tcp.stack`: who gets which segment, and what becomes of attempts to connect."""

import asyncio
import errno
from typing import Any

import pytest

from sleepy import sim
from tests.sleepy.sim.tcp.streams import DELAY, PORT, now, simulate, upper


def test_connecting_to_a_port_on_which_nobody_listens_is_refused() -> None:
    async def client() -> float:
        with pytest.raises(ConnectionRefusedError, match=r"nobody listens at 10\.0\.0\.2:8000"):
            await asyncio.open_connection("server", PORT)
        return now()

    assert simulate(client) == pytest.approx(2 * DELAY)


def test_connecting_to_an_address_of_nobody_times_out() -> None:
    async def client() -> float:
        with pytest.raises(TimeoutError, match=r"no answer from 192.0.2.1:8000"):
            await asyncio.open_connection("192.0.2.1", PORT)
        return now()

    assert simulate(client) == 127


def test_connecting_to_a_host_without_a_way_fails_at_once() -> None:
    network = sim.Network()
    network.host("island")

    async def client() -> None:
        with pytest.raises(OSError, match=r"no way to 10.0.0.1") as caught:
            await asyncio.open_connection("island", PORT)
        assert caught.value.errno == errno.ENETUNREACH

    async def main() -> None:
        await network.host("client").run(client())

    sim.run(main(), network)


def test_a_router_without_a_way_reports_back() -> None:
    network = sim.Network()
    network.link("client", "router", sim.Link(delay=DELAY))
    network.host("island")
    network.link("island", "other")
    network.route("client", "island", via="router")

    async def client() -> float:
        with pytest.raises(OSError, match=r"no way to"):
            await asyncio.open_connection("island", PORT)
        return now()

    async def main() -> float:
        return await network.host("client").run(client())

    assert sim.run(main(), network) == pytest.approx(2 * DELAY)


def test_a_cancelled_attempt_leaves_nothing_behind() -> None:
    async def client() -> int:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.open_connection("192.0.2.1", PORT)
        return len(sim.host.here().tcp._sockets)

    assert simulate(client) == 0


def test_a_local_address_may_be_chosen() -> None:
    async def client() -> list[Any]:
        names = []
        for _ in range(2):
            _, writer = await asyncio.open_connection("server", PORT, local_addr=("client", 777))
            names.append(writer.get_extra_info("sockname"))
            with pytest.raises(OSError, match="777") as caught:
                await asyncio.open_connection("server", PORT, local_addr=("client", 777))
            assert caught.value.errno == errno.EADDRINUSE
            writer.transport.abort()
            await asyncio.sleep(1)
        return names

    assert simulate(client, upper) == [("10.0.0.1", 777)] * 2


def test_a_host_talks_to_itself() -> None:
    async def client() -> bytes:
        await asyncio.start_server(upper, "localhost", 5)
        reader, writer = await asyncio.open_connection("127.0.0.1", 5)
        writer.write(b"self\n")
        answer = await reader.readline()
        writer.close()
        return answer

    assert simulate(client) == b"SELF\n"


def test_a_port_that_lingers_at_the_server_may_be_called_from_again() -> None:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        writer.close()  # who ends first lingers

    async def client() -> list[bytes]:
        answers = []
        for _ in range(2):
            reader, writer = await asyncio.open_connection("server", PORT, local_addr=("client", 6000))
            answers.append(await reader.read())
            writer.close()
            await asyncio.sleep(1)
        return answers

    assert simulate(client, handler) == [b"bye", b"bye"]
