"""The rules of security/handshake.py, between an initiator and a listener; attacks by who is on the path included."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis.strategies import booleans, data, floats, integers, just, lists, none, sampled_from

from sleepy.udp.security.handshake import FIRST_WAIT, Initiator, Responder
from sleepy.udp.security.handshake_wire import (
    HEADER,
    Code,
    Hello,
    Kind,
    encode_retry,
    encode_terms,
    encode_verdict,
)
from sleepy.udp.security.identity import print_key
from sleepy.udp.security.listener import Listener
from sleepy.udp.security.session import (
    HandshakeTimeout,
    Refused,
    Session,
    VersionMismatch,
    WrongKey,
    WrongPreSharedKey,
)
from tests.sleepy.udp.handshaking import ALICE, GROUP, Network, agree, config, ephemeral, proved_hello

KINDS = ["HELLO", "RETRY", "HELLO", "REPLY", "FINISH", "VERDICT"]


def network(
    tamper: Callable[[bytes, int], list[tuple[float, bytes]]] | None = None,
    alice: dict[str, object] | None = None,
    bob: dict[str, object] | None = None,
    accept: Callable[[bytes], bool] | None = None,
    expect: bytes | None = None,
    timeout: float = 5.0,
) -> Network:
    may_enter = None if accept is None else lambda public_key, _: accept(public_key)
    made = Network(
        Initiator(config(1, **alice or {}), now=0.0, expect=expect, timeout=timeout),
        Listener(config(2, **bob or {}), now=0.0, accept=may_enter),
    )
    if tamper is not None:
        made.tamper = tamper
    return made


def kinds(network: Network) -> list[str]:
    return [Kind(datagram[0]).name for _, datagram in network.sent]


# --- the good case ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("psk", [None, GROUP], ids=["open", "group"])
def test_two_peers_come_together(psk: bytes | None) -> None:
    """Six datagrams, three round trips; each knows the other, and what the other told it."""
    net = network(alice={"psk": psk, "parameters": b"of alice"}, bob={"psk": psk, "parameters": b"of bob"})
    ours = agree(net)
    theirs = net.sessions[0]
    assert kinds(net) == KINDS
    assert net.now == pytest.approx(0.060)
    assert ours.public_key == config(2).identity.public_key
    assert theirs.public_key == config(1).identity.public_key
    assert (ours.parameters, theirs.parameters) == (b"of bob", b"of alice")
    assert net.alice.ignored == 0


def test_a_seed_makes_the_same_bytes_again() -> None:
    first, second = network(), network()
    agree(first)
    agree(second)
    assert first.sent == second.sent


@given(ours=integers(0, 2**32 - 1), theirs=integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_features_are_those_of_both(ours: int, theirs: int) -> None:
    assert agree(network(alice={"features": ours}, bob={"features": theirs})).features == ours & theirs


# --- rule 1: loss, copies, delay --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", range(6))
def test_each_datagram_may_be_lost_once(lost: int) -> None:
    """Rule 1: the initiator asks again after 0.25 s, whichever it was."""
    net = network(lambda datagram, number: [] if number == lost else [(0.0, datagram)])
    agree(net)
    assert FIRST_WAIT < net.now < FIRST_WAIT + 0.1


def test_the_waits_double_and_then_it_gives_up() -> None:
    """Rule 1: 0.25, 0.5, 1, 2 s, and not more than 2 s; and when the time is up it says how far it came."""
    net = network(lambda _datagram, _number: [], timeout=9.0 + 1e-9)
    times = []
    while net.alice.outcome is None:
        count = len(net.sent)
        net.step()
        times += [net.now] * (len(net.sent) - count)
    assert times == [0.0, 0.25, 0.75, 1.75, 3.75, 5.75, 7.75]
    assert net.now == 9.0 + 1e-9
    assert isinstance(net.alice.outcome, HandshakeTimeout)
    assert isinstance(net.alice.outcome, TimeoutError)
    assert "HELLO within 9 s" in str(net.alice.outcome)
    assert net.alice.on_time(10.0) is None


def test_a_missing_verdict_times_out_by_name() -> None:
    net = network(lambda datagram, _: [] if datagram[0] == Kind.VERDICT else [(0.0, datagram)])
    outcome = net.run()
    assert isinstance(outcome, HandshakeTimeout)
    assert "FINISH" in str(outcome)


@settings(max_examples=60)
@given(data=data(), psk=none() | just(GROUP))
def test_any_weather_ends_in_one_session_or_in_time(data: object, psk: bytes | None) -> None:
    """Half of all datagrams lost, the others late, out of order and repeated: one session, the same for both."""

    def weather(datagram: bytes, _number: int) -> list[tuple[float, bytes]]:
        delays = data.draw(lists(floats(0, 0.5), max_size=3))  # type: ignore[attr-defined]
        return [(delay, datagram) for delay in delays]

    net = network(weather, alice={"psk": psk}, bob={"psk": psk})
    outcome = net.run()
    if isinstance(outcome, Session):
        assert [session.transcript for session in net.sessions] == [outcome.transcript]
    else:
        assert isinstance(outcome, HandshakeTimeout)
        assert net.now <= 5.0
        assert len(net.sessions) <= 1


@pytest.mark.parametrize("copied", range(6))
def test_each_datagram_may_be_repeated_at_any_later_time(copied: int) -> None:
    """A recording of any datagram, played back after each later step: one session, and no second one."""
    for delay in (0.0, 0.005, 0.015, 0.025, 0.035, 0.045, 0.2):
        net = network(lambda d, n, late=delay: [(0.0, d), (late, d)] if n == copied else [(0.0, d)])
        agree(net)
        for _, datagram in list(net.sent):
            net.bob.receive(datagram, ALICE, net.now)
            assert net.alice.receive(datagram, net.now) is None
        assert net.bob.take_sessions() == []


# --- rule 2: what is forged changes nothing ---------------------------------------------------------------------------


def mutate(datagram: bytes, bit: int) -> bytes:
    flipped = bytearray(datagram)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


@pytest.mark.parametrize("psk", [None, GROUP], ids=["open", "group"])
@pytest.mark.parametrize("victim", range(6))
def test_a_changed_bit_costs_a_resend_at_most(victim: int, psk: bytes | None) -> None:
    """Rule 2: at every position of every datagram; not noticed are only bits that say nothing (padding, no cookie yet)."""
    datagram = recorded(psk)[victim]
    hello = Hello.decode(datagram)
    says = len(datagram) if hello is None else len(hello.prologue + hello.message) + 16 * (victim == 2)
    for position in range(min(len(datagram), says + 20)):
        net = network(
            lambda d, n, at=position: [(0.0, mutate(d, 8 * at + at % 8) if n == victim else d)],
            alice={"psk": psk},
            bob={"psk": psk},
        )
        agree(net)
        assert (net.now > FIRST_WAIT) is (position < says), position  # it was noticed, and asked again


@settings(max_examples=150)
@given(data=data(), psk=none() | just(GROUP), victim=integers(0, 5))
def test_a_forged_datagram_ahead_of_the_true_one_changes_nothing(data: object, psk: bytes | None, victim: int) -> None:
    """Rule 2: flipped, cut or lengthened, and then the true one: no resend is even needed."""

    def forge(datagram: bytes, number: int) -> list[tuple[float, bytes]]:
        if number != victim:
            return [(0.0, datagram)]
        draw = data.draw  # type: ignore[attr-defined]
        forgeries = [
            mutate(datagram, draw(integers(0, 8 * min(len(datagram), 110) - 1))),
            datagram[: draw(integers(0, len(datagram) - 1))],
            datagram + b"\0" if len(datagram) < 1200 else datagram[:-1],
        ]
        return [(0.0, forgery) for forgery in forgeries] + [(0.001, datagram)]

    net = network(forge, alice={"psk": psk}, bob={"psk": psk})
    agree(net)
    assert net.now < FIRST_WAIT


def recorded(psk: bytes | None = None) -> list[bytes]:
    """The six datagrams of a handshake."""
    net = network(alice={"psk": psk}, bob={"psk": psk})
    agree(net)
    return [datagram for _, datagram in net.sent]


def test_what_a_stranger_sends_is_ignored_and_counted() -> None:
    """Datagrams of another handshake, or of none."""
    alice = Initiator(config(3), now=0.0)
    alice.on_time(0.0)
    for number, datagram in enumerate([*recorded(), b"", b"x" * 11, b"\x07" + bytes(1199)]):
        assert alice.receive(datagram, 0.0) is None
        assert alice.ignored == number + 1
    assert alice.outcome is None


def test_retries_cannot_be_used_to_make_us_send() -> None:
    """Rule 2: who sees our HELLO can send one RETRY after the other; one is answered, the rest wait for the timer."""
    alice = Initiator(config(1), now=0.0)
    first = alice.on_time(0.0)
    assert first is not None
    hello = Hello.decode(first)
    assert hello is not None
    answers = [alice.receive(encode_retry(hello, bytes([n]) * 16), 0.01) for n in range(1, 100)]
    assert sum(answer is not None for answer in answers) == 1
    resent = alice.on_time(0.3)
    assert resent is not None
    assert Hello.decode(resent) == hello._replace(cookie=bytes([99]) * 16)


# --- rule 3: versions -------------------------------------------------------------------------------------------------

lists_of_versions = lists(sampled_from([1, 2, 3, 7]), min_size=1, max_size=4, unique=True).map(tuple)


@given(ours=lists_of_versions, theirs=lists_of_versions)
@settings(max_examples=40)
def test_the_highest_common_version_wins(ours: tuple[int, ...], theirs: tuple[int, ...]) -> None:
    net = network(alice={"versions": ours}, bob={"versions": theirs})
    common = set(ours) & set(theirs)
    if common:
        assert agree(net).version == max(common)
    else:
        outcome = net.run()
        assert isinstance(outcome, VersionMismatch)
        assert str(sorted(ours)) in str(outcome)
        assert str(sorted(theirs)) in str(outcome)


def edited(datagram: bytes, **fields: object) -> bytes:
    hello = Hello.decode(datagram)
    assert hello is not None
    return hello._replace(**fields).encode()  # type: ignore[arg-type]


def test_an_attacker_who_edits_the_list_gets_no_session() -> None:
    """Rule 3: he says in our name that we speak 1 only, and redoes RETRY and its binding; REPLY is then not readable."""
    originals: dict[bytes, Hello] = {}

    def attack(datagram: bytes, _: int) -> list[tuple[float, bytes]]:
        if datagram[0] == Kind.HELLO:
            hello = Hello.decode(datagram)
            assert hello is not None
            lie = hello._replace(version=1, versions=(1,), features=0)
            originals[lie.connection_id] = hello
            return [(0.0, lie.encode())]
        if datagram[0] == Kind.RETRY:
            hello = originals[datagram[1:9]]
            return [(0.0, encode_retry(hello, datagram[HEADER.size : HEADER.size + 16]))]
        # What Bob says of version 1, Alice is told of version 2.
        return [(0.0, datagram[:9] + b"\2\0" + datagram[11:])]

    net = network(attack, alice={"versions": (1, 2), "features": 3}, bob={"versions": (1, 2), "features": 3})
    outcome = net.run()
    assert isinstance(outcome, HandshakeTimeout)
    assert "REPLY" in [Kind(datagram[0]).name for _, datagram in net.sent]  # Bob was fooled; Alice was not
    assert net.sessions == []


def test_an_attacker_who_forges_terms_gets_no_session() -> None:
    """Rule 3: he says in Bob's name that Bob speaks 1 only; Alice asks for that, and Bob insists on 2."""

    def attack(datagram: bytes, number: int) -> list[tuple[float, bytes]]:
        if number == 1:
            hello = Hello.decode(net.sent[0][1])
            assert hello is not None
            return [(0.0, encode_terms(hello, False, (1,)))]
        return [(0.0, datagram)]

    net = network(attack, alice={"versions": (1, 2)}, bob={"versions": (1, 2)})
    assert isinstance(net.run(), VersionMismatch)
    assert net.sessions == []


