"""sleepy/udp/nat/conversation.py, step by step; whole meetings are in test_traversal.py."""

import random
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepy.udp.address import Address
from sleepy.udp.nat.conversation import Conversation
from sleepy.udp.nat.traversal_config import PeerAbsent, PeerRefused, TraversalConfig, TraversalError, TraversalTimeout
from sleepy.udp.nat.traversal_wire import Code, Kind, Message, Probe, decode_probe, encode_probe, pack_address
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.sealing import Sealer

ALICE, BOB, SERVER, CAROL = (Identity(bytes([number]) * 32) for number in (1, 2, 3, 4))
NAME = b"attempt."
THERE, RELAY = ("203.0.113.2", 2222), ("203.0.113.9", 9470)
TOKENS = b"token 1.", b"token 2."
WANT = (BOB.public_key, Message(Code.WANT, NAME))


def make(asked: bool = True, **options: Any) -> Conversation:
    options = {"random_bytes": random.Random(1).randbytes, **options}
    config = TraversalConfig(identity=ALICE, server=RELAY, server_key=SERVER.public_key, **options)
    return Conversation(config, BOB.public_key, name=NAME, asked=asked, now=0.0)


def tells(conversation: Conversation) -> list[tuple[bytes, Message]]:
    told = conversation.tells.copy()
    conversation.tells.clear()
    return told


def run(conversation: Conversation, until: float) -> list[tuple[float, tuple[bytes, Message]]]:
    """Do what is due until then; returns what was told, and when."""
    told = []
    while conversation.next_timeout <= until and conversation.outcome is None:
        now = conversation.next_timeout
        conversation.on_time(now)
        told += [(now, each) for each in tells(conversation)]
    return told


def knock_answered(conversation: Conversation, address: Address) -> None:
    """The peer answers the last knock at an address."""
    peer = Sealer(BOB, ALICE.public_key)
    knock = [datagram for datagram, to in conversation.datagrams if to == address][-1]
    probe = decode_probe(peer, knock)
    assert probe is not None
    conversation.on_probe(encode_probe(NAME, peer, Probe(answer=True, number=probe.number)), address)


def test_who_asks_repeats_it_until_the_peer_agrees() -> None:
    conversation = make()
    assert run(conversation, 2.0) == [(0.0, WANT), (0.25, WANT), (0.75, WANT), (1.75, WANT)]
    conversation.on_agree([THERE], 2.0)
    assert {to for _, to in conversation.datagrams} == {THERE}
    assert run(conversation, 3.9) == []


def test_who_is_asked_agrees_as_often_as_he_is_asked_and_knocks_at_once() -> None:
    conversation = make(asked=False)
    assert run(conversation, 5.0) == []
    for _ in range(3):
        conversation.on_want([THERE], 5.0)
        assert tells(conversation) == [(BOB.public_key, Message(Code.AGREE, NAME))]
    assert [to for _, to in conversation.datagrams] == [THERE]


def test_the_way_that_works_is_the_outcome() -> None:
    conversation = make()
    conversation.on_agree([THERE], 0.0)
    knock_answered(conversation, THERE)
    assert conversation.outcome == THERE
    conversation.on_refuse(BOB.public_key, 1.0)
    conversation.on_absent(BOB.public_key, 1.0)
    conversation.on_time(100.0)
    assert conversation.outcome == THERE
    assert conversation.next_timeout == conversation.ends == 10.0


def test_after_a_while_relays_are_asked_one_after_the_other() -> None:
    relays = (SERVER.public_key, CAROL.public_key)
    conversation = make(relays=relays, relay_after=2.0)
    conversation.on_agree([THERE], 1.0)
    lend = Message(Code.LEND, NAME, BOB.public_key)
    told = run(conversation, 4.5)
    assert told == [(when, (SERVER.public_key, lend)) for when in (3.0, 3.25, 3.75)]
    conversation.on_refuse(SERVER.public_key, 4.6)
    assert run(conversation, 4.6) == [(4.6, (CAROL.public_key, lend))]
    assert conversation.on_lent(SERVER.public_key, RELAY, TOKENS, 4.7) is None  # too late, it was given up
    assert run(conversation, 6.5)[0] == (4.85, (CAROL.public_key, lend))
    conversation.on_refuse(CAROL.public_key, 7.0)
    assert run(conversation, 9.9) == []
    assert conversation.on_lent(CAROL.public_key, RELAY, TOKENS, 9.9) is None


