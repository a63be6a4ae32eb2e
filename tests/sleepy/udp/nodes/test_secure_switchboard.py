"""The rules of sleepy/udp/nodes/secure_switchboard.py, and what strangers can do to it."""

import gc
import random
import tracemalloc
from collections.abc import Iterable
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis.strategies import booleans, data, floats, integers, lists, one_of, sampled_from, tuples

from sleepy.udp.address import Address
from sleepy.udp.connections.connection_config import ConnectionConfig
from sleepy.udp.connections.connection_errors import ChannelMismatch, WentAway
from sleepy.udp.delivery.channels.config import ChannelConfig
from sleepy.udp.nodes.secure_switchboard import CROSSING, LONGEST_DIAL
from sleepy.udp.security.handshake import Initiator
from sleepy.udp.security.handshake_wire import Kind
from sleepy.udp.security.identity import Identity
from sleepy.udp.security.protection import PROTECTED
from sleepy.udp.security.session import HandshakeConfig, HandshakeTimeout, Refused
from tests.sleepy.udp.exchange import ALICE, BOB, DELAY, EVE, Exchange, key, secure

HIGH, LOW = sorted((1, 2), key=key, reverse=True)  # the seed of the higher key, and of the lower


def together(seed: int = 1, **options: object) -> Exchange:
    """Alice and Bob are connected, Alice having called."""
    exchange = Exchange(alice=secure(seed), bob=secure(3 - seed, **options))
    exchange.dial(ALICE, BOB)
    exchange.run(1)
    assert len(exchange.connected(ALICE)) == len(exchange.connected(BOB)) == 1
    return exchange


# --- dials ------------------------------------------------------------------------------------------------------------


def test_a_dial_connects_both_sides() -> None:
    """Each knows who the other is, and the dialler how long a round trip takes."""
    exchange = together()
    (dialled,), (accepted,) = exchange.connected(ALICE), exchange.connected(BOB)
    assert dialled.dial is not None
    assert accepted.dial is None
    assert dialled.line.public_key == key(2)
    assert accepted.line.public_key == key(1)
    assert dialled.line.connection.statistics().rtt == pytest.approx(2 * DELAY)
    assert exchange.boards[ALICE].line_to(BOB) is dialled.line
    assert exchange.boards[BOB].line_to(ALICE) is accepted.line
    exchange.talk(dialled.line, accepted.line)


def test_a_round_trip_is_not_measured_on_copies() -> None:
    """Karn's rule: the first HELLO and the first FINISH are lost, and what is measured is true all the same."""
    exchange = Exchange(alice=secure(1), bob=secure(2))
    lost: set[int] = set()

    def tamper(datagram: bytes, _here: Address, _there: Address) -> list[tuple[float, bytes]]:
        if datagram[0] in {Kind.HELLO, Kind.FINISH} and datagram[0] not in lost:
            lost.add(datagram[0])
            return []
        return [(0.0, datagram)]

    exchange.tamper = tamper
    exchange.dial(ALICE, BOB)
    exchange.run(2)
    (dialled,) = exchange.connected(ALICE)
    assert lost == {Kind.HELLO, Kind.FINISH}
    assert dialled.line.connection.statistics().rtt == pytest.approx(2 * DELAY)


def test_a_round_trip_is_not_measured_from_the_second_copy() -> None:
    """Karn's rule: the answer to the first HELLO comes just after the second was sent, and is not taken for its answer."""
    exchange = Exchange(alice=secure(1), bob=secure(2))
    exchange.tamper = lambda datagram, _here, _there: [(0.12, datagram)]
    exchange.dial(ALICE, BOB)
    exchange.run(2)
    (dialled,) = exchange.connected(ALICE)
    assert dialled.line.connection.statistics().rtt > 0.2  # not 0.01


def test_a_dial_that_is_hung_up_leaves_nothing() -> None:
    exchange = Exchange(alice=secure(1))
    dial = exchange.dial(ALICE, BOB, expect=key(2))
    exchange.run(0.1)
    exchange.boards[ALICE].hang_up(dial)
    exchange.boards[ALICE].hang_up(dial)
    exchange.run(20)
    assert exchange.events[ALICE] == []
    assert exchange.boards[ALICE].next_wakeup == inf
    board = exchange.boards[ALICE]
    assert not board._dials  # type: ignore[attr-defined]
    assert not board._dials_to  # type: ignore[attr-defined]
    assert not board._dials_for  # type: ignore[attr-defined]