def test_an_attacker_who_edits_the_features_gets_no_session() -> None:
    """And nothing else in HELLO can be changed either, with a cookie for the changed one at hand."""
    for lie in ({"features": 1}, {"versions": (1, 1)}, {"connection_id": b"another."}):
        bob = Listener(config(2), now=0.0)
        alice = Initiator(config(1, features=3), now=0.0)
        first = alice.on_time(0.0)
        assert first is not None
        forged = edited(first, **lie)
        retry = bob.receive(forged, ALICE, 0.0)
        assert retry is not None
        reply = bob.receive(edited(forged, cookie=retry[HEADER.size : HEADER.size + 16]), ALICE, 0.0)
        assert reply is not None
        addressed = HEADER.pack(Kind.REPLY, alice.connection_id, 1) + reply[HEADER.size :]
        assert alice.receive(addressed, 0.0) is None
        assert alice.ignored == 1


# --- rules 4 and 5: who may -------------------------------------------------------------------------------------------


def test_the_expected_key_opens() -> None:
    assert agree(network(expect=config(2).identity.public_key))


def test_another_key_than_expected_is_told_apart() -> None:
    """Rule 4: and Alice has not shown hers: there is no FINISH."""
    net = network(expect=config(3).identity.public_key)
    outcome = net.run()
    assert isinstance(outcome, WrongKey)
    assert print_key(config(2).identity.public_key) in str(outcome)
    assert kinds(net) == KINDS[:4]
    assert net.sessions == []


