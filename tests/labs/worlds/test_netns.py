"""The netns world, for real: what is asked of the link is what the captures show, and nothing stays behind."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.utils import RawPcapReader

from labs import capture
from labs.worlds import WorldError, find, netns
from sleepy.sim import Link
from sleepy.trace import read
from tests.labs.worlds.play import PORTS, Played, order, play, scenario
from tests.labs.worlds.processes import nobody_is_left, processes

pytestmark = [pytest.mark.netns, pytest.mark.timeout(300)]  # an emulated machine is slow

IMPAIRMENTS = ["netem", "nfqueue"]

RUN = """
import sys
from pathlib import Path
from labs.worlds import netns
from sleepy.sim import Link
from tests.labs.worlds.play import order, scenario
run = order(Path(sys.argv[1]), scenario(Link(delay=0.02), Link(delay=0.02), requests=int(sys.argv[3])), sys.argv[2])
print("begun", flush=True)
netns.run(run, lambda told: print(told, flush=True))
"""


def delays(played: Played) -> Iterator[float]:
    for port in PORTS.values():
        for crossing in (*played.to_server(port), *played.to_client(port)):
            if crossing.left is not None:
                yield crossing.left - crossing.segment.time


@pytest.mark.parametrize("impairment", IMPAIRMENTS)
def test_the_drop_list_is_exact_for_each_port_and_nothing_comes_early(tmp_path: Path, impairment: str) -> None:
    link = Link(delay=0.02, drop=[3, 10, 11])
    played = play("netns", tmp_path, impairment, scenario(Link(delay=0.02), link))
    for port in PORTS.values():
        assert played.lost_data(port) == [3, 10, 11]
        assert all(crossing.left is not None for crossing in played.to_server(port))
    assert min(delays(played)) > 0.02 - 1e-4  # a tick of netem's is shorter, a capture's microsecond too
    assert [told["done"] for told in played.told if isinstance(told, dict)] == [1, 2]
    with (tmp_path / "run/events.jsonl").open() as events:
        assert [event.fields["phase"] for event in read(events)] == list(PORTS)


def test_off_means_that_nothing_is_lost_or_held(tmp_path: Path) -> None:
    link = Link(delay=1.0, drop=[1, 2, 3])
    played = play("netns", tmp_path, "off", scenario(link, link))
    for port in PORTS.values():
        assert played.lost_data(port) == []
    assert min(delays(played)) < 1.0


def test_a_segment_is_a_segment(tmp_path: Path) -> None:
    """Offloads are off: nothing longer than the wire would take, and every checksum is right."""
    play("netns", tmp_path, "off", scenario())
    for side in ("left", "right"):
        for packet in packets(tmp_path, side):
            assert len(packet) <= 1500
            assert internet_sum(pseudo_header(packet) + packet[20:]) == 0xFFFF


@pytest.mark.parametrize("impairment", IMPAIRMENTS)
def test_duplicates_arrive_twice(tmp_path: Path, impairment: str) -> None:
    played = play("netns", tmp_path, impairment, scenario(to_client=Link(delay=0.01, duplicate=1.0)))
    for port in PORTS.values():
        sent = [segment for segment in played.right if segment.source[1] == port]
        arrived = [segment for segment in played.left if segment.source[1] == port]
        assert len(arrived) == 2 * len(sent)


@pytest.mark.parametrize("impairment", IMPAIRMENTS)
def test_damage_is_found_by_tcp_and_mended(tmp_path: Path, impairment: str) -> None:
    """That all answers came is the client's to say; here we see that it was not by luck. netem hits headers, too."""
    play("netns", tmp_path, impairment, scenario(to_client=Link(corrupt=0.3)))
    sent, arrived = ({unchanging(packet) for packet in packets(tmp_path, side)} for side in ("right", "left"))
    assert arrived - sent


