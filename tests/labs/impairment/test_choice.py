import pytest

from labs.impairment.choice import choose
from labs.scenario import Scenario
from sleepy.sim import Link

FREE = {"netem": "", "nfqueue": "", "off": ""}
NO_NETEM = {**FREE, "netem": "no such qdisc"}


def scenario(**figures: float) -> Scenario:
    return Scenario("hol", "a-test", "", Link(delay=0.01, **figures), Link(), {})


@pytest.mark.parametrize(
    ("wished", "in_the_way", "chosen"),
    [(None, FREE, "netem"), (None, NO_NETEM, "nfqueue"), ("nfqueue", FREE, "nfqueue"), ("off", NO_NETEM, "off")],
)
def test_the_best_there_is_unless_one_is_wished_for(wished, in_the_way, chosen):
    probe = choose(scenario(), wished, in_the_way, "here")
    assert probe.ok
    assert probe.impairment == chosen
    assert probe.reason == f"here, {chosen}"


def test_netem_is_passed_over_if_it_cannot_do_what_the_scenario_asks():
    probe = choose(scenario(mtu=500), None, FREE, "here")
    assert probe.impairment == "nfqueue"


def test_a_wish_is_not_replaced_by_something_else():
    probe = choose(scenario(), "netem", NO_NETEM, "here")
    assert not probe.ok
    assert "no such qdisc" in probe.reason
    assert "sch_netem" in probe.remedy


def test_if_nothing_can_be_had_it_says_what_is_in_the_way_of_each():
    probe = choose(scenario(), None, {**NO_NETEM, "nfqueue": "no queue"}, "here")
    assert not probe.ok
    assert probe.impairment == ""
    assert "no netem: no such qdisc" in probe.reason
    assert "no nfqueue: no queue" in probe.reason
    assert "nfnetlink_queue" in probe.remedy


def test_an_unknown_wish_is_answered_with_those_there_are():
    probe = choose(scenario(), "relay", FREE, "here")
    assert not probe.ok
    assert probe.remedy == "There are: netem, nfqueue, off."
