"""`sleepy.udp.nat.traversal`, in the simulated network: who can meet whom, and by which way."""

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepy import sim
from sleepy.udp.address import Address
from sleepy.udp.nat import punching
from sleepy.udp.nat.relay import Relay
from sleepy.udp.nat.traversal import Traversal
from sleepy.udp.nat.traversal_config import (
    Found,
    PeerAbsent,
    PeerRefused,
    Relayed,
    TraversalConfig,
    TraversalError,
    TraversalTimeout,
)
from sleepy.udp.nat.traversal_wire import (
    Code,
    Kind,
    Message,
    Registered,
    Told,
    encode_cookie,
    encode_notice,
    encode_relayed,
    pack_address,
)
from sleepy.udp.security.sealing import Sealer
from sleepy.udp.security.session import HandshakeTimeout
from tests.sleepy.udp.traversing import NATS, PORT, SERVER_IDENTITY, World, identity

SERVER = ("198.51.100.200", 9470)
OUTSIDE = "203.0.113.5"
RELAY = ("192.0.2.99", 9)


def randbytes(seed: int = 1) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


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
    """The table of `sleepy.udp.nat.punching`: who meets directly, and who by the server's relay; never one for the other."""
    world = World({"alice": one, "bob": other})

    async def main() -> Any:
        await world.serve(relay=lambda now: Relay(now=now))
        alice, bob = await world.peer("alice"), await world.peer("bob")
        return await world.meet(alice, bob)

    host, port = world.run(main())
    direct = other in DIRECT[one]
    assert bool(port) is direct
    assert host.startswith("relay-") is not direct


def test_the_table_of_the_theory_is_this_one() -> None:
    rows = [line.strip("|").split("|") for line in (punching.__doc__ or "").splitlines() if line.startswith("|")]
    header, _, *body = [[cell.strip() for cell in row] for row in rows]
    told = {row[0]: {name for name, way in zip(header[1:], row[1:], strict=True) if way == "yes"} for row in body}
    assert told == {one: others - {"open"} for one, others in DIRECT.items() if one != "open"}


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


# ---------------------------------------------------------------------- bad networks


@settings(max_examples=25)
@given(
    nats=st.tuples(st.sampled_from(list(NATS)), st.sampled_from(list(NATS))),
    loss=st.floats(0, 0.04),
    duplicate=st.floats(0, 0.3),
    delay=st.floats(0.001, 0.1),
    corrupt=st.floats(0, 0.02),
    seed=st.integers(0, 2**32),
)
def test_rule_1_lost_repeated_late_and_damaged_datagrams_need_no_thought(
    nats: tuple[str, str], loss: float, duplicate: float, delay: float, corrupt: float, seed: int
) -> None:
    """Of four links between the two each loses up to 6 %. By the relay it is eight: 40 % of all is lost each way."""
    link = sim.Link(delay=delay, jitter=delay / 2, ordered=False, loss=loss, duplicate=duplicate, corrupt=corrupt)
    world = World(dict(zip(("alice", "bob"), nats, strict=True)), link, seed)

    async def main() -> None:
        await world.serve(relay=lambda now: Relay(now=now))
        alice, bob = await world.peer("alice", timeout=30.0), await world.peer("bob", timeout=30.0)
        for _ in range(5):
            try:
                await world.meet(alice, bob)
            except (TraversalError, HandshakeTimeout):  # the handshake has 5 s, and its datagrams have luck or not
                continue
            return
        raise AssertionError("five attempts, and they have not met")

    world.run(main())


def test_both_may_ask_at_once() -> None:
    """Each finds the other; of two who dial each other a node makes one connection."""
    world = World({"alice": "restricted cone", "bob": "port-restricted cone"})

    async def main() -> None:
        await world.serve()
        alice, bob = await world.peer("alice"), await world.peer("bob")
        for one, other in ((alice, bob), (bob, alice)):
            one.traversal.ask(other.config.identity.public_key, world.network.now)
            one.turn()
        for one, other in ((alice, bob), (bob, alice)):
            key = other.config.identity.public_key
            await one.until(lambda one=one, key=key: key in one.sessions)
            address = other.traversal.outside
            assert address is not None
            assert {event.asked: event for event in one.events} == {
                asked: Found(key, address, asked) for asked in (True, False)
            }

    world.run(main())