def test_a_silent_relay_is_asked_again_when_it_is_its_turn() -> None:
    """Its answers, or our questions, may have been lost."""
    conversation = make(relays=(SERVER.public_key, CAROL.public_key), relay_after=1.0)
    conversation.on_agree([THERE], 0.0)
    told = run(conversation, 9.9)
    assert {when: to for when, (to, _) in told if when % 2 == 1} == {
        1: SERVER.public_key, 3: CAROL.public_key, 5: SERVER.public_key, 7: CAROL.public_key, 9: SERVER.public_key
    }  # fmt: skip
    assert conversation.on_lent(SERVER.public_key, RELAY, TOKENS, 9.9) is not None


def test_the_only_relay_is_asked_to_the_end() -> None:
    conversation = make(relays=(SERVER.public_key,), relay_after=1.0)
    conversation.on_agree([THERE], 0.0)
    told = run(conversation, 9.9)
    assert told[-1][0] > 9
    assert {to for _, (to, _) in told} == {SERVER.public_key}
    run(conversation, 10.0)
    assert isinstance(conversation.outcome, TraversalTimeout)


def test_a_forged_knock_is_no_way() -> None:
    """Whoever knows the attempt's name, as the server does, cannot seal what the two peers seal."""
    conversation = make()
    conversation.on_agree([THERE], 0.0)
    for size in (0, 16, 33, 60):
        conversation.on_probe(bytes([Kind.PROBE]) + NAME + bytes(size), THERE)
    assert conversation.outcome is None


def test_a_relay_that_is_absent_is_passed_over() -> None:
    conversation = make(relays=(CAROL.public_key, SERVER.public_key))
    conversation.on_agree([THERE], 0.0)
    run(conversation, 2.0)
    conversation.on_absent(CAROL.public_key, 2.1)
    assert run(conversation, 2.1)[0][1][0] == SERVER.public_key


def test_a_relay_that_lends_is_told_to_the_peer_until_it_works() -> None:
    conversation = make()
    conversation.on_agree([THERE], 0.0)
    run(conversation, 2.0)
    leg = conversation.on_lent(SERVER.public_key, RELAY, TOKENS, 2.1)
    assert leg is not None
    assert (leg.relay, leg.token) == (RELAY, TOKENS[0])
    via = BOB.public_key, Message(Code.VIA, NAME, pack_address(RELAY) + TOKENS[1])
    conversation.on_agree([THERE], 2.2)  # repeated
    assert run(conversation, 6.0) == [(when, via) for when in (2.1, 2.35, 2.85, 3.85, 5.85)]
    assert conversation.on_lent(SERVER.public_key, RELAY, TOKENS, 6.0) is None  # repeated
    knock_answered(conversation, leg.address)
    assert conversation.outcome == leg.address
    assert run(conversation, 9.9) == []


def test_the_direct_way_may_still_open() -> None:
    conversation = make()
    conversation.on_agree([THERE], 0.0)
    run(conversation, 2.0)
    conversation.on_lent(SERVER.public_key, RELAY, TOKENS, 2.1)
    run(conversation, 3.0)
    knock_answered(conversation, THERE)
    assert conversation.outcome == THERE


@pytest.mark.parametrize("relayed", [True, False])
def test_who_is_asked_goes_by_the_relay_if_he_wants(relayed: bool) -> None:
    conversation = make(asked=False, relayed=relayed)
    conversation.on_want([THERE], 0.0)
    assert conversation.on_via(CAROL.public_key, RELAY, TOKENS[1], 1.0) is None
    leg = conversation.on_via(BOB.public_key, RELAY, TOKENS[1], 1.0)
    assert (leg is not None) is relayed
    assert conversation.on_via(BOB.public_key, RELAY, TOKENS[1], 1.0) is None
    assert (leg is not None and leg.address in {to for _, to in conversation.datagrams}) is relayed