def test_a_dial_in_vain_says_so_in_time() -> None:
    exchange = Exchange(alice=secure(1))
    dial = exchange.dial(ALICE, BOB, timeout=3.0)
    exchange.run(2.9)
    assert not exchange.events[ALICE]
    exchange.run(0.2)
    (failed,) = exchange.failures(ALICE)
    assert failed.dial is dial
    assert isinstance(failed.error, HandshakeTimeout)


def test_other_channels_end_the_dial_and_bother_nobody() -> None:
    two = ConnectionConfig(channels=(ChannelConfig(), ChannelConfig()))
    exchange = Exchange(alice=secure(1), bob=secure(2, config=two))
    exchange.dial(ALICE, BOB)
    exchange.run(1)
    (failed,) = exchange.failures(ALICE)
    assert isinstance(failed.error, ChannelMismatch)
    assert not exchange.events[BOB]
    assert len(exchange.boards[ALICE]) == len(exchange.boards[BOB]) == 0


def test_the_dialler_learns_that_it_is_refused() -> None:
    exchange = Exchange(alice=secure(1), bob=secure(2, accept=lambda _key, address: address != ALICE))
    exchange.dial(ALICE, BOB)
    exchange.run(1)
    assert [type(failed.error) for failed in exchange.failures(ALICE)] == [Refused]


# --- rules 1 to 4: two sessions with one key --------------------------------------------------------------------------


def one_connection_each(exchange: Exchange) -> None:
    """Whatever came about on the way: in the end both have one line, and it is the same."""
    alice, bob = exchange.boards[ALICE], exchange.boards[BOB]
    exchange.run(2 * LONGEST_DIAL)
    lines = [[line for line in board.lines() if line.connection.is_open] for board in (alice, bob)]
    assert [len(each) for each in lines] == [1, 1]
    exchange.talk(lines[0][0], lines[1][0])


@settings(max_examples=40, deadline=None)
@given(
    late=lists(floats(0, 0.1), min_size=1, max_size=5),
    lost=lists(sampled_from([False, False, True]), min_size=1, max_size=9),
    head_start=floats(0, 0.2),
    swapped=booleans(),
)
def test_two_dials_become_one_handshake(late: list[float], lost: list[bool], head_start: float, swapped: bool) -> None:
    """Rule 1: both dials get the same connection, and neither side sees another peer."""
    exchange = Exchange(alice=secure(1 + swapped), bob=secure(2 - swapped))
    count = 0

    def tamper(datagram: bytes, _here: Address, _there: Address) -> list[tuple[float, bytes]]:
        nonlocal count
        count += 1
        gone = count < 12 and lost[count % len(lost)]
        return [] if gone else [(late[count % len(late)], datagram)]

    exchange.tamper = tamper
    exchange.dial(ALICE, BOB, timeout=LONGEST_DIAL)
    exchange.run(head_start)
    if exchange.boards[BOB].line_to(ALICE) is None:
        exchange.dial(BOB, ALICE, timeout=LONGEST_DIAL)
    one_connection_each(exchange)
    assert not exchange.failures(ALICE)
    assert not exchange.failures(BOB)
    assert len(exchange.connected(ALICE)) == len(exchange.connected(BOB)) == 1


@settings(max_examples=40, deadline=None)
@given(
    late=lists(floats(0, 0.06), min_size=1, max_size=6),
    head_start=one_of(floats(0, 0.15), floats(0, 3 * CROSSING)),
    swapped=booleans(),
    expecting=tuples(booleans(), booleans()),
)
def test_two_dials_from_behind_routers_become_one_connection(
    late: list[float], head_start: float, swapped: bool, expecting: tuple[bool, bool]
) -> None:
    """Rules 2 and 3: each calls from another address than it is called at; one line each is left, and it is the same."""
    exchange = Exchange(alice=secure(1 + swapped), bob=secure(2 - swapped))
    exchange.aliases = {(ALICE, BOB): ("192.0.2.1", 1), (BOB, ALICE): ("192.0.2.2", 2)}
    count = 0

    def tamper(datagram: bytes, _here: Address, _there: Address) -> list[tuple[float, bytes]]:
        nonlocal count
        count += 1
        return [(late[count % len(late)], datagram)]

    exchange.tamper = tamper
    exchange.dial(ALICE, BOB, timeout=LONGEST_DIAL, expect=key(2 - swapped) if expecting[0] else None)
    exchange.run(head_start)
    exchange.dial(BOB, ALICE, timeout=LONGEST_DIAL, expect=key(1 + swapped) if expecting[1] else None)
    one_connection_each(exchange)


