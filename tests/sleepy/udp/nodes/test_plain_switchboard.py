"""The rules of sleepy/udp/nodes/plain_switchboard.py."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis.strategies import booleans, floats, lists

from sleepy.udp.address import Address
from sleepy.udp.connections.connection_errors import TimedOut, WentAway
from tests.sleepy.udp.exchange import ALICE, BOB, EVE, Exchange, plain


def together(caller: Address = ALICE, called: Address = BOB) -> Exchange:
    exchange = Exchange(alice=plain(1), bob=plain(2))
    exchange.dial(caller, called)
    exchange.run(1)
    return exchange


def test_a_dial_connects_both_sides() -> None:
    """Rule 2: each when it has heard the other."""
    exchange = Exchange(alice=plain(1), bob=plain(2))
    dial = exchange.dial(ALICE, BOB)
    exchange.run(0.015)
    assert not exchange.events[ALICE]
    exchange.run(1)
    (dialled,), (accepted,) = exchange.connected(ALICE), exchange.connected(BOB)
    assert dialled.dial is dial
    assert accepted.dial is None
    assert dialled.line.public_key == accepted.line.public_key == b""
    assert exchange.boards[ALICE].line_to(BOB) is dialled.line
    exchange.talk(dialled.line, accepted.line)


def test_a_busy_peer_may_answer_late() -> None:
    """Its hello comes with an ack that was held back for a while, and is known all the same."""
    exchange = Exchange(alice=plain(1), bob=plain(2))
    exchange.dial(ALICE, BOB)
    exchange.flush(ALICE)
    ((_, _, _, hello),) = exchange.sent
    exchange.boards[BOB].receive([hello], ALICE, 0.0)
    exchange.now = 0.005
    exchange.flush(BOB)
    exchange.run(0.1)
    assert len(exchange.connected(ALICE)) == 1


@settings(max_examples=40, deadline=None)
@given(
    late=lists(floats(0, 0.1), min_size=1, max_size=5),
    lost=lists(booleans(), min_size=3, max_size=9),
    head_start=floats(0, 0.2),
)
def test_two_dials_become_one_connection(late: list[float], lost: list[bool], head_start: float) -> None:
    """Rule 1: whoever hears first, whatever is lost at the beginning."""
    exchange = Exchange(alice=plain(1), bob=plain(2))
    count = 0

    def tamper(datagram: bytes, _here: Address, _there: Address) -> list[tuple[float, bytes]]:
        nonlocal count
        count += 1
        return [] if count < 6 and lost[count % len(lost)] else [(late[count % len(late)], datagram)]

    exchange.tamper = tamper
    exchange.dial(ALICE, BOB, timeout=9.0)
    exchange.run(head_start)
    if exchange.boards[BOB].line_to(ALICE) is None:
        exchange.dial(BOB, ALICE, timeout=9.0)
    exchange.run(10)
    (one,), (two,) = exchange.connected(ALICE), exchange.connected(BOB)
    exchange.talk(one.line, two.line)


def test_a_dial_in_vain_ends_in_its_time() -> None:
    """Rule 2: and leaves nothing."""
    exchange = Exchange(alice=plain(1))
    dial = exchange.dial(ALICE, BOB, timeout=3.0)
    exchange.run(2.9)
    assert not exchange.events[ALICE]
    exchange.run(0.2)
    (failed,) = exchange.failures(ALICE)
    assert failed.dial is dial
    assert isinstance(failed.error, TimedOut)
    assert len(exchange.boards[ALICE]) == 0
    assert exchange.boards[ALICE].next_wakeup == inf


def test_invented_hellos_are_forgotten() -> None:
    """Rule 2: in this mode anybody can make us keep something, but not for ever."""
    exchange = together()
    hello = next(datagram for _, here, _, datagram in exchange.sent if here == ALICE)
    for port in range(20):
        exchange.post(("10.7.7.7", port), BOB, hello)
    exchange.run(1)
    assert len(exchange.connected(BOB)) == 21
    exchange.run(10)
    assert len(exchange.boards[BOB]) == 21
    exchange.run(60)
    assert len(exchange.boards[BOB]) == 1
    exchange.talk(exchange.connected(ALICE)[0].line, exchange.connected(BOB)[0].line)


def test_half_a_hello_is_no_peer() -> None:
    """Rule 2: its sender is told, and it is over; meanwhile its address can be called."""
    exchange = together()
    hello = next(datagram for _, here, _, datagram in exchange.sent if here == ALICE)
    exchange.post(EVE, BOB, hello[:20])
    exchange.run(10)
    assert len(exchange.boards[BOB]) == len(exchange.connected(BOB)) == 1
    exchange.post(EVE, BOB, hello[:20])
    exchange.run(0.02)
    exchange.join(EVE, plain(3))
    exchange.dial(BOB, EVE)
    exchange.run(10)
    assert [event.line.address for event in exchange.connected(BOB)] == [ALICE, EVE]
    exchange.talk(exchange.connected(BOB)[1].line, exchange.connected(EVE)[0].line)
    exchange.run(100)
    assert exchange.boards[BOB].lines() == [event.line for event in exchange.connected(BOB)]


def test_only_a_hello_begins_anything() -> None:
    exchange = together()
    packets = [datagram for _, here, _, datagram in exchange.sent if here == ALICE]
    line = exchange.connected(ALICE)[0].line
    line.connection.send(b"a message")
    exchange.boards[ALICE].touch(line)
    exchange.run(1)
    message = next(datagram for _, _, _, datagram in exchange.sent if b"a message" in datagram)
    for datagram in (message, b"", b"\0", bytes(2000), *(packet[:5] for packet in packets)):
        exchange.post(EVE, BOB, datagram)
    exchange.run(1)
    assert len(exchange.boards[BOB]) == 1


def test_accept_may_refuse_an_address() -> None:
    exchange = Exchange(alice=plain(1), bob=plain(2, accept=lambda key, address: key != b"" or address == EVE))
    exchange.dial(ALICE, BOB, timeout=2.0)
    exchange.run(3)
    assert len(exchange.failures(ALICE)) == 1
    assert len(exchange.boards[BOB]) == 0


def test_a_dial_that_is_hung_up_leaves_nothing() -> None:
    exchange = Exchange(alice=plain(1))
    dial = exchange.dial(ALICE, BOB)
    exchange.run(0.1)
    exchange.boards[ALICE].hang_up(dial)
    exchange.boards[ALICE].hang_up(dial)
    exchange.run(1)
    assert not exchange.events[ALICE]
    assert len(exchange.boards[ALICE]) == 0
    assert exchange.boards[ALICE].next_wakeup == inf


def test_hanging_up_too_late_changes_nothing() -> None:
    exchange = together()
    (dialled,) = exchange.connected(ALICE)
    assert dialled.dial is not None
    exchange.boards[ALICE].hang_up(dialled.dial)
    exchange.talk(dialled.line, exchange.connected(BOB)[0].line)


def test_a_restarted_peer_replaces_what_was_before() -> None:
    exchange = together()
    (old,) = exchange.connected(BOB)
    exchange.boards[ALICE] = plain(3)
    exchange.dial(ALICE, BOB)
    exchange.run(3)
    assert isinstance(exchange.closed[old.line], WentAway)
    exchange.talk(exchange.connected(ALICE)[1].line, exchange.connected(BOB)[1].line)


@pytest.mark.parametrize("to", [ALICE, BOB])
@pytest.mark.parametrize("again", [False, True])
def test_late_hellos_change_nothing_and_a_restart_is_noticed_all_the_same(to: Address, again: bool) -> None:
    """Rule 4 of plain: whoever called, and whoever is called again."""
    exchange = together()
    other = BOB if to == ALICE else ALICE
    hello = next(datagram for _, here, _, datagram in exchange.sent if here == other)
    for seed, here in enumerate((ALICE, BOB)):
        exchange.boards[here] = plain(10 + seed)
    exchange.dial(ALICE, BOB)
    exchange.run(3)
    one, two = (exchange.connected(here)[1].line for here in (ALICE, BOB))
    for _ in range(10):
        exchange.post(other, to, hello)
        exchange.run(0.3)
    assert one not in exchange.closed
    assert two not in exchange.closed
    exchange.talk(one, two)
    if again:
        exchange.boards[other] = plain(20)
        exchange.dial(other, to)
        exchange.run(4)
        assert isinstance(exchange.closed[one if to == ALICE else two], WentAway)
        exchange.talk(exchange.connected(other)[-1].line, exchange.connected(to)[-1].line)


def test_a_late_hello_that_comes_first_ends_what_has_hardly_begun() -> None:
    """Rule 5 of plain: both sides hear of it at once, and the next call gets through."""
    exchange = together(caller=BOB, called=ALICE)
    hello = next(datagram for _, here, _, datagram in exchange.sent if here == BOB)
    for seed, here in enumerate((ALICE, BOB)):
        exchange.boards[here] = plain(10 + seed)
    exchange.dial(ALICE, BOB)
    exchange.post(BOB, ALICE, hello, delay=0.001)
    exchange.run(1)
    deceived = exchange.connected(ALICE)[1].line
    assert isinstance(exchange.closed[deceived], WentAway)
    exchange.dial(ALICE, BOB)
    exchange.run(5)
    exchange.talk(exchange.connected(ALICE)[-1].line, exchange.connected(BOB)[-1].line)


def test_a_late_answer_to_an_earlier_call_deceives_nobody() -> None:
    """Rule 5 of plain: it bears another's tag."""
    exchange = together()
    answer = next(datagram for _, here, _, datagram in exchange.sent if here == BOB)
    for seed, here in enumerate((ALICE, BOB)):
        exchange.boards[here] = plain(10 + seed)
    exchange.dial(ALICE, BOB)
    exchange.post(BOB, ALICE, answer, delay=0.001)
    exchange.run(1)
    one, two = (exchange.connected(here)[1].line for here in (ALICE, BOB))
    assert not exchange.closed.keys() & {one, two}
    exchange.talk(one, two)


def test_a_call_behind_one_that_was_given_up_gets_through() -> None:
    """By who was started anew in the same moment, say: the answer to the first call is none to the second."""
    exchange = Exchange(alice=plain(1), bob=plain(2))
    exchange.dial(ALICE, BOB)
    exchange.run(0)
    exchange.boards[ALICE] = plain(3)
    exchange.dial(ALICE, BOB)
    exchange.run(3)
    (one,) = exchange.connected(ALICE)
    first, second = exchange.connected(BOB)
    assert isinstance(exchange.closed[first.line], WentAway)
    exchange.talk(one.line, second.line)


def test_nobody_can_be_expected() -> None:
    with pytest.raises(ValueError, match="plain"):
        plain(1).dial(BOB, 0.0, timeout=1.0, expect=bytes(32))