@pytest.mark.parametrize("welcome", [True, False])
def test_accept_decides_by_key(welcome: bool) -> None:
    """Rules 4, 5: asked once, even if the first verdict is lost; and the initiator is told."""
    asked = []

    def may_enter(public_key: bytes) -> bool:
        asked.append(public_key)
        return welcome

    net = network(lambda d, n: [] if n == 5 else [(0.0, d)], accept=may_enter)
    outcome = net.run()
    assert asked == [config(1).identity.public_key]
    assert isinstance(outcome, Session if welcome else Refused)
    assert len(net.sessions) == welcome
    if not welcome:
        assert isinstance(outcome, ConnectionRefusedError)


def test_an_accept_that_raises_is_heard_and_asked_again() -> None:
    answers = iter([RuntimeError("no database"), True])

    def may_enter(_: bytes) -> bool:
        answer = next(answers)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    net = network(accept=may_enter)
    with pytest.raises(RuntimeError, match="no database"):
        net.run()
    agree(net)


@pytest.mark.parametrize(
    ("ours", "theirs", "text"),
    [(GROUP, None, "the peer has none"), (None, GROUP, "we have none"), (GROUP, b"x" * 32, "another pre-shared key")],
)
def test_another_group_is_told_apart(ours: bytes | None, theirs: bytes | None, text: str) -> None:
    net = network(alice={"psk": ours}, bob={"psk": theirs})
    outcome = net.run()
    assert isinstance(outcome, WrongPreSharedKey)
    assert text in str(outcome)
    assert net.sessions == []
    assert net.now < FIRST_WAIT