@settings(max_examples=60, deadline=None)
@given(
    late=lists(floats(0, 0.1), min_size=1, max_size=6),
    lost=lists(sampled_from([False, False, True]), min_size=1, max_size=9),
    head_start=floats(0, 0.4),
    swapped=booleans(),
)
def test_nobody_who_crossed_gets_a_peer_that_ends(
    late: list[float], lost: list[bool], head_start: float, swapped: bool
) -> None:
    """Rule 3: both were told by the rendezvous server whom to expect; whatever is late or lost, what a dial brings lives."""
    exchange = Exchange(alice=secure(1 + swapped), bob=secure(2 - swapped))
    exchange.aliases = {(ALICE, BOB): ("192.0.2.1", 1), (BOB, ALICE): ("192.0.2.2", 2)}
    count = 0

    def tamper(datagram: bytes, _here: Address, _there: Address) -> list[tuple[float, bytes]]:
        nonlocal count
        count += 1
        gone = count < 12 and lost[count % len(lost)]
        return [] if gone else [(late[count % len(late)], datagram)]

    exchange.tamper = tamper
    exchange.dial(ALICE, BOB, timeout=LONGEST_DIAL, expect=key(2 - swapped))
    exchange.run(head_start)
    if not exchange.boards[BOB].lines():
        exchange.dial(BOB, ALICE, timeout=LONGEST_DIAL, expect=key(1 + swapped))
    one_connection_each(exchange)
    assert not exchange.closed
    assert not exchange.failures(ALICE)
    assert not exchange.failures(BOB)


def test_a_dial_takes_the_peer_that_it_expects_from_wherever_it_calls() -> None:
    """Rule 2: nobody is at the address that we call; the peer with that key calls us, and is found where it is."""
    exchange = Exchange(alice=secure(1), bob=secure(2))
    dial = exchange.dial(ALICE, EVE, expect=key(2))
    exchange.run(0.1)
    exchange.dial(BOB, ALICE)
    exchange.run(1)
    (dialled,) = exchange.connected(ALICE)
    assert dialled.dial is dial
    assert dialled.line.address == BOB
    exchange.talk(dialled.line, exchange.connected(BOB)[0].line)


def test_a_restarted_peer_replaces_what_was_before() -> None:
    """Rule 4: at once, and again and again; and a peer that has left leaves no trace."""
    exchange = together(1)
    for life in (2, 3, 4):
        old = exchange.connected(BOB)[-1]
        exchange.boards[ALICE] = secure(1, exchange.now, life=life)  # it has forgotten everything
        exchange.dial(ALICE, BOB)
        exchange.run(1)
        assert isinstance(exchange.closed[old.line], WentAway)
        new = exchange.connected(BOB)[-1]
        assert exchange.boards[BOB].lines() == [new.line]
    assert exchange.boards[BOB].line_to(ALICE) is new.line
    exchange.talk(new.line, exchange.connected(ALICE)[-1].line)
    new.line.connection.close(exchange.now)
    exchange.boards[BOB].touch(new.line)
    exchange.run(20)
    assert len(exchange.boards[BOB]) == 0
    assert not exchange.boards[BOB]._by_key  # type: ignore[attr-defined]
    exchange.boards[BOB].touch(new.line)  # whoever still holds it does no harm
    exchange.run(1)


@pytest.mark.parametrize("seed", [HIGH, LOW])
def test_a_peer_that_we_called_and_that_was_restarted_is_noticed(seed: int) -> None:
    """Rule 4, in the other role: it calls us, from the address where we called it; rule 3 is not about that."""
    exchange = together(seed)
    (old,) = exchange.connected(ALICE)
    exchange.boards[BOB] = secure(3 - seed, exchange.now, life=2)
    exchange.dial(BOB, ALICE)
    exchange.run(1)
    assert isinstance(exchange.closed[old.line], WentAway)
    exchange.talk(exchange.connected(ALICE)[1].line, exchange.connected(BOB)[-1].line)


