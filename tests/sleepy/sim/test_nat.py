"""`sleepy.sim.nat`: who gets which outside port, and who may answer."""

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy import sim
from sleepy.sim.nat import PORTS, Address, NatTable

INSIDE = ("192.168.1.2", 5000)
SERVER, SAME_HOST, OTHER_HOST = ("10.0.0.1", 80), ("10.0.0.1", 81), ("10.0.0.2", 80)
DEPENDENCES = list(sim.Dependence)


def table(nat: sim.Nat, timeout: float = 10.0, seed: int = 1) -> NatTable:
    return NatTable(nat, timeout, Random(seed))


@pytest.mark.parametrize(
    ("nat", "ports", "answers"),
    [
        # how many outside ports for conversations with the three; who may answer after a word to SERVER
        (sim.Nat.FULL_CONE, 1, [True, True, True]),
        (sim.Nat.RESTRICTED_CONE, 1, [True, True, False]),
        (sim.Nat.PORT_RESTRICTED_CONE, 1, [True, False, False]),
        (sim.Nat.SYMMETRIC, 3, [True, False, False]),
        (sim.Nat(mapping=sim.Dependence.ADDRESS_DEPENDENT), 2, [True, False, False]),
    ],
)
def test_the_named_types(nat: sim.Nat, ports: int, answers: list[bool]) -> None:
    """The table at the module's top, and RFC 4787's middle kind of mapping."""
    remotes = (SERVER, SAME_HOST, OTHER_HOST)
    used = table(nat)
    assert len({used.outbound(INSIDE, remote, 0.0) for remote in remotes}) == ports
    heard = table(nat)
    port = heard.outbound(INSIDE, SERVER, 0.0)
    assert port is not None
    assert [heard.inbound(port, remote, 0.0) == INSIDE for remote in remotes] == answers