@pytest.mark.parametrize("impairment", IMPAIRMENTS)
def test_loss_by_chance_is_lost_on_the_router(tmp_path: Path, impairment: str) -> None:
    played = play("netns", tmp_path, impairment, scenario(to_client=Link(delay=0.01, loss=0.3)))
    assert any(played.lost_data(port) for port in PORTS.values())


@pytest.mark.parametrize("impairment", IMPAIRMENTS)
def test_a_rate_spaces_packets_out(tmp_path: Path, impairment: str) -> None:
    """A full answer takes 1052 * 8 / 1e6 s, so thirty of them never take less than thirty times that."""
    played = play("netns", tmp_path, impairment, scenario(to_client=Link(rate=1e6)))
    for port in PORTS.values():
        times = [segment.time for segment in played.left if segment.source[1] == port and segment.payload]
        assert times[-1] - times[0] > 29 * 1000 * 8 / 1e6 * 0.99


def test_jitter_with_nfqueue_keeps_the_order(tmp_path: Path) -> None:
    played = play("netns", tmp_path, "nfqueue", scenario(to_client=Link(delay=0.02, jitter=0.02)))
    for port in PORTS.values():
        left = [crossing.left for crossing in played.to_client(port) if crossing.left is not None]
        assert left == sorted(left)
    assert len({round(delay, 3) for delay in delays(played)}) > 5


def test_a_server_that_does_not_come_up_ends_the_run_and_is_named(tmp_path: Path, usable: str) -> None:
    with pytest.raises(WorldError, match="server gave up"):
        netns.run(order(tmp_path, scenario(), usable, package="tests.labs.worlds.nowhere"), print)
    assert nobody_is_left(tmp_path)


def test_a_run_that_stands_still_is_ended(tmp_path: Path, usable: str) -> None:
    run = replace(order(tmp_path, scenario(requests=100_000), usable), patience=3.0)
    with pytest.raises(WorldError, match="nothing was heard for 3 s"):
        netns.run(run, print)
    assert nobody_is_left(tmp_path)


def test_two_runs_at_once_do_not_meet(tmp_path: Path, usable: str) -> None:
    runs = [start(tmp_path / name, usable) for name in ("one", "other")]
    assert [run.wait() for run in runs] == [0, 0]
    for run in runs:
        assert run.stdout
        run.stdout.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_killed_at_any_moment_nothing_stays_and_the_next_run_works(tmp_path: Path, usable: str, how: int) -> None:
    dice = random.Random(how)
    for _ in range(3):
        run = start(tmp_path, usable, requests=1000)
        assert run.stdout
        assert run.stdout.readline() == b"begun\n"
        wait_for_namespaces(tmp_path, dice.choice([0, 1, 2, 3]))
        time.sleep(dice.uniform(0, 0.3))  # not to wait for anything: to strike at some other moment
        run.send_signal(how)
        run.wait()
        run.stdout.close()
        assert nobody_is_left(tmp_path)  # and with the processes go the namespaces and all that is in them
        assert not {"left", "right", "client", "server"} & {path.name for path in Path("/sys/class/net").iterdir()}
    again = start(tmp_path, usable)
    assert again.wait() == 0
    assert again.stdout
    again.stdout.close()