@pytest.mark.parametrize("wait", [0.0, CROSSING + 1])
def test_a_call_that_crossed_ours_is_dropped_and_a_later_one_is_not(wait: float) -> None:
    """Rule 3: from another address than the one we called, with the lower key, within the time; then it counts again."""
    exchange = Exchange(alice=secure(HIGH), bob=secure(LOW))
    exchange.dial(ALICE, BOB)
    exchange.run(0.5)
    (ours,) = exchange.connected(ALICE)
    exchange.run(wait)
    exchange.join(EVE, secure(LOW, exchange.now, life=2))  # Bob's key, elsewhere
    exchange.dial(EVE, ALICE)
    exchange.run(1)
    assert (ours.line in exchange.closed) == (wait > CROSSING)


def test_a_dial_does_not_take_a_line_that_may_be_stale() -> None:
    """Rules 2 and 4: the peer was started anew, elsewhere, and we think that it is still where it was."""
    exchange = together()
    (old,) = exchange.connected(ALICE)
    exchange.run(4 * CROSSING)
    del exchange.boards[BOB]
    exchange.join(EVE, secure(2, exchange.now, life=2))
    dial = exchange.dial(ALICE, EVE)
    exchange.run(1)
    new = exchange.connected(ALICE)[1]
    assert new.dial is dial
    assert new.line.address == EVE
    assert isinstance(exchange.closed[old.line], WentAway)


def test_a_peer_that_has_moved_is_found_at_its_new_address() -> None:
    exchange = together()
    (accepted,) = exchange.connected(BOB)
    (dialled,) = exchange.connected(ALICE)
    exchange.aliases[ALICE, BOB] = EVE
    exchange.talk(dialled.line, accepted.line)
    assert accepted.line.address == EVE
    assert exchange.boards[BOB].line_to(EVE) is accepted.line
    assert exchange.boards[BOB].line_to(ALICE) is None


# --- strangers --------------------------------------------------------------------------------------------------------


def hello(seed: int) -> bytes:
    """A HELLO of somebody."""
    randoms = random.Random(seed).randbytes
    config = HandshakeConfig(identity=Identity.generate(randoms), random_bytes=randoms)
    datagram = Initiator(config, now=0.0).on_time(0.0)
    assert datagram is not None
    return datagram


def test_nobody_is_hit_by_more_bytes_than_were_sent_in_his_name() -> None:
    """Amplification: whatever comes with an invented address, all answers together are shorter."""
    exchange = together()
    board = exchange.boards[BOB]
    captured = [datagram for _, here, _, datagram in exchange.sent if here == ALICE]
    randoms = random.Random(1)
    stimuli = [hello(seed) for seed in range(20)] + captured + [randoms.randbytes(size) for size in range(1, 1500, 7)]
    stimuli += [bytes([kind]) + randoms.randbytes(1300) for kind in range(256)]
    for stimulus in stimuli:
        board.receive([stimulus], EVE, exchange.now)
        answers = [datagram for there, batch in board.flush(exchange.now) if there == EVE for datagram in batch]
        assert sum(map(len, answers)) < len(stimulus)
    exchange.run(30)
    to_eve = exchange.bytes_between(BOB, EVE)
    assert to_eve == 0  # and nothing is sent there later
    assert len(board) == 1


def test_a_flood_of_hellos_keeps_nothing() -> None:
    """From invented addresses: no line, no place, no memory; those who are connected do not notice."""
    exchange = together()
    board = exchange.boards[BOB]
    flood = [hello(seed) for seed in range(50)]
    randoms = random.Random(1)

    def wave(count: int) -> None:
        for number in range(count):
            address = (f"10.{randoms.randrange(256)}.{randoms.randrange(256)}.9", randoms.randrange(65536))
            board.receive([flood[number % 50]], address, exchange.now)
            if number % 20 == 0:
                for _ in board.flush(exchange.now):
                    pass
        for _ in board.flush(exchange.now):
            pass

    wave(200)
    gc.collect()
    tracemalloc.start()
    wave(200)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    wave(2000)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 10_000
    assert len(board) == 1
    exchange.talk(exchange.connected(ALICE)[0].line, exchange.connected(BOB)[0].line)


def test_answers_to_strangers_do_not_pile_up() -> None:
    """Rule 3 of the switchboard: if the socket takes nothing, the answers to a flood are bounded."""
    board = secure(2)
    datagram = hello(1)
    for number in range(5000):
        board.receive([datagram], ("10.9.9.9", number), 0.0)
    assert sum(len(batch) for _, batch in board.flush(0.0)) == 1024


