"""The firewall takes our rules, and gives them back. That they drop exactly is proved with real TCP (test_netns.py)."""

import pytest

from tests.labs.inside import inside

pytestmark = pytest.mark.netns

SET_UP = """
from labs.impairment.firewall import TABLE, Firewall
from pyroute2.nftables.main import NFTables
from sleepy.sim import Link

def tables():
    nft = NFTables(nfgen_family=2)
    found = [table.get_attr("NFTA_TABLE_NAME") for table in nft.get_tables()]
    nft.close()
    return found
"""


def test_all_rules_live_in_one_table_that_goes_when_the_context_does() -> None:
    said = inside(
        SET_UP
        + """
with Firewall() as firewall:
    firewall.drop([8001, 8002], Link(), Link(drop=[3, 5]))
    print(tables(), firewall.dropped())
print(tables())
"""
    )
    assert said.splitlines() == ["['sleepy'] 0", "[]"]


def test_a_rule_that_the_kernel_refuses_leaves_nothing_behind() -> None:
    said = inside(
        SET_UP
        + """
try:
    with Firewall() as firewall:
        firewall.queue([8001], number=1 << 15)
        firewall._rule({"attrs": [("NFTA_EXPR_NAME", "nonsense")]})
except OSError as error:
    print(error.strerror)
print(tables())
"""
    )
    assert said.splitlines() == ["nftables: ENOENT", "[]"]
