"""The rules of sleepy/udp/nat/relay.py."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp.address import Address
from sleepy.udp.nat.relay import FRAME, Relay
from sleepy.udp.nat.traversal_wire import (
    BIND_SIZE,
    NO_COOKIE,
    Kind,
    decode_cookie,
    encode_bind,
    encode_bound,
    encode_relayed,
)

A, B, EVE = ("198.51.100.1", 1111), ("203.0.113.2", 2222), ("192.0.2.66", 666)
ALICE, BOB = b"a" * 32, b"b" * 32
NAME = b"attempt."


def make(**options: object) -> Relay:
    return Relay(now=0.0, random_bytes=random.Random(1).randbytes, **options)  # type: ignore[arg-type]


def bind(relay: Relay, token: bytes, address: Address, now: float = 0.0) -> None:
    question = encode_bind(token)
    answer = relay.receive(question, address, now)
    assert answer is not None
    cookie = decode_cookie(question, answer[0])
    assert cookie is not None
    assert relay.receive(encode_bind(token, cookie), address, now) == (encode_bound(token), address)


def channel(relay: Relay, name: bytes = NAME) -> tuple[bytes, bytes]:
    tokens = relay.lend(name, ALICE, BOB, 0.0)
    assert tokens is not None
    bind(relay, tokens[0], A)
    bind(relay, tokens[1], B)
    return tokens


@given(st.binary(max_size=1500))
def test_what_one_end_sends_comes_out_at_the_other(datagram: bytes) -> None:
    relay = make()
    ours, theirs = channel(relay)
    assert relay.receive(encode_relayed(ours, datagram), A, 0.0) == (encode_relayed(theirs, datagram), B)
    assert relay.receive(encode_relayed(theirs, datagram), B, 0.0) == (encode_relayed(ours, datagram), A)
    assert relay.counters.relayed == 2
    assert relay.counters.relayed_bytes == 2 * (len(datagram) + FRAME)


def test_rule_1_by_consent_only() -> None:
    asked = []

    def lends(asker: bytes, other: bytes) -> bool:
        asked.append((asker, other))
        return asker == ALICE

    relay = make(lends=lends)
    assert relay.lend(NAME, BOB, ALICE, 0.0) is None
    assert relay.lend(NAME, ALICE, BOB, 0.0) is not None
    assert asked == [(BOB, ALICE), (ALICE, BOB)]
    assert (len(relay), relay.counters.refused) == (1, 1)


def test_rule_1_so_many_and_so_many_for_each() -> None:
    relay = make(max_channels=6, max_per_asker=4)
    names = [bytes([number]) * 8 for number in range(10)]
    assert [relay.lend(name, ALICE, BOB, 0.0) is not None for name in names].count(True) == 4
    assert [relay.lend(name, BOB, ALICE, 0.0) is not None for name in names].count(True) == 2
    assert len(relay) == 6


def test_asked_again_it_is_the_same_channel() -> None:
    """And another asker's conversation of the same name is another."""
    relay = make()
    tokens = relay.lend(NAME, ALICE, BOB, 0.0)
    assert relay.lend(NAME, ALICE, BOB, 1.0) == tokens
    assert relay.lend(NAME, BOB, ALICE, 1.0) != tokens
    assert len(relay) == 2


def test_rule_2_nobody_is_sent_what_he_did_not_bind_for() -> None:
    relay = make()
    tokens = relay.lend(NAME, ALICE, BOB, 0.0)
    assert tokens is not None
    ours, theirs = tokens
    assert relay.receive(encode_relayed(ours, b"hello"), A, 0.0) is None
    bind(relay, ours, A)
    assert relay.receive(encode_relayed(ours, b"hello"), A, 0.0) is None  # Bob's end is not there
    bind(relay, theirs, B)
    assert relay.receive(encode_relayed(ours, b"hello"), A, 0.0) is not None
    assert relay.receive(encode_relayed(ours, b"hello"), EVE, 0.0) is None
    assert relay.receive(encode_relayed(b"eightB!!", b"hello"), A, 0.0) is None
    assert relay.counters.stray == 4