def test_a_verdict_cannot_be_forged() -> None:
    """Rule 5: whoever is on the path cannot say welcome, refused or wrong group in Bob's name, not even by replaying."""
    datagrams = recorded()
    net = network()
    while not any(datagram[0] == Kind.FINISH for _, datagram in net.sent):
        net.step()
    forgeries = [encode_verdict(net.alice.connection_id, 1, code, bytes(32), net.sent[-1][1]) for code in Code]
    verdict = net.bob.receive(net.sent[-1][1], ALICE, net.now)
    assert verdict is not None
    forgeries += [datagrams[5][:1] + net.alice.connection_id + datagrams[5][9:-1] + b"x"]
    forgeries += [verdict[:11] + bytes([code]) + verdict[12:] for code in (Code.REFUSED, Code.WRONG_PRE_SHARED_KEY, 3)]
    for forgery in forgeries:
        net.alice.receive(forgery, net.now)
        assert net.alice.outcome is None
    net.alice.receive(verdict, net.now)
    assert isinstance(net.alice.outcome, Session)


def test_a_responder_outside_the_group_cannot_say_welcome() -> None:
    """Rule 5: WELCOME is told under a key that the pre-shared key went into."""
    alice, bob = Initiator(config(1, psk=GROUP), now=0.0), Listener(config(2, psk=b"x" * 32), now=0.0)
    reply = bob.receive(proved_hello(alice, bob), ALICE, 0.0)
    assert reply is not None
    finish = alice.receive(reply, 0.0)
    assert finish is not None
    verdict = bob.receive(finish, ALICE, 0.0)
    assert verdict is not None
    [place] = bob._places.values()
    assert place.responder._noise is not None
    early = place.responder._noise.export(b"sleepy.udp verdict")  # all the key such a responder has
    for code in (Code.WELCOME, Code.REFUSED):
        assert alice.receive(encode_verdict(alice.connection_id, 1, code, early, finish), 0.0) is None
        assert alice.outcome is None
    alice.receive(verdict, 0.0)
    assert isinstance(alice.outcome, WrongPreSharedKey)


