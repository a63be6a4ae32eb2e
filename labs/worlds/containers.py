"""The inside of the `compose` world: what each of its three containers runs. ``docker-compose.yml`` says how they are wired.

    client  10.213.1.2 --[left]-- 10.213.1.3  router  10.213.2.3 --[right]-- 10.213.2.2  server

The client's container begins the runs (see `labs.meeting`) and, if it was asked for a verdict, judges them. In the other two
are the *peers*: each waits for a run, plays its role in it, waits for the next. Rules:

1. The way to the other network leads through the router. An engine gives every container a way out through the host, and
   none from one network into another; so the two ends are told. Each also learns the router's address on the link layer
   for good: a question about it in mid-run (ARP) would meet the bent link.
2. Nobody stays behind. Whoever is there holds a lock, which the kernel takes away from the dead (as with the leash of a
   meeting). Peers go home when the client has gone, or has not come within `PATIENCE`. The client leaves last, so that the
   next ``docker compose up`` never meets a peer about to go.
3. Root for the network only. Before the lab begins, the client becomes the owner of the folder for the results. So these
   belong to whoever typed the command, whatever happens on the way. (In a rootless engine, its user looks like root.)
4. The first process of a container ignores SIGTERM unless it says otherwise; its engine would wait ten seconds, then kill.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, cast

from pyroute2 import IPRoute

from labs.impairment.choice import choose, obstacles
from labs.interfaces import by_address, segments_stay_segments
from labs.meeting import Order, meetings
from labs.results import Verdict
from labs.scenario import Scenario
from labs.worlds import Probe, Progress, Run, WorldError, carry_out, convene, roles

MEETING = Path("/meeting")  # the folder that all three share; in memory
OUT = Path("out")  # where results go; a folder of the host
_PEERS = {"router", "server"}
READY = Path("/run/sleepy.ready")  # what the engine's health check looks for
PATIENCE = 120.0  # seconds that peers wait for the client to come
_FAREWELL = 5.0  # seconds that the client waits for the peers to go
_POLL = 0.1  # seconds between two looks, between runs
_NEIGHBOUR = 10.0  # seconds to find the router on the link layer
_FINDINGS = MEETING / "obstacles.json"  # the router's


@dataclass(frozen=True, slots=True)
class Addresses:
    """Who is where.

    Attributes:
        client: The client's address.
        left: The router's address on the client's side.
        right: The router's address on the server's side.
        server: The server's address.
    """

    client: str
    left: str
    right: str
    server: str

    @classmethod
    def here(cls) -> "Addresses":
        """As ``docker-compose.yml`` gave them to this container."""
        return cls(**{name: os.environ[f"SLEEPY_{name.upper()}_ADDRESS"] for name in cls.__slots__})


def inside() -> bool:
    """Whether we are in one of the containers."""
    return "SLEEPY_CLIENT_ADDRESS" in os.environ


def main() -> int:
    """Play the part named on the command line."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # rule 4
    try:
        match sys.argv[1:]:
            case ["client", *arguments]:
                return client(lambda: judge(arguments))
            case ["collect", order]:
                return client(lambda: collect(Order.from_json(order)))
            case ["findings"]:
                print(json.dumps(findings()))
                return 0
            case ["router" | "server" as role]:
                return peer(role)
            case _:
                print("this module is started by docker-compose.yml", file=sys.stderr)
                return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGTERM


def client(work: Callable[[], int]) -> int:
    """Be the client's container: do the work as the owner of `OUT`, then see the peers off.

    Returns:
        The work's exit code.
    """
    addresses = Addresses.here()
    _connect(addresses.client, addresses.server, addresses.left)
    with _presence("client"):
        _become_owner_of(OUT)
        code = work()
    _wait(lambda: not any(map(_is_present, _PEERS)), _FAREWELL)  # rule 2
    return code


def judge(arguments: list[str]) -> int:
    """Run a lab as ``python -m labs run`` does anywhere, in this world; the verdict is the last line."""
    command = roles.python("labs", "run", "--world", "compose", *arguments)
    with subprocess.Popen(command, stderr=subprocess.STDOUT) as lab:  # one stream, or an engine would mix up the lines
        try:
            code = lab.wait()
        except KeyboardInterrupt:
            lab.terminate()
            raise
    verdict = {verdict.exit_code: verdict for verdict in Verdict}.get(code, Verdict.NO_VERDICT)
    print(f"\n{verdict}", flush=True)
    return verdict.exit_code


def collect(order: Order) -> int:
    """Play one run and leave in `OUT` what was captured, for `labs.worlds.compose` to judge it outside.

    Standard output has a line of JSON for each step, and a last one with ``cause`` and ``remedy`` if it fails.
    """
    run = Run(order.scenario, order.seed, OUT, order.impairment, order.ports, package=order.package)
    try:
        play(run, lambda told: print(json.dumps(told), flush=True))
    except WorldError as error:
        print(json.dumps({"cause": error.cause, "remedy": error.remedy}))
        return Verdict.NO_VERDICT.exit_code
    return 0


