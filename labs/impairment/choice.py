"""Which impairment can be had, and which to take: netem if the kernel has it and it can do what the scenario asks.

What can be had is found out by trying it, on the very interfaces that are to be bent, and undoing it at once.
"""

import errno
from collections.abc import Mapping
from contextlib import AbstractContextManager

from pyroute2.netlink.exceptions import NetlinkError

from labs.impairment.netem import Netem, settings
from labs.impairment.nfqueue import NfQueue
from labs.scenario import Scenario
from labs.worlds import Probe
from sleepy.sim import Link

_REMEDIES = {
    "netem": "sch_netem is in linux-modules-extra-$(uname -r) (Ubuntu), kernel-modules-extra (Fedora, RHEL), "
    "linux-image-amd64 (Debian)",
    "nfqueue": "It needs the kernel modules nf_tables, nfnetlink_queue and nft_queue (or nft_compat and xt_NFQUEUE)",
}


def obstacles(left: str, right: str) -> dict[str, str]:
    """What is in the way of each impairment on this router; empty texts where nothing is.

    Args:
        left: The router's address on the client's side.
        right: The router's address on the server's side.
    """
    delay, drop = Link(delay=0.01), Link(drop=[1])
    return {
        "netem": _obstacle(Netem(delay, drop, [1], left, right)),
        "nfqueue": _obstacle(NfQueue(delay, drop, [1], seed=0)),
        "off": "",
    }


def choose(scenario: Scenario, wished: str | None, in_the_way: Mapping[str, str], where: str) -> Probe:
    """Take the best impairment there is.

    Args:
        scenario: What it has to do.
        wished: The only one that will do; None for the best.
        in_the_way: What `obstacles` found.
        where: The place, for the probe's reason.
    """
    found = {**in_the_way, "netem": _unsuited(scenario) or in_the_way["netem"]}
    names = [wished] if wished else ["netem", "nfqueue"]
    if names[0] not in found:
        return Probe(
            ok=False, impairment="", reason=f"no impairment {wished!r}", remedy=f"There are: {', '.join(found)}."
        )
    for name in names:
        if not found[name]:
            return Probe(ok=True, impairment=name, reason=f"{where}, {name}")
    reason = "; ".join(f"no {name}: {found[name]}" for name in names)
    return Probe(ok=False, impairment="", reason=reason, remedy=_REMEDIES[names[-1]])


def _obstacle(impairment: AbstractContextManager[object]) -> str:
    try:
        with impairment:
            return ""
    except OSError as error:
        return error.strerror or str(error)
    except NetlinkError as error:
        code, text = error.args[:2]
        return f"the kernel says: {text} ({errno.errorcode.get(code, code)})"


def _unsuited(scenario: Scenario) -> str:
    """Which of the scenario's figures netem cannot do; empty if it can do them all."""
    try:
        for link in (scenario.to_server, scenario.to_client):
            settings(link)
    except ValueError as error:
        return str(error)
    return ""