def test_who_was_found_may_be_asked_for_again() -> None:
    """At once: the connection may have ended, or the peer be started anew."""
    world = World({"alice": "restricted cone", "bob": "port-restricted cone"})

    async def main() -> None:
        await world.serve()
        alice, bob = await world.peer("alice"), await world.peer("bob")
        for number in (1, 2, 3):
            alice.sessions.clear()
            bob.sessions.clear()
            await world.meet(alice, bob)
            assert len([event for event in alice.events if isinstance(event, Found)]) == number

    world.run(main())


def test_mappings_are_kept_alive() -> None:
    """Minutes later the server's word still passes a NAT that forgets after 30 s, and the address is still right."""
    nat = sim.Nat(timeout=30.0)
    world = World({"alice": nat, "bob": nat})

    async def main() -> None:
        await world.serve()
        alice, bob = await world.peer("alice"), await world.peer("bob")
        before = bob.traversal.outside
        await asyncio.sleep(150)
        assert bob.traversal.outside == before
        await world.meet(alice, bob)

    world.run(main())


def test_a_server_that_was_started_anew_is_found_again() -> None:
    world = World({"alice": "full cone", "bob": "full cone"})

    async def main() -> None:
        server = await world.serve()
        alice, bob = await world.peer("alice"), await world.peer("bob")
        server._transport.close()
        await asyncio.sleep(70)
        assert alice.traversal.outside is None
        await world.serve()
        for peer in (alice, bob):
            await world.network.host(peer.name).run(peer.registered())
        await world.meet(alice, bob)

    world.run(main())


def test_before_we_are_registered_nobody_is_told_anything() -> None:
    """The server would not pass it on."""
    options: dict[str, Any] = {"server": SERVER, "server_key": SERVER_IDENTITY.public_key}
    peer = Traversal(TraversalConfig(identity=identity("bob"), **options), now=0.0)
    peer.ask(identity("alice").public_key, 0.0)
    sent = 0
    while peer.next_timeout < 5.0:
        peer.on_time(peer.next_timeout)
        sent += len(peer.take_datagrams())
    assert sent == 5  # at 0, 0.25, 0.75, 1.75 and 3.75 s it asks to be registered


def test_what_was_asked_before_we_are_registered_waits_for_it() -> None:
    world = World({"alice": "full cone", "bob": "full cone"})

    async def main() -> None:
        await world.serve()
        bob = await world.peer("bob")
        alice = await world.peer("alice", wait=False)
        assert alice.traversal.outside is None
        await world.meet(alice, bob)

    world.run(main())


def test_as_soon_as_we_are_registered_nothing_waits_any_longer() -> None:
    """The server comes late, between two of our questions, of which the next but one would be 2 s away."""
    world = World({"alice": "full cone", "bob": "full cone"})

    async def main() -> None:
        alice, bob = await world.peer("alice", wait=False), await world.peer("bob", wait=False)
        alice.traversal.ask(bob.config.identity.public_key, 0.0)
        await asyncio.sleep(5)
        await world.serve()
        await alice.until(lambda: any(isinstance(event, Found) for event in alice.events))
        assert world.network.now < 7.0

    world.run(main())


# ---------------------------------------------------------------------- who may meet whom


def test_rule_3_who_is_not_accepted_learns_no_address() -> None:
    world = World({"alice": "full cone", "bob": "full cone"})

    async def main() -> None:
        await world.serve()
        alice = await world.peer("alice")
        bob = await world.peer("bob", accept=lambda key: key != identity("alice").public_key)
        with pytest.raises(PeerRefused, match="does not want to be introduced to us"):
            await world.meet(alice, bob)
        assert not alice.traversal._conversations
        outside = bob.traversal.outside
        assert outside is not None
        assert not [to for _, to in alice.sent if to[0] == outside[0]]
        assert not [to for _, to in bob.sent if to[0] == world.network.host("router of alice").address]

    world.run(main())


