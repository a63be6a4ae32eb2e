"""What an answer costs the server's CPU: `tcp.Server` beside other servers, all in one run.

    python -m benchmarks.http.servers           # sleepy, and what is installed here
    python -m benchmarks.http.servers --peers   # all; installs them into a virtual environment of their own

Needs wrk (Debian: apt install wrk). Figures are answers per second of CPU time, user and system, of all the server's
processes; 64 connections, each with one request at a time, and then with sixteen pipelined. The answer has 13 bytes. Server
on CPU 0, wrk on CPU 1; servers take turns.
"""

import argparse
import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.arguments import count
from benchmarks.http import peers
from benchmarks.http.load import BODY
from benchmarks.http.server import CLIENT_CPU, SERVER_CPU, prepare
from labs.ports import reserve_port
from sleepy import tcp

ROOT = Path(__file__).parents[2]
PATIENCE = 15.0  # seconds until a server must listen
KINDS = {"one at a time": [], "pipelined": ["-s", str(Path(__file__).with_name("pipeline.lua"))]}


async def serve_sleepy(port: int) -> None:
    async def handler(_request: tcp.Request) -> tcp.Response:
        return tcp.Response(200, BODY)

    async with tcp.Server(handler, "127.0.0.1", port):
        await asyncio.Event().wait()


async def serve_aiohttp(port: int) -> None:
    web = import_module("aiohttp.web")

    async def handler(_request: Any) -> Any:
        return web.Response(body=BODY)

    application = web.Application()
    application.router.add_get("/", handler)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


async def application(scope: dict[str, Any], _receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """The same for servers that speak ASGI."""
    assert scope["type"] == "http"
    headers = [(b"content-length", b"%d" % len(BODY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def on(loop: str, serve: Callable[[int], Awaitable[None]]) -> Callable[[int], None]:
    """Run it on that loop."""

    def run(port: int) -> None:
        factory = import_module("uvloop").new_event_loop if loop == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(serve(port))  # type: ignore[arg-type]  # they are coroutine functions

    return run


def uvicorn(port: int) -> None:
    options = {"lifespan": "off", "access_log": False, "log_level": "warning", "loop": "uvloop", "http": "httptools"}
    import_module("uvicorn").run(application, host="127.0.0.1", port=port, **options)


def granian(port: int) -> None:
    target = "benchmarks.http.servers:application"
    server = import_module("granian").Granian(target, "127.0.0.1", port, interface="asginl", log_enabled=False)
    server.serve()


SERVERS: dict[str, tuple[Callable[[int], None], tuple[str, ...]]] = {
    "sleepy Server": (on("asyncio", serve_sleepy), ()),
    "sleepy Server, uvloop": (on("uvloop", serve_sleepy), ("uvloop",)),
    "aiohttp, uvloop": (on("uvloop", serve_aiohttp), ("aiohttp", "uvloop")),
    "uvicorn (httptools, uvloop)": (uvicorn, ("uvicorn", "httptools", "uvloop")),
    "granian (Rust)": (granian, ("granian",)),
}


@dataclass
class Process:
    """A server in a process of its own, and its children.

    Raises:
        RuntimeError: It does not listen.
    """

    name: str
    python: Path

    def __post_init__(self) -> None:
        self.port = reserve_port()
        command = [self.python, "-m", "benchmarks.http.servers", "--serve", self.name, str(self.port)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
            except OSError as error:
                if time.monotonic() > until or self.process.poll() is not None:
                    self.close()
                    raise RuntimeError(f"{self.name} does not listen: {error}") from error
                time.sleep(0.05)
            else:
                return

    def cpu(self) -> float:
        """The CPU seconds of all its processes."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            if int(fields[2]) == self.process.pid:  # its group
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def turn(self, wrk: str, kind: str, seconds: int) -> float:
        """Answers per CPU second."""
        command = [wrk, "-t1", "-c64", f"-d{seconds}s", *KINDS[kind], f"http://127.0.0.1:{self.port}/"]
        before = self.cpu()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
            prepare(CLIENT_CPU, load.pid)
            page = load.communicate()[0]
        used = self.cpu() - before
        counted = re.search(r"(\d+) requests in", page)
        if counted is None or "Non-2xx" in page:
            raise RuntimeError(f"{self.name} did not answer well:\n{page}")
        return int(counted[1]) / used

    def close(self) -> None:
        """End it, and its children."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.http.servers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=count, default=7, help="turns of each server (default: 7)")
    parser.add_argument("--seconds", type=count, default=2, help="length of a turn (default: 2)")
    parser.add_argument("--peers", action="store_true", help="measure the peers too; installs them at the first time")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        prepare(SERVER_CPU)
        name, port = options.serve
        SERVERS[name][0](int(port))
        return 0
    wrk = shutil.which("wrk")
    if wrk is None:
        sys.exit("wrk makes the requests, and is not here: install it (Debian: apt install wrk)")
    python = peers.install(print) if options.peers else peers.OURS
    with ExitStack() as stack:
        servers = []
        for name, (_, needs) in SERVERS.items():
            if lacking := peers.missing(needs, python):
                print(f"{name} is left out: {', '.join(lacking)} is not installed (try --peers)")
                continue
            servers.append(server := Process(name, python))
            stack.callback(server.close)
        turns: dict[tuple[str, str], list[float]] = {(server.name, kind): [] for server in servers for kind in KINDS}
        for _ in range(options.rounds):
            for kind in KINDS:
                for server in servers:
                    turns[server.name, kind].append(server.turn(wrk, kind, options.seconds))
    print("\n| answers per CPU second | " + " | ".join(KINDS) + " |\n|---|" + "---:|" * len(KINDS))
    for server in servers:
        figures = [f"{median(turns[server.name, kind]):,.0f}" for kind in KINDS]
        print(f"| {server.name} | {' | '.join(figures)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
