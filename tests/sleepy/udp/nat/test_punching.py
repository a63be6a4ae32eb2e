"""The rules of sleepy/udp/nat/punching.py. Which NATs can meet is in test_traversal.py."""

import random
from itertools import pairwise
from math import inf

from hypothesis import given
from hypothesis.strategies import DataObject, binary, booleans, data, floats, integers, lists, tuples

from sleepy.udp.address import Address
from sleepy.udp.nat.punching import MAX_CANDIDATES, Punch
from sleepy.udp.nat.traversal_wire import Probe, encode_probe
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.sealing import Sealer

NAME = b"attempt."
A, B = ("198.51.100.1", 1111), ("203.0.113.2", 2222)
ELSEWHERE = ("192.0.2.3", 3333)
ALICE, BOB, EVE = (Identity(bytes([number]) * 32) for number in (1, 2, 3))


def sealer(ours: Identity, theirs: Identity) -> Sealer:
    return Sealer(ours, theirs.public_key, random.Random(1).randbytes)


def punch(
    ours: Identity = ALICE, theirs: Identity = BOB, candidates: tuple[Address, ...] = (B,), seed: int = 1
) -> Punch:
    random_bytes = random.Random(seed).randbytes
    return Punch(NAME, sealer(ours, theirs), candidates, now=0.0, random_bytes=random_bytes)


def probe(number: int, answer: bool = False, ours: Identity = BOB, theirs: Identity = ALICE) -> bytes:
    return encode_probe(NAME, sealer(ours, theirs), Probe(answer, number))


def test_two_meet_if_datagrams_pass() -> None:
    alice, bob = punch(), punch(BOB, ALICE, (A,))
    ((knock, to),) = alice.on_time(0.0)
    assert to == B
    (answer, to), *_ = bob.receive(knock, A)
    assert to == A
    assert alice.receive(answer, B) == []
    assert alice.path == B
    assert bob.path is None
    assert alice.next_timeout == inf  # rule 6
    assert alice.on_time(100.0) == []
    ((knock, _),) = bob.on_time(0.0)
    ((answer, _),) = alice.receive(knock, B)
    bob.receive(answer, A)
    assert bob.path == A
    assert [to for _, to in alice.receive(probe(99), ELSEWHERE)] == [ELSEWHERE]  # rule 6: answered, and no more
    assert alice.add(("192.0.2.3", 4444)) == []


def test_rule_1_only_the_peer_knocks_and_answers() -> None:
    alice = punch()
    alice.on_time(0.0)
    for answer in (False, True):
        assert alice.receive(probe(0, answer, EVE, ALICE), B) == []
        assert alice.receive(probe(0, answer, ALICE, BOB), B) == []  # our own, thrown back
    assert alice.path is None


def test_rule_2_a_knock_from_elsewhere_is_returned() -> None:
    alice = punch()
    alice.on_time(0.0)
    answered = alice.receive(probe(0), ELSEWHERE)
    assert [to for _, to in answered] == [ELSEWHERE, ELSEWHERE]
    bob = punch(BOB, ALICE, ())
    knock = answered[1][0]
    ((answer, _), *_) = bob.receive(knock, A)
    alice.receive(answer, ELSEWHERE)
    assert alice.path == ELSEWHERE


def test_rule_3_a_copy_gains_nothing() -> None:
    alice = punch()
    ((answer, _), _) = alice.receive(probe(7), ELSEWHERE)
    assert len(answer) == len(probe(7))
    assert alice.receive(probe(7), ELSEWHERE) == []
    assert alice.receive(probe(7), ("192.0.2.99", 99)) == []
    assert len(alice.on_time(0.0)) == 2  # and makes no candidate


def test_rule_4_an_answer_from_elsewhere_is_none() -> None:
    """Nor one to a knock that was never sent."""
    alice = punch(candidates=(B, ELSEWHERE))
    alice.on_time(0.0)
    alice.receive(probe(0, answer=True), ELSEWHERE)
    alice.receive(probe(2, answer=True), B)
    alice.receive(probe(2**32 - 1, answer=True), B)
    assert alice.path is None
    alice.receive(probe(0, answer=True), B)
    assert alice.path == B
    alice.receive(probe(1, answer=True), ELSEWHERE)
    assert alice.path == B  # the first to work


def test_rule_5_rounds_grow_apart_and_are_not_in_step() -> None:
    times: dict[int, list[float]] = {}
    for seed in (1, 2):
        alice = punch(seed=seed)
        times[seed] = []
        while alice.next_timeout < 10.0:
            now = alice.next_timeout
            assert alice.on_time(now)
            assert alice.on_time(now) == []
            times[seed].append(now)
    assert times[1][0] == times[2][0] == 0.0
    assert not set(times[1][1:]) & set(times[2])
    for rounds in times.values():
        pauses = [later - earlier for earlier, later in pairwise(rounds)]
        assert 0.075 <= pauses[0] <= 0.125
        assert all(0.375 <= pause <= 0.625 for pause in pauses[8:])
        assert 20 <= len(rounds) <= 35


def test_rule_5_there_are_few_candidates_and_each_once() -> None:
    many = [("192.0.2.4", port) for port in range(1, 100)]
    alice = punch(candidates=(*many, *many))
    assert len(alice.on_time(0.0)) == MAX_CANDIDATES
    alice = punch()
    for number, address in enumerate(many):
        alice.receive(probe(number), address)
        alice.add(address)
    assert len(alice.on_time(0.0)) == MAX_CANDIDATES
    assert len(punch(candidates=(B, B, B)).on_time(0.0)) == 1


@given(lists(tuples(binary(max_size=60), booleans()), max_size=20))
def test_hostile_bytes_change_nothing(datagrams: list[tuple[bytes, bool]]) -> None:
    alice = punch()
    for datagram, named in datagrams:
        assert alice.receive(b"\x0a" + NAME + datagram if named else datagram, ELSEWHERE) == []
    assert [to for _, to in alice.on_time(0.0)] == [B]


@given(data=data(), loss=floats(0, 0.7), delay=floats(0.001, 0.4), opened=tuples(booleans(), booleans()))
def test_they_meet_on_bad_links(data: DataObject, loss: float, delay: float, opened: tuple[bool, bool]) -> None:
    """Whatever is lost, if a part of it passes, both know the way; and each NAT lets in only what it has sent to."""
    chance = random.Random(data.draw(integers(0, 1000)))
    peers = {A: punch(candidates=(B,)), B: punch(BOB, ALICE, (A,), seed=2)}
    nats = {A: opened[0], B: opened[1]}
    flying: list[tuple[float, int, bytes, Address, Address]] = []
    count, now = 0, 0.0
    while now < 60.0 and not all(peer.path for peer in peers.values()):
        now = min([each.next_timeout for each in peers.values()] + [entry[0] for entry in flying])
        sent: list[tuple[bytes, Address, Address]] = []
        for address, peer in peers.items():
            sent += [(datagram, address, to) for datagram, to in peer.on_time(now)]
        for entry in [entry for entry in flying if entry[0] <= now]:
            flying.remove(entry)
            _, _, datagram, source, to = entry
            if nats[to]:
                sent += [(answer, to, where) for answer, where in peers[to].receive(datagram, source)]
        for datagram, source, to in sent:
            nats[source] = True
            count += 1
            if chance.random() >= loss:
                flying.append((now + delay, count, datagram, source, to))
    assert [peers[A].path, peers[B].path] == [B, A]