def test_who_is_not_there_is_absent() -> None:
    world = World({"alice": "full cone", "bob": "full cone"})

    async def main() -> None:
        await world.serve()
        alice = await world.peer("alice")
        bob = await world.peer("bob", wait=False)
        bob.transport.close()
        with pytest.raises(PeerAbsent, match="is not registered with the rendezvous server"):
            await world.meet(alice, bob)

    world.run(main())


def test_who_does_not_answer_is_given_up() -> None:
    world = World({"alice": "full cone", "bob": "full cone"})

    async def main() -> None:
        await world.serve()
        alice, bob = await world.peer("alice"), await world.peer("bob")
        world.network.cut("bob", "router of bob")
        begin = world.network.now
        with pytest.raises(TraversalTimeout, match=r"did not agree to meet within 10.0 s; is it running\?"):
            await world.meet(alice, bob)
        assert world.network.now == pytest.approx(begin + 10.0)
        assert not alice.traversal._conversations

    world.run(main())


def test_a_server_that_does_not_answer_is_named() -> None:
    world = World({"alice": "full cone", "bob": "full cone"})

    async def main() -> None:
        alice, bob = await world.peer("alice", wait=False), await world.peer("bob", wait=False)
        with pytest.raises(TraversalTimeout, match=f"the rendezvous server at .*:{PORT} does not answer"):
            await world.meet(alice, bob)

    world.run(main())


def test_a_server_without_room_is_named() -> None:
    world = World({"alice": "full cone", "bob": "full cone"})

    async def main() -> None:
        await world.serve(max_registrations=0)
        alice, bob = await world.peer("alice", wait=False), await world.peer("bob", wait=False)
        with pytest.raises(TraversalTimeout, match=f"the rendezvous server at .*:{PORT} has no room for us"):
            await world.meet(alice, bob)

    world.run(main())


def test_a_server_with_another_key_is_nobody() -> None:
    world = World({"alice": "full cone", "bob": "full cone"})

    async def main() -> None:
        await world.serve()
        alice = await world.peer("alice", wait=False, server_key=identity("somebody").public_key)
        bob = await world.peer("bob")
        with pytest.raises(TraversalTimeout, match="does not answer: is this its address, and its key"):
            await world.meet(alice, bob)

    world.run(main())


def test_what_is_no_key_is_refused() -> None:
    world = World({"alice": "open"})

    async def main() -> None:
        await world.serve()
        alice = await world.peer("alice")
        wrong = (
            (identity("alice").public_key, "our own key"),
            (b"short", "no public key"),
            (bytes(32), "no public key"),
        )
        for key, problem in wrong:
            with pytest.raises(ValueError, match=problem):
                alice.traversal.ask(key, 0.0)
        for number in range(64):
            alice.traversal.ask(identity(str(number)).public_key, 0.0)
        with pytest.raises(TraversalError, match="64 attempts"):
            alice.traversal.ask(identity("one more").public_key, 0.0)
        alice.traversal.ask(identity("0").public_key, 0.0)  # that search goes on

    world.run(main())


# ---------------------------------------------------------------------- relays


def test_rule_5_a_willing_peer_relays() -> None:
    """The server does not; Carol does, for friends. Of what she passes on she can read nothing."""
    world = World({"alice": "symmetric", "bob": "symmetric", "carol": "full cone", "dave": "open"})
    alice_key = identity("alice").public_key
    relays = (SERVER_IDENTITY.public_key, identity("dave").public_key, identity("carol").public_key)

    async def main() -> None:
        await world.serve()
        carol = await world.peer("carol", relay=lambda now: Relay(now=now, lends=lambda asker, _: asker == alice_key))
        await world.peer("dave")
        alice, bob = await world.peer("alice", relays=relays), await world.peer("bob", relays=relays)
        host, port = await world.meet(alice, bob)
        assert (host[:6], port) == ("relay-", 0)
        assert carol.config.relay is not None
        assert carol.config.relay.counters.relayed > 4
        alice.sessions.clear()
        bob.sessions.clear()
        with pytest.raises(TraversalTimeout, match="no relay lends"):
            await world.meet(bob, alice)

    world.run(main())


