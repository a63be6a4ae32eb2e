"""`sleepy.sim.network`: hosts, routes, names, cuts; rules by their number."""

import asyncio
import math
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepy import sim
from tests.sleepy.sim.hosts import Inbox, arrivals, line, listen, speak

if TYPE_CHECKING:
    from sleepy.trace import Event


def test_packets_take_as_long_as_the_wires_on_their_way() -> None:
    assert arrivals(line("client", "r1", "r2", "server"), [0, 1]) == [(0.03, b"0"), (1.03, b"1")]


def test_each_direction_has_its_own_figures() -> None:
    network = sim.Network()
    network.link("server", "client", sim.Link(delay=9), back=sim.Link(delay=0.5))
    assert arrivals(network, [0]) == [(0.5, b"0")]


def test_rule_1_the_way_with_the_fewest_wires_and_then_the_first() -> None:
    network = sim.Network()
    for middle, delay in (("long", 0.001), ("first", 0.02), ("second", 0.03)):
        network.link("client", middle, sim.Link(delay=delay))
    network.link("long", "longer")
    for middle in ("longer", "second", "first"):
        network.link(middle, "server")
    assert arrivals(network, [0]) == [(0.02, b"0")]


def test_rule_1_a_route_may_be_given_for_one_direction() -> None:
    network = sim.Network()
    for middle, delay in (("near", 0.01), ("far", 0.3)):
        network.link("client", middle, sim.Link(delay=delay))
        network.link(middle, "server")
    network.route("client", "server", via="far")
    network.link("unrelated", "near")  # a new link does not undo it
    assert arrivals(network, [0]) == [(0.3, b"0")]


def test_rule_1_a_new_link_is_found_in_the_middle_of_a_run() -> None:
    network, inbox = line("client", "elsewhere"), Inbox()

    async def main() -> None:
        await network.host("server").run(listen(inbox))
        sending = network.host("client").start(speak("server", [0, 1]))
        await asyncio.sleep(0.5)
        network.link("elsewhere", "server", sim.Link(delay=0.01))
        await sending
        await asyncio.sleep(1)

    sim.run(main(), network)
    assert inbox.got == [(1.02, b"1")]


def test_rule_2_an_address_of_nobody_swallows_packets() -> None:
    assert arrivals(line("client", "server"), [0], to="192.0.2.99") == []


def test_rule_2_a_host_without_a_way_is_unreachable() -> None:
    events: list[Event] = []
    network = line("client", "elsewhere", trace=events.append)
    network.host("server")
    inbox = Inbox()

    async def main() -> None:
        await network.host("client").run(speak("server", [1.0], inbox))

    sim.run(main(), network)
    assert [type(error) for error in inbox.errors] == [OSError]
    assert "client has no way to 10.0.0.3" in str(inbox.errors[0])
    assert [(event.time, event.name, event.fields["host"]) for event in events] == [(1.0, "host.unreachable", "client")]


def test_packets_that_go_in_circles_die() -> None:
    network = line("client", "r1", "r2", delay=0.001)
    network.link("r2", "server")
    network.route("r2", "server", via="r1")
    assert arrivals(network, [0]) == []
    assert network.wire("r1", "r2").carrier.packets == 32  # each passing takes one of 64 lives


def test_rule_4_figures_change_at_their_time() -> None:
    network = line("client", "server")
    network.change("client", "server", sim.Link(delay=2), at=1)
    assert arrivals(network, [0.5, 1.5]) == [(0.51, b"0"), (3.5, b"1")]


def test_rule_4_changes_may_be_made_from_within_the_run() -> None:
    network, inbox = line("client", "server"), Inbox()

    async def main() -> None:
        await network.host("server").run(listen(inbox))
        sending = network.host("client").start(speak("server", [0, 1, 2, 3]))
        await asyncio.sleep(0.5)
        network.cut("client", "server")
        network.change("client", "server", sim.Link(delay=0.25), at=2.5)
        network.wire("client", "server").heal()
        await asyncio.sleep(1)
        with pytest.raises(ValueError, match=r"at 1 s is past: it is 1.5 s now"):
            network.cut("client", "server", at=1)
        await sending
        await asyncio.sleep(1)

    sim.run(main(), network)
    assert inbox.got == [(0.01, b"0"), (1.01, b"1"), (2.01, b"2"), (3.25, b"3")]


LINKS = st.builds(
    sim.Link,
    delay=st.just(0.05),
    jitter=st.floats(0, 0.05),
    ordered=st.booleans(),
    loss=st.floats(0, 0.5),
    duplicate=st.floats(0, 0.5),
    reorder=st.floats(0, 0.5),
    corrupt=st.floats(0, 0.5),
)


def run_and_trace(seed: int, link: sim.Link, bystanders: int = 0) -> list[str]:
    events: list[Event] = []
    network = sim.Network(seed, events.append)
    for number in range(bystanders):
        network.link(f"bystander {number}", "router")
    network.link("client", "router", link)
    network.link("router", "server", link)
    arrivals(network, [i * 0.01 for i in range(50)])
    return [event.to_json() for event in events]