def test_rule_2_a_cookie_is_good_for_its_address_and_token() -> None:
    """Who knows a token, but cannot receive at an address, binds nobody there."""
    relay = make()
    ours, theirs = channel(relay)
    question = encode_bind(ours)
    answer = relay.receive(question, EVE, 0.0)
    assert answer is not None
    cookie = decode_cookie(question, answer[0])
    assert cookie is not None
    for token, address in ((ours, B), (theirs, EVE)):
        again = relay.receive(encode_bind(token, cookie), address, 0.0)
        assert again is not None
        assert again[0][0] == Kind.COOKIE
    assert relay.receive(encode_relayed(theirs, b"hello"), B, 0.0) == (encode_relayed(ours, b"hello"), A)


def test_an_end_may_move() -> None:
    relay = make()
    ours, theirs = channel(relay)
    bind(relay, ours, EVE)
    assert relay.receive(encode_relayed(theirs, b"hello"), B, 0.0) == (encode_relayed(ours, b"hello"), EVE)
    assert relay.receive(encode_relayed(ours, b"hello"), A, 0.0) is None


def test_a_token_of_no_channel_is_bound_nowhere() -> None:
    relay = make()
    question = encode_bind(b"eightB!!")
    answer = relay.receive(question, A, 0.0)
    assert answer is not None
    cookie = decode_cookie(question, answer[0])
    assert cookie is not None
    assert relay.receive(encode_bind(b"eightB!!", cookie), A, 0.0) is None
    assert relay.counters.stray == 1


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.integers(0, 1400)), min_size=1, max_size=60))
def test_rule_3_each_channel_has_its_rate(datagrams: list[tuple[float, bool, int]]) -> None:
    relay = make(rate=1000.0, burst=2000.0)
    ours, theirs = channel(relay)
    now, passed = 0.0, 0
    for pause, way, size in datagrams:
        now += pause
        token, address = (ours, A) if way else (theirs, B)
        if relay.receive(encode_relayed(token, bytes(size)), address, now):
            passed += size + FRAME
        assert passed <= 2000 + 1000 * now + 1e-6
    assert relay.counters.relayed + relay.counters.throttled == len(datagrams)


def test_rule_3_channels_do_not_share() -> None:
    relay = make(rate=1.0, burst=1500.0)
    first, second = channel(relay), channel(relay, b"another.")
    assert relay.receive(encode_relayed(first[0], bytes(1400)), A, 0.0)
    assert not relay.receive(encode_relayed(first[1], bytes(1400)), B, 0.0)
    assert relay.receive(encode_relayed(second[0], bytes(1400)), A, 0.0)


def test_rule_4_a_channel_lives_while_it_is_used() -> None:
    relay = make(idle=60.0)
    used, unused = channel(relay), channel(relay, b"another.")
    for second in range(0, 120, 30):
        if second < 60:
            bind(relay, unused[0], A, second)  # to bind is not to use
        assert relay.receive(encode_relayed(used[0], b""), A, float(second)) is not None
    assert len(relay) == len(relay._by_token) / 2 == 1
    assert relay.receive(encode_relayed(unused[0], b""), A, 120.0) is None
    assert relay.receive(encode_relayed(used[0], b""), A, 149.9) is not None
    assert relay.receive(encode_relayed(used[0], b""), A, 209.9) is None
    assert len(relay) == len(relay._by_token) == 0


@pytest.mark.parametrize("kind", [Kind.RELAYED, Kind.BIND, Kind.REQUEST, 0])
@given(rest=st.binary(max_size=100) | st.binary(min_size=BIND_SIZE - 1, max_size=BIND_SIZE - 1))
def test_hostile_bytes_get_less_than_they_are(kind: int, rest: bytes) -> None:
    relay = make()
    channel(relay)
    datagram = bytes([kind]) + rest
    answer = relay.receive(datagram, EVE, 0.0)
    if answer is not None:
        assert answer[1] == EVE
        assert len(answer[0]) < len(datagram)
    assert relay.receive(b"", EVE, 0.0) is None


def test_before_an_address_is_proved_nothing_is_remembered() -> None:
    relay = make()
    ours, _ = channel(relay)
    for port in range(1000):
        relay.receive(encode_bind(ours, NO_COOKIE), ("192.0.2.66", port), 0.0)
    assert len(relay) == 1
    assert relay._by_token[ours].ends[ours] == A