def test_rule_1_sockets_inside_share_no_port_and_ports_are_drawn() -> None:
    drawn = [table(sim.Nat.FULL_CONE, seed=seed).outbound(INSIDE, SERVER, 0.0) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    nat = table(sim.Nat.FULL_CONE)
    ports = {nat.outbound(("192.168.1.2", port), SERVER, 0.0) for port in range(1000)}
    assert len(ports) == 1000
    assert ports <= set(PORTS)


def test_rule_1_when_no_port_is_free_nothing_goes_out() -> None:
    """A house of 64,512 conversations is full, and has room again when one is over."""
    nat = table(sim.Nat.SYMMETRIC)
    hosts = (("10.1.0.0", port) for port in itertools.count())
    assert all(nat.outbound(INSIDE, remote, 0.0) for remote in itertools.islice(hosts, len(PORTS)))
    assert nat.outbound(INSIDE, SERVER, 10.0) is None
    assert nat.outbound(INSIDE, SERVER, 10.1) is not None
    assert len(nat) == 1


def test_rule_3_only_what_goes_out_renews() -> None:
    nat = table(sim.Nat.PORT_RESTRICTED_CONE)
    port = nat.outbound(INSIDE, SERVER, 0.0)
    assert port is not None
    assert nat.inbound(port, SERVER, 10.0) == INSIDE
    assert nat.inbound(port, SERVER, 10.1) is None
    assert nat.outbound(INSIDE, SERVER, 20.0) != port  # rule 4: that port was free for others
    port = nat.outbound(INSIDE, SERVER, 25.0)
    assert port is not None
    assert nat.inbound(port, SERVER, 35.0) == INSIDE


def test_rule_3_each_of_those_who_may_answer_has_his_own_time() -> None:
    """The mapping lives on, and yet the one that was not spoken to lately may not answer."""
    nat = table(sim.Nat.PORT_RESTRICTED_CONE)
    port = nat.outbound(INSIDE, SERVER, 0.0)
    assert nat.outbound(INSIDE, OTHER_HOST, 9.0) == port
    assert port is not None
    assert nat.inbound(port, SERVER, 11.0) is None
    assert nat.inbound(port, OTHER_HOST, 11.0) == INSIDE


@given(
    st.sampled_from(DEPENDENCES),
    st.sampled_from(DEPENDENCES),
    st.lists(
        st.tuples(
            st.floats(0, 6),
            st.booleans(),
            st.sampled_from([1, 2]),
            st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2"]), st.sampled_from([80, 81])),
        ),
        max_size=40,
    ),
)
def test_it_agrees_with_its_own_definition(
    mapping: sim.Dependence, filtering: sim.Dependence, steps: list[tuple[float, bool, int, Address]]
) -> None:
    """All nine pairs, against the log of all that went out: it may come in what answers something recent."""

    def same(dependence: sim.Dependence, one: Address, other: Address) -> bool:
        if dependence is sim.Dependence.ENDPOINT_INDEPENDENT:
            return True
        return one[0] == other[0] if dependence is sim.Dependence.ADDRESS_DEPENDENT else one == other

    nat = table(sim.Nat(mapping=mapping, filtering=filtering))
    now = 0.0
    sent: list[tuple[float, Address, Address, int]] = []
    for pause, out, number, remote in steps:
        now += pause
        inside = ("192.168.1.2", number)
        recent = [entry for entry in sent if now - entry[0] <= 10.0]
        if out:
            expected = {port for _, who, to, port in recent if who == inside and same(mapping, to, remote)}
            port = nat.outbound(inside, remote, now)
            assert port is not None
            assert expected <= {port}
            if not expected:
                assert port not in {entry[3] for entry in recent}
            sent.append((now, inside, remote, port))
        else:
            for port in {entry[3] for entry in sent}:
                allowed = {who for _, who, to, used in recent if used == port and same(filtering, to, remote)}
                assert nat.inbound(port, remote, now) == next(iter(allowed), None)
    assert len(nat) <= len({entry[3] for entry in sent})


def test_its_memory_is_bounded_by_what_is_recent() -> None:
    """A mapping that lives for ever forgets those whom it has not spoken to lately, and a table its dead mappings."""
    nat = table(sim.Nat.PORT_RESTRICTED_CONE)
    for second in range(10_000):
        nat.outbound(INSIDE, ("10.0.0.1", second), float(second))
    (mapping,) = nat._by_port.values()
    assert len(mapping.sent) == 11
    nat = table(sim.Nat.SYMMETRIC)
    for second in range(10_000):
        nat.outbound(INSIDE, ("10.0.0.1", second), float(second))
    assert len(nat) == len(nat._by_inside) == 11


@pytest.mark.parametrize("option", ["timeout", "tcp_timeout"])
def test_impossible_figures_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} is 0"):
        sim.Nat(**{option: 0})


@pytest.mark.parametrize("option", ["mapping", "filtering"])
def test_a_dependence_is_one_of_three(option: str) -> None:
    """Its text will not do: it would end the run when the first packet comes."""
    with pytest.raises(ValueError, match=rf"{option} is 'x', but it is one of sim\.Dependence\.ENDPOINT_INDEPENDENT, "):
        sim.Nat(**{option: "x"})


def test_rule_4_who_was_spoken_to_again_counts_as_the_last() -> None:
    """The mapping is not dead because somebody else, spoken to once in between, may not answer any more."""
    nat = table(sim.Nat.PORT_RESTRICTED_CONE)
    for second, remote in ((0.0, SERVER), (1.0, OTHER_HOST), (9.0, SERVER)):
        port = nat.outbound(INSIDE, remote, second)
    nat.outbound(("192.168.1.3", 5000), SERVER, 12.0)
    assert port is not None
    assert nat.inbound(port, SERVER, 12.0) == INSIDE


def test_rule_4_a_mapping_in_use_does_not_keep_dead_ones_alive() -> None:
    nat = table(sim.Nat.SYMMETRIC)
    for second in range(1000):
        nat.outbound(INSIDE, SERVER, float(second))
        nat.outbound(INSIDE, ("10.0.0.3", second), float(second))
    assert len(nat) == 12