def test_an_ordinary_user_can_run_it(usable: str) -> None:
    """By way of a user namespace, where the system allows it."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can become an ordinary user, with setpriv")
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env"]
    if subprocess.run([*become, "unshare", "--user", "--map-root-user", "true"], check=False).returncode:
        pytest.skip("this system does not let ordinary users have user namespaces")
    python = python_for(become)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(["", *sys.path]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        subprocess.run([*become, python, "-c", RUN, name, usable, "30"], env=environment, check=True, timeout=120)
        assert capture.read(folder / "run/left.pcap")


def test_the_probe_names_cause_and_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(**obstacles: str) -> None:
        way = netns._WayIn((), "as root", {"network": "", "netem": "", "nfqueue": "", "off": "", **obstacles})
        monkeypatch.setattr(netns, "_way_in", lambda: way)

    world = find("netns")
    found()
    assert world.probe(scenario()).impairment == "netem"
    assert world.probe(scenario(Link(mtu=1000))).impairment == "nfqueue"
    assert world.probe(scenario(), "off").ok
    found(netem="Specified qdisc kind is unknown")
    assert world.probe(scenario()).impairment == "nfqueue"
    probe = world.probe(scenario(), "netem")
    assert not probe.ok
    assert "qdisc kind" in probe.reason
    assert "sch_netem" in probe.remedy
    found(netem="no", nfqueue="no such queue")
    assert "no such queue" in world.probe(scenario()).reason
    assert "nfnetlink_queue" in world.probe(scenario()).remedy
    found(network="unshare failed: Operation not permitted")
    assert "Operation not permitted" in world.probe(scenario()).reason
    assert "sudo" in world.probe(scenario()).remedy
    found()
    assert "netem, nfqueue, off" in world.probe(scenario(), "rain").remedy


def test_without_unshare_the_probe_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    netns._way_in.cache_clear()
    assert "util-linux" in netns.probe(scenario()).reason
    netns._way_in.cache_clear()


def test_without_a_way_in_nothing_is_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Least of all in the machine's own namespace."""
    monkeypatch.setattr(netns, "_way_in", lambda: netns._WayIn((), "", {"network": "as root: not allowed"}))
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **kwargs: pytest.fail("it was started"))
    with pytest.raises(WorldError, match="as root: not allowed"):
        netns.run(order(tmp_path, scenario(), "off"), print)


@pytest.fixture
def usable() -> str:
    """An impairment that this machine has."""
    probe = netns.probe(scenario())
    if not probe.ok:
        pytest.skip(probe.reason)
    return probe.impairment


def start(folder: Path, impairment: str, requests: int = 30) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    command = [sys.executable, "-c", RUN, str(folder), impairment, str(requests)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)


def wait_for_namespaces(folder: Path, number: int) -> None:
    """Until so many network namespaces are there, or it takes too long."""
    deadline = time.monotonic() + 60
    while len(namespaces(folder)) < number and time.monotonic() < deadline:
        time.sleep(0.005)


def namespaces(folder: Path) -> set[int]:
    """The network namespaces, other than ours, of the processes that have the folder in their command line."""
    found = set()
    for process in processes(folder):
        try:
            found.add((process / "ns/net").stat().st_ino)
        except OSError:
            continue
    return found - {Path("/proc/self/ns/net").stat().st_ino}


def python_for(become: list[str]) -> str:
    """A Python of our version that may be run by whom ``become`` makes us."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        ask = [*become, candidate, "-c", "import sys; print(*sys.version_info[:2])"]
        tried = subprocess.run(ask, capture_output=True, check=False, text=True)
        if tried.stdout.split() == [str(part) for part in sys.version_info[:2]]:
            return candidate
    pytest.skip("there is no Python of this version that an ordinary user may run")


def packets(folder: Path, side: str) -> list[bytes]:
    """A capture's packets, from the IP header on."""
    with (folder / f"run/{side}.pcap").open("rb") as file, RawPcapReader(file) as reader:
        return [packet[14:] for packet, _ in reader]


def unchanging(packet: bytes) -> bytes:
    """A packet without what a router changes: the time to live and the header's checksum."""
    return packet[:8] + packet[9:10] + packet[12:]


def internet_sum(data: bytes) -> int:
    """RFC 1071; over data with a right checksum it is 0xFFFF."""
    total = sum(int.from_bytes(data[place : place + 2].ljust(2, b"\0"), "big") for place in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pseudo_header(ip: bytes) -> bytes:
    """RFC 9293, section 3.1."""
    return ip[12:20] + b"\0\6" + (int.from_bytes(ip[2:4], "big") - 20).to_bytes(2, "big")
