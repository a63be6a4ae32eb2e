"""Nodes on the system's own sockets, over the loopback, on each loop: the same code as in `test_node`."""

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from sleepy.errors import SleepyError
from sleepy.udp.nodes.batch import BatchSocket, TransportSocket
from sleepy.udp.nodes.node import Node
from sleepy.udp.nodes.peer import Peer
from sleepy.udp.nodes.plain_node import open_plain_node
from sleepy.udp.nodes.secure_node import open_node
from tests.sleepy.udp.node_worlds import ALICE, BOB

ROOT = Path(__file__).parents[3]
HERE = ("127.0.0.1", 0)


class NoReaders(asyncio.SelectorEventLoop):
    """As Windows' proactor: it has transports, and watches no sockets of ours."""

    def remove_reader(self, fd: Any) -> bool:
        raise NotImplementedError


@pytest.fixture(params=["asyncio", "uvloop", "no readers"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Runs a test on each loop in debug mode; no task may be left, and no error unheard."""
    new_loop: Any = {"asyncio": asyncio.new_event_loop, "no readers": NoReaders}.get(request.param)
    if new_loop is None:
        new_loop = pytest.importorskip("uvloop").new_event_loop

    def run(main: Coroutine[Any, Any, None]) -> None:
        unheard: list[dict[str, Any]] = []

        async def watched() -> None:
            loop = asyncio.get_running_loop()
            loop.slow_callback_duration = 60.0  # how long things take is the machine's business
            loop.set_exception_handler(lambda _, context: unheard.append(context))
            async with asyncio.timeout(30):
                await main
            for _ in range(3):
                await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        with asyncio.Runner(loop_factory=new_loop, debug=True) as runner:
            runner.run(watched())
        gc.collect()
        assert not unheard, unheard

    return run


async def echo(node: Node) -> None:
    async for message in await node.accept():
        await node.peers[0].send(message)


@pytest.mark.parametrize("plain", [False, True], ids=["secure", "plain"])
def test_two_nodes_talk(run: Any, plain: bool) -> None:
    """A thousand messages there and back, a stream, and a goodbye."""

    def pair() -> tuple[Node, Node]:
        if plain:
            return open_plain_node(HERE), open_plain_node(HERE)
        return open_node(HERE, identity=ALICE), open_node(HERE, identity=BOB)

    async def main() -> None:
        first, second = pair()
        async with first as here, second as there:
            serving = asyncio.create_task(echo(there))
            peer = await here.connect(there.address, expect=None if plain else BOB.public_key)
            messages = [b"%d" % number for number in range(1000)]
            for message in messages:
                await peer.send(message)
            assert [await peer.receive() for _ in messages] == messages
            assert here.counters.sent < 600  # they shared packets
            assert peer.statistics.rtt < 5
            await peer.close("enough")
            await serving

    run(main())


def test_a_stream_carries_megabytes(run: Any) -> None:
    """Through offload where there is any."""
    data = os.urandom(1 << 20)

    async def serve(there: Node) -> bytes:
        peer = await there.accept()
        reader, writer = await peer.accept_stream()
        got = await reader.read()
        writer.close()
        return got

    async def main() -> None:
        async with open_node(HERE) as here, open_node(HERE) as there:
            serving = asyncio.create_task(serve(there))
            peer = await here.connect(there.address)
            _, writer = await peer.open_stream()
            for start in range(0, len(data), 1 << 16):
                writer.write(data[start : start + (1 << 16)])
                await writer.drain()
            writer.close()
            await writer.wait_closed()
            assert await serving == data
            if sys.platform == "linux" and isinstance(here._socket, BatchSocket):
                assert here.counters.calls < here.counters.sent + here.counters.received

    run(main())


def test_a_loop_decides_which_socket_there_is(run: Any) -> None:
    async def main() -> None:
        readers = not isinstance(asyncio.get_running_loop(), NoReaders)
        async with open_node(HERE) as node:
            assert isinstance(node._socket, BatchSocket if readers else TransportSocket)

    run(main())


def test_many_peers_at_once(run: Any) -> None:
    """Thirty nodes call one; each hears its own."""

    async def serve(there: Node) -> None:
        async def answer(peer: Peer) -> None:
            async for message in peer:
                await peer.send(message + b", " + peer.public_key)

        async with asyncio.TaskGroup() as group:
            for _ in range(30):
                group.create_task(answer(await there.accept()))

    async def caller(address: tuple[str, int], number: int) -> None:
        async with open_node(HERE) as node:
            peer = await node.connect(address)
            await peer.send(b"%d" % number)
            message, _, key = (await peer.receive()).partition(b", ")
            assert message == b"%d" % number
            assert key != peer.public_key

    async def main() -> None:
        async with open_node(HERE) as there, asyncio.TaskGroup() as group:
            group.create_task(serve(there))
            for number in range(30):
                group.create_task(caller(there.address, number))

    run(main())


def test_ipv6_and_names(run: Any) -> None:
    """A peer has one address, whatever the system calls it; a name is looked up in the node's own family."""

    async def main() -> None:
        for host, called in (("::1", "::1"), ("127.0.0.1", "localhost")):
            try:
                async with open_node((host, 0)) as here, open_node((host, 0)) as there:
                    peer, other = await asyncio.gather(here.connect((called, there.address[1])), there.accept())
                    assert peer.address == there.address
                    assert other.address == here.address
                    await peer.send(b"hello")
                    assert await other.receive() == b"hello"
            except OSError as error:
                if host == "127.0.0.1" or isinstance(error, SleepyError):
                    raise

    run(main())


def test_a_taken_port_is_an_error(run: Any) -> None:
    """And the node that did not start can be closed, and leaves no socket open."""

    async def main() -> None:
        async with open_node(HERE) as first:
            second = open_node(first.address)
            with pytest.raises(OSError, match="in use"):
                await second.start()
            await second.close()

    run(main())


def test_plain_nodes_need_no_cryptography() -> None:
    """`sleepy.udp.nodes.plain_node` works where that package is not installed."""
    program = """
import sys
sys.modules["cryptography"] = None
import asyncio
from sleepy.udp.nodes.plain_node import open_plain_node
async def main():
    async with open_plain_node(("127.0.0.1", 0)) as here, open_plain_node(("127.0.0.1", 0)) as there:
        peer, other = await asyncio.gather(here.connect(there.address), there.accept())
        await peer.send(b"hello")
        print(await other.receive())
asyncio.run(main())
"""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert (done.stdout.strip(), done.stderr) == ("b'hello'", "")
