"""The rules of sleepy/udp/security/listener.py: what strangers can make it do, send and keep."""

import gc
import random
import tracemalloc
from dataclasses import asdict
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis.strategies import binary, booleans, integers, just, lists, none, sampled_from, tuples

from sleepy.udp.security.handshake import Initiator
from sleepy.udp.security.handshake_wire import CONNECTION_ID, HEADER, Hello, Kind
from sleepy.udp.security.listener import Listener
from sleepy.udp.security.session import Session
from tests.sleepy.udp.handshaking import ALICE, EVE, GROUP, Network, agree, config, ephemeral, proved_hello


def counted(bob: Listener) -> int:
    """How many datagrams the counters know of."""
    return sum(asdict(bob.counters).values()) - bob.counters.evicted


def pair(psk: bytes | None = None, **options: object) -> tuple[Initiator, Listener]:
    alice = Initiator(config(1, psk=psk), now=0.0)
    return alice, Listener(config(2, psk=psk), now=0.0, **options)  # type: ignore[arg-type]


def stranger(seed: int, bob: Listener, address: tuple[str, int], now: float = 0.0) -> tuple[Initiator, bytes]:
    """A new peer at the address, and its HELLO with a good cookie."""
    peer = Initiator(config(seed), now=now)
    hello = peer.on_time(now)
    assert hello is not None
    retry = bob.receive(hello, address, now)
    assert retry is not None
    hello = peer.receive(retry, now)
    assert hello is not None
    return peer, hello


# --- rule 1: before the address is proved -----------------------------------------------------------------------------


def test_a_flood_from_invented_addresses_keeps_memory_constant() -> None:
    """Rule 1: nothing is kept of 5000 HELLOs, and each is answered by 43 bytes for its 1200."""
    _, bob = pair()
    hello = Initiator(config(1), now=0.0).on_time(0.0)
    assert hello is not None
    decoded = Hello.decode(hello)
    assert decoded is not None
    randoms = random.Random(1)

    def flood(count: int) -> None:
        for _ in range(count):
            fake = decoded._replace(connection_id=randoms.randbytes(8), message=randoms.randbytes(32)).encode()
            address = (f"10.{randoms.randrange(256)}.{randoms.randrange(256)}.9", randoms.randrange(65536))
            answer = bob.receive(fake, address, randoms.random() * 0.001)
            assert answer is not None
            assert len(answer) == HEADER.size + 32

    flood(100)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    flood(5000)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 4096
    assert len(bob) == 0
    assert bob.next_timeout == inf
    assert bob.counters.retries == counted(bob) == 5100


def test_a_stolen_cookie_is_useless() -> None:
    """Rule 1: not at another address, another port, or for another HELLO; and not tomorrow."""
    alice, bob = pair()
    hello = proved_hello(alice, bob)
    decoded = Hello.decode(hello)
    assert decoded is not None
    evil = Hello.decode(Initiator(config(3), now=0.0).on_time(0.0) or b"")
    assert evil is not None
    for theft, address, now in (
        (hello, EVE, 0.0),
        (hello, (ALICE[0], ALICE[1] + 1), 0.0),
        (evil._replace(cookie=decoded.cookie).encode(), ALICE, 0.0),
        (decoded._replace(connection_id=b"of eve..").encode(), ALICE, 0.0),
        (hello, ALICE, 86400.0),
    ):
        answer = bob.receive(theft, address, now)
        assert answer is not None
        assert answer[0] == Kind.RETRY
        assert len(bob) == 0


