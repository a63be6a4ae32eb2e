"""Whether the `netns` world can be had: a trial in namespaces that are gone a moment later.

Run inside them by `labs.worlds.netns`, and nowhere else: what it builds goes with them, and nobody else would tear it down.
Apart from `labs.worlds.namespaces`, because the trial needs all impairments, and what builds the network should start
quickly.
"""

import json
import socket
import sys
from contextlib import closing
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from labs.impairment.choice import obstacles
from labs.worlds.namespaces import LEFT, RIGHT, own_namespace, set_up


def main() -> int:
    """Try everything once; print as JSON what is in the way of what.

    On the command line stands the network namespace of who started it, which must be another than ours.
    """
    outside = sys.argv[1:]
    if len(outside) != 1 or not outside[0].startswith("net:[") or outside == [own_namespace()]:
        print("this module is started by labs.worlds.netns, in namespaces of their own", file=sys.stderr)
        return 2
    findings = {"network": _network_obstacle()}
    if not findings["network"]:
        findings |= obstacles(LEFT.router, RIGHT.router)
    print(json.dumps(findings))
    return 0


def _network_obstacle() -> str:
    """What is in the way of two interfaces, connected with each other, and a capture; empty if nothing is."""
    try:
        with closing(IPRoute()) as ip:
            ip.link("add", ifname=LEFT.interface, kind="veth", peer={"ifname": RIGHT.interface})
            for side in (LEFT, RIGHT):
                set_up(ip, ip.link_lookup(ifname=side.interface)[0], side.interface, side.router)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()  # what a capture needs
    except OSError as error:
        return error.strerror or str(error)
    except NetlinkError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main())
