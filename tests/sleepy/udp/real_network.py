"""A cable between two machines of the system's own kernel, a process at each end: run in namespaces of its own.

`test_real_network.py` starts it under ``unshare`` with the name of a mishap and a size; it starts itself again, with a role
for each of the two. Who sends brings the mishap about when half of the bytes are written: it does not run meanwhile, so
the rest is still to come. It prints what bob says, then what alice says, as JSON. Times are the system's monotonic clock's.
"""

import asyncio
import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from sleepy import udp
from tests.sleepy.udp.kernel_nats import do, heard, inside, say

ALICE, BOB, MOVED = "10.9.0.1", "10.9.0.2", "10.9.0.3"
OUTAGE = 1.5  # seconds
PATIENCE = 2.0  # seconds: the idle timeout where the cable stays out
CHUNK = 1 << 16
LINES = 20
COMMANDS = """
link add eth netns alice type veth peer name eth netns bob
-n alice addr add 10.9.0.1/24 dev eth
-n bob addr add 10.9.0.2/24 dev eth
-n alice link set eth up
-n bob link set eth up
"""


def build() -> None:
    do("mount", "-t", "tmpfs", "none", "/run")  # so that the names of the namespaces are ours alone
    for name in ("alice", "bob"):
        do("ip", "netns", "add", name)
    for command in COMMANDS.strip().split("\n"):
        do("ip", *command.split())


def stage(mishap: str, size: str) -> None:
    build()
    with ExitStack() as stack:

        def start(name: str, *arguments: str) -> "subprocess.Popen[str]":
            command = inside(name, sys.executable, "-m", __spec__.name, mishap, size, name, *arguments)
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.terminate)
            return process

        bob = start("bob")
        said = heard(bob)
        alice = start("alice", str(said["port"]), said["key"])
        if mishap == "pulled":
            heard(alice)  # the cable is out
            time.sleep(OUTAGE)
            do("ip", "-n", "alice", "link", "set", "eth", "up")
        say(heard(bob))
        say(heard(alice))


def suffer(mishap: str) -> None:
    """What happens to alice's cable; the loop stands still meanwhile."""
    if mishap in {"pulled", "cut"}:
        do("ip", "link", "set", "eth", "down")
    elif mishap == "moved":
        do("ip", "addr", "del", f"{ALICE}/24", "dev", "eth")
        do("ip", "addr", "add", f"{MOVED}/24", "dev", "eth")
    if mishap == "pulled":
        say({"out": time.monotonic()})


async def chat(peer: udp.Peer, name: str) -> list[str]:
    """Both send lines, one after the other, and hear the other's."""
    heard_lines: list[str] = []
    for number in range(LINES):
        await peer.send(f"{name} {number}".encode())
        heard_lines.append((await peer.receive()).decode())
    return heard_lines


async def bob(node: udp.Node) -> dict[str, Any]:
    peer = await node.accept()
    lines, first = await chat(peer, "bob"), peer.address[0]
    reader, writer = await peer.accept_stream()
    digest, size = hashlib.sha256(), 0
    try:
        while data := await reader.read(CHUNK):
            digest.update(data)
            size += len(data)
        writer.write(digest.digest())
        writer.close()
        await writer.wait_closed()
    finally:
        await peer.wait_closed()
    return {"lines": lines, "first": first, "last": peer.address[0], "size": size}


async def alice(node: udp.Node, port: int, key: str, mishap: str, size: int) -> dict[str, Any]:
    peer = await node.connect((BOB, port), expect=udp.parse_key(key))
    lines = await chat(peer, "alice")
    reader, writer = await peer.open_stream()
    source, digest = random.Random(1), hashlib.sha256()
    begun, cpu, happened = time.monotonic(), time.process_time(), 0.0
    try:
        for start in range(0, size, CHUNK):
            data = source.randbytes(min(CHUNK, size - start))
            digest.update(data)
            writer.write(data)
            await writer.drain()
            if not happened and start >= size // 2:
                suffer(mishap)
                happened = time.monotonic()
        writer.write_eof()
        whole = await reader.read() == digest.digest()
    except udp.ConnectionClosed as error:
        return {"lines": lines, "happened": happened, "error": type(error).__name__}
    result = {"seconds": time.monotonic() - begun, "cpu": time.process_time() - cpu}
    await peer.close("done")
    return result | {"lines": lines, "whole": whole, "lost": peer.statistics.packets_lost}


async def live(mishap: str, size: int, name: str, *where: str) -> None:
    config = udp.ConnectionConfig(idle_timeout=PATIENCE, keep_alive=PATIENCE / 4) if mishap == "cut" else None
    identity = udp.Identity.generate()
    async with udp.open_node(("0.0.0.0", 0), identity=identity, config=config) as node:
        if name == "alice":
            result = await alice(node, int(where[0]), where[1], mishap, size)
        else:
            say({"port": node.address[1], "key": str(identity)})
            try:
                result = await bob(node)
            except udp.ConnectionClosed as error:
                result = {"error": type(error).__name__}
        say(result | {"end": time.monotonic()})


def main(arguments: Sequence[str]) -> None:
    if len(arguments) == 2:
        stage(*arguments)
    else:
        mishap, size, name, *where = arguments
        asyncio.run(live(mishap, int(size), name, *where))


if __name__ == "__main__":
    main(sys.argv[1:])