@settings(max_examples=40)
@given(
    psk=none() | just(GROUP),
    versions=lists(integers(1, 3), min_size=1, max_size=3, unique=True).map(tuple),
    damage=lists(tuples(booleans(), integers(0, 8 * 1200 - 1)), min_size=12, max_size=12),
)
def test_no_answer_is_longer_than_its_question(
    psk: bytes | None, versions: tuple[int, ...], damage: list[tuple[bool, int]]
) -> None:
    """Amplification is at most 1 in every state, proved or not, and everything is counted once."""
    alice = Initiator(config(1, versions=(1, 2), parameters=bytes(512)), now=0.0)
    bob = Listener(config(2, psk=psk, versions=versions, parameters=bytes(512)), now=0.0)
    question, asked = alice.on_time(0.0), 0
    for damaged, bit in damage:
        if question is None:
            break
        flipped = bytearray(question)
        flipped[bit // 8 % len(flipped)] ^= 1 << bit % 8
        for datagram in (bytes(flipped), question) if damaged else (question,):
            answer = bob.receive(datagram, ALICE, 0.0)
            asked += 1
            assert counted(bob) == asked
            if answer is not None:
                assert len(answer) <= len(datagram)
                if datagram is question:
                    question = alice.receive(answer, 0.0)


@given(
    datagram=binary(max_size=1300)
    | tuples(sampled_from(Kind), binary(max_size=40)).map(lambda parts: bytes([parts[0]]) + parts[1])
    | binary(min_size=1199, max_size=1300).map(lambda tail: b"\1" + tail)
)
def test_whatever_arrives_is_counted_and_raises_nothing(datagram: bytes) -> None:
    """Rule 5."""
    _, bob = pair()
    answer = bob.receive(datagram, EVE, 0.0)
    assert counted(bob) == 1
    assert answer is None or len(answer) <= len(datagram)
    assert len(bob) == 0


def test_a_short_hello_is_not_answered() -> None:
    alice, bob = pair()
    hello = alice.on_time(0.0)
    assert hello is not None
    assert bob.receive(hello[:-1], ALICE, 0.0) is None
    assert bob.counters.malformed == 1


# --- rule 2: after it -------------------------------------------------------------------------------------------------


def test_half_open_handshakes_are_bounded_and_the_oldest_goes() -> None:
    """Rule 2: of five who prove their address and never finish, three are kept; who comes back in time gets in."""
    bob = Listener(config(2), now=0.0, max_handshakes=3)
    peers = []
    for seed in range(10, 15):
        address = ("10.0.1.1", seed)
        peer, hello = stranger(seed, bob, address)
        reply = bob.receive(hello, address, 0.0)
        assert reply is not None
        peers.append((peer, address, peer.receive(reply, 0.0)))
        assert len(bob) <= 3
    assert bob.counters.evicted == 2
    verdicts = [bob.receive(finish or b"", address, 0.1) for _, address, finish in peers]
    assert [verdict is not None for verdict in verdicts] == [False, False, True, True, True]
    assert bob.counters.unknown == 2
    assert len(bob.take_sessions()) == 3


def test_one_host_cannot_take_all_places() -> None:
    """Rule 3: of five who never finish, from as many ports, two get a reply; another host is served; time makes room."""
    bob = Listener(config(2), now=0.0, max_per_host=2)
    replies = []
    for seed in range(10, 15):
        _, hello = stranger(seed, bob, ("10.0.1.1", seed))
        replies.append(bob.receive(hello, ("10.0.1.1", seed), 0.0))
    assert [reply is not None for reply in replies] == [True, True, False, False, False]
    assert bob.counters.crowded == 3
    _, hello = stranger(20, bob, ALICE)
    assert bob.receive(hello, ALICE, 0.0) is not None
    _, hello = stranger(21, bob, ("10.0.1.1", 21), 5.0)
    assert bob.receive(hello, ("10.0.1.1", 21), 5.0) is not None


@pytest.mark.parametrize("welcome", [True, False])
def test_who_finishes_makes_room_for_the_next(welcome: bool) -> None:
    """Rule 3: so any number of peers may come from one host, one after the other; and nothing is left of them."""
    bob = Listener(config(2), now=0.0, max_per_host=1, accept=lambda _key, _address: welcome)
    for seed in range(10, 20):
        peer, hello = stranger(seed, bob, ALICE)
        reply = bob.receive(hello, ALICE, 0.0)
        assert reply is not None
        finish = peer.receive(reply, 0.0)
        assert finish is not None
        for _ in range(3):
            assert bob.receive(finish, ALICE, 0.0) is not None
    assert bob.counters.crowded == 0
    assert len(bob.take_sessions()) == 10 * welcome
    bob.on_time(5.0)
    assert len(bob) == len(bob._open) == 0


def test_a_repeated_hello_gets_the_same_reply_and_costs_no_place() -> None:
    alice, bob = pair()
    hello = proved_hello(alice, bob)
    replies = {bob.receive(hello, ALICE, n / 10) for n in range(10)}
    assert len(replies) == 1
    assert len(bob) == 1


@pytest.mark.parametrize("key", [bytes(32), b"\1" + bytes(31), bytes.fromhex("ec" + "ff" * 30 + "7f")])
def test_an_improper_key_gets_no_reply(key: bytes) -> None:
    """Points of low order, 0, 1 and -1, with an honest cookie."""
    _, bob = pair()
    hello = Hello(b"8 bytes.", 1, (1,), False, 0, key)
    retry = bob.receive(hello.encode(), EVE, 0.0)
    assert retry is not None
    cookie = retry[HEADER.size : HEADER.size + 16]
    assert bob.receive(hello._replace(cookie=cookie).encode(), EVE, 0.0) is None
    assert bob.counters.forged == 1
    assert len(bob) == 0


def test_garbage_in_place_of_finish_changes_nothing() -> None:
    """Who saw the connection id, or guessed it, cannot spoil the handshake; from elsewhere he is not even read."""
    alice, bob = pair()
    reply = bob.receive(proved_hello(alice, bob), ALICE, 0.0)
    assert reply is not None
    finish = alice.receive(reply, 0.0)
    assert finish is not None
    for garbage in (finish[: HEADER.size] + bytes(80), finish[:12], finish + b".", finish[:-1]):
        assert bob.receive(garbage, ALICE, 0.0) is None
    assert bob.counters.forged == 4
    assert bob.receive(finish, EVE, 0.0) is None
    assert bob.counters.unknown == 1
    verdict = bob.receive(finish, ALICE, 0.0)
    assert verdict is not None
    alice.receive(verdict, 0.0)
    assert isinstance(alice.outcome, Session)


# --- rule 4: places end -----------------------------------------------------------------------------------------------


def test_places_are_given_back() -> None:
    """Rule 4: after 5 s, finished or not; and the listener says when it wants to be asked."""
    bob = Listener(config(2), now=0.0)
    for seed in (10, 11):
        _, hello = stranger(seed, bob, ALICE, float(seed))
        bob.receive(hello, ALICE, float(seed))
    assert bob.next_timeout == 15.0
    bob.on_time(14.9)
    assert len(bob) == 2
    bob.on_time(15.0)
    assert len(bob) == 1
    bob.on_time(100.0)
    assert len(bob) == 0
    assert bob.next_timeout == inf


def test_a_hello_whose_place_is_gone_begins_anew() -> None:
    """Rule 4: nothing is left of the first time, so the reply has a new key."""
    alice, bob = pair(lifetime=1.0)
    hello = proved_hello(alice, bob)
    replies = {bob.receive(hello, ALICE, now) for now in (0.0, 0.9, 1.0, 1.9)}
    assert len(replies) == 2
    assert len(bob) == 1


def test_a_finished_handshake_answers_its_finish_only() -> None:
    """Rule 4: the same verdict for the same FINISH, none for another, and its HELLO is late."""
    net = Network(*pair())
    agree(net)
    finish = net.sent[4][1]
    verdict = net.sent[5][1]
    assert net.bob.receive(finish, ALICE, net.now) == verdict
    assert net.bob.receive(finish[:-1] + b"x", ALICE, net.now) is None
    assert net.bob.receive(net.sent[2][1], ALICE, net.now) is None
    assert net.bob.counters.late == 1
    assert net.bob.take_sessions() == []
    net.bob.on_time(net.now + 5.0)
    assert net.bob.receive(finish, ALICE, net.now + 5.0) is None


def test_a_recorded_handshake_played_back_later_is_no_session() -> None:
    """The place is gone and the cookie still good: HELLO gets a reply with a new key, and the old FINISH does not fit it."""
    net = Network(*pair(lifetime=1.0))
    agree(net)
    bob, later = net.bob, net.now + 2.0
    reply = bob.receive(net.sent[2][1], ALICE, later)
    assert reply is not None
    assert reply != net.sent[3][1]
    finish = net.sent[4][1]
    assert bob.receive(finish, ALICE, later) is None
    [new_id] = bob._places
    assert bob.receive(finish[:1] + new_id + finish[9:], ALICE, later) is None
    assert (bob.counters.unknown, bob.counters.forged) == (1, 1)
    assert bob.take_sessions() == []


def test_yields_is_asked_once_the_address_is_proved() -> None:
    """And who does not yield keeps nothing."""
    asked: list[tuple[tuple[str, int], bytes]] = []

    def yields(address: tuple[str, int], key: bytes) -> bool:
        asked.append((address, key))
        return len(asked) > 1

    alice, bob = pair(yields=yields)
    hello = proved_hello(alice, bob)
    assert asked == []
    assert bob.receive(hello, ALICE, 0.0) is None
    assert asked == [(ALICE, ephemeral(hello))]
    assert (bob.counters.yielded, len(bob)) == (1, 0)
    assert bob.receive(hello, ALICE, 0.0) is not None
    bob.receive(hello, ALICE, 0.0)
    assert len(asked) == 2  # a repeated HELLO is no new one


def test_who_is_deferred_asks_again_and_may_enter_then() -> None:
    """Each is asked about with the key that it has proved; nothing is decided, and ``accept`` is not asked."""
    asked: list[bytes] = []
    entered: list[bytes] = []

    def defers(key: bytes, address: tuple[str, int]) -> bool:
        assert address == ALICE
        asked.append(key)
        return len(asked) < 3

    def accept(key: bytes, _address: tuple[str, int]) -> bool:
        entered.append(key)
        return True

    bob = Listener(config(2), now=0.0, defers=defers, accept=accept)
    peer, hello = stranger(1, bob, ALICE)
    finish = peer.receive(bob.receive(hello, ALICE, 0.0) or b"", 0.0)
    assert finish is not None
    for _ in range(2):
        assert bob.receive(finish, ALICE, 0.0) is None
        assert not bob.take_sessions()
    assert not entered
    assert (bob.counters.deferred, bob.counters.forged) == (2, 0)
    verdict = bob.receive(finish, ALICE, 0.0)
    assert verdict is not None
    peer.receive(verdict, 0.0)
    assert isinstance(peer.outcome, Session)
    ((session, _),) = bob.take_sessions()
    assert asked == [session.public_key] * 3
    assert entered == [session.public_key]
    assert bob.receive(finish, ALICE, 0.0) == verdict
    assert len(asked) == 3  # it is decided


def test_ids_fit_the_header() -> None:
    alice, bob = pair()
    reply = bob.receive(proved_hello(alice, bob), ALICE, 0.0)
    assert reply is not None
    assert reply[1 : 1 + CONNECTION_ID] == alice.connection_id
