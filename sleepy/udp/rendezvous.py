"""The rendezvous server as a program: ``python -m sleepy.udp.rendezvous``.

One UDP socket, and `sleepy.udp.nat.introductions` behind it, which decides everything. It has to run where every peer can
reach it: on a host with a public address. It needs little: a registered peer costs about five kilobytes and a datagram
every 15 seconds; relaying, if it is allowed, costs what is relayed.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final, cast

from sleepy.udp.address import Address
from sleepy.udp.nat.introductions import Introducer
from sleepy.udp.nat.relay import Relay
from sleepy.udp.security.identity import Identity

DEFAULT_PORT: Final = 9470
LIMITS: Final = {  # of options: the least, and the most
    "port": (0, 65535),
    "lease": (1, 65535),
    "max_peers": (1, 2**31),
    "relay_rate": (1, 10**12),
    "relay_pairs": (1, 65536),
}
EXAMPLES: Final = """\
examples:
  python -m sleepy.udp.rendezvous --identity rendezvous.pem
      serve on port 9470; the key is made on first use, and kept: clients know the server by it
  python -m sleepy.udp.rendezvous --identity rendezvous.pem --relay --relay-rate 250000
      pass on datagrams, too, for peers that cannot reach each other: 2 Mbit/s for each pair
  python -m sleepy.udp.rendezvous --host 127.0.0.1 --port 0 --json
      try it on this machine; the first line of output says the port and the key, for programs

Ctrl-C or SIGTERM ends it. Peers register again with whatever answers under the same key, so it may be restarted at any time.
"""


class Rendezvous(asyncio.DatagramProtocol):
    """A rendezvous server on a socket; `open_rendezvous` makes it.

    Attributes:
        introducer: What decides, and counts.
        address: Where it is bound.
    """

    address: Address
    _transport: asyncio.DatagramTransport

    def __init__(self, make_introducer: Callable[[float], Introducer]) -> None:
        self._loop = asyncio.get_running_loop()
        self.introducer = make_introducer(self._loop.time())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.address = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str, int] | tuple[str, int, int, int]) -> None:
        """A datagram has arrived."""
        answer = self.introducer.receive(data, addr[:2], self._loop.time())
        if answer is not None:
            self._transport.sendto(*answer)


@asynccontextmanager
async def open_rendezvous(local: Address, make_introducer: Callable[[float], Introducer]) -> AsyncGenerator[Rendezvous]:
    """Serve while the context lasts.

    Args:
        local: Where to bind: host and port; port 0 for any.
        make_introducer: Makes what decides, given the time.

    Raises:
        OSError: It cannot be bound there.
    """
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: Rendezvous(make_introducer), local)
    try:
        yield server
    finally:
        transport.close()


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m sleepy.udp.rendezvous",
        description="Tells peers behind NATs where they are, so that they can reach each other.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--host",
        default="0.0.0.0",  # noqa: S104
        help="address to bind (default: all of IPv4; '::' for IPv6). On a host with several name the one that peers use: "
        "otherwise the system may answer from another, and NATs let that in from nobody",
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="UDP port, 0 for any (default: %(default)s)")
    parser.add_argument(
        "--identity",
        type=Path,
        help="file with the private key; made if it is not there (default: a new key every time)",
    )
    parser.add_argument("--lease", type=int, default=60, help="seconds for which a peer is remembered (default: 60)")
    parser.add_argument(
        "--max-peers", type=int, default=10_000, help="number of peers that are remembered (default: %(default)s)"
    )
    parser.add_argument(
        "--relay", action="store_true", help="pass datagrams on, for peers that cannot reach each other"
    )
    parser.add_argument(
        "--relay-rate", type=float, default=125_000.0, help="bytes per second for each pair (default: 125000)"
    )
    parser.add_argument("--relay-pairs", type=int, default=64, help="number of pairs at a time (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="say what happens in JSON, one object per line")
    options = parser.parse_args(arguments)
    for name, (least, most) in LIMITS.items():
        if not least <= getattr(options, name) <= most:
            parser.error(f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be from {least} to {most}")
    return options


def load_identity(path: Path | None) -> Identity:
    """The server's identity: the one in the file, or a new one, which is then saved there.

    Raises:
        OSError: The file cannot be read or written.
        ValueError: It holds no key.
    """
    if path is not None and path.exists():
        return Identity.load(path)
    identity = Identity.generate()
    if path is not None:
        identity.save(path)
    return identity


async def serve(options: argparse.Namespace, identity: Identity) -> None:
    """Serve until a signal comes.

    Raises:
        OSError: It cannot be bound there.
    """

    def make(now: float) -> Introducer:
        relay = None
        if options.relay:
            relay = Relay(now=now, rate=options.relay_rate, max_channels=options.relay_pairs)
        return Introducer(identity, now=now, relay=relay, lease=options.lease, max_registrations=options.max_peers)

    stop = asyncio.Event()
    with suppress(NotImplementedError):  # on Windows Ctrl-C comes as KeyboardInterrupt
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_rendezvous((options.host, options.port), make) as server:
        host, port = server.address
        where = {"event": "listening", "host": host, "port": port, "key": str(identity), "relay": options.relay}
        _say(options.json, where, f"listening on {host}:{port}, key {identity}")
        await stop.wait()
        introducer = server.introducer
        relayed = 0 if introducer.relay is None else introducer.relay.counters.relayed
        summary = f"stopped: {introducer.counters.told} messages told, {relayed} datagrams relayed"
        _say(options.json, {"event": "stopped", **asdict(introducer.counters), "relayed": relayed}, summary)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code: 0 when it was told to end, 1 when it could not begin."""
    options = parse(arguments)
    try:
        asyncio.run(serve(options, load_identity(options.identity)))
    except KeyboardInterrupt:
        pass
    except (OSError, ValueError) as error:
        sys.stderr.write(f"rendezvous: cannot serve on {options.host}:{options.port}: {error}\n")
        return 1
    return 0


def _say(as_json: bool, record: dict[str, str | int | bool], text: str) -> None:
    sys.stdout.write((json.dumps(record) if as_json else text) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
