"""What the page on `sleepy.sim` says of other people's servers and clients: which run on simulated hosts as they are."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import aiohttp
import httpx
import pytest
import uvicorn
from aiohttp import web

from sleepy import sim, tcp
from sleepy.integrations.httpx import SleepyTransport

DELAY = 0.05
WORK = 1.0  # seconds


def simulate(server: Coroutine[Any, Any, None], client: Coroutine[Any, Any, bytes]) -> tuple[bytes, float]:
    """What the client got, and how long that took it, in virtual seconds."""
    network = sim.Network()
    network.link("client", "server", sim.Link(delay=DELAY))

    async def main() -> tuple[bytes, float]:
        serving = network.host("server").start(server)
        await asyncio.sleep(1)
        begin = asyncio.get_running_loop().time()
        got = await network.host("client").run(client)
        took = asyncio.get_running_loop().time() - begin
        serving.cancel()
        return got, round(took, 9)

    return sim.run(main(), network)


async def aiohttp_server() -> None:
    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(WORK)
        return web.Response(body=b"hello")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 80).start()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def uvicorn_server() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await asyncio.sleep(WORK)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})

    await uvicorn.Server(uvicorn.Config(app, host="0.0.0.0", port=80, lifespan="off", log_config=None)).serve()


async def sleepys_client() -> bytes:
    async with tcp.Client() as client:
        return (await client.get("http://server/")).body


async def httpx_over_sleepy() -> bytes:
    async with httpx.AsyncClient(transport=SleepyTransport(verify=False)) as client:
        return (await client.get("http://server/")).content


@pytest.mark.parametrize("server", [aiohttp_server, uvicorn_server])
@pytest.mark.parametrize("client", [sleepys_client, httpx_over_sleepy])
def test_a_round_trip_to_connect_and_one_for_the_answer(server: Any, client: Any) -> None:
    assert simulate(server(), client()) == (b"hello", 4 * DELAY + WORK)


async def aiohttps_client() -> bytes:
    async with aiohttp.ClientSession() as session, session.get("http://server/") as answer:
        return await answer.read()


async def httpx_alone() -> bytes:
    async with httpx.AsyncClient(verify=False) as client:
        return (await client.get("http://server/")).content


@pytest.mark.parametrize("client", [aiohttps_client, httpx_alone])
def test_who_reaches_for_real_sockets_is_told_so(client: Any) -> None:
    with pytest.raises(NotImplementedError, match=r"a (real|simulated) socket"):
        simulate(aiohttp_server(), client())
