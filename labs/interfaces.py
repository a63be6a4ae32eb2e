"""Network interfaces, by address; and how to make a segment on the wire be a segment.

An interface's name and order depend on who made it; its address is ours to choose. So a lab finds interfaces by address.

TCP likes to hand the interface far more than one segment at a time, to be cut up as late as possible (TSO, GSO), and the
receiving side glues segments together again (GRO). On a virtual wire nobody ever cuts: a capture would show giants, and a
link that loses a "packet" would lose forty. With the offloads off, what is captured is what TCP meant, checksums included.
"""

from contextlib import closing, suppress
from dataclasses import dataclass

from pyroute2 import IPRoute
from pyroute2.ethtool.ioctl import IoctlEthtool, NotSupportedError

_OFFLOADS = (
    "tx-checksumming",
    "tcp-segmentation-offload",
    "generic-segmentation-offload",
    "generic-receive-offload",
)


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface of this namespace."""

    index: int
    name: str


def by_address(ip: IPRoute, address: str) -> Interface:
    """The interface that has ``address``.

    Raises:
        LookupError: There is none; the message lists the addresses there are.
    """
    here = {message.get_attr("IFA_ADDRESS"): message["index"] for message in ip.get_addr(family=2)}
    if address not in here:
        raise LookupError(f"no interface here has the address {address}; there are: {', '.join(here)}")
    (link,) = ip.get_links(here[address])
    return Interface(here[address], link.get_attr("IFLA_IFNAME"))


def segments_stay_segments(name: str) -> None:
    """Switch the offloads of an interface off; what it does not have need not be switched off.

    Raises:
        OSError: No privilege (CAP_NET_ADMIN).
    """
    with closing(IoctlEthtool(name)) as tool:
        for offload in _OFFLOADS:
            with suppress(NotSupportedError):
                tool.set_offload_flag(offload, data=False)