# --- rule 6: both dial ------------------------------------------------------------------------------------------------


def both_dial(delays: list[float], lost: list[bool], head_start: float) -> tuple[list[Session], list[object]]:
    """Two nodes that dial each other; returns the sessions that came about, and what the two dials got."""
    dials: list[Initiator | None] = [None, None]
    got: list[list[Session]] = [[], []]
    addresses = [("10.0.0.1", 1), ("10.0.0.2", 2)]
    configs = [config(seed) for seed in (1, 2)]
    waiting: list[tuple[float, int, int, bytes]] = []
    sent = 0
    now = 0.0

    def yields(me: int) -> Callable[[tuple[str, int], bytes], bool]:
        def decide(_address: tuple[str, int], key: bytes) -> bool:
            dial = dials[me]
            return dial is None or dial.yield_to(key)

        return decide

    listeners = [Listener(configs[me], now=0.0, yields=yields(me)) for me in (0, 1)]

    def send(me: int, datagram: bytes | None) -> None:
        nonlocal sent
        if datagram is not None:
            if not lost[sent % len(lost)]:
                waiting.append((now + 0.01 + delays[sent % len(delays)], sent, 1 - me, datagram))
                waiting.sort()
            sent += 1

    while now < 20.0:
        for me, start in ((0, 0.0), (1, head_start)):
            if dials[me] is None and now >= start:
                expect = configs[1 - me].identity.public_key
                dials[me] = Initiator(configs[me], now=now, timeout=10.0, expect=expect)
                if got[me]:  # connected already: the node need not dial
                    dials[me].adopt(got[me][0])
            dial = dials[me]
            if dial is not None:
                send(me, dial.on_time(now))
        if waiting and waiting[0][0] <= now:
            _, _, me, datagram = waiting.pop(0)
            dial = dials[me]
            if datagram[0] in {Kind.HELLO, Kind.FINISH}:
                send(me, listeners[me].receive(datagram, addresses[1 - me], now))
                for session, _ in listeners[me].take_sessions():
                    got[me].append(session)
                    if dial is not None and dial.outcome is None:
                        dial.adopt(session)
            elif dial is not None:
                before = dial.outcome
                send(me, dial.receive(datagram, now))
                if before is None and isinstance(dial.outcome, Session):
                    got[me].append(dial.outcome)
        if all(dial is not None and dial.outcome is not None for dial in dials) and not waiting:
            break
        times = [dial.next_timeout for dial in dials if dial is not None] + [head_start] * (dials[1] is None)
        now = max(now, min([*times, *(arrival for arrival, *_ in waiting)]))
    return got[0] + got[1], [dial.outcome for dial in dials if dial is not None]