def test_rule_5_by_consent_of_the_asked_too() -> None:
    world = World({"alice": "symmetric", "bob": "symmetric"})

    async def main() -> None:
        await world.serve(relay=lambda now: Relay(now=now))
        alice, bob = await world.peer("alice"), await world.peer("bob", relayed=False)
        with pytest.raises(TraversalTimeout, match="by a relay too"):
            await world.meet(alice, bob)
        assert not bob.traversal._legs

    world.run(main())


def test_rule_5_an_asker_who_wants_no_relay_asks_none() -> None:
    world = World({"alice": "symmetric", "bob": "symmetric"})

    async def main() -> None:
        server = await world.serve(relay=lambda now: Relay(now=now))
        alice, bob = await world.peer("alice", relays=()), await world.peer("bob")
        with pytest.raises(TraversalTimeout, match="no relay lends"):
            await world.meet(alice, bob)
        assert server.introducer.relay is not None
        assert len(server.introducer.relay) == 0

    world.run(main())


def test_rule_6_what_is_not_used_ends() -> None:
    world = World({"alice": "symmetric", "bob": "symmetric"})

    async def main() -> None:
        server = await world.serve(relay=lambda now: Relay(now=now))
        alice, bob = await world.peer("alice"), await world.peer("bob")
        address = await world.meet(alice, bob)
        assert alice.traversal.wrap(b"hello", address) is not None
        await asyncio.sleep(65)
        for peer in (alice, bob):
            assert not peer.traversal._legs
            assert not peer.traversal._conversations
        assert alice.traversal.wrap(b"hello", address) is None
        relay = server.introducer.relay
        assert relay is not None
        relay.lend(bytes(8), bytes(32), bytes(32), world.network.now)
        assert len(relay) == 1  # this one; the other is gone

    world.run(main())


# ---------------------------------------------------------------------- hostile servers and strangers


def hostile(told: Sequence[Told], name: str = "bob", **options: Any) -> Traversal:
    """A peer, registered, whom a hostile server tells these things."""
    server = Sealer(SERVER_IDENTITY, identity(name).public_key)
    config = TraversalConfig(
        identity=identity(name),
        server=SERVER,
        server_key=SERVER_IDENTITY.public_key,
        **{"random_bytes": randbytes(), **options},
    )
    peer = Traversal(config, now=0.0)
    peer.on_time(0.0)
    number = peer._registration._number
    registered = Registered(number, 60, (OUTSIDE, 1111), bytes(16))
    for notice in (registered, *told):
        peer.receive(encode_notice(server, notice), SERVER, 0.0)
    return peer


def want(sender: str, outside: Address | None, inside: tuple[Address, ...] = ()) -> Told:
    return Told(identity(sender).public_key, outside, inside, Message(Code.WANT, sender.encode().ljust(8)[:8]))


def knocked_at(peer: Traversal) -> set[Address]:
    return {to for datagram, to in peer.take_datagrams() if datagram[0] == Kind.PROBE}


def test_rule_4_inside_addresses_of_strangers_are_not_tried() -> None:
    inside = (("192.168.1.9", 53), ("198.51.100.99", 53), ("127.0.0.1", 53), ("192.168.1.9", 0))
    assert knocked_at(hostile([want("eve", ("192.0.2.66", 6), inside)])) == {("192.0.2.66", 6)}
    assert knocked_at(hostile([want("eve", (OUTSIDE, 6), inside)])) == {("192.168.1.9", 53), (OUTSIDE, 6)}


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "ff02::1"])
def test_rule_4_nobody_is_at_a_group_or_at_our_own_host(host: str) -> None:
    assert knocked_at(hostile([want("eve", (host, 53))])) == set()
    via = Message(Code.VIA, b"eve     ", pack_address((host, 53)) + bytes(8))
    peer = hostile([want("eve", ("192.0.2.66", 6)), Told(identity("eve").public_key, None, (), via)])
    assert not peer._legs