def probe(scenario: Scenario, impairment: str | None) -> Probe:
    """What the router found it can do."""
    found: Mapping[str, str] = json.loads(_FINDINGS.read_text(encoding="utf-8"))
    return choose(scenario, impairment, found, "containers")


def play(run: Run, progress: Progress) -> None:
    """Play a run, from the client's container.

    Raises:
        WorldError: It could not be played to its end.
    """
    addresses = Addresses.here()
    listen = {contender: (addresses.server, port) for contender, port in run.ports.items()}
    order = run.order(left=addresses.left, right=addresses.right, listen=listen)
    base = next(base for number in count(1) if not (base := MEETING / str(number)).exists())
    log = run.folder / "client.log"
    with ExitStack() as stack:
        started: list[subprocess.Popen[bytes]] = []
        stack.callback(lambda: roles.end(*started))  # after the convener has sent it home
        convener = stack.enter_context(convene(base))
        with _writable_by_all():
            meeting = convener.call(order)
        complaints = stack.enter_context(log.open("wb"))
        client = roles.start(roles.command("client", order.package, base), subprocess.PIPE, complaints)
        started.append(client)
        roles.hear_out(meeting, {"client": client}, progress, cast("IO[bytes]", client.stdout), log, run.patience)
        carry_out(meeting.folder, run.folder)
    log.unlink()


def findings() -> Mapping[str, str]:
    """What is in the way of each impairment, here on the router."""
    addresses = Addresses.here()
    return obstacles(addresses.left, addresses.right)


def peer(role: str) -> int:
    """Be the router's or the server's container: play the role in every run, until the client goes."""
    addresses = Addresses.here()
    if role == "router":
        _FINDINGS.write_text(json.dumps(findings()), encoding="utf-8")
    else:
        _connect(addresses.server, addresses.client, addresses.right)
    with _presence(role):
        READY.touch()
        if not _wait(lambda: _is_present("client"), PATIENCE):
            print(
                f"{role}: no client within {PATIENCE:.0f} s; start the lab with: docker compose up lab-hol", flush=True
            )
            return 1
        for number in count(1):
            base = MEETING / str(number)
            while not (base / "leash").exists():
                if not _is_present("client"):
                    return 0
                time.sleep(_POLL)
            _attend(role, base)
    raise AssertionError("there are numbers enough")


def _attend(role: str, base: Path) -> None:
    """Play a role in the run called under ``base``, unless that was given up before it began."""
    (other,) = _PEERS - {role}
    for meeting in meetings(base):
        with subprocess.Popen(roles.command(role, meeting.order.package, base)) as program:
            try:
                while program.poll() is None:
                    if not _is_present(other):
                        meeting.fail(other, f"its container has ended; why may be in: docker compose logs {other}")
                    time.sleep(_POLL)
            except KeyboardInterrupt:
                program.kill()  # what it set up goes with the container
                raise
        roles.report_the_dead({role: program}, meeting)
        return


def _connect(address: str, beyond: str, router: str) -> None:
    """Make ``address``, ours, reach the address ``beyond`` the router (rule 1)."""
    with closing(IPRoute()) as ip:
        interface = by_address(ip, address)
        segments_stay_segments(interface.name)
        ip.route("replace", dst=f"{beyond}/32", gateway=router)
        if not _wait(lambda: bool(_link_address(ip, router)), _NEIGHBOUR):
            raise TimeoutError(f"the router ({router}) does not answer {address}")
        ip.neigh("replace", dst=router, lladdr=_link_address(ip, router), ifindex=interface.index, state="permanent")


def _link_address(ip: IPRoute, address: str) -> str:
    """The address on the link layer of a neighbour, once it is known; asks for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as call:
        call.sendto(b"", (address, 9))  # nobody listens; the kernel must find the neighbour all the same
    entries = ip.get_neighbours(family=socket.AF_INET, dst=address)
    return next((found for entry in entries if (found := entry.get_attr("NDA_LLADDR"))), "")


def _become_owner_of(folder: Path) -> None:
    """Rule 3."""
    owner = folder.stat()
    if owner.st_uid != os.geteuid():
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"cannot write the results' folder, which belongs to user {owner.st_uid}")


@contextmanager
def _presence(who: str) -> Generator[None]:
    """Be seen to be here (rule 2)."""
    with (MEETING / f"{who}.here").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_present(who: str) -> bool:
    try:
        with (MEETING / f"{who}.here").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def _writable_by_all() -> Generator[None]:
    """What is made meanwhile can be written by anybody: the router, root of few powers, shares it with an ordinary user."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def _wait(look: Callable[[], bool], patience: float) -> bool:
    """Wait until ``look`` is pleased; False if it is not after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while not look():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


if __name__ == "__main__":
    sys.exit(main())
