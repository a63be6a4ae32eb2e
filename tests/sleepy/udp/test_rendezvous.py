"""`python -m sleepy.udp.rendezvous`, as a process of its own, on loopback sockets."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sleepy.udp import rendezvous
from sleepy.udp.nat.introductions import Introducer
from sleepy.udp.rendezvous import open_rendezvous
from sleepy.udp.security.identity import Identity, parse_key
from tests.sleepy.udp.traversing import MiniNode

COMMAND = (sys.executable, "-m", "sleepy.udp.rendezvous")
posix = pytest.mark.skipif(os.name != "posix", reason="signals and file modes are POSIX's")


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """The program, and the first thing that it says."""
    arguments = ("--host", "127.0.0.1", "--port", "0", "--json", *arguments)
    process = await asyncio.create_subprocess_exec(*COMMAND, *arguments, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process, json.loads(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def peer(name: str, said: dict[str, Any], **options: Any) -> MiniNode:
    loop = asyncio.get_running_loop()
    server = said["host"], said["port"]
    options = {"server_key": parse_key(said["key"]), **options}
    _, node = await loop.create_datagram_endpoint(
        lambda: MiniNode(name, server, ("127.0.0.1", 1), **options), ("127.0.0.1", 0)
    )
    await node.registered()
    return node


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_two_meet_by_it_and_a_signal_ends_it(number: signal.Signals, tmp_path: Path) -> None:
    """Register, ask, knock, shake hands; then the program says what it did, and its exit code is 0."""
    async with running("--identity", str(tmp_path / "key.pem")) as (process, said):
        assert (said["event"], said["relay"]) == ("listening", False)
        assert said["key"] == str(Identity.load(tmp_path / "key.pem"))
        alice, bob = await peer("alice", said), await peer("bob", said)
        assert await alice.meet(bob) == bob.transport.get_extra_info("sockname")
        for each in (alice, bob):
            each.timer.cancel()
            each.transport.close()
        process.send_signal(number)
        assert process.stdout is not None
        stopped = json.loads(await process.stdout.readline())
        assert (stopped["event"], stopped["registered"], stopped["forged"]) == ("stopped", 2, 0)
        assert stopped["told"] >= 2
        assert await process.wait() == 0


@posix
async def test_it_relays_if_it_was_told_to() -> None:
    """Firewalls are played by peers that drop each other's datagrams: only what comes from the server passes."""
    async with running("--relay", "--relay-rate", "100000") as (_, said):
        assert said["relay"] is True

        class Walled(MiniNode):
            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                if addr[1] == said["port"]:
                    super().datagram_received(data, addr)

        loop = asyncio.get_running_loop()
        nodes = []
        for name in ("alice", "bob"):
            options = {"server_key": parse_key(said["key"]), "relay_after": 0.05}
            _, node = await loop.create_datagram_endpoint(
                lambda name=name, options=options: Walled(  # type: ignore[misc]
                    name, (said["host"], said["port"]), ("127.0.0.1", 1), **options
                ),
                ("127.0.0.1", 0),
            )
            await node.registered()
            nodes.append(node)
        host, port = await nodes[0].meet(nodes[1])
        assert (host[:6], port) == ("relay-", 0)
        for node in nodes:
            node.timer.cancel()
            node.transport.close()


@posix
async def test_the_key_is_kept(tmp_path: Path) -> None:
    keys = set()
    for _ in range(2):
        async with running("--identity", str(tmp_path / "key.pem")) as (_, said):
            keys.add(said["key"])
    assert len(keys) == 1


async def test_hostile_bytes_do_not_end_it() -> None:
    identity = Identity.generate()
    async with open_rendezvous(("127.0.0.1", 0), lambda now: Introducer(identity, now=now)) as server:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=server.address)
        for size in range(300):
            transport.sendto(bytes([size % 20]) + os.urandom(size))
        said = {"host": server.address[0], "port": server.address[1], "key": str(identity)}
        node = await peer("alice", said)
        node.timer.cancel()
        node.transport.close()
        transport.close()


def test_help_shows_examples() -> None:
    result = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True, timeout=50)
    assert "examples:" in result.stdout
    assert "--relay-rate" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--port", "70000"], "--port is 70000; it must be from 0 to 65535"),
        (["--lease", "0"], "--lease is 0; it must be from 1 to 65535"),
        (["--relay-rate", "nan"], "--relay-rate is nan; it must be from 1"),
        (["--max-peers", "-1"], "--max-peers is -1"),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        rendezvous.main(arguments)
    assert error.value.code == 2
    assert problem in capsys.readouterr().err


def test_what_hinders_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "no.pem").write_text("no key")
    (tmp_path / "no.pem").chmod(0o600)
    for arguments, problem in (
        (["--host", "198.51.100.1"], "cannot serve on 198.51.100.1:9470: "),
        (["--identity", str(tmp_path / "no.pem")], "holds no unencrypted X25519 private key"),
        (["--identity", str(tmp_path / "nowhere" / "key.pem")], "No such file"),
    ):
        assert rendezvous.main(arguments) == 1
        assert problem in capsys.readouterr().err