def test_rule_4_port_0_is_nobodys() -> None:
    assert knocked_at(hostile([want("eve", ("192.0.2.66", 0))])) == set()


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "fd00::1", "fe80::1"])
def test_a_peer_may_be_at_every_other_address(host: str) -> None:
    assert knocked_at(hostile([want("eve", (host, 53))])) == {(host, 53)}


def test_rule_3_a_crowd_is_not_attended_to() -> None:
    """A server that invents askers has us knock at eight places, and at two more per second."""
    crowd = [want(str(number), ("192.0.2.66", number)) for number in range(1, 100)]
    peer = hostile(crowd)
    assert len(knocked_at(peer)) == 8
    assert len(peer._conversations) == 8


def test_rule_3_all_that_one_invented_asker_can_make_us_send() -> None:
    """To a victim's address: a few dozen knocks of 43 bytes, and no more for asking again."""
    peer = hostile([want("eve", ("192.0.2.66", 6))] * 50)
    sent = peer.take_datagrams()
    while peer.next_timeout < 30.0:
        peer.on_time(peer.next_timeout)
        sent += peer.take_datagrams()
    knocks = [datagram for datagram, to in sent if to == ("192.0.2.66", 6)]
    assert len(knocks) < 40
    assert sum(map(len, knocks)) < 2000
    assert not peer.take_events()  # whom we did not ask for we do not miss


def test_all_that_an_invented_relay_can_make_us_send() -> None:
    via = Told(
        identity("eve").public_key, None, (), Message(Code.VIA, b"eve     ", pack_address(("192.0.2.99", 9)) + bytes(8))
    )
    peer = hostile([want("eve", ("192.0.2.66", 6)), *[via] * 50])
    sent = peer.take_datagrams()
    while peer.next_timeout < 30.0:
        peer.on_time(peer.next_timeout)
        sent += peer.take_datagrams()
    to_victim = [datagram for datagram, to in sent if to == RELAY]
    assert [datagram[0] for datagram in to_victim].count(Kind.BIND) == 8
    assert sum(map(len, to_victim)) < 3000


def test_rule_2_another_peer_does_not_belong_to_the_conversation() -> None:
    """Eve knows its name, perhaps; the server vouches that she is not Alice."""
    peer = hostile([])
    alice, eve = identity("alice").public_key, identity("eve").public_key
    peer.ask(alice, 0.0)
    (name,) = peer._conversations
    server = Sealer(SERVER_IDENTITY, identity("bob").public_key)
    for code, body in (
        (Code.AGREE, b""),
        (Code.REFUSE, b""),
        (Code.LENT, bytes(16)),
        (Code.VIA, bytes(26)),
        (Code.WANT, b""),
    ):
        told = Told(eve, ("192.0.2.66", 6), (), Message(code, name, body))
        peer.receive(encode_notice(server, told), SERVER, 0.0)
        assert knocked_at(peer) == set()
    assert not peer.take_events()
    assert not peer._legs
    told = Told(alice, ("192.0.2.1", 1), (), Message(Code.WANT, name))  # she was asked, she does not ask
    peer.receive(encode_notice(server, told), SERVER, 0.0)
    assert knocked_at(peer) == set()
    told = Told(alice, ("192.0.2.1", 1), (), Message(Code.AGREE, name))
    peer.receive(encode_notice(server, told), ("192.0.2.66", 6), 0.0)  # not from the server's address
    assert knocked_at(peer) == set()
    peer.receive(encode_notice(server, told), SERVER, 0.0)
    assert knocked_at(peer) == {("192.0.2.1", 1)}


def test_rule_2_nobody_else_makes_us_agree_again() -> None:
    alice = want("alice", ("192.0.2.1", 1))
    once = len(hostile([alice]).take_datagrams())
    assert len(hostile([alice, alice]).take_datagrams()) == once + 1
    eve = alice._replace(sender=identity("eve").public_key)
    assert len(hostile([alice, eve]).take_datagrams()) == once