def test_half_open_handshakes_are_bounded() -> None:
    """A host that proves its address and never finishes, a thousand times over, gets a quarter of the places."""
    exchange = together()
    board = exchange.boards[BOB]
    for seed in range(300, 700):
        randoms = random.Random(seed).randbytes
        config = HandshakeConfig(identity=Identity.generate(randoms), random_bytes=randoms)
        dial = Initiator(config, now=exchange.now)
        datagram = dial.on_time(exchange.now)
        while datagram is not None and datagram[0] != Kind.FINISH:
            board.receive([datagram], EVE, exchange.now)
            answers = [each for _, batch in board.flush(exchange.now) for each in batch]
            datagram = dial.receive(answers[0], exchange.now) if answers else None
    assert len(board) == 1
    assert len(board._listener) <= 256 + 1  # type: ignore[attr-defined]
    exchange.talk(exchange.connected(ALICE)[0].line, exchange.connected(BOB)[0].line)
    exchange.run(2 * LONGEST_DIAL)
    assert len(board._listener) == 0  # type: ignore[attr-defined]


def test_replayed_traffic_says_nothing_twice() -> None:
    """All that Alice ever sent comes again, from her address and from another: no peer, no message, no change."""
    exchange = together()
    (dialled,), (accepted,) = exchange.connected(ALICE), exchange.connected(BOB)
    for number in range(20):
        dialled.line.connection.send(b"%d" % number)
        exchange.boards[ALICE].touch(dialled.line)
        exchange.run(0.1)
    while accepted.line.connection.read() is not None:
        pass
    captured = [datagram for _, here, there, datagram in exchange.sent if (here, there) == (ALICE, BOB)]
    for sender in (ALICE, EVE):
        for datagram in captured:
            exchange.post(sender, BOB, datagram)
        exchange.run(5)
    exchange.run(20)  # the cookies and places of the first time are over
    for datagram in captured:
        exchange.post(ALICE, BOB, datagram)
    exchange.run(5)
    assert accepted.line.connection.read() is None
    assert exchange.connected(BOB) == [accepted]
    assert accepted.line.address == ALICE
    assert exchange.boards[BOB].lines() == [accepted.line]
    assert accepted.line.connection.is_open


@settings(max_examples=50, deadline=None)
@given(data())
def test_truncated_and_flipped_handshakes_only_delay(draws: object) -> None:
    """Every datagram of the handshake comes in pieces, too, and with bits turned; the dial succeeds, with the true peer."""
    exchange = Exchange(alice=secure(1), bob=secure(2))

    def tamper(datagram: bytes, _here: Address, _there: Address) -> Iterable[tuple[float, bytes]]:
        if datagram[0] >= PROTECTED:
            return [(0.0, datagram)]
        draw = draws.draw  # type: ignore[attr-defined]
        cut = draw(integers(0, len(datagram) - 1))
        bit = draw(integers(0, 8 * min(len(datagram), 200) - 1))
        flipped = bytearray(datagram)
        flipped[bit // 8] ^= 1 << bit % 8
        bad = [datagram[:cut], bytes(flipped), datagram + b"more"[: draw(integers(0, 4))]]
        return [(draw(floats(0, 0.02)), copy) for copy in [*bad, datagram, *bad]]

    exchange.tamper = tamper
    exchange.dial(ALICE, BOB, expect=key(2))
    exchange.run(6)
    assert not exchange.failures(ALICE)
    (dialled,), (accepted,) = exchange.connected(ALICE), exchange.connected(BOB)
    assert (dialled.line.public_key, accepted.line.public_key) == (key(2), key(1))
    exchange.talk(dialled.line, accepted.line)


@settings(max_examples=100, deadline=None)
@given(lists(tuples(integers(0, 255), integers(0, 60)), max_size=30), integers())
def test_garbage_is_dropped(shapes: list[tuple[int, int]], seed: int) -> None:
    """Of every kind, with and without an id that is known: nothing raises, and nothing is answered or changed."""
    exchange = together()
    board = exchange.boards[BOB]
    randoms = random.Random(seed)
    known = next(iter(board._lines))  # type: ignore[attr-defined]
    board.receive([b""], EVE, exchange.now)
    for kind, size in shapes:
        for connection_id in (known, randoms.randbytes(8)):
            board.receive([bytes([kind]) + connection_id + randoms.randbytes(size)], EVE, exchange.now)
    assert not [batch for there, batch in board.flush(exchange.now) if there == EVE]
    exchange.talk(exchange.connected(ALICE)[0].line, exchange.connected(BOB)[0].line)
    assert exchange.connected(BOB)[0].line.address == ALICE