@settings(max_examples=60)
@given(
    delays=lists(floats(0, 0.2), min_size=1, max_size=7),
    lost=lists(booleans(), max_size=7).map(lambda some: [*some, False]),
    head_start=floats(0, 0.5),
)
def test_both_dial_and_one_connection_comes_of_it(delays: list[float], lost: list[bool], head_start: float) -> None:
    """Rule 6: whatever arrives when, both dials get the same session, and no other is made."""
    sessions, outcomes = both_dial(delays, lost, head_start)
    if any(isinstance(outcome, HandshakeTimeout) for outcome in outcomes):
        assert sum(lost) > 0  # bad luck with the same datagrams every time
    else:
        assert all(isinstance(outcome, Session) for outcome in outcomes), outcomes
        assert len({session.transcript for session in sessions}) == 1
        assert len(sessions) == 2


def test_the_lower_key_yields_and_the_higher_does_not() -> None:
    """Rule 6: exactly one of two, and nobody to itself."""
    dials = [Initiator(config(seed), now=0.0) for seed in (1, 2)]
    keys = []
    for dial in dials:
        hello = dial.on_time(0.0)
        assert hello is not None
        keys.append(ephemeral(hello))
        assert not dial.yield_to(keys[-1])
    low, high = (0, 1) if keys[0] < keys[1] else (1, 0)
    assert dials[low].yield_to(keys[high])
    assert not dials[high].yield_to(keys[low])
    assert dials[low].on_time(1.0) is None  # silent from now on
    assert dials[low].next_timeout == 5.0
    assert dials[high].on_time(1.0) is not None
    assert dials[low].yield_to(bytes(32))  # having yielded, it answers whatever comes


def test_an_initiator_with_its_reply_does_not_yield() -> None:
    """Rule 6: the other has answered already."""
    net = network()
    while kinds(net)[-1:] != ["FINISH"]:
        net.step()
    assert not net.alice.yield_to(b"\xff" * 32)
    agree(net)
    assert net.alice.yield_to(b"\xff" * 32)  # now it is over, and a new HELLO is nothing to this dial


def test_an_adopted_session_must_be_the_expected_peers() -> None:
    session = agree(network())
    right = Initiator(config(1), now=0.0, expect=session.public_key)
    right.adopt(session)
    assert right.outcome is session
    wrong = Initiator(config(1), now=0.0, expect=config(3).identity.public_key)
    wrong.adopt(session)
    assert isinstance(wrong.outcome, WrongKey)


# --- misuse -----------------------------------------------------------------------------------------------------------


def test_an_expected_key_has_its_size() -> None:
    with pytest.raises(ValueError, match="expect has 5 bytes"):
        Initiator(config(1), now=0.0, expect=b"alice")


def test_a_responder_reads_only_what_is_addressed_to_it() -> None:
    alice, bob = Initiator(config(1), now=0.0), Listener(config(2), now=0.0)
    hello = Hello.decode(proved_hello(alice, bob))
    assert hello is not None
    responder = Responder(config(2), hello, b"8 bytes.")
    finish = alice.receive(responder.reply, 0.0)
    assert finish is not None
    for forged in (b"\0" + finish[1:], finish[:1] + b"another." + finish[9:], finish[:9] + b"\2\0" + finish[11:]):
        assert responder.receive(forged, lambda _: True) is None
    assert responder.receive(finish, lambda _: True) is not None
    assert isinstance(responder.outcome, Session)