@pytest.mark.parametrize(
    ("where", "size", "taken"),
    [
        (RELAY, 16, True),
        (("127.0.0.1", 9), 16, False),
        (("192.0.2.99", 0), 16, False),
        (RELAY, 15, False),
        (RELAY, 17, False),
    ],
)
def test_rule_4_holds_for_relays_that_we_asked(where: Address, size: int, taken: bool) -> None:
    carol, alice = identity("carol").public_key, identity("alice").public_key
    peer = hostile([], relays=(carol,), relay_after=0.0)
    peer.ask(alice, 0.0)
    (name,) = peer._conversations
    server = Sealer(SERVER_IDENTITY, identity("bob").public_key)
    agreed = Told(alice, ("192.0.2.1", 1), (), Message(Code.AGREE, name))
    lent = Told(carol, where, (), Message(Code.LENT, name, bytes(size)))
    for told in (agreed, lent):
        peer.receive(encode_notice(server, told), SERVER, 0.0)
    assert bool(peer._legs) is taken


def test_the_servers_and_the_relays_datagrams_come_from_their_addresses() -> None:
    """Who has seen the question, and who knows the token, still has to send in their names."""
    via = Message(Code.VIA, b"eve     ", pack_address(RELAY) + b"token 8B")
    peer = hostile([want("eve", ("192.0.2.66", 6)), Told(identity("eve").public_key, None, (), via)])
    relayed = encode_relayed(b"token 8B", b"hello")
    peer.receive(relayed, ("192.0.2.66", 6), 0.0)
    assert not peer.take_events()
    peer.receive(relayed, RELAY, 0.0)
    assert peer.take_events() == [Relayed(b"hello", (f"relay-{b'token 8B'.hex()}", 0))]
    peer.on_time(20.0)
    questions = [datagram for datagram, to in peer.take_datagrams() if to == SERVER and datagram[0] == Kind.REQUEST]
    cookie = encode_cookie(questions[-1], bytes(16))
    peer.receive(cookie, ("192.0.2.66", 6), 20.0)
    assert not peer.take_datagrams()
    peer.receive(cookie, SERVER, 20.0)
    assert [to for _, to in peer.take_datagrams()] == [SERVER]


def test_who_begins_anew_is_attended_to_once() -> None:
    first, again = want("alice", ("192.0.2.1", 1)), want("alice", ("192.0.2.1", 2))
    again = again._replace(message=again.message._replace(conversation=b"again..."))
    peer = hostile([first, again])
    assert set(peer._conversations) == {b"again..."}


@given(
    data=st.binary(max_size=300),
    kind=st.integers(0, 20),
    place=st.sampled_from([("192.0.2.66", 6), ("198.51.100.200", 9470)]),
)
def test_hostile_bytes_get_no_answer(data: bytes, kind: int, place: Address) -> None:
    peer = hostile([want("alice", ("192.0.2.1", 1))], relay=Relay(now=0.0))
    peer.take_datagrams()
    datagram = bytes([kind]) + data
    peer.receive(datagram, place, 0.0)
    peer.receive(b"", place, 0.0)
    answers = peer.take_datagrams()
    assert not peer.take_events()
    assert sum(len(answer) for answer, _ in answers) < len(datagram) or not answers
    assert {to for _, to in answers} <= {place}


@given(
    code=st.sampled_from(Code),
    body=st.binary(max_size=40),
    outside=st.none() | st.just(("192.0.2.66", 6)),
    alice=st.booleans(),
)
def test_hostile_messages_are_read_with_care(code: Code, body: bytes, outside: Address | None, alice: bool) -> None:
    """Whatever the server says, of a conversation that we began: nothing is raised, nothing is found."""
    peer = hostile([], relay=Relay(now=0.0))
    peer.ask(identity("alice").public_key, 0.0)
    (name,) = peer._conversations
    sender = identity("alice").public_key if alice else SERVER_IDENTITY.public_key
    server = Sealer(SERVER_IDENTITY, identity("bob").public_key)
    for now in (0.0, 2.5, 5.0):
        peer.receive(encode_notice(server, Told(sender, outside, (), Message(code, name, body))), SERVER, now)
        peer.on_time(now)
    assert not [event for event in peer.take_events() if isinstance(event, Found)]
