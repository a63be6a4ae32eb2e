"""Interfaces are found by their address, and give up their offloads."""

import sys
from contextlib import closing

import pytest

from tests.labs.inside import inside

if sys.platform != "linux":
    pytest.skip("there is no netlink but on Linux", allow_module_level=True)

from pyroute2 import IPRoute

from labs.interfaces import by_address


def test_by_address() -> None:
    with closing(IPRoute()) as ip:
        assert by_address(ip, "127.0.0.1").name == "lo"
        with pytest.raises(LookupError, match=r"192\.0\.2\.7; there are: .*127\.0\.0\.1"):
            by_address(ip, "192.0.2.7")


@pytest.mark.netns
def test_offloads_are_off_afterwards() -> None:
    said = inside("""
        from pyroute2 import IPRoute
        from pyroute2.ethtool.ethtool import Ethtool
        from labs.interfaces import segments_stay_segments
        IPRoute().link("add", ifname="one", kind="veth", peer={"ifname": "other"})
        names = "tx-checksumming", "tcp-segmentation-offload", "generic-segmentation-offload", "generic-receive-offload"
        print(any(Ethtool().get_offload_flags("one")[name] for name in names))
        segments_stay_segments("one")
        print(any(Ethtool().get_offload_flags("one")[name] for name in names))
    """)
    assert said.split() == ["True", "False"]
