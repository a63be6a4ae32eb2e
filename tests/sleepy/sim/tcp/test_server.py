"""`sleepy.sim.tcp.server`: a listening server; rules by their number."""

import asyncio
from typing import Any

import pytest

from tests.sleepy.sim.tcp.streams import Recorder, now, simulate, upper


def test_a_server_has_a_port_that_was_free_and_tells_it() -> None:
    async def client() -> int:
        async with await asyncio.start_server(upper, "localhost", 0) as server:
            port = server.sockets[0].getsockname()[1]
            assert server.is_serving()
            reader, writer = await asyncio.open_connection("localhost", port)
            writer.write(b"x\n")
            assert await reader.readline() == b"X\n"
            with pytest.raises(OSError, match=str(port)):
                await asyncio.start_server(upper, "localhost", port)
            writer.close()
        assert server.sockets == ()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("localhost", port)
        await asyncio.start_server(upper, "localhost", port)
        return port

    assert simulate(client) >= 49152


def test_rules_1_and_2_a_closed_server_keeps_its_connections_and_waits_for_them() -> None:
    async def client() -> list[float]:
        server = await asyncio.start_server(upper, ["localhost", "client"], 5)
        reader, writer = await asyncio.open_connection("localhost", 5)
        await asyncio.sleep(1)
        server.close()
        waiting = asyncio.create_task(server.wait_closed())
        await asyncio.sleep(1)
        assert not waiting.done()
        writer.write(b"still here\n")
        assert await reader.readline() == b"STILL HERE\n"
        writer.close()
        await waiting
        return [now()]

    assert simulate(client) == [2.0]


def test_a_server_need_not_serve_at_once() -> None:
    async def client() -> None:
        server = await asyncio.start_server(upper, "localhost", 5, start_serving=False)
        reader, _ = await asyncio.open_connection("localhost", 5)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        serving = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already being awaited"):
            await server.serve_forever()
        _, writer = await asyncio.open_connection("localhost", 5)
        writer.close()
        await asyncio.sleep(1)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        with pytest.raises(RuntimeError, match="is closed"):
            await server.start_serving()

    simulate(client)


def test_a_server_can_be_rid_of_its_clients() -> None:
    async def client() -> list[Any]:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "localhost", 5)
        _, first = await asyncio.get_running_loop().create_connection(Recorder, "localhost", 5)
        await asyncio.sleep(1)
        server.close_clients()
        await asyncio.sleep(1)
        _, second = await asyncio.get_running_loop().create_connection(Recorder, "localhost", 5)
        await asyncio.sleep(1)
        server.abort_clients()
        await asyncio.sleep(1)
        return [first.ends, [type(end) for end in second.ends]]

    assert simulate(client) == [["eof", None], [ConnectionResetError]]


def test_a_server_has_all_of_its_addresses_or_none() -> None:
    async def client() -> None:
        with pytest.raises(OSError, match="Cannot assign requested address"):
            await asyncio.start_server(upper, ["localhost", "server"], 5)
        await asyncio.start_server(upper, "localhost", 5)

    simulate(client)


def test_who_gets_no_protocol_is_not_left_waiting() -> None:
    """As by asyncio, whose socket is closed with the failed attempt."""
    told: list[object] = []

    async def client() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        await loop.create_server(lambda: asyncio.Protocol(1), "localhost", 5)  # type: ignore[call-arg]
        reader, writer = await asyncio.open_connection("localhost", 5)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()

    simulate(client)
    assert [type(error) for error in told] == [TypeError]