def test_who_asks_chooses_the_relay_himself() -> None:
    conversation = make()
    conversation.on_agree([THERE], 0.0)
    assert conversation.on_via(BOB.public_key, RELAY, TOKENS[1], 1.0) is None


@pytest.mark.parametrize(
    ("step", "error", "text"),
    [
        (lambda c: c.on_refuse(BOB.public_key, 1.0), PeerRefused, "does not want to be introduced to us"),
        (lambda c: c.on_absent(BOB.public_key, 1.0), PeerAbsent, "is not registered"),
        (lambda c: run(c, 10.0), TraversalTimeout, "did not agree to meet within 10.0 s"),
        (lambda c: (c.on_agree([], 1.0), run(c, 10.0)), TraversalTimeout, "no datagram passes .* no relay lends"),
    ],
)
def test_why_there_is_none(step: Any, error: type[TraversalError], text: str) -> None:
    conversation = make()
    step(conversation)
    assert isinstance(conversation.outcome, error)
    with pytest.raises(error, match=text):
        raise conversation.outcome


def test_what_is_over_is_over() -> None:
    conversation = make()
    conversation.on_agree([THERE], 0.0)
    run(conversation, 10.0)
    knock_answered(conversation, THERE)
    assert isinstance(conversation.outcome, TraversalTimeout)


def test_a_refusal_that_comes_late_or_from_others_is_none() -> None:
    conversation = make()
    conversation.on_refuse(CAROL.public_key, 0.0)
    conversation.on_absent(CAROL.public_key, 0.0)
    conversation.on_agree([THERE], 0.0)
    conversation.on_refuse(BOB.public_key, 1.0)
    conversation.on_absent(BOB.public_key, 1.0)
    assert conversation.outcome is None


def test_who_is_asked_is_not_told_what_askers_are_told() -> None:
    conversation = make(asked=False)
    conversation.on_agree([THERE], 0.0)
    conversation.on_refuse(BOB.public_key, 0.0)
    conversation.on_absent(BOB.public_key, 0.0)
    assert conversation.on_lent(b"", RELAY, TOKENS, 0.0) is None
    assert (conversation.outcome, conversation.datagrams, conversation.tells) == (None, [], [])


def test_hurry_repeats_at_once_what_waits_for_an_answer() -> None:
    conversation = make()
    run(conversation, 2.0)
    conversation.hurry(2.1)
    assert run(conversation, 2.1) == [(2.1, WANT)]
    conversation.on_agree([THERE], 2.2)
    conversation.hurry(2.3)
    assert run(conversation, 2.3) == []


steps = st.lists(
    st.tuples(
        st.sampled_from(["want", "agree", "refuse", "absent", "lent", "via", "time"]), st.booleans(), st.floats(0, 3)
    ),
    max_size=15,
)


@given(asked=st.booleans(), steps=steps)
def test_everything_ends_and_says_little(asked: bool, steps: list[tuple[str, bool, float]]) -> None:
    """Rule 6 of the traversal, whatever is said in whatever order."""
    conversation, now, sent = make(asked=asked), 0.0, 0
    for step, peer, pause in [*steps, *[("time", True, 0.5)] * 30]:
        now += pause
        key = BOB.public_key if peer else SERVER.public_key
        calls: dict[str, Any] = {
            "want": lambda now=now: conversation.on_want([THERE], now),
            "agree": lambda now=now: conversation.on_agree([THERE], now),
            "refuse": lambda now=now, key=key: conversation.on_refuse(key, now),
            "absent": lambda now=now, key=key: conversation.on_absent(key, now),
            "lent": lambda now=now, key=key: conversation.on_lent(key, RELAY, TOKENS, now),
            "via": lambda now=now, key=key: conversation.on_via(key, RELAY, TOKENS[0], now),
            "time": lambda: None,
        }
        calls[step]()
        conversation.on_time(now)
        sent += len(tells(conversation))
        assert conversation.next_timeout < inf
    assert isinstance(conversation.outcome, TraversalError)
    assert sent <= 60
    assert len(conversation.datagrams) <= 80