@settings(max_examples=20)
@given(seed=st.integers(), link=LINKS)
def test_rule_5_one_seed_one_trace(seed: int, link: sim.Link) -> None:
    assert run_and_trace(seed, link) == run_and_trace(seed, link)


@settings(max_examples=20)
@given(seed=st.integers(), link=LINKS)
def test_rule_5_bystanders_change_nothing(seed: int, link: sim.Link) -> None:
    assert run_and_trace(seed, link) == run_and_trace(seed, link, bystanders=3)


def test_corrupt_packets_fail_their_checksum_at_the_destination() -> None:
    network = sim.Network()
    network.link("client", "server", sim.Link(corrupt=1.0))
    assert arrivals(network, [0]) == []


def test_a_drop_list_beyond_the_run_is_reported() -> None:
    events: list[Event] = []
    network = sim.Network(0, events.append)
    network.link("client", "server", sim.Link(drop=[2, 3, 9]), back=sim.Link())
    assert [data for _, data in arrivals(network, [0, 1, 2])] == [b"0"]
    assert [(e.name, e.fields["index"], e.fields.get("cause")) for e in events if e.name != "link.held"] == [
        ("link.lost", 2, "drop"),
        ("link.lost", 3, "drop"),
        ("link.unreached", 9, None),
    ]


@pytest.mark.parametrize(
    ("build", "advice"),
    [
        (lambda n: n.link("a", "a"), "both of its ends are 'a'"),
        (lambda n: (n.link("a", "b"), n.link("b", "a")), "linked already: use change()"),
        (lambda n: n.cut("a", "b"), r"not linked: link\('a', 'b', Link\(...\)\)"),
        (lambda n: (n.link("a", "b"), n.cut("a", "b", at=5, until=3)), "from 5 s until 3 s ends before it begins"),
        (lambda n: (n.link("a", "b"), n.cut("a", "b", until=-1)), "from 0.0 s until -1 s ends before it begins"),
        (lambda n: (n.link("a", "b"), n.cut("a", "b", until=math.nan)), "until nan s ends before it begins"),
        (lambda n: (n.link("a", "b"), n.cut("a", "b", until=math.inf)), "inf s is no time .* leave out until"),
        (lambda n: (n.link("a", "b"), n.change("a", "b", sim.Link(), at=math.nan)), "nan s is no time"),
        (lambda n: (n.link("a", "b"), n.change("a", "b", sim.Link(), at=-1)), "at -1 s is past"),
        (lambda n: n.route("a", "b", via="c"), "'a' and 'c' are not linked"),
        (lambda n: n.host("a", "10.0.0"), "no IPv4 address"),
        (lambda n: n.host("a", "127.0.0.1"), "taken by every host"),
        (lambda n: (n.host("a"), n.host("b", "10.0.0.1")), "10.0.0.1 is taken by <Host a"),
        (lambda n: (n.host("a"), n.host("a", "10.0.0.9")), "'a' has the address 10.0.0.1"),
    ],
)
def test_impossible_networks_are_refused_with_advice(build: Callable[[sim.Network], object], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        build(sim.Network())


def test_addresses_may_be_chosen_and_are_never_given_twice() -> None:
    network = sim.Network()
    network.host("a", "10.0.0.2")
    assert [network.host(name).address for name in ("b", "c", "a")] == ["10.0.0.3", "10.0.0.4", "10.0.0.2"]


PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from test_network import run_and_trace, sim
print("\\n".join(run_and_trace(7, sim.Link(delay=0.1, jitter=0.05, loss=0.2, duplicate=0.1, reorder=0.1, corrupt=0.1))))
"""


def test_rule_5_holds_in_any_process_and_under_any_hash_seed(request: pytest.FixtureRequest) -> None:
    program = PROGRAM.format(tests=str(request.path.parent))
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(request.config.rootpath)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) > 50


@pytest.mark.parametrize("name", ["", "localhost", "10.0.0.1", "192.168.0.5"])
def test_a_name_that_would_mean_another_host_is_refused(name: str) -> None:
    """Who thought to choose an address would have got another one; whoever has that one could not be reached."""
    with pytest.raises(ValueError, match=r"no name for a host; for an address of your choice"):
        sim.Network().host(name)


@pytest.mark.parametrize("wrong", [0.05, {}, "SYMMETRIC"])
def test_figures_that_are_none_are_refused_at_once(wrong: Any) -> None:
    network = sim.Network()
    with pytest.raises(TypeError, match=r"a sim\.Link is needed here, not"):
        network.link("a", "b", wrong)
    with pytest.raises(TypeError, match=r"a sim\.Link is needed here, not"):
        network.link("a", "b", back=wrong)
    network.link("a", "b")
    with pytest.raises(TypeError, match=r"a sim\.Link is needed here, not"):
        network.change("a", "b", wrong, at=1)
    with pytest.raises(TypeError, match=r"a sim\.Nat is needed here, not"):
        network.nat("a", wrong, outside="b")
