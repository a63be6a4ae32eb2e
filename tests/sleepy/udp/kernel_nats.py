"""Two houses behind NATs of the system's own kernel, a server between them, a node in each: run in namespaces of its own.

`test_kernel_nats.py` starts it under ``unshare``, and again with a role for each of the nodes. It prints a JSON object for
each meeting: by which address it came about, and how many messages were echoed.
"""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from sleepy.udp.nat.reachable_node import open_reachable_node
from sleepy.udp.security.identity import Identity, parse_key

SERVER = "198.51.100.1"
COMMANDS = """
link add to-a netns internet type veth peer name wan netns router-a
link add to-b netns internet type veth peer name wan netns router-b
link add lan netns router-a type veth peer name eth netns alice
link add lan netns router-b type veth peer name eth netns bob
-n internet addr add 198.51.100.1/30 dev to-a
-n internet addr add 203.0.113.1/30 dev to-b
-n router-a addr add 198.51.100.2/30 dev wan
-n router-b addr add 203.0.113.2/30 dev wan
-n router-a addr add 192.168.1.1/24 dev lan
-n router-b addr add 192.168.2.1/24 dev lan
-n alice addr add 192.168.1.2/24 dev eth
-n bob addr add 192.168.2.2/24 dev eth
-n internet link set to-a up
-n internet link set to-b up
-n router-a link set wan up
-n router-b link set wan up
-n router-a link set lan up
-n router-b link set lan up
-n alice link set eth up
-n bob link set eth up
-n router-a route add default via 198.51.100.1
-n router-b route add default via 203.0.113.1
-n alice route add default via 192.168.1.1
-n bob route add default via 192.168.2.1
"""


def identity(name: str) -> Identity:
    return Identity(random.Random(name).randbytes(32))


def say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def do(*command: str) -> None:
    subprocess.run(command, check=True, timeout=30)


def inside(namespace: str, *command: str) -> list[str]:
    return ["ip", "netns", "exec", namespace, *command]


def build() -> None:
    """The network, without its NATs."""
    do("mount", "-t", "tmpfs", "none", "/run")  # so that the names of the namespaces are ours alone
    for name in ("internet", "router-a", "router-b", "alice", "bob"):
        do("ip", "netns", "add", name)
    for command in COMMANDS.split("\n"):
        if command:
            do("ip", *command.split())
    for name in ("internet", "router-a", "router-b"):
        do(*inside(name, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"))


def set_nat(router: str, *options: str) -> None:
    """Masquerade, and let in only what answers; with ``--random-fully`` every remote address is shown another port."""
    tables = inside(router, "iptables")
    do(*tables, "-t", "nat", "-F")
    do(*tables, "-F")
    do(*tables, "-t", "nat", "-A", "POSTROUTING", "-o", "wan", "-j", "MASQUERADE", *options)
    do(*tables, "-A", "INPUT", "-i", "wan", "-j", "DROP")
    do(*tables, "-A", "FORWARD", "-i", "wan", "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT")
    do(*tables, "-A", "FORWARD", "-i", "wan", "-j", "DROP")


def start(stack: ExitStack, namespace: str, *arguments: str) -> "subprocess.Popen[str]":
    command = inside(namespace, sys.executable, "-m", *arguments)
    process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    stack.callback(process.terminate)
    return process


def heard(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """The next thing that a process says."""
    assert process.stdout is not None
    said: dict[str, Any] = json.loads(process.stdout.readline())
    return said


def stage() -> None:
    build()
    set_nat("router-b")
    with ExitStack() as stack:
        server = start(stack, "internet", "sleepy.udp.rendezvous", "--host", SERVER, "--relay", "--json")
        said = heard(server)
        arguments = (__spec__.name, str(said["port"]), said["key"])
        heard(start(stack, "bob", *arguments, "bob"))
        for options in ((), ("--random-fully",)):
            set_nat("router-a", *options)
            say(heard(start(stack, "alice", *arguments, "alice")))


async def live(port: int, key: str, name: str) -> None:
    local = "0.0.0.0" if name == "bob" else "::"
    node = open_reachable_node(
        (local, 0), rendezvous=(SERVER, port), rendezvous_key=parse_key(key), identity=identity(name)
    )
    async with node:
        if name == "bob":
            while node.outside is None:  # noqa: ASYNC110  # nothing tells
                await asyncio.sleep(0.02)
            say({"outside": node.outside})
            async for peer in node:
                async for message in peer:
                    await peer.send(message)
        peer = await node.reach(identity("bob").public_key, timeout=40.0)
        for number in range(50):
            await peer.send(bytes([number]) * 100)
        echoes = [await peer.receive() for _ in range(50)]
        say({"address": peer.address, "echoes": len(echoes)})
        await peer.close()


def main(arguments: Sequence[str]) -> None:
    if arguments:
        port, key, name = arguments
        asyncio.run(live(int(port), key, name))
    else:
        stage()


if __name__ == "__main__":
    main(sys.argv[1:])
