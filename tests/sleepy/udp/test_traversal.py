"""`sleepy.udp.traversal`, in the simulated network: who can meet whom, and by which way."""

import itertools
from typing import Any

import pytest

from sleepy import sim
from sleepy.udp.relay import Relay
from sleepy.udp.traversal_config import PeerAbsent, PeerRefused, TraversalTimeout
from tests.sleepy.udp.traversing import NATS, PORT, World, identity

# --8<-- [start:table]
DIRECT = {
    # who asks: those whom it reaches without a relay
    "open": {"open", "full cone", "restricted cone", "port-restricted cone", "symmetric"},
    "full cone": {"open", "full cone", "restricted cone", "port-restricted cone", "symmetric"},
    "restricted cone": {"open", "full cone", "restricted cone", "port-restricted cone", "symmetric"},
    "port-restricted cone": {"open", "full cone", "restricted cone", "port-restricted cone"},
    "symmetric": {"open", "full cone", "restricted cone"},
}
# --8<-- [end:table]


@pytest.mark.parametrize(("one", "other"), list(itertools.product(NATS, NATS)))
def test_every_pair_of_nats(one: str, other: str) -> None:
    """The table of `sleepy.udp.punching`: who meets directly, and who by the server's relay; never one for the other."""
    world = World({"alice": one, "bob": other})

    async def main() -> Any:
        await world.serve(relay=lambda now: Relay(now=now))
        alice, bob = await world.peer("alice"), await world.peer("bob")
        return await world.meet(alice, bob)

    host, port = world.run(main())
    direct = other in DIRECT[one]
    assert bool(port) is direct
    assert host.startswith("relay-") is not direct


@pytest.mark.parametrize(
    ("one", "other"),
    [("symmetric", "symmetric"), ("symmetric", "port-restricted cone"), ("port-restricted cone", "symmetric")],
)
def test_without_a_relay_some_cannot_meet(one: str, other: str) -> None:
    """And the error says how far they came."""
    world = World({"alice": one, "bob": other})

    async def main() -> None:
        await world.serve()
        alice, bob = await world.peer("alice"), await world.peer("bob")
        with pytest.raises(TraversalTimeout, match=r"no datagram passes between us and the peer .* no relay lends"):
            await world.meet(alice, bob)

    world.run(main())


def test_neighbours_meet_inside() -> None:
    """Behind the same NAT, which has no hairpin: by the inside address, which is nobody else's business (rule 4)."""
    world = World({"alice": "symmetric", "alice/bob": "symmetric", "eve": "full cone"})

    async def main() -> None:
        await world.serve()
        alice, bob, eve = [await world.peer(name) for name in ("alice", "alice/bob", "eve")]
        assert await world.meet(alice, bob) == ("192.168.1.3", PORT)
        host, _ = await world.meet(eve, alice)
        assert host == world.network.host("router of alice").address
        assert not [to for _, to in eve.sent if to[0].startswith("192.168")]
        assert not [to for _, to in alice.sent if to[0] == "192.168.1.4"]

    world.run(main())
