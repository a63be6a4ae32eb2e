"""The inside of the `netns` world: three network namespaces that hang on processes.

    client  10.77.1.2 ---- 10.77.1.1  router  10.77.2.1 ---- 10.77.2.2  server

A network namespace needs no name: it exists as long as a process is in it. So everything hangs on one process, the *stage*,
which is the first of a process namespace of its own and lives in the router's network namespace. When the stage goes, for
whatever reason, the kernel ends every process in its process namespace, and with the last of them go the namespaces,
interfaces, rules and qdiscs. There is nothing to clean up, and nobody needed to do it.

The stage goes when its standard input ends, which is when the process that started it closes it, or dies.

Rules:

1. The interfaces are there and have their addresses before a role begins.
2. Addresses of the link layer are known to all from the start: no ARP, which would meet the link's delay too and make the
   first packet late by another round trip.
3. No IPv6: it talks by itself, and the captures should show the lab.
"""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from pyroute2 import IPRoute

from labs.interfaces import segments_stay_segments
from labs.meeting import POLL, MeetingError, meetings
from labs.worlds import roles

T = TypeVar("T")
_PATIENCE = 30.0  # seconds for an interface or a namespace to appear


class Side(NamedTuple):
    """One of the router's two sides.

    Attributes:
        role: Who is there.
        interface: The router's interface.
        router: The router's address.
        host: The address of who is there; its interface is named after its role.
    """

    role: str
    interface: str
    router: str
    host: str

    @property
    def router_mac(self) -> str:
        """The router's address on the link layer."""
        return _mac(self.router)

    @property
    def host_mac(self) -> str:
        """The address on the link layer of who is there."""
        return _mac(self.host)


LEFT = Side("client", "left", "10.77.1.1", "10.77.1.2")
RIGHT = Side("server", "right", "10.77.2.1", "10.77.2.2")
SIDES = {side.role: side for side in (LEFT, RIGHT)}


def main() -> int:
    """Play the part named on the command line."""
    match sys.argv[1:]:
        case ["stage", base]:
            return stage(Path(base))
        case ["host", role, package, base]:
            return host(SIDES[role], package, Path(base))
        case _:
            print("this module is started by labs.worlds.netns", file=sys.stderr)
            return 2


def stage(base: Path) -> int:
    """Build the network, start the roles, and stay until standard input ends."""
    meeting = next(meetings(base), None)
    if meeting is None:
        return 1  # whoever started us is dead already
    package = meeting.order.package
    # A packet held too long in user space is a wrong measurement, so root's roles go first. Not with netem: the kernel's own
    # threads release its packets, and would have to wait for us.
    if meeting.order.impairment == "nfqueue":
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        with meeting.attend("router"), closing(IPRoute()) as ip:
            for side in (LEFT, RIGHT):
                host = ["unshare", "--net", *roles.python(__spec__.name, "host", side.role, package, base)]
                started[side.role] = subprocess.Popen(host)
                _connect(ip, side, started[side.role].pid)
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            started["router"] = subprocess.Popen(roles.command("router", package, base))
    except MeetingError:
        return 1
    while not select.select([sys.stdin], [], [], POLL)[0]:
        roles.report_the_dead(started, meeting)
    return 0  # and with us goes everything


def host(side: Side, package: str, base: Path) -> int:
    """Be client or server: wait for the interface, set it up, and become the role."""
    with closing(IPRoute()) as ip:
        (index,) = _wait(lambda: ip.link_lookup(ifname=side.role), f"the interface {side.role}")
        set_up(ip, index, side.role, side.host)
        ip.neigh("add", dst=side.router, lladdr=side.router_mac, ifindex=index, state="permanent")
        ip.route("add", dst="default", gateway=side.router)
    program = roles.command(side.role, package, base)
    os.execv(program[0], program)  # noqa: S606 - no shell is what we want


def own_namespace() -> str:
    """The network namespace of this process, as /proc tells it."""
    return str(Path("/proc/self/ns/net").readlink())


def _connect(ip: IPRoute, side: Side, pid: int) -> None:
    """Lay a cable from the router to a process that is about to be in a network namespace of its own."""
    ours = Path(own_namespace())
    _wait(lambda: Path(f"/proc/{pid}/ns/net").readlink() != ours, f"the {side.role}'s network namespace")
    peer = {"ifname": side.role, "address": side.host_mac, "net_ns_pid": pid}
    ip.link("add", ifname=side.interface, kind="veth", address=side.router_mac, peer=peer)
    (index,) = ip.link_lookup(ifname=side.interface)
    set_up(ip, index, side.interface, side.router)
    ip.neigh("add", dst=side.host, lladdr=side.host_mac, ifindex=index, state="permanent")


def set_up(ip: IPRoute, index: int, name: str, address: str) -> None:
    """Make an interface ready for the lab."""
    with suppress(FileNotFoundError):  # rule 3; a kernel without IPv6 needs no telling
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
    ip.addr("add", index=index, address=address, prefixlen=24)
    segments_stay_segments(name)
    ip.link("set", index=index, state="up")


def _mac(address: str) -> str:
    """An address on the link layer made from one on the network layer; 02 says that nobody else has it by right."""
    return "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))


def _wait(look: Callable[[], T], what: str) -> T:
    deadline = time.monotonic() + _PATIENCE
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not appear within {_PATIENCE:.0f} s")
        time.sleep(0.005)
    return found


if __name__ == "__main__":
    sys.exit(main())
