"""The kernel's own bent link: netem, on the way out of both router interfaces.

netem delays what an interface *sends*. One direction of the link is therefore the qdisc of the interface on the far side:
what leaves to the right is the link to the server, what leaves to the left the link to the client. It cannot lose chosen
packets; that is the firewall's part, before the qdisc.

Where netem and `Link` differ:

1. netem reorders whenever there is jitter, unless there is a rate: with a rate, each packet follows the one before it. So
   ordered jitter gets a rate so high that it does not count; unordered jitter with a rate cannot be had.
2. netem's queue is counted in packets, those on the wire included. `Link.queue` is counted in bytes, the wire apart. The
   limit is made for packets of full size; without a queue in the scenario it is out of reach.
3. Chance is drawn by the kernel: it does not repeat itself with the seed. Where a verdict depends on which packet is
   lost, use a drop list.
4. Bursts and an MTU of the link's own are not done.
"""

import math
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from types import TracebackType
from typing import Any, Self

from pyroute2 import IPRoute
from pyroute2.netlink.rtnl import RTM_NEWQDISC, TC_H_ROOT
from pyroute2.netlink.rtnl.tcmsg import tcmsg
from pyroute2.netlink.rtnl.tcmsg.sched_netem import get_parameters

from labs.impairment import netlink
from labs.impairment.firewall import Firewall
from labs.interfaces import by_address
from sleepy.sim import Link

_FRAME = 1514  # bytes: a full Ethernet frame, which is what netem counts
_NO_LIMIT = 100_000  # packets
_HANDLE = 1 << 16  # 1:0, as good a name for a qdisc as any
_NO_RATE = 2**32 - 1  # bytes per second: the most a 32-bit rate can say


class Netem:
    """netem on both interfaces, and the drop lists in the firewall.

    Args:
        to_server: The link from the client to the server.
        to_client: The link from the server to the client.
        ports: The server's ports.
        left: The router's address on the client's side.
        right: The router's address on the server's side.

    Raises:
        ValueError: A figure that netem cannot do (see the module's list).
    """

    def __init__(self, to_server: Link, to_client: Link, ports: Sequence[int], left: str, right: str) -> None:
        self._links = (to_server, to_client)
        self._qdiscs = {right: settings(to_server), left: settings(to_client)}
        self._ports = ports
        self._indexes: list[int] = []

    def __enter__(self) -> Self:
        """Raises: OSError: no privilege, no sch_netem, no nftables."""
        with ExitStack() as stack:
            self._firewall = stack.enter_context(Firewall())
            self._firewall.drop(self._ports, *self._links)
            self._ip = stack.enter_context(closing(IPRoute()))
            for address, figures in self._qdiscs.items():
                index = by_address(self._ip, address).index
                _put(index, figures)
                stack.callback(self._ip.tc, "del", index=index, handle=_HANDLE, root=True)
                self._indexes.append(index)
            self._undo = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def sockets(self) -> Sequence[int]:
        """None: the kernel does it all."""
        return ()

    def serve(self) -> float | None:
        """Nothing: the kernel does it all."""
        return None

    def statistics(self) -> Mapping[str, object]:
        """What the firewall dropped, and netem; ``overflows`` counts what netem dropped though nobody asked it to."""
        asked = any(link.loss or link.queue is not None for link in self._links)
        dropped = sum(
            qdisc.get_attr("TCA_STATS2").get_attr("TCA_STATS_QUEUE")["drops"]
            for index in self._indexes
            for qdisc in self._ip.get_qdiscs(index)
            if qdisc.get_attr("TCA_KIND") == "netem"
        )
        by_list = self._firewall.dropped()
        return {"dropped_by_list": by_list, "dropped_by_netem": dropped, "overflows": 0 if asked else dropped}


def _put(interface: int, figures: Mapping[str, Any]) -> None:
    """Make netem what an interface sends through.

    pyroute2 encodes it well, but sends the rate a second time as an estimator, which the kernel refuses; so we send it.
    """
    message = tcmsg()
    message["index"], message["handle"], message["parent"] = interface, _HANDLE, TC_H_ROOT
    message["attrs"] = [("TCA_KIND", "netem"), ("TCA_OPTIONS", get_parameters(figures))]
    flags = netlink.REQUEST | netlink.ACK | netlink.CREATE | netlink.REPLACE
    message["header"] = {"type": RTM_NEWQDISC, "flags": flags}
    message.encode()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        try:
            netlink.request(kernel, bytes(message.data))
        except FileNotFoundError as error:  # "Specified qdisc kind is unknown"
            raise OSError(error.errno, "this kernel has no sch_netem") from error


def settings(link: Link) -> Mapping[str, Any]:
    """A link's figures in netem's units: microseconds, per cent, bytes per second, packets.

    Raises:
        ValueError: netem cannot do it; the message says what can.
    """
    for figure in ("burst", "mtu"):
        if getattr(link, figure):
            raise ValueError(f"netem is not set up for {figure}; use the impairment nfqueue")
    if link.jitter and link.rate and not link.ordered:
        raise ValueError("netem keeps the order whenever there is a rate; use the impairment nfqueue")
    rate = link.rate / 8 if link.rate else None
    figures: dict[str, Any] = {
        "delay": round(link.delay * 1e6),
        "jitter": round(link.jitter * 1e6),
        "loss": link.loss * 100,
        "duplicate": link.duplicate * 100,
        "prob_corrupt": link.corrupt * 100,
        "limit": _NO_LIMIT,
    }
    if link.reorder:
        figures["prob_reorder"] = link.reorder * 100
    if rate and link.queue is not None:  # rule 2
        figures["limit"] = math.ceil((link.queue + rate * (link.delay + link.jitter)) / _FRAME) + 1
    if rate or (link.jitter and link.ordered):  # rule 1
        figures["rate"] = round(rate) if rate else _NO_RATE
    return figures
