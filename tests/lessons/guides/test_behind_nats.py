"""The guide's example: two peers behind routers. The guide shows these very lines."""

import asyncio

import pytest

from sleepy import sim
from sleepy.udp.nat.introductions import Introducer
from sleepy.udp.nat.reachable_node import open_reachable_node
from sleepy.udp.nat.relay import Relay
from sleepy.udp.rendezvous import open_rendezvous
from sleepy.udp.security.identity import Identity
from tests.lessons.conftest import ROOT

# --8<-- [start:peers]
RENDEZVOUS = ("rendezvous", 9470)
SERVER, ALICE, BOB = Identity.generate(), Identity.generate(), Identity.generate()


async def bob() -> bytes:
    async with open_reachable_node(rendezvous=RENDEZVOUS, rendezvous_key=SERVER.public_key, identity=BOB) as node:
        peer = await node.accept()  # whoever reaches us
        message = await peer.receive()
        await peer.send(b"hello " + message)
        await peer.wait_closed()
        return message


async def alice() -> tuple[bytes, tuple[str, int]]:
    async with open_reachable_node(rendezvous=RENDEZVOUS, rendezvous_key=SERVER.public_key, identity=ALICE) as node:
        peer = await node.reach(BOB.public_key)
        await peer.send(b"alice")
        answer = await peer.receive()
        await peer.close()
        return answer, peer.address


# --8<-- [end:peers]


# --8<-- [start:network]
def two_houses(network: sim.Network, of_alice: sim.Nat, of_bob: sim.Nat) -> None:
    """Alice and Bob at home, and a server on the internet that both can reach."""
    line = sim.Link(delay=0.02)
    network.link("internet", "rendezvous", line)
    for number, (name, nat) in enumerate({"alice": of_alice, "bob": of_bob}.items()):
        network.host(name, f"192.168.{number}.2")
        network.link(name, f"{name}'s router", line)
        network.link(f"{name}'s router", "internet", line)
        network.nat(f"{name}'s router", nat, outside="internet")


# --8<-- [end:network]
async def rendezvous() -> None:
    def introducer(now: float) -> Introducer:
        return Introducer(SERVER, now=now, relay=Relay(now=now))

    async with open_rendezvous(("0.0.0.0", 9470), introducer):
        await asyncio.sleep(60)


async def meet(network: sim.Network) -> tuple[str, int]:
    network.host("rendezvous").start(rendezvous())
    waiting = network.host("bob").start(bob())
    await asyncio.sleep(1)  # until Bob is registered
    answer, address = await network.host("alice").run(alice())
    assert (answer, await waiting) == (b"hello alice", b"alice")
    return address


# --8<-- [start:meet]
def test_a_symmetric_nat_and_a_restricted_cone(network: sim.Network) -> None:
    two_houses(network, sim.Nat.SYMMETRIC, sim.Nat.RESTRICTED_CONE)
    host, _ = sim.run(meet(network), network)
    assert host == network.host("bob's router").address  # directly


# --8<-- [end:meet]
NATS = {
    "full cone": sim.Nat.FULL_CONE,
    "restricted cone": sim.Nat.RESTRICTED_CONE,
    "port-restricted cone": sim.Nat.PORT_RESTRICTED_CONE,
    "symmetric": sim.Nat.SYMMETRIC,
}


def table() -> list[tuple[str, str, str]]:
    """The guide's table: whose routers, and which way."""
    text = (ROOT / "lessons/guides/reach-a-peer-behind-a-nat.md").read_text(encoding="utf-8")
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    (_, *columns), _, *body = rows
    return [(row[0], column, way) for row in body for column, way in zip(columns, row[1:], strict=True)]


@pytest.mark.parametrize(("one", "other", "way"), table())
def test_the_guides_table(one: str, other: str, way: str, network: sim.Network) -> None:
    two_houses(network, NATS[one], NATS[other])
    host, _ = sim.run(meet(network), network)
    assert host.startswith("relay-") is (way == "relay")
    assert way in {"relay", "direct"}


def test_the_guides_table_has_every_pair() -> None:
    assert {(one, other) for one, other, _ in table()} == {(one, other) for one in NATS for other in NATS}
