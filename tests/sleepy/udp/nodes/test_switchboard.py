"""The rules of sleepy/udp/nodes/switchboard.py, with lines of the plain kind."""

import sys
from math import inf
from typing import Any

from sleepy.udp.connections.connection_errors import ClosedLocally
from sleepy.udp.nodes.switchboard import Line
from tests.sleepy.udp.exchange import ALICE, BOB, Exchange, plain


def crowd(peers: int) -> tuple[Exchange, list[Line]]:
    """Bob, and so many peers who have called him; Alice is one of them."""
    exchange = Exchange(alice=plain(1), bob=plain(2))
    exchange.dial(ALICE, BOB)
    for number in range(peers - 1):
        address = ("10.1.0.1", number)
        exchange.join(address, plain(3 + number))
        exchange.dial(address, BOB)
    exchange.run(1)
    lines = [event.line for event in exchange.connected(BOB)]
    assert len(lines) == peers
    return exchange, lines


def calls_of(action: Any) -> int:
    """How many calls of Python functions and builtins an action takes: a cost that no busy machine changes."""
    count = 0

    def tally(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(tally)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def test_the_cost_of_a_message_does_not_depend_on_how_many_peers_there_are() -> None:
    """Rule 1: to send to one, and to hear from one, takes as many calls with 400 peers as with 10 (within a tenth)."""

    def cost(peers: int) -> float:
        exchange, _ = crowd(peers)
        (dialled,) = exchange.connected(ALICE)
        bob = exchange.boards[BOB]
        line = bob.line_to(ALICE)
        assert line is not None
        total = 0
        for _ in range(50):
            exchange.run(0.001)
            dialled.line.connection.send(b"question")
            exchange.boards[ALICE].touch(dialled.line)
            datagrams = [each for _, batch in exchange.boards[ALICE].flush(exchange.now) for each in batch]

            def turn(datagrams: list[bytes] = datagrams) -> list[Any]:
                assert line is not None
                bob.receive(datagrams, ALICE, exchange.now)
                line.connection.read()
                line.connection.send(b"answer")
                bob.touch(line)
                return [*bob.flush(exchange.now), bob.take_events(), bob.next_wakeup]

            total += calls_of(turn)
        return total

    assert cost(400) < 1.1 * cost(10)


def test_who_is_due_is_asked_once_and_in_turn() -> None:
    """Rule 2: ten messages in a turn are one packet; and stopping in the middle puts nobody back."""
    exchange, lines = crowd(5)
    bob = exchange.boards[BOB]
    for round_number in range(10):
        for line in lines:
            line.connection.send(b"%d" % round_number)
            bob.touch(line)
    assert list(bob._due) == lines
    order = [line.address for line in lines]
    seen: list[tuple[str, int]] = []
    for address, datagrams in bob.flush(exchange.now):
        assert len(datagrams) == 1
        seen.append(address)
        if len(seen) == 2:
            break
    assert bob.next_wakeup == -inf
    bob.touch(lines[0])
    seen += [address for address, _ in bob.flush(exchange.now)]
    assert seen == order
    assert bob.next_wakeup > exchange.now


def test_a_line_that_has_finished_is_forgotten() -> None:
    """Rule 4: here and there, with its timer."""
    exchange, lines = crowd(3)
    bob = exchange.boards[BOB]
    for line in lines:
        line.connection.close(exchange.now)
        bob.touch(line)
        assert bob.line_to(line.address) is line
    exchange.run(0.015)
    alice = exchange.boards[ALICE]
    assert len(alice) == 1  # it still answers, in case its ack was lost; but it is no peer any more
    assert alice.line_to(BOB) is None
    exchange.run(0.5)
    assert all(bob.line_to(line.address) is None for line in lines)
    exchange.run(30)
    assert set(exchange.closed) >= set(lines)
    for board in exchange.boards.values():
        assert len(board) == 0
        assert board.next_wakeup == inf
        assert len(board._wakeups) == 0


def test_a_line_that_was_aborted_is_forgotten_at_once() -> None:
    """Rule 4: with its timer; and to touch it later does no harm."""
    exchange, lines = crowd(2)
    bob = exchange.boards[BOB]
    for line in lines:
        line.connection.abort(ClosedLocally("a test"))
        bob.touch(line)
    assert list(bob.flush(exchange.now)) == []
    assert len(bob) == len(bob._wakeups) == 0
    for line in lines:
        bob.touch(line)
    assert list(bob.flush(exchange.now)) == []


def test_lines_are_woken_at_their_time() -> None:
    """Nobody touches them, and they stay alive by their keep-alives for ten minutes."""
    exchange, lines = crowd(3)
    exchange.run(600)
    assert not exchange.closed
    assert all(line.connection.is_open for line in lines)
